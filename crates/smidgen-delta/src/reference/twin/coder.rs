//! Bits, symbols and numbers, read one after the other from a whole section in memory.

use std::collections::HashMap;

/// A section under way.
pub(super) struct Coder<'a> {
    bytes: &'a [u8],
    at: usize,
    range: u64,
    code: u64,
}

impl<'a> Coder<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut coder = Self { bytes, at: 0, range: u64::MAX, code: 0 };
        (0..4).for_each(|_| coder.code = coder.code << 16 | coder.word());
        coder
    }

    /// Whether every byte has been read.
    pub(super) fn is_used_up(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Two bytes, the first the more significant; zeros behind the end.
    fn word(&mut self) -> u64 {
        let byte = |index: usize| u64::from(self.bytes.get(self.at + index).copied().unwrap_or(0));
        let word = byte(0) << 8 | byte(1);
        self.at += 2;
        word
    }

    /// Leaves the part of the interval that begins `low` from its start and is `range` long.
    fn narrow(&mut self, low: u64, range: u64) {
        self.code = self.code.wrapping_sub(low);
        self.range = range;
        if self.range < 1 << 48 {
            self.range <<= 16;
            self.code = self.code << 16 | self.word();
        }
    }

    /// A bit that is a one with probability `chance` / 65536.
    pub(super) fn bit(&mut self, chance: u64) -> bool {
        let bound = (self.range >> 16) * chance;
        let bit = self.code < bound;
        if bit {
            self.narrow(0, bound);
        } else {
            self.narrow(bound, self.range - bound);
        }
        bit
    }

    /// A symbol below 16; `bounds` says how probable the smaller ones are, in 1/32768.
    pub(super) fn symbol(&mut self, bounds: [u64; 16]) -> usize {
        let unit = self.range >> 15;
        let place = (self.code / unit).min(32_767);
        let symbol = (0..16).rev().find(|symbol| bounds[*symbol] <= place).unwrap_or(0);
        let low = unit * bounds[symbol];
        let high = bounds.get(symbol + 1).map_or(self.range, |bound| unit * bound);
        self.narrow(low, high - low);
        symbol
    }
}

/// The model of a bit.
#[derive(Clone, Copy)]
pub(super) struct Bit {
    chance: u64,
    seen: u64,
}

impl Default for Bit {
    fn default() -> Self {
        Self::expecting(32_768, 0)
    }
}

impl Bit {
    pub(super) fn expecting(chance: u64, seen: u64) -> Self {
        Self { chance, seen }
    }

    pub(super) fn read(&mut self, coder: &mut Coder<'_>) -> bool {
        let bit = coder.bit(self.chance.clamp(24, 65_511));
        let rate = 131_072 / (2 * self.seen + 3);
        if bit {
            self.chance += ((65_535 - self.chance) * rate) >> 16;
        } else {
            self.chance -= (self.chance * rate) >> 16;
        }
        self.seen = (self.seen + 1).min(90);
        bit
    }
}

/// The models of a symbol of some bits: one for each string of bits above.
#[derive(Clone, Default)]
pub(super) struct Symbol(HashMap<u64, Bit>);

impl Symbol {
    pub(super) fn read(&mut self, coder: &mut Coder<'_>, bits: u32) -> u64 {
        let mut node = 1;
        for _ in 0..bits {
            node = node << 1 | u64::from(self.0.entry(node).or_default().read(coder));
        }
        node - (1 << bits)
    }
}

/// The models of a number.
#[derive(Default)]
pub(super) struct Number {
    len: Symbol,
    /// By length.
    top: HashMap<u64, Symbol>,
    /// By length and place.
    rest: HashMap<(u64, u64), Bit>,
}

impl Number {
    pub(super) fn read(&mut self, coder: &mut Coder<'_>) -> u64 {
        let len = self.len.read(coder, 7).min(64);
        if len == 0 {
            return 0;
        }
        let (mut value, mut left) = (1, len - 1);
        if left >= 3 {
            value = value << 3 | self.top.entry(len).or_default().read(coder, 3);
            left -= 3;
        }
        for place in (0..left).rev() {
            value = value << 1 | u64::from(self.rest.entry((len, place)).or_default().read(coder));
        }
        value
    }

    /// A number and its sign, which stands in the lowest bit.
    pub(super) fn read_signed(&mut self, coder: &mut Coder<'_>) -> i64 {
        let folded = self.read(coder);
        let half = (folded >> 1) as i64;
        if folded & 1 == 1 { -1 - half } else { half }
    }
}
