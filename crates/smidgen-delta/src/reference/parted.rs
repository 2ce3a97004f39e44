//! Extra bytes in parts: where they are much of a file, what is alike stands together, each part in a section of its own
//! that zstd packs.
//!
//! Instructions are split into streams before they are packed, as executable packers do (Giesen's disassembling filter for
//! kkrunchy, "x86 code compression in kkrunchy", 2011). Models of every byte make patches that are smaller by up
//! to a twentieth, and take five times as long to read.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    content::Content,
    extra::{Run, absolute, is_address},
    x86_64::{Field, Head, Role, Source, read, shape},
};
use crate::{ApplyError, SectionKind, patch::Sections, section::Section};

/// What stands together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// Bytes that are no code.
    Data,
    /// Prefixes, opcodes, ModRM and SIB of x86-64.
    Heads,
    /// Displacements of one byte of jumps.
    ShortJumps,
    /// Displacements of one byte from a register.
    Near,
    /// Displacements of four bytes from a register, and whatever is cut short.
    Far,
    /// Immediates of one byte.
    Bytes,
    /// Longer immediates.
    Immediates,
    /// Addresses that are called, upper bytes first.
    Calls,
    /// Addresses of operands, upper bytes first.
    Operands,
    /// Displacements of four bytes of jumps, upper bytes first.
    Jumps,
    /// Words of aarch64, with addresses for displacements.
    Words,
}

impl Part {
    /// The section of each.
    pub(crate) const SECTIONS: [SectionKind; 11] = [
        SectionKind::Extra,
        SectionKind::Heads,
        SectionKind::ShortJumps,
        SectionKind::NearDisplacements,
        SectionKind::FarDisplacements,
        SectionKind::ByteImmediates,
        SectionKind::Immediates,
        SectionKind::Calls,
        SectionKind::Operands,
        SectionKind::Jumps,
        SectionKind::Words,
    ];

    /// Its section.
    fn section(self) -> SectionKind {
        Self::SECTIONS.get(self.index()).copied().unwrap_or(SectionKind::Extra)
    }

    /// Its place among them.
    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

/// One side of the walk: parts that are written or read.
pub(crate) trait Parts {
    /// What is taken from now on stands from there on in the new file.
    fn enter(&mut self, offset: u64);

    /// The next bytes of a part. The encoder appends `wanted` and returns it; the decoder ignores it and returns what was
    /// written.
    fn take<const N: usize>(&mut self, part: Part, wanted: [u8; N]) -> Result<[u8; N], ApplyError>;

    /// Appends the next `len` bytes of a part to `out`; the encoder wants `wanted`.
    fn extend(&mut self, part: Part, wanted: &[u8], len: usize, out: &mut Vec<u8>) -> Result<(), ApplyError>;
}

/// Appends the bytes of `run` to `out`, which holds what stands before them.
pub(crate) fn code(parts: &mut impl Parts, run: &Run<'_>, out: &mut Vec<u8>) -> Result<(), ApplyError> {
    parts.enter(run.offset);
    match run.content {
        Content::X86_64 => code_x86_64(parts, run, out),
        Content::Aarch64 => code_aarch64(parts, run, out),
        Content::Data(_) => parts.extend(Part::Data, run.truth, run.len, out),
    }
}

fn code_x86_64(parts: &mut impl Parts, run: &Run<'_>, out: &mut Vec<u8>) -> Result<(), ApplyError> {
    let start = out.len();
    // Fall into step with the instructions before.
    let mut at = 0_usize;
    while let Some(shape) = out.get(at..).and_then(shape) {
        at = at.saturating_add(shape.len.into());
    }
    let end = start.saturating_add(run.len);
    out.reserve(run.len);
    let mut spelling = Spelling { parts, run, start, end, out, at, failed: None };
    while spelling.out.len() < end {
        spelling.at = at;
        let Some(head) = read(&mut spelling) else {
            // The run ends within the instruction.
            return spelling.failed.map_or(Ok(()), Err);
        };
        spelling.rest(at, &head)?;
        at = at.saturating_add(head.len());
    }
    Ok(())
}

/// The code of a run, instruction by instruction.
struct Spelling<'a, P> {
    parts: &'a mut P,
    run: &'a Run<'a>,
    /// Where the run starts in `out`, and where it will end.
    start: usize,
    end: usize,
    out: &'a mut Vec<u8>,
    /// The next byte of a head; what lies behind it in `out` is known already.
    at: usize,
    failed: Option<ApplyError>,
}

impl<P: Parts> Source for Spelling<'_, P> {
    #[inline]
    fn next(&mut self, _: Role, _: u16) -> Option<u8> {
        let byte = match self.out.get(self.at) {
            Some(known) => *known,
            None if self.at >= self.end => return None,
            None => match self.parts.take(Part::Heads, [self.wanted(self.at)]) {
                Ok([byte]) => {
                    self.out.push(byte);
                    byte
                }
                Err(error) => {
                    self.failed = Some(error);
                    return None;
                }
            },
        };
        self.at = self.at.wrapping_add(1);
        Some(byte)
    }
}

