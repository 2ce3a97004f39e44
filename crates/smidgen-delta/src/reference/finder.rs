//! Finds the references of the old file, piece by piece and wherever a piece begins.
//!
//! Most rules can begin anywhere, or a little before. Go's function records cannot: where one starts follows from the one
//! before, so they are walked once, and some starts are noted.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    field::{Inside, Reference},
    go,
    plan::MAX_REGIONS,
    region::{Layout, Region, Rule},
    sweep::{AFTER, BEFORE, STRETCH, Sweep, Window},
};
use crate::{ApplyError, old::OldFile};

/// Marks of a whole file, beside one for each region: so many as there are pieces of [`MARK`] bytes in it, and no more.
const MAX_MARKS: u64 = 1 << 16;
/// Function records between two marks, in bytes, in a file of no more than [`MAX_MARKS`] such pieces.
const MARK: u64 = 4096;

/// Bytes between two marks in a file of this size.
fn mark_step(old_size: u64) -> u64 {
    old_size.div_ceil(MAX_MARKS).max(MARK)
}

/// The most marks in a file of this size.
fn max_marks(old_size: u64) -> u64 {
    old_size.wrapping_div(MARK).min(MAX_MARKS).saturating_add(MAX_REGIONS as u64)
}

/// The references of an old file, found piece by piece.
pub(crate) struct Finder<'a> {
    layout: &'a Layout,
    regions: &'a [Region],
    /// In each region of Go functions, a place in every few kilobytes where a record starts; ascending.
    marks: Vec<u64>,
    /// Bytes between two of them.
    step: u64,
    window: Vec<u8>,
}

impl<'a> Finder<'a> {
    /// Bytes that it allocates for an old file of this size.
    pub(crate) fn memory(old_size: u64) -> u64 {
        let marks = max_marks(old_size).saturating_mul(size_of::<u64>() as u64);
        marks
            .saturating_add(mark_step(old_size))
            .saturating_add(STRETCH + BEFORE + AFTER + 2 * go::MAX_LEN)
            .saturating_add(1024)
    }

    /// Looks for the places where records start that do not tell by themselves.
    pub(crate) fn new(
        layout: &'a Layout,
        regions: &'a [Region],
        old: &mut OldFile<'_>,
    ) -> Result<Self, ApplyError> {
        let step = mark_step(old.size());
        let of_functions = |region: &&Region| matches!(region.rule, Rule::GoFunctions(_));
        let wanted = regions.iter().filter(of_functions);
        let most = wanted.clone().fold(0, |sum: u64, region| {
            sum.saturating_add(region.len.checked_div(step).unwrap_or(0)).saturating_add(1)
        });
        let marks = Vec::with_capacity(most.min(max_marks(old.size())) as usize);
        let mut finder = Self { layout, regions, marks, step, window: Vec::new() };
        for region in wanted {
            finder.mark(region, old)?;
        }
        Ok(finder)
    }

    fn mark(&mut self, region: &Region, old: &mut OldFile<'_>) -> Result<(), ApplyError> {
        let (mut at, mut next) = (region.start, region.start);
        while at < region.end() {
            let until = at.saturating_add(MARK + go::MAX_LEN).min(region.end());
            self.read(old, at, until)?;
            let mut inside = 0_usize;
            let start = at;
            while at < start.saturating_add(MARK) {
                let Some(len) = go::record_len(self.window.get(inside..).unwrap_or_default()) else {
                    return Ok(());
                };
                if at >= next {
                    self.marks.push(at);
                    next = at.saturating_add(self.step);
                }
                inside = inside.saturating_add(len);
                at = at.saturating_add(len as u64);
            }
        }
        Ok(())
    }

    fn read(&mut self, old: &mut OldFile<'_>, from: u64, to: u64) -> Result<(), ApplyError> {
        self.window.resize(usize::try_from(to.saturating_sub(from)).unwrap_or(0), 0);
        old.read(&mut self.window, from).map_err(ApplyError::OldUnreadable)
    }

