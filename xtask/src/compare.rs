//! Starts smidgen-compare on the corpus: the rivals are built only when they are asked for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::corpus::{self, Goals, List, Side};
use crate::workspace;

/// Passed on to `smidgen-compare run`, which explains them with `--help`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Compare on the siblings, once and with few peers unless `--rounds` or `--peers` say otherwise; print what comes out and keep
    /// nothing: the figures that are kept are those of the pairs.
    #[arg(long)]
    siblings: bool,
    /// Make patches without one idea of the reference codec at a time instead, and print what each brings. Comes before other
    /// options, of which it has `--only`.
    #[arg(long)]
    ablation: bool,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

/// How siblings are compared: with all peers and as often as the pairs, they would take days.
const FOR_SIBLINGS: [(&str, &[&str]); 2] =
    [("--rounds", &["1"]), ("--peers", &["bidiff-zstd", "ours-classic", "ours-reference"])];

/// Builds smidgen-compare with optimisation and runs it to its exit code.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let list = if arguments.siblings { List::Siblings } else { List::Pairs };
    let pairs = corpus::pairs(list, &[])?;
    let mut command = Command::new(build()?);
    command.arg(if arguments.ablation { "ablate" } else { "run" });
    for pair in &pairs {
        command.args(["--pair", &pair.id, &format!("{}, {}", pair.language, pair.format)]);
        command.arg(pair.path(Side::Old)).arg(pair.path(Side::New));
        if let Some(Goals { must, aim, quoted }) = pair.goals.as_ref().filter(|_| !arguments.ablation) {
            let [must, aim, size] = [must, aim, &quoted.size].map(u64::to_string);
            command.args(["--goals", &pair.id, &must, &aim, &quoted.peer, &size]);
        }
    }
    if !arguments.ablation {
        keep(&mut command);
    }
    command.args(&arguments.rest);
    // With peers named, nothing is kept.
    if arguments.siblings && !arguments.ablation {
        command.args(missing(&arguments.rest));
    }
    command.current_dir(workspace::root());
    let status = command.status().with_context(|| format!("failed to start {command:?}"))?;
    std::process::exit(status.code().unwrap_or(1));
}

/// Says where results, tables and plot are kept.
fn keep(command: &mut Command) {
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
}

/// What of the options for siblings was not given.
fn missing(given: &[OsString]) -> Vec<&'static str> {
    let is_given = |option: &str| {
        let is_it = |argument: &str| argument.split('=').next() == Some(option);
        given.iter().any(|argument| argument.to_str().is_some_and(is_it))
    };
    let options = FOR_SIBLINGS.into_iter().filter(|(option, _)| !is_given(option));
    options.flat_map(|(option, values)| [&[option], values].concat()).collect()
}

/// Builds the program and returns its path. It is started by path, because its peers' cost must not include cargo's.
fn build() -> Result<PathBuf> {
    let mut command = workspace::cargo(["build", "--quiet", "--release", "--package", "smidgen-compare"]);
    let mut target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace::root().join("target"), PathBuf::from);
    if let Some(triple) = static_triple() {
        // Named, so that the flags are not those of build scripts and macros too.
        command.args(["--target", &triple]).env("RUSTFLAGS", "-C target-feature=+crt-static");
        target.push(triple);
    }
    workspace::run(&mut command)?;
    Ok(target.join("release").join(format!("smidgen-compare{}", std::env::consts::EXE_SUFFIX)))
}

/// The target to link the libraries' jobs statically for, where it makes a difference: a Rust program on glibc loads a library
/// for unwinding that peers in C do without, a tenth of what applying a patch of a small program costs.
fn static_triple() -> Option<String> {
    cfg!(all(target_os = "linux", target_env = "gnu"))
        .then(|| format!("{}-unknown-linux-gnu", std::env::consts::ARCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_for_siblings_give_way_to_those_that_are_given() {
        let missing = |given: &[&str]| missing(&given.iter().map(OsString::from).collect::<Vec<_>>());
        let peers = ["--peers", "bidiff-zstd", "ours-classic", "ours-reference"];
        assert_eq!(missing(&["--only", "cmake-x64"]), [&["--rounds", "1"], &peers[..]].concat());
        assert_eq!(missing(&["--rounds", "2"]), peers);
        assert_eq!(missing(&["--peers=full", "--rounds=2"]), [""; 0]);
        assert_eq!(missing(&["--peers", "full"]), ["--rounds", "1"]);
    }
}
