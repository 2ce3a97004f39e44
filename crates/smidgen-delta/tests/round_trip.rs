//! Patches made and applied again.

use smidgen_delta::{
    Codec, Limits, Patch,
    diff::{DiffOptions, diff},
};

#[test]
fn both_codecs_rebuild_the_new_file() {
    let old: Vec<u8> = (0..100_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    let mut new = old.clone();
    new.splice(5000..5100, [7; 333]);
    new[300_000] ^= 5;
    for codec in [Codec::Classic, Codec::Bidiff] {
        let bytes = diff(&old, &new, &DiffOptions::default().with_codec(codec)).unwrap();
        let patch = Patch::open(bytes, &Limits::default()).unwrap();
        let mut rebuilt = Vec::new();
        patch.apply(&old, &mut rebuilt).unwrap();
        assert!(rebuilt == new, "{codec}");
        assert_eq!(patch.inspect().unwrap().extra, 333);
    }
}
