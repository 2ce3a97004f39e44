//! The patch container: a header that promises, a table of sections, and the sections. `docs/format.md` is its
//! description in words.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;

use crate::{Codec, Digest, Limits, ParseError, reader::BoundedReader};

/// The first four bytes of every patch.
pub const MAGIC: [u8; 4] = *b"smdg";

/// The version of the container that this crate writes and reads.
pub const VERSION: u8 = 1;

/// Raw bytes of all sections together, per byte of the new file, plus [`RAW_ALLOWANCE`]. An encoder never comes near;
/// a decoder that holds patches to it does work in proportion to the promised output, whatever a bomb unpacks to.
pub const RAW_PER_NEW_BYTE: u64 = 4;

/// Raw bytes all sections may hold even if the new file is empty.
pub const RAW_ALLOWANCE: u64 = 4096;

/// Raw bytes the sections of a patch for a file of `new_size` bytes may hold.
pub(crate) const fn allowed_raw(new_size: u64) -> u64 {
    new_size.saturating_mul(RAW_PER_NEW_BYTE).saturating_add(RAW_ALLOWANCE)
}

/// The smallest window zstd knows, as a logarithm.
pub(crate) const MIN_WINDOW_LOG: u8 = 10;

/// Bytes of the longest header with `sections` entries: the fixed part, two sizes of ten bytes, two digests, entries.
pub(crate) const fn max_header_len(sections: u8) -> u64 {
    const FIXED: u64 = 4 + 3 + 20 + 64 + 1;
    FIXED.saturating_add(21_u64.saturating_mul(sections as u64))
}

/// What one section holds. Each codec takes certain kinds, each at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum SectionKind {
    /// bidiff's own stream: control, add and extra interleaved.
    Interleaved = 0,
    /// Length of the add part of each control.
    AddLens = 1,
    /// Length of the extra part of each control.
    ExtraLens = 2,
    /// Movement in the old file before each control.
    Seeks = 3,
    /// Bytes of the add parts taken over unchanged before each run of changed ones.
    Gaps = 4,
    /// Length of each run.
    RunLens = 5,
    /// The differences of runs of one byte.
    Runs1 = 6,
    /// The differences of runs of two bytes.
    Runs2 = 7,
    /// The differences of runs of three bytes.
    Runs3 = 8,
    /// The differences of all runs that have no section of their own.
    Runs = 9,
    /// New bytes that no old byte stands for.
    Extra = 10,
    /// Gap, length and differences of each run, interleaved: what stands in place of the six kinds from gaps to runs.
    Changes = 11,
    /// Layouts, regions and matches of a reference-aware patch.
    Plan = 16,
    /// The values of references, where they were predicted wrongly.
    References = 17,
    /// What differs in matches beside references.
    AddCoded = 18,
    /// New bytes that no match explains, coded bit by bit.
    ExtraCoded = 19,
    /// Of new x86-64 instructions: prefixes, opcodes, ModRM and SIB.
    Heads = 20,
    /// Of new x86-64 instructions: displacements of one byte of jumps.
    ShortJumps = 21,
    /// Of new x86-64 instructions: displacements of one byte from a register.
    NearDisplacements = 22,
    /// Of new x86-64 instructions: displacements of four bytes from a register.
    FarDisplacements = 23,
    /// Of new x86-64 instructions: immediates of one byte.
    ByteImmediates = 24,
    /// Of new x86-64 instructions: longer immediates.
    Immediates = 25,
    /// Of new x86-64 instructions: addresses that are called.
    Calls = 26,
    /// Of new x86-64 instructions: addresses of operands.
    Operands = 27,
    /// Of new x86-64 instructions: displacements of four bytes of jumps.
    Jumps = 28,
    /// New aarch64 instructions.
    Words = 29,
}

