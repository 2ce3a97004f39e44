//! `smidgen publish`: adds a release.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_metadata::{Name, PluginRelease, Severity};
use smidgen_server::publish::{
    PatchOutcome, PublishOptions, PublishReport, PublishRequest, Published, publish,
};
use smidgen_server::repository::Repository;
use smidgen_server::store::Store;

use super::budget::BudgetArguments;
use super::diff::CodecArgument;
use super::line;
use super::prove::prover;
use crate::exit::Exit;
use crate::key_folder::KeyFolder;
use crate::publishing::Publishing;
use crate::quantity::{bytes, saving, table};
use crate::runtime;
use crate::screen::Screen;
use crate::words;

const EXAMPLES: &str = "\
Patches are made from the previous builds of the same line, applied and compared; those that are
smaller than the full copy are listed. Clients see the release when everything is in place. A run
that was cut off is repeated with the same command, which changes nothing once it has succeeded.

Examples:
  $ smidgen publish repo --keys keys --product editor --channel stable --platform x86_64-linux \\
      --version 4.12.1 --severity important target/release/editor
  $ smidgen publish repo --keys keys --product editor --channel stable --platform x86_64-linux \\
      --version 4.12.1 --severity routine --plugin markdown@1.3.1:critical --plugin spell@2.0.0 \\
      --notes \"Closes a hole in the preview\" target/release/editor";

/// Add a release to a repository
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Publish {
    /// The repository: a folder or a URL.
    repo: String,
    /// The build: one file. Its permissions travel with it.
    file: PathBuf,
    #[command(flatten)]
    keys: KeyFolder,
    /// What is shipped.
    #[arg(long, value_name = "P")]
    product: Name,
    /// The named sequence of releases.
    #[arg(long, value_name = "C", default_value = "stable")]
    channel: Name,
    /// Architecture and operating system, such as x86_64-linux.
    #[arg(long, value_name = "ARCH-OS")]
    platform: Name,
    /// What people call the release.
    #[arg(long, value_name = "V")]
    version: Name,
    /// How much it matters.
    #[arg(long, value_name = "S", value_parser = words::severity())]
    severity: Severity,
    /// A plugin of the build and how much its release matters [default: routine]; once for each.
    #[arg(long = "plugin", value_name = "NAME@VERSION[:SEVERITY]")]
    plugins: Vec<PluginRelease>,
    /// The name that clients install the build under [default: the file's].
    #[arg(long)]
    name: Option<Name>,
    /// What is new, for people.
    #[arg(long, value_name = "T")]
    notes: Option<String>,
    /// Make patches from so many previous builds of the line.
    #[arg(long, value_name = "N", default_value_t = PublishOptions::PREVIOUS)]
    previous: usize,
    /// Keep so many of the newest releases of a line listed.
    #[arg(long, value_name = "N", default_value_t = PublishOptions::LISTED)]
    listed: usize,
    /// How patches are written down; auto keeps the smallest.
    #[arg(long, value_enum, default_value = "auto")]
    codec: CodecArgument,
    /// Do not store the raw file, which only TUF clients other than smidgen want.
    #[arg(long)]
    no_raw: bool,
    #[command(flatten)]
    budget: BudgetArguments,
}

impl Publish {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report = runtime::block_on(self.publish(screen)).with_context(|| {
            format!("failed to publish {} as {} {}", self.file.display(), self.product, self.version)
        })?;
        screen.show(&report, text)?;
        Ok(Exit::Done)
    }

    async fn publish(&self, screen: &Screen) -> Result<PublishReport> {
        let store = Store::open(&self.repo)?;
        let keys = self.keys.open(&store)?;
        let repository = Repository::new(store);
        let options = PublishOptions {
            previous: self.previous,
            listed: self.listed,
            codec: self.codec.choice(),
            raw: !self.no_raw,
            budget: self.budget.budget(),
            prover: prover(),
            ..PublishOptions::default()
        };
        Ok(publish(&repository, &keys, self.request(), &options, &Publishing::new(screen)).await?)
    }

    fn request(&self) -> PublishRequest {
        PublishRequest {
            file: self.file.clone(),
            name: self.name.clone(),
            mode: None,
            product: self.product.clone(),
            channel: self.channel.clone(),
            platform: self.platform.clone(),
            version: self.version.clone(),
            severity: self.severity,
            plugins: self.plugins.clone(),
            notes: self.notes.clone(),
        }
    }
}

fn text(report: &PublishReport) -> String {
    let fate = match report.outcome {
        Published::Added => "published",
        Published::Already => "was published before",
        Published::Restored => "was published before; lost files were restored",
    };
    let mut text = format!(
        "{} {}: {fate} as release {} of {}\n",
        report.line.product,
        report.version,
        report.sequence,
        line::label(&report.line),
    );
    let Some(full_size) = report.full_size else { return text };
    let mut rows = vec![vec!["full copy".to_owned(), bytes(full_size), format!("of {}", bytes(report.size))]];
    rows.extend(report.patches.iter().map(|patch| {
        let old = format!("from {}", patch.old_version);
        match &patch.outcome {
            PatchOutcome::Made { size, .. } => vec![old, bytes(*size), saving(*size, full_size)],
            PatchOutcome::Skipped { reason } => vec![old, "-".to_owned(), reason.clone()],
        }
    }));
    text.push_str(&table(&rows));
    text
}
