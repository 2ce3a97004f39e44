//! x86-64 instructions, as the manual's opcode maps have them.

/// What follows an opcode.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follows {
    /// ModRM or not, and so many bytes of immediate.
    Operands(bool, usize),
    /// ModRM or not, and four bytes of immediate, two with the prefix 66.
    Wide(bool),
    /// A displacement of one byte, of four.
    Branch(usize),
    /// It starts no instruction.
    Nothing,
}

use Follows::{Branch, Nothing, Operands, Wide};

fn one_byte_map(opcode: u8) -> Follows {
    match opcode {
        0x00..=0x3F => match opcode & 7 {
            0..=3 => Operands(true, 0),
            4 => Operands(false, 1),
            5 => Wide(false),
            _ => Nothing,
        },
        0x63 | 0x84..=0x8F | 0xD0..=0xD3 | 0xD8..=0xDF | 0xF6 | 0xF7 | 0xFE | 0xFF => Operands(true, 0),
        0x68 | 0xA9 | 0xB8..=0xBF => Wide(false),
        0x69 | 0x81 | 0xC7 => Wide(true),
        0x6B | 0x80 | 0x83 | 0xC0 | 0xC1 | 0xC6 => Operands(true, 1),
        0x6A | 0xA8 | 0xB0..=0xB7 | 0xCD | 0xE4..=0xE7 => Operands(false, 1),
        0xC2 | 0xCA => Operands(false, 2),
        0xC8 => Operands(false, 3),
        0x70..=0x7F | 0xE0..=0xE3 | 0xEB => Branch(1),
        0xE8 | 0xE9 => Branch(4),
        0x40..=0x4F | 0x60..=0x62 | 0x64..=0x67 | 0x82 | 0x9A | 0xA0..=0xA3 | 0xC4 | 0xC5 | 0xCE => Nothing,
        0xD4..=0xD6 | 0xEA | 0xF0 | 0xF2 | 0xF3 => Nothing,
        _ => Operands(false, 0),
    }
}

fn two_byte_map(opcode: u8) -> Follows {
    match opcode {
        0x04 | 0x0A | 0x0C | 0x24..=0x27 | 0x36 | 0x38..=0x3F | 0xA6 | 0xA7 => Nothing,
        0x05..=0x09 | 0x0B | 0x0E | 0x30..=0x37 | 0x77 | 0xA0..=0xA2 | 0xA8..=0xAA | 0xC8..=0xCF => {
            Operands(false, 0)
        }
        0x0F | 0x70..=0x73 | 0xA4 | 0xAC | 0xBA | 0xC2 | 0xC4..=0xC6 => Operands(true, 1),
        0x80..=0x8F => Branch(4),
        _ => Operands(true, 0),
    }
}

/// The reference field of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Field {
    Call,
    Jump,
    Condition,
    Short,
    Operand,
    /// From the stack pointer (0), the frame pointer (1), another register or none (2).
    Near(u8),
    Far(u8),
    Immediate,
}

/// An instruction, or as much of one as its bytes say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Instruction {
    /// Bytes of all of it; 0 as long as that is not known.
    pub(super) len: usize,
    /// Opcode map and opcode, or how far reading came.
    pub(super) opcode: u32,
    /// Where the field begins.
    pub(super) field: Option<(usize, Field)>,
    /// Bytes of immediate, once all is known.
    pub(super) immediate: usize,
    /// The part that the next byte plays; `None` if no byte is missing.
    pub(super) missing: Option<u32>,
}

/// Parts that bytes play: opcode, further bytes of it, ModRM, SIB, four of displacements, eight of immediates.
const OPCODE: u32 = 0;
const ESCAPE: u32 = 1;
const MOD_RM: u32 = 2;
const SIB: u32 = 3;
const DISPLACEMENT: u32 = 4;
const IMMEDIATE: u32 = 8;

/// Bytes of the longest instruction that is looked for.
pub(super) const LONGEST: usize = 15;

const STRAY: Instruction = Instruction { len: 1, opcode: 0xFFFF, field: None, immediate: 0, missing: None };

fn missing(part: u32, opcode: u32) -> Instruction {
    Instruction { len: 0, opcode, field: None, immediate: 0, missing: Some(part) }
}

