//! Small programs whose next build has moved: what the reference-aware codec is for.
//!
//! They would not run, but headers, tables and instructions are those of the real formats. Fuzz targets use this file too.
#![allow(dead_code, reason = "each user needs a part")]

/// Numbers that look random.
struct Linear(u64);

impl Linear {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }
}

/// What instructions a program has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Machine {
    X86_64,
    Aarch64,
}

/// What file a program is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Container {
    Elf,
    Pe,
    MachO,
    /// Mach-O whose pointers are chained.
    Chained,
}

/// Every kind of image.
pub(crate) const KINDS: [(Container, Machine); 6] = [
    (Container::Elf, Machine::X86_64),
    (Container::Elf, Machine::Aarch64),
    (Container::Pe, Machine::X86_64),
    (Container::MachO, Machine::Aarch64),
    (Container::MachO, Machine::X86_64),
    (Container::Chained, Machine::Aarch64),
];

/// A piece of a function.
#[derive(Clone, Debug)]
enum Item {
    /// Instructions that refer to nothing.
    Filler(Vec<u8>),
    /// A call of a function.
    Call(usize),
    /// The address of the pointer to a function.
    Data(usize),
}

/// Functions that call each other and read data, and tables of all functions.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    functions: Vec<Vec<Item>>,
    /// The order in which functions lie in the file.
    order: Vec<usize>,
}

/// The address of a file's first byte.
const BASE: u64 = 0x40_0000;
/// Where the code of a program begins.
pub(crate) const CODE: usize = 0x1000;

/// An x86-64 program in ELF. Function `longer`, if there is one, has grown, so that everything behind it lies further back.
pub(crate) fn of(functions: usize, longer: Option<usize>) -> Vec<u8> {
    Program::seeded(functions, longer).image(Container::Elf, Machine::X86_64)
}

impl Program {
    /// A program of so many functions, always the same one but for function `longer`.
    pub(crate) fn seeded(functions: usize, longer: Option<usize>) -> Self {
        let mut seed = Linear(42);
        let mut all = Vec::new();
        for index in 0..functions {
            let mut items = Vec::new();
            for _ in 0..4 + seed.below(8) {
                let call = seed.below(3) == 0;
                items.push(Item::Filler((0..3 + seed.below(20)).map(|_| 0x50 + seed.byte() % 16).collect()));
                let function = seed.below(functions);
                items.push(if call { Item::Call(function) } else { Item::Data(function) });
            }
            if longer == Some(index) {
                let mut own = Linear(7);
                items.push(Item::Filler((0..300).map(|_| own.byte()).collect()));
                items.push(Item::Call(0));
            }
            all.push(items);
        }
        Self { functions: all, order: (0..functions).collect() }
    }

    /// A program as bytes say: how many functions, and for each how many pieces, and what they are.
    pub(crate) fn read(bytes: &mut impl Iterator<Item = u8>) -> Self {
        let mut next = || usize::from(bytes.next().unwrap_or(0));
        let count = 1 + next() % 64;
        let mut functions = Vec::new();
        for _ in 0..count {
            let items = (0..next() % 12).map(|_| match next() % 4 {
                0 => Item::Call(next() % count),
                1 => Item::Data(next() % count),
                _ => Item::Filler((0..next() % 24).map(|_| next() as u8).collect()),
            });
            functions.push(items.collect());
        }
        Self { functions, order: (0..count).collect() }
    }

    /// Changes the program in one place, as a next build may.
    pub(crate) fn edit(&mut self, [what, which, place, value]: [u8; 4]) {
        let function = usize::from(which) % self.functions.len();
        let count = self.functions.len();
        let items = &mut self.functions[function];
        let place = usize::from(place);
        let at = place.min(items.len());
        match what % 6 {
            0 => items.insert(at, Item::Filler(vec![value; 1 + place])),
            1 => items.insert(at, Item::Call(usize::from(value) % count)),
            2 => items.insert(at, Item::Data(usize::from(value) % count)),
            3 => items.truncate(at),
            4 => self.order.swap(function, place % count),
            _ => {
                if let Some(Item::Filler(bytes)) = items.get_mut(at) {
                    bytes.iter_mut().step_by(5).for_each(|byte| *byte = byte.wrapping_add(value));
                }
            }
        }
    }

