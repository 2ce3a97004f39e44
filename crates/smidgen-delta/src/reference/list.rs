//! Packed lists of ascending addresses: what the matches make of an old list, corrected, and packed as its table was.
//!
//! An address that stands as a distance from the one before, in a page that begins where the linker happened to cut, or as
//! a bit, is no reference that could be predicted by itself. But the list as a whole can: its addresses are moved to
//! where the matches say that they went, and put in order again; what is gone or new is said; and the table that a linker
//! makes of that stands behind the old file as one more piece of it.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod bitmaps;
mod blocks;
mod corrections;
#[cfg(all(test, feature = "diff"))]
#[allow(clippy::arithmetic_side_effects, reason = "test code on small numbers")]
pub(crate) mod sample;
mod starts;
mod table;
pub(crate) mod unwind_info;

use super::{
    coder::Coder,
    control::Match,
    correspondence::Correspondence,
    plan::{MAX_REGIONS, Plan},
    region::{Packed, Packing, Region, Rule},
    sorted,
};
use crate::{ApplyError, old::OldFile};
use corrections::{Corrected, Corrections, Guess, Wanted};
use table::Table;
use unwind_info::Style;

/// An address of a list, and what stands beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Entry {
    /// Distance from the list's base.
    pub(crate) address: u32,
    /// How code from there on is unwound; 0 if the list does not say.
    pub(crate) way: u32,
    /// Distance of the data that this needs from the list's base; 0 if there are none.
    pub(crate) data: u32,
}

/// A list, unpacked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct List {
    pub(crate) entries: Vec<Entry>,
    /// Other addresses that the table holds, as distances from the base, in its order.
    pub(crate) others: Vec<u32>,
}

/// Which of the two files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Old,
    New,
}

impl Packed {
    /// The most addresses that a table of so many bytes holds.
    fn most(&self, len: u64) -> u64 {
        match self.packing {
            Packing::Starts => starts::most(len),
            Packing::Blocks => blocks::most(len),
            Packing::Bitmaps => bitmaps::most(len),
            Packing::Unwinding(_) => unwind_info::most(len),
        }
    }

    /// What a table of a file lists.
    fn unpack(&self, bytes: &[u8], side: Side) -> List {
        let plain = |addresses: Vec<u32>| {
            let entry = |address| Entry { address, ..Entry::default() };
            List { entries: addresses.into_iter().map(entry).collect(), others: Vec::new() }
        };
        match self.packing {
            Packing::Starts => plain(starts::unpack(bytes)),
            Packing::Blocks => plain(blocks::unpack(bytes)),
            Packing::Bitmaps => plain(bitmaps::unpack(bytes, self.base(side))),
            Packing::Unwinding(_) => {
                let most = usize::try_from(self.most(bytes.len() as u64)).unwrap_or(usize::MAX);
                unwind_info::unpack(bytes, most)
            }
        }
    }

    /// The new file's table of a list, as far as its length goes; what is missing of that is zeros.
    pub(crate) fn pack(&self, list: &List) -> Vec<u8> {
        let mut table = Table::new(self.len);
        match self.packing {
            Packing::Starts => starts::pack(&list.entries, &mut table),
            Packing::Blocks => blocks::pack(&list.entries, &mut table),
            Packing::Bitmaps => bitmaps::pack(&list.entries, self.base(Side::New), &mut table),
            Packing::Unwinding(unwound) => {
                unwind_info::pack(list, unwound.style, unwound.end, &mut table);
            }
        }
        table.finish()
    }

    fn base(&self, side: Side) -> u64 {
        match side {
            Side::Old => self.old_base,
            Side::New => self.new_base,
        }
    }

    fn style(&self) -> Option<Style> {
        match self.packing {
            Packing::Unwinding(unwound) => Some(unwound.style),
            _ => None,
        }
    }
}

