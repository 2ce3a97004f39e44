//! Patches forged with the codec's own coder: lies that nobody else can spell, because what is coded bit by bit cannot be
//! changed in one field.

use std::io;

use super::{
    coder::Encoder,
    control::Match,
    line_numbers::{
        LineNumbers, Shift,
        sample::{self, Function},
    },
    list::sample::{self as lists, NEW_SIZE, OLD_SIZE},
    model::{Number, Symbol},
    plan::{self, Plan, Sizes},
    region::{Region, Rule},
};
use crate::{
    ApplyError, Codec, Digest, Fault, Header, Limits, Patch, SectionHeader, SectionKind, old::OldFile,
};

/// A coded section: raw size and bytes.
type Coded = (u64, Vec<u8>);

/// A patch for `old`, with nothing extra and nothing that differs in matches beside references.
struct Forged<'a> {
    old: &'a [u8],
    new_size: u64,
    plan: Coded,
    references: Coded,
}

impl Forged<'_> {
    fn patch(&self, new_digest: Digest) -> Vec<u8> {
        // An empty section reads as the longest gap there is.
        let add = (self.new_size, vec![0]);
        let sections = [
            (SectionKind::Plan, &self.plan),
            (SectionKind::References, &self.references),
            (SectionKind::AddCoded, &add),
        ];
        let sections: Vec<_> = sections.into_iter().filter(|(_, (raw_size, _))| *raw_size > 0).collect();
        let entry = |(kind, (raw_size, bytes)): &(SectionKind, &Coded)| SectionHeader {
            kind: *kind,
            raw_size: *raw_size,
            packed_size: bytes.len() as u64,
        };
        let header = Header {
            version: 1,
            codec: Codec::Reference,
            old_size: self.old.len() as u64,
            new_size: self.new_size,
            old_digest: Digest::of(self.old),
            new_digest,
            window_log: 10,
            sections: sections.iter().map(entry).collect(),
        };
        let mut patch = header.encode();
        sections.iter().for_each(|(_, (_, bytes))| patch.extend(bytes));
        patch
    }

    fn apply(&self, new_digest: Digest) -> Result<(), ApplyError> {
        let patch = Patch::open(self.patch(new_digest), &Limits::default()).unwrap();
        patch.apply(&self.old, &mut io::sink()).map(drop)
    }

    /// The digest of what it makes.
    fn made(&self) -> Digest {
        match self.apply(Digest::of(b"something else")) {
            Err(ApplyError::NewDigest { found, .. }) => found,
            other => panic!("{other:?}"),
        }
    }
}

/// A plan, whatever it says.
fn coded(plan: &Plan) -> Coded {
    let mut coder = Encoder::new();
    // Where the coder finds that it lies it writes no more of it, and nobody reads on there.
    let _ = plan::code(&mut coder, plan, plan.raw_size(), Sizes { old: u64::MAX, new: u64::MAX });
    (plan.raw_size(), coder.finish())
}

#[test]
fn rules_that_this_version_does_not_know_are_refused() {
    for rule in 0..16 {
        let mut coder = Encoder::new();
        let mut number = Number::default();
        // No segments, a region, no matches, no line numbers; the region's gap, length and rule.
        for count in [0, 0, 1, 0, 0, 0] {
            number.code(&mut coder, count);
        }
        for place in [0, 100] {
            Number::default().code(&mut coder, place);
        }
        Symbol::<4, 16>::default().code(&mut coder, rule);
        let plan = (1 + 64, coder.finish());
        let forged = Forged { old: &[7; 100], new_size: 0, plan, references: (0, Vec::new()) };
        let outcome = forged.apply(Digest::of(b"")).map_err(|error| (error.fault(), error.to_string()));
        let refused = outcome.as_ref().is_err_and(|(fault, message)| {
            let expected = "section \"plan\" has a rule that this version does not know";
            *fault == Fault::PatchDamaged && message.starts_with(expected)
        });
        assert_eq!(refused, rule > 10, "{rule}: {outcome:?}");
    }
}

