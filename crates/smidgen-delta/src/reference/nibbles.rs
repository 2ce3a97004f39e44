//! A model of half bytes: each context keeps how probable the sixteen values are; two contexts are averaged with a weight.
//!
//! A context keeps, for each value, how probable all smaller ones are together, and moves these bounds as a whole towards
//! those of what came; an average of bounds is bounds again (Giesen, "Models for adaptive arithmetic coding", 2015).
//! The weight is the one that would have been best of late, learnt from what each context gave to the value that came
//! (the mixture of experts of Vovk's aggregating algorithm, forgetting exponentially). There is one for each degree to
//! which the contexts know their place, which does what escapes do in PPM (Cleary and Witten 1984): a context that was
//! seen once counts little beside one that was seen often.
//!
//! All in integers, so that every machine computes the same, and in loops over sixteen equal lanes, so that compilers
//! make vector instructions of them.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::coder::Coder;

/// One value for each of the sixteen symbols.
type Lanes = [u16; 16];

/// What a context knows. Lane 0 holds part of the context's hash (upper half) and how often it was seen (lower half); lane
/// n how probable it is, in 1/32768, that the symbol is less than n.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Slot(Lanes);

/// No symbol is less probable than this, in 1/32768: the bounds of neighbours stay apart, by [`learn`] and by [`mix`].
const GAP: u16 = 4;
/// All probabilities together.
const ONE: u16 = 1 << 15;

/// A context that was never seen.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "computed while compiling")]
const FRESH: Lanes = {
    let mut lanes = [0; 16];
    let mut lane = 1;
    while lane < 16 {
        lanes[lane] = (lane as u16) << 11;
        lane += 1;
    }
    lanes
};

/// For each symbol, the bounds of a context that knows nothing but it.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "computed while compiling")]
const AIMS: [Lanes; 16] = {
    let mut aims = [[0; 16]; 16];
    let mut symbol = 0;
    while symbol < 16 {
        let mut lane = 1;
        while lane < 16 {
            let place = lane as u16;
            aims[symbol][lane] = if lane > symbol { ONE - GAP * (16 - place) } else { GAP * place };
            lane += 1;
        }
        symbol += 1;
    }
    aims
};

/// For each symbol, the bounds of a context that saw it once: five sevenths of the way.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "computed while compiling")]
const FIRST: [Lanes; 16] = {
    let mut first = [[0; 16]; 16];
    let mut symbol = 0;
    while symbol < 16 {
        let mut lane = 1;
        while lane < 16 {
            let (from, to) = (FRESH[lane] as i32, AIMS[symbol][lane] as i32);
            first[symbol][lane] = (from + (to - from) * 5 / 7) as u16;
            lane += 1;
        }
        symbol += 1;
    }
    first
};

/// How far the nth observation moves the bounds, of 65536: less than half. The first is in [`FIRST`].
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "computed while compiling")]
const RATES: [i16; 256] = {
    let mut rates = [0; 256];
    let mut n = 1;
    while n < rates.len() {
        rates[n] = (655_360 / (10 * n as u32 + 14)) as i16;
        n += 1;
    }
    rates
};

/// Observations after which a context learns no slower.
const SLOWEST: u16 = 250;

/// How well a context knows its place, by how often it was seen: never, once, two or three times, more often.
#[inline]
const fn level(count: u16) -> usize {
    // A sum of comparisons, because a branch could not be foreseen.
    ((count > 0) as usize).wrapping_add((count > 1) as usize).wrapping_add((count > 3) as usize)
}

/// Weights for each set that the caller tells apart.
const LEVELS: usize = 4 * 4;
/// The least and the most weight of a context, of 65536: it can always come back.
const WEIGHTS: (i32, i32) = (64, 65_000);

/// A model of half bytes in one context or two.
pub(crate) struct Nibbles {
    slots: Vec<Slot>,
    /// Of the second context; none if there is only one.
    weights: Vec<u16>,
    /// All bits of every lane but lane 0, kept where compilers do not see through it: a lane that is known to be
    /// special would be taken out of the vector and computed alone.
    symbols: Lanes,
}

