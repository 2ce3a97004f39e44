//! The classic codec: bsdiff's controls, add and extra parts, each kind of number and byte in a section of its own.
//!
//! The new file is a row of controls. Each moves the place in the old file by a seek, takes `add_len` bytes from there,
//! adds the add part's differences to them, and appends `extra_len` bytes of the extra part. (Colin Percival,
//! "Naive differences of executable code", 2003.)
//!
//! Most differences are zero, and those that are not come in runs as long as what they correct: the low byte of a
//! displacement, two of its bytes, three. So the add parts are sent as gaps, run lengths and the runs' bytes, which
//! also spares the decoder the zeros: in sections of their own, the bytes sorted by the length of their run, or all
//! interleaved in one section, where the same change at the same distance comes again and again. `docs/format.md` has
//! the sections byte by byte.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use self::add::Add;
use crate::{
    ApplyError, Inspection, SectionKind, old::OldFile, output::Output, patch::Sections, section::Section,
    varint,
};

mod add;

/// The kinds of section a classic patch may have.
pub(super) const SECTIONS: [SectionKind; 11] = [
    SectionKind::AddLens,
    SectionKind::ExtraLens,
    SectionKind::Seeks,
    SectionKind::Gaps,
    SectionKind::RunLens,
    SectionKind::Runs1,
    SectionKind::Runs2,
    SectionKind::Runs3,
    SectionKind::Runs,
    SectionKind::Extra,
    SectionKind::Changes,
];

pub(super) fn apply(
    sections: &mut Sections<'_>,
    old: &mut OldFile<'_>,
    output: &mut Output<'_>,
) -> Result<(), ApplyError> {
    let mut controls = Controls::open(sections, old.size())?;
    let mut add = Add::open(sections)?;
    let mut extra = sections.open(SectionKind::Extra)?;

    while let Some(control) = controls.next()? {
        let mut old_offset = control.old_offset;
        let mut add_left = control.add_len;
        while add_left > 0 {
            let len = match pass_block(old, output, old_offset, add.unchanged().min(add_left))? {
                Some(len) => {
                    add.pass(len);
                    len
                }
                None => {
                    let at = output.made();
                    let piece = output.take(add_left)?;
                    old.read(piece, old_offset).map_err(ApplyError::OldUnreadable)?;
                    add.add_to(piece, at)?;
                    piece.len() as u64
                }
            };
            old_offset = old_offset.saturating_add(len);
            add_left = add_left.saturating_sub(len);
        }
        let mut extra_left = control.extra_len;
        while extra_left > 0 {
            let at = output.made();
            let piece = output.take(extra_left)?;
            match &mut extra {
                Some(extra) => extra.read_exact(piece, at)?,
                None => return Err(missing(SectionKind::Extra, at)),
            }
            extra_left = extra_left.saturating_sub(piece.len() as u64);
        }
    }

    let at = output.made();
    controls.finish()?;
    add.finish(at)?;
    extra.map_or(Ok(()), |extra| extra.finish(at))
}

/// Passes on the block of the old file that begins at `offset`, if the next `unchanged` bytes cover it and it is one of
/// the new file too; how many bytes that were.
fn pass_block(
    old: &mut OldFile<'_>,
    output: &mut Output<'_>,
    offset: u64,
    unchanged: u64,
) -> Result<Option<u64>, ApplyError> {
    if offset != output.made() {
        return Ok(None);
    }
    let block = old.block(offset).map_err(ApplyError::OldUnreadable)?;
    let Some((bytes, block)) = block.filter(|(bytes, _)| bytes.len() as u64 <= unchanged) else {
        return Ok(None);
    };
    Ok(output.pass(bytes, &block)?.then_some(bytes.len() as u64))
}

pub(super) fn inspect(sections: &mut Sections<'_>, old_size: u64) -> Result<Inspection, ApplyError> {
    let mut controls = Controls::open(sections, old_size)?;
    let mut add = Add::open(sections)?;
    let mut found = Inspection::default();
    let mut piece = [0; 4096];
    let mut after_last = 0_u64;
    while let Some(control) = controls.next()? {
        found.count_seek(control.old_offset.cast_signed().saturating_sub(after_last.cast_signed()));
        found.controls = found.controls.saturating_add(1);
        found.extra = found.extra.saturating_add(control.extra_len);
        after_last = control.old_offset.saturating_add(control.add_len);
        let mut add_left = control.add_len;
        while add_left > 0 {
            let len = usize::try_from(add_left).unwrap_or(usize::MAX).min(piece.len());
            let differences = piece.get_mut(..len).unwrap_or_default();
            differences.fill(0);
            add.add_to(differences, controls.made)?;
            let zero = differences.iter().filter(|&&difference| difference == 0).count();
            found.add_zero = found.add_zero.saturating_add(zero as u64);
            found.add_non_zero = found.add_non_zero.saturating_add(len.saturating_sub(zero) as u64);
            add_left = add_left.saturating_sub(len as u64);
        }
    }
    Ok(found)
}

