//! Files and plans from a seed: every rule, layouts with and without gaps, matches from everywhere.

use crate::old::OldFile;
use crate::reference::{
    control::Match,
    line_numbers::{
        LineNumbers, Shift,
        sample::{self, Function},
    },
    list::{self, Entry, List},
    pages::Paging,
    plan::{Plan, Sizes},
    region::{
        Buckets, GoBases, Holds, Layout, Packed, Packing, RecordField, Region, Rule, Segment, Style, Unwound,
        Words,
    },
    sorted,
};

/// Numbers that look random (SplitMix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// Once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub(super) fn bytes(&mut self, len: u64) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// Two files and a plan that turns one into something like the other.
pub(super) struct Case {
    pub(super) old: Vec<u8>,
    pub(super) new_size: u64,
    pub(super) plan: Plan,
}

/// The address of the first byte of the old file.
const BASE: u64 = 0x1000;

impl Case {
    /// A case in which all of the new file lies in matches, or not.
    pub(super) fn new(random: &mut Random, with_extra: bool) -> Self {
        let mut old = Vec::new();
        let mut regions = Vec::new();
        for _ in 0..random.below(8) {
            let gap = random.below(40);
            old.extend(random.bytes(gap));
            let rule = rule(random);
            let largest = if random.once_in(8) { 40_000 } else { 1500 };
            let mut len = 1 + random.below(largest);
            let start = old.len() as u64;
            match &rule {
                Rule::Packed(packed) if !random.once_in(4) => {
                    let most = random.pick(&[60, 60, 60, 60, 60, 2500]);
                    let list = list(random, most);
                    old.extend(whole(packed).pack(&list));
                    len = old.len() as u64 - start;
                }
                rule => old.extend(content(random, rule, start, len)),
            }
            regions.push(Region { start, len, rule });
            if let Some(Region { rule: Rule::Packed(unwinding), .. }) = regions.last()
                && matches!(unwinding.packing, Packing::Unwinding(_))
                && random.once_in(2)
            {
                let starts = Packed { packing: Packing::Starts, ..*unwinding };
                let bytes = whole(&starts).pack(&list(random, 60));
                let (start, len) = (old.len() as u64, bytes.len() as u64);
                old.extend(bytes);
                regions.push(Region { start, len, rule: Rule::Packed(starts) });
            }
        }
        let lines = random.once_in(3).then(|| lines(random, &mut old));
        let tail = random.below(3000);
        old.extend(random.bytes(tail));
        if old.len() < 4 {
            old.extend([7; 4]);
        }
        let aim = old.len() as u64;
        let old_size = old.len() as u64;
        for region in &mut regions {
            if let Rule::Buckets(buckets) = &mut region.rule {
                place_list(random, buckets, &mut old);
            }
        }
        // They may have been written over since.
        let lines = lines.and_then(|mut lines: LineNumbers| {
            let changes = lines.changes(&mut OldFile::new(&old), usize::MAX).unwrap();
            lines.changes = changes.most as u32;
            (lines.tables.list + 8 * u64::from(lines.tables.functions) <= old_size).then_some(lines)
        });
        let (paging_log, paging_part) = (random.pick(&[0, 0, 12, 13]), random.below(100));
        let mut plan = Plan {
            old: layout(random, old_size),
            new: Layout::default(),
            regions,
            matches: Vec::new(),
            paging: None,
            lines,
        };
        // About as long as the old one, so that what a page digest covers can be said at once.
        let aim = aim / 2 + random.below(aim + 1);
        if paging_log > 0 {
            plan.paging = Some(Paging { log: paging_log, end: aim * paging_part / 100 });
        }
        let new_size = matches(random, &mut plan, old_size, aim, with_extra);
        if let Some(paging) = &mut plan.paging {
            // Digests change places with what they cover: only the number of pages counts.
            paging.end = paging.end.min(new_size);
        }
        plan.lines = plan.lines.filter(|lines| lines.tables.are_read_within(new_size));
        plan.new = layout(random, new_size);
        Self { old, new_size, plan }
    }

