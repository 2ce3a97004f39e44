//! Two arbitrary files: both codecs make a patch that rebuilds the new one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smidgen_delta::{
    Codec, Limits, Patch,
    diff::{DiffOptions, diff},
};

// The first two bytes say where the old file ends and the new one begins.
fuzz_target!(|bytes: &[u8]| {
    let [high, low, files @ ..] = bytes else { return };
    let end = usize::from(u16::from_be_bytes([*high, *low])).min(files.len());
    let (old, new) = files.split_at(end);
    for codec in [Codec::Classic, Codec::Bidiff] {
        let patch = diff(old, new, &DiffOptions::default().with_codec(codec)).expect("a patch");
        let patch = Patch::open(patch, &Limits::default()).expect("our own header");
        let mut rebuilt = Vec::new();
        patch.apply(&old, &mut rebuilt).expect("our own patch");
        assert!(rebuilt == new);
    }
});
