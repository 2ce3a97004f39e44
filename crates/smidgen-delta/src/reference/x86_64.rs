//! x86-64: the length of an instruction, and the reference inside it.
//!
//! Two tables of 256 entries say what follows an opcode; prefixes, ModRM, SIB, VEX and EVEX are read as the
//! architecture manual (Intel SDM volume 2, chapter 2 and appendix A) lays them out. Nothing else is decoded. A byte that
//! starts no instruction is one byte long: a sweep over data goes astray and finds itself again, and whatever it saw
//! there costs bytes in the patch and nothing more.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    field::{Anchor, Class, Form},
    sweep::Sweep,
};

/// What the reference field of an instruction holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Field {
    /// E8: displacement of a call.
    Call,
    /// E9: displacement of a jump.
    Jump,
    /// 0F 80 to 0F 8F: displacement of a conditional jump.
    Condition,
    /// EB, 70 to 7F, E0 to E3: one-byte displacement.
    Short,
    /// A ModRM operand relative to the end of the instruction.
    Operand,
    /// A displacement of one byte from a register.
    Near(Base),
    /// A displacement of four bytes from a register, or from nothing.
    Far(Base),
    /// Four bytes of immediate that can hold an address.
    Immediate,
}

impl Field {
    /// Bytes of displacement; an immediate has none.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Short | Self::Near(_) => 1,
            Self::Call | Self::Jump | Self::Condition | Self::Operand | Self::Far(_) => 4,
            Self::Immediate => 0,
        }
    }
}

/// What a displacement is added to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Base {
    /// The stack pointer.
    Stack,
    /// The frame pointer.
    Frame,
    /// Another register, or none.
    Other,
}

/// The shape of one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    /// Bytes of the whole instruction.
    pub(crate) len: usize,
    /// Opcode map and opcode.
    pub(crate) opcode: u16,
    /// Where the reference field begins, and what it is.
    pub(crate) field: Option<(usize, Field)>,
}

/// What [`parse`] can say of the bytes it was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Parsed {
    /// A whole instruction.
    Whole(Shape),
    /// The bytes end inside an instruction; the next byte plays `role` in it.
    Partial {
        /// What the next byte is.
        role: Role,
        /// Opcode map and opcode, as far as they are known.
        opcode: u16,
        /// The field of the instruction, once its place is known.
        field: Option<(usize, Field)>,
        /// Bytes of the whole instruction, once known; 0 before.
        len: usize,
    },
}

/// The part that a byte plays in its instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// A prefix or the first byte of the opcode.
    Opcode,
    /// A further byte of prefix or opcode.
    Escape,
    /// ModRM.
    ModRm,
    /// SIB.
    Sib,
    /// The nth byte of a displacement.
    Displacement(u8),
    /// The nth byte of an immediate.
    Immediate(u8),
}

impl Role {
    /// The role of the `count`th byte behind, in the same displacement or immediate.
    pub(crate) fn later(self, count: u8) -> Self {
        match self {
            Self::Displacement(index) => Self::Displacement(index.saturating_add(count)),
            Self::Immediate(index) => Self::Immediate(index.saturating_add(count)),
            other => other,
        }
    }
}

/// Follows: nothing.
const __: u8 = 0;
/// Follows: ModRM.
const M: u8 = 1;
/// Follows: one byte of immediate.
const B: u8 = 2;
/// Follows: four bytes of immediate, two with the operand size prefix.
const Z: u8 = 4;
/// Follows: two bytes of immediate.
const W: u8 = 8;
/// Follows: a displacement of one byte.
const S: u8 = 16;
/// Follows: a displacement of four bytes.
const L: u8 = 32;
/// Starts no instruction in 64-bit mode, or a prefix, or needs a rule of its own.
const X: u8 = 64;
const MB: u8 = M | B;
const MZ: u8 = M | Z;
const WB: u8 = W | B;

