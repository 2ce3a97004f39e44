//! Starts smidgen-compare on the corpus: the rivals are built only when they are asked for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::corpus::{self, List, Side};
use crate::workspace;

/// Passed on to `smidgen-compare run`, which explains them with `--help`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Compare on the siblings, once and with few peers unless `--peers` says otherwise; print what comes out and keep
    /// nothing: the figures that are kept are those of the pairs.
    #[arg(long)]
    siblings: bool,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

/// What siblings are compared with: the others would take hours.
const PEERS: [&str; 3] = ["bidiff-zstd", "ours-classic", "ours-reference"];

/// Builds smidgen-compare with optimisation and runs it to its exit code.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let list = if arguments.siblings { List::Siblings } else { List::Pairs };
    let pairs = corpus::pairs(list, &[])?;
    let mut command = Command::new(build()?);
    command.arg("run");
    for pair in &pairs {
        command.args(["--pair", &pair.id, &format!("{}, {}", pair.language, pair.format)]);
        command.arg(pair.path(Side::Old)).arg(pair.path(Side::New));
    }
    let kept = workspace::root().join("target").join("compare");
    let docs = workspace::root().join("docs");
    command.arg("--results").arg(kept.join("results.json"));
    command.arg("--document").arg(docs.join("measurements.md"));
    command.arg("--plot").arg(docs.join("compare.svg"));
    // A virtual environment there saves installing a peer for the whole machine.
    let python = kept.join("python").join("bin").join("python");
    if python.exists() {
        command.arg("--python").arg(python);
    }
    command.args(&arguments.rest);
    // With peers named, nothing is kept.
    if arguments.siblings && !arguments.rest.iter().any(|argument| argument == "--peers") {
        command.args(["--rounds", "1", "--peers"]).args(PEERS);
    }
    command.current_dir(workspace::root());
    let status = command.status().with_context(|| format!("failed to start {command:?}"))?;
    std::process::exit(status.code().unwrap_or(1));
}

/// Builds the program and returns its path. It is started by path, because its peers' cost must not include cargo's.
fn build() -> Result<PathBuf> {
    workspace::run(&mut workspace::cargo(["build", "--quiet", "--release", "--package", "smidgen-compare"]))?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace::root().join("target"), PathBuf::from);
    Ok(target.join("release").join(format!("smidgen-compare{}", std::env::consts::EXE_SUFFIX)))
}
