//! Tables that are sorted by an address: what the matches make of each record of the old one, put in order again.
//!
//! When functions change places, a table of them is shuffled, and no match of it is long. But the table says nothing that
//! the matches do not: so it is made from them, and stands behind the old file like one more piece of it.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    correspondence::Correspondence,
    field::{Form, Reference},
    region::{Holds, Layout, RecordField, Region, Rule},
    sweep::{Sweep, Window},
};
use crate::{ApplyError, old::OldFile};

/// Tables may take one part in so many of the old file,
const PART: u64 = 16;
/// and no more than so many bytes.
const MOST: u64 = 8 << 20;

/// Bytes of the records that are sorted of an old file of this size: whole records of the tables that fit.
fn room(old_size: u64) -> u64 {
    old_size.wrapping_div(PART).min(MOST)
}

/// Bytes of a region's table, and the room that it takes.
fn table_len(region: &Region) -> Option<(u64, u64)> {
    match &region.rule {
        Rule::Sorted { stride, .. } => {
            let stride = u64::from(*stride).max(1);
            let len = region.len.checked_div(stride)?.saturating_mul(stride);
            Some((len, len))
        }
        Rule::Buckets(buckets) => Some((buckets.len(), buckets.room())),
        _ => None,
    }
}

/// The tables of an old file, one behind the other, that are made; others would take too much room.
fn tables(regions: &[Region], old_size: u64) -> impl Iterator<Item = (&Region, u64)> {
    let mut left = room(old_size);
    regions.iter().filter_map(move |region| {
        let (len, room) = table_len(region)?;
        left = left.checked_sub(room)?;
        Some((region, len))
    })
}

/// Bytes of all of them.
pub(crate) fn len(regions: &[Region], old_size: u64) -> u64 {
    tables(regions, old_size).fold(0, |sum, (_, len)| sum.saturating_add(len))
}

/// Bytes that making them allocates for each of theirs: a table twice, and a key for each record, which has four bytes at
/// least; an index of functions takes less.
const FOR_A_BYTE: u64 = 2 + size_of::<(u64, u32)>() as u64 / 4;

/// Bytes that making them allocates for an old file of this size.
pub(crate) fn memory(old_size: u64) -> u64 {
    room(old_size).saturating_mul(FOR_A_BYTE)
}

/// What of that the tables do not need.
pub(crate) fn spare(regions: &[Region], old_size: u64) -> u64 {
    let used = tables(regions, old_size).filter_map(|(region, _)| table_len(region));
    let used = used.fold(0_u64, |sum, (_, room)| sum.saturating_add(room));
    room(old_size).saturating_sub(used).saturating_mul(FOR_A_BYTE)
}

/// What stands behind the old file.
pub(crate) struct Tables {
    /// Virtual offset of the first byte.
    start: u64,
    bytes: Vec<u8>,
    /// The tables as regions of the old file that they seem to be, by start.
    regions: Vec<Region>,
}

/// How the records of the tables stand there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Records {
    /// As they are in the old file.
    Old,
    /// With their addresses moved to where the matches say.
    #[cfg(feature = "diff")]
    Moved,
}

impl Tables {
    /// Puts the records of the tables in their new order. Those whose address no match speaks of are left out; zeros stand
    /// behind the others. The tables stand at `start`, behind the old file and its digests.
    pub(crate) fn new(
        start: u64,
        records: Records,
        regions: &[Region],
        layout: &Layout,
        map: &Correspondence,
        old: &mut OldFile<'_>,
    ) -> Result<Self, ApplyError> {
        let old_size = old.size();
        let bytes = Vec::with_capacity(usize::try_from(len(regions, old_size)).unwrap_or(0));
        let mut made = Self { start, bytes, regions: Vec::new() };
        for (region, len) in tables(regions, old_size) {
            match &region.rule {
                Rule::Sorted { stride, fields } => {
                    let mut table = vec![0; usize::try_from(len).unwrap_or(0)];
                    old.read(&mut table, region.start).map_err(ApplyError::OldUnreadable)?;
                    made.append(&mut table, *stride as usize, fields, records, layout, map);
                }
                Rule::Buckets(buckets) => buckets.write(map, old, &mut made.bytes)?,
                _ => continue,
            }
            let start = start.saturating_add((made.bytes.len() as u64).saturating_sub(len));
            made.regions.push(Region { start, len, rule: region.rule.clone() });
        }
        Ok(made)
    }

