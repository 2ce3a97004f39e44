//! Extra: bytes of the new file that no match explains, guessed from what stands before them.
//!
//! Inside code the decoder reads along: it knows which part of an instruction comes next, and the displacement of a
//! call or of an operand is coded as the address that it leads to, so that all calls of one function look alike. An
//! instruction that came before in the same place is recalled as a whole.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod aarch64;
mod address;
mod x86_64;

pub(crate) use self::{aarch64::absolute, x86_64::is_address};
use self::{address::Addresses, x86_64::Instruction};
use super::{
    account::Made,
    bytes::{Bytes, Contexts, Effort, fold},
    coder::Coder,
    content::{Content, PARTS},
    recall::Recall,
};

/// Bytes of the new file that are kept to read along.
pub(crate) const TAIL: usize = 32;

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
    /// A byte of the truth.
    pub(crate) fn byte(&self, index: usize) -> u8 {
        self.truth.get(index).copied().unwrap_or(0)
    }

    fn made(&self, index: usize, len: u64) -> Made {
        Made::Extra { offset: self.offset.wrapping_add(index as u64), len }
    }
}

/// The models.
pub(crate) struct Extra {
    /// Whole instructions of x86-64, as far as eight bytes hold them.
    instructions: Recall<Instruction>,
    /// Whole instructions of aarch64.
    words: Recall<u32>,
    code: Bytes,
    data: Bytes,
    addresses: Addresses,
}

/// How large the models for so many extra bytes are.
#[derive(Clone, Copy)]
struct Work {
    /// Logarithm of the number of slots of the largest model: about one for each byte, within bounds that keep the models
    /// close to the processor.
    log: u8,
}

impl Work {
    fn new(size: u64) -> Self {
        let covering = size.checked_next_power_of_two().map_or(63, u64::trailing_zeros) as u8;
        Self { log: covering.clamp(9, 15) }
    }

    /// For bytes of code: what came last is asked about at once.
    fn code(self) -> Effort {
        Effort { log: self.log, trust: 1 }
    }

    /// For the other models of bytes.
    fn others(self) -> Effort {
        Effort { log: self.log.saturating_sub(1), trust: 2 }
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

impl Extra {
    /// Bytes that the models for `size` extra bytes allocate.
    pub(crate) fn memory(size: u64) -> u64 {
        let work = Work::new(size);
        [
            // One of the two memories of instructions is of the least size.
            Recall::<Instruction>::memory(work.instructions(), 1),
            Recall::<u32>::memory(LEAST, 1),
            Bytes::memory(work.code(), CODE_SETS),
            Bytes::memory(work.others(), DATA_SETS),
            Addresses::memory(work.others()),
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// Models for `size` extra bytes; `words` says whether there is aarch64 code.
    pub(crate) fn new(size: u64, words: bool) -> Self {
        let work = Work::new(size);
        let (instructions, words) =
            if words { (LEAST, work.instructions()) } else { (work.instructions(), LEAST) };
        Self {
            instructions: Recall::new(instructions, 1, 1),
            words: Recall::new(words, 1, 1),
            code: Bytes::new(work.code(), CODE_SETS),
            data: Bytes::new(work.others(), DATA_SETS),
            addresses: Addresses::new(work.others()),
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
}

/// The byte so far back, 1 being the last.
fn back(out: &[u8], distance: usize) -> u32 {
    out.len().checked_sub(distance).and_then(|index| out.get(index)).map_or(0, |byte| u32::from(*byte))
}

/// The last `count` bytes as one number.
fn hash_back(out: &[u8], count: usize) -> u32 {
    (1..=count).fold(count as u32, |hash, distance| fold(hash, back(out, distance)))
}
