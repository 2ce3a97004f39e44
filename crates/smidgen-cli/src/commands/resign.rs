//! `smidgen resign`: signs again what is about to expire.

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_server::repository::Repository;
use smidgen_server::resign::{ResignReport, ResignScope, resign};
use smidgen_server::store::Store;

use crate::exit::Exit;
use crate::key_folder::KeyFolder;
use crate::publishing::Publishing;
use crate::runtime;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Timestamp metadata is valid for three days: run this at least daily, for example by cron. Every other
role but root is signed again when half of its time is over and its key is in DIR.

Examples:
  $ smidgen resign repo --keys keys
  $ smidgen resign repo --keys timestamp-key-only --timestamp-only";

/// Sign again what is about to expire
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Resign {
    /// The repository: a folder or a URL.
    repo: String,
    #[command(flatten)]
    keys: KeyFolder,
    /// Sign nothing but the timestamp, whose key is all that is needed.
    #[arg(long)]
    timestamp_only: bool,
    /// Sign every role but root, due or not.
    #[arg(long, conflicts_with = "timestamp_only")]
    everything: bool,
}

impl Resign {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report = runtime::block_on(self.resign(screen))
            .with_context(|| format!("failed to sign {} again", self.repo))?;
        screen.show(&report, |report| {
            let line = |role: &smidgen_server::resign::SignedRole| {
                let shard = if role.shard.is_empty() { String::new() } else { format!("{}: ", role.shard) };
                format!("{shard}{}: version {}, expires {}\n", role.role, role.version, role.expires)
            };
            report.roles.iter().map(line).collect()
        })?;
        Ok(Exit::Done)
    }

    async fn resign(&self, screen: &Screen) -> Result<ResignReport> {
        let store = Store::open(&self.repo)?;
        let keys = self.keys.open(&store)?;
        let scope = match (self.timestamp_only, self.everything) {
            (true, _) => ResignScope::TimestampOnly,
            (_, true) => ResignScope::Everything,
            _ => ResignScope::WhatIsDue,
        };
        Ok(resign(&Repository::new(store), &keys, scope, &Publishing::new(screen)).await?)
    }
}
