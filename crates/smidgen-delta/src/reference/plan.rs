//! The plan of a patch: layouts of both files, regions of the old one, matches; and how it is written down.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

#[cfg(feature = "diff")]
use super::content::Content;
use super::{
    account::Made,
    buckets::ENTRY,
    coder::Coder,
    control::{Controls, Match},
    line_numbers::{LineNumbers, Shift, Tables},
    list,
    model::Number,
    pages::{MAX_LOG, MAX_PAGES, MIN_LOG, Paging},
    region::{Layout, MAX_FIELDS, RecordField, Region, Rule, Segment},
    sorted,
};
use crate::old::Change;

mod regions;

use regions::code_regions;

/// Everything that is known before the first byte of the new file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Where the old file lies in memory.
    pub(crate) old: Layout,
    /// Where the new file does.
    pub(crate) new: Layout,
    /// The regions of the old file, by start; they do not overlap.
    pub(crate) regions: Vec<Region>,
    /// The matches, by their place in the new file; they do not overlap there.
    pub(crate) matches: Vec<Match>,
    /// Which part of the new file is digested page by page.
    pub(crate) paging: Option<Paging>,
    /// Which line numbers of the old file are others before anything is made of it.
    pub(crate) lines: Option<LineNumbers>,
}

/// Bytes that a match takes in a plan's raw size.
const MATCH: u64 = 24;
/// Bytes that a region does.
const REGION: u64 = 64;
/// Bytes that a shift of line numbers does.
const SHIFT: u64 = 16;
/// Bytes that a changed byte of the old file does, and its share of the room in which they are sorted.
const CHANGE: u64 = 16;
/// The most segments of one file.
pub(crate) const MAX_SEGMENTS: usize = 32;
/// The most regions.
pub(crate) const MAX_REGIONS: usize = 4096;
/// The most bytes of regions of Go functions, which is five million functions: some places in them are kept in memory.
pub(crate) const MAX_RECORDS: u64 = 1 << 28;

/// How many things a plan consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) segments: [u64; 2],
    pub(crate) regions: u64,
    pub(crate) matches: u64,
    pub(crate) shifts: u64,
    pub(crate) changes: u64,
}

/// The sizes of the two files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) old: u64,
    pub(crate) new: u64,
}

/// What is wrong with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrong(pub(crate) &'static str);

impl Counts {
    fn raw_size(&self) -> u64 {
        let rooms = [
            self.regions.saturating_mul(REGION),
            self.matches.saturating_mul(MATCH),
            self.shifts.saturating_mul(SHIFT),
            self.changes.saturating_mul(CHANGE),
        ];
        rooms.into_iter().fold(1, u64::saturating_add)
    }
}

impl Plan {
    /// What its section's table entry gives as raw size: the room that all of it takes.
    #[cfg(feature = "diff")]
    pub(crate) fn raw_size(&self) -> u64 {
        self.counts().raw_size()
    }

    fn counts(&self) -> Counts {
        let lines = self.lines.as_ref();
        Counts {
            segments: [&self.old, &self.new].map(|layout| layout.segments.len() as u64),
            regions: self.regions.len() as u64,
            matches: self.matches.len() as u64,
            shifts: lines.map_or(0, |lines| lines.shifts.len() as u64),
            changes: lines.map_or(0, |lines| lines.changes.into()),
        }
    }

    /// How many extra bytes of a new file of this size are code.
    #[cfg(feature = "diff")]
    pub(crate) fn extra_code(&self, new_size: u64) -> u64 {
        let before = [Match::default()].into_iter().chain(self.matches.iter().copied());
        let ends = self.matches.iter().map(|next| next.new_offset).chain([new_size]);
        let is_code = |before: &Match| !matches!(before.extra_content(&self.regions), Content::Data(_));
        let gaps = before.zip(ends).filter(|(before, _)| is_code(before));
        gaps.fold(0, |sum, (before, end)| sum.saturating_add(end.saturating_sub(before.new_end())))
    }