    pub(super) fn sizes(&self) -> Sizes {
        Sizes { old: self.old.len() as u64, new: self.new_size }
    }

    /// Bytes that no match makes.
    pub(super) fn extra(&self) -> u64 {
        self.new_size - self.plan.matches.iter().map(|found| found.len).sum::<u64>()
    }
}

/// The same way to pack, with room for all.
fn whole(packed: &Packed) -> Packed {
    Packed { len: 1 << 20, ..*packed }
}

/// Appends Go's tables, most of them sound, and says what moved.
fn lines(random: &mut Random, old: &mut Vec<u8>) -> LineNumbers {
    let table = |random: &mut Random, least: i32, most: u64| -> sample::Table {
        let entries = 1 + random.below(9);
        (0..entries).map(|_| (least + random.below(most) as i32, 1 + random.below(40) as u32)).collect()
    };
    let function = |random: &mut Random| Function {
        name: String::new(),
        unit: random.below(3) as u32,
        start_line: random.below(400) as u32,
        files: table(random, 0, 4),
        lines: {
            let most = random.pick(&[20, 60, 60, 3000]);
            table(random, 1, most)
        },
        inlined: table(random, -1, 4),
        calls: (0..3).map(|_| random.below(400) as u32).collect(),
    };
    let functions: Vec<Function> = (0..random.below(12)).map(|_| function(random)).collect();
    let files: Vec<u32> = (0..6).map(|index| 10 * index).collect();
    let start = old.len();
    let places = sample::write(old, &files, &functions);
    for _ in 0..random.below(2) * random.below(6) {
        let at = start + random.below((old.len() - start) as u64) as usize;
        old[at] = random.pick(&[0, 1, 0x7F, 0x80, 0xFF]);
    }
    let mut shifts: Vec<Shift> = (0..1 + random.below(6))
        .map(|_| Shift {
            file: 10 * random.below(6) as u32,
            line: random.below(80) as u32,
            by: random.below(9) as i32 - random.pick(&[4, 4, 4, i32::MAX]),
        })
        .collect();
    shifts.sort_by_key(|shift| (shift.file, shift.line));
    shifts.dedup_by_key(|shift| (shift.file, shift.line));
    let mut lines = places.lines(shifts);
    if random.once_in(5) {
        // They run out.
        lines.tables.len = random.below(lines.tables.len);
    }
    lines
}

/// One segment, or some with gaps between them in file and memory, or none.
fn layout(random: &mut Random, size: u64) -> Layout {
    let mut segments = Vec::new();
    let (mut offset, mut address) = (random.below(3) * random.below(64), BASE + random.below(3) * 0x1234);
    for _ in 0..random.below(5) {
        let len = if random.once_in(2) { size } else { random.below(size + 1) };
        let memory_len = len + random.below(2) * random.below(5000);
        let code = !random.once_in(3);
        segments.push(Segment { offset, len, address, memory_len, code });
        offset += len + random.below(30);
        address += memory_len + random.below(9000);
    }
    Layout { segments }
}

