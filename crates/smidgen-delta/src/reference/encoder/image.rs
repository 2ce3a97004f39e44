//! What the encoder knows of one file: where it lies in memory, and what is where in it.

use std::ops::Range;

use super::{
    super::{
        field::{Anchor, Class, Form, Reference},
        plan::{MAX_REGIONS, MAX_SEGMENTS},
        region::{Buckets, Holds, Layout, Region, Rule, Segment},
    },
    elf, go,
    ideas::{Idea, Ideas},
    line_numbers, mach_o, pe,
};

/// A part of an executable file that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSection {
    /// The name that the file gives it, cut to 64 characters.
    pub name: String,
    /// First byte in the file.
    pub offset: u64,
    /// Bytes in the file, at least one.
    pub len: u64,
}

/// A pointer that is zero in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loaded {
    /// Where it stands.
    pub(super) offset: u64,
    /// The address that it gets.
    pub(super) referent: u64,
}

impl Loaded {
    /// As if it stood in the file.
    pub(super) fn reference(&self) -> Reference {
        let Self { offset, referent } = *self;
        let (anchor, form, class) = (Anchor::Zero, Form::Long, Class::POINTER);
        Reference { offset, referent, anchor, form, class, other: None }
    }
}

/// A packed list of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PackedList {
    /// First byte in the file.
    pub(super) offset: u64,
    /// Bytes.
    pub(super) len: u64,
    /// What its addresses count from.
    pub(super) base: u64,
    /// How it is packed.
    pub(super) kind: ListKind,
}

/// How a list is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKind {
    /// As distances.
    Starts,
    /// In blocks, page by page.
    Blocks,
    /// As bitmaps.
    Bitmaps,
    /// With ways to unwind: the number of those that lead to a record, and what these count from.
    Unwinding {
        /// The mode.
        mode: u8,
        /// Address of the records.
        frames: u64,
    },
}

/// The longest name of a section, in characters.
const MAX_NAME: usize = 64;

/// Layout and regions of an executable file.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    /// Its segments, by address.
    pub(super) layout: Layout,
    /// By start; they do not overlap, and lie in the file.
    pub(super) regions: Vec<Region>,
    /// Pointers that only the loader writes, by place: what stands there says nothing of them.
    pub(super) loaded: Vec<Loaded>,
    /// The packed lists that it has; those of starts behind those of unwinding.
    pub(super) lists: Vec<PackedList>,
    /// Where Go's tables are that lead from code to lines.
    pub(super) line_tables: Option<line_numbers::NamedTables>,
    /// What the file itself says it consists of, as far as that lies in it.
    sections: Vec<FileSection>,
    size: u64,
}

impl Image {
    /// Reads the headers of a file. One of no format that is known here is an image without regions.
    pub(super) fn of(file: &[u8], ideas: Ideas) -> Self {
        let mut image =
            elf::read(file).or_else(|| pe::read(file)).or_else(|| mach_o::read(file)).unwrap_or_default();
        if ideas.has(Idea::GoTables) {
            go::refine(file, &mut image);
        }
        ideas.restrict(&mut image);
        image
    }

    /// The sections that the file names, by place; where two overlap, the later one is cut.
    pub(super) fn into_sections(mut self) -> Vec<FileSection> {
        self.sections.sort_by_key(|section| section.offset);
        let mut end = 0;
        for section in &mut self.sections {
            let start = section.offset.max(end);
            section.len = (section.offset + section.len).saturating_sub(start);
            section.offset = start;
            end = start + section.len;
        }
        self.sections.retain(|section| section.len > 0);
        self.sections
    }

    /// Place and bytes of the first section of this name.
    pub(super) fn section(&self, name: &str) -> Option<(u64, u64)> {
        let found = self.sections.iter().find(|section| section.name == name)?;
        Some((found.offset, found.len))
    }

    /// Takes note of a section.
    pub(super) fn name(&mut self, name: &str, offset: u64, len: u64) {
        let len = len.min(self.size.saturating_sub(offset));
        if len > 0 {
            let printable = name.chars().filter(|letter| !letter.is_control());
            self.sections.push(FileSection { name: printable.take(MAX_NAME).collect(), offset, len });
        }
    }

    /// An image of a file of `size` bytes, whose sections hold instructions at the addresses `code`.
    pub(super) fn new(size: u64, mut segments: Vec<Segment>, code: &[Range<u64>]) -> Self {
        segments.retain(|segment| segment.memory_len > 0);
        segments.sort_by_key(|segment| segment.address);
        // A file that lies about its segments gets those that can be.
        let mut end = 0;
        segments.retain(|segment| {
            let next = segment.address.checked_add(segment.memory_len).filter(|_| segment.address >= end);
            end = next.unwrap_or(end);
            next.is_some()
        });
        segments.truncate(MAX_SEGMENTS);
        let mut segments = set_code_apart(segments, code);
        segments.truncate(MAX_SEGMENTS);
        for segment in &mut segments {
            segment.len = segment.len.min(size.saturating_sub(segment.offset)).min(segment.memory_len);
        }
        Self { layout: Layout { segments }, size, ..Self::default() }
    }

