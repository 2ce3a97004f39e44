//! Removing what nothing lists any more, after a grace period.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use smidgen_metadata::{Line, RoleKind, RoleName};

use crate::layout::{BLOBS, Kind, METADATA, TARGETS, role_key, role_of};
use crate::lines;
use crate::repository::{Repository, RepositoryError, State, read_unverified};
use crate::store::Entry;
use crate::{Event, Reporter};

/// Releases of a line whose full copies stay, listed or not: as many as `publish` makes patches from by default, and the
/// newest.
pub const KEPT_RELEASES: usize = 6;

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
/// all it lists; the full copies of the newest [`KEPT_RELEASES`] of each line, which the next patches are made from; targets
/// at the home of shards; versions above those in force, whose numbers must not be used twice; whatever has a name that is
/// none of ours.
///
/// # Errors
/// [`RepositoryError`] if the repository's own metadata cannot be trusted: then nothing is removed (in this shard), because
/// nobody knows what is listed.
pub async fn gc(
    repository: &Repository,
    options: &GcOptions,
    reporter: &dyn Reporter,
) -> Result<GcReport, RepositoryError> {
    let mut report = GcReport { dry_run: options.dry_run, ..GcReport::default() };
    for part in repository.parts().await? {
        gc_part(&part, options, &mut report, reporter).await?;
    }
    report.removed.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(report)
}

async fn gc_part(
    part: &Repository,
    options: &GcOptions,
    report: &mut GcReport,
    reporter: &dyn Reporter,
) -> Result<(), RepositoryError> {
    // Nobody commits while this runs, and who commits afterwards looks again whether all files are there.
    let _lock = part.lock(reporter).await?;
    let state = part.load_all().await?;
    let store = part.store();
    let grace = i64::try_from(options.grace.as_secs()).unwrap_or(i64::MAX);
    let cutoff = part.now().unix().saturating_sub(grace);

    let metadata = store.list(METADATA).await?;
    let versions = versions_by_role(&metadata);
    let mut keep = lines::files_of_state(&state);
    let mut keep_metadata = BTreeSet::new();
    for (role, versions) in &versions {
        keep_metadata.extend(kept_versions(role, versions, in_force(&state, role), cutoff));
    }
    for key in &keep_metadata {
        if matches!(Kind::of(key), Kind::Role(role, _) if role != "snapshot" && role != "root") {
            keep.extend(files_of(part, key).await?);
        }
    }
    keep.extend(keep_for_patches(part, &state, &versions).await?);
    keep.extend(keep_metadata);

    let mut files = metadata.clone();
    files.extend(store.list(BLOBS).await?);
    files.extend(store.list(TARGETS).await?);
    for entry in files {
        let ours = match Kind::of(&entry.key) {
            Kind::Blob | Kind::Raw | Kind::NextTimestamp => true,
            Kind::Role("root", _) => false,
            Kind::Role(role, version) => version < in_force(&state, role),
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
            report.remove(part, &entry, reporter);
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
        report.remove(part, &entry, reporter);
    }
    Ok(())
}

impl GcReport {
    fn remove(&mut self, part: &Repository, entry: &Entry, reporter: &dyn Reporter) {
        let key = part.full_key(&entry.key);
        reporter.event(&Event::Removed { key: key.clone(), size: entry.size });
        self.removed_bytes += entry.size;
        self.removed.push(RemovedFile { key, size: entry.size });
    }
}

/// The version of a role that is in force. Of one that the snapshot does not list none is, and all its files stay.
fn in_force(state: &State, role: &str) -> u64 {
    let name = match role {
        "snapshot" => return state.version(RoleKind::Snapshot),
        "targets" => return state.version(RoleKind::Targets),
        role => RoleName::Delegated(role.to_owned()),
    };
    state.version_of(&name).unwrap_or(0)
}

/// Versions that have a file, with the time at which it was written.
fn versions_by_role(metadata: &[Entry]) -> BTreeMap<&str, Vec<(u64, i64)>> {
    let mut versions: BTreeMap<&str, Vec<(u64, i64)>> = BTreeMap::new();
    for entry in metadata {
        if let Some((role, version)) = role_of(&entry.key) {
            versions.entry(role).or_default().push((version, entry.modified));
        }
    }
    versions.values_mut().for_each(|versions| versions.sort_unstable());
    versions
}

/// Files of a role that are in force, or were at some time since `cutoff`: a version is replaced when the next file of its
/// role is written.
fn kept_versions(role: &str, versions: &[(u64, i64)], current: u64, cutoff: i64) -> Vec<String> {
    let mut kept = BTreeSet::from([current]);
    for pair in versions.windows(2) {
        if let [(version, _), (next, replaced)] = pair
            && *next <= current
            && *replaced > cutoff
        {
            kept.insert(*version);
        }
    }
    kept.into_iter().map(|version| role_key(role, version)).collect()
}

/// What stays for the next patches although nothing lists it, for those who only look.
pub(crate) async fn kept_for_patches(
    part: &Repository,
    state: &State,
) -> Result<BTreeSet<String>, RepositoryError> {
    let metadata = part.store().list(METADATA).await?;
    keep_for_patches(part, state, &versions_by_role(&metadata)).await
}

/// The full copies that the next patches of each line are made from, and the versions of its role that say where they are.
async fn keep_for_patches(
    part: &Repository,
    state: &State,
    versions: &BTreeMap<&str, Vec<(u64, i64)>>,
) -> Result<BTreeSet<String>, RepositoryError> {
    let mut keep = BTreeSet::new();
    for listed in lines::read(state).0 {
        let newest = listed.line.history().iter().rev().take(KEPT_RELEASES);
        let mut wanted: BTreeSet<u64> = newest.map(|entry| entry.sequence).collect();
        wanted.retain(|sequence| listed.line.release(*sequence).is_none());
        let Some(role) = state.role_of(&listed.id) else { continue };
        for (version, _) in versions.get(role).into_iter().flatten().rev() {
            if wanted.is_empty() {
                break;
            }
            let key = role_key(role, *version);
            let bytes = part.store().read(&key, part.limits().max_targets_len).await?;
            let Some(older) = read_unverified(&bytes, &part.limits()) else { continue };
            let Ok(Some(older)) = Line::read(&older, &listed.id) else { continue };
            for release in older.releases() {
                if wanted.remove(&release.sequence) {
                    keep.insert(release.full.path());
                    keep.insert(key.clone());
                }
            }
        }
    }
    Ok(keep)
}

/// What an older version of a role lists. Its signature does not matter: all that follows is that files stay.
async fn files_of(part: &Repository, key: &str) -> Result<BTreeSet<String>, RepositoryError> {
    let limits = part.limits();
    // A version of a role that its snapshot forgot, or that is not there any more, keeps nothing.
    let Some(seen) = part.store().see_if_there(key, limits.max_targets_len).await? else {
        return Ok(BTreeSet::new());
    };
    Ok(read_unverified(&seen.bytes, &limits).map(|targets| lines::files(&targets)).unwrap_or_default())
}
