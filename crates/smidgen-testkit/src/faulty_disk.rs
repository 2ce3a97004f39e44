//! A storage that fails, or dies, at one chosen step.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use smidgen_client::storage::{Access, Facts, LockGuard, ReadFile, Storage, WriteFile};

/// What happens at the chosen step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The step fails with this error; everything else works.
    Fail(io::ErrorKind),
    /// The process is gone: the step does not happen (half of it, if it is a write), and none after it does.
    Kill,
    /// No step fails by itself, but the disk always says that there is room.
    ClaimSpace,
}

/// Wraps a storage and counts its steps. Clones count together.
#[derive(Debug, Clone)]
pub struct FaultyDisk<S> {
    disk: S,
    fault: Arc<Fault>,
}

#[derive(Debug)]
struct Fault {
    at: usize,
    damage: Damage,
    steps: AtomicUsize,
}

impl Fault {
    /// Takes one step; `Err` if it is not to happen.
    fn step(&self) -> io::Result<()> {
        let number = self.steps.fetch_add(1, Ordering::SeqCst);
        match self.damage {
            Damage::Fail(kind) if number == self.at => Err(kind.into()),
            Damage::Kill if number >= self.at => Err(io::Error::other("killed")),
            _ => Ok(()),
        }
    }
}

impl<S: Storage> FaultyDisk<S> {
    /// Does `damage` to the step with number `at`, counted from 0.
    pub fn new(disk: S, at: usize, damage: Damage) -> Self {
        Self { disk, fault: Arc::new(Fault { at, damage, steps: AtomicUsize::new(0) }) }
    }

    /// Whether so many steps were taken that the fault has happened.
    #[must_use]
    pub fn has_struck(&self) -> bool {
        self.fault.steps.load(Ordering::SeqCst) > self.fault.at
    }
}

impl<S: Storage> Storage for FaultyDisk<S> {
    fn facts(&self, path: &Path) -> io::Result<Option<Facts>> {
        self.fault.step()?;
        self.disk.facts(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.fault.step()?;
        self.disk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.fault.step()?;
        self.disk.create_dir(dir)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        self.fault.step()?;
        self.disk.open(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.fault.step()?;
        let file = self.disk.create(path)?;
        Ok(Box::new(FaultyFile { file, fault: Arc::clone(&self.fault) }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        self.fault.step()?;
        let file = self.disk.append(path)?;
        Ok(Box::new(FaultyFile { file, fault: Arc::clone(&self.fault) }))
    }

    fn set_access(&self, path: &Path, access: Access) -> io::Result<()> {
        self.fault.step()?;
        self.disk.set_access(path, access)
    }

    fn link(&self, old: &Path, new: &Path) -> io::Result<()> {
        self.fault.step()?;
        self.disk.link(old, new)
    }

    fn rename(&self, old: &Path, new: &Path) -> io::Result<()> {
        self.fault.step()?;
        self.disk.rename(old, new)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.fault.step()?;
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.fault.step()?;
        self.disk.sync_dir(dir)
    }

    fn space(&self, dir: &Path) -> io::Result<u64> {
        self.fault.step()?;
        if self.fault.damage == Damage::ClaimSpace { Ok(u64::MAX) } else { self.disk.space(dir) }
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn LockGuard>>> {
        self.fault.step()?;
        self.disk.lock(path)
    }
}

struct FaultyFile {
    file: Box<dyn WriteFile>,
    fault: Arc<Fault>,
}

impl Write for FaultyFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.fault.step() {
            // What a full disk or a crash leaves of a write is any part of it.
            let first = self.fault.steps.load(Ordering::SeqCst) == self.fault.at + 1;
            if first {
                self.file.write_all(&buf[..buf.len() / 2])?;
            }
            return Err(error);
        }
        self.file.write_all(buf)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl WriteFile for FaultyFile {
    fn reserve(&mut self, len: u64) -> io::Result<()> {
        self.fault.step()?;
        if self.fault.damage == Damage::ClaimSpace { Ok(()) } else { self.file.reserve(len) }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.fault.step()?;
        self.file.sync()
    }
}
