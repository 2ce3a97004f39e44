//! The lock of a repository in a folder, which no crash leaves behind.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::StoreError;

/// Shows that the caller may change the repository. Dropping it lets the next one in.
#[derive(Debug)]
#[must_use = "the repository is locked only as long as this lives"]
pub struct Lock(Option<File>);

impl Lock {
    pub(super) fn none() -> Self {
        Self(None)
    }

    pub(super) async fn take(path: PathBuf, waiting: impl FnOnce()) -> Result<Self, StoreError> {
        let file = open(&path).map_err(|error| fail(&path, &error))?;
        match file.try_lock() {
            Ok(()) => return Ok(Self(Some(file))),
            Err(TryLockError::WouldBlock) => waiting(),
            Err(TryLockError::Error(error)) => return Err(fail(&path, &error)),
        }
        let wait = tokio::task::spawn_blocking(move || match file.lock() {
            Ok(()) => Ok(Self(Some(file))),
            Err(error) => Err(fail(&path, &error)),
        });
        wait.await.unwrap_or_else(|join| {
            Err(StoreError::Failed {
                key: super::LOCK_FILE.into(),
                doing: "wait for",
                reason: join.to_string(),
            })
        })
    }

    /// Whether the operating system holds it: true for folders, false for buckets, which have none.
    pub fn is_held(&self) -> bool {
        self.0.is_some()
    }
}

/// The file is never removed: a second process could else lock a name that the first one no longer holds.
fn open(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        // A shard that nothing was published to yet has no folder.
        std::fs::create_dir_all(folder)?;
    }
    File::options().create(true).truncate(false).read(true).write(true).open(path)
}

fn fail(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::from_io(&path.display().to_string(), "lock", error)
}
