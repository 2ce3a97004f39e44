//! The real file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use smidgen_delta::ReadAt;

use crate::storage::{Access, Facts, LockGuard, ReadFile, Stamp, Storage, WriteFile};

/// The storage that ships: the local file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Disk {
    /// Sets `len` bytes of the disk aside for an empty file, which stays empty until it is written: a disk that others fill
    /// meanwhile is found full now and not in the middle. It also makes writing cheaper, as the blocks are found at once
    /// instead of page by page. Where system or file system cannot, nothing happens.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] or [`io::ErrorKind::QuotaExceeded`]. What else may fail says nothing of writing.
    #[cfg(target_os = "linux")]
    pub fn reserve(file: &File, len: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        match fallocate(file, FallocateFlags::KEEP_SIZE, 0, len) {
            Err(error @ (Errno::NOSPC | Errno::DQUOT)) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Would set `len` bytes of the disk aside; nothing happens on this system.
    ///
    /// # Errors
    /// None.
    #[cfg(not(target_os = "linux"))]
    pub fn reserve(_file: &File, _len: u64) -> io::Result<()> {
        Ok(())
    }
}

impl Storage for Disk {
    fn facts(&self, path: &Path) -> io::Result<Option<Facts>> {
        match fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(facts_of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // Names that are not UTF-8 are not ours.
        entries.map(|entry| Ok(entry?.file_name().into_string().ok())).filter_map(Result::transpose).collect()
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        match fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result,
        }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok(Box::new(OpenFile { file, size }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(NewFile(File::create(path)?)))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        Ok(Box::new(NewFile(OpenOptions::new().append(true).open(path)?)))
    }

    fn set_access(&self, path: &Path, access: Access) -> io::Result<()> {
        set_access(path, access)
    }

    fn link(&self, old: &Path, new: &Path) -> io::Result<()> {
        fs::hard_link(old, new)
    }

    fn rename(&self, old: &Path, new: &Path) -> io::Result<()> {
        fs::rename(old, new)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    // Windows has no handle of a folder to sync; NTFS journals names itself.
    #[cfg(not(unix))]
    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    #[cfg(unix)]
    fn space(&self, dir: &Path) -> io::Result<u64> {
        let facts = rustix::fs::statvfs(dir)?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }

    // Where nobody tells, a full disk is found out by writing.
    #[cfg(not(unix))]
    fn space(&self, _dir: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn LockGuard>>> {
        // Never removed: a second process could otherwise lock a file that has no name any more.
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(FileLock { _file: file }))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(unix)]
fn facts_of(metadata: &fs::Metadata) -> Facts {
    use std::os::unix::fs::MetadataExt as _;
    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    Facts {
        is_file: metadata.is_file(),
        size: metadata.len(),
        stamp: Stamp {
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        },
        access: Access { mode: metadata.mode() & 0o777, owner: Some((metadata.uid(), metadata.gid())) },
    }
}

#[cfg(not(unix))]
fn facts_of(metadata: &fs::Metadata) -> Facts {
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    let modified = modified.and_then(|since| i64::try_from(since.as_nanos()).ok()).unwrap_or_default();
    Facts {
        is_file: metadata.is_file(),
        size: metadata.len(),
        stamp: Stamp { modified, changed: modified, inode: 0 },
        access: Access { mode: 0o755, owner: None },
    }
}

#[cfg(unix)]
fn set_access(path: &Path, access: Access) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let metadata = fs::metadata(path)?;
    if let Some((user, group)) = access.owner
        && (metadata.uid(), metadata.gid()) != (user, group)
    {
        // Before the mode, which chown may reduce. Refused to all but root, and then the file is ours, which is fine.
        let _ = chown(path, Some(user), Some(group));
    }
    fs::set_permissions(path, fs::Permissions::from_mode(access.mode & 0o777))
}

#[cfg(not(unix))]
fn set_access(_path: &Path, _access: Access) -> io::Result<()> {
    Ok(())
}

struct OpenFile {
    file: File,
    size: u64,
}

impl ReadAt for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    #[cfg(unix)]
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buf, offset)
    }

    #[cfg(windows)]
    fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        use std::os::windows::fs::FileExt as _;
        while !buf.is_empty() {
            let len = self.file.seek_read(buf, offset)?;
            if len == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buf = buf.get_mut(len..).ok_or(io::ErrorKind::UnexpectedEof)?;
            offset = offset.saturating_add(len as u64);
        }
        Ok(())
    }
}

struct NewFile(File);

impl Write for NewFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl WriteFile for NewFile {
    fn reserve(&mut self, len: u64) -> io::Result<()> {
        Disk::reserve(&self.0, len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_all()
    }
}

struct FileLock {
    _file: File,
}

impl LockGuard for FileLock {}
