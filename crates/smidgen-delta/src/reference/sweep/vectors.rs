//! What `docs/sweeps.md` says of code, held against the sweeps: every vector, every form, every row of words.

use super::{
    Sweep, Window,
    document::{self, Found, Part, Row, Vector},
};
use crate::{
    old::OldFile,
    reference::{
        field::{Anchor, Form, Inside, Reference},
        finder::Finder,
        region::{Layout, Region, Rule, Segment},
        x86_64::shape,
    },
};

fn layout() -> Layout {
    let segment = |segment: document::Segment| {
        let document::Segment { offset, len, address, memory_len } = segment;
        Segment { offset, len, address, memory_len, code: true }
    };
    Layout { segments: document::segments().into_iter().map(segment).collect() }
}

fn form_name(form: Form) -> String {
    match form {
        Form::Low { scale } => format!("low{scale}"),
        Form::Page => "adrp".into(),
        Form::Near => "unscaled".into(),
        form => format!("{form:?}").to_lowercase(),
    }
}

/// A reference as the document writes it, at its place behind `start`.
fn written(reference: &Reference, start: u64) -> Found {
    assert_eq!(reference.other, None);
    Found {
        place: reference.offset - start,
        len: reference.form.len(),
        class: reference.class.0,
        form: form_name(reference.form),
        counts: match reference.anchor {
            Anchor::Here(skip) => format!("+{skip}"),
            Anchor::Zero => "zero".into(),
            Anchor::Page => "page".into(),
            Anchor::Offset => "number".into(),
            anchor => panic!("{anchor:?} in code"),
        },
        referent: reference.referent,
    }
}

/// What the sweep finds of a vector, looked for as for a match.
fn find(vector: &Vector, rule: Rule) -> Vec<Found> {
    let (file, layout) = (vector.file(), layout());
    let Part { from, to } = vector.region;
    let regions = [Region { start: vector.at + from, len: to - from, rule }];
    let mut old = OldFile::new(&file);
    let mut finder = Finder::new(&layout, &regions, &mut old).unwrap();
    let Part { from, to } = vector.stretch;
    let at_rest = vector.rest.map(|part| {
        let (address, room) = layout.room(vector.at + part.from);
        let len = if address.is_some() { room.min(part.to - part.from) } else { 0 };
        Inside { place: 0, address: address.unwrap_or(0), len }
    });
    let mut found = Vec::new();
    finder.find(&mut old, vector.at + from, vector.at + to, at_rest, &mut found).unwrap();
    found.iter().map(|reference| written(reference, vector.at)).collect()
}

#[test]
fn vectors_of_x86_64_are_found_as_the_document_says() {
    let vectors = document::vectors("x86-64");
    assert!(vectors.len() > 100, "{} vectors", vectors.len());
    for vector in vectors {
        let found = find(&vector, Rule::X86_64 { absolute: vector.absolute });
        assert_eq!(found, vector.found, "{}", vector.line);

        let mut at = vector.stretch.from.saturating_sub(super::BEFORE).max(vector.region.from) as usize;
        let end = (vector.stretch.to + super::AFTER).min(vector.region.to) as usize;
        let (mut lengths, mut is_cut) = (Vec::new(), false);
        while at < vector.stretch.to as usize && !is_cut {
            match shape(&vector.bytes[at..end]) {
                Some(shape) => {
                    lengths.push(shape.len);
                    at += usize::from(shape.len);
                }
                None => is_cut = true,
            }
        }
        assert_eq!(Some((lengths, is_cut)), vector.lengths, "{}", vector.line);
    }
}

#[test]
fn vectors_of_aarch64_are_found_as_the_document_says() {
    let vectors = document::vectors("aarch64");
    assert!(vectors.len() > 70, "{} vectors", vectors.len());
    for vector in vectors {
        assert_eq!(find(&vector, Rule::Aarch64), vector.found, "{}", vector.line);
    }
}