/// What follows each opcode of one byte.
#[rustfmt::skip]
const ONE: [u8; 256] = [
    M, M, M, M, B, Z, X, X,  M, M, M, M, B, Z, X, X, // 00
    M, M, M, M, B, Z, X, X,  M, M, M, M, B, Z, X, X, // 10
    M, M, M, M, B, Z, X, X,  M, M, M, M, B, Z, X, X, // 20
    M, M, M, M, B, Z, X, X,  M, M, M, M, B, Z, X, X, // 30
    X, X, X, X, X, X, X, X,  X, X, X, X, X, X, X, X, // 40
    __,__,__,__,__,__,__,__, __,__,__,__,__,__,__,__,// 50
    X, X, X, M, X, X, X, X,  Z, MZ,B, MB,__,__,__,__,// 60
    S, S, S, S, S, S, S, S,  S, S, S, S, S, S, S, S, // 70
    MB,MZ,X, MB,M, M, M, M,  M, M, M, M, M, M, M, M, // 80
    __,__,__,__,__,__,__,__, __,__,X, __,__,__,__,__,// 90
    X, X, X, X, __,__,__,__, B, Z, __,__,__,__,__,__,// A0
    B, B, B, B, B, B, B, B,  Z, Z, Z, Z, Z, Z, Z, Z, // B0
    MB,MB,W, __,X, X, MB,MZ, WB,__,W, __,__,B, X, __,// C0
    M, M, M, M, X, X, X, __, M, M, M, M, M, M, M, M, // D0
    S, S, S, S, B, B, B, B,  L, L, X, S, __,__,__,__,// E0
    X, __,X, X, __,__,M, M,  __,__,__,__,__,__,M, M, // F0
];

/// What follows each opcode after 0F.
#[rustfmt::skip]
const TWO: [u8; 256] = [
    M, M, M, M, X, __,__,__, __,__,X, __,X, M, __,MB,// 00
    M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M, // 10
    M, M, M, M, X, X, X, X,  M, M, M, M, M, M, M, M, // 20
    __,__,__,__,__,__,X, __, X, X, X, X, X, X, X, X, // 30
    M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M, // 40
    M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M, // 50
    M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M, // 60
    MB,MB,MB,MB,M, M, M, __, M, M, M, M, M, M, M, M, // 70
    L, L, L, L, L, L, L, L,  L, L, L, L, L, L, L, L, // 80
    M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M, // 90
    __,__,__,M, MB,M, X, X,  __,__,__,M, MB,M, M, M, // A0
    M, M, M, M, M, M, M, M,  M, M, MB,M, M, M, M, M, // B0
    M, M, MB,M, MB,MB,MB,M,  __,__,__,__,__,__,__,__,// C0
    M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M, // D0
    M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M, // E0
    M, M, M, M, M, M, M, M,  M, M, M, M, M, M, M, M, // F0
];

/// A cursor over the bytes of one instruction that remembers what it would have read next.
struct Cursor<'a> {
    code: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.code.get(self.at).copied();
        self.at = self.at.wrapping_add(usize::from(byte.is_some()));
        byte
    }
}

/// A byte that starts no instruction.
const STRAY: Parsed = Parsed::Whole(Shape { len: 1, opcode: 0xFFFF, field: None });

