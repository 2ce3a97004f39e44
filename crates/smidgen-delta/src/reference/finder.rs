//! Finds the references of the old file, piece by piece and wherever a piece begins.
//!
//! Most rules can begin anywhere, or a little before. Go's function records cannot: where one starts follows from the one
//! before, so they are walked once, and some starts are noted.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    field::{Inside, Reference},
    go,
    plan::{MAX_RECORDS, MAX_REGIONS},
    region::{Layout, Region, Rule},
    sweep::{AFTER, BEFORE, STRETCH, Sweep, Window},
};
use crate::{ApplyError, old::OldFile};

/// Function records between two marks, in bytes.
const MARK: u64 = 4096;

/// The references of an old file, found piece by piece.
pub(crate) struct Finder<'a> {
    layout: &'a Layout,
    regions: &'a [Region],
    /// In each region of Go functions, a place in every few kilobytes where a record starts; ascending.
    marks: Vec<u64>,
    window: Vec<u8>,
}

impl<'a> Finder<'a> {
    /// Bytes that it allocates for an old file of this size.
    pub(crate) fn memory(old_size: u64) -> u64 {
        let most = old_size.min(MAX_RECORDS).wrapping_div(MARK).saturating_add(MAX_REGIONS as u64);
        most.saturating_mul(size_of::<u64>() as u64)
            .saturating_add(STRETCH + BEFORE + AFTER + MARK + 2 * go::MAX_LEN)
            .saturating_add(1024)
    }

    /// Looks for the places where records start that do not tell by themselves.
    pub(crate) fn new(
        layout: &'a Layout,
        regions: &'a [Region],
        old: &mut OldFile<'_>,
    ) -> Result<Self, ApplyError> {
        let wanted = regions.iter().filter(|region| matches!(region.rule, Rule::GoFunctions(_)));
        let marks = |region: &Region| region.len.wrapping_div(MARK).saturating_add(1);
        let most = wanted.clone().map(marks).fold(0, u64::saturating_add);
        let marks = Vec::with_capacity(usize::try_from(most).unwrap_or(0));
        let mut finder = Self { layout, regions, marks, window: Vec::new() };
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
                    next = at.saturating_add(MARK);
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
        let is_close = offset.wrapping_sub(mark) <= MARK + go::MAX_LEN;
        (mark >= region.start && is_close).then_some(mark)
    }
}
