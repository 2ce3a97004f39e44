//! Making patches: find matches, write them down in each codec that is asked for, keep the smallest.
//!
//! The result depends on the two files, the options' codec choice and the version of this crate, never on threads,
//! time or the machine.

use std::num::NonZeroUsize;

use crate::{
    Codec, Digest, Fault, Header, VERSION,
    header::{MIN_WINDOW_LOG, SectionHeader, allowed_raw},
};

mod bidiff;
mod classic;
mod jobs;
mod matcher;
pub(crate) mod pack;
mod runs;
mod script;
mod suffixes;

use pack::{Packed, Strength};
use script::Script;

/// The old file must be shorter than this: the suffix array counts in 32 bits.
pub const MAX_OLD_SIZE: u64 = i32::MAX as u64;

/// For new files up to this many bytes, bidiff's stream is packed at full strength without asking.
const CHEAP_STREAM: usize = 1 << 20;

/// Which codec's patch to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CodecChoice {
    /// The smallest patch is kept. bidiff's stream is long, and packing it at full strength takes longer than all the
    /// rest: a long one is only packed so if it is near the classic patch when both are packed quickly.
    #[default]
    Smallest,
    /// One codec, whatever comes of it.
    Only(Codec),
}

/// How to make a patch.
#[derive(Debug, Clone)]
pub struct DiffOptions {
    /// Which codec's patch to keep. Default: the smallest.
    pub codec: CodecChoice,
    /// Threads to work with. They change the time, never the patch. Default: one.
    pub threads: NonZeroUsize,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self { codec: CodecChoice::Smallest, threads: NonZeroUsize::MIN }
    }
}

impl DiffOptions {
    /// Keeps the patch of one codec only.
    #[must_use]
    pub fn with_codec(mut self, codec: Codec) -> Self {
        self.codec = CodecChoice::Only(codec);
        self
    }

    /// Works with this many threads.
    #[must_use]
    pub fn with_threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads;
        self
    }
}

/// No patch was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// The old file is too long for 32-bit suffix arrays.
    #[error(
        "the old file has {found} bytes, a patch can be made from fewer than {limit} only; use the full copy"
    )]
    OldTooLarge {
        /// Bytes it has.
        found: u64,
        /// The first size that is too large.
        limit: u64,
    },
    /// zstd did not do its work.
    #[error("failed to pack a section: {reason}; please report this")]
    Pack {
        /// What zstd says.
        reason: &'static str,
    },
}

impl DiffError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::OldTooLarge { .. } => Fault::LimitExceeded,
            Self::Pack { .. } => Fault::Bug,
        }
    }
}

/// Makes the patch that turns `old` into `new`.
///
/// # Errors
/// [`DiffError::OldTooLarge`] from 2 GiB on; use a full copy then.
pub fn diff(old: &[u8], new: &[u8], options: &DiffOptions) -> Result<Vec<u8>, DiffError> {
    if old.len() as u64 >= MAX_OLD_SIZE {
        return Err(DiffError::OldTooLarge { found: old.len() as u64, limit: MAX_OLD_SIZE });
    }
    let job = Job {
        script: Script::find(old, new),
        old_digest: Digest::of(old),
        new_digest: Digest::of(new),
        threads: options.threads,
    };
    match options.codec {
        CodecChoice::Only(codec) => job.patch(codec, Strength::Full),
        CodecChoice::Smallest => {
            let may_win = new.len() <= CHEAP_STREAM
                || job.patch(Codec::Bidiff, Strength::Quick)?.len()
                    <= job.patch(Codec::Classic, Strength::Quick)?.len();
            let classic = job.patch(Codec::Classic, Strength::Full)?;
            if !may_win {
                return Ok(classic);
            }
            let interleaved = job.patch(Codec::Bidiff, Strength::Full)?;
            Ok(if interleaved.len() < classic.len() { interleaved } else { classic })
        }
    }
}

/// What all patches between two files share.
struct Job<'a> {
    script: Script<'a>,
    old_digest: Digest,
    new_digest: Digest,
    threads: NonZeroUsize,
}

impl Job<'_> {
    /// The patch in one codec.
    fn patch(&self, codec: Codec, strength: Strength) -> Result<Vec<u8>, DiffError> {
        let sections = self.sections(codec, &self.script, strength)?;
        let raw = sections.iter().map(|section| section.raw_size).sum::<u64>();
        if raw <= allowed_raw(self.script.new.len() as u64) {
            return Ok(self.assemble(codec, sections));
        }
        // So many tiny steps that a decoder would refuse to walk them: never seen, but not impossible.
        let plain = Script::of_extra(self.script.old, self.script.new);
        Ok(self.assemble(codec, self.sections(codec, &plain, strength)?))
    }

    fn sections(
        &self,
        codec: Codec,
        script: &Script<'_>,
        strength: Strength,
    ) -> Result<Vec<Packed>, DiffError> {
        match codec {
            Codec::Classic => classic::encode(script, strength, self.threads),
            Codec::Bidiff => bidiff::encode(script, strength),
        }
    }

    /// Puts header and sections together.
    fn assemble(&self, codec: Codec, mut sections: Vec<Packed>) -> Vec<u8> {
        sections.retain(|section| section.raw_size > 0);
        sections.sort_by_key(|section| section.kind);
        let entry = |section: &Packed| SectionHeader {
            kind: section.kind,
            raw_size: section.raw_size,
            packed_size: section.bytes.len() as u64,
        };
        let header = Header {
            version: VERSION,
            codec,
            old_size: self.script.old.len() as u64,
            new_size: self.script.new.len() as u64,
            old_digest: self.old_digest,
            new_digest: self.new_digest,
            window_log: sections.iter().map(|section| section.window_log).max().unwrap_or(MIN_WINDOW_LOG),
            sections: sections.iter().map(entry).collect(),
        };
        let mut patch = header.encode();
        sections.iter().for_each(|section| patch.extend(&section.bytes));
        patch
    }
}
