//! `smidgen apply`: makes the new file from the old one and a patch.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;
use smidgen_client::storage::ReadFile;
use smidgen_delta::{Limits, MAGIC, Patch};

use crate::exit::Exit;
use crate::input::{self, open};
use crate::new_file::NewFile;
use crate::progress;
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
    /// Where the new file goes; a file that is there is replaced.
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
            .apply(screen)
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

    fn apply(&self, screen: &Screen) -> Result<Report> {
        let raw = open(&self.patch)?;
        refuse_what_is_no_patch(&*raw)?;
        let patch = Patch::open(&*raw, &Limits::default())?;
        let old = open(&self.old)?;
        let permissions = std::fs::metadata(&self.old)?.permissions();
        let mut new = NewFile::create(&self.new, &[&self.old, &self.patch])?;
        let new_size = patch.header().new_size;
        new.reserve(new_size)?;
        let bar = progress::making(screen, new_size, "making the new file");
        let applied = patch.apply(&&*old, &mut bar.wrap_write(&mut new))?;
        bar.finish_and_clear();
        new.publish(Some(permissions))?;
        Ok(Report {
            new: self.new.clone(),
            new_size: applied.new_size,
            new_digest: applied.new_digest.to_string(),
            patch_size: raw.size(),
        })
    }
}

/// What does not begin as a patch was never one: another file was given, and none is damaged.
fn refuse_what_is_no_patch(raw: &dyn ReadFile) -> Result<()> {
    let size = usize::try_from(raw.size()).unwrap_or(usize::MAX);
    let mut start = vec![0; size.min(input::START)];
    raw.read_exact_at(&mut start, 0).context("failed to read the patch")?;
    if start.starts_with(&MAGIC) {
        return Ok(());
    }
    Err(input::unknown(&start, "a patch, which begins with \"smdg\""))
}
