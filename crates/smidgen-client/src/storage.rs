//! Every step that the client takes on a file system, as one small trait, so that a test can fail or kill each of them.

use std::io::{self, Write};
use std::path::Path;

use smidgen_delta::ReadAt;

/// The file system below the folder that is kept up to date.
///
/// The client reaches files through this trait only. Each method is one step: it happens or it does not, but a write
/// may happen in part, and nothing is durable before [`WriteFile::sync`] and [`Storage::sync_dir`] have returned.
pub trait Storage: Send + Sync {
    /// What is at `path`, without following a symbolic link; `None` if there is nothing.
    ///
    /// # Errors
    /// What the system says.
    fn facts(&self, path: &Path) -> io::Result<Option<Facts>>;

    /// Names of the files in a folder, in no order; none if the folder is missing.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes a folder in one that is there; being there already is no error.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Opens a file for positioned reads.
    ///
    /// # Errors
    /// What the system says; a missing file is [`io::ErrorKind::NotFound`].
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>>;

    /// Creates a file, or empties the one that is there.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;

    /// Opens a file that is there, to write on at its end.
    ///
    /// # Errors
    /// What the system says.
    fn append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>>;

    /// Sets mode and, where the system allows it, owner.
    ///
    /// # Errors
    /// What the system says about the mode. An owner that cannot be set is no error: only root may give files away.
    fn set_access(&self, path: &Path, access: Access) -> io::Result<()>;

    /// Gives a file a second name, atomically; an existing `new` is an error.
    ///
    /// # Errors
    /// What the system says; not every file system has hard links.
    fn link(&self, old: &Path, new: &Path) -> io::Result<()>;

    /// Renames a file over `new`, atomically.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, old: &Path, new: &Path) -> io::Result<()>;

    /// Removes a file; being gone already is no error.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that can still be written below a folder.
    ///
    /// # Errors
    /// What the system says.
    fn space(&self, dir: &Path) -> io::Result<u64>;

    /// Takes a lock that ends with the returned value or with the process; `None` if somebody else has it.
    ///
    /// # Errors
    /// What the system says.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn LockGuard>>>;
}

/// What there is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether it is a regular file; the client touches nothing else.
    pub is_file: bool,
    /// Size in bytes.
    pub size: u64,
    /// Changes whenever the content may have: a digest need not be computed again while it stays the same.
    pub stamp: Stamp,
    /// Mode and owner.
    pub access: Access,
}

/// When and where a file was last written: modification time, change time and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Stamp {
    /// Modification time in nanoseconds since 1970.
    pub modified: i64,
    /// Time of the last change of the inode in nanoseconds since 1970: unlike `modified`, nobody can set it back.
    pub changed: i64,
    /// The file's number on its file system.
    pub inode: u64,
}

/// Who may use a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Permission bits, `0o777` at most.
    pub mode: u32,
    /// User and group, where the system has them.
    pub owner: Option<(u32, u32)>,
}

/// A file opened for reading.
pub trait ReadFile: ReadAt + Send + Sync {}

impl<T: ReadAt + Send + Sync> ReadFile for T {}

/// A file opened for writing.
pub trait WriteFile: Write + Send {
    /// Sets `len` bytes aside that will be written from here on, so that a disk which others fill meanwhile is found full
    /// now and not in the middle. Where the file system cannot, nothing happens.
    ///
    /// # Errors
    /// What the system says; no room is [`io::ErrorKind::StorageFull`].
    fn reserve(&mut self, len: u64) -> io::Result<()>;

    /// Makes what was written durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&mut self) -> io::Result<()>;
}

/// A held lock.
pub trait LockGuard: Send + Sync {}
