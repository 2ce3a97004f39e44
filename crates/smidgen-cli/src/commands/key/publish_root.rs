//! `smidgen key publish-root`: puts a signed root in force.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_server::ceremony::{Draft, InstallReport, Installed, install};
use smidgen_server::repository::Repository;
use smidgen_server::store::Store;

use crate::exit::Exit;
use crate::key_folder::KeyFolder;
use crate::publishing::Publishing;
use crate::runtime;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Signs again what other keys sign from now on, and timestamp in any case. DIR needs the new keys, and
the old ones as well unless they are lost: with both, clients can follow at every moment. Keys that
are not trusted any more are moved to DIR/retired. A run that was interrupted can be repeated.

Examples:
  $ smidgen key publish-root repo 2.root.json --keys keys
  $ smidgen key publish-root repo 2.root.json --keys keys --json";

/// Put a signed root in force
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct PublishRoot {
    /// The repository: a folder or a URL.
    repo: String,
    /// The draft with its signatures.
    draft: PathBuf,
    #[command(flatten)]
    keys: KeyFolder,
}

impl PublishRoot {
    pub(super) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report = runtime::block_on(self.publish(screen))
            .with_context(|| format!("failed to put {} in force", self.draft.display()))?;
        screen.show(&report, text)?;
        Ok(Exit::Done)
    }

    async fn publish(&self, screen: &Screen) -> Result<InstallReport> {
        let bytes = std::fs::read(&self.draft)?;
        let draft = Draft::parse(bytes, &self.draft.display().to_string())?;
        let store = Store::open(&self.repo)?;
        let keys = self.keys.open(&store)?;
        Ok(install(&Repository::new(store), &keys, &draft, &Publishing::new(screen)).await?)
    }
}

fn text(report: &InstallReport) -> String {
    let mut text = match report.outcome {
        Installed::InForce => format!("root {} is in force\n", report.version),
        Installed::Already => {
            format!("root {} was in force already; finished what was left\n", report.version)
        }
    };
    for role in &report.roles {
        let place = if role.shard.is_empty() { String::new() } else { format!("{} ", role.shard) };
        let (name, version, expires) = (&role.role, role.version, role.expires);
        text.push_str(&format!("{place}{name}: version {version}, expires {expires}\n"));
    }
    if !report.bridged {
        text.push_str("old keys were not at hand, so clients could not follow for a moment\n");
    }
    for name in &report.retired {
        text.push_str(&format!("moved the key {name} aside\n"));
    }
    if let Some(reason) = &report.not_retired {
        text.push_str(&format!("keys that are not trusted any more are where they were: {reason}\n"));
    }
    text
}