/// Bytes that unpacking, correcting and packing a list allocates.
fn memory(group: &[(&Region, &Packed)]) -> u64 {
    const { assert!(size_of::<Entry>() == 12 && size_of::<Order>() == 8) };
    // Of an old address, first the number and its entry, then the entry and its place in the order; of a new one the
    // entry. Where there are two tables, or pages, also the entries of both tables as one; those of the pages, and how often
    // each way occurs.
    let is_plain = group.iter().all(|(_, packed)| packed.style().is_none());
    let (old, new) = if is_plain { (24, 12) } else { (28, 36) };
    group.iter().fold(0, |sum: u64, (region, packed)| {
        let tables = region.len.saturating_add(packed.len).saturating_mul(2);
        let entries = packed.most(region.len).saturating_mul(old);
        let entries = entries.saturating_add(packed.most(packed.len).saturating_mul(new));
        sum.saturating_add(tables).saturating_add(entries)
    })
}

/// Regions that share a list: one, or one of unwinding and one of starts behind it.
fn groups(regions: &[Region], old_size: u64) -> impl Iterator<Item = Vec<(&Region, &Packed)>> {
    let mut left = ROOM.saturating_add(sorted::spare(regions, old_size));
    let mut all = regions.iter().filter_map(|region| match &region.rule {
        Rule::Packed(packed) => Some((region, packed)),
        _ => None,
    });
    let mut next = all.next();
    std::iter::from_fn(move || {
        loop {
            let first = next.take()?;
            next = all.next();
            let mut group = vec![first];
            if matches!(first.1.packing, Packing::Unwinding(_))
                && let Some(starts) = next.filter(|next| next.1.packing == Packing::Starts)
            {
                group.push(starts);
                next = all.next();
            }
            if let Some(rest) = left.checked_sub(memory(&group)) {
                left = rest;
                return Some(group);
            }
        }
    })
}

/// Bytes of all tables; those that would take too much room are left out.
pub(crate) fn len(regions: &[Region], old_size: u64) -> u64 {
    let lens = groups(regions, old_size).flatten().map(|(_, packed)| packed.len);
    lens.fold(0, u64::saturating_add)
}

/// Bytes that making lists may allocate beside what sorted tables leave of theirs, so that those of small files find room.
const ROOM: u64 = 1 << 20;

/// Bytes that they allocate together with the sorted tables, on top of what these do.
pub(crate) const MEMORY: u64 = ROOM + Corrections::MEMORY + Places::MEMORY;

/// Where an entry of the old list comes in the new one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    address: u32,
    index: u32,
}

/// The first match of each table of a list.
struct Places {
    /// By where the table stands behind the old file.
    found: Vec<(u64, Option<Match>)>,
}

impl Places {
    /// Bytes that they allocate.
    const MEMORY: u64 = (MAX_REGIONS * size_of::<(u64, Option<Match>)>()) as u64;

    /// Looks through the matches once, however many tables there are; they begin at `start`.
    fn of(plan: &Plan, start: u64, old_size: u64) -> Self {
        let mut found = Vec::with_capacity(groups(&plan.regions, old_size).flatten().count());
        let mut next = start;
        for (_, packed) in groups(&plan.regions, old_size).flatten() {
            found.push((next, None));
            next = next.saturating_add(packed.len);
        }
        for taken in plan.matches.iter().filter(|taken| taken.old_offset >= start) {
            // Of tables without bytes at one place, the first will do.
            let index = found.partition_point(|(place, _)| *place < taken.old_offset);
            if let Some((place, first)) = found.get_mut(index)
                && *place == taken.old_offset
            {
                first.get_or_insert(*taken);
            }
        }
        Self { found }
    }

    fn at(&self, start: u64) -> Option<Match> {
        let index = self.found.partition_point(|(place, _)| *place < start);
        self.found.get(index).filter(|(place, _)| *place == start)?.1
    }
}

/// What stands behind the old file.
pub(crate) struct Lists {
    /// Virtual offset of the first byte.
    start: u64,
    bytes: Vec<u8>,
    /// Entries of all lists, and those that were not foreseen.
    pub(crate) entries: u64,
    pub(crate) missed: u64,
}

