//! `smidgen key sign-root`: adds a signature to a draft, after saying what is signed.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::Serialize;
use smidgen_metadata::KeyId;
use smidgen_server::ceremony::{Comparison, Draft, Progress, Surprise};
use smidgen_server::clock::{Clock as _, SystemClock};

use super::draft::{save, short, summary};
use crate::exit::Exit;
use crate::key_folder::KeyFolder;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Works without a network and without the repository. FILE is the root that this place trusts: its own
copy, not one that came with the draft. What the draft changes against it is shown, and what is
seldom meant is refused unless it is accepted by its name. Every root key in DIR signs.

Examples:
  $ smidgen key sign-root 2.root.json --trusted 1.root.json --keys usb
  $ smidgen key sign-root 2.root.json --trusted 1.root.json --keys usb --dry-run --json
  $ smidgen key sign-root 2.root.json --trusted 1.root.json --keys usb --accept threshold-lowered";

/// Sign a draft of a root
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct SignRoot {
    /// The draft; the signature is added in place.
    draft: PathBuf,
    /// The root that is trusted here.
    #[arg(long, value_name = "FILE")]
    trusted: PathBuf,
    #[command(flatten)]
    keys: KeyFolder,
    /// Sign in spite of this; can be given several times.
    #[arg(long, value_name = "CODE", value_parser = PossibleValuesParser::new(Surprise::CODES))]
    accept: Vec<String>,
    /// Write the signed draft here, and leave the other as it is.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Only say what would be signed.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Report {
    dry_run: bool,
    draft: PathBuf,
    version: u64,
    /// Keys that signed in this run.
    signed: Vec<KeyId>,
    #[serde(flatten)]
    comparison: Comparison,
    signatures: Progress,
}

impl SignRoot {
    pub(super) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report = self.sign().with_context(|| format!("failed to sign {}", self.draft.display()))?;
        screen.show(&report, text)?;
        Ok(Exit::Done)
    }

    fn sign(&self) -> Result<Report> {
        let now = SystemClock.now();
        let trusted = read(&self.trusted)?;
        let draft = read(&self.draft)?;
        let trusted = trusted.self_signed()?;
        let comparison = draft.compare(&trusted, now);
        let (draft, signed) = match self.dry_run {
            true => (draft, Vec::new()),
            false => draft.sign(&trusted, &self.keys.open_offline()?, &self.accept, now)?,
        };
        let path = self.out.as_ref().unwrap_or(&self.draft);
        if !self.dry_run {
            save(path, draft.bytes(), &[&self.trusted])?;
        }
        Ok(Report {
            dry_run: self.dry_run,
            draft: path.clone(),
            version: draft.version(),
            signed,
            comparison,
            signatures: draft.progress(&trusted),
        })
    }
}

fn read(path: &Path) -> Result<Draft> {
    let bytes = std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(Draft::parse(bytes, &path.display().to_string())?)
}

fn text(report: &Report) -> String {
    let mut text = summary(&report.comparison, &report.signatures);
    for id in &report.signed {
        text.push_str(&format!("signed with {}\n", short(id.as_str())));
    }
    text.push_str(match (report.dry_run, report.signatures.complete) {
        (true, _) => "nothing was signed\n",
        (false, true) => "complete: put it in force with `smidgen key publish-root`\n",
        (false, false) => "more signatures are needed\n",
    });
    text
}
