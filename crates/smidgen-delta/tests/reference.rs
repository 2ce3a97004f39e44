//! The reference-aware codec from outside: programs that move, files that lie, patches that lie.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use proptest::prelude::*;
use smidgen_delta::{
    ApplyError, Codec, Limits, Patch, SectionKind,
    diff::{DiffOptions, diff},
};

/// Numbers that look random.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }
}

const BASE: u64 = 0x40_0000;
const CODE: usize = 0x1000;

/// A small x86-64 program: functions that call each other and read data, then pointers to all functions. Function
/// `longer`, if there is one, has grown, so that everything behind it lies further back.
fn program(functions: usize, longer: Option<usize>) -> Vec<u8> {
    let mut seed = Seeded(42);
    let mut bodies = Vec::new();
    for index in 0..functions {
        let mut parts = Vec::new();
        for _ in 0..4 + seed.below(8) {
            let call = seed.below(3) == 0;
            let filler: Vec<u8> = (0..3 + seed.below(20)).map(|_| 0x50 + seed.byte() % 16).collect();
            parts.push((filler, call, seed.below(functions)));
        }
        if longer == Some(index) {
            let mut own = Seeded(7);
            parts.push(((0..300).map(|_| own.byte()).collect(), true, 0));
        }
        bodies.push(parts);
    }
    let mut starts = Vec::new();
    let mut at = CODE;
    for body in &bodies {
        starts.push(at);
        at += body.iter().map(|(filler, ..)| filler.len() + 7).sum::<usize>() + 1;
    }
    let data = at.next_multiple_of(16);
    let mut file = vec![0; CODE];
    for body in &bodies {
        for (filler, call, callee) in body {
            file.extend(filler);
            let (opcode, target): (&[u8], usize) = if *call {
                (&[0x66, 0x90, 0xE8], starts[*callee])
            } else {
                (&[0x48, 0x8D, 0x3D], data + 8 * callee)
            };
            file.extend(opcode);
            file.extend((target as i32 - (file.len() as i32 + 4)).to_le_bytes());
        }
        file.push(0xC3);
    }
    file.resize(data, 0);
    for start in &starts {
        file.extend((BASE + *start as u64).to_le_bytes());
    }
    // Header, one segment for all, three sections: none, code, pointers; their names.
    let names = file.len();
    file.extend(b"\0.text\0.data\0");
    file.resize(file.len().next_multiple_of(8), 0);
    let sections = file.len();
    let put = |file: &mut Vec<u8>, at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(&mut file, 0, b"\x7fELF\x02\x01\x01");
    put(&mut file, 16, &[3, 0, 62, 0]);
    put(&mut file, 32, &64_u64.to_le_bytes());
    put(&mut file, 40, &(sections as u64).to_le_bytes());
    put(&mut file, 54, &[56, 0, 1, 0, 64, 0, 4, 0, 3, 0]);
    put(&mut file, 64, &[1, 0, 0, 0, 7, 0, 0, 0]);
    for (index, word) in [0, BASE, BASE, sections as u64, sections as u64].into_iter().enumerate() {
        put(&mut file, 72 + 8 * index, &word.to_le_bytes());
    }
    let mut section = |name: u32, kind: u32, flags: u64, start: usize, end: usize| {
        file.extend(name.to_le_bytes());
        file.extend(kind.to_le_bytes());
        for word in [flags, BASE + start as u64, start as u64, (end - start) as u64, 0, 0, 0] {
            file.extend(word.to_le_bytes());
        }
    };
    section(0, 0, 0, 0, 0);
    section(1, 1, 6, CODE, data);
    section(7, 1, 3, data, names);
    section(0, 3, 0, names, names + 13);
    file
}

/// A program, the same one grown, and new bytes behind it: a patch between them has all sections.
fn pair(functions: usize) -> (Vec<u8>, Vec<u8>) {
    let (old, mut new) = (program(functions, None), program(functions, Some(functions / 3)));
    let mut seed = Seeded(9);
    new.extend((0..500).map(|_| seed.byte()));
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
    let (old, new) = (program(1500, None), program(1500, Some(700)));
    let patch = reference_patch(&old, &new);
    assert!(apply(&patch, &old).unwrap() == new);
    let classic = diff(&old, &new, &DiffOptions::default().with_codec(Codec::Classic)).unwrap();
    assert!(patch.len() < 1200 && patch.len() * 10 < classic.len(), "{} and {}", patch.len(), classic.len());
    let smallest = diff(&old, &new, &DiffOptions::default()).unwrap();
    assert_eq!(smallest, patch);
}

#[test]
fn degenerate_pairs_round_trip() {
    let program = program(50, None);
    let noise: Vec<u8> = {
        let mut seed = Seeded(1);
        (0..3000).map(|_| seed.byte()).collect()
    };
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
    let (old, new) = (program(300, None), program(300, Some(7)));
    let options = DiffOptions::default().with_codec(Codec::Reference);
    let once = diff(&old, &new, &options).unwrap();
    let threads = std::num::NonZeroUsize::new(4).unwrap();
    assert_eq!(diff(&old, &new, &options.with_threads(threads)).unwrap(), once);
}

#[test]
fn apply_allocates_what_the_header_says_and_limits_hold() {
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
        let (mut old, mut new) = (program(60, None), program(60, Some(20)));
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
        // How many bytes differ is not counted; that the matches' length is right follows from the plan.
        if section.kind != SectionKind::AddCoded {
            prop_assert!(!matches!(outcome, Ok(Ok(_))), "{section:?} as {raw}");
        }
    }
}
