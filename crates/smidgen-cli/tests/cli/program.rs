//! Runs the program under test and reads what it said.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The program with a clean environment: no colours, no log filter, no terminal.
pub(crate) fn command(words: &[&str], dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smidgen"));
    command.args(words).current_dir(dir).stdin(Stdio::null()).env_remove("SMIDGEN_LOG").env("COLUMNS", "100");
    command
}

/// What one run of the program said, and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The run, after making sure that it ended with `code`.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The one JSON document of a run with `--json`.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "not one document: {}", self.stdout);
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The stable code of a failed run with `--json`.
    #[track_caller]
    pub(crate) fn error_code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("no error in {}", self.stdout))
            .to_owned()
    }
}

/// Runs `smidgen WORDS` in `dir` to its end; words are split at spaces.
#[track_caller]
pub(crate) fn smidgen(dir: &Path, words: &str) -> Run {
    let words: Vec<&str> = words.split_whitespace().collect();
    Run::of(command(&words, dir).output().unwrap())
}