    /// Whether there is aarch64 code.
    pub(crate) fn has_words(&self) -> bool {
        self.regions.iter().any(|region| region.rule == Rule::Aarch64)
    }

    /// Bytes that a plan of this raw size allocates, its models included.
    pub(crate) fn memory(raw_size: u64) -> u64 {
        // A region is larger in memory, by its fields, and there may be room for as many more; a match is not.
        const FOR_A_REGION: u64 =
            (2 * size_of::<Region>() + 2 * MAX_FIELDS * size_of::<RecordField>()) as u64;
        const {
            assert!(size_of::<Match>() as u64 <= MATCH);
            assert!(size_of::<Shift>() as u64 <= SHIFT);
            assert!(2 * size_of::<Change>() as u64 <= CHANGE);
        };
        let regions = raw_size.wrapping_div(REGION).min(MAX_REGIONS as u64);
        raw_size
            .saturating_add(regions.saturating_mul(FOR_A_REGION))
            .saturating_add(size_of::<[[Segment; MAX_SEGMENTS]; 2]>() as u64)
            .saturating_add(Number::MEMORY.saturating_mul(40))
    }
}

/// Codes a plan. The encoder gives it; the decoder gives the raw size that was promised, and gets it.
pub(crate) fn code(
    coder: &mut impl Coder,
    wanted: &Plan,
    raw_size: u64,
    sizes: Sizes,
) -> Result<Plan, Wrong> {
    let mut number = Number::default();
    let given = wanted.counts();
    let counts = Counts {
        segments: given.segments.map(|segments| number.code(coder, segments)),
        regions: number.code(coder, given.regions),
        matches: number.code(coder, given.matches),
        shifts: number.code(coder, given.shifts),
        changes: number.code(coder, given.changes),
    };
    if counts.segments.iter().any(|count| *count > MAX_SEGMENTS as u64) {
        return Err(Wrong("has too many segments"));
    }
    if counts.regions > MAX_REGIONS as u64 {
        return Err(Wrong("has too many regions"));
    }
    if counts.raw_size() != raw_size {
        return Err(Wrong("has other counts than its raw size says"));
    }
    let [old_segments, new_segments] = counts.segments;
    let mut segments = SegmentModels::default();
    let old = segments.code(coder, &wanted.old, old_segments);
    let new = segments.code(coder, &wanted.new, new_segments);
    let regions = code_regions(coder, &wanted.regions, counts.regions, sizes.old)?;
    let paging = code_paging(coder, &mut number, wanted.paging, sizes.new)?;
    let lines = code_lines(coder, wanted.lines.as_ref(), &counts, sizes)?;
    coder.book(Made::Layout);
    let digests = paging.map_or(0, |paging| paging.len());
    let tables = sorted::len(&regions, sizes.old);
    // What matches may take from: the old file, the digests behind it, the sorted tables behind these, the packed lists behind those.
    let digests_end = sizes.old.saturating_add(digests);
    let tables_end = digests_end.saturating_add(tables);
    let lists = list::len(&regions, sizes.old);
    let sources = [sizes.old, digests_end, tables_end, tables_end.saturating_add(lists)];
    let matches = code_matches(coder, &wanted.matches, counts.matches, sources, sizes.new)?;
    Ok(Plan { old, new, regions, matches, paging, lines })
}

