//! Old builds, read back from the store: what a client really has, not what a build machine remembers.

use std::path::PathBuf;
use std::sync::Arc;

use smidgen_delta::full::Expected;
use smidgen_delta::{Digest, Limits};
use smidgen_metadata::{BuildLine, Release};
use tokio::sync::OnceCell;

use crate::encode::Build;
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
pub(crate) async fn read(
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
