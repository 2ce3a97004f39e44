//! The differences of all add parts, laid end to end: gaps of bytes that stay, and runs of bytes that change.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{missing, read_number};
use crate::{ApplyError, SectionKind, patch::Sections, section::Section, varint};

/// The differences that are still to be added.
pub(super) struct Add<'a> {
    runs: Runs<'a>,
    /// Bytes until the current run begins, bytes of it that are left, and how long it was.
    gap: u64,
    run: u64,
    run_len: u64,
}

/// Where the runs are.
#[allow(clippy::large_enum_variant, reason = "there is one of them, and nothing moves it")]
enum Runs<'a> {
    /// Gap, length and bytes of one run after the other.
    Interleaved(Section<'a>),
    /// Each kind of number in a section; the bytes of runs of one, two and three bytes in others, where there is one
    /// for that length, and those of all other runs in the last.
    Sorted { gaps: Option<Section<'a>>, lens: Option<Section<'a>>, bytes: [Option<Section<'a>>; 4] },
}

impl<'a> Add<'a> {
    pub(super) fn open(sections: &mut Sections<'a>) -> Result<Self, ApplyError> {
        let gaps = sections.open(SectionKind::Gaps)?;
        let lens = sections.open(SectionKind::RunLens)?;
        let bytes = [
            sections.open(SectionKind::Runs1)?,
            sections.open(SectionKind::Runs2)?,
            sections.open(SectionKind::Runs3)?,
            sections.open(SectionKind::Runs)?,
        ];
        let is_sorted = gaps.is_some() || lens.is_some() || bytes.iter().any(Option::is_some);
        let runs = match sections.open(SectionKind::Changes)? {
            None => Runs::Sorted { gaps, lens, bytes },
            Some(changes) if !is_sorted => Runs::Interleaved(changes),
            Some(_) => {
                let what = "stands beside what it replaces";
                return Err(ApplyError::Section { section: SectionKind::Changes, what, at: 0 });
            }
        };
        let mut add = Self { runs, gap: 0, run: 0, run_len: 0 };
        add.next_run(0)?;
        Ok(add)
    }

    /// How many of the next bytes stay as they are; [`u64::MAX`] if all that follow do.
    pub(super) fn unchanged(&self) -> u64 {
        self.gap
    }

    /// Leaves out `len` bytes, which are [`unchanged`](Self::unchanged).
    pub(super) fn pass(&mut self, len: u64) {
        self.gap = self.gap.saturating_sub(len);
    }

    /// Adds the next differences to `piece`, whose first byte is byte `at` of the new file.
    pub(super) fn add_to(&mut self, piece: &mut [u8], at: u64) -> Result<(), ApplyError> {
        let mut rest = piece;
        loop {
            rest = self.add_ready(rest);
            rest = advance(rest, &mut self.gap).1;
            if rest.is_empty() {
                return Ok(());
            }
            let (part, after) = advance(rest, &mut self.run);
            let section = match &mut self.runs {
                Runs::Interleaved(section) => section,
                Runs::Sorted { bytes: [one, two, three, others], .. } => {
                    let own = match self.run_len {
                        1 => one.as_mut(),
                        2 => two.as_mut(),
                        3 => three.as_mut(),
                        _ => None,
                    };
                    own.or(others.as_mut()).ok_or_else(|| missing(SectionKind::Runs, at))?
                }
            };
            section.add_exact(part, at)?;
            rest = after;
            if self.run == 0 {
                self.next_run(at)?;
            }
        }
    }

    /// Does what [`add_to`](Self::add_to) does for as long as it is easy: runs that lie whole in `piece`, unpacked
    /// already, with short numbers. Nearly all do, and a patch of a program has hundreds of thousands. Answers with the
    /// rest of `piece`.
    fn add_ready<'p>(&mut self, piece: &'p mut [u8]) -> &'p mut [u8] {
        if self.run != self.run_len {
            return piece;
        }
        let mut next = Next { gap: self.gap, run: self.run };
        let done = match &mut self.runs {
            Runs::Interleaved(section) => {
                let mut ready = section.buffered();
                let done = next.add_all(piece, &mut ready);
                let left = ready.len();
                section.take_until(left);
                done
            }
            Runs::Sorted { gaps: Some(gaps), lens: Some(lens), bytes } => {
                let mut ready = Sorted {
                    gaps: gaps.buffered(),
                    lens: lens.buffered(),
                    bytes: bytes.each_ref().map(|bytes| bytes.as_ref().map(Section::buffered)),
                };
                let done = next.add_all(piece, &mut ready);
                let left = ready.bytes.map(|bytes| bytes.map_or(0, <[u8]>::len));
                let (left_gaps, left_lens) = (ready.gaps.len(), ready.lens.len());
                gaps.take_until(left_gaps);
                lens.take_until(left_lens);
                for (section, left) in bytes.iter_mut().zip(left) {
                    section.iter_mut().for_each(|section| section.take_until(left));
                }
                done
            }
            Runs::Sorted { .. } => 0,
        };
        if done > 0 {
            (self.gap, self.run, self.run_len) = (next.gap, next.run, next.run);
        }
        piece.get_mut(done..).unwrap_or_default()
    }

    /// Reads gap and length of the next run; when there are no more, a gap without end.
    fn next_run(&mut self, at: u64) -> Result<(), ApplyError> {
        let mut gaps = match &mut self.runs {
            Runs::Interleaved(section) => Some(section),
            Runs::Sorted { gaps, .. } => gaps.as_mut(),
        };
        let Some(gaps) = gaps.as_mut().filter(|gaps| gaps.left() > 0) else {
            (self.gap, self.run) = (u64::MAX, 0);
            return Ok(());
        };
        self.gap = gaps.number(at)?;
        self.run_len = match &mut self.runs {
            Runs::Interleaved(section) => section.number(at)?,
            Runs::Sorted { lens, .. } => read_number(lens, SectionKind::RunLens, at)?,
        };
        self.run = self.run_len;
        if self.run == 0 {
            return Err(ApplyError::Section { section: SectionKind::RunLens, what: "has an empty run", at });
        }
        Ok(())
    }

    pub(super) fn finish(self, at: u64) -> Result<(), ApplyError> {
        if self.run > 0 {
            let what = "has a run that goes on";
            return Err(ApplyError::Section { section: SectionKind::Runs, what, at });
        }
        match self.runs {
            Runs::Interleaved(section) => section.finish(at),
            Runs::Sorted { gaps, lens, bytes } => {
                [gaps, lens].into_iter().chain(bytes).flatten().try_for_each(|section| section.finish(at))
            }
        }
    }
}

