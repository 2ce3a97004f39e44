//! Turning builds into full copies and patches, each proven with the client's own code before anybody hears of it.
//!
//! Nothing here touches the store or waits for anything but the processor; all of it may block for minutes.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use smidgen_delta::diff::{CodecChoice, DiffError, DiffOptions, diff};
use smidgen_delta::full::{self, Expected, FullError, FullOptions};
use smidgen_delta::{ApplyError, Digest, Limits, ParseError, Patch};
use smidgen_metadata::{Blake3, Blob, BlobDigest, NameError, PatchEntry};

use crate::digests::{Digests, Hashers};
use crate::mapped::{Frozen, Scratch};

/// A build in the encoder's hands: it cannot change any more, and its digests are known.
#[derive(Debug)]
pub(crate) struct Build {
    pub(crate) bytes: Frozen,
    pub(crate) digest: Digest,
    pub(crate) sha256: [u8; 32],
}

impl Build {
    /// Freezes and digests what `source` gives, in one pass.
    pub(crate) fn read(source: &mut dyn Read, scratch: Option<&Path>) -> io::Result<Self> {
        let mut digesting = Digesting::new(Scratch::new(scratch)?);
        io::copy(source, &mut digesting)?;
        digesting.finish()
    }

    /// Expands a full copy, which must give `expected`.
    pub(crate) fn expand(
        packed: &mut dyn Read,
        expected: Expected,
        limits: &Limits,
        scratch: Option<&Path>,
    ) -> Result<Self, FullError> {
        let output = |error| FullError::New(ApplyError::OutputFailed(error));
        let mut digesting = Digesting::new(Scratch::new(scratch).map_err(output)?);
        full::expand(packed, &mut digesting, expected, limits)?;
        digesting.finish().map_err(output)
    }

    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(crate) fn expected(&self) -> Expected {
        Expected { size: self.size(), digest: self.digest }
    }
}

/// A scratch file that digests what goes into it.
struct Digesting {
    scratch: Scratch,
    hashers: Hashers,
}

impl Digesting {
    fn new(scratch: Scratch) -> Self {
        Self { scratch, hashers: Hashers::default() }
    }

    fn finish(self) -> io::Result<Build> {
        let Digests { blake3, sha256 } = self.hashers.finish();
        Ok(Build { bytes: self.scratch.freeze()?, digest: blake3, sha256 })
    }
}

impl Write for Digesting {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.scratch.write_all(buf)?;
        self.hashers.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.scratch.flush()
    }
}

/// A full copy, ready for the store.
#[derive(Clone, Debug)]
pub(crate) struct MadeFull {
    pub(crate) bytes: Bytes,
    pub(crate) blob: Blob,
}

/// A patch, ready for the store.
#[derive(Clone, Debug)]
pub(crate) struct MadePatch {
    pub(crate) bytes: Bytes,
    pub(crate) entry: PatchEntry,
    pub(crate) cost: Cost,
}

/// What encoding cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Processor time.
    pub(crate) cpu: Duration,
}

/// Whether a pair gets a patch.
#[derive(Clone, Debug)]
pub(crate) enum Attempt {
    Made(MadePatch),
    Skipped { reason: String },
}

/// An encoder that broke its promise, or a client's decoder that did.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The full copy was not made, or does not give the build back.
    #[error("the full copy did not pass its test: {0}; this is a defect, please report it with the build")]
    Full(#[from] FullError),
    /// The patch was not made.
    #[error("no patch could be made: {0}")]
    Diff(#[from] DiffError),
    /// The patch cannot be read again.
    #[error("the patch did not pass its test: {0}; this is a defect, please report it with both builds")]
    Parse(#[from] ParseError),
    /// The patch does not give the new build.
    #[error("the patch did not pass its test: {0}; this is a defect, please report it with both builds")]
    Apply(#[from] ApplyError),
    /// The codec's name cannot be listed.
    #[error("the codec's name cannot be listed: {0}; this is a defect, please report it")]
    CodecName(#[from] NameError),
}

/// Makes the full copy of `build` and expands it again as a client would.
pub(crate) fn full_copy(build: &Build, limits: &Limits) -> Result<MadeFull, EncodeError> {
    let bytes = full::compress(&build.bytes, &FullOptions::default())?;
    full::expand(&*bytes, &mut Comparing(&build.bytes), build.expected(), limits)?;
    let blob = Blob { size: bytes.len() as u64, digest: blob_digest(Digest::of(&bytes)) };
    Ok(MadeFull { bytes: bytes.into(), blob })
}

/// Makes the patch from `old` to `new` and applies it as a client would.
pub(crate) fn patch(
    old: &Build,
    new: &Build,
    codec: CodecChoice,
    limits: &Limits,
) -> Result<Attempt, EncodeError> {
    let start = cpu_time();
    let cost = || Cost { cpu: cpu_time().saturating_sub(start) };
    let options = DiffOptions { codec, ..DiffOptions::default() };
    let bytes = match diff(&old.bytes, &new.bytes, &options) {
        Ok(bytes) => bytes,
        Err(error @ DiffError::OldTooLarge { .. }) => {
            return Ok(Attempt::Skipped { reason: error.to_string() });
        }
        Err(error) => return Err(error.into()),
    };
    let opened = Patch::open(&*bytes, limits)?;
    opened.apply(&&*old.bytes, &mut Comparing(&new.bytes))?;
    let header = opened.header();
    let entry = PatchEntry {
        old: blake3_of(old.digest).prefix(),
        codec: header.codec.to_string().parse()?,
        size: bytes.len() as u64,
        digest: blob_digest(Digest::of(&bytes)),
        memory_mib: PatchEntry::mebibytes(header.apply_memory()),
    };
    Ok(Attempt::Made(MadePatch { bytes: bytes.into(), entry, cost: cost() }))
}

/// The digest by which metadata names a blob.
pub(crate) fn blob_digest(digest: Digest) -> BlobDigest {
    blake3_of(digest).to_blob()
}

/// The digest as metadata carries it.
pub(crate) fn blake3_of(digest: Digest) -> Blake3 {
    Blake3::from_bytes(*digest.as_bytes())
}

/// Takes what a decoder writes and holds it against the build that it must be, byte by byte: the digests that the
/// decoder compares are not the only judge.
pub(crate) struct Comparing<'a>(&'a [u8]);

impl<'a> Comparing<'a> {
    pub(crate) fn new(build: &'a [u8]) -> Self {
        Self(build)
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

/// Processor time of this thread so far.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
