//! Extra: bytes of the new file that no match explains, guessed from what stands before them.
//!
//! Inside code the decoder reads along: it knows which part of an instruction comes next, and the displacement of a
//! call or of an operand is coded as the address that it leads to, so that all calls of one function look alike. An
//! instruction that came before in the same place is recalled as a whole.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    account::Made,
    bytes::{Bytes, Contexts, Effort, fold},
    coder::Coder,
    content::{Content, PARTS, part_of},
    field::Form,
    recall::{Answer, Recall},
    x86_64::{Field, Parsed, Role, Shape, parse},
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
    /// Whole instructions of x86-64, as far as eight bytes hold them.
    instructions: Recall<u64>,
    /// Whole instructions of aarch64.
    words: Recall<u32>,
    code: Bytes,
    data: Bytes,
    /// Displacements that stay near, and addresses of calls and operands.
    near: Bytes,
    far: Bytes,
    /// The last address of each kind.
    last: [u32; 2],
}

/// Extra is much of a file if it is more than this part of it.
const MUCH: u64 = 4;

/// How much work the models for `size` extra bytes of a new file do. Where extra is much of the file, bytes are coded in
/// fewer contexts, kept close to the processor: applying costs no more per byte of the new file than elsewhere.
#[derive(Clone, Copy)]
struct Work {
    /// Logarithm of the number of slots of the largest model: about one for each byte, within bounds.
    log: u8,
    /// Whether bytes are coded in all contexts.
    all: bool,
}

impl Work {
    fn new(size: u64, new_size: u64) -> Self {
        let all = size <= new_size.wrapping_div(MUCH);
        let covering = size.checked_next_power_of_two().map_or(63, u64::trailing_zeros) as u8;
        Self { log: covering.clamp(9, if all { 15 } else { 12 }), all }
    }

    /// For bytes of code: what came last is asked about at once.
    fn code(self) -> Effort {
        Effort { log: self.log, both: self.all, trust: 1 }
    }

    /// For the other models of bytes.
    fn others(self) -> Effort {
        Effort { log: self.log.saturating_sub(1), both: self.all, trust: 2 }
    }

    /// Logarithm of the number of instructions that are remembered.
    fn instructions(self) -> u8 {
        self.log.saturating_add(1)
    }
}

/// Logarithm of the size of a memory that is not needed.
const LEAST: u8 = 4;

/// Sets of models of code: by part of an instruction.
const CODE_SETS: usize = PARTS;
/// Sets of models of data: one for each place in eight bytes.
const DATA_SETS: usize = 8;
/// Sets of models of fields.
const FIELD_SETS: usize = 4;

