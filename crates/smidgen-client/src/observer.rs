//! What the embedding program can watch: steps as they begin, bytes as they come.

use crate::plan::Way;

/// Is told what happens, on whatever thread it happens. Must not block for long: the update waits for it.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn event(&self, _event: &Event<'_>) {}
}

/// What an [`Observer`] is told. Outcomes and errors are what the steps return, and are not repeated here.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Timestamp metadata is asked for.
    Checking,
    /// A file of metadata was fetched.
    MetadataFetched {
        /// Its role.
        role: &'a str,
        /// Its length in bytes.
        len: u64,
    },
    /// An update is wanted, and this is the cheapest plan.
    Planned {
        /// The wanted version.
        version: &'a str,
        /// How to get there.
        way: &'a Way,
        /// Size of the full copy in bytes, for comparison.
        full_size: u64,
    },
    /// A blob comes in; sent for each piece.
    Fetching {
        /// How to get there.
        way: &'a Way,
        /// Bytes that are here, those of earlier runs included.
        done: u64,
        /// Bytes there will be.
        size: u64,
    },
    /// A download broke off and is taken up again.
    Resuming {
        /// Bytes that are here.
        done: u64,
        /// Bytes there will be.
        size: u64,
        /// Why it broke off.
        code: &'a str,
    },
    /// The new build is written; sent for each piece.
    Staging {
        /// Bytes written.
        done: u64,
        /// Bytes there will be.
        size: u64,
    },
    /// A plan failed, and the next one is tried.
    FellBack {
        /// How it was to be done.
        way: &'a Way,
        /// The code of the failure.
        code: &'a str,
    },
    /// The new build is installed.
    Activated {
        /// Its version.
        version: &'a str,
    },
}
