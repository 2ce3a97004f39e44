//! Adaptive models over the range coder: a bit, a symbol, a number.
//!
//! Each bit is predicted from what it was before in the same context. The first observations of a context count most:
//! the rate of learning starts at two thirds and falls to a floor, so that a patch of four kilobytes learns as well as
//! one of two megabytes.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{coder::Coder, half::Half};

/// The slowest rate is that of so many observations: each moves the probability by 1/92 of the way.
const SLOWEST: u8 = 90;

/// `65536 / (n + 1.5)`: how far the nth observation moves a probability.
#[allow(clippy::indexing_slicing, reason = "computed while compiling")]
const RATE: [u16; 128] = {
    let mut rate = [0; 128];
    let mut n = 0;
    while n < rate.len() {
        rate[n] = (131_072 / (2 * n + 3)) as u16;
        n += 1;
    }
    rate
};

/// The probability of a one in some context, and how often that context was seen.
#[derive(Clone, Copy)]
pub(crate) struct Bit {
    chance: u16,
    seen: u8,
}

impl Default for Bit {
    fn default() -> Self {
        Self { chance: 1 << 15, seen: 0 }
    }
}

impl Bit {
    /// A bit that starts out as a one with probability `chance` / 65536, as if seen `seen` times.
    pub(crate) const fn expecting(chance: u16, seen: u8) -> Self {
        Self { chance, seen }
    }

    /// Codes one bit and learns from it.
    #[inline]
    pub(crate) fn code(&mut self, coder: &mut impl Coder, bit: bool) -> bool {
        let bit = coder.code(self.chance.clamp(24, u16::MAX - 24), bit);
        let rate = u32::from(RATE.get(usize::from(self.seen)).copied().unwrap_or(0));
        // Neither branch leaves 0..=65535: each moves by a fraction below one of the distance that is left.
        let chance = u32::from(self.chance);
        self.chance = if bit {
            chance.wrapping_add((0xFFFF_u32.wrapping_sub(chance)).wrapping_mul(rate) >> 16) as u16
        } else {
            chance.wrapping_sub(chance.wrapping_mul(rate) >> 16) as u16
        };
        if self.seen < SLOWEST {
            self.seen = self.seen.wrapping_add(1);
        }
        bit
    }
}

/// A symbol of `BITS` bits, coded from its top bit down, each bit in the context of those above it.
/// `N` is 2 to the power of `BITS`.
#[derive(Clone)]
pub(crate) struct Symbol<const BITS: u32, const N: usize>([Bit; N]);

impl<const BITS: u32, const N: usize> Default for Symbol<BITS, N> {
    fn default() -> Self {
        Self([Bit::default(); N])
    }
}

impl<const BITS: u32, const N: usize> Symbol<BITS, N> {
    /// Codes one symbol below `N`.
    #[inline]
    pub(crate) fn code(&mut self, coder: &mut impl Coder, symbol: u32) -> u32 {
        let mut node = 1_usize;
        for level in (0..BITS).rev() {
            let wanted = symbol >> level & 1 == 1;
            let bit = match self.0.get_mut(node) {
                Some(model) => model.code(coder, wanted),
                None => false,
            };
            node = node << 1 | usize::from(bit);
        }
        (node & N.wrapping_sub(1)) as u32
    }
}

/// A number of any size: first how many bits it has, then those below the leading one, four at a time from the top: the
/// first four in the context of the length, the others in that of how many are left.
#[derive(Clone)]
pub(crate) struct Number {
    /// How many bits a number has that has less than [`LONG`]; that, if it has more.
    short: Half,
    /// How many it has beyond, in two halves: the lower in the context of the upper.
    long: [Half; 5],
    top: Vec<Half>,
    rest: Vec<Half>,
}

/// So many bits need a second look.
const LONG: u32 = 15;
/// Numbers of bits that a number can have.
const LENGTHS: usize = u64::BITS as usize + 1;

impl Default for Number {
    fn default() -> Self {
        Self {
            short: Half::default(),
            long: Default::default(),
            top: vec![Half::default(); LENGTHS],
            rest: vec![Half::default(); LENGTHS],
        }
    }
}

impl Number {
    /// Bytes that a model of numbers allocates.
    pub(crate) const MEMORY: u64 = (2 * LENGTHS * size_of::<Half>()) as u64;

    /// Codes one number.
    pub(crate) fn code(&mut self, coder: &mut impl Coder, number: u64) -> u64 {
        let bits = self.code_len(coder, u64::BITS.wrapping_sub(number.leading_zeros())).min(u64::BITS);
        let Some(mut left) = bits.checked_sub(1) else {
            return 0;
        };
        let mut value = 1_u64;
        let mut model = self.top.get_mut(bits as usize);
        while left > 0 {
            let count = left.min(4);
            left = left.wrapping_sub(count);
            let mask = (1_u64 << count).wrapping_sub(1);
            let symbol = model.map_or(0, |model| model.code(coder, (number >> left & mask) as usize));
            value = value << count | symbol as u64 & mask;
            model = self.rest.get_mut(left as usize);
        }
        value
    }

    /// Codes how many bits a number has.
    fn code_len(&mut self, coder: &mut impl Coder, len: u32) -> u32 {
        let short = self.short.code(coder, len.min(LONG) as usize) as u32;
        if short < LONG {
            return short;
        }
        let beyond = len.wrapping_sub(LONG) as usize;
        let [upper, lower @ ..] = &mut self.long;
        let high = upper.code(coder, beyond >> 4);
        let low = lower.get_mut(high & 3).map_or(0, |lower| lower.code(coder, beyond & 15));
        LONG.wrapping_add((high << 4 | low) as u32)
    }

    /// Codes one signed number: the sign sits in the lowest bit.
    pub(crate) fn code_signed(&mut self, coder: &mut impl Coder, number: i64) -> i64 {
        let folded = (number << 1 ^ number >> 63) as u64;
        let folded = self.code(coder, folded);
        (folded >> 1) as i64 ^ (folded & 1).wrapping_neg() as i64
    }
}

#[cfg(all(test, feature = "diff"))]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;
    use crate::reference::coder::{Decoder, Encoder};

    #[test]
    fn numbers_of_every_size_read_back() {
        let numbers: Vec<u64> =
            (0..64).flat_map(|shift| [1 << shift, (1 << shift) - 1, u64::MAX >> shift]).chain([0]).collect();
        let mut encoder = Encoder::new();
        let mut model = Number::default();
        for number in &numbers {
            model.code(&mut encoder, *number);
            model.code_signed(&mut encoder, number.cast_signed());
        }
        let packed = encoder.finish();
        let mut decoder = Decoder::new(&packed, 0, packed.len() as u64);
        let mut model = Number::default();
        for number in &numbers {
            assert_eq!(model.code(&mut decoder, 0), *number);
            assert_eq!(model.code_signed(&mut decoder, 0), number.cast_signed());
        }
    }

    #[test]
    fn what_repeats_gets_cheap() {
        let mut encoder = Encoder::new();
        let mut model = Number::default();
        for _ in 0..10_000 {
            model.code(&mut encoder, 12_345);
        }
        assert!(encoder.finish().len() < 120);
    }
}
