//! Layouts, regions, pages and matches.

use super::coder::{Coder, Number, Symbol};

#[derive(Clone, Copy)]
pub(super) struct Segment {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) address: u64,
    pub(super) memory_len: u64,
    pub(super) code: bool,
}

/// The segments of one file, by address.
pub(super) struct Layout(pub(super) Vec<Segment>);

impl Layout {
    pub(super) fn by_address(&self, address: u64) -> Option<&Segment> {
        self.0
            .iter()
            .find(|segment| address >= segment.address && address - segment.address < segment.memory_len)
    }

    pub(super) fn is_code(&self, address: u64) -> bool {
        self.by_address(address).is_some_and(|segment| segment.code)
    }

    /// The first segment that has this byte of the file says its address.
    pub(super) fn address(&self, offset: u64) -> Option<u64> {
        let segment = self
            .0
            .iter()
            .find(|segment| offset >= segment.offset && offset - segment.offset < segment.len)?;
        Some(segment.address.wrapping_add(offset - segment.offset))
    }

    /// For how many bytes of the file what [`address`](Self::address) says goes on.
    pub(super) fn room(&self, offset: u64) -> u64 {
        let mut next = u64::MAX;
        for segment in &self.0 {
            if offset < segment.offset {
                next = next.min(segment.offset - offset);
            } else if offset - segment.offset < segment.len {
                return segment.len - (offset - segment.offset);
            }
        }
        next
    }
}

#[derive(Clone, Copy, Default)]
pub(super) struct Words {
    pub(super) pointers: bool,
    pub(super) base: Option<u64>,
    pub(super) limit: u64,
    pub(super) other: Option<u64>,
}

#[derive(Clone, Copy)]
pub(super) enum Holds {
    Address,
    From(u64),
    Here,
    Around(u64),
}

/// What Go's index of functions by address follows from.
#[derive(Clone, Copy)]
pub(super) struct Buckets {
    /// Where the list of functions is in the old file, and how many it has.
    pub(super) list: u64,
    pub(super) functions: u64,
    /// The address that they count from.
    pub(super) text: u64,
    /// Pieces of 256 bytes of new code.
    pub(super) parts: u64,
}

/// A packed list.
#[derive(Clone)]
pub(super) struct Packed {
    pub(super) packing: Packing,
    /// What addresses count from, in the old file and in the new one.
    pub(super) bases: [u64; 2],
    /// Bytes of the new table.
    pub(super) len: u64,
}

#[derive(Clone, Copy)]
pub(super) enum Packing {
    Starts,
    Blocks,
    Bitmaps,
    Unwinding { mode: u64, tight: bool, frames: [u64; 2], end: u64 },
}

#[derive(Clone)]
pub(super) enum Rule {
    X86_64 {
        absolute: bool,
    },
    Aarch64,
    Words(Words),
    /// Stride, fields (place and what they hold), whether they are sorted.
    Records(u64, Vec<(u64, Holds)>, bool),
    Unwinding,
    /// Text, names, tables, units, data.
    GoFunctions([u64; 5]),
    Rebases(Vec<u64>),
    Chained(Option<u64>),
    Buckets(Buckets),
    Packed(Packed),
}

#[derive(Clone)]
pub(super) struct Region {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) rule: Rule,
}

impl Region {
    pub(super) fn end(&self) -> u64 {
        self.start + self.len
    }
}

#[derive(Clone, Copy, Default)]
pub(super) struct Match {
    pub(super) old: u64,
    pub(super) new: u64,
    pub(super) len: u64,
}

pub(super) struct Plan {
    pub(super) old: Layout,
    pub(super) new: Layout,
    pub(super) regions: Vec<Region>,
    /// Logarithm of a page's bytes, and the end of what is digested.
    pub(super) pages: Option<(u64, u64)>,
    pub(super) lines: Option<Lines>,
    pub(super) matches: Vec<Match>,
}

