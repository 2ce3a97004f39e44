//! Rules about single files: module docs, length, names, unfinished marks, machine paths, `unsafe`, purity, blob size.

use super::{Findings, TrackedFile};

/// No build product belongs into history.
const MAX_TRACKED_SIZE: u64 = 1 << 20;
/// A longer file holds two ideas.
const MAX_SOURCE_LINES: usize = 700;
/// Names that say nothing about what a file holds.
const EMPTY_NAMES: [&str; 5] = ["utils", "util", "common", "helpers", "manager"];
/// The only files that may hold `unsafe` code, each with SAFETY notes.
const UNSAFE_ALLOWED: [&str; 2] = ["crates/smidgen-ffi/", "crates/smidgen-server/src/mapped.rs"];
/// Crates that compute only: what they must never touch in their sources.
const PURE_CRATES: [&str; 2] = ["crates/smidgen-delta/src/", "crates/smidgen-metadata/src/"];
const IMPURE: [&str; 6] = ["std::fs", "std::net", "std::env", "SystemTime", "Instant::now", "tokio"];

/// Judges every tracked file.
pub(super) fn judge(files: &[TrackedFile], findings: &mut Findings) {
    for file in files {
        if file.size > MAX_TRACKED_SIZE {
            findings.add(
                &file.path,
                format!("{} bytes tracked; fetch or generate what is over 1 MiB", file.size),
            );
        }
        let Some(text) = &file.text else { continue };
        judge_text(&file.path, text, findings);
        if file.path.ends_with(".rs") {
            judge_source(&file.path, text, findings);
        }
    }
}

fn judge_text(path: &str, text: &str, findings: &mut Findings) {
    // Written in two halves, so that the rule does not find itself.
    let machine_paths = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/bash", "_jobs")];
    for (index, line) in text.lines().enumerate() {
        if machine_paths.iter().any(|machine_path| line.contains(machine_path)) {
            findings.add(&place(path, index), "a path of one machine; use a relative or temporary one");
        }
    }
}

fn judge_source(path: &str, text: &str, findings: &mut Findings) {
    // Fuzz targets and build scripts may open with an attribute; the idea still comes before the first item.
    let opening = text.lines().find(|line| !line.starts_with("#!["));
    if !opening.is_some_and(|line| line.starts_with("//! ")) {
        findings.add(path, "the first line is to be `//! ` and say the file's one idea");
    }
    let lines = text.lines().count();
    if lines > MAX_SOURCE_LINES {
        findings.add(path, format!("{lines} lines; at most {MAX_SOURCE_LINES}: split it by idea"));
    }
    let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    if EMPTY_NAMES.contains(&stem) {
        findings.add(path, "the name says nothing; name the file by the noun it holds");
    }
    let unfinished = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("FIX", "ME"),
        concat!("#[ig", "nore"),
    ];
    let may_be_unsafe = UNSAFE_ALLOWED.iter().any(|allowed| path.starts_with(allowed));
    let pure = PURE_CRATES.iter().any(|prefix| path.starts_with(prefix));
    for (index, line) in text.lines().enumerate() {
        if let Some(mark) = unfinished.iter().find(|mark| line.contains(*mark)) {
            findings
                .add(&place(path, index), format!("`{mark}` is unfinished work; finish it or file an issue"));
        }
        let code = line.split("//").next().unwrap_or_default();
        if !may_be_unsafe
            && (code.contains(concat!("uns", "afe {")) || code.contains(concat!("uns", "afe fn")))
        {
            findings.add(&place(path, index), "unsafe code outside the audited modules; use a safe library");
        }
        if pure && let Some(impure) = IMPURE.iter().find(|impure| code.contains(*impure)) {
            findings.add(
                &place(path, index),
                format!("`{impure}` in a crate without I/O; take it as an argument"),
            );
        }
    }
}

fn place(path: &str, line_index: usize) -> String {
    format!("{path}:{}", line_index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings_of(path: &str, text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        let file = TrackedFile { path: path.into(), size: text.len() as u64, text: Some(text.into()) };
        judge(&[file], &mut findings);
        findings.0
    }

    #[test]
    fn accepts_a_file_that_says_its_idea() {
        assert_eq!(findings_of("crates/x/src/a.rs", "//! One idea.\n\nfn f() {}\n"), Vec::<String>::new());
    }

    #[test]
    fn refuses_each_broken_rule() {
        let cases = [
            ("crates/x/src/a.rs", "fn f() {}\n".to_owned(), "first line"),
            ("crates/x/src/utils.rs", "//! A.\n".into(), "says nothing"),
            ("crates/x/src/a.rs", format!("//! A.\n{}", "//\n".repeat(MAX_SOURCE_LINES)), "split it"),
            ("crates/x/src/a.rs", concat!("//! A.\nfn f() { to", "do!() }\n").into(), "unfinished"),
            ("crates/x/src/a.rs", concat!("//! A.\nfn f() { uns", "afe { g() } }\n").into(), "unsafe code"),
            ("crates/smidgen-delta/src/a.rs", "//! A.\nuse std::fs::File;\n".into(), "without I/O"),
            ("docs/a.md", concat!("see /wo", "rk/main\n").into(), "one machine"),
        ];
        for (path, text, expected) in cases {
            let found = findings_of(path, &text);
            assert!(found.iter().any(|finding| finding.contains(expected)), "{path}: {expected}: {found:?}");
        }
    }

    #[test]
    fn refuses_a_large_file() {
        let mut findings = Findings::default();
        judge(&[TrackedFile { path: "a.bin".into(), size: MAX_TRACKED_SIZE + 1, text: None }], &mut findings);
        assert_eq!(findings.0.len(), 1);
    }
}
