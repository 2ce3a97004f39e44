//! A model of bytes: what came last in the most telling contexts, else two halves, each in all contexts.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{coder::Coder, nibbles::Nibbles, recall::Recall};

/// Folds `b` into the context `a`.
#[inline]
pub(crate) const fn fold(a: u32, b: u32) -> u32 {
    (a ^ b.wrapping_mul(0x9E37_79B1)).wrapping_mul(0x85EB_CA6B).rotate_left(13).wrapping_add(b)
}

/// How often a byte must have come before it is asked about.
const TRUST: u32 = 2;

/// A model of bytes in `N` contexts, at least three.
pub(crate) struct Bytes<const N: usize> {
    recall: Recall,
    nibbles: Nibbles<N>,
}

/// Contexts of [`Recall`] for a model of `2^log` slots: half as many.
const fn recall_log(log: u8) -> u8 {
    log.saturating_sub(1)
}

impl<const N: usize> Bytes<N> {
    /// A model of `2^log` slots and `sets` sets of weights.
    pub(crate) fn new(log: u8, sets: usize) -> Self {
        Self {
            recall: Recall::new(recall_log(log), sets, TRUST),
            nibbles: Nibbles::new(log, sets.saturating_mul(2)),
        }
    }

    /// Bytes that a model of `2^log` slots allocates.
    pub(crate) const fn memory(log: u8, sets: usize) -> u64 {
        let recall = Recall::memory(recall_log(log), sets);
        recall.saturating_add(Nibbles::<N>::memory(log, sets.saturating_mul(2)))
    }

    /// Codes one byte in these contexts, the most telling last, with models of `set`.
    #[inline]
    pub(crate) fn code(&mut self, coder: &mut impl Coder, contexts: &[u32; N], set: usize, byte: u8) -> u8 {
        let mut hashes = *contexts;
        for (index, hash) in hashes.iter_mut().enumerate() {
            *hash = hash.wrapping_add((index as u32).wrapping_mul(0x1234_5677)).wrapping_mul(0x9E37_79B1);
        }
        let [.., second, first] = hashes.as_slice() else {
            return 0;
        };
        let answer = self.recall.look_up([*first, *second]);
        let byte = match self.recall.code(coder, &answer, set, byte.into()) {
            Some(known) => known as u8,
            None => {
                let high = self.half(coder, &hashes, 0, set << 1, usize::from(byte >> 4));
                let low =
                    self.half(coder, &hashes, high.wrapping_add(1), set << 1 | 1, usize::from(byte & 15));
                (high << 4 | low) as u8
            }
        };
        self.recall.learn(&answer, byte.into());
        byte
    }

    /// Codes four bits; `node` is 0 for the upper half, and one more than the upper half for the lower.
    #[inline]
    fn half(
        &mut self,
        coder: &mut impl Coder,
        hashes: &[u32; N],
        node: usize,
        set: usize,
        half: usize,
    ) -> usize {
        let node = (node as u32).wrapping_mul(0x2545_F491) >> 7;
        let mut hashes = *hashes;
        for hash in &mut hashes {
            *hash = (*hash ^ node).wrapping_mul(0x85EB_CA6B);
            *hash ^= *hash >> 15;
        }
        self.nibbles.code(coder, &hashes, set, half)
    }
}
