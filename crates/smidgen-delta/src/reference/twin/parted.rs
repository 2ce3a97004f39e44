//! Extra bytes that stand in parts, each unpacked to its end.

use super::{
    Content,
    extra::{TAIL, is_address, relative_word},
    instruction::{self, Field, Instruction},
};

/// Data; heads of instructions, short jumps, displacements of one byte and four, immediates of one byte and more,
/// calls, operands, jumps; words.
pub(super) const PARTS: usize = 11;

/// The parts of a patch, and how much of each was taken.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    bytes: [Vec<u8>; PARTS],
    taken: [usize; PARTS],
}

const DATA: usize = 0;
const HEADS: usize = 1;
const SHORT_JUMPS: usize = 2;
const NEAR: usize = 3;
const FAR: usize = 4;
const BYTES: usize = 5;
const IMMEDIATES: usize = 6;
const CALLS: usize = 7;
const OPERANDS: usize = 8;
const JUMPS: usize = 9;
const WORDS: usize = 10;

impl Parts {
    pub(super) fn new(bytes: [Vec<u8>; PARTS]) -> Self {
        Self { bytes, taken: [0; PARTS] }
    }

    /// All bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.iter().map(Vec::len).sum()
    }

    pub(super) fn is_used_up(&self) -> bool {
        self.bytes.iter().zip(self.taken).all(|(bytes, taken)| bytes.len() == taken)
    }

    fn take<const N: usize>(&mut self, part: usize) -> [u8; N] {
        let start = self.taken[part];
        self.taken[part] += N;
        self.bytes[part][start..start + N].try_into().unwrap()
    }

    /// Appends `len` bytes to `new`; the first stands at `address`.
    pub(super) fn read(&mut self, content: Content, address: u64, len: usize, new: &mut Vec<u8>) {
        let start = new.len();
        let end = start + len;
        let address = |at: usize| address.wrapping_add(at as u64).wrapping_sub(start as u64);
        match content {
            Content::Data(_) => new.extend((0..len).map(|_| self.take::<1>(DATA)[0])),
            Content::Aarch64 => {
                while new.len() < end {
                    let place = address(new.len());
                    if place.is_multiple_of(4) && end - new.len() >= 4 {
                        let word = u32::from_le_bytes(self.take(WORDS));
                        new.extend(relative_word(word, place).to_le_bytes());
                    } else {
                        new.extend(self.take::<1>(DATA));
                    }
                }
            }
            Content::X86_64 => {
                let mut at = start.saturating_sub(TAIL);
                loop {
                    let instruction = instruction::read(&new[at..new.len().min(at + instruction::LONGEST)]);
                    if instruction.missing.is_some() {
                        break;
                    }
                    at += instruction.len;
                }
                while new.len() < end {
                    let instruction = instruction::read(&new[at..]);
                    if instruction.missing.is_none() {
                        at += instruction.len;
                    } else {
                        self.read_next(&instruction, at, end, address(at + instruction.len), new);
                    }
                }
            }
        }
    }

    /// The next field of the instruction that begins at `at`, or a byte of it; `behind` is the address behind it.
    fn read_next(
        &mut self,
        instruction: &Instruction,
        at: usize,
        end: usize,
        behind: u64,
        new: &mut Vec<u8>,
    ) {
        let field = instruction.field.filter(|(place, _)| new.len() == at + place).map(|(_, field)| field);
        let is_displacement = instruction.missing.is_some_and(|part| (4..8).contains(&part));
        match field.filter(|field| is_address(*field) && end - new.len() >= 4) {
            Some(field) => {
                let (part, from) = match field {
                    Field::Call => (CALLS, behind as u32),
                    Field::Operand => (OPERANDS, behind as u32),
                    _ => (JUMPS, 0),
                };
                let value = u32::from_be_bytes(self.take(part)).wrapping_sub(from);
                new.extend(value.to_le_bytes());
            }
            None => {
                let part = match instruction.field {
                    _ if instruction.len == 0 => HEADS,
                    Some((_, Field::Short)) => SHORT_JUMPS,
                    Some((_, Field::Near(_))) if is_displacement => NEAR,
                    _ if is_displacement => FAR,
                    _ if instruction.immediate == 1 => BYTES,
                    _ => IMMEDIATES,
                };
                new.extend(self.take::<1>(part));
            }
        }
    }
}
