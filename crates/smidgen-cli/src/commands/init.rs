//! `smidgen init`: makes keys and an empty signed repository.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_metadata::Name;
use smidgen_server::keys::{Keys, Passphrase, Protection};
use smidgen_server::repository::{InitReport, Repository};
use smidgen_server::store::Store;

use crate::exit::Exit;
use crate::key_folder::NewKeys;
use crate::publishing::Publishing;
use crate::runtime;
use crate::screen::Screen;

const EXAMPLES: &str = "\
DIR must not be inside REPO: REPO is what gets served. Keys that are there already are used.

Examples:
  $ smidgen init repo --keys keys
  $ smidgen init /srv/updates --keys ~/smidgen-keys --name editor-updates
  $ smidgen init /srv/updates --keys ~/smidgen-keys --name acme --shards 4096";

/// Make keys and an empty signed repository
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Init {
    /// The repository: a folder, made when missing, or a URL.
    repo: String,
    #[command(flatten)]
    new: NewKeys,
    /// The repository's signed name [default: a random one].
    #[arg(long)]
    name: Option<Name>,
    /// Cut it up into so many shards (a power of two), each for some of the build lines. This cannot be changed later:
    /// take the number of build lines that there may be one day, divided by 16.
    #[arg(long, value_name = "N", default_value_t = 1)]
    shards: u64,
}

impl Init {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report = runtime::block_on(self.init(screen))
            .with_context(|| format!("failed to make a repository in {}", self.repo))?;
        screen.show(&report, |report| {
            format!(
                "made the repository {name} in {repo}{shards}\n\
                 clients start to trust from {repo}/{root}: ship it with the program (sha256 {digest})\n\
                 keys are in {keys}: back them up, and take root-*.pem and targets.pem off this machine\n",
                shards = if report.shards == 1 {
                    String::new()
                } else {
                    format!(", with {} shards", report.shards)
                },
                name = report.name,
                repo = self.repo,
                root = report.root,
                digest = report.root_sha256,
                keys = self.new.keys.display(),
            )
        })?;
        Ok(Exit::Done)
    }

    async fn init(&self, screen: &Screen) -> Result<InitReport> {
        let store = Store::create(&self.repo)?;
        let protection = self.new.protection()?;
        let keys = Keys::create_protected(&self.new.keys, &store, &protection)?;
        let keys = match protection {
            Protection::None => keys.with_passphrases(self.new.passphrase.source()),
            Protection::Passphrase(given) => keys.with_passphrases(Arc::new(Passphrase(given))),
        };
        let repository = Repository::new(store);
        Ok(repository.init(&keys, self.name.clone(), self.shards, &Publishing::new(screen)).await?)
    }
}
