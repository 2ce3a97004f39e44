//! One diff or apply of a peer that is a library, in a process of its own: files in, files out, nothing else.
//!
//! Every library gets its input the same way: whole files where it takes slices, the open file where it takes a reader.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Cursor, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use smidgen_delta::diff::DiffOptions;
use smidgen_delta::full::{self, Expected, FullOptions};
use smidgen_delta::{Codec, Digest, Limits, Patch, ReadAt};

use crate::peer::{Files, Peer, Verb};

/// The word that starts a job; what to do, the peer and three files follow.
pub(crate) const WORD: &str = "job";

/// The command that has this program do the job.
pub(crate) fn command(peer: Peer, verb: Verb, files: &Files) -> Result<Command> {
    let (verb, new) = match verb {
        Verb::Diff => ("diff", &files.new),
        Verb::Apply => ("apply", &files.rebuilt),
    };
    let mut command = Command::new(std::env::current_exe()?);
    command.args([WORD, verb, peer.name()]).args([&files.old, &files.patch, new]);
    Ok(command)
}

/// Does the job that the words after [`WORD`] say.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> Result<()> {
    let words: Vec<OsString> = words.collect();
    let [verb, peer, old, patch, new] = &words[..] else { bail!("expected five words, found {words:?}") };
    let named = |other: &Peer| *peer == *other.name();
    let peer = Peer::ALL.into_iter().find(named).with_context(|| format!("no peer is called {peer:?}"))?;
    let (old, patch, new) = (Path::new(old), Path::new(patch), Path::new(new));
    match verb.to_str() {
        Some("diff") => diff(peer, old, new, patch),
        Some("apply") => apply(peer, old, patch, new),
        _ => bail!("{verb:?} is nothing that a peer does"),
    }
}

fn diff(peer: Peer, old: &Path, new: &Path, patch: &Path) -> Result<()> {
    let new = read(new)?;
    let bytes = match peer {
        Peer::Full => {
            write(&beside(patch), format!("{} {}", new.len(), Digest::of(&new)).as_bytes())?;
            full::compress(&new, &FullOptions::default())?
        }
        Peer::Qbsdiff => {
            let old = read(old)?;
            let mut bytes = Vec::new();
            qbsdiff::Bsdiff::new(&old, &new)
                .parallel_scheme(qbsdiff::ParallelScheme::Never)
                .compression_level(9)
                .compare(Cursor::new(&mut bytes))?;
            bytes
        }
        Peer::BidiffZstd => {
            let old = read(old)?;
            let mut stream = Vec::new();
            bidiff::simple_diff(&old, &new, &mut stream)?;
            zstd::bulk::compress(&stream, 22)?
        }
        Peer::OursBidiff => ours(&read(old)?, &new, Codec::Bidiff)?,
        Peer::OursClassic => ours(&read(old)?, &new, Codec::Classic)?,
        Peer::OursReference => ours(&read(old)?, &new, Codec::Reference)?,
        foreign => bail!("{} is no library", foreign.name()),
    };
    write(patch, &bytes)
}

fn ours(old: &[u8], new: &[u8], codec: Codec) -> Result<Vec<u8>> {
    // One thread, like the peers. The bytes are the same for any number.
    let options = DiffOptions::default().with_codec(codec).with_threads(NonZeroUsize::MIN);
    Ok(smidgen_delta::diff::diff(old, new, &options)?)
}

fn apply(peer: Peer, old: &Path, patch: &Path, new: &Path) -> Result<()> {
    let file = File::create(new).with_context(|| format!("failed to create {}", new.display()))?;
    let mut out = BufWriter::with_capacity(1 << 16, file);
    match peer {
        Peer::Full => {
            // A client knows both from signed metadata; here the diff left them beside the patch.
            let expected = fs::read_to_string(beside(patch))?;
            let (size, digest) = expected.split_once(' ').context("failed to understand what is expected")?;
            let expected = Expected { size: size.parse()?, digest: digest.parse()? };
            full::expand(BufReader::new(open(patch)?), &mut out, expected, &Limits::default())?;
        }
        Peer::Qbsdiff => {
            let (old, patch) = (read(old)?, read(patch)?);
            qbsdiff::Bspatch::new(&patch)?.apply(&old, &mut out)?;
        }
        Peer::BidiffZstd => {
            let old = Cursor::new(read(old)?);
            let stream = zstd::Decoder::new(open(patch)?)?;
            io::copy(&mut bipatch::Reader::new(stream, old)?, &mut out)?;
        }
        Peer::OursBidiff | Peer::OursClassic | Peer::OursReference => {
            let old = FileInPlace::open(old)?;
            Patch::open(FileInPlace::open(patch)?, &Limits::default())?.apply(&old, &mut out)?;
        }
        foreign => bail!("{} is no library", foreign.name()),
    }
    Ok(out.flush()?)
}

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
