//! Runs the `smidgen` program of this checkout, so that bars, `--json` and exit codes live in one place.

use std::ffi::OsString;

use anyhow::{Context, Result};

use crate::workspace;

/// Passed on as they are.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

/// Runs `smidgen <subcommand> <arguments>` where the caller stands and exits with its code.
pub(crate) fn run(subcommand: &str, arguments: &Arguments) -> Result<()> {
    let mut command = workspace::cargo([
        "run",
        "--quiet",
        "--release",
        "--package",
        "smidgen-cli",
        "--bin",
        "smidgen",
        "--",
    ]);
    command.arg(subcommand).args(&arguments.rest);
    // Relative paths mean the folder of the caller; cargo finds the workspace by its manifest.
    command.env("CARGO_TERM_PROGRESS_WHEN", "never").current_dir(std::env::current_dir()?);
    let status = command.status().with_context(|| format!("failed to start {command:?}"))?;
    std::process::exit(status.code().unwrap_or(1));
}
