//! The codecs that are compared: what each is called, how it is started, how it is drawn.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// One codec at its strongest known setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Peer {
    /// No patch at all: what a client without the old file downloads.
    Full,
    Bsdiff,
    Qbsdiff,
    Xdelta3,
    /// `zstd --patch-from`.
    Zstd,
    /// bidiff's own interleaved stream, compressed whole.
    BidiffZstd,
    HdiffpatchZstd,
    HdiffpatchLzma2,
    /// Ours, the plain interchange form.
    OursBidiff,
    /// Ours, matches in separate sections.
    OursClassic,
    /// Ours, with what moved predicted.
    OursReference,
    /// Ours as `smidgen diff` and `publish` make it where nobody says otherwise: the smallest of all codecs.
    OursAuto,
}

/// The files of one measurement.
pub(crate) struct Files {
    pub(crate) old: PathBuf,
    pub(crate) new: PathBuf,
    pub(crate) patch: PathBuf,
    /// What applying the patch writes.
    pub(crate) rebuilt: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Diff,
    Apply,
}

/// How a peer is run.
enum Origin {
    /// A program on the PATH, and the Debian package that brings it.
    Program { name: &'static str, package: &'static str },
    /// The Python package `hdiffpatch`, driven by a few lines of Python.
    Python,
    /// A library, in a small program of ours.
    Library,
}

const HDIFFPATCH: &str = include_str!("hdiffpatch.py");
/// Versions of the peers that are crates.
const LOCK: &str = include_str!("../../../Cargo.lock");

impl Peer {
    /// In the order of the table's columns.
    pub(crate) const ALL: [Self; 12] = [
        Self::Full,
        Self::Bsdiff,
        Self::Qbsdiff,
        Self::Xdelta3,
        Self::Zstd,
        Self::BidiffZstd,
        Self::HdiffpatchZstd,
        Self::HdiffpatchLzma2,
        Self::OursBidiff,
        Self::OursClassic,
        Self::OursReference,
        Self::OursAuto,
    ];

