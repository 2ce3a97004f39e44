//! The workspace's rules, executed, so that they cannot drift from what the documents say.

mod claims;
mod imports;
mod manifests;
mod sources;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// A file that git tracks, with its text where it is text.
struct TrackedFile {
    path: String,
    size: u64,
    text: Option<String>,
}

/// Everything that a rule found wrong: where, and what to do.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, place: &str, remedy: impl std::fmt::Display) {
        self.0.push(format!("{place}: {remedy}"));
    }
}

/// Runs every rule over the tracked files and the crate graph, and reports all findings at once.
pub(crate) fn run() -> Result<()> {
    let root = workspace::root();
    let files = tracked_files(&root)?;
    let mut findings = Findings::default();
    sources::judge(&files, &mut findings);
    claims::judge(&files, &mut findings);
    manifests::judge(&files, &mut findings);
    imports::judge(&imports::read(&root)?, &mut findings);
    if findings.0.is_empty() {
        return Ok(());
    }
    let mut report = String::new();
    for finding in &findings.0 {
        writeln!(report, "  {finding}")?;
    }
    bail!("tidy found {} thing(s) to mend:\n{report}", findings.0.len())
}

fn tracked_files(root: &Path) -> Result<Vec<TrackedFile>> {
    let mut command = std::process::Command::new("git");
    command.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let names = workspace::output(&mut command)?;
    let mut files = Vec::new();
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        let full = root.join(name);
        let Ok(metadata) = std::fs::symlink_metadata(&full) else { continue };
        if !metadata.is_file() {
            continue;
        }
        let bytes = std::fs::read(&full).with_context(|| format!("failed to read {name}"))?;
        files.push(TrackedFile {
            path: name.to_owned(),
            size: metadata.len(),
            text: String::from_utf8(bytes).ok(),
        });
    }
    Ok(files)
}