impl SectionKind {
    const ALL: [Self; 26] = [
        Self::Interleaved,
        Self::AddLens,
        Self::ExtraLens,
        Self::Seeks,
        Self::Gaps,
        Self::RunLens,
        Self::Runs1,
        Self::Runs2,
        Self::Runs3,
        Self::Runs,
        Self::Extra,
        Self::Changes,
        Self::Plan,
        Self::References,
        Self::AddCoded,
        Self::ExtraCoded,
        Self::Heads,
        Self::ShortJumps,
        Self::NearDisplacements,
        Self::FarDisplacements,
        Self::ByteImmediates,
        Self::Immediates,
        Self::Calls,
        Self::Operands,
        Self::Jumps,
        Self::Words,
    ];

    /// The byte that stands for the kind in a patch.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8
    }

    /// The name used in messages and by `inspect`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interleaved => "interleaved",
            Self::AddLens => "add lens",
            Self::ExtraLens => "extra lens",
            Self::Seeks => "seeks",
            Self::Gaps => "gaps",
            Self::RunLens => "run lens",
            Self::Runs1 => "runs of 1",
            Self::Runs2 => "runs of 2",
            Self::Runs3 => "runs of 3",
            Self::Runs => "runs",
            Self::Extra => "extra",
            Self::Changes => "changes",
            Self::Plan => "plan",
            Self::References => "references",
            Self::AddCoded => "add (coded)",
            Self::ExtraCoded => "extra (coded)",
            Self::Heads => "heads",
            Self::ShortJumps => "short jumps",
            Self::NearDisplacements => "near displacements",
            Self::FarDisplacements => "far displacements",
            Self::ByteImmediates => "byte immediates",
            Self::Immediates => "immediates",
            Self::Calls => "calls",
            Self::Operands => "operands",
            Self::Jumps => "jumps",
            Self::Words => "words",
        }
    }

    fn from_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }
}

impl fmt::Display for SectionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One entry of the section table. Sections follow the header in the table's order, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectionHeader {
    /// What it holds.
    pub kind: SectionKind,
    /// Bytes when unpacked.
    pub raw_size: u64,
    /// Bytes in the patch.
    pub packed_size: u64,
}

/// What a patch promises, read and bounded, before any section is touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Version of the container.
    pub version: u8,
    /// How the sections turn old into new.
    pub codec: Codec,
    /// Bytes of the old file.
    pub old_size: u64,
    /// Bytes of the new file.
    pub new_size: u64,
    /// Digest of the old file.
    pub old_digest: Digest,
    /// Digest of the new file.
    pub new_digest: Digest,
    /// Logarithm of the largest window a section may use.
    pub window_log: u8,
    /// The sections, ordered by kind.
    pub sections: Vec<SectionHeader>,
}

impl Header {
    /// An upper bound, in bytes, of what [`Patch::apply`](crate::Patch::apply) allocates for this patch. It depends
    /// on nothing but the header, so that it can be signed, published and refused in advance.
    #[must_use]
    pub fn apply_memory(&self) -> u64 {
        crate::patch::apply_memory(self)
    }

