//! x86-64: the length of an instruction, and the reference inside it.
//!
//! Nothing else is decoded. A byte that starts no instruction is one byte long: a sweep over data goes astray and finds itself again, and whatever it saw
//! there costs bytes in the patch and nothing more. `docs/sweeps.md` says exactly what is read, for other decoders.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod plain;
mod read;

use self::plain::parse_plain;
pub(crate) use self::read::{Head, Source, parse, read};
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
    pub(crate) len: u8,
    /// Opcode map and opcode.
    pub(crate) opcode: u16,
    /// Bytes before displacement and immediate, where the reference field begins.
    pub(crate) start: u8,
    /// What that field is.
    pub(crate) field: Option<Field>,
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

/// Longest instruction.
const MAX_LEN: usize = 15;

/// The shape of the instruction at the start of `code`; `None` if it is not there to its end.
#[inline]
pub(crate) fn shape(code: &[u8]) -> Option<Shape> {
    if let Some(shape) = parse_plain(code) {
        return Some(shape);
    }
    match parse(code.get(..MAX_LEN).unwrap_or(code)) {
        Parsed::Whole(shape) => Some(shape),
        Parsed::Partial { .. } => None,
    }
}

/// Finds the references of the instructions in the window of `sweep`, reading them one after the other from its first
/// byte. `absolute` says that immediates and displacements of four bytes may be addresses: the image is loaded where it
/// was linked.
pub(crate) fn sweep(sweep: &mut Sweep<'_>, absolute: bool) {
    let mut at = 0_usize;
    while at < sweep.end() {
        let rest = sweep.bytes().get(at..).unwrap_or_default();
        let Some(shape) = shape(rest) else {
            return;
        };
        if let Some(field) = shape.field {
            let Shape { start, len, .. } = shape;
            find(sweep, at.wrapping_add(start.into()), len.wrapping_sub(start), field, absolute);
        }
        at = at.wrapping_add(shape.len.into());
    }
}

/// Notes the field at `place`, whose instruction ends `behind` bytes further on, if it is a reference.
#[inline]
fn find(sweep: &mut Sweep<'_>, place: usize, behind: u8, field: Field, absolute: bool) {
    let find_address =
        |sweep: &mut Sweep<'_>, class| absolute && sweep.find(place, Form::Unsigned, Anchor::Zero, class);
    let (len, class) = match field {
        Field::Call => (4, Class::CALL),
        Field::Jump => (4, Class::JUMP),
        Field::Condition => (4, Class::CONDITION),
        Field::Operand => (4, Class::OPERAND),
        Field::Short => (1, Class::SHORT),
        Field::Near(base) => {
            sweep.find_number(place, Form::Byte, Anchor::Offset, Class::near(base));
            return;
        }
        Field::Far(base) => {
            if !find_address(sweep, Class::ABSOLUTE) {
                sweep.find_number(place, Form::Word, Anchor::Offset, Class::far(base));
            }
            return;
        }
        Field::Immediate => {
            find_address(sweep, Class::IMMEDIATE);
            return;
        }
    };
    sweep.find_displacement(place, len, behind, class);
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;

    /// The shape of the instruction written in hex; what follows it must not matter.
    fn shape(hex: &str) -> (u8, Option<(u8, Field)>) {
        let mut code: Vec<u8> =
            hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        let given = code.len();
        code.resize(MAX_LEN + given, 0xCC);
        match parse(&code) {
            Parsed::Whole(shape) => {
                assert!(
                    (0..usize::from(shape.len))
                        .all(|len| matches!(parse(&code[..len]), Parsed::Partial { .. })),
                    "{hex}"
                );
                (shape.len, shape.field.map(|field| (shape.start, field)))
            }
            partial => panic!("{hex}: {partial:?}"),
        }
    }

    #[test]
    fn instructions_have_the_lengths_and_fields_of_the_manual() {
        type Vector = (&'static str, u8, Option<(u8, Field)>);
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
    fn every_start_of_an_instruction_is_at_most_fifteen_bytes_long() {
        for first in 0..=0xFFFF_u16 {
            for fill in [0x00, 0x04, 0x66, 0x84, 0xC4, 0xFF] {
                let mut code = [fill; 2 * MAX_LEN];
                code[..2].copy_from_slice(&first.to_be_bytes());
                let Parsed::Whole(shape) = parse(&code) else {
                    panic!("{first:04x} {fill:02x} needs more than thirty bytes");
                };
                assert!(
                    (1..=MAX_LEN + 8).contains(&shape.len.into()),
                    "{first:04x} {fill:02x}: {}",
                    shape.len
                );
            }
        }
    }
}
