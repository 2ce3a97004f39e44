//! How probable each of sixteen symbols is, learnt from those that came.
//!
//! What is kept is, for each symbol, how probable all smaller ones are together; these bounds move as a whole towards
//! those of what came (Giesen, "Models for adaptive arithmetic coding", 2015). All in integers, so that every machine
//! computes the same, and in loops over sixteen equal lanes, so that compilers make vector instructions of them.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::coder::Coder;

/// One value for each of the sixteen symbols; that of bounds is always zero for the first.
pub(super) type Lanes = [u16; 16];

/// No symbol is less probable than this, in 1/32768: the bounds of neighbours stay apart, when they learn and when two are averaged.
const GAP: u16 = 4;
/// All probabilities together.
pub(super) const ONE: u16 = 1 << 15;

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
const SLOWEST: u8 = 250;

/// How often something was observed; beyond what changes how fast it learns, no longer counted.
#[derive(Clone, Copy, Default)]
pub(super) struct Count(pub(super) u8);

impl Count {
    /// After one more observation.
    #[inline]
    pub(super) fn next(self) -> Self {
        Self(self.0.wrapping_add(u8::from(self.0 < SLOWEST)))
    }
}

/// What is known before the first observation, or these bounds after it.
#[inline]
pub(super) fn known(bounds: &Lanes, count: Count) -> &Lanes {
    if count.0 == 0 { &FRESH } else { bounds }
}

/// Bounds after the symbol that came: moved towards those that it alone would have.
#[inline]
#[allow(clippy::indexing_slicing, reason = "tables of 16 and 256, indices of four and eight bits")]
pub(super) fn observe(bounds: &Lanes, count: Count, symbol: usize) -> Lanes {
    let from = if count.0 == 0 { &FIRST[symbol & 15] } else { bounds };
    learn(from, &AIMS[symbol & 15], RATES[usize::from(count.0)])
}

/// Bounds after one more observation. They move by less than half of what is left and are rounded towards zero
/// probability of what did not come, never beyond the aim; neighbours that are at least two apart stay so, because
/// the aims are [`GAP`] apart.
#[inline]
fn learn(bounds: &Lanes, aim: &Lanes, rate: i16) -> Lanes {
    let mut lanes = [0; 16];
    for ((lane, bound), aim) in lanes.iter_mut().zip(bounds).zip(aim) {
        let left = i32::from(aim.wrapping_sub(*bound).cast_signed());
        *lane = bound.wrapping_add((left.wrapping_mul(i32::from(rate)) >> 16) as u16);
    }
    lanes
}

/// A model of sixteen symbols in no context.
#[derive(Clone)]
pub(super) struct Half {
    bounds: Lanes,
    count: Count,
}

impl Default for Half {
    /// Learns as if it had seen all symbols before: what comes first need not come again.
    fn default() -> Self {
        Self { bounds: FRESH, count: Count(3) }
    }
}

impl Half {
    /// Codes a symbol below 16 and learns from it.
    #[inline]
    pub(super) fn code(&mut self, coder: &mut impl Coder, symbol: usize) -> usize {
        let symbol = coder.code_symbol(&self.bounds, symbol) & 15;
        self.bounds = observe(&self.bounds, self.count, symbol);
        self.count = self.count.next();
        symbol
    }
}
