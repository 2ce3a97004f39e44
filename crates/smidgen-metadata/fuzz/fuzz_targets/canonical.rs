#![no_main]
//! Any bytes: what the strict parser takes, a lenient one takes alike, and it comes back from its stored form.

use libfuzzer_sys::fuzz_target;
use smidgen_metadata::canonical::{ParseLimits, parse};

fuzz_target!(|bytes: &[u8]| {
    let limits = ParseLimits { max_len: 1 << 16, ..ParseLimits::default() };
    let Ok(value) = parse(bytes, &limits) else { return };
    if bytes.windows(20).any(|window| window == b"$serde_json::private") {
        // serde_json reads this spelling of a number in its own way.
        return;
    }
    let twin: serde_json::Value =
        serde_json::from_slice(bytes).expect("a lenient parser takes what a strict one does");
    assert_eq!(serde_json::to_value(&value).expect("a value without floats"), twin);
    let stored = value.to_json();
    let read = parse(&stored, &ParseLimits::default()).expect("what was written can be read");
    assert_eq!(read, value);
    assert_eq!(read.to_canonical(), value.to_canonical());
});
