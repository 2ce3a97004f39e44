//! The reference implementation (python-tuf) as a judge of repositories that the program made.

use std::path::{Path, PathBuf};
use std::process::Command;

fn trust_tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../smidgen-metadata/tests/trust")
}

/// The judge's Python; see [`smidgen_testkit::python_with`].
pub(crate) fn python() -> Option<PathBuf> {
    let below = Path::new(env!("CARGO_TARGET_TMPDIR"));
    smidgen_testkit::python_with(&trust_tests().join("requirements.txt"), below)
}

/// Lets python-tuf start from the first root of `repository` and download `target`; its SHA-256.
pub(crate) fn download(python: &Path, repository: &Path, target: &str) -> String {
    let mut command = Command::new(python);
    command.arg(trust_tests().join("judge.py")).arg("read").arg(repository).arg(target);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // What the judge leaves for other tests is no part of a repository.
    let _ = std::fs::remove_dir_all(repository.join("canonical"));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
