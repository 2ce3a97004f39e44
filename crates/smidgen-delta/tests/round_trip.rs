//! Patches made and applied again, by the decoder, by its slow twin, and by bipatch.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use std::num::NonZeroUsize;

use proptest::prelude::*;
use smidgen_delta::{
    Codec, Digest, Fault, Limits, Patch,
    diff::{CodecChoice, DiffOptions, diff},
};
use support::{Parts, Seeded, program};

mod support;

fn options(codec: Codec) -> DiffOptions {
    DiffOptions::default().with_codec(codec)
}

fn apply(patch: &[u8], old: &[u8]) -> Vec<u8> {
    let patch = Patch::open(patch, &Limits::default()).unwrap();
    let mut new = Vec::new();
    let applied = patch.apply(&old, &mut new).unwrap();
    assert_eq!(applied.new_digest, Digest::of(&new));
    assert_eq!(applied.new_size, new.len() as u64);
    new
}

/// Both codecs, three decoders.
fn judge(old: &[u8], new: &[u8]) {
    let classic = diff(old, new, &options(Codec::Classic)).unwrap();
    assert!(apply(&classic, old) == new, "classic");
    assert!(Parts::parse(&classic).apply(old) == new, "the classic codec's twin");
    let interleaved = diff(old, new, &options(Codec::Bidiff)).unwrap();
    assert!(apply(&interleaved, old) == new, "bipatch inside our bounds");

    let stream = Parts::parse(&interleaved).raw(0);
    if !new.is_empty() {
        let mut reader = bipatch::Reader::new(&stream[..], std::io::Cursor::new(old)).unwrap();
        let mut rebuilt = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut rebuilt).unwrap();
        assert!(rebuilt == new, "bipatch on its own");
    }
    let counted = |patch: &[u8]| Patch::open(patch, &Limits::default()).unwrap().inspect().unwrap();
    let (classic, interleaved) = (counted(&classic), counted(&interleaved));
    assert_eq!(classic, interleaved, "the codecs hold the same steps");
    assert_eq!(classic.add_zero + classic.add_non_zero + classic.extra, new.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_decoder_rebuilds_edited_programs(seed: u64, len in 1_usize..20_000, edits in 0_usize..40) {
        let mut seeded = Seeded(seed);
        let old = seeded.program(len);
        let new = seeded.edited(&old, edits);
        judge(&old, &new);
    }

    #[test]
    fn every_decoder_rebuilds_small_and_odd_files(
        old in prop::collection::vec(0_u8..3, 0..80),
        new in prop::collection::vec(0_u8..3, 0..80),
    ) {
        judge(&old, &new);
    }
}

/// The patches that 1, 2, 3 and 16 threads make are one.
fn judge_threads(old: &[u8], new: &[u8], codec: CodecChoice) {
    let with_threads = |threads| {
        let mut options = DiffOptions::default().with_threads(NonZeroUsize::new(threads).unwrap());
        options.codec = codec;
        diff(old, new, &options).unwrap()
    };
    let patch = with_threads(1);
    for threads in [2, 3, 16] {
        assert!(with_threads(threads) == patch, "{codec:?} with {threads} threads");
    }
}

#[test]
fn a_diff_does_not_depend_on_threads() {
    let mut seeded = Seeded(5);
    let old = seeded.program(60_000);
    let new = seeded.edited(&old, 100);
    let codecs = [Codec::Classic, Codec::Bidiff, Codec::Reference];
    for codec in codecs.map(CodecChoice::Only).into_iter().chain([CodecChoice::Smallest]) {
        judge_threads(&old, &new, codec);
    }
}

/// References, candidates and matches are found in pieces of the files, most of them of a mebibyte, each by whichever thread
/// is free.
#[test]
fn a_diff_of_programs_in_several_pieces_does_not_depend_on_threads() {
    let (old, mut new) = (program::of(17_000, None), program::of(17_000, Some(5000)));
    assert!(old.len() > 3 << 20);
    let mut seeded = Seeded(12);
    for _ in 0..400 {
        let at = program::CODE + seeded.below(2 << 20);
        new[at..at + 12].copy_from_slice(&seeded.bytes(12));
    }
    judge_threads(&old, &new, CodecChoice::Only(Codec::Reference));
}

#[test]
fn the_smallest_patch_is_no_larger_than_any() {
    let mut seeded = Seeded(6);
    let old = seeded.program(50_000);
    let mut new = seeded.edited(&old, 20);
    for _ in 0..3 {
        let smallest = diff(&old, &new, &DiffOptions::default()).unwrap();
        for codec in [Codec::Classic, Codec::Bidiff, Codec::Reference] {
            assert!(smallest.len() <= diff(&old, &new, &options(codec)).unwrap().len(), "{codec}");
        }
        new = seeded.edited(&new, 200);
    }
}

