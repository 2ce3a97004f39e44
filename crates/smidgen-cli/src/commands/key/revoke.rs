//! `smidgen key revoke`: drafts a root that trusts a key no more, whatever it signed.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_metadata::{RoleKind, Root};
use smidgen_server::ceremony::{Change, find_key};
use smidgen_server::keys::{Keys, read_public};

use super::draft::{self, NewKey};
use crate::exit::Exit;
use crate::key_folder::KeyFolder;
use crate::runtime;
use crate::screen::Screen;

const EXAMPLES: &str = "\
For a key that was lost or stolen. In each role that has it a new key takes its place, made in DIR or
given with --with. docs/keys.md says for each key what else to do.

Examples:
  $ smidgen key revoke repo timestamp --keys keys --out 2.root.json
  $ smidgen key revoke repo 4f2a91c07be13d58 --with root-4.pub --keys keys --out 2.root.json
  $ smidgen key revoke repo root-3 --without-replacement --keys keys --out 2.root.json";

/// Draft a root that trusts some keys no more
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Revoke {
    /// The repository: a folder or a URL.
    repo: String,
    /// The keys, by their names in DIR or the beginnings of their ids.
    #[arg(required = true, value_name = "KEY")]
    revoked: Vec<String>,
    #[command(flatten)]
    keys: KeyFolder,
    /// The public key (.pub) that comes instead.
    #[arg(long, value_name = "FILE", conflicts_with = "without_replacement")]
    with: Option<PathBuf>,
    /// Let the roles have a key less.
    #[arg(long)]
    without_replacement: bool,
    /// Encrypt new keys with a passphrase.
    #[arg(long)]
    encrypt: bool,
    /// Where the draft goes.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Revoke {
    pub(super) fn run(&self, screen: &Screen) -> Result<Exit> {
        runtime::block_on(self.revoke(screen))
            .with_context(|| format!("failed to draft a root for {}", self.repo))?;
        Ok(Exit::Done)
    }

    async fn revoke(&self, screen: &Screen) -> Result<()> {
        draft::refuse_present(&self.out)?;
        let (store, root) = draft::root_of(&self.repo).await?;
        let keys = self.keys.open(&store)?;
        let (mut changes, mut made) = (Vec::new(), Vec::new());
        for key in &self.revoked {
            changes.extend(self.changes(key, &root, &keys, &mut made)?);
        }
        draft::write(screen, &self.repo, &root, &changes, &made, &self.out)
    }

    fn changes(&self, key: &str, root: &Root, keys: &Keys, made: &mut Vec<NewKey>) -> Result<Vec<Change>> {
        let old = find_key(root, Some(keys), key)?;
        let has_it = |role: &RoleKind| root.keys_of(*role).any(|(id, _)| *id == old);
        let mut changes = Vec::new();
        for role in RoleKind::ALL.into_iter().filter(has_it) {
            let old = old.clone();
            if self.without_replacement {
                changes.push(Change::Remove { role, old });
                continue;
            }
            let new = match &self.with {
                Some(file) => read_public(file)?,
                None => {
                    let name = keys.free_name(role.as_str())?;
                    let new = keys.generate(&name, &self.keys.passphrase.protection(self.encrypt)?)?;
                    made.push(NewKey { name: name.to_string(), id: new.id().to_string() });
                    new
                }
            };
            changes.push(Change::Replace { role, old, new });
        }
        Ok(changes)
    }
}
