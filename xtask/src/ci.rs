//! The gate: everything that must hold before a change lands, in the order of what fails fastest.

use std::time::Instant;

use anyhow::Result;

use crate::{tidy, workspace};

/// The sample is a workspace of its own.
const SAMPLE: &str = "fixtures/sample/Cargo.toml";

/// What to leave out of the gate.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only format, clippy and tidy: the quick check before a commit.
    #[arg(long)]
    fast: bool,
}

/// Runs the gate; the first step that fails ends it.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    step("format", || {
        workspace::run(&mut workspace::cargo(["fmt", "--all", "--check"]))?;
        workspace::run(&mut workspace::cargo(["fmt", "--manifest-path", SAMPLE, "--check"]))
    })?;
    step("tidy", tidy::run)?;
    step("clippy", || {
        let arguments = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
        workspace::run(&mut workspace::cargo(arguments))
    })?;
    if arguments.fast {
        return Ok(());
    }
    step("tests", || {
        let arguments = ["test", "--workspace", "--all-targets", "--locked", "--no-fail-fast"];
        workspace::run(&mut workspace::cargo(arguments))
    })?;
    step("doc tests", || {
        workspace::run(&mut workspace::cargo(["test", "--workspace", "--doc", "--locked"]))
    })?;
    step("conformance", || {
        // With the checks that other publishers' metadata needs loosened; never together with what ships.
        let metadata = ["test", "-p", "smidgen-metadata", "--features", "tuf-compat", "--locked"];
        workspace::run(&mut workspace::cargo(metadata))?;
        let client =
            ["test", "-p", "smidgen-cli", "--features", "tuf-compat", "--test", "conformance", "--locked"];
        workspace::run(&mut workspace::cargo(client))
    })?;
    step("tests of the sample", || {
        // As its newest version, and as its first: the versions are real differences in the source.
        for features in ["--all-features", "--features=gzip,markdown,basic-auth,rate-limit"] {
            workspace::run(&mut workspace::cargo(["test", "--locked", "--manifest-path", SAMPLE, features]))?;
        }
        Ok(())
    })?;
    step("docs", || {
        let mut command = workspace::cargo(["doc", "--workspace", "--no-deps", "--locked"]);
        workspace::run(command.env("RUSTDOCFLAGS", "-D warnings"))
    })
}

#[allow(clippy::print_stderr, reason = "the gate speaks to the person who runs it")]
fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    eprintln!("==> {name}");
    let start = Instant::now();
    work()?;
    eprintln!("==> {name}: ok, {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}
