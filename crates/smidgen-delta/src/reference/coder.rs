//! Range coder: one bit or one of sixteen symbols at a time, at the probability that a model gives it.
//!
//! Martin's range coder (1979) with 64 bits of state: the interval is cut in proportion to the probabilities, and
//! whenever it gets narrower than 48 bits, two bytes move out. Encoder and decoder are one walk seen from two sides, so
//! everything that decides *what* is coded is written once, against [`Coder`].
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::account::Made;
use crate::ReadAt;

/// One side of the walk.
pub(crate) trait Coder {
    /// Codes a bit that is a one with probability `chance` / 65536. The encoder writes `bit` and returns it; the
    /// decoder ignores `bit` and returns what was written.
    fn code(&mut self, chance: u16, bit: bool) -> bool;

    /// Codes a symbol below 16, of which `bounds` says how probable the smaller ones are together, in
    /// 1/32768: it begins with 0, rises with each symbol, and ends below 32768. The encoder writes
    /// `symbol` and returns it; the decoder ignores it and returns what was written.
    fn code_symbol(&mut self, bounds: &[u16; 16], symbol: usize) -> usize;

    /// Says what came of all that was coded since the last time: for whoever keeps account, and nothing to all others.
    #[inline]
    fn book(&mut self, _made: Made) {}
}

/// Bits that move out at a time.
const STEP: u32 = 16;

/// Whether an interval has become so narrow that bits must move out. One step is enough: no share is below 2^-16.
#[inline]
fn is_narrow(range: u64) -> bool {
    range >> 48 == 0
}

/// The last place of all.
const LAST: u16 = 32_767;

/// The share of a symbol: what lies below it, and how wide it is. Both sides cut it out of the interval in the same way;
/// what rounding leaves over is nobody's.
#[inline]
#[allow(clippy::indexing_slicing, reason = "sixteen bounds, indices of four bits")]
fn share(bounds: &[u16; 16], symbol: usize) -> (u64, u64) {
    let low = bounds[symbol & 15];
    // Behind the last symbol the first one is found, whose bound is zero: as good as 32768.
    let next = bounds[symbol.wrapping_add(1) & 15];
    (low.into(), (next.wrapping_sub(low) & LAST).into())
}

/// Packed bytes read at a time.
const INPUT_BUFFER: usize = 16 * 1024;

/// The reading side. Bytes beyond the end read as zero: a damaged stream yields wrong bits, never an endless walk,
/// and the digest of the new file tells.
pub(crate) struct Decoder<'a> {
    source: &'a dyn ReadAt,
    offset: u64,
    left: u64,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    range: u64,
    code: u64,
    /// Words of two bytes read, those behind the end included.
    words: u64,
}

impl<'a> Decoder<'a> {
    /// Bytes that a decoder allocates.
    pub(crate) const MEMORY: u64 = INPUT_BUFFER as u64;

    /// Reads the `len` bytes of `source` from `offset`.
    pub(crate) fn new(source: &'a dyn ReadAt, offset: u64, len: u64) -> Self {
        let buffer = vec![0; INPUT_BUFFER].into_boxed_slice();
        let mut decoder =
            Self { source, offset, left: len, buffer, start: 0, end: 0, range: u64::MAX, code: 0, words: 0 };
        for _ in 0..u64::BITS / STEP {
            decoder.code = decoder.code << STEP | decoder.word();
        }
        decoder
    }

    /// Whether none of the bytes is left over.
    pub(crate) fn is_used_up(&self) -> bool {
        self.left == 0 && self.start == self.end
    }

    /// Bits that what was decoded so far took, to a fraction: the code is four words ahead, and the range is what is left
    /// of them.
    pub(crate) fn spent(&self) -> f64 {
        f64::from(STEP) * self.words as f64 - (self.range.max(1) as f64).log2()
    }