    /// Appends the records of a table.
    fn append(
        &mut self,
        table: &mut [u8],
        stride: usize,
        fields: &[RecordField],
        records: Records,
        layout: &Layout,
        map: &Correspondence,
    ) {
        // Only records without fields are shorter than four bytes, and these have no order.
        let count = if fields.is_empty() { 0 } else { table.len().checked_div(stride).unwrap_or(0) };
        let mut order: Vec<(u64, u32)> = Vec::with_capacity(count);
        for (index, record) in table.chunks_exact_mut(stride.max(1)).enumerate() {
            let key = fields.first().and_then(|field| moved(record, field, layout, map));
            order.extend(key.filter(|key| key.inside).map(|key| (key.address, index as u32)));
            if records != Records::Old {
                fields.iter().for_each(|field| move_field(record, field, layout, map));
            }
        }
        order.sort_unstable();
        let end = self.bytes.len().saturating_add(table.len());
        for (_, index) in order {
            let start = (index as usize).saturating_mul(stride);
            let record = table.get(start..start.saturating_add(stride)).unwrap_or_default();
            self.bytes.extend_from_slice(record);
        }
        self.bytes.resize(end, 0);
    }

    /// Whether a match from `offset` on takes from the tables.
    pub(crate) fn hold(&self, offset: u64) -> bool {
        offset >= self.start
    }

    /// The tables as regions of the old file that they seem to be.
    #[cfg(feature = "diff")]
    pub(crate) fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The bytes of one of them.
    #[cfg(feature = "diff")]
    pub(crate) fn table(&self, region: &Region) -> &[u8] {
        self.slice(region.start, region.end())
    }

    /// All bytes.
    #[cfg(feature = "diff")]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Fills `out` with the bytes from virtual offset `from` on, and appends the references there to `found`.
    pub(crate) fn read(&self, out: &mut [u8], from: u64, layout: &Layout, found: &mut Vec<Reference>) {
        let to = from.saturating_add(out.len() as u64);
        let bytes = self.slice(from, to);
        out.iter_mut().zip(bytes).for_each(|(byte, made)| *byte = *made);
        let first = self.regions.partition_point(|region| region.end() <= from);
        for region in self.regions.iter().skip(first).take_while(|region| region.start < to) {
            let (from, to) = (from.max(region.start), to.min(region.end()));
            let window = Window { bytes: self.slice(from, to), offset: from, from, to, at_rest: None };
            Sweep::run(window, region, layout, found);
        }
    }

    fn slice(&self, from: u64, to: u64) -> &[u8] {
        let index = |offset: u64| usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.bytes.get(index(from)..index(to)).unwrap_or_default()
    }
}

/// Where what a field refers to went.
struct Moved {
    address: u64,
    /// What the field then holds.
    value: u64,
    /// Whether a match says so.
    inside: bool,
}

fn parts(field: &RecordField) -> Option<(Form, Option<u64>)> {
    match field.holds {
        Holds::Address => Some((Form::Long, None)),
        Holds::From(base) => Some((Form::Unsigned, Some(base))),
        Holds::Around(base) => Some((Form::Word, Some(base))),
        // What counts from itself cannot be told before it has its place.
        Holds::Here => None,
    }
}

fn moved(record: &[u8], field: &RecordField, layout: &Layout, map: &Correspondence) -> Option<Moved> {
    let (form, base) = parts(field)?;
    let bytes = record.get(field.at as usize..)?.get(..form.len())?;
    let address = form.referent(form.read(bytes), base.unwrap_or(0));
    layout.by_address(address).map(|_| {
        let found = map.find(address);
        let value = form.value(found.address, base.map_or(0, |base| map.find(base).address));
        Moved { address: found.address, value, inside: found.outside == 0 }
    })
}

