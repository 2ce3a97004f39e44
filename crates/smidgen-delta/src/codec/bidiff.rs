//! bidiff's own interleaved stream in one section: written by `bidiff`, read by `bipatch`, inside our bounds.
//!
//! It is the plain interchange form, and the twin that judges the classic codec: foreign code on both ends. bipatch
//! bounds neither its output nor its seeks and takes an end of input between two records for success, so it sees the
//! patch and the old file only through readers that refuse what it lets pass, and it is asked for no more bytes than
//! the header promises.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use crate::{
    ApplyError, Inspection, SectionKind, codec::SCRATCH, old::OldFile, output::Output, patch::Sections,
    section::Section, varint,
};

/// Bytes of the stream kept between the section and bipatch, which asks for numbers byte by byte.
const STREAM_BUFFER: usize = 16 * 1024;
const _: () = assert!(STREAM_BUFFER + 4096 <= SCRATCH, "bipatch has a buffer of 4 KiB of its own");

/// bidiff's magic bytes and version.
const MAGIC_LEN: usize = 8;

/// The only section of such a patch.
const KIND: SectionKind = SectionKind::Interleaved;

pub(super) fn apply(
    sections: &mut Sections<'_>,
    old: &mut OldFile<'_>,
    output: &mut Output<'_>,
) -> Result<(), ApplyError> {
    let mut stream = BufReader::with_capacity(STREAM_BUFFER, Stream::open(sections)?);
    let old = SeekingOld { old, offset: 0, seeks: 0 };
    let mut reader = bipatch::Reader::new(&mut stream, old).map_err(|error| match error {
        bipatch::DecodeError::IO(error) => unwrap_error(error, 0),
        _ => ApplyError::Section { section: KIND, what: "does not start as bidiff's stream does", at: 0 },
    })?;
    while output.left() > 0 {
        let at = output.made();
        let mut piece = output.take(u64::MAX)?;
        while !piece.is_empty() {
            let made = reader.read(piece).map_err(|error| unwrap_error(error, at))?;
            if made == 0 {
                return Err(ApplyError::Section { section: KIND, what: "is used up", at });
            }
            piece = piece.get_mut(made..).unwrap_or_default();
        }
    }
    // The last control's end is only read when more is asked for.
    let at = output.made();
    if reader.read(&mut [0]).map_err(|error| unwrap_error(error, at))? > 0 {
        return Err(ApplyError::Section { section: KIND, what: "goes on", at });
    }
    drop(reader);
    stream.into_inner().section.finish(at)
}

pub(super) fn inspect(sections: &mut Sections<'_>, _old_size: u64) -> Result<Inspection, ApplyError> {
    let mut stream = open_section(sections)?;
    stream.read_exact(&mut [0; MAGIC_LEN], 0)?;
    let mut found = Inspection::default();
    let mut made = 0_u64;
    while stream.left() > 0 {
        let add_len = stream.number_low_first(made)?;
        stream.scan(add_len, made, |differences| {
            let zero = differences.iter().filter(|&&difference| difference == 0).count();
            found.add_zero = found.add_zero.saturating_add(zero as u64);
            let non_zero = differences.len().saturating_sub(zero);
            found.add_non_zero = found.add_non_zero.saturating_add(non_zero as u64);
        })?;
        made = made.saturating_add(add_len);
        let extra_len = stream.number_low_first(made)?;
        stream.scan(extra_len, made, |_| ())?;
        made = made.saturating_add(extra_len);
        found.extra = found.extra.saturating_add(extra_len);
        found.count_seek(varint::unzigzag(stream.number_low_first(made)?));
        found.controls = found.controls.saturating_add(u64::from(add_len > 0 || extra_len > 0));
    }
    Ok(found)
}

fn open_section<'a>(sections: &mut Sections<'a>) -> Result<Section<'a>, ApplyError> {
    sections.open(KIND)?.ok_or(ApplyError::Section { section: KIND, what: "is missing", at: 0 })
}

/// The section as bipatch reads it: a plain reader that ends where the table entry says.
struct Stream<'a> {
    section: Section<'a>,
}

impl<'a> Stream<'a> {
    fn open(sections: &mut Sections<'a>) -> Result<Self, ApplyError> {
        Ok(Self { section: open_section(sections)? })
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.section.left()).unwrap_or(usize::MAX).min(buf.len());
        let out = buf.get_mut(..len).unwrap_or_default();
        self.section.read_exact(out, 0).map_err(io::Error::other)?;
        Ok(len)
    }
}

/// The old file as bipatch reads it: seeks cost nothing and never leave the file.
struct SeekingOld<'a, 'f> {
    old: &'a mut OldFile<'f>,
    offset: u64,
    seeks: u64,
}

impl Read for SeekingOld<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.old.size().saturating_sub(self.offset);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let out = buf.get_mut(..len).unwrap_or_default();
        let unreadable = |error| io::Error::other(ApplyError::OldUnreadable(error));
        self.old.read(out, self.offset).map_err(unreadable)?;
        self.offset = self.offset.saturating_add(len as u64);
        Ok(len)
    }
}

impl Seek for SeekingOld<'_, '_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (offset, seek) = match to {
            SeekFrom::Start(offset) => (Some(offset), offset.cast_signed()),
            SeekFrom::Current(seek) => (self.offset.checked_add_signed(seek), seek),
            SeekFrom::End(seek) => (self.old.size().checked_add_signed(seek), seek),
        };
        match offset {
            Some(offset) if offset <= self.old.size() => {
                self.offset = offset;
                self.seeks = self.seeks.saturating_add(1);
                Ok(offset)
            }
            _ => Err(io::Error::other(ApplyError::Control {
                field: "seek",
                index: self.seeks,
                found: seek,
                expected: self.old.size().saturating_sub(self.offset),
            })),
        }
    }
}

/// Our readers answer with an [`ApplyError`] in an [`io::Error`]; whatever else bipatch answers means that the stream
/// asked for bytes that are not there.
fn unwrap_error(error: io::Error, at: u64) -> ApplyError {
    match error.downcast::<ApplyError>() {
        Ok(error) => error,
        Err(_) => ApplyError::Section {
            section: KIND,
            what: "has a control that reaches beyond its end or the old file's",
            at,
        },
    }
}
