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
use crate::proof::{Comparing, ProofError, Prover};

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
    /// The patch was not proven by a process of its own.
    #[error("the patch was not proven: {0}")]
    Proof(#[from] ProofError),
    /// The codec's name cannot be listed.
    #[error("the codec's name cannot be listed: {0}; this is a defect, please report it")]
    CodecName(#[from] NameError),
}

/// Makes the full copy of `build` and expands it again as a client would.
pub(crate) fn full_copy(build: &Build, limits: &Limits) -> Result<MadeFull, EncodeError> {
    let bytes = full::compress(&build.bytes, &FullOptions::default())?;
    full::expand(&*bytes, &mut Comparing::new(&build.bytes), build.expected(), limits)?;
    let blob = Blob { size: bytes.len() as u64, digest: blob_digest(Digest::of(&bytes)) };
    Ok(MadeFull { bytes: bytes.into(), blob })
}

/// Makes the patch from `old` to `new` and applies it as a client would, in a process of its own if there is a `prover`.
pub(crate) fn patch(
    old: &Build,
    new: &Build,
    codec: CodecChoice,
    limits: &Limits,
    prover: Option<&Prover>,
    scratch: Option<&Path>,
) -> Result<Attempt, EncodeError> {
    let start = cpu_time();
    let options = DiffOptions { codec, ..DiffOptions::default() };
    let bytes = match diff(&old.bytes, &new.bytes, &options) {
        Ok(bytes) => bytes,
        Err(error @ DiffError::OldTooLarge { .. }) => {
            return Ok(Attempt::Skipped { reason: error.to_string() });
        }
        Err(error) => return Err(error.into()),
    };
    let opened = Patch::open(&*bytes, limits)?;
    let effort = match prover {
        Some(prover) => Some(prover.prove(&old.bytes, &bytes, &new.bytes, scratch)?),
        None => {
            opened.apply(&&*old.bytes, &mut Comparing::new(&new.bytes))?;
            None
        }
    };
    let cpu = cpu_time().saturating_sub(start) + effort.map_or(Duration::ZERO, |effort| effort.cpu());
    let header = opened.header();
    let entry = PatchEntry {
        old: blake3_of(old.digest).prefix(),
        codec: header.codec.to_string().parse()?,
        size: bytes.len() as u64,
        digest: blob_digest(Digest::of(&bytes)),
        memory_mib: PatchEntry::mebibytes(header.apply_memory()),
        peak_mib: effort.and_then(|effort| effort.peak_memory).map(PatchEntry::mebibytes),
    };
    Ok(Attempt::Made(MadePatch { bytes: bytes.into(), entry, cost: Cost { cpu } }))
}

/// The digest by which metadata names a blob.
pub(crate) fn blob_digest(digest: Digest) -> BlobDigest {
    blake3_of(digest).to_blob()
}

/// The digest as metadata carries it.
pub(crate) fn blake3_of(digest: Digest) -> Blake3 {
    Blake3::from_bytes(*digest.as_bytes())
}

/// Processor time of this thread so far.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
