//! What came last in a context: where it came often enough, one bit says that it comes again.
//!
//! Most of code is no surprise. Symbol ranking (Fenwick 1996) settles it with a single well-predicted bit, before any
//! model that weighs alternatives is asked. What is recalled is a byte, a word or a whole instruction.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{coder::Coder, model::Bit};

/// What was seen in a context: the value, part of the context's hash (so that another context does not pass for this
/// one), and how often in a row.
#[derive(Clone, Copy, Default)]
struct Seen<V> {
    value: V,
    count: u8,
    check: u16,
}

impl<V> Seen<V> {
    /// How often it was seen in the context of this hash.
    fn count_for(&self, hash: u32) -> u8 {
        if self.check == check(hash) { self.count } else { 0 }
    }
}

/// The part of a hash that is kept.
fn check(hash: u32) -> u16 {
    (hash >> 16) as u16
}

/// A table of what came last, and how far it can be trusted.
pub(crate) struct Recall<V> {
    seen: Vec<Seen<V>>,
    flags: Vec<Bit>,
    /// How often a value must have come before it is asked about.
    trust: u8,
}

/// Models of the bit for each set: which of the two contexts answers, what the other one says, how often it was right.
const FLAGS: usize = 2 * 4 * 8;

/// Spreads a context over all bits.
#[inline]
pub(super) fn spread(context: u32) -> u32 {
    let hash = context.wrapping_mul(0x85EB_CA6B);
    hash ^ hash >> 15
}

/// What was seen in a context.
#[derive(Clone, Copy)]
struct Known<V> {
    hash: u32,
    seen: Seen<V>,
}

impl<V: Copy> Known<V> {
    /// How often the value was seen in this context.
    fn count(&self) -> u8 {
        self.seen.count_for(self.hash)
    }
}

/// The answer of two contexts, the more telling first.
pub(crate) struct Answer<V> {
    first: Known<V>,
    second: Known<V>,
}

/// What is expected to come, and the model of whether it does.
pub(crate) struct Guess<V> {
    pub(crate) value: V,
    flag: usize,
}

impl<V: Copy + Default + Eq> Recall<V> {
    /// A table of `2^log` contexts with `sets` sets of models.
    pub(crate) fn new(log: u8, sets: usize, trust: u8) -> Self {
        Self {
            seen: vec![Seen::default(); 1_usize << log.clamp(4, 30)],
            flags: vec![Bit::expecting(58_000, 2); sets.saturating_mul(FLAGS)],
            trust,
        }
    }

    /// Bytes that a table of `2^log` contexts allocates.
    pub(crate) const fn memory(log: u8, sets: usize) -> u64 {
        let flags = (sets as u64).saturating_mul(size_of::<[Bit; FLAGS]>() as u64);
        ((size_of::<Seen<V>>() as u64) << if log < 4 { 4 } else { log }).saturating_add(flags)
    }

    /// Looks up two contexts, the more telling first.
    #[inline]
    pub(crate) fn look_up(&self, contexts: [u32; 2]) -> Answer<V> {
        let [narrow, broad] = contexts;
        Answer { first: self.known(narrow), second: self.known(broad) }
    }

    #[inline]
    fn known(&self, context: u32) -> Known<V> {
        let hash = spread(context);
        Known { hash, seen: self.seen.get(self.place(hash)).copied().unwrap_or_default() }
    }

    #[inline]
    fn place(&self, hash: u32) -> usize {
        hash as usize & self.seen.len().wrapping_sub(1)
    }

    /// What the contexts expect, by models of `set`; `None` if they cannot tell.
    #[inline]
    pub(crate) fn guess(&self, answer: &Answer<V>, set: usize) -> Option<Guess<V>> {
        let Answer { first, second } = answer;
        let (count, other) = (first.count(), second.count());
        if count.max(other) < self.trust {
            return None;
        }
        // What is rather computed than decided: no branch here could be foreseen.
        let (value, count, flag) = if count >= self.trust {
            let speaks = other > 0;
            let agrees = speaks && first.seen.value == second.seen.value;
            (first.seen.value, count, usize::from(speaks).wrapping_add(agrees.into()) << 3)
        } else {
            (second.seen.value, other, 1 << 5 | if count > 0 { 3 << 3 } else { 0 })
        };
        // Counts are told apart by their magnitude.
        let level = u8::BITS.wrapping_sub(count.leading_zeros()).min(7) as usize;
        Some(Guess { value, flag: set.wrapping_mul(FLAGS).wrapping_add(flag | level) })
    }

    /// Codes whether a guess is right.
    #[inline]
    pub(crate) fn confirm(&mut self, coder: &mut impl Coder, guess: &Guess<V>, right: bool) -> bool {
        self.flags.get_mut(guess.flag).is_some_and(|model| model.code(coder, right))
    }

    /// Codes whether the value is what came last: `None` if it is not, or if nobody can tell.
    #[inline]
    pub(crate) fn code(
        &mut self,
        coder: &mut impl Coder,
        answer: &Answer<V>,
        set: usize,
        value: V,
    ) -> Option<V> {
        let guess = self.guess(answer, set)?;
        self.confirm(coder, &guess, guess.value == value).then_some(guess.value)
    }

    /// Learns what came.
    #[inline]
    pub(crate) fn learn(&mut self, answer: &Answer<V>, value: V) {
        self.put(&answer.first, value);
        self.put(&answer.second, value);
    }

    /// Learns what came in a context that knew this before.
    #[inline]
    fn put(&mut self, known: &Known<V>, value: V) {
        let Known { hash, seen } = *known;
        let count = seen.count;
        let own = known.count() > 0;
        let same = own && seen.value == value;
        // What was often right fades before it gives way, fast where another context is in its place.
        let stays = same || count > 3;
        let fading = if own { count.wrapping_sub(count >> 1) } else { count.wrapping_sub(2) };
        let next = Seen {
            value: if stays { seen.value } else { value },
            count: if same { count.saturating_add(1) } else { if stays { fading } else { 1 } },
            check: if stays { seen.check } else { check(hash) },
        };
        let place = self.place(hash);
        if let Some(slot) = self.seen.get_mut(place) {
            *slot = next;
        }
    }
}
