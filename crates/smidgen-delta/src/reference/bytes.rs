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
    /// In which its halves are coded: the broader first.
    pub(crate) halves: [u32; 2],
}

/// A model of bytes.
pub(crate) struct Bytes {
    recall: Recall<u8>,
    nibbles: Nibbles,
}

/// How large a model is, and what it trusts.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Logarithm of the number of slots.
    pub(crate) log: u8,
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
            nibbles: Nibbles::new(effort.log, sets),
        }
    }

    /// Bytes that a model with `sets` sets of weights allocates.
    pub(crate) const fn memory(effort: Effort, sets: usize) -> u64 {
        let recall = Recall::<u8>::memory(recall_log(effort.log), sets);
        recall.saturating_add(Nibbles::memory(effort.log, sets))
    }

    /// Codes one byte in these contexts with models of `set`.
    #[inline]
    pub(crate) fn code(&mut self, coder: &mut impl Coder, contexts: &Contexts, set: usize, byte: u8) -> u8 {
        let answer = self.recall.look_up(contexts.recall);
        let byte = match self.recall.code(coder, &answer, set, byte) {
            Some(known) => known,
            None => self.nibbles.code(coder, contexts.halves, set, byte),
        };
        self.recall.learn(&answer, byte);
        byte
    }
}
