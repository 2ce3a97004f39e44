//! A model of bytes: several contexts guess each bit, a mixer weighs the guesses.
//!
//! Logistic mixing (Mattern 2012; Mahoney's PAQ): each context keeps a probability for each bit of a byte; their log
//! odds are added up with weights that move towards whoever was right. All in integers, so that every machine computes
//! the same.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::coder::Coder;

/// `65536 / (1 + e^-x)` at x = -12, -11.5, .., 12, kept inside 1..=65535.
const LOGISTIC: [u16; 49] = [
    1, 1, 1, 2, 3, 5, 8, 13, 22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971, 7812, 11955, 17625,
    24743, 32768, 40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438,
    65476, 65500, 65514, 65523, 65528, 65531, 65533, 65534, 65535, 65535, 65535,
];

/// The largest log odds, in 1/256.
const MAX_ODDS: i32 = 3071;

/// How much a guess counts (in 1/16) that was seen 0, 1, .. times.
const CONFIDENCE: [i32; 8] = [0, 8, 11, 13, 14, 15, 16, 16];

/// Bits that a slot's count of observations takes; the probability has the 22 above.
const COUNT_BITS: u32 = 10;
const COUNT_MASK: u32 = (1 << COUNT_BITS) - 1;

/// How far the nth observation moves a probability, of 65536.
#[allow(clippy::indexing_slicing, reason = "computed while compiling")]
const RATES: [u16; 1 << COUNT_BITS] = {
    let mut rates = [0; 1 << COUNT_BITS];
    let mut n = 0;
    while n < rates.len() {
        rates[n] = (131_072 / (2 * n + 3)) as u16;
        n += 1;
    }
    rates
};

/// Log odds (in 1/256) of each probability, in steps of 1/4096.
#[allow(clippy::indexing_slicing, reason = "computed while compiling")]
static ODDS: [i16; 4096] = {
    let mut odds = [MAX_ODDS as i16; 4096];
    let (mut from, mut x) = (0, -MAX_ODDS);
    while x <= MAX_ODDS {
        let to = (squash(x) >> 4) as usize;
        while from <= to {
            odds[from] = x as i16;
            from += 1;
        }
        x += 1;
    }
    odds
};

/// The probability (of 65536) that belongs to log odds `x` (in 1/256): linear between the table's points.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "x is clamped to the table")]
const fn squash(x: i32) -> u16 {
    let x = if x > MAX_ODDS {
        MAX_ODDS
    } else if x < -MAX_ODDS {
        -MAX_ODDS
    } else {
        x
    } + MAX_ODDS
        + 1;
    let (index, part) = ((x >> 7) as usize, x & 127);
    let (low, high) = (LOGISTIC[index] as i32, LOGISTIC[index + 1] as i32);
    (low + (((high - low) * part) >> 7)) as u16
}

/// Folds `b` into the context `a`.
#[inline]
pub(crate) const fn fold(a: u32, b: u32) -> u32 {
    (a ^ b.wrapping_mul(0x9E37_79B1)).wrapping_mul(0x85EB_CA6B).rotate_left(13).wrapping_add(b)
}

/// A model of bytes in `N` contexts.
pub(crate) struct Bytes<const N: usize> {
    /// Groups of sixteen slots, one for each half of a byte in a context.
    slots: Vec<[u32; 16]>,
    weights: Vec<[i32; N]>,
    /// Observations after which a slot learns no slower.
    limit: u32,
}

impl<const N: usize> Bytes<N> {
    /// A model of `2^log` slots and `sets` sets of weights.
    pub(crate) fn new(log: u8, sets: usize, limit: u16) -> Self {
        let groups = 1_usize << log.clamp(4, 30).saturating_sub(4);
        // All guesses together start out with a little more than the weight of one.
        let weight = 131_072_i32.wrapping_div((N as i32).saturating_add(1).max(1));
        Self {
            slots: vec![[1 << 31; 16]; groups],
            weights: vec![[weight; N]; sets.saturating_mul(256)],
            limit: u32::from(limit).min(COUNT_MASK),
        }
    }

