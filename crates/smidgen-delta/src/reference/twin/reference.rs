//! References: how their fields are laid out, and how the rules find them.

use super::{
    instruction::{self, Field},
    plan::{Holds, Layout, Region, Rule, Words},
};

/// The pieces of a value, lowest bits first: first bit in the field (bytes count from the lowest), bits.
pub(super) type Pieces = &'static [(u32, u32)];

/// How a field encodes what it refers to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Meaning {
    /// The signed distance, in units of so many bytes.
    Distance(u64),
    /// The unsigned distance, in units of so many bytes.
    Ahead(u64),
    /// The unsigned distance backwards.
    Back,
    /// The signed distance between pages of 4096 bytes.
    Page,
    /// The low part of an address, in units of `1 << scale`.
    Low(u32),
}

/// The form of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Form {
    pub(super) len: usize,
    pub(super) pieces: Pieces,
    pub(super) meaning: Meaning,
}

const fn form(len: usize, pieces: Pieces, meaning: Meaning) -> Form {
    Form { len, pieces, meaning }
}

pub(super) const BYTE: Form = form(1, &[(0, 8)], Meaning::Distance(1));
pub(super) const WORD: Form = form(4, &[(0, 32)], Meaning::Distance(1));
pub(super) const LONG: Form = form(8, &[(0, 64)], Meaning::Ahead(1));
pub(super) const UNSIGNED: Form = form(4, &[(0, 32)], Meaning::Ahead(1));
const QUAD: Form = form(4, &[(0, 32)], Meaning::Ahead(4));
const BACK: Form = form(4, &[(0, 32)], Meaning::Back);
const LINK: Form = form(8, &[(0, 36)], Meaning::Ahead(1));
const ORDINAL: Form = form(3, &[(0, 24)], Meaning::Ahead(1));
const LEB: Form = form(3, &[(0, 7), (8, 7), (16, 7)], Meaning::Ahead(1));
const BRANCH_26: Form = form(4, &[(0, 26)], Meaning::Distance(4));
const BRANCH_19: Form = form(4, &[(5, 19)], Meaning::Distance(4));
const BRANCH_14: Form = form(4, &[(5, 14)], Meaning::Distance(4));
const ADR: Form = form(4, &[(29, 2), (5, 19)], Meaning::Distance(1));
pub(super) const ADRP: Form = form(4, &[(29, 2), (5, 19)], Meaning::Page);
const PAIR: Form = form(4, &[(15, 7)], Meaning::Ahead(1));
const NEAR: Form = form(4, &[(12, 9)], Meaning::Ahead(1));

const fn low(scale: u32) -> Form {
    form(4, &[(10, 12)], Meaning::Low(scale))
}

fn sign_extended(value: u64, bits: u32) -> u64 {
    if bits < 64 && value >> (bits - 1) & 1 == 1 { value | u64::MAX << bits } else { value }
}

impl Form {
    pub(super) fn bits(self) -> u32 {
        self.pieces.iter().map(|(_, bits)| bits).sum()
    }

    /// All bits of a value.
    pub(super) fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    pub(super) fn read(self, field: &[u8]) -> u64 {
        let (mut value, mut done) = (0, 0);
        for (from, bits) in self.pieces {
            for bit in *from..from + bits {
                value |= u64::from(field[bit as usize / 8] >> (bit % 8) & 1) << done;
                done += 1;
            }
        }
        value
    }

    pub(super) fn write(self, field: &mut [u8], value: u64) {
        let mut done = 0;
        for (from, bits) in self.pieces {
            for bit in *from..from + bits {
                let byte = &mut field[bit as usize / 8];
                *byte = *byte & !(1 << (bit % 8)) | ((value >> done & 1) as u8) << (bit % 8);
                done += 1;
            }
        }
    }

    /// What `value` leads to from `anchor`.
    pub(super) fn referent(self, value: u64, anchor: u64) -> u64 {
        let signed = sign_extended(value, self.bits());
        match self.meaning {
            Meaning::Distance(unit) => anchor.wrapping_add(signed.wrapping_mul(unit)),
            Meaning::Ahead(unit) => anchor.wrapping_add(value.wrapping_mul(unit)),
            Meaning::Back => anchor.wrapping_sub(value),
            Meaning::Page => (anchor & !4095).wrapping_add(signed << 12),
            Meaning::Low(scale) => anchor & !4095 | value << scale & 4095,
        }
    }