fn rule(random: &mut Random) -> Rule {
    let base = |random: &mut Random| BASE + random.below(3000);
    match random.below(12) {
        0 => Rule::X86_64 { absolute: random.once_in(2) },
        1 => Rule::Aarch64,
        2 => Rule::Words(Words {
            pointers: !random.once_in(4),
            base: random.once_in(2).then(|| base(random)),
            limit: 0,
            other: None,
        }),
        3 => Rule::Unwinding,
        4 => Rule::GoFunctions(GoBases {
            text: base(random),
            names: base(random),
            tables: base(random),
            units: base(random),
            data: base(random),
        }),
        5 => Rule::Rebases { bases: (0..random.below(9)).map(|_| base(random)).collect() },
        8 | 9 => Rule::Packed(packed(random, base)),
        6 => Rule::Chained { base: random.once_in(2).then(|| base(random)) },
        7 => Rule::Buckets(Buckets {
            list: 0,
            functions: random.pick(&[0, 1, 5, 20, 200]),
            text: base(random),
            parts: random.pick(&[0, 1, 15, 16, 17, 40, 300]),
        }),
        kind => {
            let stride = 1 + random.below(64) as u32;
            let count = random.below(u64::from(stride / 4).min(8) + 1);
            let field = |random: &mut Random| RecordField {
                at: random.below(stride.into()) as u32,
                holds: match random.below(4) {
                    0 => Holds::Address,
                    1 => Holds::From(base(random)),
                    2 => Holds::Around(base(random)),
                    _ => Holds::Here,
                },
            };
            let fields = (0..count).map(|_| field(random)).collect();
            if kind == 10 { Rule::Records { stride, fields } } else { Rule::Sorted { stride, fields } }
        }
    }
    .with_limit(random)
}

impl Rule {
    /// Words that count from a base have a limit, and perhaps another base.
    fn with_limit(mut self, random: &mut Random) -> Self {
        if let Self::Words(words) = &mut self
            && words.base.is_some()
        {
            words.limit = random.below(8000) as u32;
            words.other = random.once_in(2).then(|| BASE + random.below(3000));
        }
        self
    }
}

/// Finds a place for a list of functions, and most often makes it one.
fn place_list(random: &mut Random, buckets: &mut Buckets, old: &mut [u8]) {
    let room = old.len() as u64;
    buckets.functions = buckets.functions.min((room - 4) as u32 / 8);
    buckets.list = random.below(room - buckets.list_len() + 1);
    if random.once_in(4) {
        return;
    }
    for function in 0..u64::from(buckets.functions) {
        let at = (buckets.list + 8 * function) as usize;
        old[at..at + 4].copy_from_slice(&(random.below(20_000) as u32).to_le_bytes());
    }
}

/// A list of up to so many addresses; their ways are few, or many.
fn list(random: &mut Random, most: u64) -> List {
    let (steps, ways) = (random.pick(&[8, 60, 3000]), random.pick(&[3, 40, 4000]));
    let mut address = 0;
    let mut entries = Vec::new();
    for _ in 0..=random.below(most) {
        address += 1 + random.below(steps) as u32;
        let way = random.below(ways) as u32 | (random.below(8) as u32) << 24;
        let data = if random.once_in(9) { random.below(9000) as u32 } else { 0 };
        entries.push(Entry { address, way, data });
    }
    let others = (0..random.below(3)).map(|_| random.below(9000) as u32).collect();
    List { entries, others }
}

/// A packed list of any kind.
fn packed(random: &mut Random, base: impl Fn(&mut Random) -> u64) -> Packed {
    // Some are larger than there is room for.
    let largest = random.pick(&[900, 900, 900, 9000, 100_000]);
    let packing = match random.below(5) {
        0 => Packing::Starts,
        1 => Packing::Blocks,
        2 => Packing::Bitmaps,
        _ => Packing::Unwinding(Unwound {
            style: Style { mode: random.below(8) as u8, tight: random.once_in(2) },
            old_frames: base(random),
            new_frames: base(random),
            end: random.below(9000) as u32,
        }),
    };
    Packed { packing, old_base: base(random), new_base: base(random), len: random.below(largest) }
}

