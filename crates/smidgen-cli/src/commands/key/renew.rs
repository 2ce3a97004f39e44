//! `smidgen key renew`: drafts a root that says the same and expires later.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_server::ceremony::Change;

use super::draft;
use crate::exit::Exit;
use crate::runtime;
use crate::screen::Screen;

const EXAMPLES: &str = "\
A root is valid for a year. Its keys sign the next one as they sign any change of keys.

Examples:
  $ smidgen key renew repo --out 2.root.json";

/// Draft a root that says the same and expires later
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Renew {
    /// The repository: a folder or a URL.
    repo: String,
    /// Where the draft goes.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Renew {
    pub(super) fn run(&self, screen: &Screen) -> Result<Exit> {
        runtime::block_on(self.renew(screen))
            .with_context(|| format!("failed to draft a root for {}", self.repo))?;
        Ok(Exit::Done)
    }

    async fn renew(&self, screen: &Screen) -> Result<()> {
        draft::refuse_present(&self.out)?;
        let (_, root) = draft::root_of(&self.repo).await?;
        draft::write(screen, &self.repo, &root, &[Change::Renew], &[], &self.out)
    }
}
