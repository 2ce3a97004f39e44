//! Developer commands of the workspace: `cargo xtask <command>`.

mod ci;
mod compare;
mod corpus;
mod demo;
mod smidgen;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of the smidgen workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must hold before a change lands: format, clippy, tidy, docs, tests.
    Ci(ci::Arguments),
    /// Runs the peers beside us on the corpus and writes docs/measurements.md and docs/compare.svg.
    #[command(disable_help_flag = true)]
    Compare(compare::Arguments),
    /// Fetches the pairs of real builds of `fixtures/pairs.toml`, or their siblings, into target/corpus and verifies them.
    Corpus(corpus::Arguments),
    /// Real builds published, patched, served, polled, updated and verified, with every claim checked.
    Demo(demo::Arguments),
    /// Executes the workspace's rules: imports between crates, module docs, reasons for dependencies, banned words, sizes.
    Tidy,
    /// The release pipeline's entry: `smidgen gen-deltas` of this checkout, with the same arguments.
    #[command(disable_help_flag = true)]
    GenDeltas(smidgen::Arguments),
}

#[allow(clippy::print_stderr, reason = "the one place where a command's failure is told")]
fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Ci(arguments) => ci::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Corpus(arguments) => corpus::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Tidy => tidy::run(),
        Command::GenDeltas(arguments) => smidgen::run("gen-deltas", &arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
