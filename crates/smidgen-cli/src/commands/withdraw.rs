//! `smidgen withdraw`: takes a release back.

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_metadata::Name;
use smidgen_server::repository::Repository;
use smidgen_server::store::Store;
use smidgen_server::withdraw::{Which, WithdrawReport, WithdrawRequest, withdraw};

use super::line::{self, LineArguments};
use crate::exit::Exit;
use crate::key_folder::KeyFolder;
use crate::publishing::Publishing;
use crate::runtime;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Clients are not offered it any more. Those that run it stay on it until there is a newer release.

Examples:
  $ smidgen withdraw repo --keys keys --product editor --channel stable --platform x86_64-linux \\
      --version 4.12.1
  $ smidgen withdraw repo --keys keys --product editor --platform x86_64-linux --plugin spell \\
      --sequence 37";

/// Take a release back
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Withdraw {
    /// The repository: a folder or a URL.
    repo: String,
    #[command(flatten)]
    keys: KeyFolder,
    #[command(flatten)]
    line: LineArguments,
    #[command(flatten)]
    which: WhichArguments,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct WhichArguments {
    /// The release's version.
    #[arg(long, value_name = "V")]
    version: Option<Name>,
    /// Or its number in the line.
    #[arg(long, value_name = "N")]
    sequence: Option<u64>,
}

impl WhichArguments {
    fn which(&self) -> Which {
        match (&self.version, self.sequence) {
            (Some(version), _) => Which::Version(version.clone()),
            // clap has made sure that one of them is there.
            (None, sequence) => Which::Sequence(sequence.unwrap_or_default()),
        }
    }
}

impl Withdraw {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let request = WithdrawRequest { line: self.line.line(), release: self.which.which() };
        let report = runtime::block_on(self.withdraw(&request, screen)).with_context(|| {
            format!("failed to withdraw {} of {}", request.release, line::label(&request.line))
        })?;
        screen.show(&report, text)?;
        Ok(Exit::Done)
    }

    async fn withdraw(&self, request: &WithdrawRequest, screen: &Screen) -> Result<WithdrawReport> {
        let store = Store::open(&self.repo)?;
        let keys = self.keys.open(&store)?;
        Ok(withdraw(&Repository::new(store), &keys, request, &Publishing::new(screen)).await?)
    }
}

fn text(report: &WithdrawReport) -> String {
    let fate = if report.already { "was withdrawn before" } else { "is withdrawn" };
    let offered = match &report.newest {
        Some(newest) => format!("clients are offered {}", newest.version),
        None => "clients are offered nothing".to_owned(),
    };
    format!("{} {} {fate}; {offered}\n", line::label(&report.line), report.version)
}