    /// Appends the references in `from..to` of the old file to `found`, ordered by place. `to` is at most [`STRETCH`]
    /// bytes behind `from`. What may rest inside of `at_rest` is left out.
    pub(crate) fn find(
        &mut self,
        old: &mut OldFile<'_>,
        from: u64,
        to: u64,
        at_rest: Option<Inside>,
        found: &mut Vec<Reference>,
    ) -> Result<(), ApplyError> {
        let first = self.regions.partition_point(|region| region.end() <= from);
        for region in self.regions.iter().skip(first) {
            if region.start >= to {
                break;
            }
            let (from, to) = (from.max(region.start), to.min(region.end()));
            let start = match region.rule {
                Rule::GoFunctions(_) => self.mark_before(region, from),
                _ => Some(from.saturating_sub(BEFORE).max(region.start)),
            };
            let Some(start) = start else {
                continue;
            };
            let stop = to.saturating_add(AFTER).min(region.end());
            self.read(old, start, stop)?;
            let window = Window { bytes: &self.window, offset: start, from, to, at_rest };
            Sweep::run(window, region, self.layout, found);
        }
        Ok(())
    }

    /// The last mark of a region that is not behind `offset`, if it is close.
    fn mark_before(&self, region: &Region, offset: u64) -> Option<u64> {
        let next = self.marks.partition_point(|mark| *mark <= offset);
        let mark = *self.marks.get(next.checked_sub(1)?)?;
        let is_close = offset.wrapping_sub(mark) <= self.step.saturating_add(go::MAX_LEN);
        (mark >= region.start && is_close).then_some(mark)
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "test code on small numbers"
)]
mod tests {
    use std::io;

    use super::*;
    use crate::{
        ReadAt,
        reference::region::{GoBases, Segment},
    };

    /// A file that begins with records and has so many bytes in all, zeros behind them.
    struct Sparse<'a>(&'a [u8], u64);

    impl ReadAt for Sparse<'_> {
        fn size(&self) -> u64 {
            self.1
        }

        fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
            for (index, byte) in out.iter_mut().enumerate() {
                *byte = self.0.get(offset as usize + index).copied().unwrap_or(0);
            }
            Ok(())
        }
    }

    #[test]
    fn records_of_a_large_file_are_found_from_marks_that_lie_far_apart() {
        let mut records = Vec::new();
        for index in 0..1000_u32 {
            let mut record = [0; go::HEAD + 20];
            record[..4].copy_from_slice(&(index + 1).to_le_bytes());
            // Up to three pc tables and as many pieces of data, which refer to nothing.
            record[go::TABLES] = (index % 4) as u8;
            record[go::DATA] = (index / 4 % 3) as u8;
            let len = go::record_len(&record).unwrap();
            records.extend(&record[..len]);
        }
        let len = records.len() as u64;
        let segment = Segment { offset: 0, len, address: 0x1000, memory_len: len, code: true };
        let layout = Layout { segments: vec![segment] };
        let bases = GoBases { text: 0x1000, names: 0x1000, tables: 0x1000, units: 0x1000, data: 0x1000 };
        let regions = [Region { start: 0, len, rule: Rule::GoFunctions(bases) }];
        let [small, large] = [len, 1 << 30].map(|size| Sparse(&records, size));
        let found = |file: &Sparse<'_>, step| {
            let mut old = OldFile::new(file);
            let mut finder = Finder::new(&layout, &regions, &mut old).unwrap();
            assert_eq!(finder.step, step);
            assert_eq!(finder.marks.len() as u64, len.div_ceil(step), "{:?}", finder.marks);
            let pieces = (0..len).step_by(1237).map(|from| {
                let mut found = Vec::new();
                finder.find(&mut old, from, len.min(from + 900), None, &mut found).unwrap();
                found.into_iter().map(|reference| (reference.offset, reference.referent)).collect::<Vec<_>>()
            });
            pieces.collect::<Vec<_>>()
        };
        let close = found(&small, MARK);
        assert!(close.iter().map(Vec::len).sum::<usize>() > 1000, "{close:?}");
        assert_eq!(found(&large, 1 << 14), close);
    }
}