/// Reads the instruction that starts at the first byte of `code`. Fifteen bytes are always enough for a whole one.
pub(crate) fn parse(code: &[u8]) -> Parsed {
    let mut cursor = Cursor { code, at: 0 };
    let partial = |role, opcode| Parsed::Partial { role, opcode, field: None, len: 0 };
    let (mut narrow, mut wide, mut short_address) = (false, false, false);
    // Prefixes; REX must come last, directly before the opcode.
    let mut opcode = loop {
        let Some(byte) = cursor.next() else {
            return partial(if cursor.at == 0 { Role::Opcode } else { Role::Escape }, 0);
        };
        match byte {
            0x66 => narrow = true,
            0x67 => short_address = true,
            0x26 | 0x2E | 0x36 | 0x3E | 0x64 | 0x65 | 0xF0 | 0xF2 | 0xF3 => {}
            0x40..=0x4F => {
                wide = byte & 8 != 0;
                match cursor.next() {
                    Some(byte) => break byte,
                    None => return partial(Role::Escape, 1),
                }
            }
            _ => break byte,
        }
        if cursor.at > 14 {
            return STRAY;
        }
    };
    let mut map = 0_u16;
    let mut follows = ONE.get(usize::from(opcode)).copied().unwrap_or(X);
    let vector = match opcode {
        0x0F => {
            let Some(second) = cursor.next() else {
                return partial(Role::Escape, 2);
            };
            (map, opcode) = (1, second);
            if second == 0x38 || second == 0x3A {
                let Some(third) = cursor.next() else {
                    return partial(Role::Escape, 3);
                };
                (map, opcode) = (if second == 0x38 { 2 } else { 3 }, third);
            }
            true
        }
        // VEX of two bytes, VEX of three, EVEX: they name the opcode map in their payload.
        0xC5 | 0xC4 | 0x62 => {
            let payload = match opcode {
                0xC5 => 1,
                0xC4 => 2,
                _ => 3,
            };
            map = 1;
            for index in 0..payload {
                let Some(byte) = cursor.next() else {
                    return partial(Role::Escape, 4);
                };
                if index == 0 && payload > 1 {
                    map = u16::from(byte & if payload == 2 { 31 } else { 7 });
                }
            }
            let Some(byte) = cursor.next() else {
                return partial(Role::Escape, 5);
            };
            opcode = byte;
            true
        }
        _ => false,
    };
    if vector {
        follows = match map {
            1 => TWO.get(usize::from(opcode)).copied().unwrap_or(X),
            2 | 5 | 6 => M,
            3 => MB,
            _ => X,
        };
    }
    let name = map << 8 | u16::from(opcode);
    if map == 0 && (0xA0..=0xA3).contains(&opcode) {
        // A move between the accumulator and an absolute address of eight bytes.
        return tail(&cursor, name, 0, if short_address { 4 } else { 8 }, None);
    }
    if follows & X != 0 {
        return STRAY;
    }
    let mut immediate = 0_usize;
    if follows & B != 0 {
        immediate = immediate.wrapping_add(1);
    }
    if follows & W != 0 {
        immediate = immediate.wrapping_add(2);
    }
    if follows & Z != 0 {
        let whole = map == 0 && (0xB8..=0xBF).contains(&opcode) && wide;
        immediate = immediate.wrapping_add(if whole {
            8
        } else if narrow && !wide {
            2
        } else {
            4
        });
    }
    if follows & S != 0 {
        return tail(&cursor, name, 1, 0, Some(Field::Short));
    }
    if follows & L != 0 {
        let field = match (map, opcode) {
            (0, 0xE8) => Field::Call,
            (0, _) => Field::Jump,
            _ => Field::Condition,
        };
        return tail(&cursor, name, 4, 0, Some(field));
    }
    if follows & M == 0 {
        let address = immediate == 4 && map == 0 && matches!(opcode, 0x68 | 0xB8..=0xBF);
        return tail(&cursor, name, 0, immediate, address.then_some(Field::Immediate));
    }
    let Some(mod_rm) = cursor.next() else {
        return partial(Role::ModRm, name);
    };
    let (mode, rm) = (mod_rm >> 6, mod_rm & 7);
    // TEST is the only member of its groups with an immediate.
    if map == 0 && mod_rm & 0x30 == 0 {
        match opcode {
            0xF6 => immediate = 1,
            0xF7 => immediate = if narrow && !wide { 2 } else { 4 },
            _ => {}
        }
    }
    let mut displacement = match mode {
        1 => 1,
        2 => 4,
        _ => 0,
    };
    let mut field = None;
    let mut base = if rm == 5 { Base::Frame } else { Base::Other };
    if mode != 3 && rm == 4 {
        let Some(sib) = cursor.next() else {
            return partial(Role::Sib, name);
        };
        if mode == 0 && sib & 7 == 5 {
            displacement = 4;
        } else if sib & 7 == 4 {
            base = Base::Stack;
        }
    } else if mode == 0 && rm == 5 {
        displacement = 4;
        field = Some(Field::Operand);
    }
    if field.is_none() {
        field = match displacement {
            1 => Some(Field::Near(base)),
            4 => Some(Field::Far(base)),
            _ if immediate == 4 && map == 0 && matches!(opcode, 0x81 | 0xC7) => Some(Field::Immediate),
            _ => None,
        };
    }
    tail(&cursor, name, displacement, immediate, field)
}

