//! Reading plain instructions, which most are, without going from byte to byte.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    Base, Field, MAX_LEN, Shape,
    read::{__, L, M, MB, MZ, ONE, S, TWO},
};

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
pub(super) fn parse_plain(code: &[u8]) -> Option<Shape> {
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
}