impl Extra {
    /// Bytes that the models for `size` extra bytes of a new file of `new_size` allocate.
    pub(crate) fn memory(size: u64, new_size: u64) -> u64 {
        let work = Work::new(size, new_size);
        [
            // One of the two memories of instructions is of the least size.
            Recall::<u64>::memory(work.instructions(), 1),
            Recall::<u32>::memory(LEAST, 1),
            Bytes::memory(work.code(), CODE_SETS),
            Bytes::memory(work.others(), DATA_SETS),
            Bytes::memory(work.others(), FIELD_SETS),
            Bytes::memory(work.others(), FIELD_SETS),
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// Models for `size` extra bytes of a new file of `new_size`; `words` says whether there is aarch64 code.
    pub(crate) fn new(size: u64, new_size: u64, words: bool) -> Self {
        let work = Work::new(size, new_size);
        let (instructions, words) =
            if words { (LEAST, work.instructions()) } else { (work.instructions(), LEAST) };
        Self {
            instructions: Recall::new(instructions, 1, 1),
            words: Recall::new(words, 1, 1),
            code: Bytes::new(work.code(), CODE_SETS),
            data: Bytes::new(work.others(), DATA_SETS),
            near: Bytes::new(work.others(), FIELD_SETS),
            far: Bytes::new(work.others(), FIELD_SETS),
            last: [0; 2],
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
            let table = fold(fold(back(out, 4), eight), fold(rule, 100 | column & 3));
            let contexts = Contexts {
                recall: [fold(hash_back(out, 4), 4), table],
                halves: [fold(hash_back(out, 1), rule), fold(table, 5)],
            };
            let byte = self.data.code(coder, &contexts, column as usize, run.byte(index));
            coder.book(run.made(index, 1));
            out.push(byte);
        }
    }

    fn code_x86_64(&mut self, coder: &mut impl Coder, run: &Run<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        let end = start.saturating_add(run.len);
        let address = |at: usize| run.address.wrapping_add(at as u64).wrapping_sub(start as u64);
        // Fall into step with the instructions before.
        let mut at = 0_usize;
        let mut last = Last::default();
        while let Some((shape, code)) = whole(out, at) {
            last.push(Instruction::new(code, &shape, address(at)));
            at = at.saturating_add(shape.len);
        }
        while out.len() < end {
            let answer = self.instructions.look_up(last.contexts());
            if at == out.len()
                && let Some(instruction) = self.recall_instruction(
                    coder,
                    &answer,
                    run,
                    out.len().wrapping_sub(start),
                    address(at),
                    out,
                )
            {
                at = out.len();
                last.push(instruction);
                continue;
            }
            let Some(shape) = self.spell_instruction(coder, run, &last, start, at, out) else {
                return;
            };
            let code = out.get(at..).unwrap_or_default();
            let instruction = Instruction::new(code.get(..shape.len).unwrap_or(code), &shape, address(at));
            if shape.len <= Instruction::HELD {
                self.instructions.learn(&answer, instruction.code);
            }
            last.push(instruction);
            at = at.saturating_add(shape.len);
        }
    }

    /// Codes whether the instruction that last came in this context comes again, and if so, appends it.
    #[inline]
    fn recall_instruction(
        &mut self,
        coder: &mut impl Coder,
        answer: &Answer<u64>,
        run: &Run<'_>,
        index: usize,
        address: u64,
        out: &mut Vec<u8>,
    ) -> Option<Instruction> {
        let guess = self.instructions.guess(answer, 0)?;
        let code = guess.value.to_le_bytes();
        let Parsed::Whole(shape) = parse(&code) else {
            return None;
        };
        if shape.len > run.len.wrapping_sub(index) {
            return None;
        }
        let bytes = relative(code, &shape, address);
        let bytes = bytes.get(..shape.len)?;
        let right = run.truth.get(index..index.saturating_add(shape.len)) == Some(bytes);
        if !self.instructions.confirm(coder, &guess, right) {
            return None;
        }
        out.extend(bytes);
        coder.book(run.made(index, shape.len as u64));
        self.instructions.learn(answer, guess.value);
        Some(Instruction { name: name(bytes, &shape), code: guess.value })
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
    ) -> Option<Shape> {
        let end = start.saturating_add(run.len);
        let [before, second, third] = last.names();
        let (after_one, after_three) = (fold(before, 1), fold(fold(fold(before, second), third), 3));
        let mut inside = out.get(at..).unwrap_or_default().iter().fold(0, spelled);
        loop {
            let (role, opcode, field, len) = match out.get(at..).unwrap_or_default() {
                // Nothing to parse yet.
                [] => (Role::Opcode, 0, None, 0),
                begun => match parse(begun) {
                    Parsed::Whole(shape) => return Some(shape),
                    Parsed::Partial { role, opcode, field, len } => (role, opcode, field, len),
                },
            };
            let index = out.len().wrapping_sub(start);
            // How many bytes of this role come.
            let rest = at.wrapping_add(len).wrapping_sub(out.len());
            let count = match (role, field) {
                (Role::Displacement(0), Some((_, kind)))
                    if is_address(kind) && run.len.wrapping_sub(index) >= 4 =>
                {
                    let after =
                        run.address.wrapping_add((at.wrapping_add(len)) as u64).wrapping_sub(start as u64);
                    let raw = u32::from_le_bytes([0, 1, 2, 3].map(|byte| run.byte(index.wrapping_add(byte))));
                    let context = fold(u32::from(opcode) | back(out, 1) << 16, 77);
                    let value = self.code_field(coder, kind, before, context, after as u32, raw);
                    coder.book(run.made(index, 4));
                    out.extend(value.to_le_bytes());
                    inside = fold(inside, value);
                    0
                }
                (Role::Displacement(done), Some((_, kind))) => kind.len().saturating_sub(done.into()),
                (Role::Displacement(_) | Role::Immediate(_), _) => rest,
                _ => 1,
            };
            for nth in 0..count {
                if out.len() >= end {
                    return None;
                }
                let part = part_of(role.later(nth as u8));
                let one = inside.wrapping_add(after_one);
                let contexts = Contexts {
                    recall: [inside.wrapping_add(after_three), one],
                    halves: [fold(opcode.into(), 100 | part << 8), fold(one, 2)],
                };
                let index = out.len().wrapping_sub(start);
                let byte = self.code.code(coder, &contexts, part as usize, run.byte(index));
                coder.book(run.made(index, 1));
                out.push(byte);
                inside = spelled(inside, &byte);
            }
            if len > 0 && at.wrapping_add(len) == out.len() {
                return Some(Shape { len, opcode, field });
            }
            if out.len() >= end {
                return None;
            }
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
                let contexts = Contexts {
                    recall: [fold(own, before), fold(own, opcode)],
                    halves: [own, fold(own, before)],
                };
                done = done << 8 | u32::from(self.far.code(coder, &contexts, which, byte));
            }
            *last = done;
            done.wrapping_sub(after)
        } else {
            for (level, byte) in raw.to_be_bytes().into_iter().enumerate() {
                let own = fold(done, which as u32 | (level as u32) << 8);
                let contexts = Contexts {
                    recall: [fold(own, before), fold(own, opcode)],
                    halves: [own, fold(own, before)],
                };
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
                let [one, two, three] =
                    [1, 2, 3].map(|order| fold(hash_back(out, order), 900 | order as u32));
                let contexts = Contexts { recall: [three, two], halves: [one, two] };
                let byte = self.code.code(coder, &contexts, 15, run.byte(index));
                coder.book(run.made(index, 1));
                out.push(byte);
                index = index.wrapping_add(1);
                continue;
            }
            let raw = u32::from_le_bytes([0, 1, 2, 3].map(|byte| run.byte(index.wrapping_add(byte))));
            let word = absolute(raw, address, true);
            let [one, two] = before;
            let answer = self.words.look_up([fold(fold(one, two), 1), fold(one, 2)]);
            let word = self.words.code(coder, &answer, 0, word).unwrap_or_else(|| {
                let mut done = 1_u32;
                for (level, byte) in word.to_be_bytes().into_iter().enumerate() {
                    let own = fold(done, level as u32);
                    let top = |word: u32| word >> 21;
                    let pair = fold(top(one), top(two));
                    let contexts = Contexts {
                        recall: [fold(own, fold(one, 1)), fold(own, pair)],
                        halves: [own, fold(own, pair)],
                    };
                    let byte = self.code.code(coder, &contexts, level, byte);
                    done = done << 8 | u32::from(byte);
                }
                done
            });
            self.words.learn(&answer, word);
            coder.book(run.made(index, 4));
            out.extend(absolute(word, address, false).to_le_bytes());
            index = index.wrapping_add(4);
        }
    }
}

/// What contexts need of an instruction.
#[derive(Clone, Copy, Default)]
struct Instruction {
    /// Opcode and first byte.
    name: u32,
    /// Its bytes, an address instead of a displacement; of longer ones than [`HELD`](Self::HELD), a number that tells
    /// them apart.
    code: u64,
}

impl Instruction {
    /// Bytes that `code` holds.
    const HELD: usize = 8;