    /// Gives a function more code at its end.
    pub(crate) fn grow(&mut self, function: usize, code: Vec<u8>) {
        self.functions[function].push(Item::Filler(code));
    }

    /// The program as a file.
    pub(crate) fn image(&self, container: Container, machine: Machine) -> Vec<u8> {
        let mut starts = vec![0; self.functions.len()];
        let mut ends = starts.clone();
        let mut at = CODE;
        for function in &self.order {
            starts[*function] = at;
            at += self.functions[*function].iter().map(|item| item.len(machine)).sum::<usize>() + 4;
            ends[*function] = at;
        }
        let data = at.next_multiple_of(16);
        let mut file = vec![0; CODE];
        for function in &self.order {
            for item in &self.functions[*function] {
                item.write(&mut file, machine, &starts, data);
            }
            file.extend(machine.end());
        }
        file.resize(data, 0);
        for start in &starts {
            file.extend((BASE + *start as u64).to_le_bytes());
        }
        let functions: Vec<(usize, usize)> =
            self.order.iter().map(|function| (starts[*function], ends[*function])).collect();
        match container {
            Container::Elf => elf(&mut file, machine, data, &functions),
            Container::Pe => pe(&mut file, machine, data, &functions),
            Container::MachO => {
                let opcodes = rebase(&file, data);
                mach_o(&mut file, machine, data, &functions, 0x8000_0022, &opcodes);
            }
            Container::Chained => {
                let starts = chain(&mut file, data);
                mach_o(&mut file, machine, data, &functions, 0x8000_0034, &starts);
            }
        }
        file
    }
}

impl Item {
    fn len(&self, machine: Machine) -> usize {
        match (self, machine) {
            (Self::Filler(bytes), Machine::X86_64) => bytes.len(),
            (Self::Filler(bytes), Machine::Aarch64) => bytes.len().next_multiple_of(4),
            (_, Machine::X86_64) => 7,
            (Self::Call(_), Machine::Aarch64) => 4,
            (Self::Data(_), Machine::Aarch64) => 8,
        }
    }

    fn write(&self, file: &mut Vec<u8>, machine: Machine, starts: &[usize], data: usize) {
        let here = file.len();
        match (self, machine) {
            (Self::Filler(bytes), _) => {
                file.extend(bytes);
                file.resize(here + self.len(machine), 0);
            }
            (Self::Call(function), Machine::X86_64) => {
                file.extend([0x66, 0x90, 0xE8]);
                file.extend((starts[*function] as i32 - (here as i32 + 7)).to_le_bytes());
            }
            (Self::Data(function), Machine::X86_64) => {
                file.extend([0x48, 0x8D, 0x3D]);
                file.extend(((data + 8 * function) as i32 - (here as i32 + 7)).to_le_bytes());
            }
            (Self::Call(function), Machine::Aarch64) => {
                let words = (starts[*function] as i32 - here as i32) >> 2;
                file.extend((0x9400_0000 | words as u32 & 0x03FF_FFFF).to_le_bytes());
            }
            (Self::Data(function), Machine::Aarch64) => {
                let place = data + 8 * function;
                let pages = (place >> 12) as u32 - (here >> 12) as u32;
                let adrp = 0x9000_0000 | (pages & 3) << 29 | (pages >> 2) << 5;
                let add = 0x9100_0000 | (place as u32 & 0xFFF) << 10;
                file.extend([adrp.to_le_bytes(), add.to_le_bytes()].concat());
            }
        }
    }
}

