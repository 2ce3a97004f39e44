//! The reference-aware codec from outside: programs that move, files that lie, patches that lie.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use smidgen_delta::{
    ApplyError, Codec, Limits, Patch,
    diff::{DiffOptions, diff},
};
use support::{
    Seeded,
    program::{self, CODE, KINDS, Program},
};

mod support;

/// A program, the same one grown, and new bytes behind it: a patch between them has all sections.
fn pair(functions: usize) -> (Vec<u8>, Vec<u8>) {
    let (old, mut new) = (program::of(functions, None), program::of(functions, Some(functions / 3)));
    let mut seed = Seeded(9);
    new.extend(seed.bytes(500));
    (old, new)
}

fn reference_patch(old: &[u8], new: &[u8]) -> Vec<u8> {
    diff(old, new, &DiffOptions::default().with_codec(Codec::Reference)).unwrap()
}

fn apply(patch: &[u8], old: &[u8]) -> Result<Vec<u8>, ApplyError> {
    let mut new = Vec::new();
    Patch::open(patch, &Limits::default()).expect("header").apply(&old, &mut new).map(|_| new)
}

#[test]
fn a_program_that_moved_costs_next_to_nothing() {
    let (old, new) = (program::of(1500, None), program::of(1500, Some(700)));
    let patch = reference_patch(&old, &new);
    assert!(apply(&patch, &old).unwrap() == new);
    let classic = diff(&old, &new, &DiffOptions::default().with_codec(Codec::Classic)).unwrap();
    assert!(patch.len() < 1200 && patch.len() * 10 < classic.len(), "{} and {}", patch.len(), classic.len());
    let smallest = diff(&old, &new, &DiffOptions::default()).unwrap();
    assert_eq!(smallest, patch);
}

/// In every container and on every machine, calls, addresses and tables follow what moved.
#[test]
fn programs_of_every_kind_cost_next_to_nothing_when_they_move() {
    let (old, new) = (Program::seeded(1000, None), Program::seeded(1000, Some(400)));
    for (container, machine) in KINDS {
        let (old, new) = (old.image(container, machine), new.image(container, machine));
        let patch = reference_patch(&old, &new);
        assert!(apply(&patch, &old).unwrap() == new);
        let classic = diff(&old, &new, &DiffOptions::default().with_codec(Codec::Classic)).unwrap();
        let sizes = format!("{container:?} {machine:?}: {} and {}", patch.len(), classic.len());
        assert!(patch.len() < 1500 && patch.len() * 8 < classic.len(), "{sizes}");
    }
}

/// Functions that change places shuffle the tables that are sorted by address.
#[test]
fn programs_of_every_kind_round_trip_through_every_edit() {
    let mut seed = Seeded(3);
    for (container, machine) in KINDS {
        for _ in 0..12 {
            let old = Program::read(&mut seed.bytes(3000).into_iter());
            let mut new = old.clone();
            for _ in 0..seed.below(20) {
                new.edit(seed.bytes(4).try_into().unwrap());
            }
            let (old, new) = (old.image(container, machine), new.image(container, machine));
            let patch = reference_patch(&old, &new);
            assert!(apply(&patch, &old).unwrap() == new, "{container:?} {machine:?}");
        }
    }
}

#[test]
fn degenerate_pairs_round_trip() {
    let program = program::of(50, None);
    let noise = Seeded(1).bytes(3000);
    let files: [&[u8]; 9] = [
        b"",
        b"x",
        &[0; 5000],
        &noise,
        &program,
        &program[..CODE],
        &program[..100],
        &program[..program.len() - 10],
        b"\x7fELF\x02\x01",
    ];
    for old in files {
        for new in files {
            let patch = reference_patch(old, new);
            assert!(apply(&patch, old).unwrap() == new, "{} -> {}", old.len(), new.len());
        }
    }
}

