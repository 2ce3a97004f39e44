//! `smidgen doctor`: says what will go wrong soon, for people and for monitoring.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_server::doctor::{Bound, DoctorOptions, DoctorReport, Level, doctor};
use smidgen_server::keys::Keys;
use smidgen_server::repository::Repository;
use smidgen_server::store::Store;

use crate::exit::Exit;
use crate::runtime;
use crate::screen::Screen;
use crate::words;

const EXAMPLES: &str = "\
Ends with 0 if all is well, 8 for a warning, 7 if clients stop soon or have stopped, and another code
if there was nothing to look at. Only metadata is read. Keys in DIR are looked at, never opened.
A bound is for all roles or for one: 7d, root=90d. Without it: root 60d and 14d, targets 30d and 7d,
delegated roles 21d and 7d, snapshot 5d and 2d, timestamp 36h and 12h.

Examples:
  $ smidgen doctor repo
  $ smidgen doctor repo --keys keys --json
  $ smidgen doctor repo --warn root=90d --warn timestamp=48h --critical timestamp=24h";

/// Warn before anything expires
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Doctor {
    /// The repository: a folder or a URL.
    repo: String,
    /// Look at the keys in this folder too.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// How long before its end a role is worth a warning; can be given several times.
    #[arg(long, value_name = "[ROLE=]SPAN", value_parser = bound)]
    warn: Vec<Bound>,
    /// How long before its end a role is critical; can be given several times.
    #[arg(long, value_name = "[ROLE=]SPAN", value_parser = bound)]
    critical: Vec<Bound>,
}

impl Doctor {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report =
            runtime::block_on(self.look()).with_context(|| format!("failed to look at {}", self.repo))?;
        screen.show(&report, text)?;
        Ok(match report.level {
            Level::Ok => Exit::Done,
            Level::Warning => Exit::Warned,
            Level::Critical => Exit::Findings,
        })
    }

    async fn look(&self) -> Result<DoctorReport> {
        let store = Store::open(&self.repo)?;
        let keys = self.keys.as_deref().map(|keys| Keys::open(keys, &store)).transpose()?;
        let options = DoctorOptions { warn: self.warn.clone(), critical: self.critical.clone() };
        Ok(doctor(&Repository::new(store), keys.as_ref(), &options).await?)
    }
}

fn bound(text: &str) -> Result<Bound, String> {
    let (role, span) = match text.rsplit_once('=') {
        Some((role, span)) => (Some(role.to_owned()), span),
        None => (None, text),
    };
    Ok(Bound { role, seconds: words::duration(span)?.as_secs() })
}

fn text(report: &DoctorReport) -> String {
    let mut text = String::new();
    for role in &report.roles {
        let left = role.seconds_left;
        let span = match left {
            left if left >= 2 * 86_400 => format!("{} days left", left / 86_400),
            left if left > 0 => format!("{} hours left", left / 3600),
            _ => "expired".to_owned(),
        };
        let place = if role.shard.is_empty() { String::new() } else { format!("{} ", role.shard) };
        let (name, version, expires) = (&role.role, role.version, role.expires);
        text.push_str(&format!("{place}{name} {version}: {span}, expires {expires}\n"));
    }
    for finding in &report.findings {
        let level = word(finding.level);
        text.push_str(&format!("{level}[{}] {}: {}\n", finding.code, finding.subject, finding.message));
    }
    text.push_str(&format!("{}\n", word(report.level)));
    text
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok",
        Level::Warning => "warning",
        Level::Critical => "critical",
    }
}
