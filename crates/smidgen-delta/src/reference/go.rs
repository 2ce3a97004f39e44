//! References in Go's function records (`runtime._func`, Go 1.20 and later): a head of 44 bytes, then one word for each
//! pc table and each piece of function data.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    field::{Anchor, Class, Form},
    region::GoBases,
    sweep::Sweep,
};

/// Bytes of a record's head.
pub(crate) const HEAD: usize = 44;
/// Where the head says, in a word, where the table of files is,
pub(crate) const FILE_TABLE: usize = 20;
/// and that of lines,
pub(crate) const LINE_TABLE: usize = 24;
/// how many further pc tables there are,
pub(crate) const TABLES: usize = 28;
/// where the files of the function's unit are in the list of files,
pub(crate) const UNIT: usize = 32;
/// and at which line the function starts;
pub(crate) const START_LINE: usize = 36;
/// and in a byte, how many pieces of function data there are.
pub(crate) const DATA: usize = 43;
/// More pc tables than any function has.
const MAX_TABLES: u32 = 64;
/// Bytes of the longest record.
pub(crate) const MAX_LEN: u64 = 44 + 4 * (64 + 255) + 8;

/// Pc tables, pieces of data and length of the record at the start of `bytes`.
fn shape(bytes: &[u8]) -> Option<(usize, usize, usize)> {
    let head = bytes.first_chunk::<HEAD>()?;
    let tables = head.get(TABLES..)?.first_chunk()?;
    let tables = u32::from_le_bytes(*tables).min(MAX_TABLES) as usize;
    let data = usize::from(*head.get(DATA)?);
    let words = tables.saturating_add(data);
    Some((tables, data, HEAD.saturating_add(words.saturating_mul(4)).next_multiple_of(8)))
}

/// Bytes of the record at the start of `bytes`; `None` if they end inside its head.
pub(crate) fn record_len(bytes: &[u8]) -> Option<usize> {
    shape(bytes).map(|(_, _, len)| len)
}

/// Finds the references of the records in the window, whose first byte is the first of a record.
pub(crate) fn sweep(sweep: &mut Sweep<'_>, bases: &GoBases) {
    let mut at = 0_usize;
    while at < sweep.end() {
        let Some((tables, data, len)) = shape(sweep.bytes().get(at..).unwrap_or_default()) else {
            return;
        };
        let next = at.wrapping_add(len);
        // Reading begins up to a mark's distance in front of the stretch.
        if next <= sweep.start() {
            at = next;
            continue;
        }
        let heads = [
            (0, bases.text, Form::Unsigned, Class::GO_ENTRY),
            (4, bases.names, Form::Unsigned, Class::GO_NAME),
            (16, bases.tables, Form::Unsigned, Class::GO_STACK),
            (FILE_TABLE, bases.tables, Form::Unsigned, Class::GO_FILE),
            (LINE_TABLE, bases.tables, Form::Unsigned, Class::GO_LINE),
            (UNIT, bases.units, Form::Quad, Class::GO_UNIT),
        ];
        for (skip, base, form, class) in heads {
            find(sweep, at.wrapping_add(skip), form, base, class);
        }
        sweep.find_number(at.wrapping_add(START_LINE), Form::Word, Anchor::Step, Class::GO_START_LINE);
        let mut word = at.wrapping_add(HEAD);
        for index in 0..tables.saturating_add(data) {
            let (base, class) =
                if index < tables { (bases.tables, Class::GO_TABLE) } else { (bases.data, Class::GO_DATA) };
            find(sweep, word, Form::Unsigned, base, class);
            word = word.wrapping_add(4);
        }
        at = next;
    }
}

/// A word that counts from `base`; zero says that there is nothing.
fn find(sweep: &mut Sweep<'_>, place: usize, form: Form, base: u64, class: Class) {
    if sweep.word(place) != Some(0) {
        sweep.find(place, form, Anchor::At(base), class);
    }
}
