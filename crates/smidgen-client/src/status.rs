//! What is installed, and what is known of the line, without a network and without the lock.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use smidgen_metadata::{BuildLine, Limits, Severity, TrustedSet};

use crate::client::Client;
use crate::disk::Disk;
use crate::error::Error;
use crate::folder::Folder;
use crate::plan::digest_of;
use crate::poll::Poll;
use crate::search::stored_line;
use crate::state::{Build, State};
use crate::trust::TrustStore;

/// The state of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// What is followed: the build line of the last check.
    pub follows: Option<BuildLine>,
    /// What we installed last.
    pub installed: Option<Build>,
    /// Whether the installed file still is that.
    pub file: FileStatus,
    /// The build before, if it is still kept.
    pub previous: Option<Build>,
    /// What the trusted metadata of the last check says.
    pub known: Option<Known>,
    /// The last check or update.
    pub last_check: Option<LastCheck>,
}

/// How the installed file stands to what we installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileStatus {
    /// Nothing was installed.
    NotInstalled,
    /// It is the build that we installed.
    Intact,
    /// It is another file. The next update recognises it as another build of the line, or replaces it.
    Changed,
    /// It is gone. The next update installs it again.
    Missing,
}

/// What the trusted metadata of the last check says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Known {
    /// The repository's signed name.
    pub repository: Option<String>,
    /// The newest version.
    pub newest: String,
    /// Its place in its line.
    pub sequence: u64,
    /// The highest severity, core and plugins, between what is installed and the newest; `None` if that is installed.
    pub severity_skipped: Option<Severity>,
    /// Bytes that the newest takes from here: the smallest patch for the installed build, or the full copy.
    pub bytes_to_fetch: u64,
    /// Until when timestamp metadata holds, in UTC.
    pub expires: String,
}

/// The last check or update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LastCheck {
    /// When, in UTC, by this machine's clock.
    pub at: String,
    /// How it went: the code of an outcome or of an error, or `checked`.
    pub code: String,
}

impl Client {
    /// What is installed, what is known, and how the last check went. Reads only, and may be asked while an update
    /// runs; digests the installed file if it was touched.
    ///
    /// # Errors
    /// [`Error`] if the folder cannot be read. A trust store that is damaged is no error here: nothing is known then.
    pub fn status(&self) -> Result<Status, Error> {
        let mut poll = Poll::load(&self.folder);
        poll.line = Some(self.config.line.clone());
        Status::of(&self.folder, poll, &self.config.limits.metadata)
    }
}

/// As [`Client::status`], from the folder alone: for tools that were not told what it follows.
///
/// # Errors
/// As there.
pub fn status(dir: impl Into<PathBuf>) -> Result<Status, Error> {
    let folder = Folder::new(Arc::new(Disk), dir.into());
    let poll = Poll::load(&folder);
    Status::of(&folder, poll, &Limits::default())
}

impl Status {
    fn of(folder: &Folder, poll: Poll, limits: &Limits) -> Result<Self, Error> {
        let state = State::load(folder)?;
        let previous = state.previous.clone();
        let kept = |build: &Build| folder.facts(&folder.layout.build(&build.digest));
        let previous = match previous {
            Some(build) if kept(&build)?.is_some() => Some(build),
            _ => None,
        };
        Ok(Self {
            file: FileStatus::of(folder, &state)?,
            known: poll.line.as_ref().and_then(|line| Known::of(folder, line, &state, limits)),
            follows: poll.line,
            previous,
            last_check: poll.checked.zip(poll.code).map(|(at, code)| LastCheck { at, code }),
            installed: state.installed,
        })
    }
}

impl FileStatus {
    fn of(folder: &Folder, state: &State) -> Result<Self, Error> {
        let Some(build) = &state.installed else { return Ok(Self::NotInstalled) };
        let path = folder.layout.installed(&build.name);
        Ok(match folder.facts(&path)? {
            None => Self::Missing,
            Some(facts) if !facts.is_file || facts.size != build.size => Self::Changed,
            Some(facts) if facts.stamp == state.stamp => Self::Intact,
            Some(_) if folder.digest(&path)? == build.digest => Self::Intact,
            Some(_) => Self::Changed,
        })
    }
}

impl Known {
    /// From the store alone. Expiry does not matter here, the time of expiry is part of the answer.
    fn of(folder: &Folder, line: &BuildLine, state: &State, limits: &Limits) -> Option<Self> {
        let store = TrustStore::load(folder, limits).ok()?;
        let mut set = TrustedSet::open(&store.root?, smidgen_metadata::Timestamp::MIN, *limits).ok()?;
        set.load_stored_timestamp(&store.timestamp?).ok()?;
        set.finish_root().ok()?;
        set.keep_timestamp().ok()?;
        set.load_stored_snapshot(&store.snapshot?).ok()?;
        set.load_stored_targets(&store.targets?).ok()?;
        let id = line.id();
        let line = stored_line(folder, &set, line)?;
        let newest = line.newest()?;
        let installed = state.installed.as_ref().filter(|build| build.line == id.to_string());
        let skipped = installed.filter(|build| build.sequence < newest.sequence);
        let patches = newest.patches.iter().filter(|patch| {
            installed.is_some_and(|build| build.digest.as_bytes().starts_with(patch.old.as_bytes()))
        });
        let smallest = patches.map(|patch| patch.size).chain([newest.full.size]).min()?;
        let is_installed = installed.is_some_and(|build| build.digest == digest_of(newest.blake3));
        Some(Self {
            repository: set.repository().map(str::to_owned),
            newest: newest.version.to_string(),
            sequence: newest.sequence,
            severity_skipped: skipped
                .map(|build| line.highest_severity_skipped(build.sequence, newest.sequence)),
            bytes_to_fetch: if is_installed { 0 } else { smallest },
            expires: set.timestamp()?.header.expires.to_string(),
        })
    }
}
