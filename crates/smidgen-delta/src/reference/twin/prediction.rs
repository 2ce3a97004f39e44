//! What becomes of a reference: the guesses, the bits that choose among them, and what is remembered.

use std::collections::HashMap;

use super::{
    bytes::covering_log,
    coder::{Bit, Coder, Number},
    map::Map,
    reference::{ADRP, Anchor, BYTE, Reference, TABLE},
};

/// What is remembered of a referent or a number.
#[derive(Clone, Copy)]
struct Memory {
    key: u64,
    value: u64,
    /// Where the match begins in which it was seen.
    seen: u64,
}

/// A table whose places are taken over by whoever hashes to them.
struct Memories {
    log: u32,
    places: HashMap<u64, Memory>,
}

impl Memories {
    fn new(log: u32) -> Self {
        Self { log, places: HashMap::new() }
    }

    fn place(&self, key: u64) -> u64 {
        key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - self.log)
    }

    fn find(&self, key: u64) -> Option<Memory> {
        self.places.get(&self.place(key)).copied().filter(|memory| memory.key == key)
    }

    fn keep(&mut self, memory: Memory) {
        self.places.insert(self.place(memory.key), memory);
    }
}

/// The match that a reference stands in: its place in the new file, its old address, and how far both files stay in one
/// segment from there.
#[derive(Clone, Copy)]
pub(super) struct Surroundings {
    pub(super) place: u64,
    pub(super) address: u64,
    pub(super) len: u64,
}

impl Surroundings {
    /// Whether a reference leads into its own match, so that it moves along with what it leads to.
    fn moves_along(&self, reference: &Reference) -> bool {
        matches!(reference.anchor, Anchor::Here(_))
            && reference.form != ADRP
            && reference.referent.wrapping_sub(self.address) < self.len
    }

    /// Whether it most likely stays as it is.
    pub(super) fn may_rest(&self, reference: &Reference) -> bool {
        reference.anchor == Anchor::Equal || self.moves_along(reference)
    }
}

pub(super) struct Predictor {
    referents: Memories,
    numbers: Memories,
    /// By class, what numbers last moved by.
    steps: HashMap<u8, u64>,
    /// Old referent and new page of eight ADRPs, the next to be replaced, and which.
    pages: [(u64, u64); 8],
    next_page: usize,
    /// By class, the last outcomes: a one is a miss.
    history: HashMap<u8, u64>,
    first: HashMap<(u8, usize, u64, u64), Bit>,
    further: HashMap<(u8, usize, u64), Bit>,
    difference: HashMap<u8, Number>,
    /// Whether all that may rest does, by whether it did in the stretch before.
    rest: [Bit; 2],
    rested: bool,
    /// Misses in this stretch.
    pub(super) misses: u64,
}

impl Predictor {
    pub(super) fn new(old_size: u64) -> Self {
        Self {
            referents: Memories::new(covering_log(old_size).saturating_sub(6).clamp(8, 18)),
            numbers: Memories::new(10),
            steps: HashMap::new(),
            pages: [(u64::MAX, 0); 8],
            next_page: 0,
            history: HashMap::new(),
            first: HashMap::new(),
            further: HashMap::new(),
            difference: HashMap::new(),
            rest: [Bit::default(); 2],
            rested: true,
            misses: 0,
        }
    }

    /// Whether all references of a stretch that may rest do.
    pub(super) fn read_rest(&mut self, coder: &mut Coder<'_>) -> bool {
        self.rested = self.rest[usize::from(self.rested)].read(coder);
        self.rested
    }

    /// The new value of a reference whose old one was `was`; its field is to stand at `address`.
    pub(super) fn read(
        &mut self,
        coder: &mut Coder<'_>,
        map: &Map,
        reference: &Reference,
        was: u64,
        address: u64,
        surroundings: Surroundings,
    ) -> u64 {
        let Reference { referent, anchor, class, .. } = *reference;
        let new_anchor = match anchor {
            Anchor::Here(skip) => address.wrapping_add(skip),
            Anchor::At(base) => map.find(base).0,
            Anchor::Page => self.pages.iter().find(|(old, _)| *old == referent).map_or(0, |(_, page)| *page),
            _ => 0,
        };
        let is_number = matches!(anchor, Anchor::Step | Anchor::Equal);
        let is_local = surroundings.moves_along(reference);
        let (mut guesses, trust) = if is_local {
            ([was; 4], 6)
        } else if is_number {
            self.guess_number(reference, was, surroundings)
        } else {
            self.guess_address(map, reference, was, new_anchor)
        };
        let history = self.history.entry(class).or_default();
        let lately = *history & 3;
        let model = self.first.entry((class, trust, lately, self.misses.min(3)));
        let right = model.or_insert_with(|| Bit::expecting(63_000, 3)).read(coder);
        *history = *history << 1 | u64::from(!right);
        if right && is_local {
            return was;
        }
        let value = if right {
            guesses[0]
        } else {
            self.misses += 1;
            if is_local {
                let ([known, mapped, other, _], _) = self.guess_address(map, reference, was, new_anchor);
                guesses = [was, known, mapped, other];
            }
            self.read_other(coder, reference, guesses, lately & 1)
        };
        if is_number {
            self.learn_number(reference, was, value, surroundings);
        } else {
            self.learn_address(map, reference, value, new_anchor, surroundings);
        }
        value
    }