/// Once a full classic patch was not even made where one packed quickly was twice as large, and lists of numbers shrink more
/// than that at full strength.
#[test]
fn text_is_no_larger_than_classic_where_packing_it_quickly_promises_little() {
    let mut seeded = Seeded(8);
    let words = ["patch", "build", "of", "the", "old", "file", "that", "moves", "\n"];
    let old: Vec<u8> =
        (0..50_000).flat_map(|_| [words[seeded.below(words.len())].as_bytes(), b" "].concat()).collect();
    let lines = (0..90_000).flat_map(|index| format!("{index},{}\n", index % 97 * 13).into_bytes());
    let new: Vec<u8> = old.iter().copied().chain(lines).collect();
    let [smallest, classic] = [DiffOptions::default(), options(Codec::Classic)]
        .map(|options| diff(&old, &new, &options).unwrap().len());
    assert!(new.len() > 1 << 20 && smallest <= classic, "{} bytes: {smallest}, {classic}", new.len());
}

/// A small ELF header followed by something like code.
fn executable(seeded: &mut Seeded, len: usize) -> Vec<u8> {
    [b"\x7FELF\x02\x01\x01".to_vec(), vec![0; 57], seeded.program(len)].concat()
}

#[test]
fn degenerate_pairs_neither_panic_nor_stall() {
    const MIB: usize = 1 << 20;
    let mut seeded = Seeded(7);
    let ticks = |distance: usize| -> Vec<u8> {
        (0..MIB).map(|index| u8::from(index % distance == distance - 1)).collect()
    };
    let program = executable(&mut seeded, 80_000);
    let block = seeded.bytes(50_000);
    let blocks: Vec<u8> = block.iter().copied().cycle().take(MIB / 2).collect();
    let mut shifted_blocks = blocks[777..].to_vec();
    shifted_blocks.iter_mut().step_by(60_001).for_each(|byte| *byte ^= 1);
    let cases: [(&str, Vec<u8>, Vec<u8>); 15] = [
        ("both empty", vec![], vec![]),
        ("empty old", vec![], program.clone()),
        ("empty new", program.clone(), vec![]),
        ("one byte", vec![1], vec![2]),
        ("equal", program.clone(), program.clone()),
        ("unrelated", seeded.bytes(60_000), seeded.bytes(60_000)),
        ("one byte repeated", vec![7; MIB / 4], vec![7; MIB / 4 + 1]),
        ("another byte repeated", vec![7; MIB / 4], vec![8; MIB / 4]),
        ("every 20,000th and 20,001st", ticks(20_000), ticks(20_001)),
        ("every 199th and 200th", ticks(199), ticks(200)),
        ("long blocks repeated", blocks, shifted_blocks),
        ("truncated", program.clone(), program[..program.len() / 3].to_vec()),
        ("truncated old", program[..program.len() / 3].to_vec(), program.clone()),
        ("header only", program[..64].to_vec(), program.clone()),
        ("prefix lost", program.clone(), program[1..].to_vec()),
    ];
    for (name, old, new) in cases {
        for codec in [Codec::Classic, Codec::Bidiff] {
            let patch = diff(&old, &new, &options(codec)).unwrap();
            assert!(apply(&patch, &old) == new, "{name}, {codec}");
        }
        let patch = diff(&old, &new, &DiffOptions::default()).unwrap();
        assert!(apply(&patch, &old) == new, "{name}");
        if name != "unrelated" && !old.is_empty() && name != "header only" {
            assert!(patch.len() < 200 + new.len() / 2, "{name}: {} bytes", patch.len());
        }
    }
}

/// Longer than all buffers: parts that stay where they are, parts that moved by a little and by much, and single bytes.
#[test]
fn every_decoder_rebuilds_large_files_however_a_patch_jumps_about() {
    let mut seeded = Seeded(8);
    let old = seeded.program(3 << 20);
    let mut tail = old[1 << 20..].to_vec();
    for _ in 0..30 {
        let (from, len) = (seeded.below(tail.len() - 70_000), 1 + seeded.below(70_000));
        let piece: Vec<u8> = tail.drain(from..from + len).collect();
        let to = seeded.below(tail.len());
        drop(tail.splice(to..to, piece));
    }
    let new = [&old[..700_000], &seeded.edited(&old[700_000..1 << 20], 50), &tail].concat();
    judge(&old, &new);
}

#[test]
fn an_old_file_of_two_gibibytes_is_refused_with_the_way_out() {
    // Zeros that nobody reads take no memory.
    let old = vec![0; 1 << 31];
    for codec in [CodecChoice::Smallest, CodecChoice::Only(Codec::Classic), CodecChoice::Only(Codec::Bidiff)]
    {
        let error = diff(&old, b"new", &DiffOptions { codec, ..DiffOptions::default() }).unwrap_err();
        assert_eq!(error.fault(), Fault::LimitExceeded);
        assert!(error.to_string().contains("use the full copy"), "{error}");
    }
}
