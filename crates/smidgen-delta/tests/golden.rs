//! Small patches, byte by byte: the format must not change unnoticed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use smidgen_delta::{
    Codec, Limits, Patch,
    diff::{DiffOptions, diff},
};
use support::{
    Seeded, from_hex, mixed_pair,
    program::{Container, Machine, Program},
};

mod support;

const OLD: &[u8] = b"a patch is the artefact that turns old into new; diff and apply are the verbs; ";
const NEW: &[u8] = b"A patch is an artefact that turns old into new. diff and apply are the verbs; add 1";

/// A committed patch, and the files that it is between.
struct Golden {
    codec: Codec,
    hex: &'static str,
    old: Vec<u8>,
    new: Vec<u8>,
}

/// An x86-64 instruction of each form that has a reference: opcode, ModRM and SIB, then bytes of displacement or immediate.
const X86_64: [(&[u8], usize); 16] = [
    (&[0xEB], 1),
    (&[0x74], 1),
    (&[0xE3], 1),
    (&[0xE9], 4),
    (&[0x0F, 0x8F], 4),
    (&[0x48, 0x8B, 0x05], 4),
    (&[0x48, 0x8B, 0x44, 0x24], 1),
    (&[0x48, 0x8B, 0x84, 0x24], 4),
    (&[0x48, 0x89, 0x45], 1),
    (&[0x48, 0x89, 0x85], 4),
    (&[0x8B, 0x43], 1),
    (&[0x8B, 0x83], 4),
    (&[0x48, 0x81, 0xEC], 4),
    (&[0xC5, 0xF8, 0x10, 0x46], 1),
    (&[0x66, 0x0F, 0x38, 0x17, 0x05], 4),
    (&[0xB8], 4),
];

/// The same of aarch64: the word, the place of its immediate and how many bits that has.
const AARCH64: [(u32, u32, u32); 14] = [
    (0x1400_0000, 0, 26),
    (0x5400_0000, 5, 19),
    (0xB400_0000, 5, 19),
    (0x3600_0000, 5, 14),
    (0x5800_0000, 5, 19),
    (0x1000_0000, 5, 19),
    (0x9000_0000, 5, 3),
    (0x9100_0000, 10, 12),
    (0x9100_03E0, 10, 12),
    (0xD100_03E0, 10, 12),
    (0xF940_0000, 10, 12),
    (0xF940_03E0, 10, 12),
    (0xA940_0000, 15, 7),
    (0xA940_03E0, 15, 7),
];

/// Twenty bytes of such instructions.
fn instructions(machine: Machine, seeded: &mut Seeded) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < 20 {
        let number = seeded.below(2000) as i32 - 1000;
        match machine {
            Machine::X86_64 => {
                let (opcode, len) = X86_64[seeded.below(X86_64.len())];
                bytes.extend([opcode, &number.to_le_bytes()[..len]].concat());
            }
            Machine::Aarch64 => {
                let (word, shift, bits) = AARCH64[seeded.below(AARCH64.len())];
                let immediate = (number as u32 & ((1 << bits) - 1)) << shift;
                bytes.extend((word | immediate | seeded.below(8) as u32).to_le_bytes());
            }
        }
    }
    bytes.truncate(20);
    bytes
}

/// Two builds of a program that has instructions of all kinds, and some of whose functions changed or moved.
fn builds(machine: Machine) -> (Vec<u8>, Vec<u8>) {
    let mut seeded = Seeded(77);
    // What `Program::read` makes 64 functions of.
    let mut bytes = vec![63];
    for _ in 0..64 {
        let mut function = vec![11];
        for _ in 0..11 {
            let kind = seeded.below(4) as u8;
            function.extend([kind, if kind < 2 { seeded.below(64) as u8 } else { 20 }]);
            if kind >= 2 {
                function.extend(instructions(machine, &mut seeded));
            }
        }
        bytes.extend(function);
    }
    let program = Program::read(&mut bytes.into_iter());
    let mut next = program.clone();
    (0..40).for_each(|_| next.edit(seeded.bytes(4).try_into().unwrap()));
    (program.image(Container::Elf, machine), next.image(Container::Elf, machine))
}

