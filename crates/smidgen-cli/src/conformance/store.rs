//! The folder of trusted metadata: bytes as received, each file replaced as a whole.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tempfile::NamedTempFile;

/// Metadata files by the encoded name of their role.
pub(crate) struct Store {
    dir: PathBuf,
}

impl Store {
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// What is stored of a role; `None` if nothing is.
    pub(crate) fn read(&self, role: &str, max_len: u64) -> Result<Option<Vec<u8>>> {
        let path = self.path(role);
        let found = match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found.with_context(|| format!("failed to look at {}", path.display()))?.len(),
        };
        ensure!(found <= max_len, "{} has {found} bytes, expected at most {max_len}", path.display());
        fs::read(&path).map(Some).with_context(|| format!("failed to read {}", path.display()))
    }

    pub(crate) fn write(&self, role: &str, raw: &[u8]) -> Result<()> {
        let path = self.path(role);
        let mut file = Unfinished::new(&path)?;
        file.write_all(raw).with_context(|| format!("failed to write {}", path.display()))?;
        file.finish()
    }

    pub(crate) fn remove(&self, role: &str) -> Result<()> {
        let path = self.path(role);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("failed to remove {}", path.display()))
            }
            _ => sync_dir(&self.dir),
        }
    }

    fn path(&self, role: &str) -> PathBuf {
        self.dir.join(format!("{role}.json"))
    }
}

/// A file that appears whole and synced, or not at all.
pub(crate) struct Unfinished {
    path: PathBuf,
    file: NamedTempFile,
}

impl Unfinished {
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let dir = path.parent().context("a file needs a folder")?;
        let failed = || format!("failed to write {}", path.display());
        fs::create_dir_all(dir).with_context(failed)?;
        let file = NamedTempFile::new_in(dir).with_context(failed)?;
        Ok(Self { path: path.to_owned(), file })
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)
    }

    pub(crate) fn finish(self) -> Result<()> {
        let failed = || format!("failed to write {}", self.path.display());
        self.file.as_file().sync_all().with_context(failed)?;
        self.file.persist(&self.path).with_context(failed)?;
        self.path.parent().map_or(Ok(()), sync_dir)
    }
}

fn sync_dir(dir: &Path) -> Result<()> {
    let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.with_context(|| format!("failed to sync {}", dir.display()))
}