fn code_lines(
    coder: &mut impl Coder,
    wanted: Option<&LineNumbers>,
    counts: &Counts,
    sizes: Sizes,
) -> Result<Option<LineNumbers>, Wrong> {
    if counts.shifts == 0 {
        return Ok(None);
    }
    let none = LineNumbers::default();
    let wanted = wanted.unwrap_or(&none);
    let mut number = Number::default();
    let mut next = |wanted: u64| number.code(coder, wanted);
    let tables = Tables {
        start: next(wanted.tables.start),
        len: next(wanted.tables.len),
        list: next(wanted.tables.list),
        functions: next(wanted.tables.functions.into()) as u32,
        files: next(wanted.tables.files),
        data: next(wanted.tables.data),
    };
    let lies_in_it = |start: u64, len: u64| start.checked_add(len).is_some_and(|end| end <= sizes.old);
    let list_len = u64::from(tables.functions).saturating_mul(ENTRY);
    if !lies_in_it(tables.start, tables.len) || !lies_in_it(tables.list, list_len) {
        return Err(Wrong("has tables of line numbers that do not lie in the old file"));
    }
    if !tables.are_read_within(sizes.new) {
        return Err(Wrong("has more tables of line numbers than the new file has bytes"));
    }
    let shifts = Vec::with_capacity(counts.shifts as usize);
    let mut lines = LineNumbers { tables, changes: counts.changes as u32, shifts };
    let [mut files, mut places, mut steps] = <[Number; 3]>::default();
    let mut before = Shift::default();
    // The count was held against the raw size, and that against the limits, before anything is allocated.
    for index in 0..counts.shifts as usize {
        let wanted = wanted.shifts.get(index).copied().unwrap_or_default();
        let file =
            before.file.wrapping_add(files.code(coder, wanted.file.wrapping_sub(before.file).into()) as u32);
        if file != before.file {
            before = Shift { file, line: 0, by: 0 };
        }
        let line =
            before.line.wrapping_add(places.code(coder, wanted.line.wrapping_sub(before.line).into()) as u32);
        let step = steps.code_signed(coder, wanted.by.wrapping_sub(before.by).into()) as i32;
        let shift = Shift { file, line, by: before.by.wrapping_add(step) };
        if lines.shifts.last().is_some_and(|last| (last.file, last.line) >= (file, line)) {
            return Err(Wrong("has moved lines that are not in order"));
        }
        lines.shifts.push(shift);
        before = shift;
    }
    Ok(Some(lines))
}

fn code_paging(
    coder: &mut impl Coder,
    number: &mut Number,
    wanted: Option<Paging>,
    new_size: u64,
) -> Result<Option<Paging>, Wrong> {
    let log = number.code(coder, wanted.map_or(0, |paging| paging.log.into()));
    if log == 0 {
        return Ok(None);
    }
    let end = number.code(coder, wanted.map_or(0, |paging| paging.end));
    let paging = Paging { log: log.min(u8::MAX.into()) as u8, end };
    if !(MIN_LOG..=MAX_LOG).contains(&paging.log) || end > new_size || paging.count() > MAX_PAGES {
        return Err(Wrong("has pages that cannot be"));
    }
    Ok(Some(paging))
}

#[derive(Default)]
struct SegmentModels {
    offset: Number,
    len: Number,
    address: Number,
    more: Number,
    code: Number,
}

impl SegmentModels {
    /// Segments that are not in order, overlap or have no last address are dropped: what refers to them is then not found, on either side.
    fn code(&mut self, coder: &mut impl Coder, wanted: &Layout, count: u64) -> Layout {
        let mut segments: Vec<Segment> = Vec::new();
        let mut end = 0_u64;
        for index in 0..count as usize {
            let wanted = wanted.segments.get(index).copied().unwrap_or_default();
            let offset = self.offset.code(coder, wanted.offset);
            let len = self.len.code(coder, wanted.len);
            let address = self.address.code(coder, wanted.address);
            let memory_len = len.saturating_add(self.more.code(coder, wanted.memory_len.saturating_sub(len)));
            let code = self.code.code(coder, wanted.code.into()) == 1;
            if address >= end
                && let Some(next) = address.checked_add(memory_len)
            {
                segments.push(Segment { offset, len, address, memory_len, code });
                end = next;
            }
        }
        Layout { segments }
    }
}

