//! Rules about what documents claim: a test that is named as proof exists.

use std::collections::BTreeSet;

use super::{Findings, TrackedFile};

/// The heading of a table's last column, below which every code span is the name of a test.
const PROOF: &str = "shown by";

/// Judges every document.
pub(super) fn judge(files: &[TrackedFile], findings: &mut Findings) {
    let tests = tests(files);
    for file in files.iter().filter(|file| file.path.starts_with("docs/") && file.path.ends_with(".md")) {
        for name in claims(file.text.as_deref().unwrap_or_default()) {
            if !tests.contains(name) {
                findings
                    .add(&file.path, format!("`{name}` is named as proof, and is no test; name one that is"));
            }
        }
    }
}

/// The names of all functions directly below a `#[test]` or `#[tokio::test]`, other attributes between them allowed.
fn tests(files: &[TrackedFile]) -> BTreeSet<&str> {
    let mut tests = BTreeSet::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let mut marked = false;
        for line in file.text.as_deref().unwrap_or_default().lines().map(str::trim) {
            if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
                marked = true;
            } else if let Some(name) = function(line)
                && std::mem::take(&mut marked)
            {
                tests.insert(name);
            }
        }
    }
    tests
}

fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ").and_then(|rest| rest.split(['(', '<']).next())
}

/// The code spans in the last column of tables whose last heading is [`PROOF`].
fn claims(text: &str) -> Vec<&str> {
    let mut claims = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let Some(row) = line.strip_prefix('|').and_then(|row| row.trim_end().strip_suffix('|')) else {
            inside = false;
            continue;
        };
        let last = row.rsplit('|').next().unwrap_or_default().trim();
        inside |= last == PROOF;
        if inside {
            claims.extend(last.split('`').skip(1).step_by(2));
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TrackedFile {
        TrackedFile { path: path.into(), size: text.len() as u64, text: Some(text.into()) }
    }

    #[test]
    fn a_named_test_has_to_exist() {
        let source = file(
            "crates/x/src/a.rs",
            "#[test]\nfn one() {}\n#[tokio::test]\nasync fn two() {}\nfn no() {}\n",
        );
        let table = "| a | shown by |\n|---|---|\n| `x` | `one` `two` |\n\n`free` text\n\n| a | b |\n|---|---|\n| x | `y` |\n";
        let wrong = "| a | shown by |\n|---|---|\n| x | `no` |\n";
        let judged = |text| {
            let mut findings = Findings::default();
            judge(
                &[file("crates/x/src/a.rs", source.text.as_deref().unwrap()), file("docs/a.md", text)],
                &mut findings,
            );
            findings.0
        };
        assert_eq!(judged(table), Vec::<String>::new());
        assert_eq!(judged(wrong).len(), 1);
    }
}
