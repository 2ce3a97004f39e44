//! Extra: bytes of the new file that no match explains, guessed from what stands before them.
//!
//! Inside code the decoder reads along: it knows which part of an instruction comes next, and the displacement of a
//! call or of an operand is coded as the address that it leads to, so that all calls of one function look alike.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    account::Made,
    bytes::{Bytes, fold},
    coder::Coder,
    content::{Content, PARTS, part_of},
    field::Form,
    recall::Recall,
    x86_64::{Field, Parsed, Role, parse},
};

/// Bytes of the new file that are kept to read along.
pub(crate) const TAIL: usize = 64;

/// Where a run of extra bytes stands.
pub(crate) struct Run<'a> {
    /// What the old file held at the end of the match before.
    pub(crate) content: Content,
    /// Place of the first byte in the new file.
    pub(crate) offset: u64,
    /// Its address.
    pub(crate) address: u64,
    /// The bytes themselves: known to the encoder, empty in the decoder.
    pub(crate) truth: &'a [u8],
    /// How many there are.
    pub(crate) len: usize,
}

impl Run<'_> {
    fn byte(&self, index: usize) -> u8 {
        self.truth.get(index).copied().unwrap_or(0)
    }

    fn made(&self, index: usize, len: u64) -> Made {
        Made::Extra { offset: self.offset.wrapping_add(index as u64), len }
    }
}

/// The models.
pub(crate) struct Extra {
    code: Bytes<4>,
    words: Bytes<3>,
    data: Bytes<4>,
    /// Displacements that stay near, and addresses of calls and operands.
    near: Bytes<3>,
    far: Bytes<4>,
    /// The last address of each kind.
    last: [u32; 2],
    /// Whole instructions of aarch64.
    whole: Recall,
}

/// Logarithm of the number of slots of the largest model for so many extra bytes: about one each.
fn log(size: u64) -> u8 {
    let covering = size.checked_next_power_of_two().map_or(63, u64::trailing_zeros) as u8;
    covering.clamp(9, 19)
}

/// Logarithm of the number of slots of the others.
fn log_small(size: u64) -> u8 {
    log(size).saturating_sub(3)
}

/// Sets of weights of the models of code and words.
const CODE_SETS: usize = PARTS;
/// Sets of weights of the model of data: one for each place in eight bytes.
const DATA_SETS: usize = 8;
/// Sets of weights of the models of fields.
const FIELD_SETS: usize = 4;

