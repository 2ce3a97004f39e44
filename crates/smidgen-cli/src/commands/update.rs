//! `smidgen update`: brings a folder to the newest release that is wanted.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use serde::Serialize;
use smidgen_client::blocking::Client;
use smidgen_client::{Activated, Config, FullCopies, Mode, Outcome, PlanReport, Policy, Reason, Way};
use url::Url;

use super::line::{self, LineArguments};
use crate::exit::Exit;
use crate::quantity::{bytes, saving, table};
use crate::screen::Screen;
use crate::updating::{self, Updating};
use crate::words;

const EXAMPLES: &str = "\
The first install into an empty DIR is the same command. Whatever goes wrong, the installed build
stays as it is, and the next run goes on where this one stopped.

Examples:
  $ smidgen update --url https://updates.example.org/ --root root.json --product editor \\
      --channel stable --platform x86_64-linux --dir /opt/editor
  $ smidgen update --url https://updates.example.org/ --root root.json --product editor \\
      --platform x86_64-linux --plugin spell --dir /opt/editor --policy critical --json
  $ smidgen update --url https://updates.example.org/ --root root.json --product editor \\
      --platform x86_64-linux --dir /opt/editor --dry-run";

/// Install the newest release, or update to it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Update {
    /// Where the repository is served.
    #[arg(long)]
    url: Url,
    /// The trusted root metadata that came with the program.
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// The folder to keep up to date; made when missing.
    #[arg(long)]
    dir: PathBuf,
    #[command(flatten)]
    line: LineArguments,
    /// Which updates are wanted, by the highest severity among all releases that were skipped.
    #[arg(long, default_value = "all", value_parser = words::policy())]
    policy: Policy,
    /// When the full copy may be fetched; first-install waits for a patch where a build is installed.
    #[arg(long, value_enum, value_name = "WHEN", default_value = "allowed")]
    full_copies: FullCopiesArgument,
    /// Only say that a wanted update is there.
    #[arg(long, conflicts_with = "dry_run")]
    notify: bool,
    /// Only say what would be done, and how many bytes it takes.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FullCopiesArgument {
    Allowed,
    FirstInstall,
}

#[derive(Serialize)]
struct Report {
    dry_run: bool,
    #[serde(flatten)]
    outcome: Outcome,
}

impl Update {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let outcome = self
            .update(screen)
            .with_context(|| format!("failed to update {} from {}", self.dir.display(), self.url))?;
        let report = Report { dry_run: self.dry_run, outcome };
        screen.show(&report, |report| self.text(&report.outcome))?;
        Ok(Exit::Done)
    }

    fn update(&self, screen: &Screen) -> Result<Outcome> {
        let root = std::fs::read(&self.root)
            .with_context(|| format!("failed to read the trusted root {}", self.root.display()))?;
        let mode = if self.notify || self.dry_run { Mode::Notify } else { Mode::Install };
        let full_copies = match self.full_copies {
            FullCopiesArgument::Allowed => FullCopies::Allowed,
            FullCopiesArgument::FirstInstall => FullCopies::FirstInstall,
        };
        let config = Config::new(self.url.clone(), root, self.line.line(), &self.dir)
            .policy(self.policy)
            .mode(mode)
            .full_copies(full_copies);
        let client = Client::new(config)?.with_observer(Updating::new(screen));
        Ok(client.update()?)
    }

    fn text(&self, outcome: &Outcome) -> String {
        let line = line::label(&self.line.line());
        match outcome {
            Outcome::UpToDate(report) => format!(
                "{line}: {} is up to date ({} fetched in {})\n",
                report.installed.version,
                bytes(report.bytes_fetched),
                if report.requests == 1 {
                    "1 request".to_owned()
                } else {
                    format!("{} requests", report.requests)
                },
            ),
            Outcome::BelowPolicy(report) => format!(
                "{line}: {} stays; {} is newer, but nothing in it is more than {}, and the policy is {}\n",
                report.installed.version, report.newest, report.severity, report.policy,
            ),
            Outcome::UpdateAvailable(plan) => format!("{line}: {}", planned(plan)),
            Outcome::Installed(activated) => format!("{line}: installed {}\n", switched(activated)),
            Outcome::Repaired(activated) => format!("{line}: repaired {}\n", switched(activated)),
            Outcome::Updated(activated) => {
                let previous = activated.previous.as_ref().map_or("?", |build| &build.version);
                format!("{line}: updated {previous} to {}\n", switched(activated))
            }
            other => format!("{line}: {}\n", other.code()),
        }
    }
}

/// What a plan would do, and each way with its bytes.
fn planned(plan: &PlanReport) -> String {
    let why = match plan.reason {
        Reason::FirstInstall => "nothing is installed".to_owned(),
        Reason::Newer { severity } => {
            let installed = plan.installed.as_ref().map_or("?", |build| &build.version);
            format!("installed is {installed}; what was skipped is {severity}")
        }
        Reason::OtherLine => "what is installed belongs to another line".to_owned(),
        _ => "the installed file was changed".to_owned(),
    };
    let mut text = format!("{} is there ({why})\n", plan.version);
    let row = |way: &Way| {
        let name = format!("by {}", updating::name(way));
        let spared = match way {
            Way::Full { .. } => String::new(),
            _ => saving(way.rest(), plan.bytes_full),
        };
        vec![name, bytes(way.rest()), spared]
    };
    let rows: Vec<Vec<String>> = plan.ways.iter().map(row).collect();
    text.push_str(&table(&rows));
    if let Some(notes) = &plan.notes {
        text.push_str(notes.trim_end());
        text.push('\n');
    }
    text
}

fn switched(activated: &Activated) -> String {
    let fetched = bytes(activated.bytes_fetched);
    let cost = match &activated.way {
        Way::Full { .. } => format!("fetched {fetched}"),
        _ => {
            let (fetched_count, full) = (activated.bytes_fetched, activated.bytes_full);
            format!("fetched {fetched} instead of {}, {}", bytes(full), saving(fetched_count, full))
        }
    };
    format!("{} by {}; {cost}", activated.installed.version, updating::name(&activated.way))
}
