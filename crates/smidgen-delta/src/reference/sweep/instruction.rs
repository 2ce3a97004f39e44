//! x86-64 instructions as `docs/sweeps.md` has them: read with its maps and its table of operands, and held against what
//! the sweep reads.

use super::{
    Sweep, Window,
    document::{self, Operand},
};
use crate::reference::{
    region::{Layout, Region, Rule},
    x86_64::{self, Parsed, parse, shape},
};

/// The tables of the document.
struct Tables {
    one: Vec<&'static str>,
    two: Vec<&'static str>,
    operands: Vec<Operand>,
}

/// A field of an instruction: where it begins, its bytes, its class, and how far behind its start the instruction ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Field {
    start: usize,
    len: usize,
    class: u8,
    behind: usize,
}

/// The length of an instruction and its field, by the letters.
type Instruction = (usize, Option<Field>);

impl Tables {
    fn new() -> Self {
        Self { one: document::map("one"), two: document::map("two"), operands: document::operands() }
    }

    /// Reads the instruction at the start of `code`, if it is whole.
    fn read(&self, code: &[u8]) -> Option<Instruction> {
        const STRAY: Instruction = (1, None);
        let code = &code[..code.len().min(15)];
        let byte = |at: usize| code.get(at).copied();
        let (mut narrow, mut wide, mut short) = (false, false, false);
        let mut at = 0;
        while self.one[usize::from(byte(at)?)] == "P" {
            narrow |= code[at] == 0x66;
            short |= code[at] == 0x67;
            at += 1;
            if at == 15 {
                return Some(STRAY);
            }
        }
        let mut opcode = byte(at)?;
        let mut letter = self.one[usize::from(opcode)];
        if letter == "R" {
            wide = opcode & 8 != 0;
            at += 1;
            opcode = byte(at)?;
            letter = match self.one[usize::from(opcode)] {
                "P" | "R" => "X",
                letter => letter,
            };
        }
        at += 1;
        if letter == "E" {
            opcode = byte(at)?;
            letter = self.two[usize::from(opcode)];
            at += 1;
            if letter == "E" {
                letter = if opcode == 0x38 { "M" } else { "MB" };
                byte(at)?;
                at += 1;
            }
        } else if letter == "V" {
            let (payload, map) = match (opcode, byte(at)?) {
                (0xC5, _) => (1, 1),
                (0xC4, first) => (2, first & 31),
                (_, first) => (3, first & 7),
            };
            at += payload;
            opcode = byte(at)?;
            letter = match (map, self.two[usize::from(opcode)]) {
                (0, _) if (0xA0..=0xA3).contains(&opcode) => "A",
                (1, "E") => "X",
                (1, letter) => letter,
                (2 | 5 | 6, _) => "M",
                (3, _) => "MB",
                _ => "X",
            };
            at += 1;
        }
        let z = if narrow && !wide { 2 } else { 4 };
        let (mut displacement, mut class, mut is_test) = (0, None, false);
        if letter.starts_with(['M', 'T']) {
            let (mod_rm, sib) = (byte(at)?, byte(at + 1));
            let has_sib = mod_rm >> 6 != 3 && mod_rm & 7 == 4;
            let sib = if has_sib { sib? } else { 0 };
            let fits = |row: &&Operand| {
                row.mode == mod_rm >> 6
                    && row.rm.is_none_or(|rm| rm == mod_rm & 7)
                    && row.base.is_none_or(|base| base == sib & 7)
            };
            let row = self.operands.iter().find(fits).unwrap();
            assert_eq!(row.len, 1 + u8::from(has_sib), "{mod_rm:02x} {sib:02x}");
            at += usize::from(row.len);
            (displacement, class) = (usize::from(row.displacement), row.class);
            is_test = mod_rm >> 3 & 7 < 2;
        }
        let mut immediate = match letter {
            "-" | "M" => 0,
            "B" | "MB" => 1,
            "W" => 2,
            "WB" => 3,
            "Z" | "MZ" | "I" | "MI" => z,
            "Q" if wide => 8,
            "Q" => z,
            "TB" => usize::from(is_test),
            "TZ" => usize::from(is_test) * z,
            "A" if short => 4,
            "A" => 8,
            "S" => {
                (displacement, class) = (1, Some(4));
                0
            }
            "L" => {
                let kind = match opcode {
                    0xE8 => 0,
                    0xE9 => 1,
                    _ => 2,
                };
                (displacement, class) = (4, Some(kind));
                0
            }
            "X" => return Some(STRAY),
            letter => panic!("{letter} is no letter of a map"),
        };
        let len = at + displacement + immediate;
        let mut field_len = displacement;
        if class.is_none() && immediate == 4 && matches!(letter, "I" | "Q" | "MI") {
            (class, field_len, immediate) = (Some(5), 4, 0);
        }
        let behind = field_len + immediate;
        let field = class.map(|class| Field { start: at, len: field_len, class, behind });
        (len <= code.len()).then_some((len, field))
    }
}

/// The number of the class that a field of the decoder gets.
fn class(field: x86_64::Field) -> u8 {
    match field {
        x86_64::Field::Call => 0,
        x86_64::Field::Jump => 1,
        x86_64::Field::Condition => 2,
        x86_64::Field::Operand => 3,
        x86_64::Field::Short => 4,
        x86_64::Field::Immediate => 5,
        x86_64::Field::Near(base) => 7 + base as u8,
        x86_64::Field::Far(base) => 10 + base as u8,
    }
}

