//! `smidgen key rotate`: drafts a root in which a role has other keys.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_metadata::{RoleKind, Root};
use smidgen_server::ceremony::{CeremonyError, Change, find_key};
use smidgen_server::keys::{Keys, Protection, read_public};

use super::draft::{self, NewKey};
use crate::exit::Exit;
use crate::key_folder::KeyFolder;
use crate::runtime;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Without further words a new key is made in DIR and takes the place of the role's present one. --with
takes a key that was made elsewhere. Nothing changes in REPO before `key publish-root`.

Examples:
  $ smidgen key rotate repo timestamp --keys keys --out 2.root.json
  $ smidgen key rotate repo targets snapshot timestamp --keys keys --encrypt --out 2.root.json
  $ smidgen key rotate repo root --key root-1 --with root-4.pub --keys keys --out 2.root.json
  $ smidgen key rotate repo root --add root-4.pub --threshold 3 --keys keys --out 2.root.json";

/// Draft a root in which roles have other keys
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Rotate {
    /// The repository: a folder or a URL.
    repo: String,
    /// The roles: root, targets, snapshot, timestamp.
    #[arg(required = true, value_parser = draft::role, value_name = "ROLE")]
    roles: Vec<RoleKind>,
    #[command(flatten)]
    keys: KeyFolder,
    /// The key to replace, by its name in DIR or the beginning of its id; needed where a role has several.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// The public key (.pub) that comes instead.
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
    /// A public key (.pub) that comes in addition; nothing is replaced then.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["key", "with"])]
    add: Vec<PathBuf>,
    /// A key that goes, by its name in DIR or the beginning of its id.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["key", "with"])]
    remove: Vec<String>,
    /// How many keys of the role must sign from now on.
    #[arg(long, value_name = "N")]
    threshold: Option<u64>,
    /// Encrypt new keys with a passphrase.
    #[arg(long)]
    encrypt: bool,
    /// Where the draft goes.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Rotate {
    pub(super) fn run(&self, screen: &Screen) -> Result<Exit> {
        runtime::block_on(self.rotate(screen))
            .with_context(|| format!("failed to draft a root for {}", self.repo))?;
        Ok(Exit::Done)
    }

    async fn rotate(&self, screen: &Screen) -> Result<()> {
        draft::refuse_present(&self.out)?;
        let (store, root) = draft::root_of(&self.repo).await?;
        let keys = self.keys.open(&store)?;
        let protection = self.keys.passphrase.protection(self.encrypt)?;
        let (mut changes, mut made) = (Vec::new(), Vec::new());
        for role in &self.roles {
            changes.extend(self.changes(*role, &root, &keys, &protection, &mut made)?);
        }
        draft::write(screen, &self.repo, &root, &changes, &made, &self.out)
    }

    fn changes(
        &self,
        role: RoleKind,
        root: &Root,
        keys: &Keys,
        protection: &Protection,
        made: &mut Vec<NewKey>,
    ) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for file in &self.add {
            changes.push(Change::Add { role, new: read_public(file)? });
        }
        for key in &self.remove {
            changes.push(Change::Remove { role, old: find_key(root, Some(keys), key)? });
        }
        let replaces = self.key.is_some() || self.with.is_some();
        if replaces || (changes.is_empty() && self.threshold.is_none()) {
            let old = match &self.key {
                Some(key) => find_key(root, Some(keys), key)?,
                None => {
                    let mut present = root.keys_of(role).map(|(id, _)| id);
                    let (only, count) = (present.next().cloned(), 1 + present.count());
                    only.filter(|_| count == 1).ok_or(CeremonyError::WhichKey { role, count })?
                }
            };
            let new = match &self.with {
                Some(file) => read_public(file)?,
                None => {
                    let name = keys.free_name(role.as_str())?;
                    let new = keys.generate(&name, protection)?;
                    made.push(NewKey { name: name.to_string(), id: new.id().to_string() });
                    new
                }
            };
            changes.push(Change::Replace { role, old, new });
        }
        changes.extend(self.threshold.map(|threshold| Change::Threshold { role, threshold }));
        Ok(changes)
    }
}