impl<P: Parts> Spelling<'_, P> {
    /// The byte that the encoder wants at a place of `out`.
    fn wanted(&self, at: usize) -> u8 {
        self.run.byte(at.wrapping_sub(self.start))
    }

    /// Takes displacement and immediate of the instruction that starts at `at`, as far as they are not known and the run
    /// goes.
    fn rest(&mut self, at: usize, head: &Head) -> Result<(), ApplyError> {
        let displacement = at.saturating_add(head.start);
        let immediate = displacement.saturating_add(head.displacement);
        let whole = self.out.len() == displacement && immediate <= self.end;
        match head.field {
            Some(field) if whole && is_address(field) => self.address(at, head, field)?,
            Some(Field::Short) => self.fill(Part::ShortJumps, immediate)?,
            _ if head.displacement == 1 => self.fill(Part::Near, immediate)?,
            _ => self.fill(Part::Far, immediate)?,
        }
        let end = immediate.saturating_add(head.immediate);
        self.fill(if head.immediate == 1 { Part::Bytes } else { Part::Immediates }, end)
    }

    /// Takes bytes up to a place of `out`, or to the run's end.
    fn fill(&mut self, part: Part, until: usize) -> Result<(), ApplyError> {
        while self.out.len() < until.min(self.end) {
            let [byte] = self.parts.take(part, [self.wanted(self.out.len())])?;
            self.out.push(byte);
        }
        Ok(())
    }

    /// Takes the displacement of an instruction that leads to an address.
    fn address(&mut self, at: usize, head: &Head, field: Field) -> Result<(), ApplyError> {
        let behind = at.wrapping_add(head.len()).wrapping_sub(self.start);
        let behind = self.run.address.wrapping_add(behind as u64) as u32;
        let (part, from) = match field {
            Field::Call => (Part::Calls, behind),
            Field::Operand => (Part::Operands, behind),
            _ => (Part::Jumps, 0),
        };
        let place = self.out.len();
        let wanted = [0, 1, 2, 3].map(|index| self.wanted(place.wrapping_add(index)));
        let wanted = u32::from_le_bytes(wanted).wrapping_add(from).to_be_bytes();
        let taken = u32::from_be_bytes(self.parts.take(part, wanted)?).wrapping_sub(from);
        self.out.extend(taken.to_le_bytes());
        Ok(())
    }
}

fn code_aarch64(parts: &mut impl Parts, run: &Run<'_>, out: &mut Vec<u8>) -> Result<(), ApplyError> {
    let mut index = 0_usize;
    while index < run.len {
        let address = run.address.wrapping_add(index as u64);
        if address & 3 != 0 || run.len.wrapping_sub(index) < 4 {
            out.extend(parts.take(Part::Data, [run.byte(index)])?);
            index = index.wrapping_add(1);
            continue;
        }
        let raw = u32::from_le_bytes([0, 1, 2, 3].map(|byte| run.byte(index.wrapping_add(byte))));
        let word = parts.take(Part::Words, absolute(raw, address, true).to_le_bytes())?;
        out.extend(absolute(u32::from_le_bytes(word), address, false).to_le_bytes());
        index = index.wrapping_add(4);
    }
    Ok(())
}

/// Parts that are read from the sections of a patch.
pub(crate) struct PartReader<'a> {
    sections: [Option<Section<'a>>; Part::SECTIONS.len()],
    /// The byte of the new file that an error names.
    at: u64,
}

impl<'a> PartReader<'a> {
    /// Opens the sections.
    pub(crate) fn open(sections: &mut Sections<'a>) -> Result<Self, ApplyError> {
        let mut opened = [const { None }; Part::SECTIONS.len()];
        for (opened, kind) in opened.iter_mut().zip(Part::SECTIONS) {
            *opened = sections.open(kind)?;
        }
        Ok(Self { sections: opened, at: 0 })
    }

    /// Says that nothing is left over.
    pub(crate) fn finish(self) -> Result<(), ApplyError> {
        self.sections.into_iter().flatten().try_for_each(|section| section.finish(self.at))
    }

    fn section(&mut self, part: Part) -> Result<&mut Section<'a>, ApplyError> {
        let missing = ApplyError::Section { section: part.section(), what: "is missing", at: self.at };
        self.sections.get_mut(part.index()).and_then(Option::as_mut).ok_or(missing)
    }
}

impl Parts for PartReader<'_> {
    fn enter(&mut self, offset: u64) {
        self.at = offset;
    }

    #[inline]
    fn take<const N: usize>(&mut self, part: Part, _: [u8; N]) -> Result<[u8; N], ApplyError> {
        let at = self.at;
        self.section(part)?.take(at)
    }

    fn extend(&mut self, part: Part, _: &[u8], len: usize, out: &mut Vec<u8>) -> Result<(), ApplyError> {
        let at = self.at;
        let start = out.len();
        out.resize(start.saturating_add(len), 0);
        self.section(part)?.read_exact(out.get_mut(start..).unwrap_or_default(), at)
    }
}

/// Parts that are written.
#[cfg(feature = "diff")]
#[derive(Default)]
pub(crate) struct PartWriter {
    /// By section.
    pub(crate) parts: [Vec<u8>; Part::SECTIONS.len()],
}

#[cfg(feature = "diff")]
impl Parts for PartWriter {
    fn enter(&mut self, _: u64) {}

    fn take<const N: usize>(&mut self, part: Part, wanted: [u8; N]) -> Result<[u8; N], ApplyError> {
        if let Some(part) = self.parts.get_mut(part.index()) {
            part.extend(wanted);
        }
        Ok(wanted)
    }

    fn extend(&mut self, part: Part, wanted: &[u8], _: usize, out: &mut Vec<u8>) -> Result<(), ApplyError> {
        if let Some(part) = self.parts.get_mut(part.index()) {
            part.extend_from_slice(wanted);
        }
        out.extend_from_slice(wanted);
        Ok(())
    }
}