    /// The tables that are sorted, and the address that their first field counts from.
    pub(super) fn sorted(&self) -> Vec<(Range<u64>, Option<u64>)> {
        let table = |region: &Region| match &region.rule {
            Rule::Sorted { fields, .. } => {
                let base = fields.first().and_then(|field| match field.holds {
                    Holds::From(base) | Holds::Around(base) => Some(base),
                    Holds::Address | Holds::Here => None,
                });
                Some((region.start..region.end(), base))
            }
            _ => None,
        };
        self.regions.iter().filter_map(table).collect()
    }

    /// The index of functions by address, if there is one: where it begins, and what it follows from.
    pub(super) fn buckets(&self) -> Option<(u64, Buckets)> {
        self.regions.iter().find_map(|region| match region.rule {
            Rule::Buckets(buckets) => Some((region.start, buckets)),
            _ => None,
        })
    }

    /// The same of the next build has so many parts.
    pub(super) fn set_parts(&mut self, parts: u32) {
        for region in &mut self.regions {
            if let Rule::Buckets(buckets) = &mut region.rule {
                buckets.parts = parts;
            }
        }
    }

    /// Gives a range of the file a rule; what other regions lie there give way. Once there are as many as a patch can have, nothing
    /// happens.
    pub(super) fn place(&mut self, start: u64, len: u64, rule: Rule) {
        let end = start.saturating_add(len).min(self.size);
        if start >= end || self.regions.len() >= MAX_REGIONS {
            return;
        }
        let first = self.regions.partition_point(|region| region.end() <= start);
        let last = self.regions.partition_point(|region| region.start < end).max(first);
        let mut pieces = Vec::new();
        for region in &self.regions[first..last] {
            if region.start < start {
                pieces.push(Region { len: start - region.start, ..region.clone() });
            }
        }
        pieces.push(Region { start, len: end - start, rule });
        for region in &self.regions[first..last] {
            if region.end() > end {
                let len = region.end() - end;
                // Records keep their places in the part behind only if it starts with a whole one.
                let rule = match &region.rule {
                    Rule::Records { stride, .. } | Rule::Sorted { stride, .. }
                        if !(end - region.start).is_multiple_of(u64::from(*stride)) =>
                    {
                        continue;
                    }
                    Rule::Buckets(_) => continue,
                    rule => rule.clone(),
                };
                pieces.push(Region { start: end, len, rule });
            }
        }
        self.regions.splice(first..last, pieces);
    }
}

/// A segment that may be executed often holds data too, and any small word of them would seem to lead to code. Each of these is
/// taken for up to three, the second of which goes from its first instruction to its last; sections hold instructions at `code`.
fn set_code_apart(segments: Vec<Segment>, code: &[Range<u64>]) -> Vec<Segment> {
    let pieces = |segment: Segment| {
        let end = segment.address.saturating_add(segment.memory_len);
        let inside =
            code.iter().filter(|code| segment.code && segment.address <= code.start && code.end <= end);
        let all = inside.cloned().reduce(|one, next| one.start.min(next.start)..one.end.max(next.end));
        let Some(code) = all else { return vec![segment] };
        let piece = |range: Range<u64>, code| {
            let (skip, memory_len) = (range.start - segment.address, range.end.saturating_sub(range.start));
            Segment {
                offset: segment.offset.saturating_add(skip),
                len: segment.len.saturating_sub(skip).min(memory_len),
                address: range.start,
                memory_len,
                code,
            }
        };
        let before = piece(segment.address..code.start, false);
        let behind = piece(code.end..end, false);
        let all = [before, piece(code, true), behind];
        all.into_iter().filter(|piece| piece.memory_len > 0).collect()
    };
    segments.into_iter().flat_map(pieces).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(offset: u64, len: u64, address: u64, memory_len: u64, code: bool) -> Segment {
        Segment { offset, len, address, memory_len, code }
    }

    /// Once any small word of data in a segment that may be executed was taken for a distance to code: that made patches of Mach-O
    /// files a sixth larger, and of one ten times.
    #[test]
    fn data_in_a_segment_that_may_be_executed_are_no_code() {
        let code = [0x1100..0x1180, 0x1200..0x1300, 0x9000..0x9100];
        let mixed = segment(0, 0x800, 0x1000, 0x900, true);
        let expected = [
            segment(0, 0x100, 0x1000, 0x100, false),
            segment(0x100, 0x200, 0x1100, 0x200, true),
            segment(0x300, 0x500, 0x1300, 0x600, false),
        ];
        assert_eq!(set_code_apart(vec![mixed], &code), expected);
        // Nothing but code, code without sections, sections that leave it, and data that have sections of code.
        let whole = segment(0x800, 0x100, 0x9000, 0x100, true);
        let unnamed = segment(0x900, 0x100, 0xA000, 0x100, true);
        let cut = segment(0xA00, 0x80, 0x9000, 0x80, true);
        let data = segment(0xB00, 0x400, 0x1000, 0x400, false);
        let lies = segment(u64::MAX, u64::MAX, u64::MAX - 7, u64::MAX, true);
        for alone in [whole, unnamed, cut, data, lies] {
            assert_eq!(set_code_apart(vec![alone], &code), [alone], "{alone:?}");
        }
    }
}
