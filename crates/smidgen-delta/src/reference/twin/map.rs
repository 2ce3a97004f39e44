//! Which new address corresponds to an old one, and the tables that are sorted by where their records went.

use super::{
    plan::{Buckets, Holds, Layout, Match, Region, Rule},
    reference::{self, Form, Reference},
};

/// Old addresses from `old` to `end` went to `new` and what follows.
#[derive(Clone, Copy)]
struct Range {
    old: u64,
    end: u64,
    new: u64,
}

impl Range {
    fn len(&self) -> u64 {
        self.end.saturating_sub(self.old)
    }
}

pub(super) struct Map(Vec<Range>);

impl Map {
    pub(super) fn new(matches: &[Match], old: &Layout, new: &Layout) -> Self {
        // More pieces than these are not looked at.
        let most = matches.len() * 5 / 4 + 64;
        let mut ranges = Vec::new();
        for found in matches {
            let mut done = 0;
            while done < found.len && ranges.len() < most {
                let (from, to) = (found.old + done, found.new + done);
                let step = (found.len - done).min(old.room(from)).min(new.room(to)).max(1);
                if let (Some(old), Some(new)) = (old.address(from), new.address(to)) {
                    ranges.push(Range { old, end: old.saturating_add(step), new });
                }
                done += step;
            }
        }
        ranges.sort_by_key(|range| (range.old, u64::MAX - range.end, range.new));
        // Each gives way to a longer one before it, or takes from a shorter one what both have.
        let mut flat: Vec<Range> = Vec::new();
        for mut range in ranges {
            if let Some(last) = flat.last_mut()
                && last.end > range.old
            {
                if range.end <= last.end {
                    continue;
                }
                if range.len() > last.len() {
                    last.end = range.old;
                } else {
                    range.new = range.new.wrapping_add(last.end - range.old);
                    range.old = last.end;
                }
            }
            flat.push(range);
        }
        flat.retain(|range| range.len() > 0);
        Self(flat)
    }

    /// The new address, and how far behind a match the old one lies (0: inside; without a match before it: `u64::MAX`).
    pub(super) fn find(&self, address: u64) -> (u64, u64) {
        match self.0.iter().rev().find(|range| range.old <= address) {
            Some(range) => {
                let outside = address.saturating_add(1).saturating_sub(range.end);
                (range.new.wrapping_add(address - range.old), outside)
            }
            None => {
                let shift = self.0.first().map_or(0, |first| first.new.wrapping_sub(first.old));
                (address.wrapping_add(shift), u64::MAX)
            }
        }
    }
}

/// What stands behind the old file and its digests.
pub(super) struct Tables {
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
    /// What is left of the room for records.
    pub(super) room: u64,
    regions: Vec<Region>,
}

impl Tables {
    pub(super) fn new(old: &[u8], start: u64, regions: &[Region], layout: &Layout, map: &Map) -> Self {
        let room = (old.len() as u64 / 16).min(8 << 20);
        let mut tables = Self { start, bytes: Vec::new(), room, regions: Vec::new() };
        for region in regions {
            if let Rule::Buckets(buckets) = &region.rule {
                let len = buckets.parts + 4 * buckets.parts.div_ceil(16);
                let needed = (buckets.functions * 8 + 12).max(len);
                if needed <= tables.room {
                    tables.room -= needed;
                    let start = start + tables.bytes.len() as u64;
                    tables.bytes.extend(index(buckets, old, map));
                    tables.regions.push(Region { start, len, rule: region.rule.clone() });
                }
            }
            let Rule::Records(stride, fields, true) = &region.rule else { continue };
            let len = region.len / stride * stride;
            if len > tables.room {
                continue;
            }
            tables.room -= len;
            let records: Vec<&[u8]> =
                old[region.start as usize..(region.start + len) as usize].chunks(*stride as usize).collect();
            let went = |record: &[u8]| went(record, fields.first()?, layout, map);
            let mut order: Vec<(u64, usize)> = records
                .iter()
                .enumerate()
                .filter_map(|(index, record)| Some((went(record)?, index)))
                .collect();
            order.sort_unstable();
            let table_start = start + tables.bytes.len() as u64;
            let end = tables.bytes.len() + len as usize;
            order.iter().for_each(|(_, index)| tables.bytes.extend(records[*index]));
            tables.bytes.resize(end, 0);
            tables.regions.push(Region { start: table_start, len, rule: region.rule.clone() });
        }
        tables
    }

    /// The references between two places of the tables.
    pub(super) fn find(&self, layout: &Layout, from: u64, to: u64) -> Vec<Reference> {
        let mut found = Vec::new();
        for region in self.regions.iter().filter(|region| region.start < to && region.end() > from) {
            let (from, to) = (from.max(region.start), to.min(region.end()));
            found.extend(reference::find_from(&self.bytes, self.start, layout, region, from, from, to));
        }
        found
    }
}

/// The index of functions in the new file: by the number of functions in front of each part that begin no later.
fn index(buckets: &Buckets, old: &[u8], map: &Map) -> Vec<u8> {
    let text = map.find(buckets.text).0;
    let begins: Vec<u64> = (0..buckets.functions)
        .map(|function| {
            let at = (buckets.list + 8 * function) as usize;
            let begin = reference::UNSIGNED.read(&old[at..at + 4]);
            map.find(buckets.text.wrapping_add(begin)).0.wrapping_sub(text)
        })
        .collect();
    let number = |part: u64| {
        let earlier = begins.iter().filter(|begin| **begin <= 256 * part).count();
        (earlier.max(1) - 1) as u32
    };
    let mut index = Vec::new();
    for part in 0..buckets.parts {
        let first = number(part / 16 * 16);
        if part % 16 == 0 {
            index.extend(first.to_le_bytes());
        }
        index.push((number(part) - first) as u8);
    }
    index
}

/// The new address of what a record's first field leads to, if it leads into the image and into a match.
fn went(record: &[u8], (place, holds): &(u64, Holds), layout: &Layout, map: &Map) -> Option<u64> {
    let (form, base): (Form, u64) = match holds {
        Holds::Address => (reference::LONG, 0),
        Holds::From(base) => (reference::UNSIGNED, *base),
        Holds::Around(base) => (reference::WORD, *base),
        Holds::Here => return None,
    };
    let place = *place as usize;
    let address = form.referent(form.read(record.get(place..place + form.len)?), base);
    layout.by_address(address)?;
    let (new, outside) = map.find(address);
    (outside == 0).then_some(new)
}