    /// The next two bytes, most significant first.
    #[inline]
    fn word(&mut self) -> u64 {
        self.words = self.words.wrapping_add(1);
        let ahead = self.buffer.get(self.start..self.end).and_then(|ahead| ahead.first_chunk());
        match ahead {
            Some(word) => {
                self.start = self.start.wrapping_add(2);
                u16::from_be_bytes(*word).into()
            }
            None => self.last_word(),
        }
    }

    /// The next word, where it crosses the end of what was read.
    #[cold]
    fn last_word(&mut self) -> u64 {
        let high = self.byte();
        u64::from(high) << 8 | u64::from(self.byte())
    }

    fn byte(&mut self) -> u8 {
        if self.start == self.end {
            let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.buffer.len());
            let room = self.buffer.get_mut(..len).unwrap_or_default();
            // Whoever gave the source keeps the error: whatever is made of zeros instead is refused.
            if self.source.read_exact_at(room, self.offset).is_err() {
                room.fill(0);
            }
            self.offset = self.offset.saturating_add(len as u64);
            self.left = self.left.saturating_sub(len as u64);
            (self.start, self.end) = (0, len);
        }
        let byte = self.buffer.get(self.start..self.end).and_then(|bytes| bytes.first()).copied();
        self.start = self.start.saturating_add(usize::from(byte.is_some()));
        byte.unwrap_or(0)
    }
}

impl Coder for Decoder<'_> {
    #[inline]
    fn code(&mut self, chance: u16, _: bool) -> bool {
        let bound = (self.range >> 16).wrapping_mul(u64::from(chance.max(1)));
        let bit = self.code < bound;
        if bit {
            self.range = bound;
        } else {
            self.code = self.code.wrapping_sub(bound);
            self.range = self.range.wrapping_sub(bound);
        }
        if is_narrow(self.range) {
            self.range <<= STEP;
            self.code = self.code << STEP | self.word();
        }
        bit
    }

    #[inline]
    fn code_symbol(&mut self, bounds: &[u16; 16], _: usize) -> usize {
        let unit = self.range >> 15;
        // The unit is never zero: the interval is kept wider than 48 bits.
        let place = self.code.checked_div(unit.max(1)).unwrap_or(0).min(LAST.into()) as u16;
        // The sign of a difference instead of a comparison: compilers then count in vectors.
        let above =
            bounds.iter().fold(0_u16, |count, bound| count.wrapping_add(place.wrapping_sub(*bound) >> 15));
        let symbol = usize::from(15_u16.wrapping_sub(above) & 15);
        let (low, width) = share(bounds, symbol);
        self.code = self.code.wrapping_sub(unit.wrapping_mul(low));
        self.range = unit.wrapping_mul(width);
        if is_narrow(self.range) {
            self.range <<= STEP;
            self.code = self.code << STEP | self.word();
        }
        symbol
    }
}

/// The writing side.
#[cfg(feature = "diff")]
pub(crate) struct Encoder {
    packed: Vec<u8>,
    low: u64,
    range: u64,
}

#[cfg(feature = "diff")]
impl Encoder {
    /// An empty stream.
    pub(crate) fn new() -> Self {
        Self { packed: Vec::new(), low: 0, range: u64::MAX }
    }

    /// Ends the stream and gives its bytes. Zeros at the end are implied and not written; one byte stays.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        // Of all values inside the interval, one with the most zeros at its end.
        let round = (1_u64 << self.range.ilog2().saturating_sub(1)).wrapping_sub(1);
        let (value, carry) = self.low.overflowing_add(round);
        if carry {
            self.carry();
        }
        self.packed.extend((value & !round).to_be_bytes());
        while self.packed.len() > 1 && self.packed.last() == Some(&0) {
            self.packed.pop();
        }
        self.packed
    }

    /// Moves two bytes out.
    fn push(&mut self) {
        self.packed.extend(((self.low >> 48) as u16).to_be_bytes());
        self.low <<= STEP;
        self.range <<= STEP;
    }

    fn carry(&mut self) {
        for byte in self.packed.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }
}