    /// The stable name in the results and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Bsdiff => "bsdiff",
            Self::Qbsdiff => "qbsdiff",
            Self::Xdelta3 => "xdelta3",
            Self::Zstd => "zstd",
            Self::BidiffZstd => "bidiff-zstd",
            Self::HdiffpatchZstd => "hdiffpatch-zstd",
            Self::HdiffpatchLzma2 => "hdiffpatch-lzma2",
            Self::OursBidiff => "ours-bidiff",
            Self::OursClassic => "ours-classic",
            Self::OursReference => "ours-reference",
            Self::OursAuto => "ours-auto",
        }
    }

    /// The name that people read.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Full => "full copy",
            Self::Bsdiff => "bsdiff",
            Self::Qbsdiff => "qbsdiff",
            Self::Xdelta3 => "xdelta3",
            Self::Zstd => "zstd --patch-from",
            Self::BidiffZstd => "bidiff + zstd",
            Self::HdiffpatchZstd => "HDiffPatch zstd",
            Self::HdiffpatchLzma2 => "HDiffPatch lzma2",
            Self::OursBidiff => "smidgen bidiff",
            Self::OursClassic => "smidgen classic",
            Self::OursReference => "smidgen reference",
            Self::OursAuto => "smidgen auto",
        }
    }

    /// The settings, as the document tells them.
    pub(crate) fn settings(self) -> &'static str {
        match self {
            Self::Full => "`smidgen_delta::full`, no old file",
            Self::Bsdiff => "`bsdiff`, `bspatch`; bzip2 inside, no settings",
            Self::Qbsdiff => "level 9, one thread; apply over memory",
            Self::Xdelta3 => "`-9 -S lzma -B` over the whole old file",
            Self::Zstd => "`--ultra -22 --long` over old and new, at least 27",
            Self::BidiffZstd => "`simple_diff`, its stream under zstd 22; apply: `bipatch` over memory",
            Self::HdiffpatchZstd => "Python package, level 22; the interpreter's start is taken off the CPU",
            Self::HdiffpatchLzma2 => {
                "Python package, level 9, 32 MiB dictionary; the interpreter's start is taken off the CPU"
            }
            Self::OursBidiff => "`--codec bidiff`; apply reads the old file in place, both digests included",
            Self::OursClassic => {
                "`--codec classic`; apply reads the old file in place, both digests included"
            }
            Self::OursReference => {
                "`--codec reference`; apply reads the old file in place, both digests included"
            }
            Self::OursAuto => {
                "`--codec auto`: the smallest of the three; its cost to diff is that of trying them"
            }
        }
    }

    /// Whether the peer is ours, and so judged.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Self::OursBidiff | Self::OursClassic | Self::OursReference | Self::OursAuto)
    }

    /// Whether the peer is somebody else's way to make a patch, and so what ours are judged by.
    pub(crate) fn is_rival(self) -> bool {
        !self.is_ours() && self != Self::Full
    }

    fn origin(self) -> Origin {
        match self {
            Self::Bsdiff => Origin::Program { name: "bsdiff", package: "bsdiff" },
            Self::Xdelta3 => Origin::Program { name: "xdelta3", package: "xdelta3" },
            Self::Zstd => Origin::Program { name: "zstd", package: "zstd" },
            Self::HdiffpatchZstd | Self::HdiffpatchLzma2 => Origin::Python,
            Self::Full
            | Self::Qbsdiff
            | Self::BidiffZstd
            | Self::OursBidiff
            | Self::OursClassic
            | Self::OursReference
            | Self::OursAuto => Origin::Library,
        }
    }

    /// The version that would run, or why the peer cannot run here and what to install.
    pub(crate) fn version(self, python: &Path) -> Result<String, String> {
        match self.origin() {
            Origin::Program { name, package } => {
                // `bsdiff` prints no version; started without files it only tells its usage.
                if Command::new(name).arg("--version").output().is_err() {
                    return Err(format!("no `{name}` on the PATH: apt-get install {package}"));
                }
                let mut query = Command::new("dpkg-query");
                query.args(["--show", "--showformat", "${Version}", package]);
                Ok(said(&mut query).unwrap_or_else(|| "unknown version".to_owned()))
            }
            Origin::Python => {
                let mut query = Command::new(python);
                query.args(["-c", HDIFFPATCH, "version"]);
                said(&mut query).ok_or_else(|| {
                    format!("{} has no `hdiffpatch`: pip install hdiffpatch", python.display())
                })
            }
            Origin::Library => {
                let name = match self {
                    Self::Qbsdiff => "qbsdiff",
                    Self::BidiffZstd => "bidiff",
                    _ => "smidgen-delta",
                };
                Ok(locked_version(LOCK, name).unwrap_or("unknown version").to_owned())
            }
        }
    }

    /// The process that does one job of this peer.
    pub(crate) fn command(self, verb: Verb, files: &Files, python: &Path) -> Result<Command> {
        let Files { old, new, patch, rebuilt } = files;
        let mut command;
        match (self, verb) {
            (Self::Bsdiff, Verb::Diff) => {
                command = Command::new("bsdiff");
                command.args([old, new, patch]);
            }
            (Self::Bsdiff, Verb::Apply) => {
                command = Command::new("bspatch");
                command.args([old, rebuilt, patch]);
            }
            (Self::Xdelta3, _) => {
                // The source window: the default of 64 MiB, or more where the old file needs it.
                let window = size(old)?.next_power_of_two().max(64 << 20);
                command = Command::new("xdelta3");
                command.args(["-f", "-B", &window.to_string()]);
                match verb {
                    Verb::Diff => command.args(["-e", "-9", "-S", "lzma", "-s"]).args([old, new, patch]),
                    Verb::Apply => command.args(["-d", "-s"]).args([old, patch, rebuilt]),
                };
            }
            (Self::Zstd, _) => {
                let both = size(old)? + size(new)?;
                let window = both.next_power_of_two().ilog2().clamp(27, 31);
                command = Command::new("zstd");
                command.args(["--quiet", "--force"]).arg(format!("--long={window}"));
                command.arg(joined("--patch-from=", old));
                match verb {
                    Verb::Diff => command.args(["--ultra", "-22"]).arg(new).arg("-o").arg(patch),
                    Verb::Apply => command.arg("--decompress").arg(patch).arg("-o").arg(rebuilt),
                };
            }
            (Self::HdiffpatchZstd | Self::HdiffpatchLzma2, _) => {
                command = Command::new(python);
                command.args(["-c", HDIFFPATCH]);
                match verb {
                    Verb::Diff => command.args(["diff", self.name()]).args([old, new, patch]),
                    Verb::Apply => command.arg("apply").args([old, patch, rebuilt]),
                };
            }
            (
                Self::Full
                | Self::Qbsdiff
                | Self::BidiffZstd
                | Self::OursBidiff
                | Self::OursClassic
                | Self::OursReference
                | Self::OursAuto,
                _,
            ) => {
                command = Command::new(job()?);
                match verb {
                    Verb::Diff => command.arg("diff").arg(self.name()).args([old, patch, new]),
                    Verb::Apply => command.arg("apply").arg(self.name()).args([old, patch, rebuilt]),
                };
            }
        }
        Ok(command)
    }
}

