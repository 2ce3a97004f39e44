//! Mach-O's index of unwinding (`mach-o/compact_unwind_encoding.h`): from which address on code is unwound in which way, in
//! pages of up to 4 KiB; and in front of them where each page starts, and the addresses that have data.
//!
//! A page is regular, with eight bytes for an entry, or compressed: then an entry has the distance from the page's first
//! address in 24 bits and the ordinal of its way in eight, first among those that are common to all pages, then among
//! the page's own.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Entry, List, table::Table, word};

/// The most common ways.
const COMMON: usize = 127;
/// The most ways that an entry of a compressed page can choose from.
const WAYS: usize = 256;
/// Bytes of a full page, and words behind the head of a compressed one.
const PAGE: usize = 4096;
const PAGE_WORDS: usize = 1021;
/// Entries of a full regular page.
const REGULAR: usize = 511;
/// The farthest address of a compressed page from its first.
const REACH: u32 = 0xFF_FFFF;
/// The bits of a way that lead to a record.
pub(super) const RECORD: u32 = 0xFF_FFFF;
/// Kinds of page.
const KIND_REGULAR: u32 = 2;
const KIND_COMPRESSED: u32 = 3;
/// Bytes of the head.
const HEAD: usize = 28;
/// Bytes of an entry of the index.
const INDEX: usize = 12;

/// The most addresses that so many bytes hold.
pub(super) fn most(len: u64) -> u64 {
    len.wrapping_div(4)
}

/// How the table is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Style {
    /// The number in the topmost byte's lower half of a way that leads to an unwinding record, which no two entries share.
    pub(crate) mode: u8,
    /// How Apple's linker does it: ways that occur once are not common, of equally common ones the smallest comes first,
    /// the index has room for one page more, and a page ends on a multiple of eight. Else as LLVM's: all ways may be common,
    /// the largest first, and each page has its full size.
    pub(crate) tight: bool,
}

impl Style {
    /// Whether a way leads to a record.
    pub(super) fn is_record(self, way: u32) -> bool {
        way >> 24 & 15 == u32::from(self.mode)
    }
}

/// Where the last address of a table ends.
#[cfg(feature = "diff")]
pub(crate) fn end(bytes: &[u8]) -> u32 {
    let last = head(bytes).and_then(|[.., index, count]| {
        word(bytes, index.saturating_add(count.saturating_sub(1).saturating_mul(INDEX)))
    });
    last.unwrap_or(0)
}

fn half(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?)))
}

/// So many words from `at` on.
fn words(bytes: &[u8], at: usize, count: usize) -> impl Iterator<Item = u32> {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.as_chunks().0.iter().take(count).map(|word| u32::from_le_bytes(*word))
}

/// The table, as far as it can be read: up to `most` entries.
pub(super) fn unpack(bytes: &[u8], most: usize) -> List {
    let mut list = List::default();
    let Some([_, commons, common_count, personalities, personality_count, index, count]) = head(bytes) else {
        return list;
    };
    list.entries.reserve_exact(most);
    list.others = words(bytes, personalities, personality_count).collect();
    let common: Vec<u32> = words(bytes, commons, common_count.min(WAYS)).collect();
    for page in 0..count {
        let at = index.saturating_add(page.saturating_mul(INDEX));
        let (Some(first), Some(page)) = (word(bytes, at), word(bytes, at.saturating_add(4))) else {
            break;
        };
        if page > 0 {
            unpack_page(
                bytes.get(page as usize..).unwrap_or_default(),
                first,
                &common,
                most,
                &mut list.entries,
            );
        }
    }
    unpack_data(bytes, index, count, &mut list.entries);
    list
}

/// The numbers of the head.
fn head(bytes: &[u8]) -> Option<[usize; 7]> {
    let mut head = [0; 7];
    for (to, from) in head.iter_mut().zip(bytes.get(..HEAD)?.as_chunks().0) {
        *to = u32::from_le_bytes(*from) as usize;
    }
    Some(head)
}

