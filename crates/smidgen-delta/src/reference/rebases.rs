//! References in the opcodes by which Mach-O lists pointers (`mach-o/loader.h`): segment and offset of one, then "here".
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    field::{Anchor, Class, Form},
    sweep::Sweep,
};

/// Upper half of the byte that names a segment.
const SEGMENT_AND_OFFSET: u8 = 0x20;
/// "One pointer is here."
const ONCE: u8 = 0x51;

/// Finds the offsets of three bytes (seven bits each) between the two opcodes; they count from their segment's base.
pub(crate) fn sweep(sweep: &mut Sweep<'_>, bases: &[u64]) {
    let mut at = 0_usize;
    while at < sweep.end() {
        let step = match sweep.bytes().get(at..) {
            Some([segment, 0x80..=0xFF, 0x80..=0xFF, 0..=0x7F, ONCE, ..])
                if segment & 0xF0 == SEGMENT_AND_OFFSET =>
            {
                if let Some(base) = bases.get(usize::from(segment & 15)) {
                    let place = at.wrapping_add(1);
                    sweep.find(place, Form::Leb, Anchor::At(*base), Class::REBASE);
                }
                5
            }
            _ => 1,
        };
        at = at.wrapping_add(step);
    }
}
