//! The folder that is kept up to date: the steps on its files, each with its path in the error.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smidgen_delta::{Digest, digest_of};

use crate::error::{Error, InstalledError, SetupError, StorageError};
use crate::layout::Layout;
use crate::storage::{Access, Facts, LockGuard, ReadFile, Storage, WriteFile};

/// Our state is written for us and for people to read; others have no business to write it.
const PUBLIC_FILE: u32 = 0o644;

/// A folder on a storage. Cheap to clone, so that work on it can move to a thread that may block.
#[derive(Clone)]
pub(crate) struct Folder {
    storage: Arc<dyn Storage>,
    pub(crate) layout: Arc<Layout>,
    /// Never read: work that goes on after its caller has lost interest is still done under the lock.
    _lock: Option<Lock>,
}

impl std::fmt::Debug for Lock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lock")
    }
}

/// The right to change a folder: who holds one is the only updater.
#[derive(Clone)]
pub(crate) struct Lock {
    _guard: Arc<dyn LockGuard>,
}

impl Folder {
    pub(crate) fn new(storage: Arc<dyn Storage>, dir: PathBuf) -> Self {
        Self { storage, layout: Arc::new(Layout::new(dir)), _lock: None }
    }

    /// The same folder, which stays locked as long as the value lives.
    pub(crate) fn held(&self, lock: Lock) -> Self {
        Self { _lock: Some(lock), ..self.clone() }
    }

