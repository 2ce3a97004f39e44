//! Extra bytes of x86-64 code.
//!
//! An instruction that came before in the same place is recalled as a whole. Any other is spelled: each of its bytes is
//! coded in the part that it plays, and the displacement of a call or of an operand as the address that it leads to.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Bytes, Contexts, Extra, Run, back, fold};
use crate::reference::{
    coder::Coder,
    content::part_of,
    recall::Answer,
    x86_64::{Field, Role, Shape, Source, read, shape},
};

impl Extra {
    pub(super) fn code_x86_64(&mut self, coder: &mut impl Coder, run: &Run<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        let address = |at: usize| run.address.wrapping_add(at as u64).wrapping_sub(start as u64);
        // Fall into step with the instructions before.
        let mut at = 0_usize;
        let mut last = Last::default();
        while let Some(shape) = out.get(at..).and_then(shape) {
            last.push(Instruction::new(out, at, &shape, address(at)));
            at = at.saturating_add(shape.len.into());
        }
        while out.len() < start.saturating_add(run.len) {
            let answer = self.instructions.look_up(last.contexts());
            let index = out.len().wrapping_sub(start);
            let again = (at == out.len())
                .then(|| self.recall_instruction(coder, &answer, run, index, address(at), out))
                .flatten();
            let Some(instruction) =
                again.or_else(|| self.spell_instruction(coder, run, &last, start, at, out))
            else {
                return;
            };
            let len = usize::from(instruction.len);
            if len <= Instruction::HELD {
                self.instructions.learn(&answer, instruction);
            }
            last.push(instruction);
            at = at.saturating_add(len);
        }
    }

    /// Codes whether the instruction that last came in this context comes again, and if so, appends it.
    #[inline]
    fn recall_instruction(
        &mut self,
        coder: &mut impl Coder,
        answer: &Answer<Instruction>,
        run: &Run<'_>,
        index: usize,
        address: u64,
        out: &mut Vec<u8>,
    ) -> Option<Instruction> {
        let guess = self.instructions.guess(answer, 0)?;
        let instruction = guess.value;
        let len = usize::from(instruction.len);
        if len > run.len.wrapping_sub(index) {
            return None;
        }
        let bytes = instruction.bytes(address);
        let right = run.truth.get(index..index.saturating_add(len)) == bytes.get(..len);
        if !self.instructions.confirm(coder, &guess, right) {
            return None;
        }
        // All bytes that are held, and then fewer: a length that is known while compiling makes no call.
        let end = out.len().saturating_add(len);
        out.extend(bytes);
        out.truncate(end);
        coder.book(run.made(index, len as u64));
        Some(instruction)
    }

    /// Codes the rest of the instruction that starts at `at`, byte by byte; `None` if the run ends within it.
    #[inline]
    fn spell_instruction(
        &mut self,
        coder: &mut impl Coder,
        run: &Run<'_>,
        last: &Last,
        start: usize,
        at: usize,
        out: &mut Vec<u8>,
    ) -> Option<Instruction> {
        let [before, second, third] = last.names();
        let after = [fold(fold(fold(before, second), third), 3), fold(before, 1)];
        let mut spelling = Spelling { model: &mut self.code, coder, run, start, out, at, inside: 0, after };
        let head = read(&mut spelling)?;
        let shape = head.shape();
        let address = run.address.wrapping_add(at as u64).wrapping_sub(start as u64);
        if let Some(kind) = head.field.filter(|kind| is_address(*kind))
            && spelling.room() >= 4
        {
            let index = spelling.at.wrapping_sub(start);
            let raw = u32::from_le_bytes([0, 1, 2, 3].map(|byte| run.byte(index.wrapping_add(byte))));
            let end = address.wrapping_add(shape.len.into());
            let context = fold(u32::from(head.opcode) | back(spelling.out, 1) << 16, 77);
            let value = self.addresses.code(spelling.coder, kind, [context, before], end as u32, raw);
            spelling.append(value);
        } else {
            for nth in 0..head.displacement {
                spelling.next(Role::Displacement(nth as u8), head.opcode)?;
            }
        }
        for nth in 0..head.immediate {
            spelling.next(Role::Immediate(nth as u8), head.opcode)?;
        }
        Some(Instruction::new(out, at, &shape, address))
    }
}

/// An instruction that is coded byte by byte.
struct Spelling<'a, C> {
    model: &'a mut Bytes,
    coder: &'a mut C,
    run: &'a Run<'a>,
    /// Where the run starts in `out`.
    start: usize,
    out: &'a mut Vec<u8>,
    /// The next byte of the instruction; what lies behind it in `out` is known already.
    at: usize,
    /// The bytes of the instruction so far.
    inside: u32,
    /// The instructions before: three, and one.
    after: [u32; 2],
}

impl<C: Coder> Spelling<'_, C> {
    /// Bytes that the run still has room for; none where the next byte of the instruction is known.
    fn room(&self) -> usize {
        if self.at == self.out.len() {
            self.start.saturating_add(self.run.len).saturating_sub(self.at)
        } else {
            0
        }
    }

    /// Appends a field that was coded as a whole.
    fn append(&mut self, field: u32) {
        let index = self.out.len().wrapping_sub(self.start);
        self.coder.book(self.run.made(index, 4));
        self.out.extend(field.to_le_bytes());
        self.inside = fold(self.inside, field);
        self.at = self.out.len();
    }
}