/// The next run, with no byte of it or of the gap before it done.
struct Next {
    gap: u64,
    run: u64,
}

impl Next {
    /// Adds one run after the other to `piece`, as long as each is ready, and so is what is to be known of the one after
    /// it. Answers with the bytes of `piece` that are done.
    fn add_all<'b>(&mut self, piece: &mut [u8], ready: &mut impl Ready<'b>) -> usize {
        let usize_of = |number| usize::try_from(number).unwrap_or(usize::MAX);
        let (mut gap, mut run) = (usize_of(self.gap), usize_of(self.run));
        let mut done = 0_usize;
        loop {
            let start = done.saturating_add(gap);
            let end = start.saturating_add(run);
            let Some(part) = piece.get_mut(start..end) else { break };
            let Some((differences, next_gap, next_run)) = ready.next(run) else { break };
            for (byte, difference) in part.iter_mut().zip(differences) {
                *byte = byte.wrapping_add(*difference);
            }
            (gap, run, done) = (next_gap, next_run, end);
        }
        (self.gap, self.run) = (gap as u64, run as u64);
        done
    }
}

/// Runs that are unpacked.
trait Ready<'b> {
    /// The bytes of a run of `run` bytes, and gap and length of the one that follows. `None`, and nothing is taken,
    /// where they are not all there, or are not as simple as nearly all are.
    fn next(&mut self, run: usize) -> Option<(&'b [u8], usize, usize)>;
}

/// The interleaved form.
impl<'b> Ready<'b> for &'b [u8] {
    #[inline]
    fn next(&mut self, run: usize) -> Option<(&'b [u8], usize, usize)> {
        let (differences, rest) = self.split_at_checked(run)?;
        let (gap, rest) = varint::read_short(rest)?;
        let (run @ 1.., rest) = varint::read_short(rest)? else { return None };
        *self = rest;
        Some((differences, gap, run))
    }
}

struct Sorted<'b> {
    gaps: &'b [u8],
    lens: &'b [u8],
    bytes: [Option<&'b [u8]>; 4],
}

impl<'b> Ready<'b> for Sorted<'b> {
    #[inline]
    fn next(&mut self, run: usize) -> Option<(&'b [u8], usize, usize)> {
        let [one, two, three, others] = &mut self.bytes;
        let own = match run {
            1 => one.as_mut(),
            2 => two.as_mut(),
            3 => three.as_mut(),
            _ => None,
        };
        let bytes = own.or(others.as_mut())?;
        let (differences, rest) = bytes.split_at_checked(run)?;
        let (gap, gaps) = varint::read_short(self.gaps)?;
        let (next @ 1.., lens) = varint::read_short(self.lens)? else { return None };
        (*bytes, self.gaps, self.lens) = (rest, gaps, lens);
        Some((differences, gap, next))
    }
}

/// Splits off as much of `piece` as `count` covers, and lowers `count` by it.
fn advance<'p>(piece: &'p mut [u8], count: &mut u64) -> (&'p mut [u8], &'p mut [u8]) {
    let len = usize::try_from(*count).unwrap_or(usize::MAX).min(piece.len());
    *count = count.saturating_sub(len as u64);
    piece.split_at_mut(len)
}
