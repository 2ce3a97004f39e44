//! A model of half bytes: several contexts each keep how probable the sixteen values are, and are averaged with weights.
//!
//! The weights are those that would have been best of late, learnt from what each context gave to the value that came
//! (the mixture of experts of Vovk's aggregating algorithm, forgetting exponentially). They are kept apart by how well the
//! three most telling contexts know their place, which does what escapes do in PPM (Cleary and Witten 1984): a context that was
//! seen once counts little beside one that was seen often.
//!
//! All in integers, so that every machine computes the same, and in loops over sixteen equal lanes, so that compilers
//! make vector instructions of them.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::coder::Coder;

/// One value for each of the sixteen symbols.
type Lanes = [u16; 16];

/// What a context knows. Lane 0 holds part of the context's hash (upper half) and how often it was seen (lower half); lane
/// n how probable it is, in 1/65536, that the symbol is less than n.
#[derive(Clone, Copy, Default)]
#[repr(align(32))]
struct Slot(Lanes);

/// A context that was never seen.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "computed while compiling")]
const FRESH: Slot = {
    let mut lanes = [0; 16];
    let mut symbol = 1;
    while symbol < 16 {
        lanes[symbol] = (symbol as u16) << 12;
        symbol += 1;
    }
    Slot(lanes)
};