    /// Not the first guess: one of the others, or a difference from the second.
    fn read_other(
        &mut self,
        coder: &mut Coder<'_>,
        reference: &Reference,
        guesses: [u64; 4],
        missed_before: u64,
    ) -> u64 {
        for index in 1..4 {
            let guess = guesses[index];
            // What was denied is not asked again.
            if !guesses[..index].contains(&guess)
                && self.further.entry((reference.class, index, missed_before)).or_default().read(coder)
            {
                return guess;
            }
        }
        let difference = self.difference.entry(reference.class).or_default().read_signed(coder);
        guesses[1].wrapping_add_signed(difference) & reference.form.mask()
    }

    fn guess_address(&self, map: &Map, reference: &Reference, was: u64, anchor: u64) -> ([u64; 4], usize) {
        let form = reference.form;
        let (new, outside) = map.find(reference.referent);
        let mapped = form.value(new, anchor);
        let known = self.referents.find(reference.referent).filter(|_| reference.class != TABLE);
        let best = known.map_or(mapped, |known| form.value(known.value, anchor));
        let other = reference
            .other
            .map_or(was, |base| form.value(map.find(base.wrapping_add(was)).0, map.find(base).0));
        let trust = match (known.is_some(), outside) {
            (true, _) => {
                if best == mapped {
                    3
                } else {
                    4
                }
            }
            (false, 0) => {
                if mapped == was {
                    0
                } else {
                    5
                }
            }
            (false, 1..256) => 1,
            (false, _) => 2,
        };
        ([best, mapped, other, was], trust)
    }

    fn guess_number(&self, reference: &Reference, was: u64, surroundings: Surroundings) -> ([u64; 4], usize) {
        let step = self.steps.get(&reference.class).copied().unwrap_or(0);
        let moved = was.wrapping_add(step) & reference.form.mask();
        if reference.anchor == Anchor::Step {
            return ([moved, was, was, was], usize::from(step == 0));
        }
        let Some(known) = self.numbers.find(number_key(reference)) else {
            return ([was, moved, was, was], 0);
        };
        let trust = match (known.value == was, known.seen == surroundings.place) {
            (false, true) => 1,
            (false, false) => 2,
            (true, true) => 3,
            (true, false) => 4,
        };
        ([known.value, moved, was, was], trust)
    }

    fn learn_number(&mut self, reference: &Reference, was: u64, value: u64, surroundings: Surroundings) {
        if reference.anchor == Anchor::Step || value != was {
            self.steps.insert(reference.class, value.wrapping_sub(was) & reference.form.mask());
        }
        if reference.anchor == Anchor::Equal {
            let key = number_key(reference);
            self.numbers.keep(Memory { key, value, seen: surroundings.place });
        }
    }

    fn learn_address(
        &mut self,
        map: &Map,
        reference: &Reference,
        value: u64,
        anchor: u64,
        surroundings: Surroundings,
    ) {
        let form = reference.form;
        let new = form.referent(value, anchor);
        if form == ADRP {
            self.pages[self.next_page] = (reference.referent, new);
            self.next_page = (self.next_page + 1) % 8;
            return;
        }
        if form == BYTE || reference.class == TABLE {
            return;
        }
        let mapped = map.find(reference.referent).0;
        let surprising = if reference.anchor == Anchor::Page {
            if anchor == 0 {
                return;
            }
            new != mapped
        } else {
            form.value(mapped, anchor) != value
        };
        // What the map says already takes nobody's place.
        if surprising || self.referents.find(reference.referent).is_some() {
            let (key, seen) = (reference.referent, surroundings.place);
            self.referents.keep(Memory { key, value: new, seen });
        }
    }
}

/// Numbers are told apart by class.
fn number_key(reference: &Reference) -> u64 {
    reference.referent & 0xFFFF_FFFF | u64::from(reference.class) << 32
}