fn all() -> [Golden; 6] {
    let text = || (OLD.to_vec(), NEW.to_vec());
    let golden = |codec, hex, (old, new)| Golden { codec, hex, old, new };
    [
        golden(Codec::Classic, include_str!("golden/classic.hex"), text()),
        golden(Codec::Bidiff, include_str!("golden/bidiff.hex"), text()),
        golden(Codec::Reference, include_str!("golden/reference.hex"), text()),
        golden(Codec::Reference, include_str!("golden/x86-64.hex"), builds(Machine::X86_64)),
        golden(Codec::Reference, include_str!("golden/aarch64.hex"), builds(Machine::Aarch64)),
        golden(Codec::Reference, include_str!("golden/mixed.hex"), mixed_pair()),
    ]
}

fn to_hex(bytes: &[u8]) -> String {
    bytes
        .chunks(32)
        .map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n")
        .collect()
}

#[test]
fn a_committed_patch_still_applies() {
    for (index, Golden { codec, hex, old, new }) in all().into_iter().enumerate() {
        let patch = Patch::open(from_hex(hex), &Limits::default()).unwrap();
        assert_eq!(patch.header().codec, codec);
        let mut made = Vec::new();
        patch.apply(&old, &mut made).unwrap();
        assert!(made == new, "patch {index}, {codec}");
    }
}

/// May change with zstd's or our encoder; then a new file is committed, and the test above keeps the old one.
#[test]
fn the_encoder_still_writes_the_committed_patch() {
    for (index, Golden { codec, hex, old, new }) in all().into_iter().enumerate() {
        let patch = diff(&old, &new, &DiffOptions::default().with_codec(codec)).unwrap();
        assert_eq!(to_hex(&patch), hex, "patch {index}, {codec}");
    }
}

/// Both sweeps of code find what they are there for, and not all of it comes out as foreseen; and there is a patch that has
/// extra bytes coded and packed beside each other.
#[test]
fn committed_patches_have_what_they_are_to_pin() {
    let x86_64 = [
        "call",
        "jump",
        "conditional jump",
        "operand",
        "short jump",
        "short displacement, stack",
        "short displacement, frame",
        "short displacement",
        "displacement, stack",
        "displacement, frame",
        "displacement",
        "field 1 of a record",
        "field 2 of a record",
    ];
    let aarch64 = [
        "pointer",
        "branch",
        "branch with link",
        "conditional branch",
        "branch on bit",
        "literal",
        "address",
        "page",
        "low part, added",
        "low part, accessed",
        "field 1 of a record",
        "field 2 of a record",
    ];
    let [_, _, _, first, second, mixed] = all();
    for (golden, expected) in [(first, &x86_64[..]), (second, &aarch64)] {
        let patch = Patch::open(from_hex(golden.hex), &Limits::default()).unwrap();
        let account = patch.account(&golden.old, &[0]).unwrap().unwrap();
        let classes: Vec<&str> = account.classes.iter().map(|class| class.class).collect();
        assert_eq!(classes, expected);
        let missed: u64 = account.classes.iter().map(|class| class.mispredicted.count).sum();
        assert!(missed > 200, "{missed} moved otherwise than foreseen");
    }
    let patch = Patch::open(from_hex(mixed.hex), &Limits::default()).unwrap();
    let kinds: Vec<u8> = patch.header().sections.iter().map(|section| section.kind.id()).collect();
    assert_eq!(kinds, [10, 16, 17, 18, 19]);
}

/// A seed that is no patch any more starts the fuzzer at nothing. They are made by `smidgen diff` from a file of zeros.
#[test]
fn the_seeds_of_the_fuzzer_apply_to_files_of_zeros() {
    for seed in [
        &include_bytes!("../fuzz/corpus/apply/classic")[..],
        include_bytes!("../fuzz/corpus/apply/bidiff"),
        include_bytes!("../fuzz/corpus/apply/reference"),
        include_bytes!("../fuzz/corpus/apply/parted"),
    ] {
        let patch = Patch::open(seed, &Limits::default()).unwrap();
        let old = vec![0; usize::try_from(patch.header().old_size).unwrap()];
        patch.apply(&old, &mut Vec::new()).unwrap();
    }
}