    /// What leads to `referent` from `anchor`, cut to the bits there are.
    pub(super) fn value(self, referent: u64, anchor: u64) -> u64 {
        let distance = referent.wrapping_sub(anchor);
        let value = match self.meaning {
            Meaning::Distance(unit) | Meaning::Ahead(unit) => distance >> unit.trailing_zeros(),
            Meaning::Back => anchor.wrapping_sub(referent),
            Meaning::Page => (referent & !4095).wrapping_sub(anchor & !4095) >> 12,
            Meaning::Low(scale) => (referent & 4095) >> scale,
        };
        value & self.mask()
    }
}

/// What a value counts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Anchor {
    /// So many bytes behind the start of its own field.
    Here(u64),
    /// An address of the old file.
    At(u64),
    Zero,
    /// The page that an ADRP loaded.
    Page,
    /// No address: moves as the number of its class before it.
    Step,
    /// No address: moves as an equal number of its class last did.
    Equal,
}

/// The classes that are more than a name: entries of jump tables are not learnt from.
pub(super) const TABLE: u8 = 14;

#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    pub(super) offset: u64,
    pub(super) referent: u64,
    pub(super) anchor: Anchor,
    pub(super) form: Form,
    pub(super) class: u8,
    pub(super) other: Option<u64>,
}

/// Bytes in front of a stretch from which on code is read.
const BEFORE: u64 = 64;
/// Bytes behind a stretch that are looked at.
const AFTER: u64 = 16;

/// A search of one stretch of a region.
struct Search<'a> {
    file: &'a [u8],
    /// Where `file` begins.
    file_start: u64,
    layout: &'a Layout,
    region: &'a Region,
    /// Where reading starts, and its address.
    start: u64,
    address: u64,
    from: u64,
    to: u64,
    found: Vec<Reference>,
}

/// The references between `from` and `to` of the regions of a file, by place.
pub(super) fn find(file: &[u8], layout: &Layout, regions: &[Region], from: u64, to: u64) -> Vec<Reference> {
    let mut found = Vec::new();
    for region in regions.iter().filter(|region| region.start < to && region.end() > from) {
        let (from, to) = (from.max(region.start), to.min(region.end()));
        let start = match region.rule {
            Rule::GoFunctions(_) => match go_start(file, region, from) {
                Some(start) => start,
                None => continue,
            },
            _ => from.saturating_sub(BEFORE).max(region.start),
        };
        found.extend(find_from(file, 0, layout, region, start, from, to));
    }
    found
}

/// The same in one region of a file that begins at `file_start`; reading starts at `start`.
pub(super) fn find_from(
    file: &[u8],
    file_start: u64,
    layout: &Layout,
    region: &Region,
    start: u64,
    from: u64,
    to: u64,
) -> Vec<Reference> {
    // Addresses count on from where reading starts.
    let address = layout.address(start).unwrap_or(0);
    let mut search = Search { file, file_start, layout, region, start, address, from, to, found: Vec::new() };
    match &region.rule {
        Rule::X86_64 { absolute } => search.x86_64(*absolute),
        Rule::Aarch64 => search.aarch64(),
        Rule::Words(words) => search.words(words),
        Rule::Records(stride, fields, _) => search.records(*stride, fields),
        Rule::Unwinding => search.unwinding(),
        Rule::GoFunctions(bases) => search.go_functions(bases),
        Rule::Rebases(bases) => search.rebases(bases),
        Rule::Chained(base) => search.chained(*base),
        Rule::Buckets(_) => search.buckets(),
        Rule::Packed(_) => {}
    }
    search.found
}