fn unpack_page(page: &[u8], first: u32, common: &[u32], most: usize, entries: &mut Vec<Entry>) {
    let (Some(kind), Some(at), Some(count)) = (word(page, 0), half(page, 4), half(page, 6)) else {
        return;
    };
    let count = count.min(most.saturating_sub(entries.len()));
    match kind {
        KIND_REGULAR => {
            let pairs = page.get(at..).unwrap_or_default().as_chunks().0.iter().take(count);
            entries.extend(pairs.map(|pair: &[u8; 8]| {
                let pair = u64::from_le_bytes(*pair);
                Entry { address: pair as u32, way: (pair >> 32) as u32, data: 0 }
            }));
        }
        KIND_COMPRESSED => {
            let (own_at, own_count) = (half(page, 8).unwrap_or(0), half(page, 10).unwrap_or(0));
            let own: Vec<u32> = words(page, own_at, own_count.min(WAYS)).collect();
            entries.extend(words(page, at, count).map(|entry| {
                let way = (entry >> 24) as usize;
                let its = match way.checked_sub(common.len()) {
                    None => common.get(way),
                    Some(way) => own.get(way),
                };
                let address = first.wrapping_add(entry & REACH);
                Entry { address, way: its.copied().unwrap_or(0), data: 0 }
            }));
        }
        _ => {}
    }
}

/// Gives entries their data; both stand in the order of addresses.
fn unpack_data(bytes: &[u8], index: usize, count: usize, entries: &mut [Entry]) {
    let place = |page: usize| word(bytes, index.saturating_add(page.saturating_mul(INDEX)).saturating_add(8));
    let (Some(from), Some(to)) = (place(0), count.checked_sub(1).and_then(place)) else {
        return;
    };
    let pairs = bytes.get(from as usize..to as usize).unwrap_or_default();
    let mut entries = entries.iter_mut().peekable();
    for pair in pairs.as_chunks().0 {
        let pair = u64::from_le_bytes(*pair);
        while entries.next_if(|entry| entry.address < pair as u32).is_some() {}
        if let Some(entry) = entries.next_if(|entry| entry.address == pair as u32) {
            entry.data = (pair >> 32) as u32;
        }
    }
}

/// A page that is cut.
struct Page<'a> {
    entries: &'a [Entry],
    /// Its own ways, if it is compressed.
    own: Option<Vec<u32>>,
}

impl<'a> Page<'a> {
    /// Takes the next page off `entries`: compressed, unless its ways run out before a regular one would be full.
    fn cut(entries: &mut &'a [Entry], common: &[(u32, u8)]) -> Self {
        let first = entries.first().map_or(0, |entry| entry.address);
        let (mut own, mut room, mut len) = (Vec::new(), PAGE_WORDS, 0_usize);
        for entry in *entries {
            let known = find(common, entry.way).is_some() || own.contains(&entry.way);
            let needs = if known { 1 } else { 2 };
            let may = known || common.len().saturating_add(own.len()) < WAYS;
            if needs > room || !may || entry.address.wrapping_sub(first) > REACH {
                break;
            }
            if !known {
                own.push(entry.way);
            }
            room = room.saturating_sub(needs);
            len = len.saturating_add(1);
        }
        let regular = len < entries.len() && len < REGULAR;
        if regular {
            len = REGULAR.min(entries.len());
        }
        let (page, rest) = entries.split_at_checked(len.max(1)).unwrap_or((entries, &[]));
        *entries = rest;
        Self { entries: page, own: (!regular).then_some(own) }
    }

    /// Bytes that it takes.
    fn len(&self) -> usize {
        let words = match &self.own {
            Some(own) => self.entries.len().saturating_add(own.len()).saturating_add(3),
            None => self.entries.len().saturating_mul(2).saturating_add(2),
        };
        words.saturating_mul(4)
    }

    fn write(&self, common: &[(u32, u8)], table: &mut Table) {
        let count = self.entries.len();
        let Some(own) = &self.own else {
            table.put_words(&[KIND_REGULAR, 8 | (count as u32) << 16]);
            self.entries.iter().for_each(|entry| table.put_words(&[entry.address, entry.way]));
            return;
        };
        let own_at = count.saturating_mul(4).saturating_add(12);
        table.put_words(&[
            KIND_COMPRESSED,
            12 | (count as u32) << 16,
            own_at as u32 | (own.len() as u32) << 16,
        ]);
        let first = self.entries.first().map_or(0, |entry| entry.address);
        for entry in self.entries {
            let way = find(common, entry.way).map_or_else(
                || own.iter().position(|way| *way == entry.way).unwrap_or(0).saturating_add(common.len()),
                usize::from,
            );
            table.put_words(&[entry.address.wrapping_sub(first) & REACH | (way as u32) << 24]);
        }
        table.put_words(own);
    }
}