/// The end of an instruction whose length is known: displacement, then immediate.
#[inline]
fn tail(
    cursor: &Cursor<'_>,
    opcode: u16,
    displacement: usize,
    immediate: usize,
    field: Option<Field>,
) -> Parsed {
    let start = cursor.at;
    let field = field.map(|kind| (start, kind));
    let middle = start.wrapping_add(displacement);
    let len = middle.wrapping_add(immediate);
    let given = cursor.code.len();
    if given >= len {
        Parsed::Whole(Shape { len, opcode, field })
    } else if given < middle {
        Parsed::Partial { role: Role::Displacement(given.wrapping_sub(start) as u8), opcode, field, len }
    } else {
        Parsed::Partial { role: Role::Immediate(given.wrapping_sub(middle) as u8), opcode, field, len }
    }
}

/// Bytes that ModRM brings along beyond itself: SIB and displacement, as far as SIB has no say in it.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "computed while compiling")]
const OPERAND_LEN: [u8; 256] = {
    let mut lens = [0; 256];
    let mut mod_rm = 0;
    while mod_rm < 256 {
        let (mode, rm) = (mod_rm >> 6, mod_rm & 7);
        let sib = (mode != 3 && rm == 4) as u8;
        let displacement = match mode {
            0 if rm == 5 => 4,
            1 => 1,
            2 => 4,
            _ => 0,
        };
        lens[mod_rm] = sib + displacement;
        mod_rm += 1;
    }
    lens
};

/// Reads the instruction at the start of `code` if it is a plain one: at most REX in front, an opcode of one byte or of two,
/// ModRM or not, an immediate of one byte or four. Says what [`parse`] says, sooner; `None` says nothing.
#[inline]
fn parse_plain(code: &[u8]) -> Option<Shape> {
    let [first, second, third, fourth, fifth, ..] = *code.first_chunk::<MAX_LEN>()?;
    let (skip, [opcode, mod_rm, sib, after]): (usize, _) = if first & 0xF0 == 0x40 {
        (2, [second, third, fourth, fifth])
    } else {
        (1, [first, second, third, fourth])
    };
    let (skip, opcode, mod_rm, sib, follows, name) = if opcode == 0x0F {
        (skip.wrapping_add(1), mod_rm, sib, after, *TWO.get(usize::from(mod_rm))?, 1 << 8 | u16::from(mod_rm))
    } else {
        (skip, opcode, mod_rm, sib, *ONE.get(usize::from(opcode))?, u16::from(opcode))
    };
    let shape = |len, kind: Option<Field>| Shape { len, opcode: name, field: kind.map(|kind| (skip, kind)) };
    let immediate = match follows {
        S => return Some(shape(skip.wrapping_add(1), Some(Field::Short))),
        L => {
            let kind = match name {
                0xE8 => Field::Call,
                0xE9 => Field::Jump,
                _ => Field::Condition,
            };
            return Some(shape(skip.wrapping_add(4), Some(kind)));
        }
        M => 0_usize,
        MB => 1,
        MZ => 4,
        _ => return (follows == __).then_some(shape(skip, None)),
    };
    // Opcodes of three bytes, and TEST among its kin.
    if matches!(name, 0x138 | 0x13A | 0xF6 | 0xF7) {
        return None;
    }
    let operand = usize::from(*OPERAND_LEN.get(usize::from(mod_rm))?);
    let (mode, rm) = (mod_rm >> 6, mod_rm & 7);
    let has_sib = mode != 3 && rm == 4;
    if has_sib && mode == 0 && sib & 7 == 5 {
        return None;
    }
    let displacement = operand.wrapping_sub(usize::from(has_sib));
    let base = match (has_sib, rm) {
        (true, _) if sib & 7 == 4 => Base::Stack,
        (false, 5) => Base::Frame,
        _ => Base::Other,
    };
    let kind = match displacement {
        0 => (immediate == 4 && opcode != 0x69).then_some(Field::Immediate),
        1 => Some(Field::Near(base)),
        _ if mode == 0 => Some(Field::Operand),
        _ => Some(Field::Far(base)),
    };
    let start = skip.wrapping_add(1).wrapping_add(usize::from(has_sib));
    let len = start.wrapping_add(displacement).wrapping_add(immediate);
    Some(Shape { len, opcode: name, field: kind.map(|kind| (start, kind)) })
}