impl Nibbles {
    /// A model of `2^log` slots; of two contexts if `both`, with weights in `sets` sets.
    pub(crate) fn new(log: u8, both: bool, sets: usize) -> Self {
        let mut symbols = [u16::MAX; 16];
        symbols[0] = 0;
        let weights = if both { sets.saturating_mul(LEVELS) } else { 0 };
        Self {
            slots: vec![Slot([0; 16]); 1_usize << log.clamp(4, 26)],
            weights: vec![1 << 15; weights],
            symbols: std::hint::black_box(symbols),
        }
    }

    /// Bytes that a model of `2^log` slots allocates.
    pub(crate) const fn memory(log: u8, sets: usize) -> u64 {
        let slots = (size_of::<Slot>() as u64) << if log < 4 { 4 } else { log };
        slots.saturating_add((sets as u64).saturating_mul(size_of::<[u16; LEVELS]>() as u64))
    }

    /// Whether there are two contexts.
    #[inline]
    pub(crate) fn both(&self) -> bool {
        !self.weights.is_empty()
    }

    /// Codes a symbol below 16 in contexts of these hashes, the broader first, with weights of `set`. A model of one context
    /// uses the first.
    #[inline]
    pub(crate) fn code(
        &mut self,
        coder: &mut impl Coder,
        hashes: [u32; 2],
        set: usize,
        symbol: usize,
    ) -> usize {
        if self.both() {
            self.code_in_both(coder, hashes, set.wrapping_mul(LEVELS), symbol)
        } else {
            let [only, _] = hashes;
            self.code_in_one(coder, only, symbol)
        }
    }

    fn code_in_one(&mut self, coder: &mut impl Coder, hash: u32, symbol: usize) -> usize {
        let known = self.look_up(hash);
        let symbol = coder.code_symbol(&masked(known.bounds, &self.symbols), symbol) & 15;
        let learnt = known.learn(hash, symbol, &self.symbols);
        self.put(hash, learnt);
        symbol
    }

    /// Codes a symbol in two contexts, with the weights from `set` on.
    fn code_in_both(&mut self, coder: &mut impl Coder, hashes: [u32; 2], set: usize, symbol: usize) -> usize {
        let [first, second] = hashes;
        let (broad, narrow) = (self.look_up(first), self.look_up(second));
        let place = set.wrapping_add(level(narrow.count) << 2 | level(broad.count));
        let weight = self.weights.get(place).copied().unwrap_or(0);
        let bounds = mix(broad.bounds, narrow.bounds, weight, &self.symbols);
        let symbol = coder.code_symbol(&bounds, symbol) & 15;
        let weight = weigh(weight, chance(broad.bounds, symbol), chance(narrow.bounds, symbol));
        let learnt = [broad.learn(first, symbol, &self.symbols), narrow.learn(second, symbol, &self.symbols)];
        if let Some(slot) = self.weights.get_mut(place) {
            *slot = weight;
        }
        for (hash, learnt) in hashes.into_iter().zip(learnt) {
            self.put(hash, learnt);
        }
        symbol
    }

    #[inline]
    fn place(&self, hash: u32) -> usize {
        hash as usize & self.slots.len().wrapping_sub(1)
    }

    #[inline]
    fn look_up(&self, hash: u32) -> Known<'_> {
        let fresh = Known { bounds: &FRESH, count: 0 };
        let Some(Slot(bounds)) = self.slots.get(self.place(hash)) else {
            return fresh;
        };
        let [mark, ..] = *bounds;
        let own = u32::from(mark >> 8) == hash >> 24 && mark & 0xFF != 0;
        Known { bounds: if own { bounds } else { &FRESH }, count: if own { mark & 0xFF } else { 0 } }
    }

    #[inline]
    fn put(&mut self, hash: u32, bounds: Lanes) {
        let place = self.place(hash);
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Slot(bounds);
        }
    }
}

/// What a context knows, and how often it was seen.
struct Known<'a> {
    bounds: &'a Lanes,
    count: u16,
}