impl Extra {
    /// Bytes that the models for so many extra bytes allocate.
    pub(crate) fn memory(size: u64) -> u64 {
        [
            // One of the two models of code is of the least size.
            Bytes::<4>::memory(log(size), CODE_SETS),
            Bytes::<4>::memory(4, CODE_SETS),
            Bytes::<4>::memory(log_small(size), DATA_SETS),
            Bytes::<3>::memory(log_small(size), FIELD_SETS),
            Bytes::<4>::memory(log_small(size), FIELD_SETS),
            Recall::memory(log_small(size), 1),
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// Models for so many extra bytes; `words` says whether there is aarch64 code.
    pub(crate) fn new(size: u64, words: bool) -> Self {
        let (code, words, whole) = if words { (4, log(size), log_small(size)) } else { (log(size), 4, 4) };
        Self {
            code: Bytes::new(code, CODE_SETS),
            words: Bytes::new(words, CODE_SETS),
            data: Bytes::new(log_small(size), DATA_SETS),
            near: Bytes::new(log_small(size), FIELD_SETS),
            far: Bytes::new(log_small(size), FIELD_SETS),
            last: [0; 2],
            whole: Recall::new(whole, 1, 1),
        }
    }

    /// Appends the bytes of `run` to `tail`, which holds what stands before them.
    pub(crate) fn code(&mut self, coder: &mut impl Coder, run: &Run<'_>, tail: &mut Vec<u8>) {
        match run.content {
            Content::X86_64 => self.code_x86_64(coder, run, tail),
            Content::Aarch64 => self.code_aarch64(coder, run, tail),
            Content::Data(rule) => self.code_data(coder, run, rule.into(), tail),
        }
    }

    fn code_data(&mut self, coder: &mut impl Coder, run: &Run<'_>, rule: u32, out: &mut Vec<u8>) {
        for index in 0..run.len {
            let column = run.address.wrapping_add(index as u64) as u32 & 7;
            let eight = back(out, 8);
            let contexts = [
                hash_back(out, 1),
                fold(fold(back(out, 4), eight), fold(rule, 100 | column & 3)),
                hash_back(out, 2),
                fold(hash_back(out, 4), 4),
            ];
            let byte = self.data.code(coder, &contexts, column as usize, run.byte(index));
            coder.book(run.made(index, 1));
            out.push(byte);
        }
    }

    fn code_x86_64(&mut self, coder: &mut impl Coder, run: &Run<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        let end = start.saturating_add(run.len);
        // Fall into step with the instructions before.
        let mut at = 0_usize;
        // The last instructions: opcode, and the first byte above it.
        let mut opcodes = [0_u32; 3];
        while out.len() < end {
            let here = out.len();
            let rest = out.get(at..).unwrap_or_default();
            let (role, opcode, field, len) = match parse(rest.get(..15).unwrap_or(rest)) {
                Parsed::Whole(shape) => {
                    let first = rest.first().copied().unwrap_or(0);
                    let name = u32::from(shape.opcode) | u32::from(first) << 16;
                    opcodes = [name, opcodes[0], opcodes[1]];
                    at = at.saturating_add(shape.len);
                    continue;
                }
                Parsed::Partial { role, opcode, field, len } => (role, u32::from(opcode), field, len),
            };
            let index = here.wrapping_sub(start);
            if let (Role::Displacement(0), Some((_, field))) = (role, field)
                && matches!(field, Field::Call | Field::Operand | Field::Jump | Field::Condition)
                && end.wrapping_sub(here) >= 4
            {
                let after = at.saturating_add(len) as u64;
                let after = run.address.wrapping_add(after).wrapping_sub(start as u64) as u32;
                let raw = u32::from_le_bytes([0, 1, 2, 3].map(|byte| run.byte(index.wrapping_add(byte))));
                let before = fold(opcode | back(out, 1) << 16, 77);
                let value = self.code_field(coder, field, opcodes[0], before, after, raw);
                coder.book(run.made(index, 4));
                out.extend(value.to_le_bytes());
                continue;
            }
            let part = part_of(role);
            let inside = rest.iter().fold(0, |hash, byte| fold(hash, u32::from(*byte).wrapping_add(1)));
            let one = fold(inside, opcodes[0]);
            let three = fold(fold(one, opcodes[1]), opcodes[2]);
            let contexts = [fold(opcode, 100 | part << 8), fold(inside, part), fold(one, 1), fold(three, 3)];
            let byte = self.code.code(coder, &contexts, part as usize, run.byte(index));
            coder.book(run.made(index, 1));
            out.push(byte);
        }
    }

    /// Codes a displacement of four bytes that counts from `after`, from its top byte down.
    fn code_field(
        &mut self,
        coder: &mut impl Coder,
        field: Field,
        opcode: u32,
        before: u32,
        after: u32,
        raw: u32,
    ) -> u32 {
        let which = match field {
            Field::Call => 0,
            Field::Operand => 1,
            Field::Jump => 2,
            _ => 3,
        };
        let mut done = 0_u32;
        if let Some(last) = self.last.get_mut(which) {
            let referent = after.wrapping_add(raw);
            for (level, byte) in referent.to_be_bytes().into_iter().enumerate() {
                let own = fold(done, which as u32 | (level as u32) << 8);
                let contexts = [own, fold(own, opcode), fold(own, *last), fold(own, before)];
                done = done << 8 | u32::from(self.far.code(coder, &contexts, which, byte));
            }
            *last = done;
            done.wrapping_sub(after)
        } else {
            for (level, byte) in raw.to_be_bytes().into_iter().enumerate() {
                let own = fold(done, which as u32 | (level as u32) << 8);
                let contexts = [own, fold(own, opcode), fold(own, before)];
                done = done << 8 | u32::from(self.near.code(coder, &contexts, which, byte));
            }
            done
        }
    }

    /// Words are coded from their top byte down: the opcode comes first, then registers and immediates.
    fn code_aarch64(&mut self, coder: &mut impl Coder, run: &Run<'_>, out: &mut Vec<u8>) {
        let mut index = 0_usize;
        while index < run.len {
            let address = run.address.wrapping_add(index as u64);
            let before = [4, 8].map(|distance| word_back(out, distance));
            if address & 3 != 0 || run.len.wrapping_sub(index) < 4 {
                let contexts = [1, 2, 3].map(|order| fold(hash_back(out, order), 900 | order as u32));
                let byte = self.words.code(coder, &contexts, 15, run.byte(index));
                coder.book(run.made(index, 1));
                out.push(byte);
                index = index.wrapping_add(1);
                continue;
            }
            let raw = u32::from_le_bytes([0, 1, 2, 3].map(|byte| run.byte(index.wrapping_add(byte))));
            let word = absolute(raw, address, true);
            let [one, two] = before;
            let answer = self.whole.look_up([fold(fold(one, two), 1), fold(one, 2)]);
            let word = self.whole.code(coder, &answer, 0, word).unwrap_or_else(|| {
                let mut done = 1_u32;
                for (level, byte) in word.to_be_bytes().into_iter().enumerate() {
                    let own = fold(done, level as u32);
                    let top = |word: u32| word >> 21;
                    let pair = fold(top(one), top(two));
                    let contexts = [own, fold(own, pair), fold(own, fold(one, 1))];
                    let byte = self.words.code(coder, &contexts, level, byte);
                    done = done << 8 | u32::from(byte);
                }
                done
            });
            self.whole.learn(&answer, word);
            coder.book(run.made(index, 4));
            out.extend(absolute(word, address, false).to_le_bytes());
            index = index.wrapping_add(4);
        }
    }
}

/// BL with the word it calls instead of the distance to it, and ADRP with the page; or back.
fn absolute(word: u32, address: u64, forth: bool) -> u32 {
    let (form, here) = if word & 0xFC00_0000 == 0x9400_0000 {
        (Form::Branch26, address >> 2)
    } else if word & 0x9F00_0000 == 0x9000_0000 {
        (Form::Page, address >> 12)
    } else {
        return word;
    };
    let mut field = word.to_le_bytes();
    let value = form.read(&field);
    let value = if forth { value.wrapping_add(here) } else { value.wrapping_sub(here) };
    form.write(&mut field, value & form.mask());
    u32::from_le_bytes(field)
}

/// The byte so far back, 1 being the last.
fn back(out: &[u8], distance: usize) -> u32 {
    out.len().checked_sub(distance).and_then(|index| out.get(index)).map_or(0, |byte| u32::from(*byte))
}

/// The word that begins so far back.
fn word_back(out: &[u8], distance: usize) -> u32 {
    let start = out.len().wrapping_sub(distance);
    let bytes = out.get(start..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// The last `count` bytes as one number.
fn hash_back(out: &[u8], count: usize) -> u32 {
    (1..=count).fold(count as u32, |hash, distance| fold(hash, back(out, distance)))
}
