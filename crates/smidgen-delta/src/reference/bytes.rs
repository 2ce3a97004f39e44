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
            *hash = hash.wrapping_add((index as u32).wrapping_mul(0x1234_5677)).wrapping_mul(0x85EB_CA6B);
            *hash = (*hash ^ *hash >> 15).wrapping_mul(0x9E37_79B1);
            *hash ^= *hash >> 15;
        }
        let [.., second, first] = hashes.as_slice() else {
            return 0;
        };
        let answer = self.recall.look_up([*first, *second]);
        let known = self.nibbles.look_up(&hashes);
        let byte = match self.recall.code(coder, &answer, set, byte.into()) {
            Some(known) => known as u8,
            None => {
                let high = self.nibbles.code(coder, &known, set << 1, usize::from(byte >> 4));
                below(&mut hashes, high);
                let known = self.nibbles.look_up(&hashes);
                let low = self.nibbles.code(coder, &known, set << 1 | 1, usize::from(byte & 15));
                (high << 4 | low) as u8
            }
        };
        self.recall.learn(&answer, byte.into());
        byte
    }
}

/// Makes contexts of a byte those of its lower half, below this upper one. Their slots lie within the same 4 KiB, so that
/// the processor translates one address for both.
#[inline]
fn below<const N: usize>(hashes: &mut [u32; N], high: usize) {
    let node = (high as u32).wrapping_add(1).wrapping_mul(0x9E37_79B1) & 0xFF00_007F;
    for hash in hashes {
        *hash ^= node;
    }
}