/// How far the nth observation moves a probability, of 65536.
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "computed while compiling")]
const RATES: [u16; 256] = {
    let mut rates = [0; 256];
    let mut n = 0;
    while n < rates.len() {
        rates[n] = (655_360 / (10 * n as u32 + 14)) as u16;
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

/// Sets of weights for each set that the caller tells apart.
const LEVELS: usize = 4 * 4 * 4;
/// The least weight of a context: it can always come back.
const LEAST_WEIGHT: i32 = 64;
/// The most.
const MOST_WEIGHT: i32 = 65_000;

/// Numbers that the loops over lanes need, kept where compilers do not see through them: a lane that is known to
/// be special would be taken out of the vector and computed alone.
struct Constants {
    /// Nothing in lane 0, all bits elsewhere.
    symbols: Lanes,
    /// The least bound of each symbol, so that none is impossible.
    ramp: Lanes,
    /// The number of each lane.
    index: Lanes,
}

impl Constants {
    fn new() -> Self {
        let index: Lanes = std::array::from_fn(|lane| lane as u16);
        std::hint::black_box(Self {
            symbols: index.map(|lane| if lane == 0 { 0 } else { u16::MAX }),
            ramp: index.map(|lane| lane.wrapping_mul(4)),
            index,
        })
    }
}

/// What contexts know, as it lay in memory: perhaps of others.
pub(crate) struct Known<const N: usize> {
    slots: [Slot; N],
    hashes: [u32; N],
}

/// A model of half bytes in `N` contexts, at least three.
pub(crate) struct Nibbles<const N: usize> {
    slots: Vec<Slot>,
    weights: Vec<[u16; N]>,
    constants: Constants,
}

impl<const N: usize> Nibbles<N> {
    /// A model of `2^log` slots and `sets` sets of weights.
    pub(crate) fn new(log: u8, sets: usize) -> Self {
        let weight = u32::from(u16::MAX).checked_div(N as u32).unwrap_or(0) as u16;
        Self {
            slots: vec![Slot::default(); 1_usize << log.clamp(4, 26)],
            weights: vec![[weight; N]; sets.saturating_mul(LEVELS)],
            constants: Constants::new(),
        }
    }

    /// Bytes that a model of `2^log` slots allocates.
    pub(crate) const fn memory(log: u8, sets: usize) -> u64 {
        let slots = (size_of::<Slot>() as u64) << if log < 4 { 4 } else { log };
        slots.saturating_add((sets as u64).saturating_mul(size_of::<[[u16; N]; LEVELS]>() as u64))
    }

    /// What contexts of these hashes know. Better asked for long before it is needed: all loads then wait for memory
    /// together.
    #[inline]
    pub(crate) fn look_up(&self, hashes: &[u32; N]) -> Known<N> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut slots = [FRESH; N];
        for (slot, hash) in slots.iter_mut().zip(hashes) {
            *slot = self.slots.get(*hash as usize & mask).copied().unwrap_or(FRESH);
        }
        Known { slots, hashes: *hashes }
    }

    /// Codes a symbol below 16 in contexts of which this is known, the most telling last, with weights of `set`.
    #[inline]
    pub(crate) fn code(
        &mut self,
        coder: &mut impl Coder,
        known: &Known<N>,
        set: usize,
        symbol: usize,
    ) -> usize {
        let mask = self.slots.len().wrapping_sub(1);
        let Known { mut slots, hashes } = *known;
        let mut counts = [0; N];
        for ((slot, hash), count) in slots.iter_mut().zip(hashes).zip(&mut counts) {
            let mark = slot.0[0];
            if u32::from(mark >> 8) == hash >> 24 && mark & 0xFF != 0 {
                *count = mark & 0xFF;
            } else {
                *slot = FRESH;
            }
        }
        let [.., third, second, first] = counts.as_slice() else {
            return 0;
        };
        let levels = level(*first) << 4 | level(*second) << 2 | level(*third);
        let mut none = [0; N];
        let weights =
            self.weights.get_mut(set.wrapping_mul(LEVELS).wrapping_add(levels)).unwrap_or(&mut none);

        let bounds = bounds(&slots, weights, &self.constants);
        let symbol = coder.code_symbol(&bounds, symbol);

        // Lanes above the symbol move up, the others down.
        let mut up = self.constants.index;
        for lane in &mut up {
            *lane = if *lane > symbol as u16 { u16::MAX } else { 0 };
        }
        let mut gains = [0; N];
        for (((slot, hash), count), gain) in slots.iter().zip(hashes).zip(counts).zip(&mut gains) {
            *gain = u32::from(slot.chance(symbol));
            let learnt = slot.learn(count, hash, &up, &self.constants);
            if let Some(slot) = self.slots.get_mut(hash as usize & mask) {
                *slot = learnt;
            }
        }
        weigh(weights, gains);
        symbol
    }
}

/// Averages what the contexts say: how probable it is that the symbol is less than each lane's.
#[inline]
fn bounds<const N: usize>(slots: &[Slot; N], weights: &[u16; N], constants: &Constants) -> Lanes {
    let mut mixed = [0_u16; 16];
    for (slot, weight) in slots.iter().zip(weights) {
        for (sum, bound) in mixed.iter_mut().zip(slot.0) {
            *sum = sum.wrapping_add((u32::from(bound).wrapping_mul(u32::from(*weight)) >> 16) as u16);
        }
    }
    // From 1/65536 to 1/32768, and a little less, to make room for the ramp.
    for ((bound, ramp), keep) in mixed.iter_mut().zip(constants.ramp).zip(constants.symbols) {
        *bound = ((*bound >> 1).wrapping_sub(*bound >> 10) & keep).wrapping_add(ramp);
    }
    mixed
}

impl Slot {
    /// How probable the symbol is, of 65536.
    #[inline]
    fn chance(&self, symbol: usize) -> u16 {
        let low = if symbol == 0 { 0 } else { self.0.get(symbol).copied().unwrap_or(0) };
        let high = self.0.get(symbol.wrapping_add(1)).copied().unwrap_or(u16::MAX);
        high.wrapping_sub(low)
    }

    /// The slot after one more observation.
    #[inline]
    #[allow(
        clippy::indexing_slicing,
        reason = "all have sixteen lanes; one loop over an index becomes vector code"
    )]
    fn learn(&self, count: u16, hash: u32, up: &Lanes, constants: &Constants) -> Self {
        let rate = RATES[usize::from(count & 0xFF)];
        let mark = (hash >> 24 << 8) as u16 | count.wrapping_add(u16::from(count < SLOWEST));
        let mark = mark.wrapping_sub(self.0[0]);
        let mut lanes = [0; 16];
        for lane in 0..16 {
            // A lane that moves up is one whose distance to the top shrinks.
            let distance = self.0[lane] ^ up[lane];
            let rate = rate & constants.symbols[lane];
            let step = (u32::from(distance).wrapping_mul(u32::from(rate)) >> 16) as u16;
            let mark = mark & !constants.symbols[lane];
            lanes[lane] = (distance.wrapping_sub(step) ^ up[lane]).wrapping_add(mark);
        }
        Self(lanes)
    }
}

/// Moves the weights towards the shares that the contexts had in what the symbol was given.
#[inline]
fn weigh<const N: usize>(weights: &mut [u16; N], gains: [u32; N]) {
    let mut total = 1_u32;
    let mut shares = gains;
    for (share, weight) in shares.iter_mut().zip(weights.iter()) {
        *share = (share.wrapping_mul(u32::from(*weight)) >> 8).wrapping_add(1);
        total = total.wrapping_add(*share);
    }
    let inverse = u64::from(u32::MAX.checked_div(total).unwrap_or(0));
    let mut sum = 0_i32;
    for (weight, share) in weights.iter_mut().zip(shares) {
        let aim = (u64::from(share).wrapping_mul(inverse) >> 16) as i32;
        let next = i32::from(*weight).wrapping_add(aim.wrapping_sub((*weight).into()) >> 5);
        let next = next.clamp(LEAST_WEIGHT, MOST_WEIGHT);
        *weight = next as u16;
        sum = sum.wrapping_add(next);
    }
    // Together they stay below one, so that sums of bounds do not overflow.
    if sum > i32::from(u16::MAX) {
        for weight in weights {
            *weight = weight.wrapping_sub(*weight >> 6);
        }
    }
}
