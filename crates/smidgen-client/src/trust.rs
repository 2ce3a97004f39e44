//! The trust store: metadata as it was received, on disk between runs.

use std::collections::BTreeSet;

use smidgen_metadata::{Limits, RoleName, Stored, VerifyError};

use crate::error::{Error, StorageError, TrustError};
use crate::folder::{Durability, Folder};
use crate::layout::{Layout, TrustFile};

/// Longest name of a repository that is remembered.
const MAX_NAME_LEN: u64 = 1024;

/// What earlier refreshes stored. Read as a whole at the beginning of one, and written file by file as each is verified.
#[derive(Debug, Default)]
pub(crate) struct TrustStore {
    pub(crate) root: Option<Vec<u8>>,
    pub(crate) timestamp: Option<Vec<u8>>,
    pub(crate) snapshot: Option<Vec<u8>>,
    pub(crate) targets: Option<Vec<u8>>,
    /// The repository's signed name. It has a file of its own, because it has to outlive the timestamp that brought it.
    pub(crate) repository: Option<String>,
}

impl TrustStore {
    pub(crate) fn load(folder: &Folder, limits: &Limits) -> Result<Self, StorageError> {
        let read = |file, max| folder.read(&folder.layout.trust_file(file), max);
        let name = folder.read(&folder.layout.repository_name(), MAX_NAME_LEN)?;
        Ok(Self {
            root: read(TrustFile::Root, limits.max_root_len)?,
            timestamp: read(TrustFile::Timestamp, limits.max_timestamp_len)?,
            snapshot: read(TrustFile::Snapshot, limits.max_snapshot_len)?,
            targets: read(TrustFile::Targets, limits.max_targets_len)?,
            repository: name.and_then(|name| String::from_utf8(name).ok()).filter(|name| !name.is_empty()),
        })
    }

    /// Replaces a file by verified bytes, durably.
    pub(crate) fn store(folder: &Folder, file: TrustFile, raw: &[u8]) -> Result<(), StorageError> {
        folder.replace(&folder.layout.trust_file(file), raw, Durability::Synced)
    }

    pub(crate) fn store_repository(folder: &Folder, name: &str) -> Result<(), StorageError> {
        folder.replace(&folder.layout.repository_name(), name.as_bytes(), Durability::Synced)
    }

    /// A stored delegated role. It is a copy that the snapshot binds, so one that cannot be read is fetched again.
    pub(crate) fn load_role(folder: &Folder, role: &RoleName, max_len: u64) -> Option<Vec<u8>> {
        folder.read(&folder.layout.delegated_role(role), max_len).ok().flatten()
    }

    /// Replaces a delegated role by verified bytes.
    pub(crate) fn store_role(folder: &Folder, role: &RoleName, raw: &[u8]) -> Result<(), StorageError> {
        folder.replace(&folder.layout.delegated_role(role), raw, Durability::Synced)
    }

    /// Removes the delegated roles that did not lie on the way, so that they do not add up over years.
    pub(crate) fn keep_roles(folder: &Folder, kept: &BTreeSet<RoleName>) -> Result<(), StorageError> {
        let kept: BTreeSet<String> = kept.iter().map(Layout::delegated_name).collect();
        let dir = folder.layout.delegated();
        for name in folder.list(&dir)? {
            if !kept.contains(&name) {
                folder.remove(&dir.join(name))?;
            }
        }
        Ok(())
    }

    /// Removes files that must never be believed again, durably.
    pub(crate) fn forget(folder: &Folder, files: &[TrustFile]) -> Result<(), StorageError> {
        for file in files {
            folder.remove(&folder.layout.trust_file(*file))?;
        }
        folder.sync_dir(&folder.layout.trust())
    }

    /// The verdict on a stored file. One that is damaged stops everything: what it remembers (the newest versions seen)
    /// is what keeps an old state of the repository from being believed, so passing over it would switch that off.
    pub(crate) fn verdict(
        folder: &Folder,
        file: TrustFile,
        verdict: Result<Stored, VerifyError>,
    ) -> Result<Stored, Error> {
        verdict.map_err(|source| match source {
            // Of another repository, which is no damage and has a code of its own.
            VerifyError::OtherRepository { .. } => source.into(),
            source => TrustError::damaged(folder, file, source).into(),
        })
    }
}
