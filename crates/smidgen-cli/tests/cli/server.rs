//! `smidgen serve` as a child of the test.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::program::command;

/// A running `smidgen serve`, ended at the latest when the test ends.
pub(crate) struct Server {
    child: Child,
    /// Where the repository is served.
    pub url: String,
}

impl Server {
    /// Serves `repo` on a free port of the loopback.
    pub(crate) fn start(dir: &Path, repo: &str) -> Self {
        let words = ["serve", repo, "--listen", "127.0.0.1:0", "--json"];
        let mut child = command(&words, dir).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let report: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("serve said {line:?}"));
        let url = report["url"].as_str().unwrap().to_owned();
        Self { child, url }
    }

    /// Asks it to stop as a service manager does, and returns its exit code.
    pub(crate) fn stop(mut self, signal: &str) -> Option<i32> {
        send(signal, &self.child);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by name, through the shell's built-in `kill`.
pub(crate) fn send(signal: &str, child: &Child) {
    let line = format!("kill -{signal} {}", child.id());
    assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
}