/// The ordinal of a common way; they are sorted.
fn find(common: &[(u32, u8)], way: u32) -> Option<u8> {
    let index = common.binary_search_by_key(&way, |common| common.0).ok()?;
    common.get(index).map(|common| common.1)
}

/// The ways that all pages share, in order.
fn common_ways(entries: &[Entry], style: Style) -> Vec<u32> {
    let mut all: Vec<u32> = entries.iter().map(|entry| entry.way).collect();
    all.sort_unstable();
    let least = if style.tight { 2 } else { 1 };
    let often = all.chunk_by(|one, other| one == other).filter(|same| same.len() >= least);
    // Room for what there may be: a vector that grows takes up to three times as much meanwhile.
    let mut ways = Vec::with_capacity(all.len());
    ways.extend(
        often.map(|same| (u32::MAX.saturating_sub(same.len() as u32), same.first().copied().unwrap_or(0))),
    );
    ways.sort_unstable_by_key(|(rare, way): &(u32, u32)| (*rare, if style.tight { *way } else { !*way }));
    // Copied, because a vector that is mapped in place keeps its room.
    ways.iter().take(COMMON).map(|(_, way)| *way).collect()
}

/// The entries that say something new: others are unwound as what stands before them.
fn fold(entries: &[Entry], style: Style) -> Vec<Entry> {
    let mut folded: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        let says_nothing = entry.data == 0
            && !style.is_record(entry.way)
            && folded.last().is_some_and(|last| last.way == entry.way);
        if !says_nothing {
            folded.push(*entry);
        }
    }
    folded
}

