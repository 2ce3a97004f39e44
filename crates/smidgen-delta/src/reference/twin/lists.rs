//! Packed lists: unpacked, moved, put in order, corrected, and packed again.

use std::collections::{BTreeSet, HashMap};

use super::{
    coder::{Bit, Coder, Number, Symbol},
    map::Map,
    plan::{Packed, Packing, Region, Rule},
};

/// Address, way, data.
type Entry = [u64; 3];

const LOW: u64 = 0xFF_FFFF;

pub(super) struct Lists {
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
    /// What lists with entries that were foreseen there were, by packing; the two styles of unwinding are told apart, and
    /// so are lists of two tables.
    pub(super) kinds: BTreeSet<u8>,
}

impl Lists {
    /// There is a mebibyte, and `spare`, which is what sorted tables leave of theirs.
    pub(super) fn read(
        coder: &mut Coder<'_>,
        old: &[u8],
        start: u64,
        spare: u64,
        regions: &[Region],
        map: &Map,
    ) -> Self {
        let mut room = u128::from((1 << 20) + spare);
        let mut bytes = Vec::new();
        let mut kinds = BTreeSet::new();
        let packed: Vec<(&Region, &Packed)> = regions
            .iter()
            .filter_map(|region| match &region.rule {
                Rule::Packed(packed) => Some((region, packed)),
                _ => None,
            })
            .collect();
        let mut rest = packed.as_slice();
        while !rest.is_empty() {
            let is_pair = rest.len() > 1
                && matches!(rest[0].1.packing, Packing::Unwinding { .. })
                && matches!(rest[1].1.packing, Packing::Starts);
            let (group, others) = rest.split_at(if is_pair { 2 } else { 1 });
            rest = others;
            let is_unwound = matches!(group[0].1.packing, Packing::Unwinding { .. });
            let (old_each, new_each) = if is_unwound { (28, 36) } else { (24, 12) };
            let needs = |(region, packed): &(&Region, &Packed)| {
                // A length may be anything.
                let [old, new] = [region.len, packed.len].map(u128::from);
                let entries = |len: u64| u128::from(most(packed, len));
                2 * (old + new) + old_each * entries(region.len) + new_each * entries(packed.len)
            };
            let needs: u128 = group.iter().map(needs).sum();
            if needs > room {
                continue;
            }
            room -= needs;
            let table = |region: &Region| &old[region.start as usize..region.end() as usize];
            let (mut entries, mut others) = unpack(group[0].1, table(group[0].0));
            if is_pair {
                let (starts, _) = unpack(group[1].1, table(group[1].0));
                entries = merge(&entries, &starts);
            }
            others.iter_mut().for_each(|other| *other = moved(map, group[0].1.bases, *other).0 & 0xFFFF_FFFF);
            let limit = group.iter().map(|(_, packed)| most(packed, packed.len)).sum();
            let foreseen = guesses(group[0].1, &entries, map);
            if foreseen.len() > 3 {
                kinds.insert(match group[0].1.packing {
                    Packing::Starts => 0,
                    Packing::Blocks => 1,
                    Packing::Bitmaps => 2,
                    Packing::Unwinding { tight, .. } => 3 + u8::from(tight),
                });
                kinds.extend(is_pair.then_some(5));
            }
            let corrected = Corrections::default().read(coder, &foreseen, group[0].1, limit);
            for (_, packed) in group {
                let mut table = pack(packed, &corrected, &others);
                table.resize(packed.len as usize, 0);
                bytes.extend(table);
            }
        }
        Self { start, bytes, kinds }
    }
}

/// The most entries that so many bytes hold.
fn most(packed: &Packed, len: u64) -> u64 {
    match packed.packing {
        Packing::Starts => len,
        Packing::Blocks => len / 2,
        Packing::Bitmaps => (len / 8).saturating_mul(63),
        Packing::Unwinding { .. } => len / 4,
    }
}

fn half(bytes: &[u8], at: u64) -> Option<u64> {
    let at = at as usize;
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().unwrap()).into())
}

fn word(bytes: &[u8], at: u64) -> Option<u64> {
    let at = at as usize;
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().unwrap()).into())
}

