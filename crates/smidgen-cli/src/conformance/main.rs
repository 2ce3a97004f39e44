//! `smidgen-tuf-conformance`: a client of any TUF repository, with the command line that the community's test-suite
//! drives clients by.
//!
//! It is a hull around the same `TrustedSet` that the update client trusts, and exists so that other people's tests can
//! judge it. Metadata is stored as received, under names without versions.

mod download;
mod mirror;
mod refresh;
mod store;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use smidgen_client::{Clock as _, SystemClock, Url};

use crate::download::Destination;
use crate::mirror::Mirror;
use crate::refresh::Follower;
use crate::store::Store;

const EXAMPLES: &str = "\
Examples:
  smidgen-tuf-conformance --metadata-dir m init root.json
  smidgen-tuf-conformance --metadata-dir m --metadata-url http://127.0.0.1:8080/metadata/ refresh
  smidgen-tuf-conformance --metadata-dir m --metadata-url http://127.0.0.1:8080/metadata/ \\
      --target-name folder/file --target-base-url http://127.0.0.1:8080/targets/ --target-dir t download

Exit codes: 0 if all of it succeeded, 1 if any of it failed, 2 if the command line makes no sense.";

/// Follows a TUF repository.
#[derive(Debug, Parser)]
#[command(name = "smidgen-tuf-conformance", version, after_help = EXAMPLES)]
struct Arguments {
    /// Folder of the trusted metadata
    #[arg(long, value_name = "DIR")]
    metadata_dir: PathBuf,
    /// Address of the repository's metadata
    #[arg(long, value_name = "URL", global = true)]
    metadata_url: Option<Url>,
    /// Target path to download; may be given several times
    #[arg(long = "target-name", value_name = "PATH", global = true)]
    target_names: Vec<String>,
    /// Address of the repository's targets
    #[arg(long, value_name = "URL", global = true)]
    target_base_url: Option<Url>,
    /// Folder for downloaded targets
    #[arg(long, value_name = "DIR", global = true)]
    target_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Copies the trusted root; no network
    Init {
        /// The root that came by another way
        root: PathBuf,
    },
    /// Brings all top-level roles up to date
    Refresh,
    /// Refreshes, then searches and downloads the targets
    Download,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr, reason = "a program's last word")]
fn complain(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}

fn run(arguments: &Arguments) -> Result<()> {
    let store = Store::new(arguments.metadata_dir.clone());
    if let Command::Init { root } = &arguments.command {
        let raw = std::fs::read(root).with_context(|| format!("failed to read {}", root.display()))?;
        return store.write("root", &raw);
    }
    let url = arguments.metadata_url.as_ref().context("--metadata-url is missing")?;
    let destination = match arguments.command {
        Command::Download => Some(Destination {
            url: arguments.target_base_url.clone().context("--target-base-url is missing")?,
            dir: arguments.target_dir.clone().context("--target-dir is missing")?,
        }),
        _ => None,
    };
    let follower = Follower { store, metadata: Mirror::new(url)?, now: SystemClock.now() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("failed to start an event loop")?.block_on(async {
        let set = follower.refresh().await?;
        if let Some(destination) = destination {
            anyhow::ensure!(!arguments.target_names.is_empty(), "--target-name is missing");
            for path in &arguments.target_names {
                let target = follower.find(&set, path).await?;
                let target = target.with_context(|| format!("no role lists the target {path:?}"))?;
                destination.download(&set, path, &target).await?;
            }
        }
        Ok(())
    })
}
