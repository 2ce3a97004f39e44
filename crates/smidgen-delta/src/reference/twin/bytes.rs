//! Bytes in their contexts: what came last, else two halves of sixteen values each.

use std::collections::HashMap;

use super::coder::{Bit, Coder, Half};

/// Folds `b` into the context `a`.
pub(super) fn fold(a: u32, b: u32) -> u32 {
    (a ^ b.wrapping_mul(0x9E37_79B1)).wrapping_mul(0x85EB_CA6B).rotate_left(13).wrapping_add(b)
}

/// Logarithm of the least power of two that is not below `size`.
pub(super) fn covering_log(size: u64) -> u32 {
    (0..63).find(|log| 1 << log >= size).unwrap_or(63)
}

/// What came last in a context.
#[derive(Clone, Copy, Default)]
struct Seen<V> {
    value: V,
    /// How often in a row, more or less.
    count: u32,
    /// The upper half of the context's hash.
    check: u32,
}

/// A table of what came last.
pub(super) struct Recall<V> {
    log: u32,
    trust: u32,
    places: HashMap<u32, Seen<V>>,
    /// By set, context, what the other one says, magnitude of the count.
    flags: HashMap<(u32, u32, u32, u32), Bit>,
}

/// What two contexts expect.
pub(super) struct Guess<V> {
    pub(super) value: V,
    flag: (u32, u32, u32, u32),
}

impl<V: Copy + Default + PartialEq> Recall<V> {
    pub(super) fn new(log: u32, trust: u32) -> Self {
        Self { log: log.clamp(4, 30), trust, places: HashMap::new(), flags: HashMap::new() }
    }

    fn hash(context: u32) -> u32 {
        let hash = context.wrapping_mul(0x85EB_CA6B);
        hash ^ hash >> 15
    }

    fn place(&self, context: u32) -> u32 {
        Self::hash(context) & ((1 << self.log) - 1)
    }

    /// What a context has, and how often it was seen in that very context.
    fn look_up(&self, context: u32) -> (Seen<V>, u32) {
        let seen = self.places.get(&self.place(context)).copied().unwrap_or_default();
        let is_own = seen.check == Self::hash(context) >> 16;
        (seen, if is_own { seen.count } else { 0 })
    }

    /// The first of two contexts that saw its value often enough says what to expect.
    pub(super) fn guess(&self, contexts: [u32; 2], set: u32) -> Option<Guess<V>> {
        let [(first, first_count), (second, second_count)] = contexts.map(|context| self.look_up(context));
        let (which, value, count, other) = if first_count >= self.trust {
            let other = match second_count {
                0 => 0,
                _ if first.value != second.value => 1,
                _ => 2,
            };
            (0, first.value, first_count, other)
        } else if second_count >= self.trust {
            (1, second.value, second_count, if first_count > 0 { 3 } else { 0 })
        } else {
            return None;
        };
        let magnitude = (32 - count.leading_zeros()).min(7);
        Some(Guess { value, flag: (set, which, other, magnitude) })
    }

    /// Whether a guess is right.
    pub(super) fn confirm(&mut self, coder: &mut Coder<'_>, guess: &Guess<V>) -> bool {
        self.flags.entry(guess.flag).or_insert_with(|| Bit::expecting(58_000, 2)).read(coder)
    }

    /// What came last, if it came again.
    pub(super) fn read(&mut self, coder: &mut Coder<'_>, contexts: [u32; 2], set: u32) -> Option<V> {
        let guess = self.guess(contexts, set)?;
        self.confirm(coder, &guess).then_some(guess.value)
    }

    pub(super) fn learn(&mut self, contexts: [u32; 2], value: V) {
        // Both are looked up before either is changed.
        let known = contexts.map(|context| self.look_up(context));
        for (context, (mut seen, own_count)) in contexts.into_iter().zip(known) {
            if own_count == 0 && seen.count > 3 {
                seen.count -= 2;
            } else if own_count > 0 && seen.value == value {
                seen.count = (seen.count + 1).min(255);
            } else if own_count > 3 {
                seen.count -= seen.count / 2;
            } else {
                seen = Seen { value, count: 1, check: Self::hash(context) >> 16 };
            }
            self.places.insert(self.place(context), seen);
        }
    }
}

