//! Reading plain instructions, which most are, from tables.
//!
//! Where the next instruction begins is known only when this one was read, so what counts is how long that takes from its
//! bytes to its length: a branch that goes either way costs more than both, and so does a table that waits for another. Both
//! tables here are asked at once, and what they say is added up in the fields of one word.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    Base, Field, MAX_LEN, Shape,
    read::{B, L, M, MB, MZ, ONE, S, TWO, Z},
};

/// Bits 0 to 3 of a word: bytes of the instruction.
const LEN: u16 = 1;
/// Bits 4 to 7: bytes before its reference field.
const START: u16 = 1 << 4;
/// Bits 8 to 12: what that is, as a place in [`FIELDS`].
const FIELD: u16 = 1 << 8;
/// Bit 14, of an opcode: more is to be said than the tables say.
const OTHER: u16 = 1 << 14;
/// Bit 15, of an opcode: ModRM follows.
const MOD_RM: u16 = 1 << 15;

/// The fields. Where an operand has a displacement and the opcode an immediate (1), the first counts: their sum names it too.
#[rustfmt::skip]
const FIELDS: [Option<Field>; 32] = {
    use {Base::{Frame, Other, Stack}, Field::{Call, Condition, Far, Immediate, Jump, Near, Operand, Short}};
    [
        None, Some(Immediate),
        Some(Operand), Some(Operand),
        Some(Near(Stack)), Some(Near(Stack)),
        Some(Near(Frame)), Some(Near(Frame)),
        Some(Near(Other)), Some(Near(Other)),
        Some(Far(Stack)), Some(Far(Stack)),
        Some(Far(Frame)), Some(Far(Frame)),
        Some(Far(Other)), Some(Far(Other)),
        Some(Call), Some(Jump), Some(Condition), Some(Short),
        None, None, None, None, None, None, None, None, None, None, None, None,
    ]
};
const IMMEDIATE: u16 = FIELD;
const OPERAND: u16 = 2 * FIELD;
const NEAR: u16 = 4 * FIELD;
const FAR: u16 = 10 * FIELD;
const CALL: u16 = 16 * FIELD;
const JUMP: u16 = 17 * FIELD;
const CONDITION: u16 = 18 * FIELD;
const SHORT: u16 = 19 * FIELD;

/// The opcodes of one byte, and those after 0F.
static OPCODES: ([u16; 256], [u16; 256]) = (words(&ONE, 0), words(&TWO, 1 << 8));

/// What the tables of all instructions say, as words.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "computed while compiling")]
const fn words(follows: &[u8; 256], map: usize) -> [u16; 256] {
    let mut words = [OTHER; 256];
    let mut opcode = 0;
    while opcode < 256 {
        let word = match (map | opcode, follows[opcode]) {
            // TEST among its kin, and opcodes of three bytes.
            (0xF6 | 0xF7 | 0x138 | 0x13A, _) => OTHER,
            // Nothing follows.
            (_, 0) => 0,
            (_, B) => LEN,
            (0x68 | 0xB8..=0xBF, Z) => 4 * LEN + IMMEDIATE,
            (_, Z) => 4 * LEN,
            (_, S) => LEN + SHORT,
            (0xE8, L) => 4 * LEN + CALL,
            (0xE9, L) => 4 * LEN + JUMP,
            (_, L) => 4 * LEN + CONDITION,
            (_, M) => MOD_RM,
            (_, MB) => MOD_RM + LEN,
            (0x81 | 0xC7, MZ) => MOD_RM + 4 * LEN + IMMEDIATE,
            (_, MZ) => MOD_RM + 4 * LEN,
            _ => OTHER,
        };
        // The byte of the opcode itself.
        words[opcode] = word + LEN + START;
        opcode += 1;
    }
    words
}

/// ModRM, SIB and displacement: by ModRM, and by the base that SIB names if there is one.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "computed while compiling")]
static OPERANDS: [u16; 256 * 8] = {
    let mut words = [0; 256 * 8];
    let mut index = 0;
    while index < words.len() {
        let (mode, rm, base) = (index >> 9, index >> 3 & 7, index & 7);
        let sib = mode != 3 && rm == 4;
        let displacement = match mode {
            0 if rm == 5 || sib && base == 5 => 4,
            1 => 1,
            2 => 4,
            _ => 0,
        };
        let register = match () {
            () if sib && base == 4 => 0,
            () if rm == 5 => 2 * FIELD,
            () => 4 * FIELD,
        };
        let field = match displacement {
            0 => 0,
            1 => NEAR + register,
            _ if mode == 0 && rm == 5 => OPERAND,
            _ => FAR + register,
        };
        let start = 1 + sib as u16;
        words[index] = start * START + (start + displacement) * LEN + field;
        index += 1;
    }
    words
};

