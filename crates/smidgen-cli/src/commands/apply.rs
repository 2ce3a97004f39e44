//! `smidgen apply`: makes the new file from the old one and a patch.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;
use smidgen_client::storage::ReadFile;
use smidgen_client::{Disk, Storage as _};
use smidgen_delta::{Limits, Patch};

use crate::exit::Exit;
use crate::failure::Problem;
use crate::new_file::NewFile;
use crate::quantity::bytes;
use crate::screen::Screen;

const EXAMPLES: &str = "\
NEW appears only after its digest has been checked, with the permissions of OLD.

Examples:
  $ smidgen apply hello-1.0 hello-1.0-to-1.1.patch hello-1.1
  $ smidgen apply --json hello-1.0 hello-1.0-to-1.1.patch hello-1.1";

/// Make the new file from the old one and a patch
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Apply {
    /// The file that the patch was made from.
    old: PathBuf,
    /// The patch.
    patch: PathBuf,
    /// Where the new file goes.
    new: PathBuf,
}

#[derive(Serialize)]
struct Report {
    new: PathBuf,
    new_size: u64,
    new_digest: String,
    patch_size: u64,
}

impl Apply {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report = self
            .apply()
            .with_context(|| format!("failed to apply {} to {}", self.patch.display(), self.old.display()))?;
        screen.show(&report, |report| {
            format!(
                "{}: {} from a patch of {}, digest {}\n",
                report.new.display(),
                bytes(report.new_size),
                bytes(report.patch_size),
                report.new_digest,
            )
        })?;
        Ok(Exit::Done)
    }

    fn apply(&self) -> Result<Report> {
        let raw = open(&self.patch)?;
        let patch = Patch::open(&*raw, &Limits::default())?;
        let old = open(&self.old)?;
        let permissions = std::fs::metadata(&self.old)?.permissions();
        let mut new = NewFile::create(&self.new, &[&self.old, &self.patch])?;
        new.reserve(patch.header().new_size)?;
        let applied = patch.apply(&&*old, &mut new)?;
        new.publish(Some(permissions))?;
        Ok(Report {
            new: self.new.clone(),
            new_size: applied.new_size,
            new_digest: applied.new_digest.to_string(),
            patch_size: raw.size(),
        })
    }
}

/// Opens a file for positioned reads, so that memory stays within what the patch promises.
pub(super) fn open(path: &Path) -> Result<Box<dyn ReadFile>> {
    let context = || format!("failed to read {}", path.display());
    if !std::fs::metadata(path).with_context(context)?.is_file() {
        let message =
            format!("{} is not a regular file, and only such can be read at any place", path.display());
        return Err(Problem::new(Exit::Usage, "not_a_file", message).into());
    }
    Disk.open(path).with_context(context)
}
