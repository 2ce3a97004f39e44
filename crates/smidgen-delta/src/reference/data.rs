//! References in data: pointers, words that count from a base, entries of jump tables, fields of records.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    field::{Anchor, Class, Form},
    region::{Holds, RecordField, Words},
    sweep::Sweep,
};

/// A word below this is more likely a small number than a distance.
const SMALLEST: u32 = 256;

/// Finds 64-bit addresses on multiples of eight; between them, on multiples of four, words that count from a base or
/// lead to code.
pub(crate) fn sweep_words(sweep: &mut Sweep<'_>, words: &Words) {
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

/// Finds the fields of records that all have `stride` bytes and begin at the start of the region.
pub(crate) fn sweep_records(sweep: &mut Sweep<'_>, stride: u32, fields: &[RecordField]) {
    let stride = u64::from(stride.max(1));
    let start = sweep.start();
    let inside = sweep.offset(start).wrapping_sub(sweep.region_start());
    // A field lies in the stretch although its record may begin before it: places wrap and are then not found.
    let into = inside.checked_rem(stride).unwrap_or(0) as usize;
    let mut record = start.wrapping_sub(into);
    while record < sweep.end() || record > usize::MAX / 2 {
        for (index, field) in fields.iter().enumerate() {
            let place = record.wrapping_add(field.at as usize);
            let class = Class::field(index);
            match field.holds {
                Holds::Address => sweep.find(place, Form::Long, Anchor::Zero, class),
                Holds::From(base) => sweep.find(place, Form::Unsigned, Anchor::At(base), class),
                Holds::Around(base) => sweep.find(place, Form::Word, Anchor::At(base), class),
                Holds::Here => sweep.find(place, Form::Word, Anchor::Here(0), class),
            };
        }
        record = record.wrapping_add(stride as usize);
    }
}
