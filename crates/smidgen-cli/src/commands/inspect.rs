//! `smidgen inspect`: says what is in a patch or in a file of signed metadata, trusting neither.

mod account;
mod delegations;
mod metadata;
mod patch;
mod picture;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Problem;
use crate::input::{self, freeze};
use crate::new_file::NewFile;
use crate::progress;
use crate::screen::Screen;

const EXAMPLES: &str = "\
A signature or digest that is shown is what the file says, and is not verified.

With --old, a patch of codec reference is applied, which verifies the old file and the new one, and its bytes are \
shown by section of the new file: where matches begin (controls), references that were predicted and that were not, \
bytes that differ, and bytes that no match explains (extra).

Examples:
  $ smidgen inspect hello-1.0-to-1.1.patch
  $ smidgen inspect hello-1.0-to-1.1.patch --old hello-1.0 --picture hello.svg
  $ smidgen inspect repo/metadata/timestamp.json --json";

/// Show what a patch or a metadata file says
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Inspect {
    /// A patch, or a file of a repository's metadata.
    file: PathBuf,
    /// The file that the patch was made from: shows where the patch's bytes go.
    #[arg(long, value_name = "OLD")]
    old: Option<PathBuf>,
    /// The file that the patch makes, so that it need not be made.
    #[arg(long, value_name = "NEW", requires = "old")]
    new: Option<PathBuf>,
    /// Where a picture of it goes, as SVG; a file that is there is replaced.
    #[arg(long, value_name = "FILE.svg", requires = "old")]
    picture: Option<PathBuf>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Report {
    Patch(Box<patch::Report>),
    Metadata(metadata::Report),
}

impl Inspect {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report =
            self.inspect(screen).with_context(|| format!("failed to inspect {}", self.file.display()))?;
        screen.show(&report, |report| match report {
            Report::Patch(report) => report.text(),
            Report::Metadata(report) => report.text(),
        })?;
        Ok(Exit::Done)
    }

    fn inspect(&self, screen: &Screen) -> Result<Report> {
        let raw = freeze(&self.file)?;
        if raw.starts_with(&smidgen_delta::MAGIC) {
            return self.inspect_patch(&raw, screen).map(|report| Report::Patch(Box::new(report)));
        }
        if !raw.trim_ascii_start().starts_with(b"{") {
            let expected = "a patch, which begins with \"smdg\", or signed metadata (JSON with \"signed\" and \
                            \"signatures\")";
            return Err(input::unknown(&raw, expected));
        }
        if self.old.is_some() {
            let message = "this is metadata, and only patches have an old file: leave --old out";
            return Err(Problem::new(Exit::Usage, "not_a_patch", message).into());
        }
        metadata::Report::of(&raw).map(Report::Metadata)
    }

    fn inspect_patch(&self, raw: &[u8], screen: &Screen) -> Result<patch::Report> {
        let mut report = patch::Report::of(raw)?;
        let Some(old) = &self.old else {
            return Ok(report);
        };
        let old_bytes = freeze(old)?;
        let new_bytes = self.new.as_deref().map(freeze).transpose()?;
        let inputs: Vec<&Path> =
            [&self.file, old].into_iter().chain(&self.new).map(PathBuf::as_path).collect();
        let picture = self.picture.as_ref().map(|path| NewFile::create(path, &inputs)).transpose()?;
        let spinner = progress::spinner(screen, "applying the patch and keeping account");
        let account = report.account_for(raw, &old_bytes, new_bytes.as_deref())?;
        spinner.finish_and_clear();
        if let Some(mut file) = picture {
            file.write_all(account.picture().as_bytes())?;
            file.publish(None)?;
        }
        report.picture.clone_from(&self.picture);
        Ok(report)
    }
}
