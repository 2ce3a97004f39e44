//! `smidgen status`: what is installed in a folder and what is known, without asking anybody.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_client::{Build, FileStatus, Known, Status, status};

use super::line;
use crate::exit::Exit;
use crate::failure::Problem;
use crate::quantity::bytes;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Nothing is fetched: what is known of newer releases is what the last update learnt. The exit code
is 6 when nothing was installed here.

Examples:
  $ smidgen status --dir /opt/editor
  $ smidgen status --dir /opt/editor --json";

/// Show what is installed in a folder
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusCommand {
    /// The folder that is kept up to date.
    #[arg(long)]
    dir: PathBuf,
}

impl StatusCommand {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report =
            self.status().with_context(|| format!("failed to tell the status of {}", self.dir.display()))?;
        screen.show(&report, text)?;
        Ok(Exit::Done)
    }

    fn status(&self) -> Result<Status> {
        let report = status(&self.dir)?;
        if report.installed.is_none() && report.last_check.is_none() {
            let message =
                "nothing was ever installed there by smidgen; check the folder, or run `smidgen update`";
            return Err(Problem::new(Exit::NotApplicable, "not_installed", message).into());
        }
        Ok(report)
    }
}

fn text(report: &Status) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| text.push_str(&format!("{name:<9}  {value}\n"));
    if let Some(followed) = &report.follows {
        row("follows", line::label(followed));
    }
    row("installed", installed(report.installed.as_ref(), report.file));
    if let Some(build) = &report.previous {
        row("previous", format!("{} (kept)", build.version));
    }
    if let Some(known) = &report.known {
        row("newest", newest(known));
        row("valid", format!("until {}", known.expires));
    }
    if let Some(check) = &report.last_check {
        row("checked", format!("{}: {}", check.at, check.code));
    }
    text
}

fn installed(build: Option<&Build>, file: FileStatus) -> String {
    let Some(build) = build else { return "nothing".to_owned() };
    let state = match file {
        FileStatus::Intact => "intact",
        FileStatus::Missing => "the file is gone; the next update installs it again",
        _ => "the file was changed since; the next update repairs it",
    };
    format!("{} {} (release {}, {}), {state}", build.name, build.version, build.sequence, bytes(build.size))
}

fn newest(known: &Known) -> String {
    match known.severity_skipped {
        Some(severity) => format!(
            "{} (release {}), {severity}, {} to fetch",
            known.newest,
            known.sequence,
            bytes(known.bytes_to_fetch),
        ),
        None => format!("{} (release {})", known.newest, known.sequence),
    }
}
