//! `smidgen-tuf-conformance` beside the reference client, before the same repositories: `judge.py` tells the stories.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

/// Runs a group of stories; fails with the names of those that failed.
fn judge(group: &str, more: &[&str]) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let below = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // One list of packages for all judges, so that they are one version of the reference implementation.
    let packages = here.join("../../../smidgen-metadata/tests/trust/requirements.txt");
    let Some(python) = smidgen_testkit::python_with(&packages, below) else { return };
    let mut command = Command::new(python);
    command
        .arg(here.join("judge.py"))
        .arg(env!("CARGO_BIN_EXE_smidgen-tuf-conformance"))
        .arg(group)
        .args(more);
    let output = command.env("no_proxy", "127.0.0.1").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<&str> = told.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert!(
        output.status.success() && failed.is_empty(),
        "{}\n{}",
        failed.join("\n"),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(told.lines().count() > 0, "no story was told");
}

#[test]
fn refreshes_and_downloads_as_the_reference_client_does() {
    judge("basics", &[]);
}

#[test]
fn follows_and_refuses_changes_of_keys_and_versions_as_the_reference_client_does() {
    judge("rotation", &[]);
}

#[test]
fn searches_delegations_as_the_reference_client_does() {
    judge("delegations", &[]);
}

#[test]
fn sees_expiry_as_the_reference_client_does_at_any_time() {
    // libfaketime changes the clock of a program that asks the C library.
    if Command::new("faketime").arg("--version").output().is_err() {
        return smidgen_testkit::skip("the program faketime is missing");
    }
    judge("time", &[]);
}

#[test]
fn agrees_with_the_reference_client_on_generated_repositories() {
    judge("generated", &["0", "12"]);
}