    /// Bytes of the header itself.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.encode().len()
    }

    /// The header as it stands in a patch.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([self.version, self.codec.id(), self.window_log]);
        crate::varint::write(&mut bytes, self.old_size);
        crate::varint::write(&mut bytes, self.new_size);
        bytes.extend(self.old_digest.as_bytes());
        bytes.extend(self.new_digest.as_bytes());
        crate::varint::write(&mut bytes, self.sections.len() as u64);
        for section in &self.sections {
            bytes.push(section.kind.id());
            crate::varint::write(&mut bytes, section.raw_size);
            crate::varint::write(&mut bytes, section.packed_size);
        }
        bytes
    }

    /// Reads a header from the first bytes of a patch of `patch_size` bytes; answers with the header and its length.
    pub(crate) fn parse(prefix: &[u8], patch_size: u64, limits: &Limits) -> Result<(Self, u64), ParseError> {
        let mut reader = BoundedReader::new(prefix);
        let magic = reader.array("magic")?;
        if magic != MAGIC {
            return Err(ParseError::NotAPatch { found: magic });
        }
        let version = reader.byte("version")?;
        if version != VERSION {
            return Err(ParseError::UnknownVersion { found: version });
        }
        let codec_id = reader.byte("codec")?;
        let codec = Codec::from_id(codec_id).ok_or(ParseError::UnknownCodec { found: codec_id })?;
        let window_log = reader.byte("window log")?;
        within("window log", window_log.into(), limits.max_window_log.into())?;
        if window_log < MIN_WINDOW_LOG {
            return Err(ParseError::Contradiction {
                field: "window log",
                found: window_log.into(),
                expected: "at least 10",
            });
        }
        let old_size = reader.varint("old size")?;
        within("old size", old_size, limits.max_old_size)?;
        let new_size = reader.varint("new size")?;
        within("new size", new_size, limits.max_new_size)?;
        let old_digest = Digest::from_bytes(reader.array("old digest")?);
        let new_digest = Digest::from_bytes(reader.array("new digest")?);
        let sections = read_sections(&mut reader, codec, limits)?;

        let header =
            Self { version, codec, old_size, new_size, old_digest, new_digest, window_log, sections };
        let header_len = reader.offset();
        header.check_sizes(header_len, patch_size)?;
        within("memory to apply", header.apply_memory(), limits.max_memory)?;
        Ok((header, header_len))
    }

    /// The sizes in the table must add up: to the patch's own size, and to no more work than the output is worth.
    fn check_sizes(&self, header_len: u64, patch_size: u64) -> Result<(), ParseError> {
        let raw = self.sections.iter().try_fold(0_u64, |sum, section| sum.checked_add(section.raw_size));
        within("raw size of all sections", raw.unwrap_or(u64::MAX), allowed_raw(self.new_size))?;

        let end =
            self.sections.iter().try_fold(header_len, |sum, section| sum.checked_add(section.packed_size));
        match end {
            Some(end) if end == patch_size => Ok(()),
            Some(end) if end < patch_size => {
                Err(ParseError::TrailingBytes { found: patch_size, expected: end })
            }
            _ => Err(ParseError::Truncated {
                field: "sections",
                found: patch_size,
                expected: end.unwrap_or(u64::MAX),
            }),
        }
    }
}

fn read_sections(
    reader: &mut BoundedReader<'_>,
    codec: Codec,
    limits: &Limits,
) -> Result<Vec<SectionHeader>, ParseError> {
    let count = reader.varint("section count")?;
    within("section count", count, limits.max_sections.into())?;
    let mut sections: Vec<SectionHeader> = Vec::new();
    for _ in 0..count {
        let id = reader.byte("section kind")?;
        let kind = SectionKind::from_id(id).ok_or(ParseError::UnknownSection { found: id })?;
        if !codec.takes(kind) {
            return Err(ParseError::MisplacedSection { kind, codec });
        }
        if sections.last().is_some_and(|before| before.kind >= kind) {
            return Err(ParseError::Contradiction {
                field: "section kind",
                found: id.into(),
                expected: "kinds in ascending order, each once",
            });
        }
        let raw_size = reader.varint("raw size")?;
        within("raw size", raw_size, limits.max_section_raw)?;
        let packed_size = reader.varint("packed size")?;
        if raw_size == 0 || packed_size == 0 {
            return Err(ParseError::Contradiction {
                field: "section size",
                found: 0,
                expected: "no entry for an empty section",
            });
        }
        sections.push(SectionHeader { kind, raw_size, packed_size });
    }
    Ok(sections)
}

fn within(field: &'static str, found: u64, limit: u64) -> Result<(), ParseError> {
    if found > limit { Err(ParseError::LimitExceeded { field, found, limit }) } else { Ok(()) }
}
