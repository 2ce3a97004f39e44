//! Progress of long operations, as events that a program can show as it likes.

use serde::Serialize;

/// Hears what happens. Called from async code: it must not block for long.
pub trait Reporter: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event);
}

/// For callers that do not listen.
impl Reporter for () {
    fn event(&self, _: &Event) {}
}

impl<F: Fn(&Event) + Send + Sync> Reporter for F {
    fn event(&self, event: &Event) {
        self(event);
    }
}

/// Which patch an event speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The name and platform of the artifact, such as `editor x86_64-linux`.
    pub artifact: String,
    /// Version of the old build.
    pub old_version: String,
    /// Sequence of the old build in its line.
    pub old_sequence: u64,
    /// Version of the new build.
    pub new_version: String,
}

/// What happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Somebody else has the repository locked; this run goes on when they are done.
    Waiting {
        /// The repository.
        location: String,
    },
    /// A run begins.
    Started {
        /// How many files it publishes.
        artifacts: usize,
    },
    /// A new build has been read and digested.
    BuildRead {
        /// Name and platform.
        artifact: String,
        /// Bytes.
        size: u64,
    },
    /// The full copy of a new build is ready.
    FullMade {
        /// Name and platform.
        artifact: String,
        /// Bytes of the build.
        size: u64,
        /// Bytes of the full copy.
        full_size: u64,
    },
    /// It is known how many patches will be tried; can come again when somebody else published meanwhile.
    PatchesPlanned {
        /// How many more.
        count: usize,
    },
    /// An encoder starts on a pair.
    PatchStarted {
        /// The pair.
        pair: Pair,
    },
    /// A patch was made, applied and compared.
    PatchMade {
        /// The pair.
        pair: Pair,
        /// Bytes of the patch.
        size: u64,
        /// Bytes of the new build.
        new_size: u64,
    },
    /// A pair gets no patch; known in the end, so it can follow on a [`Event::PatchMade`] that did not pay.
    PatchSkipped {
        /// The pair.
        pair: Pair,
        /// Why.
        reason: String,
    },
    /// A blob or raw file is in the store.
    Stored {
        /// Where.
        key: String,
        /// Bytes.
        size: u64,
    },
    /// New metadata is in force.
    Committed {
        /// Version of `timestamp.json`.
        timestamp: u64,
        /// Version of the targets metadata.
        targets: u64,
    },
    /// `verify` starts on a file.
    Checking {
        /// The file.
        key: String,
        /// Its number, from 1.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// `gc` took a file away (or would, in a dry run).
    Removed {
        /// The file.
        key: String,
        /// Bytes.
        size: u64,
    },
}
