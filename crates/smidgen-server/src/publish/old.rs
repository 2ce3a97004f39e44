//! Old builds, read back from the store: what a client really has, not what a build machine remembers.

use std::path::PathBuf;
use std::sync::Arc;

use smidgen_delta::full::Expected;
use smidgen_delta::{Digest, Limits};
use smidgen_metadata::{BuildLine, HistoryEntry, Line, RawMetadata, Release, RoleKind, Targets};
use tokio::sync::OnceCell;

use crate::encode::Build;
use crate::layout::{METADATA, Versioned};
use crate::repository::Repository;
use crate::store::Store;

/// An old build that is read when the first job needs it, and dropped after the last.
pub(super) struct OldBuild {
    line: BuildLine,
    release: Release,
    read: OnceCell<Result<Arc<Build>, String>>,
}

impl OldBuild {
    pub(super) fn new(line: BuildLine, release: Release) -> Self {
        Self { line, release, read: OnceCell::new() }
    }

    /// The build; or why it cannot be had, which is no reason to fail: clients that have it take the full copy.
    pub(super) async fn read(
        &self,
        store: &Store,
        limits: &Limits,
        scratch: Option<&PathBuf>,
    ) -> Result<Arc<Build>, String> {
        self.read.get_or_init(|| read(store, &self.line, &self.release, limits, scratch)).await.clone()
    }
}

/// Reads a release's build from its full copy, or else from its raw file.
async fn read(
    store: &Store,
    line: &BuildLine,
    release: &Release,
    limits: &Limits,
    scratch: Option<&PathBuf>,
) -> Result<Arc<Build>, String> {
    let digest = Digest::from_bytes(*release.blake3.as_bytes());
    let expected = Expected { size: release.size, digest };
    let (limits, folder) = (limits.clone(), scratch.cloned());
    let expand =
        move |packed: &mut dyn std::io::Read| Build::expand(packed, expected, &limits, folder.as_deref());
    let reason = match store.consume(&release.full.path(), release.full.size, expand).await {
        Ok(Ok(build)) => return Ok(Arc::new(build)),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    if release.raw {
        let folder = scratch.cloned();
        let copy = move |raw: &mut dyn std::io::Read| Build::read(raw, folder.as_deref());
        if let Ok(Ok(build)) = store.consume(&release.raw_path(line), release.size, copy).await
            && build.digest == digest
        {
            return Ok(Arc::new(build));
        }
    }
    Err(format!("the old build cannot be read back: {reason}"))
}

/// How many older targets files are searched.
const RECALLED_VERSIONS: usize = 64;

/// Looks for a release that is not listed any more in the older targets files that `gc` has not removed yet.
///
/// Their signatures do not matter: the build that is read back has to be the one of the signed history, and all that is
/// made of it is a patch that nobody takes who does not have it.
pub(super) async fn recall(
    repository: &Repository,
    line: &BuildLine,
    entry: &HistoryEntry,
) -> Option<Release> {
    let (store, limits) = (repository.store(), repository.limits());
    let files = store.list(METADATA).await.ok()?;
    let mut versions: Vec<u64> =
        files.iter().filter_map(|file| Versioned::Targets.version(&file.key)).collect();
    versions.sort_unstable();
    for version in versions.into_iter().rev().take(RECALLED_VERSIONS) {
        let Ok(bytes) = store.read(&Versioned::Targets.key(version), limits.max_targets_len).await else {
            continue;
        };
        let raw = RawMetadata::parse(&bytes, RoleKind::Targets, &limits);
        let Ok(targets) = raw.and_then(|raw| raw.read_unverified::<Targets>()) else { continue };
        let Ok(Some(listed)) = Line::read(&targets, line) else { continue };
        let found = listed.release(entry.sequence).filter(|release| release.blake3.prefix() == entry.build);
        if let Some(release) = found {
            return Some(release.clone());
        }
    }
    None
}
