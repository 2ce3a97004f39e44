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
        let next = bounds.get(symbol + 1).unwrap_or(&32_768);
        self.narrow(unit * bounds[symbol], unit * (next - bounds[symbol]));
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

/// All probabilities together.
pub(super) const ONE: i64 = 32_768;
/// The least of a symbol.
const GAP: i64 = 4;

/// The model of one of sixteen values: how probable it is that it is less than each.
#[derive(Clone, Copy)]
pub(super) struct Half {
    pub(super) bounds: [i64; 16],
    pub(super) count: usize,
}

impl Half {
    /// As if it had been seen `count` times.
    pub(super) fn new(count: usize) -> Self {
        Self { bounds: std::array::from_fn(|value| value as i64 * ONE / 16), count }
    }

    pub(super) fn chance(&self, symbol: usize) -> i64 {
        self.bounds.get(symbol + 1).unwrap_or(&ONE) - self.bounds[symbol]
    }

    pub(super) fn learn(&mut self, symbol: usize) {
        for (value, bound) in self.bounds.iter_mut().enumerate().skip(1) {
            let value_place = value as i64;
            let aim = if value > symbol { ONE - GAP * (16 - value_place) } else { GAP * value_place };
            *bound += match self.count {
                0 => (aim - *bound) * 5 / 7,
                count => ((aim - *bound) * (655_360 / (10 * count as i64 + 14))) >> 16,
            };
        }
        self.count = (self.count + 1).min(250);
    }

    pub(super) fn read(&mut self, coder: &mut Coder<'_>) -> u64 {
        let symbol = coder.symbol(self.bounds.map(|bound| bound as u64));
        self.learn(symbol);
        symbol as u64
    }
}

/// The models of a number.
pub(super) struct Number {
    len: Half,
    /// Of lengths from fifteen on: the upper half of what is beyond, the lower by the upper.
    beyond: [Half; 5],
    /// The first four bits below the leading one, by length.
    top: [Half; 65],
    /// Four further bits, by how many follow.
    rest: [Half; 65],
}

impl Default for Number {
    fn default() -> Self {
        let half = Half::new(3);
        Self { len: half, beyond: [half; 5], top: [half; 65], rest: [half; 65] }
    }
}

impl Number {
    pub(super) fn read(&mut self, coder: &mut Coder<'_>) -> u64 {
        let mut len = self.len.read(coder);
        if len == 15 {
            let upper = self.beyond[0].read(coder);
            len += 16 * upper + self.beyond[1 + (upper as usize & 3)].read(coder);
        }
        let len = len.min(64);
        if len == 0 {
            return 0;
        }
        let (mut value, mut left) = (1, len - 1);
        let mut model = &mut self.top[len as usize];
        while left > 0 {
            let count = left.min(4);
            left -= count;
            value = value << count | model.read(coder) & ((1 << count) - 1);
            model = &mut self.rest[left as usize];
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