/// Reads the instruction at the start of `code` if it is a plain one: at most REX in front, an opcode of one byte or of two,
/// ModRM or not, an immediate of one byte or four; or one after 0F with one of the prefixes that make it another. Says what
/// [`parse`](super::parse) says, sooner; `None` says nothing.
#[inline]
pub(super) fn parse_plain(code: &[u8]) -> Option<Shape> {
    if code.len() < MAX_LEN {
        return None;
    }
    let bytes = u64::from_le_bytes(*code.first_chunk()?);
    if matches!(bytes as u8, 0x66 | 0xF2 | 0xF3) {
        let (bytes, skip) = skip_rex(bytes >> 8, 1);
        return if bytes as u8 == 0x0F {
            look_up(&OPCODES.1, bytes >> 8, 1 << 8, skip.wrapping_add(1))
        } else {
            None
        };
    }
    // REX with its bit W, and MOV: an immediate of eight bytes.
    if bytes & 0xF8F8 == 0xB848 {
        return None;
    }
    // Two calls, because opcodes after 0F are few: to guess is sooner than to wait.
    match skip_rex(bytes, 0) {
        (bytes, skip) if bytes as u8 == 0x0F => look_up(&OPCODES.1, bytes >> 8, 1 << 8, skip.wrapping_add(1)),
        (bytes, skip) => look_up(&OPCODES.0, bytes, 0, skip),
    }
}

/// The bytes behind REX, if it is there, and how many bytes were skipped in all.
#[inline]
fn skip_rex(bytes: u64, skip: u16) -> (u64, u16) {
    if bytes & 0xF0 == 0x40 { (bytes >> 8, skip.wrapping_add(1)) } else { (bytes, skip) }
}

/// Reads on at the opcode, the first of `bytes`, which is of this map; `skip` bytes were before it.
#[inline(always)]
#[allow(clippy::inline_always, reason = "it is what is called twice")]
fn look_up(opcodes: &[u16; 256], bytes: u64, map: u16, skip: u16) -> Option<Shape> {
    let name = (bytes & 0xFF) as u16;
    let opcode = *opcodes.get(usize::from(name))?;
    if opcode & OTHER != 0 {
        return None;
    }
    let operand = *OPERANDS.get((bytes >> 5 & 0x7F8 | bytes >> 16 & 7) as usize)?;
    let operand = if opcode & MOD_RM != 0 { operand } else { 0 };
    let word = (opcode & !MOD_RM).wrapping_add(operand).wrapping_add(skip.wrapping_mul(LEN + START));
    let (len, start, field) = ((word & 15) as u8, (word >> 4 & 15) as u8, word >> 8 & 31);
    Some(Shape { len, opcode: map | name, start, field: *FIELDS.get(usize::from(field))? })
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;
    use crate::reference::x86_64::{Parsed, parse};

    #[test]
    fn plain_instructions_are_read_as_all_others_are() {
        let mut plain = 0;
        for start in 0..=0xFF_FFFF_u32 {
            let [_, first, second, third] = start.to_be_bytes();
            let fill = third.wrapping_mul(31) ^ first;
            let mut code = [fill; MAX_LEN];
            code[..3].copy_from_slice(&[first, second, third]);
            if let Some(shape) = parse_plain(&code) {
                assert_eq!(parse(&code), Parsed::Whole(shape), "{code:02x?}");
                plain += 1;
            }
        }
        assert!(plain > 0xFF_FFFF / 3, "{plain} are worth the trouble");
        for start in 0..=0xFF_FFFF_u32 {
            let [_, first, second, third] = start.to_be_bytes();
            for front in
                [&[0x0F][..], &[0x48, 0x0F], &[0x41], &[0x66, 0x48], &[0xF2, 0x0F], &[0xF3, 0x44, 0x0F]]
            {
                let mut code = [third.wrapping_mul(13) ^ second; MAX_LEN];
                code[..front.len()].copy_from_slice(front);
                code[front.len()..front.len() + 3].copy_from_slice(&[first, second, third]);
                if let Some(shape) = parse_plain(&code) {
                    assert_eq!(parse(&code), Parsed::Whole(shape), "{code:02x?}");
                }
            }
        }
    }
}
