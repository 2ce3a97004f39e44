//! Runs the peers beside us on pairs of real builds: one process per measurement, every patch proven by applying it.

mod ablation;
mod aim;
mod comparison;
mod document;
mod goals;
mod pair;
mod peer;
mod plot;
mod probe;
mod results;
mod run;
mod svg;
mod verdict;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures delta codecs on pairs of files: patch size, CPU and peak memory to diff and to apply.
#[derive(Parser)]
#[command(name = "smidgen-compare")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures and writes results, table and plot.
    Run(run::Arguments),
    /// Makes patches without one idea of the reference codec at a time, and prints what each brings.
    Ablate(ablation::Arguments),
    /// Starts a program, waits for it and prints what it cost.
    #[command(hide = true)]
    Probe {
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

#[allow(clippy::print_stderr, reason = "the one place where a failure is told")]
fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Ablate(arguments) => ablation::run(&arguments),
        Command::Probe { command } => probe::run(&command),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
