//! `smidgen product`: what needs the targets key, which a release does not.

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use smidgen_metadata::Name;
use smidgen_server::repository::{ProductReport, Repository};
use smidgen_server::store::Store;

use crate::exit::Exit;
use crate::key_folder::KeyFolder;
use crate::publishing::Publishing;
use crate::runtime;
use crate::screen::Screen;

/// Say who may publish a product
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Product {
    #[command(subcommand)]
    command: ProductCommand,
}

#[derive(Subcommand, Debug)]
enum ProductCommand {
    Add(Add),
}

const EXAMPLES: &str = "\
The targets key signs which products there are, and nothing else: it can stay offline. Where it lies
beside the other keys, `publish` does this by itself for a product that is new.

Clients are told nothing before something of the product is published. In a repository that is cut
up into shards this is one signature, whatever their number.

Examples:
  $ smidgen product add repo --keys /media/offline/keys --product editor";

/// Let the release key sign the releases of a product
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
struct Add {
    /// The repository: a folder or a URL.
    repo: String,
    #[command(flatten)]
    keys: KeyFolder,
    /// What is shipped.
    #[arg(long, value_name = "P")]
    product: Name,
}

impl Product {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let ProductCommand::Add(add) = &self.command;
        let report = runtime::block_on(add.add(screen))
            .with_context(|| format!("failed to add {} to {}", add.product, add.repo))?;
        screen.show(&report, |report| match report.already {
            true => format!("{} is a product already (targets {})\n", report.product, report.targets),
            false => {
                format!("{}: the release key may sign it now (targets {})\n", report.product, report.targets)
            }
        })?;
        Ok(Exit::Done)
    }
}

impl Add {
    async fn add(&self, screen: &Screen) -> Result<ProductReport> {
        let store = Store::open(&self.repo)?;
        let keys = self.keys.open(&store)?;
        let repository = Repository::new(store);
        Ok(repository.add_product(&keys, self.product.clone(), &Publishing::new(screen)).await?)
    }
}