/// Holds what the tables say of the instruction at the start of `code` against what the decoder makes of it, at once and byte
/// by byte.
fn hold(tables: &Tables, code: &[u8]) {
    let expected = tables.read(code).map(|(len, field)| (len, field.map(|field| (field.start, field.class))));
    let shape = shape(code);
    let found = shape.map(|shape| {
        (usize::from(shape.len), shape.field.map(|field| (usize::from(shape.start), class(field))))
    });
    assert_eq!(found, expected, "{code:02x?}");
    let slowly = match parse(&code[..code.len().min(15)]) {
        Parsed::Whole(shape) => Some(shape),
        Parsed::Partial { .. } => None,
    };
    assert_eq!(slowly, shape, "{code:02x?}");
}

/// What stands in front of opcodes: prefixes and REX.
const FRONTS: [&[u8]; 8] =
    [&[], &[0x66], &[0x67], &[0xF2], &[0x48], &[0x41], &[0x66, 0x48], &[0xF3, 0x67, 0x44]];

#[test]
fn every_opcode_is_what_its_letter_says() {
    let tables = Tables::new();
    let mut escapes: Vec<Vec<u8>> = vec![vec![], vec![0x0F], vec![0x0F, 0x38], vec![0x0F, 0x3A]];
    for other in [0, 0xFF] {
        // Bits of the payload that are no map say nothing.
        escapes.push(vec![0xC5, other]);
        escapes.extend((0..32).map(|map| vec![0xC4, other << 5 | map, other]));
        escapes.extend((0..8).map(|map| vec![0x62, other << 3 | map, other, other]));
    }
    let (registers, operands) = ([0, 1, 2, 7], [0x00, 0x04, 0x05, 0x44, 0x45, 0x81, 0x84, 0xC1]);
    for front in FRONTS {
        for escape in &escapes {
            let head = [front, escape].concat();
            let mut code = [0x90; 32];
            code[..head.len()].copy_from_slice(&head);
            for opcode in 0..=0xFF {
                for (register, operand) in
                    registers.iter().flat_map(|register| operands.map(|operand| (register, operand)))
                {
                    code[head.len()..head.len() + 2].copy_from_slice(&[opcode, operand | register << 3]);
                    hold(&tables, &code);
                }
            }
        }
    }
}

#[test]
fn every_operand_is_what_its_row_says() {
    let tables = Tables::new();
    // MOV, ADD of an immediate, IMUL of one, TEST, MOVUPS, PALIGNR behind VEX.
    let heads: [&[u8]; 6] =
        [&[0x8B], &[0x45, 0x81], &[0x6B], &[0xF7], &[0x0F, 0x10], &[0xC4, 0xE3, 0x79, 0x0F]];
    for (mod_rm, sib) in (0..=0xFF_u8).flat_map(|mod_rm| (0..=0xFF_u8).map(move |sib| (mod_rm, sib))) {
        for head in heads {
            let mut code = [head, &[mod_rm, sib]].concat();
            code.resize(20, 0x90);
            hold(&tables, &code);
        }
    }
}

#[test]
fn any_bytes_have_the_fields_that_the_document_says() {
    let tables = Tables::new();
    let layout = Layout { segments: Vec::new() };
    let mut seed = 1_u64;
    let mut noise = || {
        seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        (seed >> 32) as u32
    };
    // What makes instructions long or strange comes more often than by chance.
    let often =
        [0x66, 0x67, 0xF3, 0x48, 0x41, 0x0F, 0x38, 0x3A, 0xC4, 0xC5, 0x62, 0xE1, 0xF2, 0x81, 0xC7, 0x84];
    let mut classes = [0; 13];
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..100)
            .map(|_| match noise() {
                noise if noise & 1 == 0 => often[noise as usize >> 8 & 15],
                noise => (noise >> 8) as u8,
            })
            .collect();
        let (from, to) = (noise() as usize % 64, 100 - noise() as usize % 20);
        let region = Region { start: 0, len: 100, rule: Rule::X86_64 { absolute: false } };
        let window = Window { bytes: &bytes, offset: 0, from: from as u64, to: to as u64, at_rest: None };
        let mut found = Vec::new();
        Sweep::run(window, &region, &layout, &mut found);
        let found: Vec<_> = found
            .iter()
            .map(|reference| (reference.offset as usize, reference.form.len(), reference.class.0))
            .collect();
        let (mut at, mut expected) = (0, Vec::new());
        while at < to {
            hold(&tables, &bytes[at..]);
            let Some((len, field)) = tables.read(&bytes[at..]) else { break };
            if let Some(field) = field {
                assert_eq!(field.start + field.behind, len);
                classes[usize::from(field.class)] += 1;
                let place = at + field.start;
                // Without an image, only what is no address is found.
                if field.class > 6 && place >= from && place + field.len <= to {
                    expected.push((place, field.len, field.class));
                }
            }
            at += len;
        }
        assert_eq!(found, expected, "{bytes:02x?}");
    }
    let unseen = (0..13).filter(|class| classes[*class] < 100 && *class != 6).collect::<Vec<_>>();
    assert!(unseen.is_empty(), "{classes:?}");
}
