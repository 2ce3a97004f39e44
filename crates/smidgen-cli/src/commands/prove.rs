//! `smidgen prove`: the other process of [`smidgen_server::proof`].

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_delta::{Limits, Patch};
use smidgen_server::proof::{Effort, Prover};

use crate::exit::Exit;
use crate::input::open;

const EXAMPLES: &str = "\
What is written has been checked only when the command ends without an error.

Examples:
  $ smidgen prove hello-1.0 hello-1.0-to-1.1.patch";

/// Apply a patch for a publisher who wants to know what that takes: the new file to standard output, and a line of
/// JSON to standard error
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, hide = true)]
pub(crate) struct Prove {
    /// The file that the patch was made from.
    old: PathBuf,
    /// The patch.
    patch: PathBuf,
}

impl Prove {
    pub(crate) fn run(&self) -> Result<Exit> {
        self.prove()
            .with_context(|| format!("failed to apply {} to {}", self.patch.display(), self.old.display()))?;
        let effort = serde_json::to_string(&Effort::so_far())?;
        writeln!(io::stderr(), "{effort}")?;
        Ok(Exit::Done)
    }

    fn prove(&self) -> Result<()> {
        let raw = open(&self.patch)?;
        let patch = Patch::open(&*raw, &Limits::default())?;
        let old = open(&self.old)?;
        // As a file, because the library's standard output looks for line ends in what passes.
        let mut new = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        patch.apply(&&*old, &mut new)?;
        Ok(())
    }
}

/// This very program as a prover, where that is possible.
pub(crate) fn prover() -> Option<Prover> {
    // Not by its path, where another version may lie by now.
    Prover::new("/proc/self/exe".into())
}
