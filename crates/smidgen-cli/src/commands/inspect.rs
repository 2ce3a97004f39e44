//! `smidgen inspect`: says what is in a patch or in a file of signed metadata, trusting neither.

mod metadata;
mod patch;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;
use smidgen_server::mapped::Frozen;

use crate::exit::Exit;
use crate::failure::Problem;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Nothing is verified: a signature or digest that is shown is what the file says.

Examples:
  $ smidgen inspect hello-1.0-to-1.1.patch
  $ smidgen inspect repo/metadata/timestamp.json --json";

/// Show what a patch or a metadata file says
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Inspect {
    /// A patch, or a file of a repository's metadata.
    file: PathBuf,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Report {
    Patch(patch::Report),
    Metadata(metadata::Report),
}

impl Inspect {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report = self.inspect().with_context(|| format!("failed to inspect {}", self.file.display()))?;
        screen.show(&report, |report| match report {
            Report::Patch(report) => report.text(),
            Report::Metadata(report) => report.text(),
        })?;
        Ok(Exit::Done)
    }

    fn inspect(&self) -> Result<Report> {
        let raw = Frozen::copy_of(&self.file, None)?;
        if raw.starts_with(&smidgen_delta::MAGIC) {
            return patch::Report::of(&raw).map(Report::Patch);
        }
        if raw.trim_ascii_start().starts_with(b"{") {
            return metadata::Report::of(&raw).map(Report::Metadata);
        }
        let start: String = raw.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Err(Problem::new(
            Exit::Failed,
            "unknown_file",
            format!(
                "found a file that starts with {start:?}, expected a patch (\"736d6467\") or signed metadata \
                 (JSON with \"signed\" and \"signatures\"); check which file was given"
            ),
        )
        .into())
    }
}