impl<C: Coder> Source for Spelling<'_, C> {
    #[inline]
    fn next(&mut self, role: Role, opcode: u16) -> Option<u8> {
        let byte = if let Some(known) = self.out.get(self.at) {
            *known
        } else {
            let index = self.out.len().wrapping_sub(self.start);
            if index >= self.run.len {
                return None;
            }
            let part = part_of(role);
            let [three, one] = self.after;
            let one = self.inside.wrapping_add(one);
            let contexts = Contexts {
                recall: [self.inside.wrapping_add(three), one],
                halves: [fold(opcode.into(), 100 | part << 8), fold(one, 2)],
            };
            let byte = self.model.code(self.coder, &contexts, part as usize, self.run.byte(index));
            self.coder.book(self.run.made(index, 1));
            self.out.push(byte);
            byte
        };
        self.at = self.at.wrapping_add(1);
        self.inside = fold(self.inside, u32::from(byte).wrapping_add(1));
        Some(byte)
    }
}

/// Bytes of an instruction that are looked at; none is longer that is not a mistake.
const CODE: usize = 16;

/// What is remembered of an instruction.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Its bytes, an address instead of a displacement; of longer ones than [`HELD`](Self::HELD), a number that tells
    /// them apart.
    code: [u8; Self::HELD],
    opcode: u16,
    len: u8,
    /// Where the displacement of an address begins; 0 if there is none.
    field: u8,
}

impl Instruction {
    /// Bytes that are remembered.
    const HELD: usize = 8;

    /// Of the instruction at `at`, whose first byte has this address.
    fn new(code: &[u8], at: usize, shape: &Shape, address: u64) -> Self {
        let mut code = first_bytes(code, at, shape.len.into());
        let field = shape.field.filter(|field| is_address(*field)).map_or(0, |_| shape.start);
        shift(&mut code, field, address.wrapping_add(shape.len.into()) as u32);
        let [low, high] = [0, Self::HELD].map(|at| {
            let half = code.get(at..).and_then(|half| half.first_chunk());
            half.map_or(0, |half| u64::from_le_bytes(*half))
        });
        // The first byte stays what it is.
        let code = (low ^ high.wrapping_mul(0x9E37_79B9_7F4A_7C15) << 8).to_le_bytes();
        Self { code, opcode: shape.opcode, len: shape.len, field }
    }

    /// Its bytes at `address`, if they are not more than are held.
    fn bytes(&self, address: u64) -> [u8; Self::HELD] {
        let mut code = self.code;
        shift(&mut code, self.field, (address.wrapping_add(self.len.into()) as u32).wrapping_neg());
        code
    }

    /// Opcode and first byte.
    fn name(&self) -> u32 {
        let [first, ..] = self.code;
        u32::from(self.opcode) | u32::from(first) << 16
    }
}

/// Adds `by` to the displacement at `field`, if there is one.
fn shift(code: &mut [u8], field: u8, by: u32) {
    if field > 0
        && let Some(field) = code.get_mut(usize::from(field)..).and_then(|rest| rest.first_chunk_mut())
    {
        *field = u32::from_le_bytes(*field).wrapping_add(by).to_le_bytes();
    }
}

/// The last three instructions, newest first.
#[derive(Default)]
struct Last([Instruction; 3]);

impl Last {
    fn push(&mut self, instruction: Instruction) {
        let [first, second, _] = self.0;
        self.0 = [instruction, first, second];
    }

    fn names(&self) -> [u32; 3] {
        self.0.map(|instruction| instruction.name())
    }

    /// Contexts of the next instruction as a whole, the more telling first.
    fn contexts(&self) -> [u32; 2] {
        let [one, two, _] = self.0.map(|instruction| {
            (u64::from_le_bytes(instruction.code).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
        });
        [fold(fold(one, two), 1), fold(one, 2)]
    }
}

/// The first sixteen bytes of the instruction of `len` bytes at `at`, with zeros behind.
fn first_bytes(code: &[u8], at: usize, len: usize) -> [u8; CODE] {
    let len = len.min(CODE);
    let up_to_end = code.get(..at.wrapping_add(len)).unwrap_or_default();
    match up_to_end.last_chunk() {
        // As a number, shifted: copies of unknown length are calls.
        Some(chunk) => {
            let before = CODE.wrapping_sub(len) as u32;
            let bytes = u128::from_le_bytes(*chunk).checked_shr(before.wrapping_mul(8));
            bytes.unwrap_or(0).to_le_bytes()
        }
        None => {
            let mut bytes = [0; CODE];
            let given = up_to_end.get(at..).unwrap_or_default();
            bytes.iter_mut().zip(given).for_each(|(byte, given)| *byte = *given);
            bytes
        }
    }
}

/// Whether the field leads to an address that other instructions lead to as well.
pub(crate) fn is_address(field: Field) -> bool {
    matches!(field, Field::Call | Field::Operand | Field::Jump | Field::Condition)
}
