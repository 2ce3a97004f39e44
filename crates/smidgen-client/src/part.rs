//! A blob while it comes in: a file that grows over several answers and several runs, and its digest so far.

use std::io::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use smidgen_delta::blake3;
use smidgen_metadata::{Blake3, BlobDigest};

use crate::error::StorageError;
use crate::folder::{Folder, step};
use crate::storage::WriteFile;

/// Digested at a time when an earlier run's bytes are read again.
const READ_LEN: usize = 256 * 1024;

/// Named by the digest that the whole must have, so that nothing else ever resumes it. Not synced: after a power cut
/// the digest tells, and the download starts over.
pub(crate) struct Part {
    folder: Folder,
    path: PathBuf,
    file: Box<dyn WriteFile>,
    hasher: blake3::Hasher,
    len: u64,
}

impl Part {
    /// Goes on with what an earlier run left, if that can be the beginning of a blob of `size` bytes.
    pub(crate) fn open(folder: &Folder, blob: &BlobDigest, size: u64) -> Result<Self, StorageError> {
        let path = folder.layout.part(blob);
        let facts = folder.facts(&path)?;
        let Some(facts) = facts.filter(|facts| facts.is_file && facts.size <= size) else {
            if facts.is_some() {
                folder.remove(&path)?;
            }
            return Self::begin(folder, path);
        };
        let mut hasher = blake3::Hasher::new();
        let source = folder.open(&path)?;
        let mut buffer = vec![0; READ_LEN];
        let mut len = 0_u64;
        while len < facts.size {
            let rest = usize::try_from(facts.size - len).unwrap_or(usize::MAX);
            let piece = buffer.get_mut(..rest.min(READ_LEN)).unwrap_or_default();
            source.read_exact_at(piece, len).map_err(|source| step("read", &path, source))?;
            hasher.update(piece);
            len = len.saturating_add(piece.len() as u64);
        }
        let file = folder.append(&path)?;
        Ok(Self { folder: folder.clone(), path, file, hasher, len })
    }

    fn begin(folder: &Folder, path: PathBuf) -> Result<Self, StorageError> {
        let file = folder.create(&path)?;
        Ok(Self { folder: folder.clone(), path, file, hasher: blake3::Hasher::new(), len: 0 })
    }

    /// Forgets what is there and begins with the first byte.
    pub(crate) fn restart(self) -> Result<Self, StorageError> {
        let Self { folder, path, file, .. } = self;
        drop(file);
        Self::begin(&folder, path)
    }

    /// Writes pieces on at the end.
    pub(crate) fn write(&mut self, pieces: &[Bytes]) -> Result<(), StorageError> {
        for piece in pieces {
            self.file.write_all(piece).map_err(|source| step("write", &self.path, source))?;
            self.hasher.update(piece);
            self.len = self.len.saturating_add(piece.len() as u64);
        }
        Ok(())
    }

    /// Bytes that are here.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The digest of what is here.
    pub(crate) fn digest(&self) -> BlobDigest {
        Blake3::from_bytes(self.hasher.finalize().into()).to_blob()
    }

    pub(crate) fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Removes the file: what is in it is no good.
    pub(crate) fn discard(self) -> Result<(), StorageError> {
        let Self { folder, path, file, .. } = self;
        drop(file);
        folder.remove(&path)
    }
}
