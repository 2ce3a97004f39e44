//! The programs that the demo runs: commands that end with a report, and servers that are stopped on every path.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::workspace::{self, describe};

/// How long a server may take to say where it listens, and to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Builds a program with cargo, whose progress goes to standard error, and returns where it is.
pub(super) fn build(arguments: &[&str]) -> Result<PathBuf> {
    let mut command = workspace::cargo(["build", "--locked", "--message-format", "json-render-diagnostics"]);
    command.args(arguments).stderr(Stdio::inherit());
    let messages = workspace::output(&mut command)?;
    let executable = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back();
    executable.with_context(|| format!("{} built no program", describe(&command)))
}

/// The `smidgen` program, asked for reports.
pub(super) struct Smidgen {
    pub(super) program: PathBuf,
}

/// How a command of it ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// As `smidgen --help` lists them.
    pub(super) exit: i32,
    pub(super) report: Value,
}

impl Smidgen {
    /// `smidgen NAME --json`, to be completed.
    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args([name, "--json"]).env_remove("SMIDGEN_LOG").stdin(Stdio::null());
        command
    }

    /// Starts `smidgen serve` on a free port; its access log goes to the file `log`.
    pub(super) fn serve(&self, repository: &Path, log: &Path) -> Result<Running> {
        let mut command = self.command("serve");
        command.arg(repository).args(["--listen", "127.0.0.1:0"]);
        Running::start(&mut command, log, |line| {
            serde_json::from_str::<Value>(line).ok()?["address"].as_str()?.parse().ok()
        })
    }
}

/// Runs a command of `smidgen` to its end, whatever that is.
pub(super) fn run(command: &mut Command) -> Result<Ended> {
    let output = command.output().with_context(|| format!("failed to start {}", describe(command)))?;
    let exit = output
        .status
        .code()
        .with_context(|| format!("{} was killed: {}", describe(command), output.status))?;
    let report = serde_json::from_slice(&output.stdout).with_context(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("{} ended with {exit} and no JSON report: {said}", describe(command))
    })?;
    Ok(Ended { exit, report })
}

/// Runs a command of `smidgen` that has to succeed.
pub(super) fn report(command: &mut Command) -> Result<Value> {
    let Ended { exit, report } = run(command)?;
    ensure!(exit == 0, "{} ended with {exit}: {report}", describe(command));
    Ok(report)
}

/// A server on loopback. Dropping it kills it and waits for its end.
pub(super) struct Running {
    child: Child,
    pub(super) address: SocketAddr,
    /// Kept open, so that the server can go on writing.
    _stdout: BufReader<ChildStdout>,
}

impl Running {
    /// Starts a server whose first line of output says where it listens.
    pub(super) fn start(
        command: &mut Command,
        log: &Path,
        address_in: impl Fn(&str) -> Option<SocketAddr>,
    ) -> Result<Self> {
        let stderr = File::create(log).with_context(|| format!("failed to create {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let child = command.spawn().with_context(|| format!("failed to start {}", describe(command)))?;
        // From here on it is stopped whatever happens.
        let mut guard = Guard(Some(child));
        let stdout = guard.0.as_mut().and_then(|child| child.stdout.take()).context("no standard output")?;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let (mut stdout, mut line) = (BufReader::new(stdout), String::new());
            let read = stdout.read_line(&mut line).map(|_| line);
            // Nobody waits any more if it took too long.
            let _ = sender.send((read, stdout));
        });
        let said = || fs::read_to_string(log).unwrap_or_default();
        let (line, stdout) = receiver
            .recv_timeout(PATIENCE)
            .with_context(|| format!("{} did not say where it listens: {}", describe(command), said()))?;
        let line = line?;
        let address = address_in(line.trim()).with_context(|| {
            format!("{} does not say where it listens: {line:?} {}", describe(command), said())
        })?;
        let child = guard.0.take().context("the server is gone")?;
        Ok(Self { child, address, _stdout: stdout })
    }

    /// Asks for a path, exactly as it is spelled; returns status and body.
    pub(super) fn get(&self, path: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let Some((head, body)) = answer.split_once("\r\n\r\n") else {
            bail!("no answer to {path}: {answer:?}")
        };
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        Ok((status.with_context(|| format!("no status in {head:?}"))?, body.to_owned()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        stop(&mut self.child);
    }
}

struct Guard(Option<Child>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            stop(child);
        }
    }
}

fn stop(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}