/// Writes the table of these entries, the last of which ends at `end`.
pub(super) fn pack(list: &List, style: Style, end: u32, table: &mut Table) {
    let entries = fold(&list.entries, style);
    let ways = common_ways(&entries, style);
    let mut common: Vec<(u32, u8)> = ways.iter().zip(0..).map(|(way, index)| (*way, index)).collect();
    common.sort_unstable();

    let mut pages = Vec::new();
    let mut rest = entries.as_slice();
    while !rest.is_empty() {
        pages.push(Page::cut(&mut rest, &common));
    }
    let personalities = ways.len().saturating_mul(4).saturating_add(HEAD);
    let index = list.others.len().saturating_mul(4).saturating_add(personalities);
    let count = pages.len().saturating_add(1);
    let entries_of_index = count.saturating_add(usize::from(style.tight));
    let data = entries_of_index.saturating_mul(INDEX).saturating_add(index);
    let data_count = entries.iter().filter(|entry| entry.data > 0).count();
    let data_end = data_count.saturating_mul(8).saturating_add(data);

    let numbers = [1, HEAD, ways.len(), personalities, list.others.len(), index, count];
    table.put_words(&numbers.map(|number| number as u32));
    table.put_words(&ways);
    table.put_words(&list.others);
    let (mut page_at, mut data_at) = (data_end, data);
    let mut ends = Vec::with_capacity(pages.len());
    for page in &pages {
        let first = page.entries.first().map_or(0, |entry| entry.address);
        table.put_words(&[first, page_at as u32, data_at as u32]);
        let its = page.entries.iter().filter(|entry| entry.data > 0).count();
        data_at = data_at.saturating_add(its.saturating_mul(8));
        page_at = match style.tight {
            true => page_at.saturating_add(page.len()).next_multiple_of(8),
            false => page_at.saturating_add(PAGE),
        };
        ends.push(page_at);
    }
    table.put_words(&[end, 0, data_end as u32]);
    table.fill(data);
    for entry in entries.iter().filter(|entry| entry.data > 0) {
        if table.is_full() {
            break;
        }
        table.put_words(&[entry.address, entry.data]);
    }
    for (page, end) in pages.iter().zip(ends) {
        if table.is_full() {
            break;
        }
        page.write(&common, table);
        table.fill(end);
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;

    const SIMPLE: u32 = 0x0200_1000;
    const OTHER: u32 = 0x0400_0001;
    const RECORD: u32 = 0x0300_0040;

    fn style(tight: bool) -> Style {
        Style { mode: 3, tight }
    }

    /// Two functions unwound alike, one by its record and with data, one in a way of its own, one as the first.
    fn list() -> List {
        let entry = |address, way, data| Entry { address, way, data };
        List {
            entries: vec![
                entry(0x1000, SIMPLE, 0),
                entry(0x1040, SIMPLE, 0),
                entry(0x1080, RECORD, 0x9000),
                entry(0x10C0, OTHER, 0),
                entry(0x1100, SIMPLE, 0),
            ],
            others: vec![0x8000],
        }
    }

    fn packed(list: &List, tight: bool, end: u32) -> Vec<u8> {
        let mut table = Table::new(1 << 20);
        pack(list, style(tight), end, &mut table);
        table.finish()
    }

    fn read(bytes: &[u8]) -> Vec<u32> {
        words(bytes, 0, usize::MAX).collect()
    }

    #[test]
    fn a_table_of_one_page_is_as_the_linkers_write_it() {
        let padded = packed(&list(), false, 0x1140);
        assert_eq!(padded.len(), 28 + 12 + 4 + 24 + 8 + PAGE);
        let head = [1, 28, 3, 40, 1, 44, 2, SIMPLE, OTHER, RECORD, 0x8000];
        let index = [0x1000, 76, 68, 0x1140, 0, 76, 0x1080, 0x9000];
        let page = [3, 12 | 4 << 16, 28, 0, 0x0200_0080, 0x0100_00C0, 0x100];
        assert_eq!(read(&padded)[..26], [&head[..], &index, &page].concat());
        assert!(read(&padded)[26..].iter().all(|word| *word == 0));

        let tight = packed(&list(), true, 0x1140);
        let head = [1, 28, 1, 32, 1, 36, 2, SIMPLE, 0x8000];
        let index = [0x1000, 80, 72, 0x1140, 0, 80, 0, 0, 0, 0x1080, 0x9000];
        let page = [3, 12 | 4 << 16, 28 | 2 << 16, 0, 0x0100_0080, 0x0200_00C0, 0x100, RECORD, OTHER];
        assert_eq!(read(&tight), [&head[..], &index, &page, &[0]].concat());
    }

    /// Once data were written however many there were.
    #[test]
    fn data_take_no_more_than_their_room() {
        let entry = |index: u32| Entry { address: 4 * index, way: 3 << 24 | index, data: 4 + 4 * index };
        let list = List { entries: (0..1000).map(entry).collect(), others: Vec::new() };
        let mut table = Table::new(2000);
        pack(&list, style(false), 4000, &mut table);
        assert!(table.is_full());
        assert_eq!(table.finish(), packed(&list, false, 4000)[..2000]);
    }

    #[test]
    fn what_is_read_says_nothing_twice() {
        for tight in [false, true] {
            let table = packed(&list(), tight, 0x1140);
            let mut expected = list();
            expected.entries.remove(1);
            assert_eq!(unpack(&table, 100), expected);
            assert_eq!(unpack(&table, 3).entries, expected.entries[..3]);
            assert_eq!(end(&table), 0x1140);
        }
    }

    #[test]
    fn pages_are_cut_where_room_ways_or_reach_end() {
        let cut = |entries: &[Entry], common: &[(u32, u8)]| {
            let mut rest = entries;
            let mut cut = Vec::new();
            while !rest.is_empty() {
                let page = Page::cut(&mut rest, common);
                cut.push((page.entries.len(), page.own.map(|own| own.len())));
            }
            cut
        };
        let entry = |address, way| Entry { address, way, data: 0 };
        let all_common: Vec<Entry> = (0..1500).map(|index| entry(4 * index, 7)).collect();
        assert_eq!(cut(&all_common, &[(7, 0)]), [(1021, Some(0)), (479, Some(0))]);
        // Each way of its own takes a word more.
        assert_eq!(cut(&all_common, &[]), [(1020, Some(1)), (480, Some(1))]);
        // So many ways that a regular page holds more.
        let all_own: Vec<Entry> = (0..900).map(|index| entry(4 * index, index)).collect();
        assert_eq!(cut(&all_own, &[]), [(511, None), (389, None)]);
        assert_eq!(cut(&all_own[..256], &[]), [(256, Some(256))]);
        assert_eq!(cut(&all_own[..300], &[]), [(300, None)]);
        let far: Vec<Entry> = (0..1200).map(|index| entry(0x8000 * index, 7)).collect();
        assert_eq!(cut(&far, &[(7, 0)]), [(512, Some(0)), (512, Some(0)), (176, Some(0))]);
    }
}