impl Search<'_> {
    /// One past what may be looked at.
    fn end(&self) -> u64 {
        (self.to + AFTER).min(self.region.end())
    }

    fn bytes(&self, from: u64, to: u64) -> Option<&[u8]> {
        (from >= self.start && to <= self.end())
            .then(|| &self.file[(from - self.file_start) as usize..(to - self.file_start) as usize])
    }

    fn word(&self, at: u64) -> Option<u32> {
        self.bytes(at, at + 4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()))
    }

    fn address(&self, at: u64) -> u64 {
        self.address.wrapping_add(at - self.start)
    }

    /// The value of a field that lies in the stretch as a whole.
    fn value(&self, at: u64, form: Form) -> Option<u64> {
        let end = at + form.len as u64;
        (at >= self.from && end <= self.to).then(|| form.read(self.bytes(at, end).unwrap()))
    }

    /// Notes a field that refers to the image; says whether it did.
    fn note(&mut self, at: u64, form: Form, anchor: Anchor, class: u8) -> bool {
        let base = match anchor {
            Anchor::Here(skip) => self.address(at).wrapping_add(skip),
            Anchor::At(base) => base,
            _ => 0,
        };
        let Some(value) = self.value(at, form) else { return false };
        let referent = form.referent(value, base);
        let is_inside = self.layout.by_address(referent).is_some();
        if is_inside {
            self.note_referent(at, form, anchor, class, referent);
        }
        is_inside
    }

    /// Notes a field that holds a number.
    fn note_number(&mut self, at: u64, form: Form, anchor: Anchor, class: u8) {
        if let Some(value) = self.value(at, form) {
            self.note_referent(at, form, anchor, class, value);
        }
    }

    fn note_referent(&mut self, offset: u64, form: Form, anchor: Anchor, class: u8, referent: u64) {
        self.found.push(Reference { offset, referent, anchor, form, class, other: None });
    }

    fn x86_64(&mut self, absolute: bool) {
        let mut at = self.start;
        while at < self.to {
            let code = self.bytes(at, (at + 15).min(self.end())).unwrap();
            let instruction = instruction::read(code);
            if instruction.missing.is_some() {
                return;
            }
            if let Some((skip, field)) = instruction.field {
                let place = at + skip as u64;
                let here = Anchor::Here((instruction.len - skip) as u64);
                match field {
                    Field::Call => drop(self.note(place, WORD, here, 0)),
                    Field::Jump => drop(self.note(place, WORD, here, 1)),
                    Field::Condition => drop(self.note(place, WORD, here, 2)),
                    Field::Operand => drop(self.note(place, WORD, here, 3)),
                    Field::Short => drop(self.note(place, BYTE, here, 4)),
                    Field::Immediate => drop(absolute && self.note(place, UNSIGNED, Anchor::Zero, 5)),
                    Field::Near(base) => self.note_number(place, BYTE, Anchor::Equal, 7 + base),
                    Field::Far(base) => {
                        if !(absolute && self.note(place, UNSIGNED, Anchor::Zero, 6)) {
                            self.note_number(place, WORD, Anchor::Equal, 10 + base);
                        }
                    }
                }
            }
            at += instruction.len as u64;
        }
    }

    fn aarch64(&mut self) {
        // By register: the page, the reference that loaded it if its low part is not known yet, and where it stands.
        let mut pages: [Option<(u64, Option<usize>, u64)>; 32] = [None; 32];
        let mut at = self.start.next_multiple_of(4);
        while at < self.to {
            let Some(word) = self.word(at) else { return };
            let bits = |from: u32, count: u32| word >> from & ((1 << count) - 1);
            let here = Anchor::Here(0);
            if bits(26, 5) == 0b00101 {
                self.note(at, BRANCH_26, here, if bits(31, 1) == 1 { 33 } else { 32 });
            } else if bits(24, 8) == 0x54 || bits(25, 6) == 0b011010 {
                self.note(at, BRANCH_19, here, 34);
            } else if bits(25, 6) == 0b011011 {
                self.note(at, BRANCH_14, here, 35);
            } else if bits(27, 3) == 0b011 && bits(24, 2) == 0 {
                self.note(at, BRANCH_19, here, 36);
            } else if bits(31, 1) == 0 && bits(24, 5) == 0b10000 {
                self.note(at, ADR, here, 37);
            } else if bits(31, 1) == 1 && bits(24, 5) == 0b10000 {
                let page = ADRP.referent(ADRP.read(&word.to_le_bytes()), self.address(at));
                let index = self.value(at, ADRP).map(|_| self.found.len());
                if index.is_some() {
                    self.note_referent(at, ADRP, here, 38, page);
                }
                pages[bits(0, 5) as usize] = Some((page, index, at));
            } else {
                self.aarch64_number(at, word, &mut pages);
            }
            at += 4;
        }
    }

    /// An instruction that adds an immediate to a register: the low part of a page, or a number.
    fn aarch64_number(&mut self, at: u64, word: u32, pages: &mut [Option<(u64, Option<usize>, u64)>; 32]) {
        let bits = |from: u32, count: u32| word >> from & ((1 << count) - 1);
        let is_access = bits(27, 3) == 0b111 && bits(24, 2) == 0b01;
        let is_addition = bits(22, 10) == 0b10_0100_0100;
        if is_access || is_addition {
            let is_wide = bits(26, 1) == 1 && bits(23, 1) == 1;
            let (scale, class) = match (is_addition, is_wide) {
                (true, _) => (0, 39),
                (false, true) => (4, 40),
                (false, false) => (bits(30, 2), 40),
            };
            if let Some((page, open, place)) = &mut pages[bits(5, 5) as usize]
                && at - *place <= 64
            {
                let form = low(scale);
                let referent = form.referent(form.read(&word.to_le_bytes()), *page);
                if let Some(index) = open.take() {
                    self.found[index].referent = referent;
                }
                if self.value(at, form).is_some() {
                    self.note_referent(at, form, Anchor::Page, class, referent);
                }
                return;
            }
        }
        let is_stack = u8::from(bits(5, 5) == 31);
        if bits(23, 6) == 0b10_0010 {
            self.note_number(at, low(0), Anchor::Equal, 41 + is_stack);
        } else if is_access {
            self.note_number(at, low(0), Anchor::Equal, 43 + is_stack);
        } else if bits(27, 3) == 0b101 && bits(25, 1) == 0 {
            self.note_number(at, PAIR, Anchor::Equal, 45 + is_stack);
        } else if bits(27, 3) == 0b111 && bits(24, 2) == 0 && bits(21, 1) == 0 && bits(10, 2) == 0 {
            self.note_number(at, NEAR, Anchor::Equal, 43 + is_stack);
        }
    }

    fn words(&mut self, words: &Words) {
        let mut at = self.from.next_multiple_of(4);
        while at < self.to {
            if at.is_multiple_of(8) && words.pointers && self.note(at, LONG, Anchor::Zero, 13) {
                at += 8;
                continue;
            }
            let word = self.word(at);
            match (word, words.base) {
                (Some(word), Some(base)) if (256..words.limit).contains(&word.into()) => {
                    if self.note(at, UNSIGNED, Anchor::At(base), 15) {
                        self.found.last_mut().unwrap().other = words.other;
                    }
                }
                (Some(word), _) => {
                    let referent = self.address(at).wrapping_add(sign_extended(word.into(), 32));
                    if self.layout.is_code(referent) {
                        self.note(at, WORD, Anchor::Here(0), TABLE);
                    }
                }
                (None, _) => {}
            }
            at += 4;
        }
    }

    fn records(&mut self, stride: u64, fields: &[(u64, Holds)]) {
        let mut record = self.region.start;
        while record < self.to {
            for (index, (place, holds)) in fields.iter().enumerate() {
                let (form, anchor) = match holds {
                    Holds::Address => (LONG, Anchor::Zero),
                    Holds::From(base) => (UNSIGNED, Anchor::At(*base)),
                    Holds::Around(base) => (WORD, Anchor::At(*base)),
                    Holds::Here => (WORD, Anchor::Here(0)),
                };
                if record + place >= self.start {
                    self.note(record + place, form, anchor, 48 + index as u8);
                }
            }
            record += stride;
        }
    }

    fn unwinding(&mut self) {
        let mut at = self.start.next_multiple_of(4);
        while at < self.to {
            let word = |at: u64| u64::from(self.word(at).unwrap_or(0));
            let (len, back) = (word(at), word(at + 4));
            let is_record = len % 4 == 0
                && (12..4096).contains(&len)
                && back % 4 == 0
                && back > 8
                && back <= at + 4 - self.region.start;
            if !is_record {
                at += 4;
                continue;
            }
            self.note(at + 4, BACK, Anchor::Here(0), 16);
            self.note(at + 8, WORD, Anchor::Here(0), 17);
            let is_long = matches!(self.word(at + 12), Some(0 | u32::MAX));
            let (data, field) = if is_long { (at + 24, 8) } else { (at + 16, 4) };
            if self.bytes(data, data + 1) == Some(&[field]) {
                self.note(data + 1, WORD, Anchor::Here(0), 18);
            }
            at += len + 4;
        }
    }

    fn go_functions(&mut self, [text, names, tables, units, data]: &[u64; 5]) {
        let mut at = self.start;
        while at < self.to {
            let Some(record) = self.bytes(at, at + 44).and_then(go_record) else { return };
            let heads = [
                (0, text, UNSIGNED, 20),
                (4, names, UNSIGNED, 21),
                (16, tables, UNSIGNED, 22),
                (20, tables, UNSIGNED, 23),
                (24, tables, UNSIGNED, 24),
                (32, units, QUAD, 25),
            ];
            for (skip, base, form, class) in heads {
                self.go_word(at + skip, form, *base, class);
            }
            self.note_number(at + 36, WORD, Anchor::Step, 26);
            for index in 0..record.tables + record.data {
                let (base, class) = if index < record.tables { (*tables, 27) } else { (*data, 28) };
                self.go_word(at + 44 + 4 * index, UNSIGNED, base, class);
            }
            at += record.len();
        }
    }

    fn go_word(&mut self, at: u64, form: Form, base: u64, class: u8) {
        if self.word(at) != Some(0) {
            self.note(at, form, Anchor::At(base), class);
        }
    }

    fn rebases(&mut self, bases: &[u64]) {
        let mut at = self.start;
        while at < self.to {
            let opcodes = self.bytes(at, at + 5);
            let is_rebase = opcodes.is_some_and(|opcodes| {
                opcodes[0] >> 4 == 2
                    && opcodes[1] > 127
                    && opcodes[2] > 127
                    && opcodes[3] < 128
                    && opcodes[4] == 0x51
            });
            if !is_rebase {
                at += 1;
                continue;
            }
            let segment = usize::from(opcodes.unwrap()[0] & 15);
            if let Some(base) = bases.get(segment) {
                self.note(at + 1, LEB, Anchor::At(*base), 29);
            }
            at += 5;
        }
    }

    fn buckets(&mut self) {
        for at in (self.region.start..self.to).step_by(20) {
            self.note_number(at, WORD, Anchor::Step, 19);
        }
    }

    fn chained(&mut self, base: Option<u64>) {
        for at in (self.from.next_multiple_of(8)..self.to).step_by(8) {
            let Some(bytes) = self.bytes(at, at + 8) else { return };
            let word = u64::from_le_bytes(bytes.try_into().unwrap());
            let bits = |from: u32, count: u32| word >> from & ((1 << count) - 1);
            let (is_bound, next) = (bits(63, 1) == 1, bits(51, 12));
            if is_bound {
                self.note_number(at, ORDINAL, Anchor::Equal, 31);
            } else if bits(44, 7) == 0 && (next > 0 || word >= 1 << 32) {
                self.note(at, LINK, base.map_or(Anchor::Zero, Anchor::At), 30);
            }
        }
    }
}

/// A function record of Go.
struct GoRecord {
    tables: u64,
    data: u64,
}

impl GoRecord {
    fn len(&self) -> u64 {
        (44 + 4 * (self.tables + self.data)).next_multiple_of(8)
    }
}

/// Reads a head of 44 bytes.
fn go_record(head: &[u8]) -> Option<GoRecord> {
    let tables = u32::from_le_bytes(head[28..32].try_into().unwrap()).min(64);
    Some(GoRecord { tables: tables.into(), data: head[43].into() })
}

/// The start of a record at or in front of `offset`; records follow each other from the region's start on.
fn go_start(file: &[u8], region: &Region, offset: u64) -> Option<u64> {
    let mut at = region.start;
    let mut last = None;
    while at <= offset && at + 44 <= region.end() {
        last = Some(at);
        at += go_record(&file[at as usize..at as usize + 44])?.len();
    }
    last
}
