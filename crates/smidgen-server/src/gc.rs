//! Removing what nothing lists any more, after a grace period.

use std::time::Duration;

use serde::Serialize;

/// How to clean up.
#[derive(Clone, Copy, Debug)]
pub struct GcOptions {
    /// A file stays for this long after nothing lists it any more. It covers clients that are in the middle of an
    /// update, caches that answer with an older timestamp, and publishers that have not committed yet.
    pub grace: Duration,
    /// Only say what would be removed.
    pub dry_run: bool,
}

impl Default for GcOptions {
    /// Seven days: a client that was shut down over a long week-end can still finish what it began.
    fn default() -> Self {
        Self { grace: Duration::from_secs(7 * 24 * 3600), dry_run: false }
    }
}

/// What was removed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GcReport {
    /// Whether the files are still there.
    pub dry_run: bool,
    /// The files, sorted.
    pub removed: Vec<RemovedFile>,
    /// Bytes of them all.
    pub removed_bytes: u64,
    /// Files that stay.
    pub kept: usize,
    /// Files that nothing lists, but that are younger than the grace period.
    pub waiting: usize,
}

/// One removed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RemovedFile {
    /// Where it was.
    pub key: String,
    /// Its bytes.
    pub size: u64,
}