#[cfg(feature = "diff")]
impl Coder for Encoder {
    #[inline]
    fn code(&mut self, chance: u16, bit: bool) -> bool {
        let bound = (self.range >> 16).wrapping_mul(u64::from(chance.max(1)));
        if bit {
            self.range = bound;
        } else {
            let (low, carry) = self.low.overflowing_add(bound);
            if carry {
                self.carry();
            }
            self.low = low;
            self.range = self.range.wrapping_sub(bound);
        }
        if is_narrow(self.range) {
            self.push();
        }
        bit
    }

    #[inline]
    fn code_symbol(&mut self, bounds: &[u16; 16], symbol: usize) -> usize {
        let unit = self.range >> 15;
        let (low, width) = share(bounds, symbol);
        let (sum, carry) = self.low.overflowing_add(unit.wrapping_mul(low));
        if carry {
            self.carry();
        }
        self.low = sum;
        self.range = unit.wrapping_mul(width);
        if is_narrow(self.range) {
            self.push();
        }
        symbol
    }
}

#[cfg(all(test, feature = "diff"))]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;

    /// Bits and chances that look random, of every degree of certainty.
    fn bits(count: u64) -> impl Iterator<Item = (u16, bool)> {
        (0..count).map(|index| {
            let noise = index.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let chance = (noise >> 48) as u16 >> (noise & 15);
            (chance, noise >> 20 & 0xFFFF < u64::from(chance))
        })
    }

    #[test]
    fn bits_read_back_as_they_were_written() {
        for count in [0, 1, 2, 7, 100, 50_000] {
            let mut encoder = Encoder::new();
            for (chance, bit) in bits(count) {
                encoder.code(chance, bit);
            }
            let packed = encoder.finish();
            let mut decoder = Decoder::new(&packed, 0, packed.len() as u64);
            for (chance, bit) in bits(count) {
                assert_eq!(decoder.code(chance, false), bit);
            }
            assert!(decoder.is_used_up(), "{count}: all bytes are used");
        }
    }

    /// Bounds and symbols that look random, some of them with next to no room.
    fn symbols(count: u64) -> impl Iterator<Item = ([u16; 16], usize)> {
        (0..count).map(|index| {
            let noise = index.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut bounds = [0; 16];
            let most = 1 + (noise >> 40 & 2047);
            for at in 1..16 {
                bounds[at] = bounds[at - 1] + 1 + (noise.rotate_left(at as u32 * 5) % most) as u16;
            }
            (bounds, (noise >> 28 & 15) as usize)
        })
    }

    #[test]
    fn symbols_read_back_as_they_were_written_and_mix_with_bits() {
        let mut encoder = Encoder::new();
        for ((bounds, symbol), (chance, bit)) in symbols(50_000).zip(bits(50_000)) {
            encoder.code_symbol(&bounds, symbol);
            encoder.code(chance, bit);
        }
        let packed = encoder.finish();
        let mut decoder = Decoder::new(&packed, 0, packed.len() as u64);
        for ((bounds, symbol), (chance, bit)) in symbols(50_000).zip(bits(50_000)) {
            assert_eq!(decoder.code_symbol(&bounds, 0), symbol);
            assert_eq!(decoder.code(chance, false), bit);
        }
        assert!(decoder.is_used_up());
    }

    #[test]
    fn the_least_probable_bits_in_a_row_carry_correctly() {
        let mut encoder = Encoder::new();
        for index in 0..3000 {
            encoder.code(if index % 3 == 0 { u16::MAX } else { 1 }, index % 2 == 0);
        }
        let packed = encoder.finish();
        let mut decoder = Decoder::new(&packed, 0, packed.len() as u64);
        for index in 0..3000 {
            assert_eq!(decoder.code(if index % 3 == 0 { u16::MAX } else { 1 }, false), index % 2 == 0);
        }
    }

    #[test]
    fn a_stream_with_bytes_left_over_says_so() {
        let packed = [0; 1000];
        let mut decoder = Decoder::new(&packed, 0, 1000);
        decoder.code(1 << 15, false);
        assert!(!decoder.is_used_up());
    }
}
