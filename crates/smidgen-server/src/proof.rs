//! Proof that a patch gives the new build, and nothing else, before anybody hears of it: it is applied with the client's
//! own code, and what comes out is held against the build byte by byte.
//!
//! A [`Prover`] has another process apply it. That process is what a client's would be, so the most memory that it ever
//! had resident is worth signing; and a decoder that dies takes no publisher with it.

use std::fs::File;
use std::io::{self, BufRead as _, Read as _, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A program that applies patches: `<program> prove OLD PATCH` writes the new file to standard output, and an [`Effort`]
/// as the last line of standard error. `smidgen` is one.
#[derive(Clone, Debug)]
pub struct Prover {
    program: PathBuf,
}

/// What a process did so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Effort {
    /// Bytes that it had resident at most, program and all; `None`: the system does not tell.
    pub peak_memory: Option<u64>,
    /// Its processor time in seconds.
    pub cpu_seconds: f64,
}

/// A patch that was not proven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// Its files could not be laid out.
    #[error(
        "failed to copy both builds' files for the process that is to apply it: {0}; make room in the folder for temporary files, or choose another (TMPDIR)"
    )]
    Scratch(io::Error),
    /// The program could not be started.
    #[error(
        "failed to start {program}, which is to apply it: {error}; see that it can be run and that the machine has processes and memory to spare"
    )]
    Start {
        /// Where it should be.
        program: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What it wrote is not the new build.
    #[error("{error}; this is a defect, please report it with both builds")]
    Output {
        /// Where they part.
        error: io::Error,
    },
    /// It was killed.
    #[error(
        "the process that applied it was killed ({status}): give this run more memory, or fewer encoders at once, and run it again"
    )]
    Killed {
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// It failed.
    #[error(
        "the process that applied it ended with {status}: {message}; this is a defect, please report it with both builds"
    )]
    Failed {
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said.
        message: String,
    },
    /// It did not say what it did.
    #[error(
        "{program} did not end with a line about its effort but with {found:?}; it is not smidgen of this version: name one that is"
    )]
    Silent {
        /// Where it is.
        program: PathBuf,
        /// What was there instead.
        found: String,
    },
}

impl ProofError {
    /// Whether the patch is to blame, and not the machine that it was to be applied on.
    pub fn is_defect(&self) -> bool {
        matches!(self, Self::Output { .. } | Self::Failed { .. })
    }
}

impl Prover {
    /// A prover by the program at this path, or `None` where it could not reach the files: they have no names, and are
    /// handed over through `/proc`, which Linux alone has.
    pub fn new(program: PathBuf) -> Option<Self> {
        Path::new("/proc/self/fd").is_dir().then_some(Self { program })
    }

    /// Has `patch` applied to `old`, which must give `new`. Copies of both are put into `scratch`, or the system's folder for
    /// temporary files.
    pub(crate) fn prove(
        &self,
        old: &[u8],
        patch: &[u8],
        new: &[u8],
        scratch: Option<&Path>,
    ) -> Result<Effort, ProofError> {
        let lay_out = |bytes| lay_out(bytes, scratch).map_err(ProofError::Scratch);
        let (old, patch) = (lay_out(old)?, lay_out(patch)?);
        let mut command = Command::new(&self.program);
        command.arg("prove").args([&old, &patch].map(path_of));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = |error| ProofError::Start { program: self.program.clone(), error };
        let mut child = command.spawn().map_err(start)?;
        let output = child.stdout.take();
        let mut rest = Comparing::new(new);
        let (compared, ended) = std::thread::scope(|scope| {
            // Closes the pipe in the end, so that a process that was found wrong ends by itself.
            let compare = scope.spawn(|| output.map_or(Ok(0), |mut output| io::copy(&mut output, &mut rest)));
            let ended = child.wait_with_output();
            (compare.join().unwrap_or_else(|_| Err(io::Error::other("the comparison died"))), ended)
        });
        let ended = ended.map_err(start)?;
        let said = String::from_utf8_lossy(&ended.stderr);
        compared.map_err(|error| ProofError::Output { error })?;
        if ended.status.code().is_none() {
            return Err(ProofError::Killed { status: ended.status });
        }
        if !ended.status.success() {
            return Err(ProofError::Failed { status: ended.status, message: said.trim().to_owned() });
        }
        rest.end().map_err(|error| ProofError::Output { error })?;
        let last = said.lines().next_back().unwrap_or_default();
        serde_json::from_str(last)
            .map_err(|_| ProofError::Silent { program: self.program.clone(), found: last.to_owned() })
    }
}

