//! One small patch, byte by byte: the format must not change unnoticed.
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

const OLD: &[u8] = b"a patch is the artefact that turns old into new; diff and apply are the verbs; ";
const NEW: &[u8] = b"A patch is an artefact that turns old into new. diff and apply are the verbs; add 1";

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes
        .chunks(32)
        .map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n")
        .collect()
}

#[test]
fn a_committed_patch_still_applies() {
    for (codec, hex) in [
        (Codec::Classic, include_str!("golden/classic.hex")),
        (Codec::Bidiff, include_str!("golden/bidiff.hex")),
        (Codec::Reference, include_str!("golden/reference.hex")),
    ] {
        let patch = Patch::open(from_hex(hex), &Limits::default()).unwrap();
        assert_eq!(patch.header().codec, codec);
        let mut new = Vec::new();
        patch.apply(&OLD, &mut new).unwrap();
        assert_eq!(new, NEW, "{codec}");
    }
}

/// May change with zstd's or our encoder; then a new file is committed, and the test above keeps the old one.
#[test]
fn the_encoder_still_writes_the_committed_patch() {
    for (codec, hex) in [
        (Codec::Classic, include_str!("golden/classic.hex")),
        (Codec::Bidiff, include_str!("golden/bidiff.hex")),
        (Codec::Reference, include_str!("golden/reference.hex")),
    ] {
        let patch = diff(OLD, NEW, &DiffOptions::default().with_codec(codec)).unwrap();
        assert_eq!(to_hex(&patch), to_hex(&from_hex(hex)), "{codec}");
    }
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