impl Known<'_> {
    /// What it knows after one more observation.
    #[inline]
    #[allow(clippy::indexing_slicing, reason = "tables of 16 and 256, indices of four and eight bits")]
    fn learn(&self, hash: u32, symbol: usize, symbols: &Lanes) -> Lanes {
        let bounds = if self.count == 0 { &FIRST[symbol & 15] } else { self.bounds };
        let mark = (hash >> 24 << 8) as u16 | self.count.wrapping_add(u16::from(self.count < SLOWEST));
        learn(bounds, &AIMS[symbol & 15], RATES[usize::from(self.count & 0xFF)], mark, symbols)
    }
}

/// The bounds without the mark.
#[inline]
fn masked(bounds: &Lanes, symbols: &Lanes) -> Lanes {
    let mut masked = *bounds;
    for (bound, keep) in masked.iter_mut().zip(symbols) {
        *bound &= keep;
    }
    masked
}

/// Averages bounds, the second with this weight of 65536. One of the weights is at least a half and bounds are at least
/// two apart, so they stay apart when rounded down.
#[inline]
fn mix(first: &Lanes, second: &Lanes, weight: u16, symbols: &Lanes) -> Lanes {
    let part = |bound: u16, weight: u16| (u32::from(bound).wrapping_mul(u32::from(weight)) >> 16) as u16;
    let mut mixed = [0; 16];
    for (((mixed, first), second), keep) in mixed.iter_mut().zip(first).zip(second).zip(symbols) {
        *mixed = part(*first, !weight).wrapping_add(part(*second, weight)) & keep;
    }
    mixed
}

/// How probable the symbol is, of 32768.
#[inline]
fn chance(bounds: &Lanes, symbol: usize) -> u32 {
    let low = if symbol == 0 { 0 } else { bounds.get(symbol).copied().unwrap_or(0) };
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

/// The slot after one more observation. Bounds move by less than half of what is left and are rounded towards zero
/// probability of what did not come, never beyond the aim; neighbours that are at least two apart stay so, because
/// the aims are [`GAP`] apart.
#[inline]
fn learn(bounds: &Lanes, aim: &Lanes, rate: i16, mark: u16, symbols: &Lanes) -> Lanes {
    let mut lanes = [0; 16];
    for (((lane, bound), aim), keep) in lanes.iter_mut().zip(bounds).zip(aim).zip(symbols) {
        let left = i32::from(aim.wrapping_sub(*bound).cast_signed());
        let step = (left.wrapping_mul(i32::from(rate)) >> 16) as u16;
        *lane = bound.wrapping_add(step) & keep | mark & !keep;
    }
    lanes
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;

    const SYMBOLS: Lanes = {
        let mut symbols = [u16::MAX; 16];
        symbols[0] = 0;
        symbols
    };

    fn apart(bounds: &Lanes, gap: u16) {
        for lane in 1..15 {
            assert!(bounds[lane + 1] >= bounds[lane] + gap, "{bounds:?}");
        }
        assert!(bounds[1] >= gap && bounds[15] <= ONE - gap, "{bounds:?}");
    }

    #[test]
    fn bounds_stay_apart_whatever_comes_and_however_they_are_mixed() {
        let mut noise = 1_u64;
        let mut contexts = [FIRST[3], FIRST[12]];
        for round in 0..200_000_u32 {
            noise = noise.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(round.into());
            // Long runs of one symbol as well as noise.
            let symbol =
                if noise >> 60 < 12 { (round >> 12) as usize & 15 } else { (noise >> 40) as usize & 15 };
            let which = (noise >> 33) as usize & 1;
            let rate = RATES[1 + (noise >> 50) as usize % 250];
            contexts[which] = learn(&contexts[which], &AIMS[symbol], rate, 7, &SYMBOLS);
            assert_eq!(contexts[which][0], 7);
            apart(&contexts[which], 2);
            let weight = (64 + (noise >> 20) % 64_936) as u16;
            apart(&mix(&contexts[0], &contexts[1], weight, &SYMBOLS), 1);
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