    /// Makes the folders that are missing and becomes the only updater.
    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        for dir in self.layout.folders() {
            self.create_dir(&dir)?;
        }
        let path = self.layout.lock();
        match self.storage.lock(&path).map_err(|source| step("lock", &path, source))? {
            Some(guard) => Ok(Lock { _guard: guard.into() }),
            None => Err(SetupError::Busy { dir: self.layout.dir().to_owned() }.into()),
        }
    }

    pub(crate) fn facts(&self, path: &Path) -> Result<Option<Facts>, StorageError> {
        self.storage.facts(path).map_err(|source| step("look at", path, source))
    }

    /// Facts of a regular file; anything else with that name is an error.
    pub(crate) fn file_facts(&self, path: &Path) -> Result<Option<Facts>, Error> {
        let facts = self.facts(path)?;
        match facts {
            Some(facts) if !facts.is_file => Err(InstalledError::NotAFile { path: path.to_owned() }.into()),
            facts => Ok(facts),
        }
    }

    pub(crate) fn list(&self, dir: &Path) -> Result<Vec<String>, StorageError> {
        self.storage.list(dir).map_err(|source| step("list", dir, source))
    }

    /// Makes a folder and those above it, durably: what is synced in a folder is lost with the folder's own name.
    fn create_dir(&self, dir: &Path) -> Result<(), StorageError> {
        if self.facts(dir)?.is_some() {
            return Ok(());
        }
        let parent = match dir.parent() {
            None => return Ok(()),
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
        };
        self.create_dir(parent)?;
        self.storage.create_dir(dir).map_err(|source| step("make the folder", dir, source))?;
        self.sync_dir(parent)
    }

    /// Opens a file whose failure the caller tells in its own words.
    pub(crate) fn open_raw(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.storage.open(path)
    }

    pub(crate) fn open(&self, path: &Path) -> Result<Box<dyn ReadFile>, StorageError> {
        self.storage.open(path).map_err(|source| step("open", path, source))
    }

    pub(crate) fn create(&self, path: &Path) -> Result<Box<dyn WriteFile>, StorageError> {
        self.storage.create(path).map_err(|source| step("create", path, source))
    }

    pub(crate) fn append(&self, path: &Path) -> Result<Box<dyn WriteFile>, StorageError> {
        self.storage.append(path).map_err(|source| step("open", path, source))
    }

    pub(crate) fn set_access(&self, path: &Path, access: Access) -> Result<(), StorageError> {
        self.storage.set_access(path, access).map_err(|source| step("set the mode of", path, source))
    }

    pub(crate) fn rename(&self, old: &Path, new: &Path) -> Result<(), StorageError> {
        self.storage.rename(old, new).map_err(|source| step("rename a file to", new, source))
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<(), StorageError> {
        self.storage.remove(path).map_err(|source| step("remove", path, source))
    }

    pub(crate) fn sync_dir(&self, dir: &Path) -> Result<(), StorageError> {
        self.storage.sync_dir(dir).map_err(|source| step("sync", dir, source))
    }

    /// Whether `needed` bytes may be written here.
    pub(crate) fn require_space(&self, needed: u64) -> Result<(), StorageError> {
        let dir = self.layout.own();
        let found =
            self.storage.space(dir).map_err(|source| step("ask for the free space of", dir, source))?;
        if found < needed {
            return Err(StorageError::Space { dir: self.layout.dir().to_owned(), found, expected: needed });
        }
        Ok(())
    }

    /// The BLAKE3 digest of a file.
    pub(crate) fn digest(&self, path: &Path) -> Result<Digest, StorageError> {
        let file = self.open(path)?;
        digest_of(&*file).map_err(|source| step("read", path, source))
    }

    /// A whole small file; `None` if it is missing. A longer one than `max` is an error.
    pub(crate) fn read(&self, path: &Path, max: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let file = match self.storage.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(step("open", path, source)),
        };
        let size = file.size();
        if size > max {
            let found = io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("it has {size} bytes, expected {max} at most"),
            );
            return Err(step("read", path, found));
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        file.read_exact_at(&mut bytes, 0).map_err(|source| step("read", path, source))?;
        Ok(Some(bytes))
    }

    /// Replaces a small file as a whole: after a crash it holds the old bytes or the new ones.
    pub(crate) fn replace(
        &self,
        path: &Path,
        bytes: &[u8],
        durability: Durability,
    ) -> Result<(), StorageError> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let unfinished = path.with_file_name(name);
        let mut file = self.create(&unfinished)?;
        file.write_all(bytes).map_err(|source| step("write", &unfinished, source))?;
        if durability == Durability::Synced {
            file.sync().map_err(|source| step("sync", &unfinished, source))?;
        }
        drop(file);
        self.set_access(&unfinished, Access { mode: PUBLIC_FILE, owner: None })?;
        self.rename(&unfinished, path)?;
        match path.parent() {
            Some(dir) if durability == Durability::Synced => self.sync_dir(dir),
            _ => Ok(()),
        }
    }

    /// Gives the file at `old` the second name `new`, which it keeps when `old` is replaced. Copies where the file
    /// system has no hard links.
    pub(crate) fn keep(&self, old: &Path, new: &Path, access: Access) -> Result<(), StorageError> {
        if self.storage.link(old, new).is_ok() {
            return Ok(());
        }
        let mut name = new.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let unfinished = new.with_file_name(name);
        let source = self.open(old)?;
        let mut copy = self.create(&unfinished)?;
        let mut reader = Reader::new(&*source);
        io::copy(&mut reader, &mut copy)
            .map_err(|source| step("copy the old build to", &unfinished, source))?;
        copy.sync().map_err(|source| step("sync", &unfinished, source))?;
        drop(copy);
        self.set_access(&unfinished, access)?;
        self.rename(&unfinished, new)
    }
}

/// Whether a small file has to outlive a power cut, or may be lost with what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    Synced,
    Lossy,
}

/// Reads a file with positioned reads from its beginning to its end.
pub(crate) struct Reader<'a> {
    file: &'a dyn ReadFile,
    offset: u64,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(file: &'a dyn ReadFile) -> Self {
        Self { file, offset: 0 }
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = self.file.size().saturating_sub(self.offset);
        let len = usize::try_from(rest).unwrap_or(usize::MAX).min(buf.len());
        let piece = buf.get_mut(..len).unwrap_or_default();
        self.file.read_exact_at(piece, self.offset)?;
        self.offset = self.offset.saturating_add(len as u64);
        Ok(len)
    }
}

pub(crate) fn step(step: &'static str, path: &Path, source: io::Error) -> StorageError {
    StorageError::Step { step, path: path.to_owned(), source }
}
