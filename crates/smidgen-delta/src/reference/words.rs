//! References in data that has no layout of its own: pointers, words that count from a base, entries of jump tables.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    field::{Anchor, Class, Form},
    region::Words,
    sweep::Sweep,
};

/// A word below this is more likely a small number than a distance.
const SMALLEST: u32 = 256;

/// Finds 64-bit addresses on multiples of eight; between them, on multiples of four, words that count from a base or
/// lead to code.
pub(crate) fn sweep(sweep: &mut Sweep<'_>, words: &Words) {
    let start = sweep.start();
    let skip = sweep.offset(start).next_multiple_of(4).wrapping_sub(sweep.offset(start));
    let mut at = start.wrapping_add(skip as usize);
    while at < sweep.end() {
        let aligned = sweep.offset(at) & 7 == 0;
        if aligned && words.pointers && sweep.find(at, Form::Long, Anchor::Zero, Class::POINTER) {
            at = at.wrapping_add(8);
            continue;
        }
        if let Some(word) = sweep.word(at) {
            match words.base {
                Some(base) if (SMALLEST..words.limit).contains(&word) => {
                    if sweep.find(at, Form::Unsigned, Anchor::At(base), Class::WORD) {
                        sweep.set_other(words.other);
                    }
                }
                _ => {
                    let referent = sweep.address(at).wrapping_add(i64::from(word as i32) as u64);
                    if sweep.is_code(referent) {
                        sweep.find(at, Form::Word, Anchor::Here(0), Class::TABLE);
                    }
                }
            }
        }
        at = at.wrapping_add(4);
    }
}
