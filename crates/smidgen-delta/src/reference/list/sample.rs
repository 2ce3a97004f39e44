//! Lists that take all the room there is, so that what making them allocates can be held against what is declared.

use super::{
    Entry, ROOM,
    corrections::{Corrections, Wanted},
    unwind_info::Style,
};
use crate::reference::{
    coder::Encoder,
    region::{Packed, Packing, Unwound},
    sorted,
};

/// Sizes of the two files. The old one is zeros, and nothing of it is listed.
pub(crate) const OLD_SIZE: u64 = 16 << 20;
pub(crate) const NEW_SIZE: u64 = 1 << 20;

/// A list, and the section that says all of its entries: raw size and bytes.
pub(crate) type Sample = (Packed, (u64, Vec<u8>));

/// Bytes for a table that takes so many for each of its pieces, and the old one, of one byte, takes as many as `old`.
fn pieces(old: u64, each: u64) -> u64 {
    (ROOM + sorted::spare(&[], OLD_SIZE) - old) / each
}

fn sample(packing: Packing, len: u64, entries: &[Entry]) -> Sample {
    let packed = Packed { packing, old_base: 0, new_base: 0, len };
    let mut coder = Encoder::new();
    let wanted = Wanted { style: packed.style(), most: entries.len(), place: 0, truth: entries };
    let made = Corrections::new().code(&mut coder, std::iter::empty(), wanted);
    assert_eq!(made.entries, entries);
    (packed, (entries.len() as u64, coder.finish()))
}

/// Each bitmap says one address. Once these were not held to the length of the table.
pub(crate) fn bitmaps() -> Sample {
    // 2 for each byte, and 12 for each of the 63 addresses of a word.
    let words = pieces(2, 16 + 63 * 12);
    let entry = |index: u64| Entry { address: 504 * index as u32, ..Entry::default() };
    let entries: Vec<Entry> = (0..63 * words).map(entry).collect();
    sample(Packing::Bitmaps, 8 * words, &entries)
}

/// Each entry has a way of its own, and data.
pub(crate) fn unwinding() -> Sample {
    // 2 for each byte, and 36 for an entry of four.
    let words = pieces(2, 8 + 36);
    let style = Style { mode: 3, tight: false };
    let entry = |index: u32| Entry { address: 4 * index, way: 3 << 24 | index, data: 4 + 4 * index };
    let entries: Vec<Entry> = (0..words as u32).map(entry).collect();
    sample(Packing::Unwinding(Unwound { style, ..Unwound::default() }), 4 * words, &entries)
}

/// A byte for each address.
pub(crate) fn starts() -> Sample {
    // 2 and 12 for each byte; the old one is room for an address.
    let len = pieces(2 + 24, 2 + 12);
    let entry = |index: u64| Entry { address: 1 + index as u32, ..Entry::default() };
    let entries: Vec<Entry> = (0..len).map(entry).collect();
    sample(Packing::Starts, len, &entries)
}
