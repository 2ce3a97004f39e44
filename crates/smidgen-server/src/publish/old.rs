//! Old builds, read back from the store: what a client really has, not what a build machine remembers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use smidgen_delta::full::Expected;
use smidgen_delta::{Digest, Limits};
use smidgen_metadata::{BuildLine, HistoryEntry, Line, Release};
use tokio::sync::OnceCell;

use crate::encode::Build;
use crate::layout::role_key;
use crate::repository::{Repository, read_unverified};
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

/// How many older versions of a role are looked into, at most.
const RECALLED_VERSIONS: usize = 64;
/// How many versions in a row may be missing before there are no older ones: numbers that crashed runs took.
const MAX_GAP: usize = 8;

/// The older versions of a line's role that `gc` has not removed.
pub(crate) struct Older<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) line: &'a BuildLine,
    pub(crate) role: &'a str,
    /// The version in force.
    pub(crate) before: u64,
}

impl Older<'_> {
    /// Looks for releases that are not listed any more; `None` for those that are gone.
    ///
    /// Signatures do not matter: the build that is read back has to be the one of the signed history, and all that is made
    /// of it is a patch that nobody takes who does not have it.
    pub(crate) async fn recall(&self, entries: &[HistoryEntry]) -> BTreeMap<u64, Option<Release>> {
        let mut found: BTreeMap<u64, Option<Release>> =
            entries.iter().map(|entry| (entry.sequence, None)).collect();
        let (store, limits) = (self.repository.store(), self.repository.limits());
        let (mut version, mut gap) = (self.before, 0);
        for _ in 0..RECALLED_VERSIONS {
            version = version.saturating_sub(1);
            if version == 0 || gap > MAX_GAP || found.values().all(Option::is_some) {
                break;
            }
            let Ok(bytes) = store.read(&role_key(self.role, version), limits.max_targets_len).await else {
                gap += 1;
                continue;
            };
            gap = 0;
            let listed =
                read_unverified(&bytes, &limits).and_then(|targets| Line::read(&targets, self.line).ok());
            let Some(listed) = listed.flatten() else { continue };
            for entry in entries {
                let release = listed.release(entry.sequence);
                let release = release.filter(|release| release.blake3.prefix() == entry.build);
                if let (Some(release), Some(place @ None)) = (release, found.get_mut(&entry.sequence)) {
                    *place = Some(release.clone());
                }
            }
        }
        found
    }
}
