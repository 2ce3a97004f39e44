//! Bytes that no match explains.

use super::{
    Content,
    bytes::{Bytes, Contexts, Recall, covering_log, fold},
    coder::Coder,
    instruction::{self, Field, Instruction},
};

pub(super) struct Extra {
    instructions: Recall<Known>,
    words: Recall<u32>,
    code: Bytes,
    data: Bytes,
    near: Bytes,
    far: Bytes,
}

/// Code that is kept in front of a run, to fall into step with it.
pub(super) const TAIL: usize = 32;

impl Extra {
    /// For `size` extra bytes; `has_words`: with aarch64 code.
    pub(super) fn new(size: u64, has_words: bool) -> Self {
        let log = covering_log(size).clamp(9, 15);
        let others = || Bytes::new(log - 1, 2);
        Self {
            instructions: Recall::new(if has_words { 4 } else { log + 1 }, 1),
            words: Recall::new(if has_words { log + 1 } else { 4 }, 1),
            code: Bytes::new(log, 1),
            data: others(),
            near: others(),
            far: others(),
        }
    }

    /// Appends `len` bytes to `new`; the first stands at `address`.
    pub(super) fn read(
        &mut self,
        coder: &mut Coder<'_>,
        content: Content,
        address: u64,
        len: usize,
        new: &mut Vec<u8>,
    ) {
        match content {
            Content::X86_64 => self.read_x86_64(coder, address, len, new),
            Content::Aarch64 => self.read_aarch64(coder, address, len, new),
            Content::Data(rule) => {
                for index in 0..len {
                    let column = address.wrapping_add(index as u64) as u32 & 7;
                    let above = fold(back(new, 4), back(new, 8));
                    let table = fold(above, fold(rule, 100 | column & 3));
                    let contexts = Contexts {
                        recall: [fold(last_bytes(new, 4), 4), table],
                        halves: [fold(last_bytes(new, 1), rule), fold(table, 5)],
                    };
                    new.push(self.data.read(coder, &contexts, column));
                }
            }
        }
    }

