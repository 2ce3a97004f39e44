//! The codecs: how sections turn old into new. One file each; this one only chooses between them.

use std::{fmt, str::FromStr};

use crate::{ApplyError, Inspection, SectionKind, old::OldFile, output::Output, patch::Sections, reference};

mod bidiff;
mod classic;

/// Bytes of scratch a codec may use beside the sections' decoders, the old file's buffer and the output's.
pub(crate) const SCRATCH: usize = 64 * 1024;

/// How a patch turns old into new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// bsdiff's controls, add and extra parts as separate sections.
    Classic,
    /// bidiff's own interleaved stream in one section.
    Bidiff,
    /// References to what moved are predicted, and everything is coded bit by bit in its context.
    Reference,
}

impl Codec {
    const ALL: [Self; 3] = [Self::Classic, Self::Bidiff, Self::Reference];

    /// The byte that stands for the codec in a patch.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Classic => 1,
            Self::Bidiff => 2,
            Self::Reference => 3,
        }
    }

    /// The name used on command lines and in metadata.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Bidiff => "bidiff",
            Self::Reference => "reference",
        }
    }

    pub(crate) fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.id() == id)
    }

    /// Whether a patch of this codec may have a section of this kind.
    pub(crate) fn takes(self, kind: SectionKind) -> bool {
        match self {
            Self::Classic => classic::SECTIONS.contains(&kind),
            Self::Bidiff => kind == SectionKind::Interleaved,
            Self::Reference => reference::takes(kind),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// No codec has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no codec {found:?}: expected \"classic\", \"bidiff\" or \"reference\"")]
pub struct ParseCodecError {
    found: String,
}

impl FromStr for Codec {
    type Err = ParseCodecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseCodecError { found: text.chars().take(40).collect() };
        Self::ALL.into_iter().find(|codec| codec.name() == text).ok_or_else(error)
    }
}

/// Makes the new file from the sections and the old file, of which only the size has been verified so far.
pub(crate) fn apply(
    codec: Codec,
    sections: &mut Sections<'_>,
    old: &mut OldFile<'_>,
    output: &mut Output<'_>,
) -> Result<(), ApplyError> {
    match codec {
        Codec::Classic => classic::apply(sections, old, output),
        Codec::Bidiff => bidiff::apply(sections, old, output),
        Codec::Reference => reference::apply(sections, old, output),
    }
}

/// Counts what the sections hold.
pub(crate) fn inspect(
    codec: Codec,
    sections: &mut Sections<'_>,
    old_size: u64,
) -> Result<Inspection, ApplyError> {
    match codec {
        Codec::Classic => classic::inspect(sections, old_size),
        Codec::Bidiff => bidiff::inspect(sections, old_size),
        Codec::Reference => reference::inspect(sections, old_size),
    }
}
