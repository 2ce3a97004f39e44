//! The reference implementation (python-tuf) as a judge of repositories that the program made.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use smidgen_metadata::Sha256;

fn trust_tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../smidgen-metadata/tests/trust")
}

/// The judge's Python, shared with the tests of metadata. `None`, loudly, where there is no Python or no registry; on CI
/// that is a failure.
pub(crate) fn python() -> Option<PathBuf> {
    let requirements = trust_tests().join("requirements.txt");
    let wanted = Sha256::of(&std::fs::read(&requirements).unwrap()).to_string();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("python-tuf-{}", &wanted[..12]));
    std::fs::create_dir_all(&folder).unwrap();
    // Tests run side by side, with nextest even in several processes.
    let lock = std::fs::File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let (python, complete) = (folder.join("bin/python"), folder.join("complete"));
    if !complete.exists() {
        let made = run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).and_then(|()| {
            let install = ["-m", "pip", "install", "--quiet", "--requirement"];
            run(Command::new(&python).args(install).arg(&requirements))
        });
        if let Err(reason) = made {
            assert!(std::env::var_os("CI").is_none(), "python-tuf must judge on CI, but: {reason}");
            // Written past the test harness, which would swallow it.
            let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: python-tuf does not judge here: {reason}\n");
            return None;
        }
        std::fs::write(&complete, b"").unwrap();
    }
    Some(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("{command:?} did not start: {error}")),
    }
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
