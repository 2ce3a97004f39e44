//! A model of bytes as two halves of sixteen values: each of two contexts keeps how probable these
//! are, and they are averaged with a weight.
//!
//! An average of bounds is bounds again. The weight is the one that would have been best of late, learnt from what each
//! context gave to the value that came (the mixture of experts of Vovk's aggregating algorithm, forgetting
//! exponentially). There is one for each degree to which the contexts know their place, which does what escapes do in PPM
//! (Cleary and Witten 1984): a context that was seen once counts little beside one that was seen often.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    coder::Coder,
    half::{self, Count, Lanes, ONE},
};

/// Logarithm of the number of slots in a page.
const PAGE_LOG: u8 = 7;
/// Slots in a page.
const PAGE: usize = 1 << PAGE_LOG;

/// Slots that lie side by side. Both halves of a byte are looked up in one page, so that the processor translates one
/// address for both.
#[derive(Clone)]
#[repr(align(32))]
struct Page {
    bounds: [Lanes; PAGE],
    marks: [Mark; PAGE],
}

/// Whose a slot is: part of the context's hash, and how often it was seen.
#[derive(Clone, Copy, Default)]
struct Mark {
    check: u8,
    count: Count,
}

/// The part of a hash that is kept.
fn check(hash: u32) -> u8 {
    (hash >> 24) as u8
}

/// The place of a context in its page.
fn slot(hash: u32) -> usize {
    hash as usize & PAGE.wrapping_sub(1)
}

#[allow(clippy::indexing_slicing, reason = "a slot is less than their number")]
impl Page {
    const FRESH: Self = Self { bounds: [[0; 16]; PAGE], marks: [Mark { check: 0, count: Count(0) }; PAGE] };

    /// How often the context was seen.
    #[inline]
    fn count(&self, hash: u32) -> Count {
        let mark = self.marks[slot(hash)];
        if mark.check == check(hash) { mark.count } else { Count(0) }
    }

    #[inline]
    fn mark(&mut self, hash: u32, count: Count) {
        self.marks[slot(hash)] = Mark { check: check(hash), count: count.next() };
    }

    /// What the context knows.
    #[inline]
    fn look_up(&self, hash: u32) -> Known {
        let count = self.count(hash);
        Known { bounds: *half::known(&self.bounds[slot(hash)], count), count }
    }

    /// Learns the symbol that came in the context that knew this before.
    #[inline]
    fn observe(&mut self, hash: u32, known: &Known, symbol: usize) {
        self.bounds[slot(hash)] = half::observe(&known.bounds, known.count, symbol);
        self.mark(hash, known.count);
    }
}

/// What a context knows, and how often it was seen.
struct Known {
    bounds: Lanes,
    count: Count,
}

/// How well a context knows its place, by how often it was seen: never, once, two or three times, more often.
#[inline]
const fn level(Count(count): Count) -> usize {
    // A sum of comparisons, because a branch could not be foreseen.
    ((count > 0) as usize).wrapping_add((count > 1) as usize).wrapping_add((count > 3) as usize)
}

/// Weights for each set that the caller tells apart, half by half.
const LEVELS: usize = 4 * 4;
/// The least and the most weight of a context, of 65536: it can always come back.
const WEIGHTS: (i32, i32) = (64, 65_000);

/// A model of bytes in two contexts.
pub(crate) struct Nibbles {
    pages: Vec<Page>,
    /// Of the second context.
    weights: Vec<u16>,
}

/// Pages of `2^log` slots.
const fn pages(log: u8) -> usize {
    1 << if log > 26 { 26 - PAGE_LOG } else { log.saturating_sub(PAGE_LOG) }
}

impl Nibbles {
    /// A model of `2^log` slots, with weights in `sets` sets.
    pub(crate) fn new(log: u8, sets: usize) -> Self {
        let weights = sets.saturating_mul(2 * LEVELS);
        Self { pages: vec![Page::FRESH; pages(log)], weights: vec![1 << 15; weights] }
    }

    /// Bytes that a model of `2^log` slots allocates.
    pub(crate) const fn memory(log: u8, sets: usize) -> u64 {
        let slots = (pages(log) as u64).saturating_mul(size_of::<Page>() as u64);
        slots.saturating_add((sets as u64).saturating_mul(size_of::<[[u16; LEVELS]; 2]>() as u64))
    }

    /// Codes a byte, its upper half first, in contexts of these hashes, the broader first, with weights of `set`.
    #[inline]
    pub(crate) fn code(&mut self, coder: &mut impl Coder, contexts: [u32; 2], set: usize, byte: u8) -> u8 {
        let [first, second] = contexts;
        let hashes = [first, second.wrapping_add(0x1234_5677)].map(spread);
        let set = set.wrapping_mul(2 * LEVELS);
        let high = self.code_half(coder, hashes, set, usize::from(byte >> 4));
        let hashes = hashes.map(|hash| below(hash, high));
        let low = self.code_half(coder, hashes, set.wrapping_add(LEVELS), usize::from(byte & 15));
        (high << 4 | low) as u8
    }