fn move_field(record: &mut [u8], field: &RecordField, layout: &Layout, map: &Correspondence) {
    if let Some(Moved { value, .. }) = moved(record, field, layout, map)
        && let Some((form, _)) = parts(field)
        && let Some(bytes) = record.get_mut(field.at as usize..)
    {
        form.write(bytes, value);
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;
    use crate::reference::{
        control::Match,
        region::{Buckets, Segment},
    };

    fn layout(size: u64) -> Layout {
        let segment = Segment { offset: 0, len: size, address: 0x1000, memory_len: size, code: true };
        Layout { segments: vec![segment] }
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// An index of three functions and their data; what lies from 400 on comes first in the new file.
    #[test]
    fn records_are_in_the_order_of_where_they_went() {
        let mut old = vec![0; 1000];
        old[100..124].copy_from_slice(&words(&[300, 700, 450, 710, 500, 720]));
        let field = |at| RecordField { at, holds: Holds::From(0x1000) };
        let rule = Rule::Sorted { stride: 8, fields: vec![field(0), field(4)] };
        let regions = [Region { start: 100, len: 26, rule }];
        let found = |old_offset, new_offset, len| Match { old_offset, new_offset, len };
        let matches = [found(0, 0, 200), found(400, 200, 90), found(200, 290, 200), found(700, 700, 300)];
        let map = Correspondence::new(&matches, &layout(1000), &layout(1000));
        let made = |records| {
            let mut source = OldFile::new(&old);
            Tables::new(1000, records, &regions, &layout(1000), &map, &mut source).unwrap()
        };
        // The function at 500 is in no match.
        assert_eq!(made(Records::Moved).bytes(), words(&[250, 710, 390, 700, 0, 0]));
        let tables = made(Records::Old);
        assert_eq!(tables.bytes(), words(&[450, 710, 300, 700, 0, 0]));
        assert!(tables.hold(1000) && !tables.hold(999));
        // Every piece of it reads the same, and has the references that lie in it.
        for from in 0..24 {
            let (mut out, mut found) = (vec![9; 24 - from], Vec::new());
            tables.read(&mut out, 1000 + from as u64, &layout(1000), &mut found);
            assert_eq!(out, tables.bytes()[from..]);
            let referents: Vec<u64> = found.iter().map(|found| found.referent - 0x1000).collect();
            assert_eq!(referents, [450, 710, 300, 700, 0, 0][from.div_ceil(4)..], "{from}");
        }
        assert_eq!(len(&regions, 1000), 24);
    }

    #[test]
    fn tables_that_take_too_much_room_are_left_out() {
        let rule = Rule::Sorted { stride: 8, fields: Vec::new() };
        let region = |start, len| Region { start, len, rule: rule.clone() };
        assert_eq!(len(&[region(0, 40), region(50, 32), region(90, 16)], 1000), 56);
        // An index of functions takes the room of the list that it is made from.
        let index = |functions, parts| {
            let rule = Rule::Buckets(Buckets { list: 0, functions, text: 0, parts });
            Region { start: 0, len: 1, rule }
        };
        assert_eq!(len(&[index(6, 50)], 1000), 0);
        assert_eq!(len(&[index(6, 42), region(0, 8)], 1000), 54);
        assert_eq!(len(&[index(7, 4)], 1000), 0);
        assert_eq!(len(&[index(u32::MAX, 4), index(0, u32::MAX), index(5, 4)], 1000), 8);
    }

    #[test]
    fn tables_of_a_large_file_take_no_more_than_those_of_one_of_128_mebibytes() {
        assert_eq!([room(1600), room(128 << 20), room(u64::MAX)], [100, MOST, MOST]);
        let table = |start, len| Region { start, len, rule: Rule::Sorted { stride: 8, fields: Vec::new() } };
        let regions = [table(0, 7 << 20), table(8 << 20, 2 << 20), table(16 << 20, 1 << 20)];
        // The second finds no room beside the first, and the third does.
        let made = |size| tables(&regions, size).map(|(region, _)| region.start >> 20).collect::<Vec<_>>();
        assert_eq!(made(u64::MAX), [0, 16]);
        assert_eq!(made(1 << 28), [0, 16]);
        assert_eq!([spare(&regions, u64::MAX), memory(u64::MAX)], [0, MOST * FOR_A_BYTE]);
    }
}
