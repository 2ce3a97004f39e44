//! What can go wrong while a patch is parsed and applied, with the value found, the value expected and the remedy.

use std::io;

use crate::{Codec, Digest, Fault, SectionKind};

/// The header of a patch was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Other magic bytes.
    #[error(
        "this is not a smidgen patch: it starts with {found:02x?}, a patch starts with \"smdg\"; check which file was given"
    )]
    NotAPatch {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// A container of another version.
    #[error("the patch has container version {found}, this program reads version 1; update by full copy")]
    UnknownVersion {
        /// The version byte.
        found: u8,
    },
    /// A codec that this version does not know.
    #[error("the patch uses codec number {found}, which this program does not know; update by full copy")]
    UnknownCodec {
        /// The codec byte.
        found: u8,
    },
    /// A section kind that this version does not know.
    #[error("the patch has a section of kind {found}, which this program does not know; update by full copy")]
    UnknownSection {
        /// The kind byte.
        found: u8,
    },
    /// A section that belongs to another codec.
    #[error(
        "the patch has a section \"{kind}\", which codec {codec} does not take; the patch is damaged: fetch it again"
    )]
    MisplacedSection {
        /// The kind of the section.
        kind: SectionKind,
        /// The codec of the patch.
        codec: Codec,
    },
    /// The patch ends too early.
    #[error(
        "the patch ends at byte {found} inside its {field}, which reaches to byte {expected} at least; fetch it again"
    )]
    Truncated {
        /// What was being read.
        field: &'static str,
        /// Bytes there are.
        found: u64,
        /// Bytes there must be.
        expected: u64,
    },
    /// The patch goes on after its last section.
    #[error(
        "the patch has {found} bytes, its sections end at byte {expected}; it is damaged: fetch it again"
    )]
    TrailingBytes {
        /// Bytes there are.
        found: u64,
        /// Bytes there must be.
        expected: u64,
    },
    /// A number in another spelling than the shortest, or over 64 bits.
    #[error("{field} is not a number in its shortest spelling; the patch is damaged: fetch it again")]
    NotCanonical {
        /// Which number.
        field: &'static str,
    },
    /// A number that cannot be.
    #[error("{field} is {found}, expected {expected}; the patch is damaged: fetch it again")]
    Contradiction {
        /// Which number.
        field: &'static str,
        /// Its value.
        found: u64,
        /// What it can be.
        expected: &'static str,
    },
    /// A number above the caller's limit.
    #[error(
        "{field} is {found}, the limit is {limit}; fetch the patch again in case it is damaged, allow more, or update by full copy"
    )]
    LimitExceeded {
        /// Which number.
        field: &'static str,
        /// Its value.
        found: u64,
        /// The ceiling.
        limit: u64,
    },
    /// The patch could not be read.
    #[error("failed to read the patch: {0}")]
    Unreadable(#[source] io::Error),
}

impl ParseError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::UnknownVersion { .. } | Self::UnknownCodec { .. } | Self::UnknownSection { .. } => {
                Fault::PatchUnsupported
            }
            Self::LimitExceeded { .. } => Fault::LimitExceeded,
            Self::Unreadable(_) => Fault::PatchUnreadable,
            _ => Fault::PatchDamaged,
        }
    }
}

/// The patch could not be applied. Whatever was written so far is worthless.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The old file has another size.
    #[error(
        "the old file has {found} bytes, the patch is for one of {expected}; take a patch for the installed build or the full copy"
    )]
    OldSize {
        /// Bytes it has.
        found: u64,
        /// Bytes the patch was made for.
        expected: u64,
    },
    /// The old file has another content.
    #[error(
        "the old file has digest {found}, the patch is for {expected}; take a patch for the installed build or the full copy"
    )]
    OldDigest {
        /// Its digest.
        found: Digest,
        /// The digest the patch was made for.
        expected: Digest,
    },
    /// The old file could not be read.
    #[error("failed to read the old file: {0}")]
    OldUnreadable(#[source] io::Error),
    /// The patch could not be read.
    #[error("failed to read the patch: {0}")]
    PatchUnreadable(#[source] io::Error),
    /// The new file could not be written.
    #[error("failed to write the new file: {0}")]
    OutputFailed(#[source] io::Error),
    /// The packed bytes of a section are not what zstd packs.
    #[error("section \"{section}\" does not unpack: {reason}; the patch is damaged: fetch it again")]
    Unpack {
        /// Which section.
        section: SectionKind,
        /// What zstd says.
        reason: &'static str,
    },
    /// A section unpacks to fewer or more bytes than the table says, or has bytes left over.
    #[error(
        "section \"{section}\" has {found} {unit} bytes, its table entry says {expected}; the patch is damaged: fetch it again"
    )]
    SectionSize {
        /// Which section.
        section: SectionKind,
        /// "raw" or "packed".
        unit: &'static str,
        /// Bytes there are, or more.
        found: u64,
        /// Bytes the table promises.
        expected: u64,
    },
    /// A section was used up before the new file was complete, or is left over when it is.
    #[error(
        "section \"{section}\" {what} at byte {at} of the new file; the patch is damaged: fetch it again"
    )]
    Section {
        /// Which section.
        section: SectionKind,
        /// What is wrong.
        what: &'static str,
        /// Bytes of the new file written so far.
        at: u64,
    },
    /// A number in a control cannot be.
    #[error(
        "{field} of control {index} is {found}, expected {expected} at most; the patch is damaged: fetch it again"
    )]
    Control {
        /// Which number.
        field: &'static str,
        /// Ordinal of the control, from 0.
        index: u64,
        /// Its value.
        found: i64,
        /// The largest it may be.
        expected: u64,
    },
    /// The new file came out shorter than promised.
    #[error(
        "the new file ends after {found} bytes, the patch promises {expected}; the patch is damaged: fetch it again"
    )]
    NewSize {
        /// Bytes made.
        found: u64,
        /// Bytes promised.
        expected: u64,
    },
    /// The new file came out with another content.
    #[error(
        "the new file has digest {found}, the patch promises {expected}; the patch is damaged: fetch it again"
    )]
    NewDigest {
        /// Digest of what was made.
        found: Digest,
        /// Digest promised.
        expected: Digest,
    },
    /// zstd could not be set up.
    #[error("failed to set up the decoder: {reason}; please report this")]
    Setup {
        /// What zstd says.
        reason: &'static str,
    },
}

impl ApplyError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::OldSize { .. } | Self::OldDigest { .. } => Fault::OldDiffers,
            Self::OldUnreadable(_) => Fault::OldUnreadable,
            Self::PatchUnreadable(_) => Fault::PatchUnreadable,
            Self::OutputFailed(_) => Fault::OutputFailed,
            Self::Setup { .. } => Fault::Bug,
            _ => Fault::PatchDamaged,
        }
    }
}
