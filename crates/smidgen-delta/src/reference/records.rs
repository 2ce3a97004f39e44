//! References in records that all have the same length: relocations, symbols, entries of sorted tables.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    field::{Anchor, Class, Form},
    region::{Holds, RecordField},
    sweep::Sweep,
};

/// Finds the fields of records that all have `stride` bytes and begin at the start of the region.
pub(crate) fn sweep(sweep: &mut Sweep<'_>, stride: u32, fields: &[RecordField]) {
    let stride = i64::from(stride.max(1));
    let start = sweep.start();
    let inside = sweep.offset(start).wrapping_sub(sweep.region_start()).cast_signed();
    // A field may lie in the window although its record begins before it.
    let into = inside.checked_rem(stride).unwrap_or(0);
    let mut record = (start as i64).saturating_sub(into);
    while record < sweep.end() as i64 {
        for (index, field) in fields.iter().enumerate() {
            let Ok(place) = usize::try_from(record.saturating_add(field.at.into())) else { continue };
            let class = Class::field(index);
            match field.holds {
                Holds::Address => sweep.find(place, Form::Long, Anchor::Zero, class),
                Holds::From(base) => sweep.find(place, Form::Unsigned, Anchor::At(base), class),
                Holds::Around(base) => sweep.find(place, Form::Word, Anchor::At(base), class),
                Holds::Here => sweep.find(place, Form::Word, Anchor::Here(0), class),
            };
        }
        record = record.saturating_add(stride);
    }
}