impl Lists {
    /// No lists yet; they will stand at `start`.
    pub(crate) fn new(start: u64) -> Self {
        Self { start, bytes: Vec::new(), entries: 0, missed: 0 }
    }

    /// Makes all tables. The encoder gives the new file as `truth`, the decoder nothing.
    pub(crate) fn make(
        &mut self,
        coder: &mut impl Coder,
        plan: &Plan,
        map: &Correspondence,
        old: &mut OldFile<'_>,
        truth: &[u8],
    ) -> Result<(), ApplyError> {
        self.bytes.reserve_exact(usize::try_from(len(&plan.regions, old.size())).unwrap_or(0));
        let places = Places::of(plan, self.start, old.size());
        for group in groups(&plan.regions, old.size()) {
            let mut lists = Vec::new();
            let mut wanted = Vec::new();
            let mut place = None;
            let mut start = self.start.saturating_add(self.bytes.len() as u64);
            for (region, packed) in &group {
                let mut bytes = vec![0; usize::try_from(region.len).unwrap_or(0)];
                old.read(&mut bytes, region.start).map_err(ApplyError::OldUnreadable)?;
                lists.push(packed.unpack(&bytes, Side::Old));
                if let Some(found) = places.at(start) {
                    place = place.or(Some(found.new_offset));
                    let table = truth.get(found.new_offset as usize..found.new_end() as usize);
                    wanted.push(packed.unpack(table.unwrap_or_default(), Side::New));
                }
                start = start.saturating_add(packed.len);
            }
            let list = {
                let (old, truth) = (as_one(lists), as_one(wanted));
                self.correct(coder, &group, &old, map, place.unwrap_or(0), &truth.entries)
            };
            for (_, packed) in group {
                let mut table = packed.pack(&list);
                table.resize(usize::try_from(packed.len).unwrap_or(0), 0);
                self.bytes.append(&mut table);
            }
        }
        Ok(())
    }

    /// Moves a list, puts it in order, and corrects it.
    fn correct(
        &mut self,
        coder: &mut impl Coder,
        group: &[(&Region, &Packed)],
        old: &List,
        map: &Correspondence,
        place: u64,
        truth: &[Entry],
    ) -> List {
        let Some((_, packed)) = group.first() else {
            return List::default();
        };
        let mover = Mover { packed, map };
        let mut order: Vec<Order> = Vec::with_capacity(old.entries.len());
        for (index, entry) in (0..).zip(&old.entries) {
            order.extend(mover.inside(entry.address).map(|address| Order { address, index }));
        }
        order.sort_unstable();
        let mut before = None;
        let guesses = order.into_iter().filter_map(|next| {
            let entry = *old.entries.get(next.index as usize)?;
            let shift = next.address.wrapping_sub(entry.address);
            let follows = before == Some((next.index, shift));
            before = Some((next.index.wrapping_add(1), shift));
            Some(Guess { entry: mover.moved(entry, next.address), follows })
        });
        let most = group.iter().map(|(_, packed)| packed.most(packed.len)).fold(0, u64::saturating_add);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let wanted = Wanted { style: packed.style(), most, place, truth };
        let Corrected { entries, missed } = Corrections::new().code(coder, guesses, wanted);
        self.entries = self.entries.saturating_add(entries.len() as u64);
        self.missed = self.missed.saturating_add(missed);
        List { entries, others: old.others.iter().map(|other| mover.near(*other)).collect() }
    }

    /// Whether a match from `offset` on takes from the lists.
    pub(crate) fn hold(&self, offset: u64) -> bool {
        offset >= self.start
    }

    /// Fills `out` with the bytes from virtual offset `from` on.
    pub(crate) fn read(&self, out: &mut [u8], from: u64) {
        let index = usize::try_from(from.saturating_sub(self.start)).unwrap_or(usize::MAX);
        let made = self.bytes.get(index..).unwrap_or_default();
        out.iter_mut().zip(made).for_each(|(byte, made)| *byte = *made);
    }
}

