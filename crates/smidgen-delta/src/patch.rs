//! A patch that has been opened: its header is parsed and bounded, its sections are read on demand.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::{
    cell::RefCell,
    io::{self, Write},
};

use crate::{
    Account, ApplyError, Codec, Digest, Header, Inspection, Limits, ParseError, ReadAt, SectionHeader,
    SectionKind, codec,
    header::max_header_len,
    old::{self, OldFile},
    output::{OUTPUT_BUFFER, Output},
    reference::{self, Decoder},
    section::{Section, section_memory},
    unpacker::Unpacker,
};

/// A readable patch whose header has been parsed and held against [`Limits`].
///
/// ```
/// # #[cfg(feature = "diff")] {
/// use smidgen_delta::{Limits, Patch, diff};
///
/// let (old, new) = (b"The quick brown fox".to_vec(), b"The quick red fox".to_vec());
/// let bytes = diff::diff(&old, &new, &diff::DiffOptions::default())?;
///
/// let patch = Patch::open(bytes, &Limits::default())?;
/// let mut rebuilt = Vec::new();
/// patch.apply(&old, &mut rebuilt)?;
/// assert_eq!(rebuilt, new);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Patch<R: ReadAt> {
    raw: R,
    header: Header,
    header_len: u64,
}

/// The new file was made, and it is the promised one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Bytes written.
    pub new_size: u64,
    /// Their digest.
    pub new_digest: Digest,
}

impl<R: ReadAt> Patch<R> {
    /// Reads the header of a patch and holds every number in it against `limits`.
    ///
    /// # Errors
    /// [`ParseError`] names the field that is not as it must be.
    pub fn open(raw: R, limits: &Limits) -> Result<Self, ParseError> {
        let size = raw.size();
        let len = size.min(max_header_len(limits.max_sections));
        let mut prefix = vec![0; usize::try_from(len).unwrap_or(0)];
        raw.read_exact_at(&mut prefix, 0).map_err(ParseError::Unreadable)?;
        let (header, header_len) = Header::parse(&prefix, size, limits)?;
        Ok(Self { raw, header, header_len })
    }

    /// What the patch promises.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Writes the new file to `new`, reading `old` in place. Both files' digests are verified before `Ok`; the old one's
    /// is made while the file is read, so bytes are written before it is known. At most [`Header::new_size`] bytes are
    /// written and at most [`Header::apply_memory`] bytes are allocated, whatever the patch holds.
    ///
    /// # Errors
    /// [`ApplyError`]; what was written by then is worthless. An old file that is not the one the patch was made for is
    /// told before anything else that went wrong.
    pub fn apply(&self, old: &impl ReadAt, new: &mut impl Write) -> Result<Applied, ApplyError> {
        let codec = self.header.codec;
        let made = self.make(old, new, |sections, old, output| codec::apply(codec, sections, old, output));
        made.map(|(applied, ())| applied)
    }

    /// Applies the patch for the account's sake: which part of the new file costs what. Its parts begin at `borders`,
    /// which ascend from 0. `None` for codecs that pack a section as a whole, where no byte has a price of its own.
    ///
    /// # Errors
    /// As those of [`apply`](Self::apply).
    pub fn account(&self, old: &impl ReadAt, borders: &[u64]) -> Result<Option<Account>, ApplyError> {
        if self.header.codec != Codec::Reference {
            return Ok(None);
        }
        let made = self.make(old, &mut std::io::sink(), |sections, old, output| {
            reference::account(sections, old, output, borders)
        });
        made.map(|(_, account)| Some(account))
    }

    /// Makes the new file, and verifies it and the old one.
    fn make<T>(
        &self,
        old: &dyn ReadAt,
        new: &mut dyn Write,
        make: impl FnOnce(&mut Sections<'_>, &mut OldFile<'_>, &mut Output<'_>) -> Result<T, ApplyError>,
    ) -> Result<(Applied, T), ApplyError> {
        let header = &self.header;
        if old.size() != header.old_size {
            return Err(ApplyError::OldSize { found: old.size(), expected: header.old_size });
        }
        let mut old = OldFile::new(old);
        let mut output = Output::new(new, header.new_size);
        let raw = Watched::new(&self.raw);
        let made = raw.blame(make(&mut self.sections(&raw), &mut old, &mut output));
        // Whatever else went wrong: with another old file nothing could have come out right.
        let old_digest = old.digest().map_err(ApplyError::OldUnreadable)?;
        if old_digest != header.old_digest {
            return Err(ApplyError::OldDigest { found: old_digest, expected: header.old_digest });
        }
        let made = made?;
        output.finish(header.new_digest).map(|applied| (applied, made))
    }

    /// Counts what the sections hold. Needs no old file and makes no new one; memory is bounded as in
    /// [`apply`](Self::apply).
    ///
    /// # Errors
    /// [`ApplyError`] where the sections contradict the header.
    pub fn inspect(&self) -> Result<Inspection, ApplyError> {
        let raw = Watched::new(&self.raw);
        raw.blame(codec::inspect(self.header.codec, &mut self.sections(&raw), self.header.old_size))
    }

    fn sections<'a>(&'a self, raw: &'a dyn ReadAt) -> Sections<'a> {
        let (header, header_len) = (&self.header, self.header_len);
        Sections { raw, header, header_len, unpacker: Unpacker::default() }
    }
}

/// A patch that is read, and what kept it from being read first. Where that is known, nothing else is to blame: who codes
/// bit by bit goes on with zeros.
struct Watched<'a> {
    raw: &'a dyn ReadAt,
    failed: RefCell<Option<io::Error>>,
}