#[test]
fn forms_are_read_as_the_document_says() {
    let forms = document::forms();
    let of = |form: Form| forms.iter().find(|row| row.name == form_name(form)).unwrap();
    let low = |scale| Form::Low { scale };
    let all = [
        (Form::Byte, Anchor::Here(1)),
        (Form::Word, Anchor::Here(4)),
        (Form::Unsigned, Anchor::Zero),
        (Form::Branch26, Anchor::Here(0)),
        (Form::Branch19, Anchor::Here(0)),
        (Form::Branch14, Anchor::Here(0)),
        (Form::Adr, Anchor::Here(0)),
        (Form::Page, Anchor::Here(0)),
        (low(0), Anchor::Page),
        (low(1), Anchor::Page),
        (low(2), Anchor::Page),
        (low(3), Anchor::Page),
        (low(4), Anchor::Page),
        (Form::Pair, Anchor::Offset),
        (Form::Near, Anchor::Offset),
    ];
    assert_eq!(all.len(), forms.len());
    for (form, anchor) in all {
        let row = of(form);
        assert_eq!(row.len, form.len(), "{form:?}");
        for seed in 1..200_u64 {
            let noise = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let field = (noise >> 32) & (u64::MAX >> (64 - 8 * row.len));
            let value = form.read(&field.to_le_bytes());
            assert_eq!(row.value(field), value, "{form:?} {field:x}");
            let counts = match anchor {
                Anchor::Offset => continue,
                Anchor::Page => "page",
                _ => "",
            };
            assert_eq!(row.referent(field, counts, noise), form.referent(value, noise), "{form:?} {field:x}");
        }
    }
}

/// What the rows say of a word at this address, with or without a page for its base.
fn by_rows(
    rows: &[Row],
    forms: &[document::Form],
    word: u32,
    address: u64,
    page: Option<u64>,
) -> Option<Found> {
    let fits = |row: &&Row| word & row.mask == row.value && (!row.behind_adrp || page.is_some());
    let row = rows.iter().find(fits)?;
    let from = if row.behind_adrp { page.unwrap() } else { address };
    let form = forms.iter().find(|form| form.name == row.form).unwrap();
    let referent = form.referent(word.into(), row.counts, from);
    let class = row.classes[usize::from(word >> 5 & 31 == 31)];
    let is_found = class >= 38 || layout().by_address(referent).is_some();
    is_found.then(|| Found {
        place: 0,
        len: form.len,
        class,
        form: row.form.into(),
        counts: row.counts.into(),
        referent,
    })
}

#[test]
fn every_word_of_aarch64_is_what_its_row_says() {
    let (rows, forms) = (document::rows(), document::forms());
    let mut seed = 1_u64;
    let mut noise = || {
        seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        (seed >> 32) as u32
    };
    let mut words: Vec<u32> = (0..1 << 17).map(|_| noise()).collect();
    for row in &rows {
        for bit in 0..32 {
            // One that fits, and one that differs in one bit only, which another row may take.
            words.extend((0..100).map(|_| row.value | noise() & !row.mask));
            words.extend((0..100).map(|_| (row.value | noise() & !row.mask) ^ 1 << bit));
            // Short ways, which stay in the image.
            words.extend((0..20).map(|_| row.value | noise() & !row.mask & 0x7FFF));
        }
    }
    let layout = layout();
    let address = 0x40_1000;
    for word in words {
        let adrp = 0x9000_0000 | word >> 5 & 31;
        for pages in [0, 1] {
            let code: Vec<u8> =
                [adrp, word][1 - pages..].iter().flat_map(|word| word.to_le_bytes()).collect();
            let region = Region { start: 0x1000, len: code.len() as u64, rule: Rule::Aarch64 };
            let (from, to) = (0x1000 + 4 * pages as u64, 0x1000 + code.len() as u64);
            let window = Window { bytes: &code, offset: 0x1000, from, to, at_rest: None };
            let mut found = Vec::new();
            Sweep::run(window, &region, &layout, &mut found);
            let found: Vec<Found> = found.iter().map(|reference| written(reference, from)).collect();
            let page = (pages == 1).then_some(address);
            let expected = by_rows(&rows, &forms, word, address + 4 * pages as u64, page);
            assert_eq!(found, Vec::from_iter(expected), "{word:08x}, {pages} pages");
        }
    }
}
