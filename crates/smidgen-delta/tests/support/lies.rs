//! What comes of patches that lie, and what must not: output that was not promised, memory above the limit, a panic.

#![allow(clippy::expect_used, reason = "tests fail by panicking")]

use std::io::{self, Write};

use smidgen_delta::{Digest, Fault, Limits, Patch};

use super::Parts;

/// Keeps what it is given and holds it against a promise.
struct Bounded {
    made: Vec<u8>,
    left: u64,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len() as u64).expect("no more than promised");
        self.made.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What came of a patch, as a message and a fault.
pub(crate) fn outcome(patch: &[u8], old: &[u8], limits: &Limits) -> Result<(), (String, Fault)> {
    let patch = Patch::open(patch, limits).map_err(|error| (error.to_string(), error.fault()))?;
    assert!(patch.header().apply_memory() <= limits.max_memory);
    let mut sink = Bounded { made: Vec::new(), left: patch.header().new_size };
    let inspected = patch.inspect();
    let applied = patch.apply(&old, &mut sink).map_err(|error| (error.to_string(), error.fault()));
    if applied.is_ok() {
        inspected.expect("what can be applied can be inspected");
        assert_eq!(Digest::of(&sink.made), patch.header().new_digest);
    }
    applied.map(drop)
}

/// What the message must contain, the fault, and what is changed in an honest patch.
pub(crate) type Lie = (&'static str, Fault, fn(&mut Parts));

/// Tells each lie by itself, in an honest patch of `old`.
pub(crate) fn judge(honest: &Parts, old: &[u8], lies: &[Lie]) {
    for (index, (expected, fault, lie)) in lies.iter().enumerate() {
        let mut parts = honest.clone();
        lie(&mut parts);
        let (message, found) = outcome(&parts.build(), old, &Limits::default()).unwrap_err();
        assert!(message.contains(expected), "lie {index}: {message}\nexpected: {expected}");
        assert_eq!(found, *fault, "lie {index}: {message}");
    }
}
