//! `smidgen key rotate-release`: lets another key sign releases.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;
use smidgen_server::ceremony::{ReleaseReport, rotate_release};
use smidgen_server::keys::{KeyName, read_public};
use smidgen_server::repository::Repository;
use smidgen_server::store::Store;

use super::draft::NewKey;
use crate::exit::Exit;
use crate::key_folder::KeyFolder;
use crate::publishing::Publishing;
use crate::runtime;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Targets name the key that signs releases, so this takes the targets key and no root. A new key is made
in DIR, or given with --with. All roles of products and build lines are signed by it at once, in every
shard; DIR needs the keys of targets, snapshot and timestamp. After a theft it is what revokes the key.

Examples:
  $ smidgen key rotate-release repo --keys keys
  $ smidgen key rotate-release repo --keys keys --with release-2.pub --json";

/// Let another key sign releases
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct RotateRelease {
    /// The repository: a folder or a URL.
    repo: String,
    #[command(flatten)]
    keys: KeyFolder,
    /// The public key (.pub) that signs from now on.
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    /// Encrypt the new key with a passphrase.
    #[arg(long)]
    encrypt: bool,
}

#[derive(Serialize)]
struct Report {
    new_keys: Vec<NewKey>,
    #[serde(flatten)]
    done: ReleaseReport,
}

impl RotateRelease {
    pub(super) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report = runtime::block_on(self.rotate(screen))
            .with_context(|| format!("failed to change the release key of {}", self.repo))?;
        screen.show(&report, |report| {
            let mut text = String::new();
            for role in &report.done.roles {
                text.push_str(&format!(
                    "{}: version {}, expires {}\n",
                    role.role, role.version, role.expires
                ));
            }
            for key in &report.new_keys {
                text.push_str(&format!("made the key {}, {}\n", key.name, super::draft::short(&key.id)));
            }
            for name in &report.done.retired {
                text.push_str(&format!("moved the key {name} aside\n"));
            }
            text
        })?;
        Ok(Exit::Done)
    }

    async fn rotate(&self, screen: &Screen) -> Result<Report> {
        let store = Store::open(&self.repo)?;
        let keys = self.keys.open(&store)?;
        let mut new_keys = Vec::new();
        let new = match &self.with {
            Some(file) => read_public(file)?,
            None => {
                let name: KeyName = keys.free_name("release")?;
                let new = keys.generate(&name, &self.keys.passphrase.protection(self.encrypt)?)?;
                new_keys.push(NewKey { name: name.to_string(), id: new.id().to_string() });
                new
            }
        };
        let done = rotate_release(&Repository::new(store), &keys, &new, &Publishing::new(screen)).await?;
        Ok(Report { new_keys, done })
    }
}
