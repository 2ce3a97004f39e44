//! Python with the packages that a foreign judge is made of.
//!
//! Made of the standard library alone: the crates that this one is made from read it as a file of their own tests.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Python with the packages of a `requirements.txt`, made once below `folder`. `None`, loudly, where there is no Python
/// or no registry; on CI that is a failure.
#[must_use]
pub fn python_with(requirements: &Path, folder: &Path) -> Option<PathBuf> {
    // Another list gets another folder.
    let mut wanted = DefaultHasher::new();
    fs::read(requirements).expect("a list of packages").hash(&mut wanted);
    let folder = folder.join(format!("python-{:016x}", wanted.finish()));
    fs::create_dir_all(&folder).expect("a folder");
    // Tests run side by side, with nextest even in several processes.
    let lock = fs::File::create(folder.join("lock")).expect("a lock file");
    lock.lock().expect("a lock");
    let python = folder.join("bin/python");
    let complete = folder.join("complete");
    if complete.exists() {
        return Some(python);
    }
    let made = run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).and_then(|()| {
        let mut pip = Command::new(&python);
        run(pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements))
    });
    if let Err(reason) = made {
        skip(&format!("it needs python3 with venv, and PyPI: {reason}"));
        return None;
    }
    fs::write(&complete, b"").expect("a mark");
    Some(python)
}

/// Says that a foreign judge is not at hand; on CI that is a failure.
pub fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "a foreign judge must be there on CI, but {reason}");
    // Written past the test harness, which would swallow it.
    let _ = writeln!(std::io::stderr(), "\n*** SKIPPED: a foreign judge is not here: {reason}\n");
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("{command:?} did not start: {error}")),
    }
}
