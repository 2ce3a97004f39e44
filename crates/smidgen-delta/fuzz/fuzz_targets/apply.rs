//! Arbitrary bytes as a patch: refused or applied, never a panic, never more output than promised.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smidgen_delta::{Fault, Limits, Patch};

/// Small, so that the fuzzer does not spend its time on memory.
fn limits() -> Limits {
    Limits { max_new_size: 1 << 20, max_memory: 16 << 20, ..Limits::default() }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(patch) = Patch::open(bytes, &limits()) else { return };
    if let Err(error) = patch.inspect() {
        assert_ne!(error.fault(), Fault::Bug, "{error}");
    }
    // The seeds are patches for files of zeros, whose digest a mutation seldom hits.
    let old = vec![0; usize::try_from(patch.header().old_size.min(1 << 20)).unwrap_or(0)];
    let mut new = Vec::new();
    if let Err(error) = patch.apply(&old, &mut new) {
        assert_ne!(error.fault(), Fault::Bug, "{error}");
    }
    assert!(new.len() as u64 <= patch.header().new_size);
});