/// A process that does nothing, of the program that does the work of libraries: what it takes, all of them take.
pub(crate) fn nothing() -> Result<Command> {
    let mut command = Command::new(job()?);
    command.arg("nothing");
    Ok(command)
}

/// The program beside this one that does the work of libraries.
fn job() -> Result<PathBuf> {
    let job = format!("smidgen-compare-job{}", std::env::consts::EXE_SUFFIX);
    Ok(std::env::current_exe()?.with_file_name(job))
}

fn size(path: &Path) -> Result<u64> {
    let metadata = path.metadata().with_context(|| format!("failed to read {}", path.display()))?;
    Ok(metadata.len())
}

fn joined(prefix: &str, path: &Path) -> std::ffi::OsString {
    let mut joined = std::ffi::OsString::from(prefix);
    joined.push(path);
    joined
}

/// What a command that succeeds prints.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// The version of a package in the text of a `Cargo.lock`.
fn locked_version<'lock>(lock: &'lock str, name: &str) -> Option<&'lock str> {
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{name}\"")).skip(1);
    lines.next()?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_one_name_in_results_and_on_the_command_line() {
        for peer in Peer::ALL {
            let value = clap::ValueEnum::to_possible_value(&peer).expect("none is skipped");
            assert_eq!(value.get_name(), peer.name());
        }
    }

    #[test]
    fn reads_the_version_of_a_peer_from_the_lock() {
        let lock = "[[package]]\nname = \"bidiff-x\"\nversion = \"9\"\n\n[[package]]\nname = \"bidiff\"\nversion = \"1.0.0\"\n";
        assert_eq!(locked_version(lock, "bidiff"), Some("1.0.0"));
        assert_eq!(locked_version(lock, "bipatch"), None);
        for name in ["bidiff", "qbsdiff", "smidgen-delta"] {
            assert!(locked_version(LOCK, name).is_some(), "{name}");
        }
    }

    #[test]
    fn the_window_of_zstd_covers_both_files() {
        let scratch = tempfile::tempdir().expect("a folder");
        let path = |name: &str| scratch.path().join(name);
        let files =
            Files { old: path("old"), new: path("new"), patch: path("patch"), rebuilt: path("rebuilt") };
        let window = |old: u64, new: u64| {
            // Sparse: the sizes are enough.
            for (path, len) in [(&files.old, old), (&files.new, new)] {
                std::fs::File::create(path).and_then(|file| file.set_len(len)).expect("room for nothing");
            }
            let command = Peer::Zstd.command(Verb::Diff, &files, Path::new("python3")).expect("both exist");
            let window = command.get_args().find_map(|argument| {
                argument.to_str().and_then(|argument| argument.strip_prefix("--long=")).map(str::to_owned)
            });
            window.expect("a window is given")
        };
        assert_eq!(window(1, 1), "27");
        assert_eq!(window(100 << 20, 100 << 20), "28");
        assert_eq!(window(3 << 30, 3 << 30), "31");
    }
}