#[test]
fn the_same_files_make_the_same_patch_with_any_number_of_threads() {
    let (old, new) = (program::of(300, None), program::of(300, Some(7)));
    let options = DiffOptions::default().with_codec(Codec::Reference);
    let once = diff(&old, &new, &options).unwrap();
    let threads = std::num::NonZeroUsize::new(4).unwrap();
    assert_eq!(diff(&old, &new, &options.with_threads(threads)).unwrap(), once);
}

#[test]
fn a_patch_that_declares_more_memory_than_the_limit_is_refused() {
    let (old, new) = pair(300);
    let patch = reference_patch(&old, &new);
    let opened = Patch::open(&patch[..], &Limits::default()).unwrap();
    let memory = opened.header().apply_memory();
    assert!(memory < 24 << 20, "{memory}");
    let limits = Limits { max_memory: memory - 1, ..Limits::default() };
    assert!(Patch::open(&patch[..], &limits).is_err());
    let sections = &opened.header().sections;
    assert_eq!(sections.len(), 4, "{sections:?}");
    assert_eq!(opened.inspect().unwrap().extra, sections[3].raw_size);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Headers, sections and code may say anything: it costs bytes, nothing else.
    #[test]
    fn files_that_lie_round_trip(
        lies in prop::collection::vec((0_usize..4096, any::<u8>()), 0..60),
        tail in prop::collection::vec((0_usize..400, any::<u8>()), 0..20),
        both in any::<bool>(),
    ) {
        let (mut old, mut new) = (program::of(60, None), program::of(60, Some(20)));
        for (at, byte) in lies {
            old[at % 200] = byte;
            if both { new[at % 200] = byte; }
        }
        for (at, byte) in tail {
            let end = new.len();
            new[end - 1 - at] = byte;
        }
        let patch = reference_patch(&old, &new);
        prop_assert!(apply(&patch, &old).unwrap() == new);
    }

    /// Whatever stands in the sections, the outcome is the new file or an error.
    #[test]
    fn patches_that_lie_are_refused(lies in prop::collection::vec((any::<u32>(), 1_u8..), 1..8)) {
        let (old, new) = pair(60);
        let mut patch = reference_patch(&old, &new);
        let header = Patch::open(&patch[..], &Limits::default()).unwrap().header().encoded_len();
        let body = patch.len() - header;
        for (at, change) in lies {
            patch[header + at as usize % body] ^= change;
        }
        if let Ok(made) = apply(&patch, &old) {
            prop_assert!(made == new);
        }
    }

    /// The same for the numbers of the section table.
    #[test]
    fn tables_that_lie_are_refused(entry in 0_usize..4, raw in any::<u16>()) {
        let (old, new) = pair(60);
        let patch = reference_patch(&old, &new);
        let opened = Patch::open(&patch[..], &Limits::default()).unwrap();
        let header = opened.header();
        let section = header.sections[entry];
        prop_assume!(section.raw_size != u64::from(raw) && raw > 0);
        // The entries end the header: kind, raw size, packed size.
        let spelled = |mut number: u64| {
            let mut bytes = Vec::new();
            while number >= 0x80 { bytes.push(number as u8 | 0x80); number >>= 7; }
            bytes.push(number as u8);
            bytes
        };
        let table = |changed: Option<u64>| -> Vec<u8> {
            header.sections.iter().enumerate().flat_map(|(index, section)| {
                let raw = changed.filter(|_| index == entry).unwrap_or(section.raw_size);
                [vec![section.kind.id()], spelled(raw), spelled(section.packed_size)].concat()
            }).collect()
        };
        let len = header.encoded_len();
        let start = len - table(None).len();
        let lying = [&patch[..start], &table(Some(raw.into())), &patch[len..]].concat();
        let mut made = Vec::new();
        let outcome = Patch::open(&lying[..], &Limits::default()).map(|patch| patch.apply(&old, &mut made));
        prop_assert!(!matches!(outcome, Ok(Ok(_))), "{section:?} as {raw}");
    }
}
