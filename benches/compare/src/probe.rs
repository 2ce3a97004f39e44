//! What a child process costs: CPU time of user and system together, time on the clock, and the most memory it ever held.
//!
//! A process inherits the high-water mark of whoever forked it, so a large parent would hide a small child. Between the
//! two stands this program once more, freshly executed and a few MiB small, with the measured process as its only
//! child: whatever `getrusage` says of its children is that one process.

use std::ffi::OsString;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

/// What one process took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Seconds of CPU, user and system.
    pub(crate) cpu: f64,
    /// Seconds on the clock, from its start to its end.
    pub(crate) wall: f64,
    /// Peak resident memory in bytes. Never below that of the probe itself, some 2 MiB where it is linked statically.
    pub(crate) peak: u64,
}

/// Runs `command` under a probe of its own. Its standard error is kept for the message.
///
/// A job that needs an interpreter may print `start <seconds>`: the CPU that was gone before its work began, which is
/// then taken off. Whatever else it prints is dropped.
///
/// # Errors
/// If it cannot be started or does not end with success.
pub(crate) fn measure(command: &Command) -> Result<Usage> {
    let mut probe = Command::new(std::env::current_exe()?);
    probe.arg("probe").arg("--").arg(command.get_program()).args(command.get_args());
    let output = probe.stdin(Stdio::null()).output().context("failed to start the probe")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed: {}", said.trim().lines().last().unwrap_or("it said nothing"));
    }
    serde_json::from_slice(&output.stdout).context("failed to understand the probe")
}

/// The probe's own side: starts the program, waits, prints the usage as JSON.
#[allow(clippy::print_stdout, reason = "standard output is the wire to the parent")]
pub(crate) fn run(command: &[OsString]) -> Result<ExitCode> {
    let Some((program, arguments)) = command.split_first() else { bail!("no program to start") };
    let start = Instant::now();
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("failed to start {}", program.display()))?;
    let wall = start.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!("{} ended with {}", program.display(), output.status);
    }
    let before_work = start_of(&String::from_utf8_lossy(&output.stdout));
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    let peak = u64::try_from(usage.max_rss())? * MAX_RSS_UNIT;
    println!("{}", serde_json::to_string(&Usage { cpu: micros as f64 / 1e6 - before_work, wall, peak })?);
    Ok(ExitCode::SUCCESS)
}

/// The seconds that a job says its start took; none if it says nothing.
fn start_of(printed: &str) -> f64 {
    let said = printed.lines().find_map(|line| line.strip_prefix("start "));
    said.and_then(|seconds| seconds.trim().parse().ok()).unwrap_or(0.0)
}

/// Linux and the BSDs count in KiB, Apple's systems in bytes.
const MAX_RSS_UNIT: u64 = if cfg!(target_vendor = "apple") { 1 } else { 1024 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_start_took_among_other_lines() {
        assert!((start_of("hello\nstart 0.25\n") - 0.25).abs() < 1e-9);
        for nothing in ["", "started 3", "start soon", "restart 3"] {
            assert!(start_of(nothing).abs() < 1e-9, "{nothing:?}");
        }
    }
}