    fn read_x86_64(&mut self, coder: &mut Coder<'_>, address: u64, len: usize, new: &mut Vec<u8>) {
        let start = new.len();
        let end = start + len;
        let address = |at: usize| address.wrapping_add(at as u64).wrapping_sub(start as u64);
        let mut at = start.saturating_sub(TAIL);
        // The last three instructions, the newest first.
        let mut last = [Known::default(); 3];
        let push = |last: &mut [Known; 3], known: Known| *last = [known, last[0], last[1]];
        loop {
            let instruction = instruction::read(&new[at..new.len().min(at + instruction::LONGEST)]);
            if instruction.missing.is_some() {
                break;
            }
            push(&mut last, Known::new(&new[at..at + instruction.len], &instruction, address(at)));
            at += instruction.len;
        }
        while new.len() < end {
            let [one, two, _] =
                last.map(|known| (known.code.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32);
            let contexts = [fold(fold(one, two), 1), fold(one, 2)];
            let recalled = if at == new.len() {
                self.recall_instruction(coder, contexts, end - at, address(at), new)
            } else {
                None
            };
            let known = match recalled {
                Some(known) => known,
                None => {
                    let before = last.map(|known| known.name());
                    if !self.spell_instruction(coder, before, at, end, address(at), new) {
                        return;
                    }
                    let instruction = instruction::read(&new[at..]);
                    Known::new(&new[at..at + instruction.len], &instruction, address(at))
                }
            };
            if known.len <= 8 {
                self.instructions.learn(contexts, known);
            }
            push(&mut last, known);
            at += known.len;
        }
    }

    /// The instruction that came last in these contexts, if it comes again.
    fn recall_instruction(
        &mut self,
        coder: &mut Coder<'_>,
        contexts: [u32; 2],
        room: usize,
        address: u64,
        new: &mut Vec<u8>,
    ) -> Option<Known> {
        let guess = self.instructions.guess(contexts, 0)?;
        let known = guess.value;
        if known.len > room || !self.instructions.confirm(coder, &guess) {
            return None;
        }
        let mut code = known.code.to_le_bytes();
        let end = address.wrapping_add(known.len as u64) as u32;
        shift(&mut code, known.field, end.wrapping_neg());
        new.extend(&code[..known.len]);
        Some(known)
    }

    /// The rest of the instruction that begins at `at`; says whether it is whole when the run ends.
    fn spell_instruction(
        &mut self,
        coder: &mut Coder<'_>,
        before: [u32; 3],
        at: usize,
        end: usize,
        address: u64,
        new: &mut Vec<u8>,
    ) -> bool {
        let spelled = |inside, byte: u8| fold(inside, u32::from(byte) + 1);
        let mut inside = new[at..].iter().fold(0, |inside, byte| spelled(inside, *byte));
        loop {
            let instruction = instruction::read(&new[at..]);
            let Some(part) = instruction.missing else { return true };
            if new.len() == end {
                return false;
            }
            let opcode = instruction.opcode;
            if let Some((place, field)) = instruction.field
                && is_address(field)
                && new.len() == at + place
                && end - new.len() >= 4
            {
                let after = address.wrapping_add(instruction.len as u64) as u32;
                let context = fold(opcode | back(new, 1) << 16, 77);
                let value = self.read_field(coder, field, before[0], context, after);
                new.extend(value.to_le_bytes());
                inside = fold(inside, value);
            } else {
                let three = fold(fold(fold(before[0], before[1]), before[2]), 3);
                let one = inside.wrapping_add(fold(before[0], 1));
                let contexts = Contexts {
                    recall: [inside.wrapping_add(three), one],
                    halves: [fold(opcode, 100 | part << 8), fold(one, 2)],
                };
                let byte = self.code.read(coder, &contexts, part);
                new.push(byte);
                inside = spelled(inside, byte);
            }
        }
    }

    /// A displacement of four bytes that counts from `after`, its top byte first; of calls, operands and jumps the address.
    fn read_field(
        &mut self,
        coder: &mut Coder<'_>,
        field: Field,
        opcode: u32,
        before: u32,
        after: u32,
    ) -> u32 {
        let which = match field {
            Field::Call => 0,
            Field::Operand => 1,
            Field::Jump => 2,
            _ => 3,
        };
        let model = if which < 2 { &mut self.far } else { &mut self.near };
        let mut done = 0;
        for level in 0..4 {
            let own = fold(done, which | level << 8);
            let contexts =
                Contexts { recall: [fold(own, before), fold(own, opcode)], halves: [own, fold(own, before)] };
            done = done << 8 | u32::from(model.read(coder, &contexts, which));
        }
        if which < 2 { done.wrapping_sub(after) } else { done }
    }

    fn read_aarch64(&mut self, coder: &mut Coder<'_>, address: u64, len: usize, new: &mut Vec<u8>) {
        let end = new.len() + len;
        let start = new.len();
        while new.len() < end {
            let address = address.wrapping_add((new.len() - start) as u64);
            if !address.is_multiple_of(4) || end - new.len() < 4 {
                let [one, two, three] =
                    [1, 2, 3].map(|count| fold(last_bytes(new, count), 900 | count as u32));
                let contexts = Contexts { recall: [three, two], halves: [one, two] };
                new.push(self.code.read(coder, &contexts, 15));
                continue;
            }
            let [one, two] = [4, 8].map(|distance| match new.len().checked_sub(distance) {
                Some(at) => u32::from_le_bytes(new[at..at + 4].try_into().unwrap()),
                None => 0,
            });
            let contexts = [fold(fold(one, two), 1), fold(one, 2)];
            let word = match self.words.read(coder, contexts, 0) {
                Some(word) => word,
                None => {
                    let mut done = 1_u32;
                    for level in 0..4 {
                        let own = fold(done, level);
                        let pair = fold(own, fold(one >> 21, two >> 21));
                        let contexts =
                            Contexts { recall: [fold(own, fold(one, 1)), pair], halves: [own, pair] };
                        done = done << 8 | u32::from(self.code.read(coder, &contexts, level));
                    }
                    done
                }
            };
            self.words.learn(contexts, word);
            new.extend(relative_word(word, address).to_le_bytes());
        }
    }
}

/// What is remembered of an instruction.
#[derive(Clone, Copy, Default, PartialEq)]
struct Known {
    /// All of it, an address instead of a displacement.
    code: u64,
    opcode: u32,
    len: usize,
    /// Where the displacement of an address begins; 0 if there is none.
    field: usize,
}

impl Known {
    fn new(bytes: &[u8], instruction: &Instruction, address: u64) -> Self {
        let mut code = [0; 16];
        code.iter_mut().zip(bytes).for_each(|(code, byte)| *code = *byte);
        let field = instruction.field.filter(|(_, field)| is_address(*field)).map_or(0, |(at, _)| at);
        shift(&mut code, field, address.wrapping_add(instruction.len as u64) as u32);
        let half = |at: usize| u64::from_le_bytes(code[at..at + 8].try_into().unwrap());
        Self {
            code: half(0) ^ half(8).wrapping_mul(0x9E37_79B9_7F4A_7C15) << 8,
            opcode: instruction.opcode,
            len: instruction.len,
            field,
        }
    }

    /// Opcode and first byte.
    fn name(&self) -> u32 {
        self.opcode | (self.code as u32 & 0xFF) << 16
    }
}

/// Whether the field leads to an address that other instructions lead to as well.
pub(super) fn is_address(field: Field) -> bool {
    matches!(field, Field::Call | Field::Jump | Field::Condition | Field::Operand)
}

/// Adds `by` to the displacement at `field`, if there is one.
fn shift(code: &mut [u8], field: usize, by: u32) {
    if field > 0 && field + 4 <= code.len() {
        let value = u32::from_le_bytes(code[field..field + 4].try_into().unwrap());
        code[field..field + 4].copy_from_slice(&value.wrapping_add(by).to_le_bytes());
    }
}

/// BL and ADRP as they stand at `address`; the word says where they lead.
pub(super) fn relative_word(word: u32, address: u64) -> u32 {
    if word >> 26 == 0b10_0101 {
        return word & 0xFC00_0000 | word.wrapping_sub((address >> 2) as u32) & 0x03FF_FFFF;
    }
    if word >> 31 == 1 && word >> 24 & 31 == 0b1_0000 {
        let pages = (word >> 29 & 3 | (word >> 5 & 0x7_FFFF) << 2).wrapping_sub((address >> 12) as u32);
        return word & 0x9F00_001F | (pages & 3) << 29 | (pages >> 2 & 0x7_FFFF) << 5;
    }
    word
}

/// The byte so far back, 1 being the last; 0 in front of the file.
fn back(new: &[u8], distance: usize) -> u32 {
    new.len().checked_sub(distance).map_or(0, |at| new[at].into())
}

/// The last `count` bytes as one number.
fn last_bytes(new: &[u8], count: usize) -> u32 {
    (1..=count).fold(count as u32, |hash, distance| fold(hash, back(new, distance)))
}
