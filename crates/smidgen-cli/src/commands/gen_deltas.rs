//! `smidgen gen-deltas`: the release pipeline's entry, from a manifest to a published release.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_server::pipeline::{DeltaReport, Manifest, gen_deltas};
use smidgen_server::publish::PublishOptions;
use smidgen_server::repository::Repository;
use smidgen_server::store::Store;

use super::budget::BudgetArguments;
use super::diff::CodecArgument;
use super::prove::prover;
use crate::exit::Exit;
use crate::key_folder::KeyFolder;
use crate::publishing::Publishing;
use crate::runtime;
use crate::screen::Screen;

const EXAMPLES: &str = "\
All artifacts are worked on at once and appear to clients in one step. A run that was cut off is
repeated with the same command, which changes nothing once it has succeeded.

Examples:
  $ smidgen gen-deltas release.toml repo --keys keys
  $ smidgen gen-deltas release.toml repo --keys keys --threads 4 --memory 8G --json

release.toml:
  product = \"editor\"
  channel = \"stable\"
  version = \"4.12.1\"
  severity = \"important\"

  [[artifact]]
  path = \"target/release/editor\"
  platform = \"x86_64-linux\"
  plugins = [\"markdown@1.3.1:critical\", \"spell@2.0.0\"]";

/// Publish a whole release from a manifest
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GenDeltas {
    /// The manifest, such as release.toml.
    manifest: PathBuf,
    /// The repository: a folder or a URL.
    repo: String,
    #[command(flatten)]
    keys: KeyFolder,
    /// Make patches from so many previous builds of each line.
    #[arg(long, value_name = "N", default_value_t = PublishOptions::PREVIOUS)]
    previous: usize,
    /// Keep so many of the newest releases of a line listed.
    #[arg(long, value_name = "N", default_value_t = PublishOptions::LISTED)]
    listed: usize,
    /// How patches are written down; auto keeps the smallest.
    #[arg(long, value_enum, default_value = "auto")]
    codec: CodecArgument,
    /// Do not store the raw files, which only TUF clients other than smidgen want.
    #[arg(long)]
    no_raw: bool,
    #[command(flatten)]
    budget: BudgetArguments,
}

impl GenDeltas {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report = runtime::block_on(self.gen_deltas(screen))
            .with_context(|| format!("failed to publish the release of {}", self.manifest.display()))?;
        screen.show(&report, ToString::to_string)?;
        Ok(Exit::Done)
    }

    async fn gen_deltas(&self, screen: &Screen) -> Result<DeltaReport> {
        let manifest = Manifest::read(&self.manifest)?;
        let store = Store::open(&self.repo)?;
        let keys = self.keys.open(&store)?;
        let options = PublishOptions {
            previous: self.previous,
            listed: self.listed,
            codec: self.codec.choice(),
            raw: !self.no_raw,
            budget: self.budget.budget(),
            prover: prover(),
            ..PublishOptions::default()
        };
        Ok(gen_deltas(&manifest, &Repository::new(store), &keys, &options, &Publishing::new(screen)).await?)
    }
}
