//! A disk in memory that knows what a power cut would leave of it: data is durable once its file was synced, a name once
//! its folder was.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use smidgen_client::storage::{Access, Facts, LockGuard, ReadFile, Stamp, Storage, WriteFile};
use smidgen_delta::ReadAt;

/// The disk. Clones are the same disk; [`MemoryDisk::copy`] is another one with the same content.
#[derive(Debug, Clone)]
pub struct MemoryDisk(Arc<Mutex<Image>>);

/// What is lost when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerCut {
    /// Nothing: only the process died.
    ProcessOnly,
    /// Everything that was not synced, names and data.
    LosesUnsynced,
    /// Names stay, but data that was not synced reads as zeros: what journals of names do.
    KeepsNames,
}

#[derive(Debug, Clone, Default)]
struct Image {
    files: BTreeMap<u64, Inode>,
    folders: BTreeMap<PathBuf, Folder>,
    locked: BTreeSet<PathBuf>,
    next_inode: u64,
    tick: i64,
    capacity: u64,
    read_only: bool,
}

#[derive(Debug, Clone)]
struct Inode {
    data: Vec<u8>,
    durable: Vec<u8>,
    access: Access,
    modified: i64,
    changed: i64,
}

#[derive(Debug, Clone, Default)]
struct Folder {
    names: BTreeMap<OsString, Entry>,
    durable: BTreeMap<OsString, Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    File(u64),
    Folder,
}

impl Default for MemoryDisk {
    fn default() -> Self {
        let mut image = Image { capacity: u64::MAX, ..Image::default() };
        image.folders.insert(PathBuf::from("/"), Folder::default());
        Self(Arc::new(Mutex::new(image)))
    }
}

impl MemoryDisk {
    /// Another disk with the same content, and nobody's locks.
    #[must_use]
    pub fn copy(&self) -> Self {
        let mut image = self.image().clone();
        image.locked.clear();
        Self(Arc::new(Mutex::new(image)))
    }

    /// What is found after a power cut at this moment.
    #[must_use]
    pub fn after(&self, cut: PowerCut) -> Self {
        let copy = self.copy();
        let mut image = copy.image();
        for folder in image.folders.values_mut() {
            match cut {
                PowerCut::LosesUnsynced => folder.names = folder.durable.clone(),
                PowerCut::ProcessOnly | PowerCut::KeepsNames => folder.durable = folder.names.clone(),
            }
        }
        for file in image.files.values_mut() {
            match cut {
                PowerCut::ProcessOnly => {}
                PowerCut::LosesUnsynced => file.data = file.durable.clone(),
                PowerCut::KeepsNames if file.data != file.durable => file.data = vec![0; file.data.len()],
                PowerCut::KeepsNames => {}
            }
            file.durable = file.data.clone();
        }
        drop(image);
        copy
    }

    /// How many bytes of files fit.
    pub fn set_capacity(&self, bytes: u64) {
        self.image().capacity = bytes;
    }

    /// Whether every change is refused.
    pub fn set_read_only(&self, read_only: bool) {
        self.image().read_only = read_only;
    }

    /// Puts a file there, durably, as somebody other than the client would.
    pub fn put(&self, path: &Path, data: &[u8], mode: u32) {
        let mut image = self.image();
        if let Some(dir) = path.parent() {
            image.create_dir(dir);
        }
        let inode = image.create(path).expect("a folder");
        let tick = image.tick();
        let file = image.files.get_mut(&inode).expect("a file");
        (file.data, file.durable, file.modified) = (data.to_vec(), data.to_vec(), tick);
        file.access.mode = mode;
        for folder in image.folders.values_mut() {
            folder.durable = folder.names.clone();
        }
    }

