//! `cargo xtask demo`: real builds published, patched, served, polled, updated and verified, with every claim checked.

mod fleet;
mod journey;
mod ledger;
mod link;
mod pairs;
mod program;
mod publisher;
mod sample;
mod story;

use anyhow::Result;

use program::Smidgen;
use story::Story;

/// What the demo is to show.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The real pairs of builds of `fixtures/pairs.toml` instead of the sample; fetches what is missing.
    #[arg(long)]
    corpus: bool,
    /// With --corpus: only these pairs, by id.
    #[arg(long, value_name = "ID", num_args = 1.., requires = "corpus")]
    only: Vec<String>,
    /// Keep the folder with repository, keys, clients and logs, and say where it is.
    #[arg(long)]
    keep: bool,
}

/// Runs the demo; fails at the first thing that does not do what the story says.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut scratch = tempfile::Builder::new().prefix("smidgen-demo-").tempdir()?;
    scratch.disable_cleanup(arguments.keep);
    // As tests are built, where what is slow is optimised: a release build takes minutes more than it saves here.
    let smidgen = Smidgen { program: program::build(&["--package", "smidgen-cli", "--bin", "smidgen"])? };
    let story = if arguments.corpus {
        let story = Story::begin("smidgen demo: real pairs of builds, published, served and updated");
        pairs::run(&smidgen, &arguments.only, scratch.path(), &story)?;
        story
    } else {
        let story = Story::begin("smidgen demo: a small web server, published, served and updated");
        journey::run(&smidgen, scratch.path(), &story)?;
        story
    };
    story.end();
    if arguments.keep {
        story.line(format!("Kept in {}", scratch.path().display()));
    }
    Ok(())
}