/// One control, its numbers held against both files' sizes.
struct Control {
    old_offset: u64,
    add_len: u64,
    extra_len: u64,
}

/// The controls of a patch, one after the other.
struct Controls<'a> {
    add_lens: Option<Section<'a>>,
    extra_lens: Option<Section<'a>>,
    seeks: Option<Section<'a>>,
    index: u64,
    old_size: u64,
    new_size: u64,
    /// Where the last control's add part ended in the old file.
    old_offset: u64,
    /// Bytes of the new file the controls so far stand for.
    made: u64,
}

impl<'a> Controls<'a> {
    fn open(sections: &mut Sections<'a>, old_size: u64) -> Result<Self, ApplyError> {
        Ok(Self {
            add_lens: sections.open(SectionKind::AddLens)?,
            extra_lens: sections.open(SectionKind::ExtraLens)?,
            seeks: sections.open(SectionKind::Seeks)?,
            index: 0,
            old_size,
            new_size: sections.new_size(),
            old_offset: 0,
            made: 0,
        })
    }

    /// The next control; `None` when the new file is complete.
    fn next(&mut self) -> Result<Option<Control>, ApplyError> {
        if self.made == self.new_size {
            return Ok(None);
        }
        let old_offset = self.seek()?;
        let add_len = read_number(&mut self.add_lens, SectionKind::AddLens, self.made)?;
        let extra_len = read_number(&mut self.extra_lens, SectionKind::ExtraLens, self.made)?;

        let old_left = self.old_size.saturating_sub(old_offset);
        let new_left = self.new_size.saturating_sub(self.made);
        self.within("add len", add_len, old_left.min(new_left))?;
        let new_left = new_left.saturating_sub(add_len);
        self.within("extra len", extra_len, new_left)?;
        if add_len == 0 && extra_len == 0 {
            // Makes nothing: a patch of such controls would keep us busy for as long as it likes.
            return Err(ApplyError::Section {
                section: SectionKind::AddLens,
                what: "has a control that makes nothing",
                at: self.made,
            });
        }
        self.old_offset = old_offset.saturating_add(add_len);
        self.made = self.new_size.saturating_sub(new_left).saturating_add(extra_len);
        self.index = self.index.saturating_add(1);
        Ok(Some(Control { old_offset, add_len, extra_len }))
    }

    /// Where the next seek leads.
    fn seek(&mut self) -> Result<u64, ApplyError> {
        let seek = match &mut self.seeks {
            Some(seeks) => varint::unzigzag(seeks.number_low_first(self.made)?),
            None => return Err(missing(SectionKind::Seeks, self.made)),
        };
        match self.old_offset.checked_add_signed(seek) {
            Some(offset) if offset <= self.old_size => Ok(offset),
            _ => Err(ApplyError::Control {
                field: "seek",
                index: self.index,
                found: seek,
                expected: self.old_size.saturating_sub(self.old_offset),
            }),
        }
    }

    fn within(&self, field: &'static str, found: u64, expected: u64) -> Result<(), ApplyError> {
        if found <= expected {
            return Ok(());
        }
        let found = i64::try_from(found).unwrap_or(i64::MAX);
        Err(ApplyError::Control { field, index: self.index, found, expected })
    }

    fn finish(self) -> Result<(), ApplyError> {
        [self.add_lens, self.extra_lens, self.seeks]
            .into_iter()
            .flatten()
            .try_for_each(|numbers| numbers.finish(self.made))
    }
}

fn read_number(numbers: &mut Option<Section<'_>>, section: SectionKind, at: u64) -> Result<u64, ApplyError> {
    match numbers {
        Some(numbers) => numbers.number(at),
        None => Err(missing(section, at)),
    }
}

fn missing(section: SectionKind, at: u64) -> ApplyError {
    ApplyError::Section { section, what: "is missing", at }
}