/// Bytes in which the rule finds something.
fn content(random: &mut Random, rule: &Rule, start: u64, len: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < len {
        if random.once_in(30) {
            let noise = random.below(20);
            bytes.extend(random.bytes(noise));
        }
        match rule {
            Rule::X86_64 { .. } => instruction(random, &mut bytes),
            Rule::Aarch64 => {
                // Most registers are the same, so that pages find their low parts.
                let noise = random.next() as u32 & random.pick(&[0xFFFF_FFFF, 0x7FF_FCEF, 0x3E3]);
                let word = random.pick(&[
                    0x9400_0000,
                    0x1400_0000,
                    0x5400_0000,
                    0x3400_0000,
                    0x3600_0000,
                    0x1800_0000,
                    0x1000_0000,
                    0x9000_0000,
                    0x9000_0000,
                    0x9100_0000,
                    0x9100_0000,
                    0xF940_0000,
                    0x3DC0_0000,
                    0xB900_0000,
                    0xA900_0000,
                    0xF800_0000,
                    0xD100_0000,
                    0x0000_0000,
                ]);
                bytes.extend((word | noise).to_le_bytes());
            }
            Rule::Words(_) => {
                if random.once_in(2) {
                    bytes.extend((BASE + random.below(20_000)).to_le_bytes());
                } else {
                    bytes.extend((random.below(9000) as u32).wrapping_sub(1000).to_le_bytes());
                }
            }
            Rule::Unwinding => {
                let body = random.pick(&[12_u32, 16, 20, 24, 28, 5000, 0]);
                let back = 4 + 4 * (random.below(bytes.len() as u64 / 4 + 2) as u32);
                bytes.extend([body.to_le_bytes(), back.to_le_bytes()].concat());
                bytes.extend((random.below(4000) as u32).wrapping_sub(2000).to_le_bytes());
                let rest = u64::from(body.clamp(8, 40)) - 8;
                let mut rest = random.bytes(rest);
                if rest.len() >= 9 && random.once_in(2) {
                    rest[4] = 4;
                    rest[5..9].copy_from_slice(&(random.below(2000) as u32).to_le_bytes());
                }
                if rest.len() >= 17 && random.once_in(2) {
                    rest[..4].copy_from_slice(&random.pick(&[0_u32, 1, u32::MAX]).to_le_bytes());
                    rest[12] = 8;
                    rest[13..17].copy_from_slice(&(random.below(2000) as u32).to_le_bytes());
                }
                bytes.extend(rest);
            }
            Rule::GoFunctions(_) => {
                let (tables, data) = (random.below(6) as u32, random.below(5) as u8);
                let tables = if random.once_in(40) { u32::MAX } else { tables };
                let record = bytes.len();
                for _ in 0..11 + u64::from(tables.min(64)) + u64::from(data) {
                    bytes.extend((random.below(5) as u32 * random.below(3000) as u32).to_le_bytes());
                }
                bytes[record + 28..record + 32].copy_from_slice(&tables.to_le_bytes());
                bytes[record + 43] = data;
                bytes.resize(record + (bytes.len() - record).next_multiple_of(8), 0);
            }
            Rule::Rebases { .. } => {
                let [low, middle, high] = [0, 1, 2].map(|_| random.next() as u8);
                bytes.extend([0x20 | random.below(10) as u8, low | 128, middle & 15 | 128, high & 1, 0x51]);
            }
            Rule::Chained { .. } => {
                let next = random.pick(&[0, 2, 2, 2, 2, 6, 4095]) << 51;
                let kept = random.pick(&[0, 0, 0, 0, 0x80 << 36, 1 << 44, 1 << 63, 1 << 35]);
                bytes.extend((next | kept | random.below(20_000)).to_le_bytes());
            }
            Rule::Buckets(_) => {
                let word = random.below(300) as u32;
                bytes.extend([&word.to_le_bytes()[..], &random.bytes(16)].concat());
            }
            Rule::Packed(packed) => {
                let list = list(random, len);
                bytes.extend(whole(packed).pack(&list));
            }
            Rule::Records { .. } | Rule::Sorted { .. } => {
                let word = (random.below(6000) as u32).wrapping_sub(500);
                bytes.extend(word.to_le_bytes());
                if random.once_in(3) {
                    let start = start + bytes.len() as u64;
                    bytes.extend((BASE + start % 977 + random.below(4000)).to_le_bytes());
                }
            }
        }
    }
    bytes.truncate(len as usize);
    bytes
}

