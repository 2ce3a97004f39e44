//! Making patches: find matches, write them down in each codec that is asked for, keep the smallest.
//!
//! The result depends on the two files, the options' codec choice and the version of this crate, never on threads,
//! time or the machine.

use std::{cell::OnceCell, num::NonZeroUsize};

use crate::{
    Codec, Digest, Fault, Header, Limits, Patch, VERSION,
    header::{MIN_WINDOW_LOG, SectionHeader, allowed_raw},
    reference::encoder::{self, Encoded, Ideas},
};

mod bidiff;
mod classic;
pub(crate) mod jobs;
mod matcher;
pub(crate) mod pack;
mod runs;
pub(crate) mod script;
pub(crate) mod suffixes;

pub use crate::reference::encoder::FileSection;
#[doc(hidden)]
pub use crate::reference::encoder::Idea;
use pack::{Packed, Strength};
use script::Script;

/// The old file must be shorter than this: the suffix array counts in 32 bits.
pub const MAX_OLD_SIZE: u64 = i32::MAX as u64;

/// For new files up to this many bytes, bidiff's stream is packed at full strength without asking.
const CHEAP_STREAM: usize = 1 << 20;

/// Which codec's patch to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CodecChoice {
    /// The smallest patch is kept. What cannot be the smallest is not made: no other patch of programs where the
    /// reference-aware one is clearly smaller; and no stream of bidiff's, which takes longer to pack than all the rest, where
    /// another is clearly smaller or where that of a long file is not near the classic patch when both are packed quickly.
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
    /// The files are too long, or too different, for the reference-aware codec.
    #[error(
        "the files have too little in common for the codec \"reference\"; let the smallest codec be chosen"
    )]
    Unsuitable,
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
            Self::OldTooLarge { .. } | Self::Unsuitable => Fault::LimitExceeded,
            Self::Pack { .. } => Fault::Bug,
        }
    }
}

/// Makes the patch that turns `old` into `new`.
///
/// # Errors
/// [`DiffError::OldTooLarge`] from 2 GiB on; use a full copy then.
pub fn diff(old: &[u8], new: &[u8], options: &DiffOptions) -> Result<Vec<u8>, DiffError> {
    diff_without(&[], old, new, options)
}

/// The same, where the reference-aware encoder does without some of its ideas: to tell what each of them brings.
///
/// # Errors
/// As [`diff()`].
#[doc(hidden)]
pub fn diff_without(
    ideas: &[Idea],
    old: &[u8],
    new: &[u8],
    options: &DiffOptions,
) -> Result<Vec<u8>, DiffError> {
    if old.len() as u64 >= MAX_OLD_SIZE {
        return Err(DiffError::OldTooLarge { found: old.len() as u64, limit: MAX_OLD_SIZE });
    }
    let (old_digest, new_digest) = jobs::both(options.threads, || Digest::of(old), || Digest::of(new));
    let (script, threads, ideas) = (OnceCell::new(), options.threads, Ideas::without(ideas));
    let job = Job { old, new, old_digest, new_digest, script, threads, ideas };
    match options.codec {
        CodecChoice::Only(Codec::Reference) => {
            job.reference().map(|(patch, _)| patch).ok_or(DiffError::Unsuitable)
        }
        CodecChoice::Only(codec) => job.patch(codec, Strength::Full),
        CodecChoice::Smallest => job.smallest(),
    }
}

/// A reference-aware patch of programs that is smaller by this factor than what its own matches come to in a classic patch, quickly
/// packed, is smaller than any classic patch packed at full strength. (On the corpus these take 0.82 to
/// 0.90 of that.)
const CLEARLY_SMALLER: usize = 2;

/// bidiff's stream is never so much smaller than a classic patch: it is tried where that takes no more than so many
/// sixteenths of the reference-aware one's bytes.
const WITHIN_REACH: usize = 17;

