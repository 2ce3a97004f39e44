//! Full copies: packed, expanded, and held to what they promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use smidgen_delta::{
    Digest, Fault, Limits,
    full::{Expected, FullError, FullOptions, compress, expand, expand_memory},
};
use support::Seeded;

mod support;

fn expected(new: &[u8]) -> Expected {
    Expected { size: new.len() as u64, digest: Digest::of(new) }
}

fn expanded(packed: &[u8], expected: Expected) -> Result<Vec<u8>, FullError> {
    let mut new = Vec::new();
    let result = expand(packed, &mut new, expected, &Limits::default());
    assert!(new.len() as u64 <= expected.size, "never more than promised");
    result.map(|_| new)
}

#[test]
fn full_copies_of_all_sizes_expand() {
    let mut seeded = Seeded(21);
    for size in [0, 1, 255, 256, 257, 65_791, 65_792, 700_000] {
        let new = seeded.program(size);
        let packed = compress(&new, &FullOptions { level: 3, ..FullOptions::default() }).unwrap();
        assert!(expanded(&packed, expected(&new)).unwrap() == new, "{size}");
    }
}

#[test]
fn the_window_never_exceeds_the_option_and_memory_is_foretold() {
    let new = Seeded(22).program(3_000_000);
    let with_window = |window_log| {
        let options = FullOptions { window_log, level: 3 };
        expand_memory(&compress(&new, &options).unwrap()).unwrap()
    };
    let (small, large) = (with_window(16), with_window(24));
    assert!(small < 1 << 20 && large > 3_000_000 && large < 5 << 20, "{small} {large}");
    assert!(expand_memory(b"not zstd").is_err());
}

#[test]
fn damaged_full_copies_are_refused() {
    let new = Seeded(23).program(300_000);
    let packed = compress(&new, &FullOptions { level: 3, ..FullOptions::default() }).unwrap();
    let right = expected(&new);
    for len in (0..packed.len()).step_by(997).chain(0..40) {
        let error = expanded(&packed[..len], right).unwrap_err();
        assert_eq!(error.fault(), Fault::PatchDamaged, "{len}: {error}");
    }
    let longer = [&packed[..], &[0]].concat();
    assert!(expanded(&longer, right).unwrap_err().to_string().contains("followed by other bytes"));
    let twice = [&packed[..], &packed[..]].concat();
    assert!(expanded(&twice, right).unwrap_err().to_string().contains("followed by other bytes"));
    for (size, digest) in [(right.size - 1, right.digest), (right.size + 1, right.digest)] {
        let error = expanded(&packed, Expected { size, digest }).unwrap_err();
        assert!(matches!(error, FullError::PromisedSize { .. }), "{error}");
    }
    let error = expanded(&packed, Expected { size: right.size, digest: Digest::of(b"") }).unwrap_err();
    assert_eq!(error.fault(), Fault::PatchDamaged);
    for place in (0..packed.len()).step_by(311) {
        let mut flipped = packed.clone();
        flipped[place] ^= 0x10;
        if let Ok(same) = expanded(&flipped, right) {
            assert!(same == new);
        }
    }
}

#[test]
fn limits_are_held_before_anything_is_unpacked() {
    let new = vec![0; 5 << 20];
    let packed = compress(&new, &FullOptions { level: 3, ..FullOptions::default() }).unwrap();
    for limits in [
        Limits { max_new_size: 100, ..Limits::default() },
        Limits { max_memory: 1 << 20, ..Limits::default() },
        Limits { max_window_log: 20, ..Limits::default() },
    ] {
        let error = expand(&packed[..], &mut Vec::new(), expected(&new), &limits).unwrap_err();
        assert_eq!(error.fault(), Fault::LimitExceeded, "{error}");
    }
}
