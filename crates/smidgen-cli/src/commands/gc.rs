//! `smidgen gc`: removes what nothing lists any more.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_server::gc::{GcOptions, GcReport, gc};
use smidgen_server::repository::Repository;
use smidgen_server::store::Store;

use crate::exit::Exit;
use crate::publishing::Publishing;
use crate::quantity::bytes;
use crate::runtime;
use crate::screen::Screen;
use crate::words;

const EXAMPLES: &str = "\
The grace period is for clients in the middle of an update, caches, and publishers at work.

Examples:
  $ smidgen gc repo --dry-run
  $ smidgen gc repo --grace 30d";

/// Remove what nothing lists any more
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Gc {
    /// The repository: a folder or a URL.
    repo: String,
    /// How long a file stays after nothing lists it any more.
    #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = words::duration)]
    grace: Duration,
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
}

impl Gc {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report =
            runtime::block_on(self.gc(screen)).with_context(|| format!("failed to clean {}", self.repo))?;
        screen.show(&report, text)?;
        Ok(Exit::Done)
    }

    async fn gc(&self, screen: &Screen) -> Result<GcReport> {
        let repository = Repository::new(Store::open(&self.repo)?);
        let options = GcOptions { grace: self.grace, dry_run: self.dry_run };
        Ok(gc(&repository, &options, &Publishing::new(screen)).await?)
    }
}

fn text(report: &GcReport) -> String {
    let verb = if report.dry_run { "would remove" } else { "removed" };
    format!(
        "{verb} {} files ({}); {} stay, {} wait for the end of the grace period\n",
        report.removed.len(),
        bytes(report.removed_bytes),
        report.kept,
        report.waiting,
    )
}