fn unpack(packed: &Packed, bytes: &[u8]) -> (Vec<Entry>, Vec<u64>) {
    let plain =
        |addresses: Vec<u64>| (addresses.into_iter().map(|address| [address, 0, 0]).collect(), Vec::new());
    match packed.packing {
        Packing::Starts => plain(unpack_starts(bytes)),
        Packing::Blocks => plain(unpack_blocks(bytes)),
        Packing::Bitmaps => plain(unpack_bitmaps(bytes, packed.bases[0])),
        Packing::Unwinding { .. } => unpack_unwinding(bytes),
    }
}

fn unpack_starts(bytes: &[u8]) -> Vec<u64> {
    let mut addresses = Vec::new();
    let (mut address, mut number) = (0, Vec::new());
    for byte in bytes {
        number.push(u64::from(byte & 127));
        if *byte >= 128 {
            if number.len() == 5 {
                break;
            }
            continue;
        }
        let distance = number.iter().rev().fold(0, |distance, part| distance << 7 | part);
        address += distance;
        if distance == 0 || address >> 32 > 0 {
            break;
        }
        addresses.push(address);
        number.clear();
    }
    addresses
}

fn unpack_blocks(bytes: &[u8]) -> Vec<u64> {
    let mut addresses = Vec::new();
    let mut at = 0;
    while let (Some(page), Some(len)) = (word(bytes, at), word(bytes, at + 4)) {
        if len < 8 || at + len > bytes.len() as u64 {
            break;
        }
        for place in (8..len - 1).step_by(2) {
            let place = half(bytes, at + place).unwrap();
            if place >> 12 == 10 {
                addresses.push((page + (place & 0xFFF)) & 0xFFFF_FFFF);
            }
        }
        at += len;
    }
    addresses
}

fn unpack_bitmaps(bytes: &[u8], base: u64) -> Vec<u64> {
    let mut addresses: Vec<u64> = Vec::new();
    let mut next = 0_u64;
    for word in bytes.chunks_exact(8) {
        let word = u64::from_le_bytes(word.try_into().unwrap());
        let mut said = Vec::new();
        if word & 1 == 0 {
            said.push(word);
            next = word.wrapping_add(8);
        } else {
            said.extend(
                (1..64).filter(|bit| word >> bit & 1 == 1).map(|bit| next.wrapping_add(8 * (bit - 1))),
            );
            next = next.wrapping_add(8 * 63);
        }
        for address in said {
            let distance = address.wrapping_sub(base);
            if distance >> 32 > 0 || addresses.last().is_some_and(|last| *last >= distance) {
                return addresses;
            }
            addresses.push(distance);
        }
    }
    addresses
}

fn unpack_unwinding(bytes: &[u8]) -> (Vec<Entry>, Vec<u64>) {
    if bytes.len() < 28 {
        return (Vec::new(), Vec::new());
    }
    let [_, commons, common_count, personalities, personality_count, index, count] =
        [0, 1, 2, 3, 4, 5, 6].map(|number| word(bytes, 4 * number).unwrap());
    let list = |bytes: &[u8], at: u64, count: u64| -> Vec<u64> {
        (0..count).map_while(|number| word(bytes, at + 4 * number)).collect()
    };
    let others = list(bytes, personalities, personality_count);
    let common = list(bytes, commons, common_count.min(256));
    let limit = bytes.len() / 4;
    let mut entries: Vec<Entry> = Vec::new();
    for page in 0..count {
        let (Some(first), Some(start)) = (word(bytes, index + 12 * page), word(bytes, index + 12 * page + 4))
        else {
            break;
        };
        let page = bytes.get(start as usize..).unwrap_or_default();
        let (Some(kind), Some(at), Some(count)) = (word(page, 0), half(page, 4), half(page, 6)) else {
            continue;
        };
        if start == 0 {
            continue;
        }
        let own = list(page, half(page, 8).unwrap_or(0), half(page, 10).unwrap_or(0).min(256));
        for number in 0..count {
            if entries.len() == limit {
                break;
            }
            let entry = match kind {
                2 => word(page, at + 8 * number)
                    .zip(word(page, at + 8 * number + 4))
                    .map(|(address, way)| [address, way, 0]),
                3 => word(page, at + 4 * number).map(|entry| {
                    let all: Vec<u64> = common.iter().chain(&own).copied().collect();
                    let way = all.get((entry >> 24) as usize).copied().unwrap_or(0);
                    [(first + (entry & LOW)) & 0xFFFF_FFFF, way, 0]
                }),
                _ => None,
            };
            let Some(entry) = entry else { break };
            entries.push(entry);
        }
    }
    let ends =
        count.checked_sub(1).and_then(|last| word(bytes, index + 8).zip(word(bytes, index + 12 * last + 8)));
    if let Some((from, to)) = ends {
        let mut at = 0;
        for pair in bytes.get(from as usize..to as usize).unwrap_or_default().chunks_exact(8) {
            while at < entries.len() && entries[at][0] < word(pair, 0).unwrap() {
                at += 1;
            }
            if at < entries.len() && entries[at][0] == word(pair, 0).unwrap() {
                entries[at][2] = word(pair, 4).unwrap();
                at += 1;
            }
        }
    }
    (entries, others)
}

