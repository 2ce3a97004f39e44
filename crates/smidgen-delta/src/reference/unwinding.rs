//! References in `.eh_frame` (Linux Standard Base, "Exception Frames"): where the common part of a record lies, the
//! code it is for, and its language-specific data.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    field::{Anchor, Class, Form},
    sweep::Sweep,
};

/// The lengths that a frame record plausibly has.
const LENS: std::ops::Range<u32> = 12..4096;

/// Finds records by their look: a length, then a distance back to a common part inside the region. What does not look
/// like one is passed over in steps of four bytes, so that a sweep can start anywhere.
pub(crate) fn sweep(sweep: &mut Sweep<'_>) {
    let mut at = sweep.offset(0).next_multiple_of(4).wrapping_sub(sweep.offset(0)) as usize;
    while at < sweep.end() {
        let (len, back) = (sweep.word(at).unwrap_or(0), sweep.word(at.wrapping_add(4)).unwrap_or(0));
        let common = at.wrapping_add(4);
        let room = sweep.offset(common).wrapping_sub(sweep.region_start());
        if len & 3 != 0 || !LENS.contains(&len) || back & 3 != 0 || back <= 8 || u64::from(back) > room {
            at = at.wrapping_add(4);
            continue;
        }
        sweep.find(common, Form::Back, Anchor::Here(0), Class::UNWIND_COMMON);
        sweep.find(at.wrapping_add(8), Form::Word, Anchor::Here(0), Class::UNWIND_CODE);
        // Augmentation data as long as a field is a pointer to language-specific data. Fields of eight bytes are known by the
        // upper half of the first, which only continues its sign; that of the pointer stays as it is.
        let is_long = matches!(sweep.word(at.wrapping_add(12)), Some(0 | u32::MAX));
        let (data, field) = if is_long { (at.wrapping_add(24), 8) } else { (at.wrapping_add(16), 4) };
        if sweep.bytes().get(data) == Some(&field) {
            sweep.find(data.wrapping_add(1), Form::Word, Anchor::Here(0), Class::UNWIND_DATA);
        }
        at = at.wrapping_add(len as usize).wrapping_add(4);
    }
}