#[test]
fn every_lie_about_line_numbers_is_told_or_makes_another_file() {
    let function = |start_line| Function {
        start_line,
        unit: 1,
        files: vec![(1, 30), (0, 10), (1, 5), (2, 20), (1, 100)],
        lines: vec![(41, 10), (43, 20), (300, 10), (44, 5), (12, 20), (45, 60), (41, 40)],
        inlined: vec![(-1, 30), (0, 10), (-1, 5), (1, 20), (-1, 100)],
        calls: vec![298, 9],
        ..Function::default()
    };
    let mut old = vec![9; 64];
    let places = sample::write(&mut old, &[900, 100, 500, 700], &[40, 41, 400, 7].map(function));
    old.extend([1; 2000]);
    let shift = |file, line, by| Shift { file, line, by };
    let mut lines = places.lines(vec![shift(100, 0, -1), shift(500, 42, 3), shift(500, 1000, 8)]);
    lines.changes = lines.changes(&mut OldFile::new(&old), usize::MAX).unwrap().most as u32;
    let size = old.len() as u64;
    let matches = vec![Match { old_offset: 0, new_offset: 0, len: size }];
    let honest = Plan { matches, lines: Some(lines), ..Plan::default() };
    let forged = |plan: Coded| Forged { old: &old, new_size: size, plan, references: (0, Vec::new()) };
    let new = forged(coded(&honest)).made();
    assert_ne!(new, Digest::of(&old), "lines moved");
    forged(coded(&honest)).apply(new).unwrap();

    let judge = |expected: &[&str], lie: &dyn Fn(&mut LineNumbers)| {
        let mut plan = honest.clone();
        lie(plan.lines.as_mut().unwrap());
        let Err(refused) = forged(coded(&plan)).apply(new) else { panic!("{:?} is taken", plan.lines) };
        let message = refused.to_string();
        assert!(expected.iter().any(|expected| message.contains(expected)), "{message}\n{expected:?}");
        assert_eq!(refused.fault(), Fault::PatchDamaged);
    };
    let outside = ["\"plan\" has tables of line numbers that do not lie in the old file"];
    judge(&outside, &|lines| lines.tables.start = size);
    judge(&outside, &|lines| lines.tables.start = u64::MAX);
    judge(&outside, &|lines| lines.tables.len = size);
    judge(&outside, &|lines| lines.tables.len = u64::MAX);
    judge(&outside, &|lines| lines.tables.list = size - 31);
    judge(&outside, &|lines| lines.tables.list = u64::MAX);
    judge(&outside, &|lines| lines.tables.functions = (size / 8) as u32);
    judge(&outside, &|lines| lines.tables.functions = u32::MAX);
    let long = ["\"plan\" has more tables of line numbers than the new file has bytes"];
    judge(&long, &|lines| lines.tables.functions = (size / 52) as u32 + 1);
    let disordered = ["\"plan\" has moved lines that are not in order"];
    judge(&disordered, &|lines| lines.shifts.swap(0, 1));
    judge(&disordered, &|lines| lines.shifts.swap(1, 2));
    judge(&disordered, &|lines| lines.shifts[1] = lines.shifts[2]);
    let few = ["\"plan\" is for fewer changed line numbers"];
    judge(&few, &|lines| lines.changes -= 1);
    judge(&few, &|lines| lines.changes = 0);
    // What may be, and is not what was meant.
    let other = ["the new file has digest", few[0]];
    judge(&other, &|lines| lines.tables.start += 1);
    judge(&other, &|lines| lines.tables.start = 0);
    judge(&other, &|lines| lines.tables.len /= 2);
    judge(&other, &|lines| lines.tables.len = 0);
    judge(&other, &|lines| lines.tables.list += 8);
    judge(&other, &|lines| lines.tables.functions -= 1);
    judge(&other, &|lines| lines.tables.functions = 0);
    judge(&other, &|lines| lines.tables.files += 4);
    judge(&other, &|lines| lines.tables.files = u64::MAX);
    judge(&other, &|lines| lines.tables.data += 16);
    judge(&other, &|lines| lines.tables.data = u64::MAX);
    judge(&other, &|lines| lines.shifts[0].by = i32::MIN);
    judge(&other, &|lines| lines.shifts[1].line += 3);
    judge(&other, &|lines| lines.shifts[0].file += 1);

    // Counts that the raw size contradicts.
    for wrong in [-16, -8, -1, 1, 8, 16] {
        let (raw_size, bytes) = coded(&honest);
        let plan = (raw_size.checked_add_signed(wrong).unwrap(), bytes);
        let refused = forged(plan).apply(new).unwrap_err();
        let expected = "section \"plan\" has other counts than its raw size says";
        assert!(refused.to_string().starts_with(expected), "{refused}");
    }
}

/// Lists that take all the room there is, each in its own way. `tests/memory.rs` counts what applying them allocates: there,
/// nothing else runs meanwhile.
#[test]
fn lists_that_take_all_room_are_still_the_committed_patches() {
    let mut differing = Vec::new();
    for (name, committed, forged) in [
        ("bitmaps", include_str!("../../tests/forged/bitmaps.hex"), lists::bitmaps()),
        ("starts", include_str!("../../tests/forged/starts.hex"), lists::starts()),
        ("unwinding", include_str!("../../tests/forged/unwinding.hex"), lists::unwinding()),
    ] {
        let (packed, references) = forged;
        let plan = Plan {
            regions: vec![Region { start: 0, len: 1, rule: Rule::Packed(packed) }],
            matches: vec![Match { old_offset: 1, new_offset: 0, len: NEW_SIZE }],
            ..Plan::default()
        };
        let old = vec![0; OLD_SIZE as usize];
        let forged = Forged { old: &old, new_size: NEW_SIZE, plan: coded(&plan), references };
        let hex = |line: &[u8]| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
        let patch: String = forged.patch(forged.made()).chunks(32).map(hex).collect();
        if patch != committed {
            differing.push(format!("{name}.hex:\n{patch}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.concat());
}