/// Longest instruction.
const MAX_LEN: usize = 15;

/// Finds the references of the instructions in the window of `sweep`, reading them one after the other from its first
/// byte. `absolute` says that immediates and displacements of four bytes may be addresses: the image is loaded where it
/// was linked.
pub(crate) fn sweep(sweep: &mut Sweep<'_>, absolute: bool) {
    let mut at = 0_usize;
    while at < sweep.end() {
        let rest = sweep.bytes().get(at..).unwrap_or_default();
        let shape = match parse_plain(rest) {
            Some(shape) => shape,
            None => match parse(rest.get(..MAX_LEN).unwrap_or(rest)) {
                Parsed::Whole(shape) => shape,
                Parsed::Partial { .. } => return,
            },
        };
        if let Some((skip, field)) = shape.field {
            let place = at.wrapping_add(skip);
            let here = Anchor::Here(shape.len.wrapping_sub(skip) as u8);
            match field {
                Field::Call => sweep.find(place, Form::Word, here, Class::CALL),
                Field::Jump => sweep.find(place, Form::Word, here, Class::JUMP),
                Field::Condition => sweep.find(place, Form::Word, here, Class::CONDITION),
                Field::Operand => sweep.find(place, Form::Word, here, Class::OPERAND),
                Field::Short => sweep.find(place, Form::Byte, here, Class::SHORT),
                Field::Near(base) => sweep.find_number(place, Form::Byte, Anchor::Offset, Class::near(base)),
                Field::Far(base) => {
                    if !(absolute && sweep.find(place, Form::Unsigned, Anchor::Zero, Class::ABSOLUTE)) {
                        sweep.find_number(place, Form::Word, Anchor::Offset, Class::far(base));
                    }
                    true
                }
                Field::Immediate => {
                    absolute && sweep.find(place, Form::Unsigned, Anchor::Zero, Class::IMMEDIATE)
                }
            };
        }
        at = at.wrapping_add(shape.len);
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;

    /// The shape of the instruction written in hex; what follows it must not matter.
    fn shape(hex: &str) -> (usize, Option<(usize, Field)>) {
        let mut code: Vec<u8> =
            hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        let given = code.len();
        code.resize(MAX_LEN + given, 0xCC);
        match parse(&code) {
            Parsed::Whole(shape) => {
                assert!(
                    (0..shape.len).all(|len| matches!(parse(&code[..len]), Parsed::Partial { .. })),
                    "{hex}"
                );
                (shape.len, shape.field)
            }
            partial => panic!("{hex}: {partial:?}"),
        }
    }

    #[test]
    fn instructions_have_the_lengths_and_fields_of_the_manual() {
        type Vector = (&'static str, usize, Option<(usize, Field)>);
        let vectors: [Vector; 36] = [
            ("90", 1, None),
            ("c3", 1, None),
            ("e8 01 02 03 04", 5, Some((1, Field::Call))),
            ("e9 01 02 03 04", 5, Some((1, Field::Jump))),
            ("0f 84 01 02 03 04", 6, Some((2, Field::Condition))),
            ("74 05", 2, Some((1, Field::Short))),
            ("eb fe", 2, Some((1, Field::Short))),
            ("48 8b 05 01 02 03 04", 7, Some((3, Field::Operand))),
            ("48 8d 3d 01 02 03 04", 7, Some((3, Field::Operand))),
            ("ff 15 01 02 03 04", 6, Some((2, Field::Operand))),
            ("c7 05 01 02 03 04 05 06 07 08", 10, Some((2, Field::Operand))),
            ("66 c7 05 01 02 03 04 05 06", 9, Some((3, Field::Operand))),
            ("80 3d 01 02 03 04 05", 7, Some((2, Field::Operand))),
            ("48 8b 44 24 08", 5, Some((4, Field::Near(Base::Stack)))),
            ("48 8b 45 f8", 4, Some((3, Field::Near(Base::Frame)))),
            ("48 8b 80 00 01 00 00", 7, Some((3, Field::Far(Base::Other)))),
            ("48 8b 84 24 00 01 00 00", 8, Some((4, Field::Far(Base::Stack)))),
            ("ff 24 c5 00 01 00 00", 7, Some((3, Field::Far(Base::Other)))),
            ("48 b8 01 02 03 04 05 06 07 08", 10, None),
            ("b8 01 02 03 04", 5, Some((1, Field::Immediate))),
            ("66 b8 01 02", 4, None),
            ("68 01 02 03 04", 5, Some((1, Field::Immediate))),
            ("48 81 c0 01 02 03 04", 7, Some((3, Field::Immediate))),
            ("66 81 c0 01 02", 5, None),
            ("66 0f 38 81 c0", 5, None),
            ("f6 c1 01", 3, None),
            ("f6 d1", 2, None),
            ("f7 c1 01 02 03 04", 6, None),
            ("c8 01 02 03", 4, None),
            ("0f 1f 44 00 00", 5, Some((4, Field::Near(Base::Other)))),
            ("66 0f 3a 0f c1 08", 6, None),
            ("c5 f8 77", 3, None),
            ("c5 fb 10 05 01 02 03 04", 8, Some((4, Field::Operand))),
            ("c4 e3 79 0f c1 08", 6, None),
            ("62 f1 7c 48 10 05 01 02 03 04", 10, Some((6, Field::Operand))),
            ("06", 1, None),
        ];
        for (hex, len, field) in vectors {
            assert_eq!(shape(hex), (len, field), "{hex}");
        }
    }

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
            for front in [&[0x0F][..], &[0x48, 0x0F], &[0x41]] {
                let mut code = [third.wrapping_mul(13) ^ second; MAX_LEN];
                code[..front.len()].copy_from_slice(front);
                code[front.len()..front.len() + 3].copy_from_slice(&[first, second, third]);
                if let Some(shape) = parse_plain(&code) {
                    assert_eq!(parse(&code), Parsed::Whole(shape), "{code:02x?}");
                }
            }
        }
    }

    #[test]
    fn every_start_of_an_instruction_is_at_most_fifteen_bytes_long() {
        for first in 0..=0xFFFF_u16 {
            for fill in [0x00, 0x04, 0x66, 0x84, 0xC4, 0xFF] {
                let mut code = [fill; 2 * MAX_LEN];
                code[..2].copy_from_slice(&first.to_be_bytes());
                let Parsed::Whole(shape) = parse(&code) else {
                    panic!("{first:04x} {fill:02x} needs more than thirty bytes");
                };
                assert!((1..=MAX_LEN + 8).contains(&shape.len), "{first:04x} {fill:02x}: {}", shape.len);
            }
        }
    }
}