/// One list of both; what only the second has is unwound as what stands before it.
fn merge(unwinding: &[Entry], starts: &[Entry]) -> Vec<Entry> {
    let mut merged: Vec<Entry> = Vec::new();
    let mut last: Option<Entry> = None;
    let mut taken = 0;
    for [start, ..] in starts.iter().copied() {
        while taken < unwinding.len() && unwinding[taken][0] <= start {
            last = Some(unwinding[taken]);
            merged.extend(last);
            taken += 1;
        }
        if last.is_none_or(|last| last[0] != start) {
            merged.push([start, last.map_or(0, |last| last[1]), 0]);
        }
    }
    merged.extend(&unwinding[taken..]);
    merged
}

/// Where a distance from the old base went, as one from the new base, and whether a match says so.
fn moved(map: &Map, bases: [u64; 2], distance: u64) -> (u64, bool) {
    let (address, outside) = map.find(bases[0].wrapping_add(distance));
    (address.wrapping_sub(bases[1]), outside == 0)
}

fn is_record(packed: &Packed, way: u64) -> bool {
    matches!(packed.packing, Packing::Unwinding { mode, .. } if way >> 24 & 15 == mode)
}

/// What is foreseen, in order, and whether each follows the one before as it did.
fn guesses(packed: &Packed, old: &[Entry], map: &Map) -> Vec<(Entry, bool)> {
    let mut order: Vec<(u64, usize)> = Vec::new();
    for (index, entry) in old.iter().enumerate() {
        let (address, is_inside) = moved(map, packed.bases, entry[0]);
        if is_inside && address >> 32 == 0 {
            order.push((address, index));
        }
    }
    order.sort_unstable();
    let mut guesses = Vec::new();
    for (number, (address, index)) in order.iter().enumerate() {
        let [was, way, data] = old[*index];
        let follows = number > 0 && {
            let (last, last_index) = order[number - 1];
            last_index + 1 == *index
                && address.wrapping_sub(last) & 0xFFFF_FFFF
                    == was.wrapping_sub(old[last_index][0]) & 0xFFFF_FFFF
        };
        let way = match packed.packing {
            Packing::Unwinding { frames, .. } if is_record(packed, way) => {
                way & !LOW | moved(map, frames, way & LOW).0 & LOW
            }
            _ => way,
        };
        let data = if data > 0 { moved(map, packed.bases, data).0 & 0xFFFF_FFFF } else { 0 };
        guesses.push(([*address, way, data], follows));
    }
    guesses
}

#[derive(Default)]
struct Corrections {
    right: [Bit; 8],
    gone: [Bit; 4],
    more: Bit,
    distance: [Number; 2],
    way_right: [Bit; 4],
    /// By place and mode.
    way: HashMap<(u64, u64), Symbol>,
    record: Number,
    data_right: [Bit; 4],
    has_data: [Bit; 2],
    data: Number,
    last_way: u64,
    last_record: u64,
    last_data: u64,
    way_missed: bool,
    data_missed: bool,
}

impl Corrections {
    fn read(
        mut self,
        coder: &mut Coder<'_>,
        guesses: &[(Entry, bool)],
        packed: &Packed,
        limit: u64,
    ) -> Vec<Entry> {
        let mut made: Vec<Entry> = Vec::new();
        let mut history = [false; 2];
        let mut last_was_kept = false;
        for guess in guesses.iter().map(Some).chain([None]) {
            let mut follows = last_was_kept && guess.is_some_and(|guess| guess.1);
            last_was_kept = false;
            while (made.len() as u64) < limit {
                let least = made.last().map_or(0, |last| last[0] + 1);
                if let Some((entry, _)) = guess {
                    if entry[0] < least {
                        break;
                    }
                    let [last, before] = history.map(usize::from);
                    let right = self.right[4 * usize::from(follows) + 2 * before + last].read(coder);
                    history = [!right, history[0]];
                    if right {
                        made.push(self.read_beside(coder, Some(entry), entry[0], packed));
                        last_was_kept = true;
                        break;
                    }
                    if self.gone[2 * before + last].read(coder) {
                        break;
                    }
                } else if !self.more.read(coder) {
                    break;
                }
                let address = least.saturating_add(self.distance[usize::from(history[1])].read(coder));
                if address >> 32 > 0 {
                    return made;
                }
                made.push(self.read_beside(coder, None, address, packed));
                follows = false;
            }
        }
        made
    }

