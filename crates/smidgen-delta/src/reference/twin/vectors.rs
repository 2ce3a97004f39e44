//! The vectors of `docs/sweeps.md`, held against the second implementation of the sweeps.

use super::{
    super::sweep::document::{self, Found, Part, Vector},
    plan::{Layout, Region, Rule, Segment},
    prediction::Surroundings,
    reference::{self, Anchor, Form, Meaning, Reference},
};

fn form_name(form: Form) -> String {
    let name = match (form.pieces, form.meaning) {
        ([(0, 8)], Meaning::Distance(1)) => "byte",
        ([(0, 32)], Meaning::Distance(1)) => "word",
        ([(0, 32)], Meaning::Ahead(1)) => "unsigned",
        ([(0, 26)], Meaning::Distance(4)) => "branch26",
        ([(5, 19)], Meaning::Distance(4)) => "branch19",
        ([(5, 14)], Meaning::Distance(4)) => "branch14",
        ([(29, 2), (5, 19)], Meaning::Distance(1)) => "adr",
        ([(29, 2), (5, 19)], Meaning::Page) => "adrp",
        ([(15, 7)], Meaning::Ahead(1)) => "pair",
        ([(12, 9)], Meaning::Ahead(1)) => "unscaled",
        ([(10, 12)], Meaning::Low(scale)) => return format!("low{scale}"),
        _ => panic!("{form:?} in code"),
    };
    name.into()
}

fn written(reference: &Reference, start: u64) -> Found {
    Found {
        place: reference.offset - start,
        len: reference.form.len,
        class: reference.class,
        form: form_name(reference.form),
        counts: match reference.anchor {
            Anchor::Here(skip) => format!("+{skip}"),
            Anchor::Zero => "zero".into(),
            Anchor::Page => "page".into(),
            Anchor::Equal => "number".into(),
            anchor => panic!("{anchor:?} in code"),
        },
        referent: reference.referent,
    }
}

fn find(vector: &Vector, rule: Rule) -> Vec<Found> {
    let segment = |segment: document::Segment| {
        let document::Segment { offset, len, address, memory_len } = segment;
        Segment { offset, len, address, memory_len, code: true }
    };
    let layout = Layout(document::segments().into_iter().map(segment).collect());
    let Part { from, to } = vector.region;
    let regions = [Region { start: vector.at + from, len: to - from, rule }];
    let Part { from, to } = vector.stretch;
    let mut found = reference::find(&vector.file(), &layout, &regions, vector.at + from, vector.at + to);
    if let Some(rest) = vector.rest {
        let start = vector.at + rest.from;
        let address = layout.address(start);
        let len = if address.is_some() { layout.room(start).min(rest.to - rest.from) } else { 0 };
        let surroundings = Surroundings { place: 0, address: address.unwrap_or(0), len };
        found.retain(|reference| !surroundings.may_rest(reference));
    }
    found.iter().map(|reference| written(reference, vector.at)).collect()
}

#[test]
fn the_twin_finds_the_vectors_of_x86_64() {
    for vector in document::vectors("x86-64") {
        let rule = Rule::X86_64 { absolute: vector.absolute };
        assert_eq!(find(&vector, rule), vector.found, "{}", vector.line);
    }
}

#[test]
fn the_twin_finds_the_vectors_of_aarch64() {
    for vector in document::vectors("aarch64") {
        assert_eq!(find(&vector, Rule::Aarch64), vector.found, "{}", vector.line);
    }
}