    /// The content of a file.
    #[must_use]
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        let image = self.image();
        Some(image.files[&image.find(path)?].data.clone())
    }

    /// The mode of a file.
    #[must_use]
    pub fn mode(&self, path: &Path) -> Option<u32> {
        let image = self.image();
        Some(image.files[&image.find(path)?].access.mode)
    }

    fn image(&self) -> MutexGuard<'_, Image> {
        self.0.lock().expect("no panic in the disk")
    }

    fn change(&self) -> io::Result<MutexGuard<'_, Image>> {
        let image = self.image();
        if image.read_only { Err(io::ErrorKind::ReadOnlyFilesystem.into()) } else { Ok(image) }
    }
}

impl Image {
    fn tick(&mut self) -> i64 {
        self.tick += 1;
        self.tick
    }

    fn entry(&self, path: &Path) -> Option<Entry> {
        let Some((dir, name)) = path.parent().zip(path.file_name()) else { return Some(Entry::Folder) };
        // A name in a folder that is gone leads nowhere.
        match self.entry(dir)? {
            Entry::Folder => self.folders.get(dir)?.names.get(name).copied(),
            Entry::File(_) => None,
        }
    }

    fn find(&self, path: &Path) -> Option<u64> {
        match self.entry(path)? {
            Entry::File(inode) => Some(inode),
            Entry::Folder => None,
        }
    }

    fn folder(&mut self, path: &Path) -> io::Result<(&mut Folder, OsString)> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let (dir, name) = path.parent().zip(path.file_name()).ok_or_else(missing)?;
        if self.entry(dir) != Some(Entry::Folder) {
            return Err(missing());
        }
        Ok((self.folders.get_mut(dir).ok_or_else(missing)?, name.to_owned()))
    }

    fn create_dir(&mut self, dir: &Path) {
        if self.entry(dir) == Some(Entry::Folder) {
            return;
        }
        if let Some(parent) = dir.parent() {
            self.create_dir(parent);
        }
        let (folder, name) = self.folder(dir).expect("made before");
        folder.names.insert(name, Entry::Folder);
        self.folders.insert(dir.to_owned(), Folder::default());
    }

    fn create(&mut self, path: &Path) -> io::Result<u64> {
        if let Some(inode) = self.find(path) {
            self.files.get_mut(&inode).expect("a file").data.clear();
            return Ok(inode);
        }
        let (inode, now) = (self.next_inode, self.tick());
        self.next_inode += 1;
        let (folder, name) = self.folder(path)?;
        folder.names.insert(name, Entry::File(inode));
        let access = Access { mode: 0o644, owner: None };
        self.files
            .insert(inode, Inode { data: vec![], durable: vec![], access, modified: now, changed: now });
        Ok(inode)
    }

    fn used(&self) -> u64 {
        self.files.values().map(|file| file.data.len() as u64).sum()
    }

    /// Frees files that have no name any more, neither now nor after a power cut.
    fn collect(&mut self) {
        let folders = self.folders.values();
        let named: BTreeSet<Entry> = folders
            .flat_map(|folder| folder.names.values().chain(folder.durable.values()))
            .copied()
            .collect();
        self.files.retain(|inode, _| named.contains(&Entry::File(*inode)));
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let number = |entry: &Self| match entry {
            Self::File(inode) => Some(*inode),
            Self::Folder => None,
        };
        number(self).cmp(&number(other))
    }
}