/// Reads the instruction at the start of `code`, which is at most fifteen bytes.
pub(super) fn read(code: &[u8]) -> Instruction {
    let byte = |index: usize| code.get(index).copied();
    let (mut narrow, mut wide, mut short_address) = (false, false, false);
    let mut at = 0;
    // Prefixes, of which REX is the last.
    while let Some(prefix) = byte(at) {
        match prefix {
            0x66 => narrow = true,
            0x67 => short_address = true,
            0x26 | 0x2E | 0x36 | 0x3E | 0x64 | 0x65 | 0xF0 | 0xF2 | 0xF3 => {}
            _ => break,
        }
        at += 1;
        if at == LONGEST {
            return STRAY;
        }
    }
    let Some(mut opcode) = byte(at) else {
        return missing(if at == 0 { OPCODE } else { ESCAPE }, 0);
    };
    at += 1;
    if opcode & 0xF0 == 0x40 {
        wide = opcode & 8 != 0;
        let Some(after) = byte(at) else { return missing(ESCAPE, 1) };
        (opcode, at) = (after, at + 1);
    }
    // What names another opcode map: 0F, 0F 38 and 0F 3A; VEX and EVEX in their first byte.
    let mut map = 0;
    let escape = opcode;
    match escape {
        0x0F => {
            let Some(second) = byte(at) else { return missing(ESCAPE, 2) };
            (map, opcode, at) = (1, second, at + 1);
            if second == 0x38 || second == 0x3A {
                let Some(third) = byte(at) else { return missing(ESCAPE, 3) };
                (map, opcode, at) = (if second == 0x38 { 2 } else { 3 }, third, at + 1);
            }
        }
        0xC5 | 0xC4 | 0x62 => {
            let payload = match escape {
                0xC5 => 1,
                0xC4 => 2,
                _ => 3,
            };
            if code.len() < at + payload {
                return missing(ESCAPE, 4);
            }
            map = match escape {
                0xC5 => 1,
                0xC4 => u32::from(code[at] & 31),
                _ => u32::from(code[at] & 7),
            };
            at += payload;
            let Some(after) = byte(at) else { return missing(ESCAPE, 5) };
            (opcode, at) = (after, at + 1);
        }
        _ => {}
    }
    let follows = match (matches!(escape, 0x0F | 0xC5 | 0xC4 | 0x62), map) {
        (false, _) => one_byte_map(opcode),
        (true, 1) => two_byte_map(opcode),
        (true, 2 | 5 | 6) => Operands(true, 0),
        (true, 3) => Operands(true, 1),
        (true, _) => Nothing,
    };
    let name = map << 8 | u32::from(opcode);
    let end = |at, displacement, immediate, field: Option<Field>| {
        finish(code.len(), name, at, displacement, immediate, field)
    };
    // Only the opcodes of the one-byte map are told by their number alone.
    let plain = if map == 0 { opcode } else { 0 };
    if (0xA0..=0xA3).contains(&plain) {
        return end(at, 0, if short_address { 4 } else { 8 }, None);
    }
    let four = if narrow && !wide { 2 } else { 4 };
    let (has_mod_rm, mut immediate) = match follows {
        Nothing => return STRAY,
        Branch(1) => return end(at, 1, 0, Some(Field::Short)),
        Branch(len) => {
            let field = match plain {
                0xE8 => Field::Call,
                0xE9 => Field::Jump,
                _ => Field::Condition,
            };
            return end(at, len, 0, Some(field));
        }
        Operands(has_mod_rm, immediate) => (has_mod_rm, immediate),
        Wide(false) if (0xB8..=0xBF).contains(&plain) && wide => (false, 8),
        Wide(has_mod_rm) => (has_mod_rm, four),
    };
    if !has_mod_rm {
        let is_address = immediate == 4 && (plain == 0x68 || (0xB8..=0xBF).contains(&plain));
        return end(at, 0, immediate, is_address.then_some(Field::Immediate));
    }
    let Some(mod_rm) = byte(at) else { return missing(MOD_RM, name) };
    at += 1;
    let (mode, register) = (mod_rm >> 6, mod_rm & 7);
    if mod_rm & 0x30 == 0 {
        match plain {
            0xF6 => immediate = 1,
            0xF7 => immediate = four,
            _ => {}
        }
    }
    let mut displacement = [0, 1, 4, 0][usize::from(mode)];
    let mut base = if register == 5 { 1 } else { 2 };
    let mut is_operand = false;
    if mode != 3 && register == 4 {
        let Some(sib) = byte(at) else { return missing(SIB, name) };
        at += 1;
        if sib & 7 == 5 && mode == 0 {
            displacement = 4;
        }
        if sib & 7 == 4 {
            base = 0;
        }
    } else if mode == 0 && register == 5 {
        (displacement, is_operand) = (4, true);
    }
    let field = match displacement {
        4 if is_operand => Some(Field::Operand),
        4 => Some(Field::Far(base)),
        1 => Some(Field::Near(base)),
        _ => (immediate == 4 && matches!(plain, 0x81 | 0xC7)).then_some(Field::Immediate),
    };
    end(at, displacement, immediate, field)
}

/// An instruction whose len is known; `given` bytes of it are there.
fn finish(
    given: usize,
    opcode: u32,
    at: usize,
    displacement: usize,
    immediate: usize,
    field: Option<Field>,
) -> Instruction {
    let (middle, len) = (at + displacement, at + displacement + immediate);
    let missing = if given >= len {
        None
    } else if given < middle {
        Some(DISPLACEMENT + (given - at) as u32)
    } else {
        Some(IMMEDIATE + (given - middle).min(7) as u32)
    };
    Instruction { len, opcode, field: field.map(|field| (at, field)), immediate, missing }
}
