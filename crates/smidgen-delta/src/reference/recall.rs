//! What came last in a context: where it came often enough, one bit says that it comes again.
//!
//! Most bytes of code are no surprise. Symbol ranking (Fenwick 1996) settles them with a single well-predicted bit, before
//! any model that weighs alternatives is asked.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{coder::Coder, model::Bit};

/// What was seen in a context: the value, part of the context's hash (so that another context does not pass for this
/// one), and how often in a row.
#[derive(Clone, Copy, Default)]
struct Seen {
    value: u32,
    /// The upper 24 bits of the hash, and the count in the lowest eight.
    mark: u32,
}

impl Seen {
    fn count(self) -> u32 {
        self.mark & 0xFF
    }

    /// How often it was seen in the context of this hash.
    fn count_for(self, hash: u32) -> u32 {
        if (self.mark ^ hash) >> 8 == 0 { self.count() } else { 0 }
    }
}

/// A table of what came last, and how far it can be trusted.
pub(crate) struct Recall {
    seen: Vec<Seen>,
    flags: Vec<Bit>,
    /// How often a value must have come before it is asked about.
    trust: u32,
}

/// Models of the bit for each set: which of the two contexts answers, what the other one says, how often it was right.
const FLAGS: usize = 2 * 4 * 8;

/// Spreads a context over all bits.
#[inline]
fn spread(context: u32) -> u32 {
    let hash = context.wrapping_mul(0x85EB_CA6B);
    hash ^ hash >> 15
}

/// The answer of two contexts.
pub(crate) struct Answer {
    hashes: [u32; 2],
    seen: [Seen; 2],
}

impl Recall {
    /// A table of `2^log` contexts with `sets` sets of models.
    pub(crate) fn new(log: u8, sets: usize, trust: u32) -> Self {
        Self {
            seen: vec![Seen::default(); 1_usize << log.clamp(4, 30)],
            flags: vec![Bit::expecting(58_000, 2); sets.saturating_mul(FLAGS)],
            trust,
        }
    }

    /// Bytes that a table of `2^log` contexts allocates.
    pub(crate) const fn memory(log: u8, sets: usize) -> u64 {
        let flags = (sets as u64).saturating_mul(size_of::<[Bit; FLAGS]>() as u64);
        ((size_of::<Seen>() as u64) << if log < 4 { 4 } else { log }).saturating_add(flags)
    }

    /// Looks up two contexts, the more telling first.
    #[inline]
    pub(crate) fn look_up(&self, contexts: [u32; 2]) -> Answer {
        let [first, second] = contexts;
        let hashes = [spread(first), spread(second)];
        let [first, second] = hashes;
        Answer { hashes, seen: [self.at(first), self.at(second)] }
    }

    #[inline]
    fn at(&self, hash: u32) -> Seen {
        self.seen.get(self.place(hash)).copied().unwrap_or_default()
    }

    fn place(&self, hash: u32) -> usize {
        hash as usize & self.seen.len().wrapping_sub(1)
    }

    /// Codes whether the value is what came last: `None` if it is not, or if nobody can tell.
    #[inline]
    pub(crate) fn code(
        &mut self,
        coder: &mut impl Coder,
        answer: &Answer,
        set: usize,
        value: u32,
    ) -> Option<u32> {
        let [first, second] = answer.seen;
        let [first_hash, second_hash] = answer.hashes;
        let counts = [first.count_for(first_hash), second.count_for(second_hash)];
        let (which, guess, count, other) = match counts {
            [count, 0] if count >= self.trust => (0, first.value, count, 0),
            [count, _] if count >= self.trust => {
                (0, first.value, count, if first.value == second.value { 2 } else { 1 })
            }
            [other, count] if count >= self.trust => (1, second.value, count, if other > 0 { 3 } else { 0 }),
            _ => return None,
        };
        // Counts are told apart by their magnitude.
        let level = u32::BITS.wrapping_sub(count.leading_zeros()).min(7) as usize;
        let flag = set.wrapping_mul(FLAGS).wrapping_add(which << 5 | other << 3 | level);
        let right = self.flags.get_mut(flag).is_some_and(|model| model.code(coder, guess == value));
        right.then_some(guess)
    }

    /// Learns what came.
    #[inline]
    pub(crate) fn learn(&mut self, answer: &Answer, value: u32) {
        for (hash, seen) in answer.hashes.into_iter().zip(answer.seen) {
            let count = seen.count();
            let next = if seen.count_for(hash) == 0 && count > 3 {
                // Another context's, and often right: it fades before it gives way.
                Seen { mark: seen.mark.wrapping_sub(2), ..seen }
            } else if seen.count_for(hash) > 0 && seen.value == value {
                Seen { mark: seen.mark.wrapping_add(u32::from(count < 255)), ..seen }
            } else if seen.count_for(hash) > 3 {
                Seen { mark: seen.mark.wrapping_sub(count / 2), ..seen }
            } else {
                Seen { value, mark: hash & !0xFF | 1 }
            };
            let place = self.place(hash);
            if let Some(slot) = self.seen.get_mut(place) {
                *slot = next;
            }
        }
    }
}
