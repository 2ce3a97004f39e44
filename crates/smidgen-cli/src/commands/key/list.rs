//! `smidgen key list`: which keys there are, and what they may sign.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;
use smidgen_metadata::{Delegated, DelegatedRole, RoleKind, Root, Targets};
use smidgen_server::keys::{KeyForm, KeyName};
use smidgen_server::repository::Repository;
use smidgen_server::store::Store;

use super::draft::short;
use crate::exit::Exit;
use crate::key_folder::KeyFolder;
use crate::quantity::table;
use crate::runtime;
use crate::screen::Screen;

const EXAMPLES: &str = "\
No key is opened, and no passphrase is asked for.

Examples:
  $ smidgen key list --keys keys
  $ smidgen key list repo --keys keys --json";

/// List keys, and what they may sign in a repository
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    /// The repository: a folder or a URL.
    repo: Option<String>,
    #[command(flatten)]
    keys: KeyFolder,
}

#[derive(Serialize)]
struct Report {
    keys: Vec<Listed>,
    roles: Vec<RoleKeys>,
}

#[derive(Serialize)]
struct Listed {
    name: KeyName,
    id: Option<String>,
    form: KeyForm,
    path: PathBuf,
    /// Roles of the repository that it may sign.
    roles: Vec<String>,
    problem: Option<String>,
}

/// Who may sign a role.
#[derive(Serialize)]
struct RoleKeys {
    role: String,
    threshold: u64,
    keys: Vec<RoleKey>,
}

#[derive(Serialize)]
struct RoleKey {
    id: String,
    /// Its name in the folder, if it is there.
    name: Option<String>,
}

impl List {
    pub(super) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report = runtime::block_on(self.list()).context("failed to list keys")?;
        screen.show(&report, text)?;
        Ok(Exit::Done)
    }

    async fn list(&self) -> Result<Report> {
        let (keys, mut roles) = match &self.repo {
            Some(repo) => {
                let store = Store::open(repo)?;
                let keys = self.keys.open(&store)?;
                let repository = Repository::new(store);
                let mut roles = roles_of(&repository.root().await?);
                roles.extend(repository.offline_targets().await?.iter().flat_map(delegated_by));
                (keys, roles)
            }
            None => (self.keys.open_offline()?, Vec::new()),
        };
        let mut listed = Vec::new();
        for entry in keys.list()? {
            let id = entry.public.as_ref().ok().map(|public| public.id().to_string());
            let mut signs = Vec::new();
            for role in &mut roles {
                for key in role.keys.iter_mut().filter(|key| Some(&key.id) == id.as_ref()) {
                    key.name = Some(entry.name.to_string());
                    signs.push(role.role.clone());
                }
            }
            let problem = keys.check(&entry).err().or(entry.public.err()).map(|error| error.to_string());
            listed.push(Listed {
                name: entry.name,
                id,
                form: entry.form,
                path: entry.path,
                roles: signs,
                problem,
            });
        }
        Ok(Report { keys: listed, roles })
    }
}

fn roles_of(root: &Root) -> Vec<RoleKeys> {
    let of = |kind: RoleKind| {
        let threshold = root.roles.get(&kind).map_or(0, |role| role.threshold);
        let keys = root.keys_of(kind).map(|(id, _)| RoleKey { id: id.to_string(), name: None }).collect();
        RoleKeys { role: kind.to_string(), threshold, keys }
    };
    RoleKind::ALL.map(of).into()
}

/// Who signs the releases of each product.
fn delegated_by(targets: &Targets) -> Vec<RoleKeys> {
    let Some(Delegated::Roles(roles)) = targets.delegations.as_ref().map(|delegations| &delegations.roles)
    else {
        return Vec::new();
    };
    let of = |role: &DelegatedRole| {
        let keys = role.keyids.iter().map(|id| RoleKey { id: id.to_string(), name: None }).collect();
        RoleKeys { role: role.name.clone(), threshold: role.threshold, keys }
    };
    roles.iter().map(of).collect()
}

fn text(report: &Report) -> String {
    let row = |key: &Listed| {
        let form = match key.form {
            KeyForm::Plain => "plain",
            KeyForm::Encrypted => "encrypted",
            KeyForm::External => "external",
            KeyForm::PublicOnly => "public only",
        };
        let id = key.id.as_deref().map_or("-", short);
        vec![key.name.to_string(), id.to_owned(), form.to_owned(), key.roles.join(" ")]
    };
    let mut text = table(&report.keys.iter().map(row).collect::<Vec<_>>());
    for key in &report.keys {
        if let Some(problem) = &key.problem {
            text.push_str(&format!("{}: {problem}\n", key.name));
        }
    }
    for role in &report.roles {
        let here = role.keys.iter().filter(|key| key.name.is_some()).count();
        text.push_str(&format!(
            "{}: {} of {} keys must sign, {here} are listed here\n",
            role.role,
            role.threshold,
            role.keys.len()
        ));
    }
    text
}