    /// Codes a symbol, with the weights from `set` on.
    fn code_half(&mut self, coder: &mut impl Coder, hashes: [u32; 2], set: usize, symbol: usize) -> usize {
        let [broad, narrow] = hashes.map(|hash| self.page(hash));
        let [first, second] = hashes;
        let (Some(broad), Some(narrow)) = (self.pages.get(broad), self.pages.get(narrow)) else {
            return 0;
        };
        let (broad, narrow) = (broad.look_up(first), narrow.look_up(second));
        let index = set.wrapping_add(level(narrow.count) << 2 | level(broad.count));
        let weight = self.weights.get(index).copied().unwrap_or(0);
        let bounds = mix(&broad.bounds, &narrow.bounds, weight);
        let symbol = coder.code_symbol(&bounds, symbol) & 15;
        if let Some(slot) = self.weights.get_mut(index) {
            *slot = weigh(weight, chance(&broad.bounds, symbol), chance(&narrow.bounds, symbol));
        }
        // One after the other and not in a loop, for which what is known would be moved: bytes that are written one by one and
        // read back as words make processors wait.
        self.observe(first, &broad, symbol);
        self.observe(second, &narrow, symbol);
        symbol
    }

    #[inline]
    fn observe(&mut self, hash: u32, known: &Known, symbol: usize) {
        let page = self.page(hash);
        if let Some(page) = self.pages.get_mut(page) {
            page.observe(hash, known, symbol);
        }
    }

    /// The page of a context.
    #[inline]
    fn page(&self, hash: u32) -> usize {
        (hash >> PAGE_LOG) as usize & self.pages.len().wrapping_sub(1)
    }
}

/// Spreads a context over all bits.
#[inline]
pub(super) fn spread(context: u32) -> u32 {
    let hash = context.wrapping_mul(0x85EB_CA6B);
    let hash = (hash ^ hash >> 15).wrapping_mul(0x9E37_79B1);
    hash ^ hash >> 15
}

/// Makes the context of a byte that of its lower half, below this upper one, in the same page.
#[inline]
pub(super) fn below(hash: u32, high: usize) -> u32 {
    hash ^ (high as u32).wrapping_add(1).wrapping_mul(0x9E37_79B1) & 0xFF00_007F
}

/// Averages bounds, the second with this weight of 65536. One of the weights is at least a half and bounds are at least
/// two apart, so they stay apart when rounded down.
#[inline]
fn mix(first: &Lanes, second: &Lanes, weight: u16) -> Lanes {
    let part = |bound: u16, weight: u16| (u32::from(bound).wrapping_mul(u32::from(weight)) >> 16) as u16;
    let mut mixed = [0; 16];
    for ((mixed, first), second) in mixed.iter_mut().zip(first).zip(second) {
        *mixed = part(*first, !weight).wrapping_add(part(*second, weight));
    }
    mixed
}

/// How probable the symbol is, of 32768.
#[inline]
fn chance(bounds: &Lanes, symbol: usize) -> u32 {
    let low = bounds.get(symbol).copied().unwrap_or(0);
    let high = bounds.get(symbol.wrapping_add(1)).copied().unwrap_or(ONE);
    high.wrapping_sub(low).into()
}

/// Moves the weight of the second context towards its share in what the symbol was given.
#[inline]
fn weigh(weight: u16, first: u32, second: u32) -> u16 {
    let first = first.wrapping_mul(u32::from(!weight) >> 1);
    let second = second.wrapping_mul(u32::from(weight) >> 1);
    let total = (first >> 16).wrapping_add(second >> 16).wrapping_add(1);
    let share = second.checked_div(total).unwrap_or(0) as i32;
    let (least, most) = WEIGHTS;
    let weight = i32::from(weight);
    weight.wrapping_add(share.wrapping_sub(weight) >> 5).clamp(least, most) as u16
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;

    fn apart(bounds: &Lanes, gap: u16) {
        for lane in 1..15 {
            assert!(bounds[lane + 1] >= bounds[lane] + gap, "{bounds:?}");
        }
        assert!(bounds[1] >= gap && bounds[15] <= ONE - gap, "{bounds:?}");
    }

    #[test]
    fn bounds_stay_apart_whatever_comes_and_however_they_are_mixed() {
        let mut noise = 1_u64;
        let mut contexts = [[0; 16]; 2];
        (0..2).for_each(|which| contexts[which] = half::observe(&contexts[which], Count(0), [3, 12][which]));
        for round in 0..200_000_u32 {
            noise = noise.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(round.into());
            // Long runs of one symbol as well as noise.
            let symbol =
                if noise >> 60 < 12 { (round >> 12) as usize & 15 } else { (noise >> 40) as usize & 15 };
            let which = (noise >> 33) as usize & 1;
            let count = Count(1 + ((noise >> 50) % 250) as u8);
            contexts[which] = half::observe(&contexts[which], count, symbol);
            assert_eq!(contexts[which][0], 0);
            apart(&contexts[which], 2);
            let weight = (64 + (noise >> 20) % 64_936) as u16;
            apart(&mix(&contexts[0], &contexts[1], weight), 1);
        }
    }

    #[test]
    fn weights_follow_the_context_that_knows_better() {
        let mut weight = 1 << 15;
        for _ in 0..200 {
            weight = weigh(weight, 1_000, 30_000);
        }
        assert!(weight > 60_000, "{weight}");
        for _ in 0..400 {
            weight = weigh(weight, 30_000, 4);
        }
        assert!(weight < 100, "{weight}");
    }
}