/// A file without a name: gone when it is dropped, even in a crash. (Not [`mapped::Scratch`](crate::mapped::Scratch), of which
/// nobody but its owner may know.)
fn lay_out(bytes: &[u8], scratch: Option<&Path>) -> io::Result<File> {
    let mut file = match scratch {
        Some(folder) => tempfile::tempfile_in(folder)?,
        None => tempfile::tempfile()?,
    };
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// Where another process of the same user finds a file that this one has open.
fn path_of(file: &File) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()).into()
}

impl Effort {
    /// Of this process, up to now.
    pub fn so_far() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Self { peak_memory: peak_memory(), cpu_seconds: time.tv_sec as f64 + time.tv_nsec as f64 / 1e9 }
    }

    /// Its processor time.
    pub(crate) fn cpu(&self) -> Duration {
        Duration::try_from_secs_f64(self.cpu_seconds).unwrap_or_default()
    }
}

/// The high-water mark of this program, as Linux keeps it (`proc_pid_status(5)`). What `getrusage` tells will not do: it
/// starts from the mark of the process that started this one.
fn peak_memory() -> Option<u64> {
    let status = io::BufReader::new(File::open("/proc/self/status").ok()?.take(1 << 16));
    let mark =
        status.lines().map_while(Result::ok).find_map(|line| Some(line.strip_prefix("VmHWM:")?.to_owned()));
    let kibibytes: u64 = mark?.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Takes what a decoder writes and holds it against the build that it must be, byte by byte: the digests that the
/// decoder compares are not the only judge.
pub(crate) struct Comparing<'a>(&'a [u8]);

impl<'a> Comparing<'a> {
    pub(crate) fn new(build: &'a [u8]) -> Self {
        Self(build)
    }

    /// Whether all of the build came. A decoder counts for itself; a pipe may just end.
    fn end(&self) -> io::Result<()> {
        match self.0.len() {
            0 => Ok(()),
            missing => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the output ends {missing} bytes before the build does"),
            )),
        }
    }
}

impl Write for Comparing<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self.0.split_at_checked(buf.len()) {
            Some((expected, rest)) if expected == buf => {
                self.0 = rest;
                Ok(buf.len())
            }
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the output differs from the build {} bytes before its end", self.0.len()),
            )),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]
mod tests {
    use super::*;

    /// A program that does what `script` says with OLD as `$2` and PATCH as `$3`.
    fn prover(folder: &Path, script: &str) -> Prover {
        use std::os::unix::fs::PermissionsExt as _;
        let program = folder.join("prover");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        Prover::new(program).unwrap()
    }

    const EFFORT: &str = r#"echo '{"peak_memory":4096,"cpu_seconds":0.5}' >&2"#;

    #[test]
    fn hands_over_both_files_and_takes_the_effort() {
        let folder = tempfile::tempdir().unwrap();
        let good = prover(folder.path(), &format!("echo a warning >&2; cat \"$2\" \"$3\"; {EFFORT}"));
        let effort = good.prove(b"old", b"patch", b"oldpatch", Some(folder.path())).unwrap();
        assert_eq!(effort, Effort { peak_memory: Some(4096), cpu_seconds: 0.5 });
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the program is left");
    }

    #[test]
    fn believes_no_program_that_fails_writes_something_else_or_keeps_silent() {
        let folder = tempfile::tempdir().unwrap();
        for (script, expected) in [
            (format!("printf oldpotch; {EFFORT}"), "differs from the build 8 bytes before its end"),
            (format!("printf oldpat; {EFFORT}"), "ends 2 bytes before the build does"),
            (format!("printf oldpatch+; {EFFORT}"), "differs from the build 8 bytes before its end"),
            ("echo no such codec >&2; exit 3".to_owned(), "exit status: 3: no such codec;"),
            ("kill -9 $$".to_owned(), "signal: 9"),
            ("printf oldpatch; echo hello >&2".to_owned(), "but with \"hello\""),
        ] {
            let error =
                prover(folder.path(), &script).prove(b"old", b"patch", b"oldpatch", None).unwrap_err();
            assert!(error.to_string().contains(expected), "{script}: {error}");
        }
        let absent = Prover::new(folder.path().join("absent")).unwrap();
        let error = absent.prove(b"old", b"patch", b"new", None).unwrap_err();
        assert!(error.to_string().contains("failed to start"), "{error}");
        let nowhere = folder.path().join("nowhere");
        let error = absent.prove(b"old", b"patch", b"new", Some(&nowhere)).unwrap_err();
        assert!(error.to_string().contains("make room"), "{error}");
    }

    #[test]
    fn the_peak_of_this_process_is_known() {
        let effort = Effort::so_far();
        assert!(effort.peak_memory.unwrap() > 1 << 20, "{effort:?}");
        assert!(effort.cpu_seconds > 0.0);
    }
}