fn code_matches(
    coder: &mut impl Coder,
    wanted: &[Match],
    count: u64,
    sources: [u64; 4],
    new_size: u64,
) -> Result<Vec<Match>, Wrong> {
    let mut controls = Controls::default();
    // The count was held against the raw size, and that against the limits, before anything is allocated.
    let mut matches = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for index in 0..count as usize {
        let found = controls.code(coder, wanted.get(index).copied().unwrap_or_default());
        coder.book(Made::Control { offset: found.new_offset });
        // Not across a border.
        let old_end = sources.into_iter().find(|end| found.old_offset < *end).unwrap_or(0);
        if found.len == 0
            || found.old_offset.checked_add(found.len).is_none_or(|end| end > old_end)
            || found.new_offset.checked_add(found.len).is_none_or(|end| end > new_size)
        {
            return Err(Wrong("has a match that does not lie in both files"));
        }
        matches.push(found);
    }
    Ok(matches)
}

#[cfg(all(test, feature = "diff"))]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::{
        regions::{RegionModels, kind},
        *,
    };
    use crate::reference::{
        coder::{Decoder, Encoder},
        list::unwind_info::Style,
        region::{Buckets, GoBases, Holds, MAX_BASES, Packed, Packing, Unwound, Words},
    };

    const SIZES: Sizes = Sizes { old: 10_000, new: 12_000 };

    fn segment(offset: u64, len: u64, address: u64) -> Segment {
        Segment { offset, len, address, memory_len: len + 16, code: offset == 0 }
    }

    fn sample() -> Plan {
        let region = |start, len, rule| Region { start, len, rule };
        let field = |at, holds| RecordField { at, holds };
        let packed = |packing, len| Packed { packing, old_base: 0x1000, new_base: 0x2000, len };
        let style = Style { mode: 3, tight: true };
        let unwound = Unwound { style, old_frames: 0x40_0000, new_frames: 0x40_1000, end: 0xFFFF_FFFF };
        Plan {
            old: Layout { segments: vec![segment(0, 5000, 0x1000), segment(5000, 4000, 0x40_0000)] },
            new: Layout { segments: vec![segment(0, 6000, 0x1000)] },
            regions: vec![
                region(10, 100, Rule::X86_64 { absolute: true }),
                region(110, 100, Rule::Aarch64),
                region(300, 100, Rule::Words(Words { pointers: true, ..Words::default() })),
                region(
                    400,
                    80,
                    Rule::Words(Words { pointers: false, base: Some(0x40_0000), limit: 77, other: Some(3) }),
                ),
                region(
                    500,
                    240,
                    Rule::Records {
                        stride: 24,
                        fields: vec![
                            field(0, Holds::Address),
                            field(8, Holds::From(9)),
                            field(12, Holds::Here),
                        ],
                    },
                ),
                region(
                    750,
                    40,
                    Rule::Sorted {
                        stride: 8,
                        fields: vec![field(4, Holds::Around(9)), field(0, Holds::Here)],
                    },
                ),
                region(800, 10, Rule::Unwinding),
                region(
                    900,
                    100,
                    Rule::GoFunctions(GoBases { text: 1, names: 2, tables: 3, units: 4, data: 5 }),
                ),
                region(2000, 7000, Rule::Rebases { bases: vec![0x1000, 0x40_0000] }),
                region(9000, 500, Rule::Chained { base: Some(0x1000) }),
                region(9500, 50, Rule::Packed(packed(Packing::Unwinding(unwound), 60))),
                region(9550, 20, Rule::Packed(packed(Packing::Starts, 16))),
                region(9570, 12, Rule::Packed(packed(Packing::Blocks, 0))),
                region(9582, 8, Rule::Packed(packed(Packing::Bitmaps, u64::MAX))),
                region(9600, 300, Rule::Chained { base: None }),
                region(
                    9900,
                    100,
                    Rule::Buckets(Buckets { list: 9000, functions: 9, text: 0x1000, parts: 20 }),
                ),
            ],
            matches: vec![
                Match { old_offset: 0, new_offset: 5, len: 100 },
                Match { old_offset: 200, new_offset: 105, len: 1000 },
                Match { old_offset: 100, new_offset: 1105, len: 50 },
                Match { old_offset: 1300, new_offset: 1205, len: 500 },
            ],
            paging: Some(Paging { log: 12, end: 9000 }),
            lines: Some(LineNumbers {
                tables: Tables { start: 4000, len: 300, list: 4300, functions: 9, files: 3900, data: 77 },
                changes: 12,
                shifts: vec![
                    Shift { file: 0, line: 7, by: -2 },
                    Shift { file: 0, line: 90, by: 5 },
                    Shift { file: 300, line: 0, by: i32::MIN },
                    Shift { file: u32::MAX, line: u32::MAX, by: i32::MAX },
                ],
            }),
        }
    }

    fn read_back(plan: &Plan, raw_size: u64) -> Result<Plan, Wrong> {
        let mut encoder = Encoder::new();
        let raw = plan.raw_size();
        let huge = Sizes { old: u64::MAX, new: u64::MAX };
        let _ = code(&mut encoder, plan, raw, huge);
        let packed = encoder.finish();
        let mut decoder = Decoder::new(&packed, 0, packed.len() as u64);
        code(&mut decoder, &Plan::default(), raw_size, SIZES)
    }

    #[test]
    fn a_plan_with_every_rule_reads_back() {
        let plan = sample();
        assert_eq!(read_back(&plan, plan.raw_size()), Ok(plan));
    }

    /// Once a segment that reaches beyond the last address held low ones or not, by what was found before.
    #[test]
    fn segments_that_cannot_be_are_dropped() {
        let code = |wanted: &Layout| {
            let mut encoder = Encoder::new();
            let count = wanted.segments.len() as u64;
            SegmentModels::default().code(&mut encoder, wanted, count)
        };
        let fine = segment(0, 100, 0x1000);
        let last = segment(0, 10, u64::MAX - 26);
        let beyond = segment(0, 10, u64::MAX - 25);
        let segments = vec![fine, segment(50, 100, 0x1050), beyond, last];
        assert_eq!(code(&Layout { segments }).segments, [fine, last]);
    }

    #[test]
    fn pages_are_digested_of_so_many_and_no_more() {
        let read = |log: u8, end| {
            let paging = Some(Paging { log, end });
            let mut encoder = Encoder::new();
            let _ = code_paging(&mut encoder, &mut Number::default(), paging, end);
            let packed = encoder.finish();
            let mut decoder = Decoder::new(&packed, 0, packed.len() as u64);
            code_paging(&mut decoder, &mut Number::default(), None, end).map(|read| read == paging)
        };
        let many = MAX_PAGES << 12;
        assert_eq!(read(12, many), Ok(true));
        assert_eq!(read(12, many + 1), Err(Wrong("has pages that cannot be")));
        assert_eq!(read(13, many + 1), Ok(true));
    }

    #[test]
    fn records_of_functions_have_room_for_so_many_bytes_and_no_more() {
        let bases = GoBases { text: 0, names: 0, tables: 0, units: 0, data: 0 };
        let region = |start, len| Region { start, len, rule: Rule::GoFunctions(bases) };
        let read = |regions: &[Region]| {
            let mut encoder = Encoder::new();
            let size = 1 << 30;
            let _ = code_regions(&mut encoder, regions, regions.len() as u64, size);
            let packed = encoder.finish();
            let mut decoder = Decoder::new(&packed, 0, packed.len() as u64);
            code_regions(&mut decoder, &[], regions.len() as u64, size).map(|read| read == regions)
        };
        assert_eq!(read(&[region(0, MAX_RECORDS - 1), region(MAX_RECORDS, 1)]), Ok(true));
        let many = Err(Wrong("has more than 256 MiB of records of functions"));
        assert_eq!(read(&[region(0, MAX_RECORDS - 1), region(MAX_RECORDS, 2)]), many);
        assert_eq!(
            read(&[region(5, u64::MAX)]),
            Err(Wrong("has a region that does not lie in the old file"))
        );
    }

    #[test]
    fn a_plan_that_lies_is_refused_field_by_field() {
        let wrong = |change: &dyn Fn(&mut Plan)| {
            let mut plan = sample();
            change(&mut plan);
            read_back(&plan, plan.raw_size()).map(drop).map_err(|wrong| wrong.0)
        };
        let region = Err("has a region that does not lie in the old file");
        let found = Err("has a match that does not lie in both files");
        assert_eq!(wrong(&|plan| plan.regions[8].len = 8001), region);
        assert_eq!(wrong(&|plan| plan.regions[8].len = u64::MAX), region);
        assert_eq!(wrong(&|plan| plan.regions[0].len = 0), region);
        assert_eq!(wrong(&|plan| plan.matches[3].len = 0), found);
        assert_eq!(wrong(&|plan| plan.matches[3].len = 8701), found);
        assert_eq!(wrong(&|plan| plan.matches[3].old_offset = 9501), found);
        assert_eq!(wrong(&|plan| plan.matches[3].old_offset = u64::MAX), found);
        assert_eq!(wrong(&|plan| plan.matches[3].new_offset = 11_501), found);
        let pages = Err("has pages that cannot be");
        assert_eq!(wrong(&|plan| plan.paging = Some(Paging { log: 11, end: 9000 })), pages);
        assert_eq!(wrong(&|plan| plan.paging = Some(Paging { log: 17, end: 9000 })), pages);
        assert_eq!(wrong(&|plan| plan.paging = Some(Paging { log: 12, end: 12_001 })), pages);
        let digests = |offset, len| Match { old_offset: offset, new_offset: 2000, len };
        assert_eq!(wrong(&|plan| plan.matches[3] = digests(10_000, 96)), Ok(()));
        // The sorted table of 40 bytes stands behind 96 bytes of digests, and the index of 28 behind it.
        assert_eq!(wrong(&|plan| plan.matches[3] = digests(10_000, 97)), found);
        assert_eq!(wrong(&|plan| plan.matches[3] = digests(10_096, 68)), Ok(()));
        assert_eq!(wrong(&|plan| plan.matches[3] = digests(10_096, 69)), found);
        // Behind it stand lists of 60 and 16 bytes; another would be too long.
        assert_eq!(wrong(&|plan| plan.matches[3] = digests(10_164, 76)), Ok(()));
        assert_eq!(wrong(&|plan| plan.matches[3] = digests(10_164, 77)), found);
        assert_eq!(wrong(&|plan| plan.matches[3] = digests(10_163, 2)), found);
        assert_eq!(wrong(&|plan| plan.matches[3] = digests(10_240, 1)), found);
        assert_eq!(wrong(&|plan| plan.matches[3] = digests(9_999, 2)), found);
        let records = |stride, count| {
            let fields = vec![RecordField { at: 0, holds: Holds::Here }; count];
            Rule::Records { stride, fields }
        };
        let cannot = Err("has records that cannot be");
        assert_eq!(wrong(&|plan| plan.regions[4].rule = records(0, 0)), cannot);
        assert_eq!(wrong(&|plan| plan.regions[4].rule = records(100, MAX_FIELDS + 1)), cannot);
        assert_eq!(wrong(&|plan| plan.regions[4].rule = records(3, 1)), cannot);
        let outside = Rule::Records { stride: 8, fields: vec![RecordField { at: 8, holds: Holds::Here }] };
        assert_eq!(
            wrong(&|plan| plan.regions[4].rule = outside.clone()),
            Err("has a field outside its record")
        );
        let rebases = Rule::Rebases { bases: vec![0; MAX_BASES + 1] };
        assert_eq!(
            wrong(&|plan| plan.regions[4].rule = rebases.clone()),
            Err("has rebases of too many segments")
        );
        let sorted =
            |stride, at| Rule::Sorted { stride, fields: vec![RecordField { at, holds: Holds::Here }] };
        assert_eq!(wrong(&|plan| plan.regions[5].rule = sorted(3, 0)), cannot);
        assert_eq!(wrong(&|plan| plan.regions[5].rule = sorted(8, 8)), Err("has a field outside its record"));
        let list = |list, functions| {
            wrong(&|plan: &mut Plan| {
                plan.regions[15].rule = Rule::Buckets(Buckets { list, functions, ..Buckets::default() });
            })
        };
        let outside = Err("has a list of functions that does not lie in the old file");
        assert_eq!(list(0, 1249), Ok(()));
        assert_eq!(list(0, 1250), outside);
        assert_eq!(list(5, 1249), outside);
        assert_eq!(list(u64::MAX, u32::MAX), outside);
        let lines = |change: &dyn Fn(&mut LineNumbers)| {
            wrong(&|plan: &mut Plan| change(plan.lines.as_mut().unwrap()))
        };
        let outside = Err("has tables of line numbers that do not lie in the old file");
        assert_eq!(lines(&|lines| lines.tables.len = 6000), Ok(()));
        assert_eq!(lines(&|lines| lines.tables.len = 6001), outside);
        assert_eq!(lines(&|lines| lines.tables.start = u64::MAX), outside);
        assert_eq!(lines(&|lines| lines.tables.functions = 713), outside);
        assert_eq!(lines(&|lines| lines.tables.list = u64::MAX), outside);
        // Once functions cost nothing, and 16 million of them kept a client busy for a minute for a new file of one byte.
        let long = Err("has more tables of line numbers than the new file has bytes");
        assert_eq!(lines(&|lines| lines.tables.functions = 230), Ok(()));
        assert_eq!(lines(&|lines| lines.tables.functions = 231), long);
        let disordered = Err("has moved lines that are not in order");
        assert_eq!(lines(&|lines| lines.shifts[1].line = 7), disordered);
        assert_eq!(lines(&|lines| lines.shifts[1].line = 6), disordered);
        assert_eq!(lines(&|lines| lines.shifts.swap(2, 3)), disordered);
        let lists = Err("has a list that this version cannot unpack");
        assert_eq!(packing_of(4), lists);
        assert_eq!(packing_of(u64::MAX), lists);
        let many = vec![segment(0, 1, 1); MAX_SEGMENTS + 1];
        assert_eq!(wrong(&|plan| plan.old.segments = many.clone()), Err("has too many segments"));
        assert_eq!(wrong(&|plan| plan.new.segments = many.clone()), Err("has too many segments"));
        let region = |index: u64| Region { start: 2 * index, len: 1, rule: Rule::Aarch64 };
        let many: Vec<Region> = (0..=MAX_REGIONS as u64).map(region).collect();
        assert_eq!(wrong(&|plan| plan.regions = many.clone()), Err("has too many regions"));
        let counts = Err(Wrong("has other counts than its raw size says"));
        assert_eq!(read_back(&sample(), sample().raw_size() + MATCH), counts);
        assert_eq!(read_back(&sample(), 0), counts);
    }

    /// What comes of a list that says that it is packed in this way.
    fn packing_of(number: u64) -> Result<(), &'static str> {
        let mut encoder = Encoder::new();
        let mut models = RegionModels::default();
        models.kind.code(&mut encoder, kind::PACKED);
        models.count.code(&mut encoder, number);
        let coded = encoder.finish();
        let mut decoder = Decoder::new(&coded, 0, coded.len() as u64);
        RegionModels::default().code_rule(&mut decoder, None, SIZES.old).map(drop).map_err(|wrong| wrong.0)
    }

    #[test]
    fn segments_that_overlap_are_dropped() {
        let mut plan = sample();
        plan.old.segments.push(segment(0, 10, 0x40_0001));
        let read = read_back(&plan, plan.raw_size()).unwrap();
        assert_eq!(read.old, sample().old);
    }

    #[test]
    fn any_bytes_are_a_plan_or_refused() {
        for seed in 0..2000_u64 {
            let noise: Vec<u8> = (0..64)
                .map(|index| (seed * 64 + index + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[0])
                .collect();
            let mut decoder = Decoder::new(&noise, 0, 64);
            let raw_size = 1 + seed % 5 * REGION + seed % 7 * MATCH + seed % 3 * SHIFT + seed % 2 * CHANGE;
            let _ = code(&mut decoder, &Plan::default(), raw_size, SIZES);
        }
    }
}
