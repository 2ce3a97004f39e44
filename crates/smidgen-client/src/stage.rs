//! Fourth step: makes the new build beside the installed one and proves it.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use smidgen_delta::{Applied, ApplyError, Digest, Patch, full};

use crate::blocking_work::off_loop;
use crate::client::Client;
use crate::error::{Error, StageError};
use crate::fetch::Fetched;
use crate::folder::{Folder, Reader, step};
use crate::observer::{Event, Observer};
use crate::plan::{Plan, Way};
use crate::storage::WriteFile;

/// Handed to the file system at a time.
const WRITE_LEN: usize = 256 * 1024;

/// A new build that is whole, durable, and has the signed size and digests.
#[derive(Debug)]
pub struct Staged {
    pub(crate) plan: Plan,
    pub(crate) path: PathBuf,
}

impl Staged {
    /// The plan that it belongs to.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl Client {
    /// Applies the fetched patch to the installed build, or expands the full copy, and compares the result with signed
    /// metadata. The installed build is only read.
    ///
    /// # Errors
    /// Whatever stopped it; nothing of the new build is left then. [`Plan::fall_back`] has the next plan.
    pub async fn stage(&self, fetched: Fetched) -> Result<Staged, Error> {
        let work = Work {
            folder: self.folder.clone(),
            limits: self.config.limits.delta.clone(),
            spare_space: self.config.limits.spare_space,
            observer: Arc::clone(&self.observer),
            plan: fetched.plan,
        };
        off_loop("staging", move || work.run(&fetched.path)).await
    }
}

/// What staging needs on the thread that does it.
struct Work {
    folder: Folder,
    limits: smidgen_delta::Limits,
    spare_space: u64,
    observer: Arc<dyn Observer>,
    plan: Plan,
}

impl Work {
    fn run(self, blob: &Path) -> Result<Staged, Error> {
        let path = self.folder.layout.build(&self.plan.digest());
        if !matches!(self.plan.way(), Way::Kept) {
            let unfinished = self.folder.layout.unfinished_build(&self.plan.digest());
            if let Err(error) = self.make(blob, &unfinished) {
                // The error that counts is the first; a leftover is overwritten by the next attempt.
                let _ = self.folder.remove(&unfinished);
                if self.is_blob_to_blame(&error) {
                    let _ = self.folder.remove(blob);
                }
                return Err(error);
            }
            self.folder.rename(&unfinished, &path)?;
            self.folder.sync_dir(&self.folder.layout.builds())?;
        }
        Ok(Staged { plan: self.plan, path })
    }

    /// Bytes with the signed digest that nevertheless lead nowhere: fetching them again would bring the same.
    fn is_blob_to_blame(&self, error: &Error) -> bool {
        matches!(error, Error::Stage(error) if !matches!(error, StageError::Apply(ApplyError::OldUnreadable(_))))
    }

    fn make(&self, blob: &Path, unfinished: &Path) -> Result<(), Error> {
        self.folder.require_space(self.plan.size().saturating_add(self.spare_space))?;
        let mut file = self.folder.create(unfinished)?;
        file.reserve(self.plan.size()).map_err(|source| step("make room for", unfinished, source))?;
        let output =
            Output { file, sha256: Sha256::new(), len: 0, size: self.plan.size(), observer: &*self.observer };
        let mut output = BufWriter::with_capacity(WRITE_LEN, output);
        let written = |source| Error::from(step("write", unfinished, source));
        let applied = match self.plan.way() {
            Way::Patch { .. } => self.apply(blob, &mut output),
            _ => self.expand(blob, &mut output),
        };
        let applied = applied.map_err(|error| match error {
            StageError::Apply(ApplyError::OutputFailed(source))
            | StageError::Expand(full::FullError::New(ApplyError::OutputFailed(source))) => written(source),
            error => error.into(),
        })?;
        let mut output = output.into_inner().map_err(|error| written(error.into_error()))?;
        self.compare(&applied, &output)?;
        output.file.sync().map_err(|source| step("sync", unfinished, source))?;
        drop(output);
        self.folder.set_access(unfinished, self.plan.access())?;
        Ok(())
    }

    fn apply(&self, blob: &Path, output: &mut impl Write) -> Result<Applied, StageError> {
        let unreadable = |source: io::Error| StageError::Apply(ApplyError::PatchUnreadable(source));
        let raw = self.folder.open_raw(blob).map_err(unreadable)?;
        let patch = Patch::open(&*raw, &self.limits)?;
        let header = patch.header();
        self.require("new digest", &header.new_digest, &self.plan.digest())?;
        self.require("new size", &header.new_size, &self.plan.size())?;
        let old = self
            .folder
            .open_raw(self.plan.installed_path())
            .map_err(|source| StageError::Apply(ApplyError::OldUnreadable(source)))?;
        Ok(patch.apply(&&*old, output)?)
    }

    fn expand(&self, blob: &Path, output: &mut impl Write) -> Result<Applied, StageError> {
        let packed = self.folder.open_raw(blob).map_err(full::FullError::Unreadable)?;
        let expected = full::Expected { size: self.plan.size(), digest: self.plan.digest() };
        Ok(full::expand(Reader::new(&*packed), output, expected, &self.limits)?)
    }

    fn require<T: PartialEq + ToString>(
        &self,
        field: &'static str,
        found: &T,
        expected: &T,
    ) -> Result<(), StageError> {
        if found == expected {
            return Ok(());
        }
        Err(StageError::Mislabelled { field, found: found.to_string(), expected: expected.to_string() })
    }

    /// The decoder has compared its result with what the blob promises; this compares it with what was signed.
    fn compare(&self, applied: &Applied, output: &Output<'_>) -> Result<(), StageError> {
        let release = self.plan.release();
        let sha256 = smidgen_metadata::Sha256::from_bytes(output.sha256.clone().finalize().into());
        let differs = |field, found: String, expected: String| StageError::Differs { field, found, expected };
        if output.len != release.size {
            return Err(differs("size", output.len.to_string(), release.size.to_string()));
        }
        if applied.new_digest != Digest::from_bytes(*release.blake3.as_bytes()) {
            return Err(differs("BLAKE3", applied.new_digest.to_string(), release.blake3.to_string()));
        }
        if sha256 != release.sha256 {
            return Err(differs("SHA-256", sha256.to_string(), release.sha256.to_string()));
        }
        Ok(())
    }
}

/// The new build while it is written: digested on the way, and never longer than signed.
struct Output<'a> {
    file: Box<dyn WriteFile>,
    sha256: Sha256,
    len: u64,
    size: u64,
    observer: &'a dyn Observer,
}

impl Write for Output<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.len() as u64 > self.size.saturating_sub(self.len) {
            return Err(io::Error::other("the new build is longer than signed metadata says"));
        }
        let len = self.file.write(buf)?;
        self.sha256.update(buf.get(..len).unwrap_or(buf));
        self.len = self.len.saturating_add(len as u64);
        self.observer.event(&Event::Staging { done: self.len, size: self.size });
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