/// The sections of an executable file (ELF, PE, Mach-O) as its own table names them, by place and without overlap. Empty if
/// the file is of none of these formats, or names none.
#[must_use]
pub fn sections_of(file: &[u8]) -> Vec<FileSection> {
    encoder::sections_of(file)
}

/// What all patches between two files share.
struct Job<'a> {
    old: &'a [u8],
    new: &'a [u8],
    old_digest: Digest,
    new_digest: Digest,
    /// Found when it is needed.
    script: OnceCell<Script<'a>>,
    threads: NonZeroUsize,
    ideas: Ideas,
}

impl<'a> Job<'a> {
    /// The patch in a codec that writes down a script.
    fn patch(&self, codec: Codec, strength: Strength) -> Result<Vec<u8>, DiffError> {
        let script = self.script.get_or_init(|| Script::find(self.old, self.new));
        let sections = self.sections(codec, script, strength)?;
        if self.is_acceptable(&sections) {
            return Ok(self.assemble(codec, sections));
        }
        // So many tiny steps that a decoder would refuse to walk them: never seen, but not impossible.
        let plain = Script::of_extra(self.old, self.new);
        Ok(self.assemble(codec, self.sections(codec, &plain, strength)?))
    }

    /// The smallest patch of all codecs.
    fn smallest(&self) -> Result<Vec<u8>, DiffError> {
        let mut patches = Vec::new();
        if let Some((patch, found)) = self.reference() {
            if found.is_of_programs {
                let script = Script::of_matches(self.old, self.new, &found.matches);
                let sections = self.sections(Codec::Classic, &script, Strength::Quick)?;
                let guess: usize = sections.iter().map(Packed::size_in_patch).sum();
                if patch.len() <= guess / CLEARLY_SMALLER {
                    return Ok(patch);
                }
            }
            patches.push(patch);
        }
        let classic = self.patch(Codec::Classic, Strength::Full)?;
        let may_be_best =
            patches.iter().all(|reference| 16 * classic.len() <= WITHIN_REACH * reference.len());
        if may_be_best && self.is_bidiff_near()? {
            patches.push(self.patch(Codec::Bidiff, Strength::Full)?);
        }
        patches.push(classic);
        Ok(patches.into_iter().min_by_key(Vec::len).unwrap_or_default())
    }

    /// Whether bidiff's stream may make a smaller patch than the classic sections do, as far as packing both quickly tells.
    fn is_bidiff_near(&self) -> Result<bool, DiffError> {
        if self.new.len() <= CHEAP_STREAM {
            return Ok(true);
        }
        let [classic, bidiff] =
            [Codec::Classic, Codec::Bidiff].map(|codec| self.patch(codec, Strength::Quick));
        Ok(bidiff?.len() <= classic?.len())
    }

    /// The reference-aware patch and what is in it, unless the files are not for it, or it would take more memory than
    /// clients allow where nobody says otherwise.
    fn reference(&self) -> Option<(Vec<u8>, Encoded)> {
        let mut encoded = encoder::encode(self.old, self.new, self.threads, self.ideas)?;
        let patch = self.assemble(Codec::Reference, std::mem::take(&mut encoded.sections));
        Patch::open(&patch, &Limits::default()).is_ok().then_some((patch, encoded))
    }

    /// Whether a decoder takes so many raw bytes for a new file of this size.
    fn is_acceptable(&self, sections: &[Packed]) -> bool {
        let raw = sections.iter().map(|section| section.raw_size).sum::<u64>();
        raw <= allowed_raw(self.new.len() as u64)
    }

    fn sections(
        &self,
        codec: Codec,
        script: &Script<'a>,
        strength: Strength,
    ) -> Result<Vec<Packed>, DiffError> {
        match codec {
            Codec::Classic => classic::encode(script, strength, self.threads),
            Codec::Bidiff => bidiff::encode(script, strength),
            Codec::Reference => Err(DiffError::Unsuitable),
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
            old_size: self.old.len() as u64,
            new_size: self.new.len() as u64,
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
