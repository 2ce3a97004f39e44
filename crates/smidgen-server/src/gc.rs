//! Removing what nothing lists any more, after a grace period.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use smidgen_metadata::{RawMetadata, RoleKind, Targets};

use crate::layout::{BLOBS, Kind, METADATA, TARGETS, Versioned};
use crate::lines;
use crate::repository::{Repository, RepositoryError, State};
use crate::store::Entry;
use crate::{Event, Reporter};

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

/// Removes blobs, raw files and old metadata that nothing lists any more, once the grace period has passed.
///
/// What stays: every root; the metadata in force and all it lists; metadata that was in force within the grace period and
/// all it lists; versions above those in force, whose numbers must not be used twice; whatever has a name that is none of
/// ours.
///
/// # Errors
/// [`RepositoryError`] if the repository's own metadata cannot be trusted: then nothing is removed, because nobody knows
/// what is listed.
pub async fn gc(
    repository: &Repository,
    options: &GcOptions,
    reporter: &dyn Reporter,
) -> Result<GcReport, RepositoryError> {
    // Nobody commits while this runs, and who commits afterwards looks again whether all files are there.
    let _lock = repository.lock(reporter).await?;
    let state = repository.load().await?;
    let store = repository.store();
    let grace = i64::try_from(options.grace.as_secs()).unwrap_or(i64::MAX);
    let cutoff = repository.now().unix().saturating_sub(grace);

    let metadata = store.list(METADATA).await?;
    let mut keep = lines::files(state.targets());
    for role in [Versioned::Targets, Versioned::Snapshot] {
        keep.extend(kept_versions(role, &metadata, &state, cutoff));
    }
    for key in keep.clone() {
        if let Kind::Role(Versioned::Targets, _) = Kind::of(&key) {
            keep.extend(files_of(repository, &key).await?);
        }
    }

    let mut report = GcReport { dry_run: options.dry_run, ..GcReport::default() };
    let mut files = metadata;
    files.extend(store.list(BLOBS).await?);
    files.extend(store.list(TARGETS).await?);
    for entry in files {
        let ours = match Kind::of(&entry.key) {
            Kind::Blob | Kind::Raw | Kind::NextTimestamp => true,
            Kind::Role(Versioned::Targets, version) => version < state.version(RoleKind::Targets),
            Kind::Role(Versioned::Snapshot, version) => version < state.version(RoleKind::Snapshot),
            _ => false,
        };
        if !ours || keep.contains(&entry.key) {
            report.kept += 1;
        } else if entry.modified > cutoff {
            report.waiting += 1;
        } else {
            if !options.dry_run {
                store.delete(&entry.key).await?;
            }
            report.remove(entry, reporter);
        }
    }
    for entry in store.torn().await? {
        if entry.modified > cutoff {
            report.waiting += 1;
            continue;
        }
        if !options.dry_run {
            store.delete_torn(&entry)?;
        }
        report.remove(entry, reporter);
    }
    report.removed.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(report)
}

impl GcReport {
    fn remove(&mut self, entry: Entry, reporter: &dyn Reporter) {
        reporter.event(&Event::Removed { key: entry.key.clone(), size: entry.size });
        self.removed_bytes += entry.size;
        self.removed.push(RemovedFile { key: entry.key, size: entry.size });
    }
}

/// Files of a role that are in force, or were at some time since `cutoff`: a version is replaced when the next file of its
/// role is written.
fn kept_versions(role: Versioned, metadata: &[Entry], state: &State, cutoff: i64) -> Vec<String> {
    let current = match role {
        Versioned::Targets => state.version(RoleKind::Targets),
        Versioned::Snapshot => state.version(RoleKind::Snapshot),
        Versioned::Root => state.version(RoleKind::Root),
    };
    let mut versions: Vec<(u64, i64)> = metadata
        .iter()
        .filter_map(|entry| Some((role.version(&entry.key)?, entry.modified)))
        .filter(|(version, _)| *version <= current)
        .collect();
    versions.sort_unstable();
    let mut kept = BTreeSet::from([current]);
    for pair in versions.windows(2) {
        if let [(version, _), (_, replaced)] = pair
            && *replaced > cutoff
        {
            kept.insert(*version);
        }
    }
    kept.into_iter().map(|version| role.key(version)).collect()
}

/// What an older targets file lists. Its signature does not matter: all that follows is that files stay.
async fn files_of(repository: &Repository, key: &str) -> Result<BTreeSet<String>, RepositoryError> {
    let limits = repository.limits();
    let bytes = repository.store().read(key, limits.max_targets_len).await?;
    let raw = RawMetadata::parse(&bytes, RoleKind::Targets, &limits);
    let targets = raw.and_then(|raw| raw.read_unverified::<Targets>());
    Ok(targets.map(|targets| lines::files(&targets)).unwrap_or_default())
}