    /// Of the instruction `bytes` at `address`.
    fn new(bytes: &[u8], shape: &Shape, address: u64) -> Self {
        let mut code = [0; 16];
        for (code, byte) in code.iter_mut().zip(bytes) {
            *code = *byte;
        }
        shift(&mut code, shape, address.wrapping_add(shape.len as u64) as u32);
        let [low, high] = [0, 8].map(|at| {
            u64::from_le_bytes(
                code.get(at..).and_then(|half| half.first_chunk()).copied().unwrap_or_default(),
            )
        });
        Self { name: name(bytes, shape), code: low ^ high.wrapping_mul(0x9E37_79B9_7F4A_7C15) }
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
        self.0.map(|instruction| instruction.name)
    }

    /// Contexts of the next instruction as a whole, the more telling first.
    fn contexts(&self) -> [u32; 2] {
        let [one, two, _] =
            self.0.map(|instruction| (instruction.code.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32);
        [fold(fold(one, two), 1), fold(one, 2)]
    }
}

/// The instruction that starts at `at`, if it is there to its end.
fn whole(code: &[u8], at: usize) -> Option<(Shape, &[u8])> {
    let rest = code.get(at..)?;
    match parse(rest) {
        Parsed::Whole(shape) => Some((shape, rest.get(..shape.len)?)),
        Parsed::Partial { .. } => None,
    }
}

fn name(bytes: &[u8], shape: &Shape) -> u32 {
    u32::from(shape.opcode) | u32::from(bytes.first().copied().unwrap_or(0)) << 16
}

/// One more byte of an instruction folded into those before it.
fn spelled(inside: u32, byte: &u8) -> u32 {
    fold(inside, u32::from(*byte).wrapping_add(1))
}

/// Whether the field leads to an address that other instructions lead to as well.
fn is_address(field: Field) -> bool {
    matches!(field, Field::Call | Field::Operand | Field::Jump | Field::Condition)
}

/// Adds `by` to the displacement that leads to an address, if there is one.
fn shift(code: &mut [u8], shape: &Shape, by: u32) {
    if let Some((at, field)) = shape.field
        && is_address(field)
        && let Some(field) = code.get_mut(at..).and_then(|rest| rest.first_chunk_mut())
    {
        *field = u32::from_le_bytes(*field).wrapping_add(by).to_le_bytes();
    }
}

/// The bytes at `address` of an instruction with an address instead of a displacement.
fn relative(mut code: [u8; 8], shape: &Shape, address: u64) -> [u8; 8] {
    shift(&mut code, shape, (address.wrapping_add(shape.len as u64) as u32).wrapping_neg());
    code
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
