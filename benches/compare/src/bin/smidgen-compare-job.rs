//! One diff or apply of a peer that is a library, in a process of its own: files in, files out, nothing else. A program by
//! itself, because one that also reads arguments and draws plots takes twice as long to start as the peers that are programs.
//!
//! Every library gets its input the same way: whole files where it takes slices, the open file where it takes a reader.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Cursor, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use smidgen_delta::diff::{CodecChoice, DiffOptions};
use smidgen_delta::full::{self, Expected, FullOptions};
use smidgen_delta::{Digest, Limits, Patch, ReadAt};

/// A peer that is a library.
#[derive(Clone, Copy)]
enum Library {
    Full,
    Qbsdiff,
    BidiffZstd,
    Ours(CodecChoice),
}

impl Library {
    /// By the name that the comparison has for it.
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "full" => Self::Full,
            "qbsdiff" => Self::Qbsdiff,
            "bidiff-zstd" => Self::BidiffZstd,
            "ours-auto" => Self::Ours(CodecChoice::default()),
            ours => Self::Ours(CodecChoice::Only(ours.strip_prefix("ours-")?.parse().ok()?)),
        })
    }
}

#[allow(clippy::print_stderr, reason = "the one place where a failure is told")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Does what the words say: `diff` or `apply`, the library, three files and, for a diff of ours, how many threads; or
/// `nothing`, which shows what a process takes by itself.
fn run() -> Result<()> {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    if words == ["nothing"] {
        return Ok(());
    }
    let [verb, name, old, patch, new, more @ ..] = &words[..] else {
        bail!("expected five words, found {words:?}");
    };
    let threads = match more {
        [] => NonZeroUsize::MIN,
        [threads] => threads.to_str().context("threads are a number")?.parse()?,
        _ => bail!("expected six words at most, found {words:?}"),
    };
    let library = name.to_str().and_then(Library::of);
    let library = library.with_context(|| format!("no library is called {name:?}"))?;
    let (old, patch, new) = (Path::new(old), Path::new(patch), Path::new(new));
    match verb.to_str() {
        Some("diff") => diff(library, [old, new, patch], threads),
        Some("apply") => apply(library, old, patch, new),
        _ => bail!("{verb:?} is nothing that a peer does"),
    }
}

/// One thread is what peers have. Only ours takes more; its bytes are the same for any number.
fn diff(library: Library, [old, new, patch]: [&Path; 3], threads: NonZeroUsize) -> Result<()> {
    let new = read(new)?;
    let bytes = match library {
        Library::Full => {
            write(&beside(patch), format!("{} {}", new.len(), Digest::of(&new)).as_bytes())?;
            full::compress(&new, &FullOptions::default())?
        }
        Library::Qbsdiff => {
            let old = read(old)?;
            let mut bytes = Vec::new();
            qbsdiff::Bsdiff::new(&old, &new)
                .parallel_scheme(qbsdiff::ParallelScheme::Never)
                .compression_level(9)
                .compare(Cursor::new(&mut bytes))?;
            bytes
        }
        Library::BidiffZstd => {
            let old = read(old)?;
            let mut stream = Vec::new();
            bidiff::simple_diff(&old, &new, &mut stream)?;
            zstd::bulk::compress(&stream, 22)?
        }
        Library::Ours(codec) => {
            smidgen_delta::diff::diff(&read(old)?, &new, &DiffOptions { codec, threads })?
        }
    };
    write(patch, &bytes)
}

fn apply(library: Library, old: &Path, patch: &Path, new: &Path) -> Result<()> {
    let file = File::create(new).with_context(|| format!("failed to create {}", new.display()))?;
    let mut out = BufWriter::with_capacity(1 << 16, file);
    match library {
        Library::Full => {
            // A client knows both from signed metadata; here the diff left them beside the patch.
            let expected = fs::read_to_string(beside(patch))?;
            let (size, digest) = expected.split_once(' ').context("failed to understand what is expected")?;
            let expected = Expected { size: size.parse()?, digest: digest.parse()? };
            reserve(out.get_ref(), expected.size);
            full::expand(BufReader::new(open(patch)?), &mut out, expected, &Limits::default())?;
        }
        Library::Qbsdiff => {
            let (old, patch) = (read(old)?, read(patch)?);
            let patch = qbsdiff::Bspatch::new(&patch)?;
            reserve(out.get_ref(), patch.hint_target_size());
            patch.apply(&old, &mut out)?;
        }
        Library::BidiffZstd => {
            let old = Cursor::new(read(old)?);
            let stream = zstd::Decoder::new(open(patch)?)?;
            io::copy(&mut bipatch::Reader::new(stream, old)?, &mut out)?;
        }
        Library::Ours(_) => {
            let old = FileInPlace::open(old)?;
            let patch = Patch::open(FileInPlace::open(patch)?, &Limits::default())?;
            reserve(out.get_ref(), patch.header().new_size);
            patch.apply(&old, &mut out)?;
        }
    }
    Ok(out.flush()?)
}

/// Sets room on the disk aside, as `smidgen apply` and the client do, for every library that says what will be written. By
/// itself, because the client would bring its whole tree into a program that is measured from its start.
#[cfg(target_os = "linux")]
fn reserve(file: &File, len: u64) {
    use nix::fcntl::{FallocateFlags, fallocate};
    // Not every file system can; a full disk is told by the write.
    let _ = fallocate(file, FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, len.try_into().unwrap_or(i64::MAX));
}

#[cfg(not(target_os = "linux"))]
fn reserve(_file: &File, _len: u64) {}

/// A file read where it lies, so that a large one costs no memory.
struct FileInPlace {
    file: File,
    size: u64,
}

impl FileInPlace {
    fn open(path: &Path) -> Result<Self> {
        let file = open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }
}

impl ReadAt for FileInPlace {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }
}

fn beside(patch: &Path) -> PathBuf {
    patch.with_extension("expected")
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("failed to open {}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("failed to read {}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("failed to write {}", path.display()))
}