    fn read_beside(
        &mut self,
        coder: &mut Coder<'_>,
        guess: Option<&Entry>,
        address: u64,
        packed: &Packed,
    ) -> Entry {
        if !matches!(packed.packing, Packing::Unwinding { .. }) {
            return [address, 0, 0];
        }
        let way_right = guess.is_some_and(|guess| {
            let context = 2 * usize::from(is_record(packed, guess[1])) + usize::from(self.way_missed);
            self.way_right[context].read(coder)
        });
        let way = if way_right { guess.unwrap()[1] } else { self.read_way(coder, packed) };
        self.way_missed = !way_right;
        self.last_way = way;
        if is_record(packed, way) {
            self.last_record = way & LOW;
        }
        let data_right = guess.is_some_and(|guess| {
            let context = 2 * usize::from(guess[2] > 0) + usize::from(self.data_missed);
            self.data_right[context].read(coder)
        });
        let data = if data_right {
            guess.unwrap()[2]
        } else if self.has_data[(way >> 30 & 1) as usize].read(coder) {
            self.last_data.wrapping_add_signed(self.data.read_signed(coder)) & 0xFFFF_FFFF
        } else {
            0
        };
        if data > 0 {
            self.data_missed = !data_right;
            self.last_data = data;
        }
        [address, way, data]
    }

    fn read_way(&mut self, coder: &mut Coder<'_>, packed: &Packed) -> u64 {
        let mode = self.last_way >> 24 & 15;
        let top = self.way.entry((0, mode)).or_default().read(coder, 8);
        if is_record(packed, top << 24) {
            return top << 24 | self.last_record.wrapping_add_signed(self.record.read_signed(coder)) & LOW;
        }
        (1..4)
            .fold(top, |way, place| way << 8 | self.way.entry((place, top & 15)).or_default().read(coder, 8))
    }
}

fn pack(packed: &Packed, entries: &[Entry], others: &[u64]) -> Vec<u8> {
    let addresses = || entries.iter().map(|entry| entry[0]);
    let mut bytes = Vec::new();
    match packed.packing {
        Packing::Starts => {
            let mut last = 0;
            for address in addresses() {
                let mut distance = address - last;
                while distance > 127 {
                    bytes.push(distance as u8 | 128);
                    distance >>= 7;
                }
                bytes.push(distance as u8);
                last = address;
            }
            bytes.push(0);
            while bytes.len() % 8 > 0 {
                bytes.push(0);
            }
        }
        Packing::Blocks => {
            let mut pages: Vec<(u64, Vec<u64>)> = Vec::new();
            for address in addresses() {
                match pages.last_mut() {
                    Some((page, places)) if *page == address >> 12 => places.push(address & 0xFFF),
                    _ => pages.push((address >> 12, vec![address & 0xFFF])),
                }
            }
            for (page, places) in pages {
                let len = (8 + 2 * places.len()).next_multiple_of(4);
                bytes.extend([(page << 12) as u32, len as u32].map(u32::to_le_bytes).concat());
                bytes.extend(places.iter().flat_map(|place| (10 << 12 | *place as u16).to_le_bytes()));
                if places.len() % 2 == 1 {
                    bytes.extend([0, 0]);
                }
            }
        }
        Packing::Bitmaps => {
            let mut left: Vec<u64> =
                addresses().map(|address| packed.bases[1].wrapping_add(address)).rev().collect();
            while let Some(address) = left.pop() {
                bytes.extend((address & !1).to_le_bytes());
                let mut next = address.wrapping_add(8);
                loop {
                    let mut bits = 1_u64;
                    while let Some(address) = left.last() {
                        let distance = address.wrapping_sub(next);
                        if distance >= 63 * 8 || distance % 8 > 0 {
                            break;
                        }
                        bits |= 1 << (1 + distance / 8);
                        left.pop();
                    }
                    if bits == 1 {
                        break;
                    }
                    bytes.extend(bits.to_le_bytes());
                    next = next.wrapping_add(63 * 8);
                }
            }
        }
        Packing::Unwinding { tight, end, .. } => bytes = pack_unwinding(packed, tight, end, entries, others),
    }
    bytes
}

