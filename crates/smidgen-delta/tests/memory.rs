//! What applying allocates, counted, is never more than the patch declares: whether the patch is honest or not.
//!
//! One test, because all of a program's tests share one allocator. What zstd allocates is not counted here, and declared
//! from its own figures (`section.rs` holds these against it).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::io;

use peak_alloc::PeakAlloc;
use smidgen_delta::{
    Codec, Limits, Patch,
    diff::{DiffOptions, diff},
};
use support::{
    Parts, Seeded, from_hex,
    program::{self, KINDS, Program},
};

mod support;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Applies a patch, of whatever kind, and holds what was allocated meanwhile against what the header says.
fn judge(what: &str, patch: &[u8], old: &[u8]) -> bool {
    let Ok(opened) = Patch::open(patch, &Limits::default()) else {
        return false;
    };
    let declared = opened.header().apply_memory();
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let applied = opened.apply(&old, &mut io::sink()).is_ok();
    let allocated = (ALLOCATOR.peak_usage() - before) as u64;
    assert!(allocated <= declared, "{what}: {allocated} bytes were allocated, {declared} are declared");
    applied
}

#[test]
fn applying_allocates_no_more_than_the_header_declares_whatever_the_patch_holds() {
    let mut seeded = Seeded(5);
    let mut pairs = Vec::new();
    for (container, machine) in KINDS {
        let (old, new) = (Program::seeded(900, None), Program::seeded(900, Some(300)));
        pairs.push((old.image(container, machine), new.image(container, machine)));
    }
    // More than a little of it new, and no code.
    let mut grown = program::of(3000, Some(200));
    grown.extend(seeded.bytes(20_000));
    pairs.push((program::of(3000, None), grown));
    // Much of it new; an old file that is held whole, and one that is not; nothing old.
    pairs.push((program::of(60, None), program::of(900, Some(70))));
    let noise = seeded.bytes(3 << 20);
    let shuffled: Vec<u8> = (0..400)
        .flat_map(|_| {
            let at = seeded.below(noise.len() - 4000);
            noise[at..at + 100 + seeded.below(3000)].to_vec()
        })
        .collect();
    pairs
        .push((noise[..900_000].to_vec(), [&noise[..500_000], &shuffled, &noise[300_000..900_000]].concat()));
    pairs.push((noise, shuffled));
    pairs.push((Vec::new(), seeded.program(50_000)));

    for (index, (old, new)) in pairs.iter().enumerate() {
        for codec in [Codec::Classic, Codec::Bidiff, Codec::Reference] {
            let patch = diff(old, new, &DiffOptions::default().with_codec(codec)).unwrap();
            let what = format!("pair {index}, {codec}");
            assert!(judge(&what, &patch, old), "{what} applies");
            // A range coder takes any bits for something; frames of zstd would only be refused.
            let honest = Parts::parse(&patch);
            for lie in 0..if codec == Codec::Reference { 60 } else { 0 } {
                let mut parts = honest.clone();
                for _ in 0..1 + seeded.below(3) {
                    let section = seeded.below(parts.sections.len());
                    let bytes = &mut parts.sections[section].2;
                    let at = seeded.below(bytes.len());
                    bytes[at] = bytes[at].wrapping_add(1 + seeded.below(255) as u8);
                }
                judge(&format!("{what}, lie {lie}"), &parts.build(), old);
            }
        }
    }

    // Lists that take all the room there is: tables that outgrow it do not fit beside what else is declared
    // (`src/reference/forged.rs` makes them).
    for (what, hex) in [
        ("bitmaps", include_str!("forged/bitmaps.hex")),
        ("starts", include_str!("forged/starts.hex")),
        ("unwinding", include_str!("forged/unwinding.hex")),
    ] {
        let old = vec![0; 16 << 20];
        assert!(judge(what, &from_hex(hex), &old), "{what} applies");
    }
}
