//! Two arbitrary files: all codecs make a patch that rebuilds the new one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smidgen_delta::{
    Codec, Limits, Patch,
    diff::{DiffError, DiffOptions, diff},
};

// The first two bytes say where the old file ends and the new one begins.
fuzz_target!(|bytes: &[u8]| {
    let [high, low, files @ ..] = bytes else { return };
    let end = usize::from(u16::from_be_bytes([*high, *low])).min(files.len());
    let (old, new) = files.split_at(end);
    for codec in [Codec::Classic, Codec::Bidiff, Codec::Reference] {
        let patch = match diff(old, new, &DiffOptions::default().with_codec(codec)) {
            Ok(patch) => patch,
            Err(DiffError::Unsuitable) => continue,
            Err(error) => panic!("{error}"),
        };
        let patch = Patch::open(patch, &Limits::default()).expect("our own header");
        let mut rebuilt = Vec::new();
        patch.apply(&old, &mut rebuilt).expect("our own patch");
        assert!(rebuilt == new);
    }
});