/// The word of a table at a place.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// The list of one table, or of two.
fn as_one(lists: Vec<List>) -> List {
    lists.into_iter().reduce(|unwinding, starts| merge(unwinding, starts.entries)).unwrap_or_default()
}

/// What becomes of tables of the new file that share a list, unpacked and packed again.
#[cfg(feature = "diff")]
pub(crate) fn repacked(tables: &[(&Packed, &[u8])]) -> Vec<Vec<u8>> {
    let list = as_one(tables.iter().map(|(packed, table)| packed.unpack(table, Side::New)).collect());
    let packed = tables.iter().map(|(packed, table)| {
        let mut again = packed.pack(&list);
        again.resize(table.len(), 0);
        again
    });
    packed.collect()
}

/// One list of two: addresses of the second that the first does not have are unwound as what stands before them.
fn merge(unwinding: List, starts: Vec<Entry>) -> List {
    let mut entries = Vec::with_capacity(unwinding.entries.len().saturating_add(starts.len()));
    let mut known = unwinding.entries.into_iter().peekable();
    let mut last = None;
    for start in starts {
        while let Some(entry) = known.next_if(|known| known.address <= start.address) {
            last = Some(entry);
            entries.push(entry);
        }
        if last.is_none_or(|last| last.address != start.address) {
            entries.push(Entry { way: last.map_or(0, |last| last.way), ..start });
        }
    }
    entries.extend(known);
    List { entries, others: unwinding.others }
}

/// Says where addresses of a list went.
struct Mover<'a> {
    packed: &'a Packed,
    map: &'a Correspondence,
}

impl Mover<'_> {
    /// Where an address went, as distances from a base in either file; and whether a match says so.
    fn from(&self, [old_base, new_base]: [u64; 2], distance: u32) -> (u64, bool) {
        let found = self.map.find(old_base.wrapping_add(distance.into()));
        (found.address.wrapping_sub(new_base), found.outside == 0)
    }

    fn bases(&self) -> [u64; 2] {
        [self.packed.old_base, self.packed.new_base]
    }

    /// Where an address went, if a match says so.
    fn inside(&self, distance: u32) -> Option<u32> {
        let (distance, is_inside) = self.from(self.bases(), distance);
        u32::try_from(distance).ok().filter(|_| is_inside)
    }

    /// Where an address went or about so.
    fn near(&self, distance: u32) -> u32 {
        self.from(self.bases(), distance).0 as u32
    }

    /// What became of an entry whose address is known.
    fn moved(&self, entry: Entry, address: u32) -> Entry {
        let way = match self.packed.packing {
            Packing::Unwinding(unwound) if unwound.style.is_record(entry.way) => {
                let frames = [unwound.old_frames, unwound.new_frames];
                let (record, _) = self.from(frames, entry.way & unwind_info::RECORD);
                entry.way & !unwind_info::RECORD | record as u32 & unwind_info::RECORD
            }
            _ => entry.way,
        };
        let data = if entry.data > 0 { self.near(entry.data) } else { 0 };
        Entry { address, way, data }
    }
}