/// An instruction that is likely to have a field, or any bytes that may start one.
fn instruction(random: &mut Random, bytes: &mut Vec<u8>) {
    let prefixes: &[&[u8]] = &[
        &[],
        &[],
        &[],
        &[0x48],
        &[0x41],
        &[0x66],
        &[0x66, 0x48],
        &[0x67],
        &[0xF3, 0x0F],
        &[0xC5, 0xF8],
        &[0xC4, 0xE3, 0x79],
        &[0x62, 0xF1, 0x7C, 0x48],
    ];
    let opcodes: &[&[u8]] = &[
        &[0xE8],
        &[0xE9],
        &[0x0F, 0x84],
        &[0x74],
        &[0xEB],
        &[0xE3],
        &[0x8B, 0x05],
        &[0x8D, 0x3D],
        &[0x8B, 0x44, 0x24],
        &[0x8B, 0x45],
        &[0x8B, 0x80],
        &[0x89, 0x84, 0x24],
        &[0xFF, 0x24, 0xC5],
        &[0xB8],
        &[0x68],
        &[0x81, 0xC0],
        &[0xC7, 0x00],
        &[0xC7, 0x05],
        &[0xF6, 0x05],
        &[0xF7, 0x05],
        &[0x80, 0x3D],
        &[0xA1],
        &[0xC8],
        &[0x90],
        &[0x10, 0x05],
        &[0x0F, 0x38, 0x10, 0x05],
        &[0x0F, 0x3A, 0x0F, 0x05],
        &[0x0F, 0xBA, 0x25],
        &[0x0F, 0x0B],
    ];
    bytes.extend(random.pick(prefixes));
    if random.once_in(6) {
        bytes.extend(random.bytes(3));
    } else {
        bytes.extend(random.pick(opcodes));
    }
    match random.below(3) {
        0 => bytes.extend((random.below(4000) as u32).wrapping_sub(2000).to_le_bytes()),
        1 => bytes.extend((BASE as u32 + random.below(4000) as u32).to_le_bytes()),
        _ => bytes.push(random.below(40) as u8),
    }
}

/// Matches for a new file of about `aim` bytes, and its size.
fn matches(random: &mut Random, plan: &mut Plan, old_size: u64, aim: u64, with_extra: bool) -> u64 {
    let digests = plan.paging.map_or(0, |paging| paging.len());
    let tables = sorted::len(&plan.regions, old_size);
    let lists = list::len(&plan.regions, old_size);
    let sources = [
        (0, old_size),
        (old_size, digests),
        (old_size + digests, tables),
        (old_size + digests + tables, lists),
    ];
    let (mut new_offset, mut old_offset) = (0, 0);
    while new_offset < aim {
        if with_extra && !random.once_in(3) {
            new_offset += random.pick(&[1, 3, 10, 200, 2000, 20_000]).min(1 + random.below(aim / 4 + 1));
        }
        let (start, len) = if random.once_in(5) { random.pick(&sources[1..]) } else { sources[0] };
        if len == 0 {
            continue;
        }
        // Here and there, or on from where the match before ended.
        if start > 0 || random.once_in(3) || !(start..start + len).contains(&old_offset) {
            old_offset = start + random.below(len);
        } else {
            old_offset += random.below(4);
            old_offset = old_offset.min(start + len - 1);
        }
        let longest = (start + len - old_offset).min(random.pick(&[20, 300, 5000, 40_000]));
        let len = 1 + random.below(longest);
        plan.matches.push(Match { old_offset, new_offset, len });
        (new_offset, old_offset) = (new_offset + len, old_offset + len);
    }
    if with_extra { new_offset + random.below(100) } else { new_offset }
}