fn pack_unwinding(packed: &Packed, tight: bool, end: u64, entries: &[Entry], others: &[u64]) -> Vec<u8> {
    let mut folded: Vec<Entry> = Vec::new();
    for entry in entries {
        let is_like_last = folded.last().is_some_and(|last| last[1] == entry[1]);
        if !is_like_last || entry[2] > 0 || is_record(packed, entry[1]) {
            folded.push(*entry);
        }
    }
    let mut counts: HashMap<u64, u64> = HashMap::new();
    folded.iter().for_each(|entry| *counts.entry(entry[1]).or_default() += 1);
    let mut common: Vec<(u64, u64)> = counts.into_iter().filter(|(_, count)| !tight || *count > 1).collect();
    common.sort_unstable_by_key(|(way, count)| (u64::MAX - count, if tight { *way } else { u64::MAX - way }));
    let common: Vec<u64> = common.into_iter().take(127).map(|(way, _)| way).collect();

    // Each page, and its own ways if it is compressed.
    let mut pages: Vec<(&[Entry], Option<Vec<u64>>)> = Vec::new();
    let mut rest = folded.as_slice();
    while !rest.is_empty() {
        let mut own: Vec<u64> = Vec::new();
        let (mut count, mut words) = (0, 0);
        for entry in rest {
            let is_new = !common.contains(&entry[1]) && !own.contains(&entry[1]);
            let needs = if is_new { 2 } else { 1 };
            if words + needs > 1021
                || is_new && common.len() + own.len() >= 256
                || entry[0] - rest[0][0] > LOW
            {
                break;
            }
            if is_new {
                own.push(entry[1]);
            }
            words += needs;
            count += 1;
        }
        if count < rest.len() && count < 511 {
            let (page, others) = rest.split_at(rest.len().min(511));
            pages.push((page, None));
            rest = others;
        } else {
            let (page, others) = rest.split_at(count);
            pages.push((page, Some(own)));
            rest = others;
        }
    }

    let personalities = 28 + 4 * common.len() as u64;
    let index_at = personalities + 4 * others.len() as u64;
    let data_at = index_at + 12 * (pages.len() as u64 + if tight { 2 } else { 1 });
    let with_data: Vec<&Entry> = folded.iter().filter(|entry| entry[2] > 0).collect();
    let data_end = data_at + 8 * with_data.len() as u64;
    let mut index = Vec::new();
    let mut body = Vec::new();
    let mut data = data_at;
    for (page, own) in pages {
        let start = data_end + body.len() as u64;
        index.extend([page[0][0], start, data]);
        data += 8 * page.iter().filter(|entry| entry[2] > 0).count() as u64;
        let count = page.len() as u64;
        let words: Vec<u64> = match &own {
            None => [2, 8 | count << 16]
                .into_iter()
                .chain(page.iter().flat_map(|entry| [entry[0], entry[1]]))
                .collect(),
            Some(own) => {
                let way = |way: u64| common.iter().chain(own).position(|known| *known == way).unwrap() as u64;
                let head = [3, 12 | count << 16, (12 + 4 * count) | (own.len() as u64) << 16];
                let entries = page.iter().map(|entry| (entry[0] - page[0][0]) | way(entry[1]) << 24);
                head.into_iter().chain(entries).chain(own.iter().copied()).collect()
            }
        };
        let from = body.len();
        body.extend(words.iter().flat_map(|word| (*word as u32).to_le_bytes()));
        let full = if tight {
            (data_end as usize + body.len()).next_multiple_of(8) - data_end as usize
        } else {
            from + 4096
        };
        body.resize(full, 0);
    }
    index.extend([end, 0, data_end]);
    if tight {
        index.extend([0; 3]);
    }
    let head = [
        1,
        28,
        common.len() as u64,
        personalities,
        others.len() as u64,
        index_at,
        index.len() as u64 / 3 - u64::from(tight),
    ];
    let data = with_data.iter().flat_map(|entry| [entry[0], entry[2]]);
    let words = head.into_iter().chain(common).chain(others.iter().copied()).chain(index).chain(data);
    words.flat_map(|word| (word as u32).to_le_bytes()).chain(body).collect()
}
