//! References in the pointers that Mach-O chains (`mach-o/fixup-chains.h`): 64-bit words that say, beside what they refer to,
//! how far the next such word of their page is. Those that are bound to a symbol have its number, which moves as all equal
//! ones do.
//!
//! A chain starts where the file's tables say, which the decoder does not read. It tells the pointers by their look: the bits
//! that have no meaning are zero, and nearly all have a next one.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    field::{Anchor, Class, Form},
    sweep::Sweep,
};

/// Set in what is bound to a symbol, by its number.
const BOUND: u64 = 1 << 63;
/// Zero in what is not.
const RESERVED: u64 = 0x7F << 44;
/// How far the next pointer is, in units of four bytes; 0 for the last one of a page.
const NEXT: u64 = 0xFFF << 51;
/// Words below that lead to no next one are more likely small numbers than the last pointers of their pages.
const SMALLEST: u64 = 1 << 32;

/// Finds the pointers on multiples of eight; they count from `base`, or are addresses; and the numbers of symbols.
pub(crate) fn sweep(sweep: &mut Sweep<'_>, base: Option<u64>) {
    let anchor = base.map_or(Anchor::Zero, Anchor::At);
    let start = sweep.start();
    let skip = sweep.offset(start).next_multiple_of(8).wrapping_sub(sweep.offset(start));
    let mut at = start.wrapping_add(skip as usize);
    while at < sweep.end() {
        let word = sweep.long(at).unwrap_or(0);
        if word & BOUND != 0 {
            sweep.find_number(at, Form::Ordinal, Anchor::Offset, Class::BOUND);
        } else if word & RESERVED == 0 && (word & NEXT != 0 || word >= SMALLEST) {
            sweep.find(at, Form::Link, anchor, Class::CHAINED);
        }
        at = at.wrapping_add(8);
    }
}