/// What a context knows of a half.
#[derive(Clone, Copy)]
struct Slot {
    half: Half,
    /// The upper eight bits of its hash.
    check: u32,
}

impl Slot {
    fn fresh(hash: u32) -> Self {
        Self { half: Half::new(0), check: hash >> 24 }
    }
}

/// A model of halves in two contexts.
struct Halves {
    log: u32,
    slots: HashMap<u32, Slot>,
    /// The weight of the second context, of 65536: by set, and how well the second and the first are known.
    weights: HashMap<(u32, usize, usize), i64>,
}

impl Halves {
    fn look_up(&self, hash: u32) -> Slot {
        let slot = self.slots.get(&self.place(hash)).filter(|slot| slot.check == hash >> 24);
        slot.copied().unwrap_or(Slot::fresh(hash))
    }

    fn place(&self, hash: u32) -> u32 {
        hash & ((1 << self.log) - 1)
    }

    fn read(&mut self, coder: &mut Coder<'_>, hashes: [u32; 2], set: u32) -> usize {
        let [mut first, mut second] = hashes.map(|hash| self.look_up(hash));
        let level = |count: usize| match count {
            0 => 0,
            1 => 1,
            2 | 3 => 2,
            _ => 3,
        };
        let weight =
            self.weights.entry((set, level(second.half.count), level(first.half.count))).or_insert(32_768);
        let bounds = std::array::from_fn(|value| {
            let parts = [(first.half.bounds[value], 65_535 - *weight), (second.half.bounds[value], *weight)];
            parts.iter().map(|(bound, weight)| ((bound * weight) >> 16) as u64).sum()
        });
        let symbol = coder.symbol(bounds);
        // The weight moves towards the share that the second context had.
        let first_part = first.half.chance(symbol) * ((65_535 - *weight) >> 1);
        let second_part = second.half.chance(symbol) * (*weight >> 1);
        let share = second_part / ((first_part >> 16) + (second_part >> 16) + 1);
        *weight = (*weight + ((share - *weight) >> 5)).clamp(64, 65_000);
        first.half.learn(symbol);
        second.half.learn(symbol);
        self.slots.insert(self.place(hashes[0]), first);
        self.slots.insert(self.place(hashes[1]), second);
        symbol
    }
}

/// The contexts of a byte.
pub(super) struct Contexts {
    /// Of what came last, the more telling first.
    pub(super) recall: [u32; 2],
    /// Of its halves.
    pub(super) halves: [u32; 2],
}

/// A model of bytes.
pub(super) struct Bytes {
    recall: Recall<u8>,
    halves: Halves,
}

impl Bytes {
    pub(super) fn new(log: u32, trust: u32) -> Self {
        let halves = Halves { log: log.clamp(7, 26), slots: HashMap::new(), weights: HashMap::new() };
        Self { recall: Recall::new(log + 2, trust), halves }
    }

    pub(super) fn read(&mut self, coder: &mut Coder<'_>, contexts: &Contexts, set: u32) -> u8 {
        let byte = match self.recall.read(coder, contexts.recall, set) {
            Some(value) => value,
            None => self.read_halves(coder, contexts.halves, set),
        };
        self.recall.learn(contexts.recall, byte);
        byte
    }

    fn read_halves(&mut self, coder: &mut Coder<'_>, [first, second]: [u32; 2], set: u32) -> u8 {
        let hashes = [first, second.wrapping_add(0x1234_5677)].map(|context| {
            let hash = context.wrapping_mul(0x85EB_CA6B);
            let hash = (hash ^ hash >> 15).wrapping_mul(0x9E37_79B1);
            hash ^ hash >> 15
        });
        let high = self.halves.read(coder, hashes, 2 * set);
        let below = (high as u32 + 1).wrapping_mul(0x9E37_79B1) & 0xFF00_007F;
        let low = self.halves.read(coder, hashes.map(|hash| hash ^ below), 2 * set + 1);
        (high << 4 | low) as u8
    }
}