impl<'a> Watched<'a> {
    fn new(raw: &'a dyn ReadAt) -> Self {
        Self { raw, failed: RefCell::default() }
    }

    /// What came of reading it, or why it could not be read.
    fn blame<T>(&self, made: Result<T, ApplyError>) -> Result<T, ApplyError> {
        self.failed.take().map_or(made, |error| Err(ApplyError::PatchUnreadable(error)))
    }
}

impl ReadAt for Watched<'_> {
    fn size(&self) -> u64 {
        self.raw.size()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.raw.read_exact_at(buf, offset).map_err(|error| {
            let again = error.kind().into();
            self.failed.borrow_mut().get_or_insert(error);
            again
        })
    }
}

/// The sections of an opened patch, each to be opened by its kind.
pub(crate) struct Sections<'a> {
    raw: &'a dyn ReadAt,
    header: &'a Header,
    header_len: u64,
    unpacker: Unpacker,
}

impl<'a> Sections<'a> {
    /// Bytes of the new file.
    pub(crate) fn new_size(&self) -> u64 {
        self.header.new_size
    }

    /// What the table says of the section of this kind: where its packed bytes begin, and its entry.
    fn entry(&self, kind: SectionKind) -> Option<(u64, &'a SectionHeader)> {
        let mut offset = self.header_len;
        for section in &self.header.sections {
            if section.kind == kind {
                return Some((offset, section));
            }
            offset = offset.saturating_add(section.packed_size);
        }
        None
    }

    /// Opens a section that is coded bit by bit; a section that the patch does not have is an empty one.
    pub(crate) fn coded(&self, kind: SectionKind) -> Decoder<'a> {
        let (offset, len) =
            self.entry(kind).map_or((0, 0), |(offset, section)| (offset, section.packed_size));
        Decoder::new(self.raw, offset, len)
    }

    /// The raw size that a section's entry gives; zero without one.
    pub(crate) fn raw_size(&self, kind: SectionKind) -> u64 {
        self.entry(kind).map_or(0, |(_, section)| section.raw_size)
    }

    /// Bits that a raw byte of a section takes on average.
    pub(crate) fn bits_per_byte(&self, kind: SectionKind) -> f64 {
        self.entry(kind)
            .map_or(0.0, |(_, section)| 8.0 * section.packed_size as f64 / section.raw_size.max(1) as f64)
    }

    /// Opens the section of this kind; `None` if the patch has none, which is how an empty one is written.
    pub(crate) fn open(&mut self, kind: SectionKind) -> Result<Option<Section<'a>>, ApplyError> {
        let window_log = self.header.window_log;
        self.entry(kind)
            .map(|(offset, section)| Section::open(self.raw, section, offset, window_log, &mut self.unpacker))
            .transpose()
    }
}

/// See [`Header::apply_memory`].
pub(crate) fn apply_memory(header: &Header) -> u64 {
    let buffers = [OUTPUT_BUFFER as u64, codec::SCRATCH as u64];
    let fixed = buffers.into_iter().fold(old::memory(header.old_size), u64::saturating_add);
    let packed = |is_packed: fn(SectionKind) -> bool| {
        let packed = header.sections.iter().filter(|section| is_packed(section.kind));
        packed
            .map(|section| section_memory(section, header.window_log))
            .fold(fixed.saturating_add(Unpacker::MEMORY), u64::saturating_add)
    };
    if header.codec == Codec::Reference {
        let raw_size = |kind| {
            header.sections.iter().find(|section| section.kind == kind).map_or(0, |section| section.raw_size)
        };
        let sizes = reference::Sizes { old: header.old_size, new: header.new_size };
        let (plan, extra) = (raw_size(SectionKind::Plan), raw_size(SectionKind::ExtraCoded));
        return packed(reference::is_part).saturating_add(reference::memory(sizes, plan, extra));
    }
    packed(|_| true)
}
