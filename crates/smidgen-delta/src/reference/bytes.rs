//! A model of bytes: what came last in the two most telling contexts, else two halves in fewer and broader ones.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{coder::Coder, nibbles::Nibbles, recall::Recall};

/// Folds `b` into the context `a`.
#[inline]
pub(crate) const fn fold(a: u32, b: u32) -> u32 {
    (a ^ b.wrapping_mul(0x9E37_79B1)).wrapping_mul(0x85EB_CA6B).rotate_left(13).wrapping_add(b)
}

/// The contexts of a byte.
pub(crate) struct Contexts {
    /// In which it may be what came last, the more telling first.
    pub(crate) recall: [u32; 2],
    /// In which its halves are coded: the broader first, which is the only one of a model that must be fast.
    pub(crate) halves: [u32; 2],
}

/// A model of bytes.
pub(crate) struct Bytes {
    recall: Recall<u8>,
    nibbles: Nibbles,
}

/// How large a model is, and how much work it does.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Logarithm of the number of slots.
    pub(crate) log: u8,
    /// Whether halves are coded in both contexts.
    pub(crate) both: bool,
    /// How often a byte must have come before it is asked about.
    pub(crate) trust: u8,
}

/// Contexts of [`Recall`] for a model of `2^log` slots: they take half of the room.
const fn recall_log(log: u8) -> u8 {
    log.saturating_add(2)
}

impl Bytes {
    /// A model with `sets` sets of weights.
    pub(crate) fn new(effort: Effort, sets: usize) -> Self {
        Self {
            recall: Recall::new(recall_log(effort.log), sets, effort.trust),
            nibbles: Nibbles::new(effort.log, effort.both, sets.saturating_mul(2)),
        }
    }

    /// Bytes that a model with `sets` sets of weights allocates.
    pub(crate) const fn memory(effort: Effort, sets: usize) -> u64 {
        let recall = Recall::<u8>::memory(recall_log(effort.log), sets);
        recall.saturating_add(Nibbles::memory(effort.log, sets.saturating_mul(2)))
    }

    /// Codes one byte in these contexts with models of `set`.
    #[inline]
    pub(crate) fn code(&mut self, coder: &mut impl Coder, contexts: &Contexts, set: usize, byte: u8) -> u8 {
        let answer = self.recall.look_up(contexts.recall);
        let byte = match self.recall.code(coder, &answer, set, byte) {
            Some(known) => known,
            None => self.spell(coder, contexts.halves, set, byte),
        };
        self.recall.learn(&answer, byte);
        byte
    }

    /// Codes a byte half by half.
    #[inline]
    fn spell(&mut self, coder: &mut impl Coder, contexts: [u32; 2], set: usize, byte: u8) -> u8 {
        let [first, second] = contexts;
        let first = spread(first);
        // A model of one context needs no other.
        let second = if self.nibbles.both() { spread(second.wrapping_add(0x1234_5677)) } else { first };
        let hashes = [first, second];
        let high = self.nibbles.code(coder, hashes, set << 1, usize::from(byte >> 4));
        let hashes = below(hashes, high);
        let low = self.nibbles.code(coder, hashes, set << 1 | 1, usize::from(byte & 15));
        (high << 4 | low) as u8
    }
}

/// Spreads a context over all bits.
#[inline]
fn spread(context: u32) -> u32 {
    let hash = context.wrapping_mul(0x85EB_CA6B);
    let hash = (hash ^ hash >> 15).wrapping_mul(0x9E37_79B1);
    hash ^ hash >> 15
}

/// Makes contexts of a byte those of its lower half, below this upper one. Their slots lie within the same 4 KiB, so that
/// the processor translates one address for both.
#[inline]
fn below(hashes: [u32; 2], high: usize) -> [u32; 2] {
    let node = (high as u32).wrapping_add(1).wrapping_mul(0x9E37_79B1) & 0xFF00_007F;
    hashes.map(|hash| hash ^ node)
}