/// Where Go's tables are, and which lines moved: file, first line, by how many.
pub(super) struct Lines {
    pub(super) tables: u64,
    pub(super) tables_len: u64,
    pub(super) list: u64,
    pub(super) functions: u64,
    pub(super) files: u64,
    pub(super) data: u64,
    pub(super) shifts: Vec<(u32, u32, i32)>,
}

pub(super) fn read(coder: &mut Coder<'_>) -> Plan {
    let mut number = Number::default();
    let [old, new, regions, matches, shifts, _] = [(); 6].map(|()| number.read(coder));
    let mut segments = Segments::default();
    let (old, new) = (segments.read(coder, old), segments.read(coder, new));
    let regions = read_regions(coder, regions);
    let log = number.read(coder);
    let pages = (log > 0).then(|| (log, number.read(coder)));
    let lines = (shifts > 0).then(|| read_lines(coder, shifts));
    let matches = read_matches(coder, matches);
    Plan { old, new, regions, pages, lines, matches }
}

fn read_lines(coder: &mut Coder<'_>, count: u64) -> Lines {
    let mut number = Number::default();
    let [tables, tables_len, list, functions, files, data] = [(); 6].map(|()| number.read(coder));
    let [mut file_steps, mut line_steps, mut by_steps] = <[Number; 3]>::default();
    let (mut file, mut line, mut by) = (0_u32, 0_u32, 0_i32);
    let mut shifts = Vec::new();
    for _ in 0..count {
        let step = file_steps.read(coder) as u32;
        if step > 0 {
            (file, line, by) = (file.wrapping_add(step), 0, 0);
        }
        line = line.wrapping_add(line_steps.read(coder) as u32);
        by = by.wrapping_add(by_steps.read_signed(coder) as i32);
        shifts.push((file, line, by));
    }
    Lines { tables, tables_len, list, functions: functions & 0xFFFF_FFFF, files, data, shifts }
}

#[derive(Default)]
struct Segments {
    offset: Number,
    len: Number,
    address: Number,
    beyond: Number,
    code: Number,
}

impl Segments {
    fn read(&mut self, coder: &mut Coder<'_>, count: u64) -> Layout {
        let mut segments: Vec<Segment> = Vec::new();
        for _ in 0..count {
            let offset = self.offset.read(coder);
            let len = self.len.read(coder);
            let address = self.address.read(coder);
            let memory_len = len.saturating_add(self.beyond.read(coder));
            let code = self.code.read(coder) == 1;
            let end = segments.last().map_or(0, |last| last.address.saturating_add(last.memory_len));
            // What overlaps, or reaches beyond the last address, is dropped.
            if address >= end && address.checked_add(memory_len).is_some() {
                segments.push(Segment { offset, len, address, memory_len, code });
            }
        }
        Layout(segments)
    }
}

#[derive(Default)]
struct Regions {
    gap: Number,
    len: Number,
    rule: Symbol,
    flag: Number,
    count: Number,
    place: Number,
    holds: Number,
    base: Number,
    limit: Number,
    list: Number,
    last_base: u64,
}

fn read_regions(coder: &mut Coder<'_>, count: u64) -> Vec<Region> {
    let mut models = Regions::default();
    let mut end = 0;
    let mut regions = Vec::new();
    for _ in 0..count {
        let start = end + models.gap.read(coder);
        let len = models.len.read(coder);
        end = start + len;
        regions.push(Region { start, len, rule: models.read_rule(coder) });
    }
    regions
}

impl Regions {
    fn read_flag(&mut self, coder: &mut Coder<'_>) -> bool {
        self.flag.read(coder) == 1
    }

    fn read_base(&mut self, coder: &mut Coder<'_>) -> u64 {
        self.last_base = self.last_base.wrapping_add_signed(self.base.read_signed(coder));
        self.last_base
    }