impl Machine {
    /// The last four bytes of a function.
    fn end(self) -> [u8; 4] {
        match self {
            Self::X86_64 => [0xC3, 0xCC, 0xCC, 0xCC],
            Self::Aarch64 => 0xD65F_03C0_u32.to_le_bytes(),
        }
    }
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn put_words(file: &mut [u8], at: usize, words: &[u32]) {
    put(file, at, &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>());
}

fn put_longs(file: &mut [u8], at: usize, words: &[u64]) {
    put(file, at, &words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>());
}

/// Relocations of the pointers, once with what they hold and once as bitmaps, an index of the functions, names of sections,
/// the table of sections, and the headers.
fn elf(file: &mut Vec<u8>, machine: Machine, data: usize, functions: &[(usize, usize)]) {
    let relocations = file.len();
    let relative = if machine == Machine::X86_64 { 8_u64 } else { 1027 };
    for place in (data..relocations).step_by(8) {
        let function = u64::from_le_bytes(file[place..place + 8].try_into().unwrap());
        for word in [BASE + place as u64, relative, function] {
            file.extend(word.to_le_bytes());
        }
        // Some linkers leave it to the relocations to say what the pointers are.
        if machine == Machine::X86_64 {
            put_longs(file, place, &[0]);
        }
    }
    let index = file.len();
    file.extend([1, 0x1B, 3, 0x3B, 0, 0, 0, 0]);
    file.extend((functions.len() as u32).to_le_bytes());
    for (start, end) in functions {
        for place in [start, end] {
            file.extend((*place as i32 - index as i32).to_le_bytes());
        }
    }
    let bitmaps = file.len();
    let places: Vec<usize> = (data..relocations).step_by(8).collect();
    if let [first, others @ ..] = &places[..] {
        file.extend((BASE + *first as u64).to_le_bytes());
        for places in others.chunks(63) {
            file.extend((u64::MAX >> (63 - places.len())).to_le_bytes());
        }
    }
    let names = file.len();
    file.extend(b"\0.text\0.data\0.rela.dyn\0.eh_frame_hdr\0.relr.dyn\0");
    let names_end = file.len();
    file.resize(file.len().next_multiple_of(8), 0);
    let sections = file.len();
    put(file, 0, b"\x7fELF\x02\x01\x01");
    put(file, 16, &[3, 0, if machine == Machine::X86_64 { 62 } else { 183 }, 0]);
    put_longs(file, 32, &[64, sections as u64]);
    put(file, 54, &[56, 0, 1, 0, 64, 0, 7, 0, 6, 0]);
    put(file, 64, &[1, 0, 0, 0, 7, 0, 0, 0]);
    put_longs(file, 72, &[0, BASE, BASE, sections as u64, sections as u64]);
    let mut section = |name: u32, kind: u32, flags: u64, start: usize, end: usize| {
        file.extend([name.to_le_bytes(), kind.to_le_bytes()].concat());
        for word in [flags, BASE + start as u64, start as u64, (end - start) as u64, 0, 0, 0] {
            file.extend(word.to_le_bytes());
        }
    };
    section(0, 0, 0, 0, 0);
    section(1, 1, 6, CODE, data);
    section(7, 1, 3, data, relocations);
    section(13, 4, 2, relocations, index);
    section(23, 1, 2, index, bitmaps);
    section(37, 19, 2, bitmaps, names);
    section(0, 3, 0, names, names_end);
}

/// `.pdata`, `.reloc`, and the headers; addresses are file offsets from the image's base.
fn pe(file: &mut Vec<u8>, machine: Machine, data: usize, functions: &[(usize, usize)]) {
    let exceptions = file.len();
    for (start, end) in functions {
        for place in [*start, *end, data] {
            file.extend((place as u32).to_le_bytes());
        }
    }
    let relocations = file.len();
    // Here and there something that is no pointer would stand between two of them.
    let places = (data..exceptions).step_by(8).enumerate().filter(|(index, _)| index * index % 11 != 4);
    let places: Vec<usize> = places.map(|(_, place)| place).collect();
    for block in places.chunk_by(|one, other| one >> 12 == other >> 12) {
        let len = (8 + 2 * block.len()).next_multiple_of(4);
        file.extend([(block[0] & !0xFFF) as u32, len as u32].map(u32::to_le_bytes).concat());
        let end = file.len() + len - 8;
        file.extend(block.iter().flat_map(|place| (0xA000 | (place & 0xFFF) as u16).to_le_bytes()));
        file.resize(end, 0);
    }
    let end = file.len();
    let (headers, optional_len) = (0x80, 240);
    put(file, 0, b"MZ");
    put_words(file, 0x3C, &[headers as u32]);
    put(file, headers, b"PE\0\0");
    let number: u16 = if machine == Machine::X86_64 { 0x8664 } else { 0xAA64 };
    put(file, headers + 4, &number.to_le_bytes());
    put(file, headers + 6, &[4, 0]);
    put(file, headers + 20, &[optional_len, 0]);
    let optional = headers + 24;
    put(file, optional, &[0x0B, 0x02]);
    put_longs(file, optional + 24, &[BASE]);
    put_words(file, optional + 56, &[end as u32, CODE as u32]);
    put_words(file, optional + 112 + 8 * 3, &[exceptions as u32, (relocations - exceptions) as u32]);
    put_words(file, optional + 112 + 8 * 5, &[relocations as u32, (end - relocations) as u32]);
    let mut at = optional + usize::from(optional_len);
    for (name, start, end, flags) in [
        (&b".text"[..], CODE, data, 0x6000_0020_u32),
        (b".data", data, exceptions, 0xC000_0040),
        (b".pdata", exceptions, relocations, 0x4000_0040),
        (b".reloc", relocations, end, 0x4200_0040),
    ] {
        put(file, at, name);
        let len = (end - start) as u32;
        put_words(file, at + 8, &[len, start as u32, len, start as u32]);
        put_words(file, at + 36, &[flags]);
        at += 40;
    }
}

/// Opcodes that rebase the pointers.
fn rebase(file: &[u8], data: usize) -> Vec<u8> {
    let opcodes = |place: usize| {
        let [low, middle, high] = [place, place >> 7, place >> 14].map(|part| part as u8);
        [0x20, low | 0x80, middle | 0x80, high & 0x7F, 0x51]
    };
    (data..file.len()).step_by(8).flat_map(opcodes).collect()
}

/// Chains the pointers, and says where the chains start: they count from the first byte of the file.
fn chain(file: &mut [u8], data: usize) -> Vec<u8> {
    const PAGE: usize = 0x1000;
    let end = file.len();
    for place in (data..end).step_by(8) {
        let referent = u64::from_le_bytes(file[place..place + 8].try_into().unwrap()) - BASE;
        let next = if place + 8 < end && (place + 8) % PAGE != 0 { 2 << 51 } else { 0 };
        put_longs(file, place, &[referent | next]);
    }
    let pages = end.div_ceil(PAGE);
    let mut table = vec![0; 16];
    // Where the starts are; one segment, whose starts follow; then their length, the pages' size, the kind of pointer.
    put_words(&mut table, 4, &[8, 1, 8]);
    table.extend((22 + 2 * pages as u32).to_le_bytes());
    table.extend([0, 0x10, 6, 0]);
    table.resize(table.len() + 12, 0);
    table.extend((pages as u16).to_le_bytes());
    for page in (0..end).step_by(PAGE) {
        let first = data.max(page);
        let start = if first < end.min(page + PAGE) { (first - page) as u16 } else { 0xFFFF };
        table.extend(start.to_le_bytes());
    }
    table
}

/// How functions are unwound, what says where the pointers are, starts and symbols of the functions, and the load commands.
fn mach_o(
    file: &mut Vec<u8>,
    machine: Machine,
    data: usize,
    functions: &[(usize, usize)],
    command: u32,
    pointers: &[u8],
) {
    let unwinding = file.len();
    unwind(file, machine, functions);
    let rebases = file.len();
    file.extend(pointers);
    let rebases_end = file.len();
    file.resize(file.len().next_multiple_of(8), 0);
    let starts = file.len();
    let mut last = 0;
    for (start, _) in functions {
        let mut distance = start - last;
        last = *start;
        while distance >= 0x80 {
            file.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        file.push(distance as u8);
    }
    file.push(0);
    file.resize(file.len().next_multiple_of(8), 0);
    let symbols = file.len();
    for (index, (start, _)) in functions.iter().enumerate() {
        file.extend([(index as u32 * 9).to_le_bytes(), [0x0F, 1, 0, 0]].concat());
        file.extend((BASE + *start as u64).to_le_bytes());
    }
    let end = file.len() as u64;
    let processor = if machine == Machine::X86_64 { 0x0100_0007 } else { 0x0100_000C };
    put_words(file, 0, &[0xFEED_FACF, processor, 0, 2, 4, 72 + 240 + 24 + 48 + 16]);
    let segment = 32;
    put_words(file, segment, &[0x19, 72 + 240]);
    put(file, segment + 8, b"__TEXT");
    put_longs(file, segment + 24, &[BASE, end, 0, end]);
    put_words(file, segment + 56, &[7, 7, 3, 0]);
    let sections = [
        (&b"__text"[..], CODE, data, 0x8000_0400),
        (b"__data", data, unwinding, 0),
        (b"__unwind_info", unwinding, rebases, 0),
    ];
    for (index, (name, start, end, flags)) in sections.into_iter().enumerate() {
        let at = segment + 72 + 80 * index;
        put(file, at, name);
        put(file, at + 16, b"__TEXT");
        put_longs(file, at + 32, &[BASE + start as u64, (end - start) as u64]);
        put_words(file, at + 48, &[start as u32]);
        put_words(file, at + 64, &[flags]);
    }
    let symbol_table = segment + 72 + 240;
    put_words(file, symbol_table, &[0x2, 24, symbols as u32, functions.len() as u32]);
    let info = symbol_table + 24;
    put_words(file, info, &[command, 48, rebases as u32, (rebases_end - rebases) as u32]);
    put_words(file, info + 48, &[0x26, 16, starts as u32, (symbols - starts) as u32]);
}

/// `__unwind_info` as LLVM's linker writes it: what functions have the same way as the one before is not said again.
fn unwind(file: &mut Vec<u8>, machine: Machine, functions: &[(usize, usize)]) {
    // Without a frame, and with one of two.
    let ways: [u32; 3] = match machine {
        Machine::X86_64 => [0x0200_0000, 0x0100_0001, 0x0100_001F],
        Machine::Aarch64 => [0x0200_0000, 0x0400_0001, 0x0400_001F],
    };
    let way = |(start, end): &(usize, usize)| ways[(end - start) / 16 % 3];
    let mut entries: Vec<(u32, u32)> = Vec::new();
    for function in functions {
        if entries.last().is_none_or(|last| last.1 != way(function)) {
            entries.push((function.0 as u32, way(function)));
        }
    }
    let count = |way: u32| entries.iter().filter(|entry| entry.1 == way).count();
    let mut ways: Vec<u32> = entries.iter().map(|entry| entry.1).collect();
    ways.sort_unstable();
    ways.dedup();
    ways.sort_by_key(|way| std::cmp::Reverse((count(*way), *way)));
    let pages: Vec<&[(u32, u32)]> = entries.chunks(1021).collect();
    let index = 28 + 4 * ways.len();
    let first = index + 12 * (pages.len() + 1);
    let mut words: Vec<u32> =
        [1, 28, ways.len(), index, 0, index, pages.len() + 1].map(|number| number as u32).to_vec();
    words.extend(&ways);
    for (number, page) in pages.iter().enumerate() {
        words.extend([page[0].0, (first + 4096 * number) as u32, first as u32]);
    }
    words.extend([functions.last().map_or(0, |last| last.1) as u32, 0, first as u32]);
    for (number, page) in pages.iter().enumerate() {
        let count = page.len() as u32;
        words.extend([3, 12 | count << 16, 12 + 4 * count]);
        words.extend(page.iter().map(|(start, way)| {
            let ordinal = ways.iter().position(|known| known == way).unwrap_or(0) as u32;
            (start - page[0].0) | ordinal << 24
        }));
        words.resize((first + 4096 * (number + 1)) / 4, 0);
    }
    file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}