    /// Bytes that a model of `2^log` slots allocates.
    pub(crate) const fn memory(log: u8, sets: usize) -> u64 {
        let slots = 4_u64 << if log < 4 { 4 } else { log };
        slots.saturating_add((sets as u64).saturating_mul(256).saturating_mul(size_of::<[i32; N]>() as u64))
    }

    /// Codes one byte in these contexts, weighing them by `set`.
    #[inline]
    pub(crate) fn code(&mut self, coder: &mut impl Coder, contexts: &[u32; N], set: usize, byte: u8) -> u8 {
        let high = self.half(coder, contexts, set, 1, byte >> 4);
        let low = self.half(coder, contexts, set, 16 | high, byte & 15);
        (high << 4 | low) as u8
    }

    /// Codes four bits; `node` is 1 for the upper half and the upper half with a one before it for the lower.
    #[inline]
    fn half(
        &mut self,
        coder: &mut impl Coder,
        contexts: &[u32; N],
        set: usize,
        node: usize,
        half: u8,
    ) -> usize {
        let mut groups = [0_usize; N];
        let mask = self.slots.len().wrapping_sub(1);
        for (index, (group, context)) in groups.iter_mut().zip(contexts).enumerate() {
            let own = context.wrapping_add((index as u32).wrapping_mul(0x1234_5677));
            let hash = fold(own.wrapping_mul(0x9E37_79B1), node as u32);
            *group = (hash ^ hash >> 15) as usize & mask;
        }
        let mut place = 1_usize;
        let mut whole = node;
        for level in [3_u8, 2, 1, 0] {
            let mut guesses = [0_i32; N];
            let weights = self.weights.get_mut(set.wrapping_mul(256).wrapping_add(whole & 255));
            let mut none = [0; N];
            let weights = weights.unwrap_or(&mut none);
            let mut sum = 0_i64;
            for ((guess, group), weight) in guesses.iter_mut().zip(groups).zip(weights.iter()) {
                let slot = self.slots.get(group).and_then(|slots| slots.get(place)).copied().unwrap_or(0);
                let odds = i32::from(ODDS.get((slot >> 20) as usize).copied().unwrap_or(0));
                let trust = CONFIDENCE.get((slot & COUNT_MASK).min(7) as usize).copied().unwrap_or(0);
                *guess = odds.wrapping_mul(trust) >> 4;
                sum = sum.wrapping_add(i64::from(*guess).wrapping_mul(i64::from(*weight)));
            }
            let chance = squash((sum >> 16).clamp(-4096, 4096) as i32);
            let bit = coder.code(chance.clamp(32, u16::MAX - 32), half >> level & 1 == 1);

            let wanted = if bit { 65_535 } else { 0 };
            let error = i32::wrapping_sub(wanted, i32::from(chance));
            let aim = if bit { (1 << 22) - 1 } else { 0 };
            for ((guess, group), weight) in guesses.iter().zip(groups).zip(weights.iter_mut()) {
                let step = guess.wrapping_mul(error).wrapping_add(1 << 13) >> 14;
                *weight = weight.wrapping_add(step).clamp(-(1 << 24), 1 << 24);
                if let Some(slot) = self.slots.get_mut(group).and_then(|slots| slots.get_mut(place)) {
                    let count = *slot & COUNT_MASK;
                    let rate = i64::from(RATES.get(count as usize).copied().unwrap_or(0));
                    let chance = i64::from(*slot >> COUNT_BITS);
                    let next = chance.wrapping_add(i64::wrapping_sub(aim, chance).wrapping_mul(rate) >> 16);
                    *slot = (next as u32) << COUNT_BITS | count.wrapping_add(u32::from(count < self.limit));
                }
            }
            place = place << 1 | usize::from(bit);
            whole = whole << 1 | usize::from(bit);
        }
        place & 15
    }
}