impl Storage for MemoryDisk {
    fn facts(&self, path: &Path) -> io::Result<Option<Facts>> {
        let image = self.image();
        Ok(image.entry(path).map(|entry| match entry {
            Entry::File(inode) => {
                let file = &image.files[&inode];
                let stamp = Stamp { modified: file.modified, changed: file.changed, inode };
                Facts { is_file: true, size: file.data.len() as u64, stamp, access: file.access }
            }
            Entry::Folder => Facts {
                is_file: false,
                size: 0,
                stamp: Stamp::default(),
                access: Access { mode: 0o755, owner: None },
            },
        }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let image = self.image();
        let names = image.folders.get(dir).map(|folder| folder.names.keys());
        Ok(names.into_iter().flatten().map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.change()?.create_dir(dir);
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let image = self.image();
        let inode = image.find(path).ok_or(io::ErrorKind::NotFound)?;
        // A copy: an open file outlives its names.
        Ok(Box::new(OpenFile(image.files[&inode].data.clone())))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let inode = self.change()?.create(path)?;
        Ok(Box::new(NewFile { disk: self.clone(), inode }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let inode = self.change()?.find(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(NewFile { disk: self.clone(), inode }))
    }

    fn set_access(&self, path: &Path, access: Access) -> io::Result<()> {
        let mut image = self.change()?;
        let (inode, now) = (image.find(path).ok_or(io::ErrorKind::NotFound)?, image.tick());
        let file = image.files.get_mut(&inode).expect("a file");
        (file.access, file.changed) = (access, now);
        Ok(())
    }

    fn link(&self, old: &Path, new: &Path) -> io::Result<()> {
        let mut image = self.change()?;
        let (inode, now) = (image.find(old).ok_or(io::ErrorKind::NotFound)?, image.tick());
        let (folder, name) = image.folder(new)?;
        if folder.names.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        folder.names.insert(name, Entry::File(inode));
        image.files.get_mut(&inode).expect("a file").changed = now;
        Ok(())
    }

    fn rename(&self, old: &Path, new: &Path) -> io::Result<()> {
        let mut image = self.change()?;
        let (inode, now) = (image.find(old).ok_or(io::ErrorKind::NotFound)?, image.tick());
        if image.find(new) == Some(inode) {
            // Two names of one file: POSIX has rename do nothing.
            return Ok(());
        }
        let (folder, name) = image.folder(new)?;
        folder.names.insert(name, Entry::File(inode));
        let (folder, name) = image.folder(old)?;
        folder.names.remove(&name);
        image.files.get_mut(&inode).expect("a file").changed = now;
        image.collect();
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut image = self.change()?;
        let (folder, name) = image.folder(path)?;
        folder.names.remove(&name);
        image.collect();
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut image = self.change()?;
        let folder = image.folders.get_mut(dir).ok_or(io::ErrorKind::NotFound)?;
        folder.durable = folder.names.clone();
        image.collect();
        Ok(())
    }

    fn space(&self, _dir: &Path) -> io::Result<u64> {
        let image = self.image();
        Ok(image.capacity.saturating_sub(image.used()))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn LockGuard>>> {
        let mut image = self.change()?;
        if image.find(path).is_none() {
            image.create(path)?;
        }
        if !image.locked.insert(path.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Box::new(Lock { disk: self.clone(), path: path.to_owned() })))
    }
}

struct OpenFile(Vec<u8>);

impl ReadAt for OpenFile {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }
}

struct NewFile {
    disk: MemoryDisk,
    inode: u64,
}

impl Write for NewFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut image = self.disk.change()?;
        let room = usize::try_from(image.capacity.saturating_sub(image.used())).unwrap_or(usize::MAX);
        let (taken, now) = (buf.len().min(room), image.tick());
        if taken == 0 && !buf.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // A file that was removed while it was written swallows what comes.
        if let Some(file) = image.files.get_mut(&self.inode) {
            file.data.extend_from_slice(&buf[..taken]);
            (file.modified, file.changed) = (now, now);
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteFile for NewFile {
    // Nobody else writes here: what there is room for now there is room for later.
    fn reserve(&mut self, len: u64) -> io::Result<()> {
        let image = self.disk.change()?;
        let room = image.capacity.saturating_sub(image.used());
        if len <= room { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut image = self.disk.change()?;
        if let Some(file) = image.files.get_mut(&self.inode) {
            file.durable = file.data.clone();
        }
        Ok(())
    }
}

struct Lock {
    disk: MemoryDisk,
    path: PathBuf,
}

impl LockGuard for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        self.disk.image().locked.remove(&self.path);
    }
}
