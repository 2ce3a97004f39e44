//! A figure of ours beside what it is held against.

use crate::document::{in_mib, with_commas};

/// Whether it holds, and both sides with their unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) holds: bool,
    /// What was measured.
    pub(crate) found: String,
    /// What is allowed, or aimed at.
    pub(crate) allowed: String,
}

impl Comparison {
    pub(crate) fn bytes(found: u64, allowed: u64) -> Self {
        Self { holds: found <= allowed, found: with_commas(found), allowed: with_commas(allowed) }
    }

    pub(crate) fn seconds(found: f64, allowed: f64) -> Self {
        let words = |seconds: f64| format!("{seconds:.2} s");
        Self { holds: found <= allowed, found: words(found), allowed: words(allowed) }
    }

    pub(crate) fn milliseconds(found: f64, allowed: f64) -> Self {
        let words = |seconds: f64| format!("{:.1} ms", seconds * 1e3);
        Self { holds: found <= allowed, found: words(found), allowed: words(allowed) }
    }

    /// Of memory, in bytes.
    pub(crate) fn peak(found: u64, allowed: u64) -> Self {
        let words = |bytes| format!("{} MiB", in_mib(bytes));
        Self { holds: found <= allowed, found: words(found), allowed: words(allowed) }
    }
}