#[cfg(all(test, feature = "diff"))]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;
    use crate::reference::{
        coder::{Decoder, Encoder},
        control::Match,
        region::{Layout, Segment, Unwound},
    };

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % limit
        }
    }

    fn packed(packing: Packing) -> Packed {
        Packed { packing, old_base: 0x1000, new_base: 0x1000, len: 1 << 20 }
    }

    fn unwinding(tight: bool) -> Packed {
        let style = Style { mode: 3, tight };
        packed(Packing::Unwinding(Unwound { style, end: 0x00A0_0000, ..Unwound::default() }))
    }

    fn all() -> [Packed; 5] {
        let [starts, blocks, bitmaps] = [Packing::Starts, Packing::Blocks, Packing::Bitmaps].map(packed);
        [starts, blocks, bitmaps, unwinding(false), unwinding(true)]
    }

    /// Addresses as functions or pointers have them, with ways of which few are common, or none.
    fn list(random: &mut Random, packed: &Packed) -> List {
        let count = random.below(5000);
        let (records, far) = (random.below(3) == 0, random.below(3) == 0);
        let mut list = List::default();
        let mut address = 0;
        for index in 0..count as u32 {
            address += 8 + 8 * random.below(40) as u32;
            if far && random.below(500) == 0 {
                address += 0x0100_0000;
            }
            let mut entry = Entry { address, ..Entry::default() };
            if packed.style().is_some() {
                let is_record = records || random.below(40) == 0;
                let rare = random.below(4) == 0;
                entry.way = match (is_record, rare) {
                    (true, _) => 3 << 24 | (24 * index),
                    (_, true) => 2 << 24 | random.below(4000) as u32,
                    _ => 2 << 24 | random.below(6) as u32,
                };
                entry.data = if random.below(7) == 0 { 1 + 4 * index } else { 0 };
            }
            list.entries.push(entry);
        }
        if packed.style().is_some() {
            list.others = (0..random.below(4)).map(|other| other as u32 * 8).collect();
        }
        list
    }

    #[test]
    fn lists_pack_as_they_were_and_hold_what_was_packed() {
        let mut random = Random(1);
        for packed in all() {
            for _ in 0..60 {
                let list = list(&mut random, &packed);
                let table = packed.pack(&list);
                let again = packed.unpack(&table, Side::New);
                assert!(packed.pack(&again) == table, "{packed:?}");
                if packed.style().is_none() {
                    assert!(again == list, "{packed:?}");
                }
                assert!(again.entries.len() as u64 <= packed.most(table.len() as u64));
            }
        }
    }

    /// Of two tables, the one says where functions start, the other how those are unwound that differ from the one before.
    #[test]
    fn two_tables_of_one_list_become_what_they_were() {
        let mut random = Random(2);
        for tight in [false, true] {
            for _ in 0..40 {
                let (unwinding, starts) = (unwinding(tight), packed(Packing::Starts));
                let mut list = list(&mut random, &unwinding);
                // What has neither data nor a record is unwound as what stands before it, here and there.
                let mut last = 0;
                for entry in &mut list.entries {
                    if entry.data == 0 && entry.way >> 24 == 2 && last >> 24 == 2 && random.below(3) == 0 {
                        entry.way = last;
                    }
                    last = entry.way;
                }
                let tables = [unwinding.pack(&list), starts.pack(&list)];
                let again = repacked(&[(&unwinding, &tables[0]), (&starts, &tables[1])]);
                assert!(again == tables);
                let [first, second] =
                    [unwinding.unpack(&tables[0], Side::New), starts.unpack(&tables[1], Side::New)];
                assert!(as_one(vec![first, second]) == list);
            }
        }
    }

    #[test]
    fn tables_that_lie_hold_no_more_than_there_is_room_for() {
        let mut random = Random(3);
        for packed in all() {
            let honest = packed.pack(&list(&mut random, &packed));
            for _ in 0..300 {
                let mut table = honest.clone();
                for _ in 0..1 + random.below(20) {
                    let within = 1 << random.below(16);
                    let at = random.below(within.min(table.len() as u64)) as usize;
                    table[at] = random.below(256) as u8;
                }
                table.truncate(random.below(2 * table.len() as u64) as usize);
                let list = packed.unpack(&table, Side::Old);
                assert!(list.entries.len() as u64 <= packed.most(table.len() as u64), "{packed:?}");
                packed.pack(&list);
            }
        }
        // Every page of the index is the same one.
        let unwinding = unwinding(true);
        let entries = (0..400).map(|index| Entry { address: index * 8, way: 1 << 24, data: 4 }).collect();
        let mut table = unwinding.pack(&List { entries, others: Vec::new() });
        table[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
        let index = table[20] as usize;
        let page = table[index..index + 12].to_vec();
        (index..table.len()).step_by(12).for_each(|at| {
            let end = table.len().min(at + 12);
            table[at..end].copy_from_slice(&page[..end - at]);
        });
        let list = unwinding.unpack(&table, Side::Old);
        assert!(list.entries.len() as u64 <= unwinding.most(table.len() as u64));
    }

    /// Functions at 0x1100, 0x1200, 0x1300, 0x1400 and 0x1500: the second moves to the end, the third is in no match, and
    /// there is a new one between the fourth and the fifth, which comes to lie 0x20 farther back.
    #[test]
    fn addresses_move_with_the_matches_and_what_is_new_is_said() {
        let packed = Packed { len: 16, ..packed(Packing::Starts) };
        let list = |addresses: &[u32]| -> List {
            let entry = |address: &u32| Entry { address: *address, ..Entry::default() };
            List { entries: addresses.iter().map(entry).collect(), others: Vec::new() }
        };
        let table = packed.pack(&list(&[0x100, 0x200, 0x300, 0x400, 0x500]));
        let mut old = vec![0; 0x1000];
        old[0x800..0x810].copy_from_slice(&table);
        let layout = Layout {
            segments: vec![Segment {
                offset: 0,
                len: 0x1000,
                address: 0x1000,
                memory_len: 0x1000,
                code: true,
            }],
        };
        let found = |old_offset, new_offset, len| Match { old_offset, new_offset, len };
        let region = Region { start: 0x800, len: 16, rule: Rule::Packed(packed) };
        let plan = Plan {
            old: layout.clone(),
            new: layout.clone(),
            regions: vec![region],
            matches: vec![
                found(0, 0, 0x180),
                found(0x400, 0x300, 0x80),
                found(0x500, 0x420, 0x100),
                found(0x200, 0x600, 0x40),
                found(0x1000, 0x900, 16),
            ],
            paging: None,
            lines: None,
        };
        let map = Correspondence::new(&plan.matches, &layout, &layout);
        let wanted = list(&[0x100, 0x300, 0x340, 0x420, 0x600]);
        let mut new = vec![0; 0x1000];
        new[0x900..0x910].copy_from_slice(&packed.pack(&wanted));
        let made = |coder: &mut Encoder, truth: &[u8]| {
            let mut lists = Lists::new(0x1000);
            lists.make(coder, &plan, &map, &mut OldFile::new(&old), truth).unwrap();
            lists
        };
        let mut encoder = Encoder::new();
        let lists = made(&mut encoder, &new);
        assert_eq!((lists.entries, lists.missed), (5, 1));
        assert_eq!(lists.bytes, new[0x900..0x910]);
        let coded = encoder.finish();
        assert!(coded.len() <= 6, "{coded:?}");
        let mut decoder = Decoder::new(&coded, 0, coded.len() as u64);
        let mut lists = Lists::new(0x1000);
        lists.make(&mut decoder, &plan, &map, &mut OldFile::new(&old), &[]).unwrap();
        assert_eq!(lists.bytes, new[0x900..0x910]);
        assert!(lists.hold(0x1000) && !lists.hold(0xFFF));
        let mut piece = [9; 5];
        lists.read(&mut piece, 0x1002);
        assert_eq!(piece, new[0x902..0x907]);
        assert_eq!(len(&plan.regions, 0x1000), 16);
    }

    #[test]
    fn lists_that_take_too_much_room_are_left_out() {
        let region = |start, len, packing, new_len| {
            let rule = Rule::Packed(Packed { len: new_len, ..packed(packing) });
            Region { start, len, rule }
        };
        let regions = [
            region(0, 15_000, Packing::Starts, 15_000),
            region(20_000, 15_000, Packing::Starts, 15_001),
            region(40_000, 100, Packing::Blocks, u64::MAX),
            region(50_000, 8, Packing::Blocks, 77),
        ];
        // 24 and 12 for each address, and twice each table, from a mebibyte.
        assert_eq!(len(&regions, 0), 15_077);
        assert_eq!(len(&regions[1..], 0), 15_078);
        // An old file of a mebibyte has 384 KiB more.
        assert_eq!(len(&regions, 1 << 20), 30_078);
    }
}