    fn read_rule(&mut self, coder: &mut Coder<'_>) -> Rule {
        match self.rule.read(coder, 4) {
            0 => Rule::X86_64 { absolute: self.read_flag(coder) },
            1 => Rule::Aarch64,
            2 => {
                let mut words = Words { pointers: self.read_flag(coder), ..Words::default() };
                if self.read_flag(coder) {
                    words.base = Some(self.read_base(coder));
                    words.limit = self.limit.read(coder) & 0xFFFF_FFFF;
                    words.other = self.read_flag(coder).then(|| self.read_base(coder));
                }
                Rule::Words(words)
            }
            4 => Rule::Unwinding,
            5 => Rule::GoFunctions([(); 5].map(|()| self.read_base(coder))),
            6 => {
                let count = self.count.read(coder);
                Rule::Rebases((0..count).map(|_| self.read_base(coder)).collect())
            }
            8 => Rule::Chained(self.read_flag(coder).then(|| self.read_base(coder))),
            9 => {
                let list = self.list.read(coder);
                let functions = self.count.read(coder) & 0xFFFF_FFFF;
                let text = self.read_base(coder);
                let parts = self.count.read(coder) & 0xFFFF_FFFF;
                Rule::Buckets(Buckets { list, functions, text, parts })
            }
            10 => {
                let packing = match self.count.read(coder) {
                    0 => Packing::Starts,
                    1 => Packing::Blocks,
                    2 => Packing::Bitmaps,
                    _ => Packing::Unwinding {
                        mode: self.count.read(coder) & 15,
                        tight: self.read_flag(coder),
                        frames: [(); 2].map(|()| self.read_base(coder)),
                        end: self.limit.read(coder) & 0xFFFF_FFFF,
                    },
                };
                let bases = [(); 2].map(|()| self.read_base(coder));
                Rule::Packed(Packed { packing, bases, len: self.len.read(coder) })
            }
            number => {
                let stride = self.count.read(coder) & 0xFFFF_FFFF;
                let count = self.count.read(coder);
                let fields = (0..count).map(|_| {
                    let place = self.place.read(coder) & 0xFFFF_FFFF;
                    let holds = match self.holds.read(coder) {
                        0 => Holds::Address,
                        1 => Holds::From(self.read_base(coder)),
                        3 => Holds::Around(self.read_base(coder)),
                        _ => Holds::Here,
                    };
                    (place, holds)
                });
                Rule::Records(stride, fields.collect(), number == 7)
            }
        }
    }
}

fn read_matches(coder: &mut Coder<'_>, count: u64) -> Vec<Match> {
    let mut extra_models: [Number; 4] = Default::default();
    let mut len_models: [Number; 4] = Default::default();
    let mut way_models: [Symbol; 8] = Default::default();
    let mut near_models: [Number; 3] = Default::default();
    let mut far_model = Number::default();
    // Diagonals left of late, the last one first.
    let mut diagonals = vec![0_u64; 5];
    let mut last_way = 0;
    let mut before = Match::default();
    let mut matches = Vec::new();
    for _ in 0..count {
        let before_diagonal = before.new.wrapping_sub(before.old);
        let extra = extra_models[last_way].read(coder);
        let new = before.new + before.len + extra;
        let way = way_models[2 * last_way + usize::from(extra == 0)].read(coder, 3) as usize;
        let diagonal = match way {
            0 => before_diagonal,
            1 | 2 => {
                let size = if extra == 0 {
                    0
                } else if extra < 16 {
                    1
                } else {
                    2
                };
                let model = if way == 1 { &mut near_models[size] } else { &mut far_model };
                let seek = model.read_signed(coder);
                new.wrapping_sub((before.old + before.len).wrapping_add_signed(seek))
            }
            _ => diagonals[way - 3],
        };
        last_way = way.min(3);
        let len = len_models[last_way].read(coder);
        if diagonal != before_diagonal {
            // The one that is taken is forgotten, else the oldest.
            let taken = diagonals.iter().position(|recent| *recent == diagonal).unwrap_or(4);
            diagonals.remove(taken);
            diagonals.insert(0, before_diagonal);
        }
        before = Match { old: new.wrapping_sub(diagonal), new, len };
        matches.push(before);
    }
    matches
}
