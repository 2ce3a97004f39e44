//! Reading an instruction byte by byte, wherever its bytes come from: read from memory, or decoded one by one.
//!
//! Two tables of 256 entries say what follows an opcode; prefixes, ModRM, SIB, VEX and EVEX are read as the
//! architecture manual (Intel SDM volume 2, chapter 2 and appendix A) lays them out.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Base, Field, MAX_LEN, Parsed, Role, Shape};

/// Follows: nothing.
const __: u8 = 0;
/// Follows: ModRM.
pub(super) const M: u8 = 1;
/// Follows: one byte of immediate.
pub(super) const B: u8 = 2;
/// Follows: four bytes of immediate, two with the operand size prefix.
pub(super) const Z: u8 = 4;
/// Follows: two bytes of immediate.
const W: u8 = 8;
/// Follows: a displacement of one byte.
pub(super) const S: u8 = 16;
/// Follows: a displacement of four bytes.
pub(super) const L: u8 = 32;
/// Starts no instruction in 64-bit mode, or a prefix, or needs a rule of its own.
const X: u8 = 64;
pub(super) const MB: u8 = M | B;
pub(super) const MZ: u8 = M | Z;
const WB: u8 = W | B;

/// What follows each opcode of one byte.
#[rustfmt::skip]
pub(super) const ONE: [u8; 256] = [
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
pub(super) const TWO: [u8; 256] = [
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

/// Where the bytes of an instruction come from.
pub(crate) trait Source {
    /// The next byte, which plays `role` in an instruction whose opcode is this, as far as it is known; `None` if there
    /// is none.
    fn next(&mut self, role: Role, opcode: u16) -> Option<u8>;
}

/// An instruction up to its displacement and its immediate. The rest of it has no say in its shape.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    /// Bytes before the displacement.
    pub(crate) start: usize,
    /// Bytes of the displacement.
    pub(crate) displacement: usize,
    /// Bytes of the immediate behind it.
    pub(crate) immediate: usize,
    /// Opcode map and opcode.
    pub(crate) opcode: u16,
    /// What the reference field is; it begins where the head ends.
    pub(crate) field: Option<Field>,
}

impl Head {
    /// Of a byte that starts no instruction.
    const STRAY: Self = Self { start: 1, displacement: 0, immediate: 0, opcode: 0xFFFF, field: None };

    /// Bytes of the whole instruction.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.start.wrapping_add(self.displacement).wrapping_add(self.immediate)
    }

    /// The whole instruction.
    #[inline]
    pub(crate) fn shape(&self) -> Shape {
        Shape { len: self.len() as u8, opcode: self.opcode, start: self.start as u8, field: self.field }
    }
}

/// A source that counts what was taken of it.
struct Counted<'a, S> {
    source: &'a mut S,
    taken: usize,
}

impl<S: Source> Counted<'_, S> {
    #[inline]
    fn next(&mut self, role: Role, opcode: u16) -> Option<u8> {
        let byte = self.source.next(role, opcode)?;
        self.taken = self.taken.wrapping_add(1);
        Some(byte)
    }
}

/// Reads an instruction up to its displacement; `None` if the source has no more bytes.
#[inline]
pub(crate) fn read(source: &mut impl Source) -> Option<Head> {
    let mut source = Counted { source, taken: 0 };
    let (mut narrow, mut wide, mut short_address) = (false, false, false);
    // Prefixes; REX must come last, directly before the opcode.
    let mut opcode = source.next(Role::Opcode, 0)?;
    loop {
        match opcode {
            0x66 => narrow = true,
            0x67 => short_address = true,
            0x26 | 0x2E | 0x36 | 0x3E | 0x64 | 0x65 | 0xF0 | 0xF2 | 0xF3 => {}
            0x40..=0x4F => {
                wide = opcode & 8 != 0;
                opcode = source.next(Role::Escape, 1)?;
                break;
            }
            _ => break,
        }
        if source.taken >= MAX_LEN {
            return Some(Head::STRAY);
        }
        opcode = source.next(Role::Escape, 0)?;
    }
    let mut map = 0_u16;
    let mut follows = ONE.get(usize::from(opcode)).copied().unwrap_or(X);
    let vector = match opcode {
        0x0F => {
            let second = source.next(Role::Escape, 2)?;
            (map, opcode) = (1, second);
            if second == 0x38 || second == 0x3A {
                let third = source.next(Role::Escape, 3)?;
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
                let byte = source.next(Role::Escape, 4)?;
                if index == 0 && payload > 1 {
                    map = u16::from(byte & if payload == 2 { 31 } else { 7 });
                }
            }
            opcode = source.next(Role::Escape, 5)?;
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
    let head = |start, displacement, immediate, field| {
        Some(Head { start, displacement, immediate, opcode: name, field })
    };
    if map == 0 && (0xA0..=0xA3).contains(&opcode) {
        // A move between the accumulator and an absolute address of eight bytes.
        return head(source.taken, 0, if short_address { 4 } else { 8 }, None);
    }
    if follows & X != 0 {
        return Some(Head::STRAY);
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
        return head(source.taken, 1, 0, Some(Field::Short));
    }
    if follows & L != 0 {
        let field = match (map, opcode) {
            (0, 0xE8) => Field::Call,
            (0, _) => Field::Jump,
            _ => Field::Condition,
        };
        return head(source.taken, 4, 0, Some(field));
    }
    if follows & M == 0 {
        let address = immediate == 4 && map == 0 && matches!(opcode, 0x68 | 0xB8..=0xBF);
        return head(source.taken, 0, immediate, address.then_some(Field::Immediate));
    }
    let mod_rm = source.next(Role::ModRm, name)?;
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
        let sib = source.next(Role::Sib, name)?;
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
    head(source.taken, displacement, immediate, field)
}

/// Bytes in memory, and what was asked for where they ended.
struct Given<'a> {
    bytes: std::slice::Iter<'a, u8>,
    role: Role,
    opcode: u16,
}

impl Source for Given<'_> {
    #[inline]
    fn next(&mut self, role: Role, opcode: u16) -> Option<u8> {
        (self.role, self.opcode) = (role, opcode);
        self.bytes.next().copied()
    }
}

/// Reads the instruction that starts at the first byte of `code`. Fifteen bytes are always enough for a whole one.
pub(crate) fn parse(code: &[u8]) -> Parsed {
    let mut given = Given { bytes: code.iter(), role: Role::Opcode, opcode: 0 };
    let Some(head) = read(&mut given) else {
        return Parsed::Partial { role: given.role, opcode: given.opcode };
    };
    let role = match code.len().checked_sub(head.start.wrapping_add(head.displacement)) {
        Some(given) if given >= head.immediate => return Parsed::Whole(head.shape()),
        Some(given) => Role::Immediate(given as u8),
        None => Role::Displacement(code.len().wrapping_sub(head.start) as u8),
    };
    Parsed::Partial { role, opcode: head.opcode }
}
