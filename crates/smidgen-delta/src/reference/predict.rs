//! Where a reference of the old file leads in the new one: the guesses, in the order of trust, and what is learnt.
//!
//! The first guess is what was last seen of the same referent; the second, what the matches say; the third, what they
//! say if the value counts from its other base; the last, that nothing changed. Each is one well-predicted bit; only when
//! all are wrong is a difference sent.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::hint::black_box;

use super::{
    coder::Coder,
    correspondence::Correspondence,
    field::{Anchor, Class, Form, Inside, Reference},
    model::{Bit, Number},
};

/// Logarithm of the least and the largest number of referents that are remembered.
const LOG_MEMORY: (u32, u32) = (8, 18);
/// Logarithm of the number of bytes of the old file for each of them.
const LOG_SHARE: u32 = 6;
/// Logarithm of the number of displacements that are remembered.
const LOG_OFFSETS: u32 = 10;
/// ADRP instructions whose low parts may still come.
const PAGES: usize = 8;

/// Logarithm of the number of referents that are remembered of an old file of this size.
fn log_memory(old_size: u64) -> u32 {
    let covering = old_size.checked_next_power_of_two().map_or(63, u64::trailing_zeros);
    let (least, most) = LOG_MEMORY;
    covering.saturating_sub(LOG_SHARE).clamp(least, most)
}

/// What came of a key: of a referent, or of a displacement. A table of fixed size in which a key displaces another with
/// the same hash.
struct Memory<V> {
    known: Vec<(u64, V)>,
    log: u32,
}

impl<V: Copy + Default> Memory<V> {
    fn new(log: u32) -> Self {
        Self { known: vec![(u64::MAX, V::default()); 1_usize.wrapping_shl(log)], log }
    }

    const fn memory(log: u32) -> u64 {
        (size_of::<(u64, V)>() as u64).wrapping_shl(log)
    }

    fn place(&self, key: u64) -> usize {
        let hash = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        hash.wrapping_shr(u64::BITS.wrapping_sub(self.log)) as usize
    }

    fn slot(&mut self, key: u64) -> Option<&mut (u64, V)> {
        let place = self.place(key);
        self.known.get_mut(place)
    }

    /// Reads what is kept where this key would be.
    fn touch(&self, key: u64) -> u64 {
        self.known.get(self.place(key)).map_or(0, |slot| slot.0)
    }

    fn find(&mut self, key: u64) -> Option<V> {
        self.slot(key).filter(|slot| slot.0 == key).map(|slot| slot.1)
    }
}

/// What became of a displacement.
#[derive(Clone, Copy, Default)]
struct Moved {
    value: u64,
    /// Match that it was last seen in.
    seen: u64,
}

/// The guesses for one field, best first, and how good they are.
struct Guesses {
    values: [u64; 4],
    /// The new address that the matches make of the referent; for numbers without meaning.
    mapped: u64,
    /// Below 8.
    trust: usize,
}

/// Trust in a reference that does not leave its match.
const LOCAL: usize = 6;

/// The predictor and its models.
pub(crate) struct Predictor {
    /// Where referents went.
    memory: Memory<u64>,
    offsets: Memory<Moved>,
    /// The last movement, by class, of numbers that are no addresses.
    steps: Vec<u64>,
    /// Old referent and new page of the last pages.
    pages: [(u64, u64); PAGES],
    next_page: usize,
    /// By class, the last outcomes, newest in the lowest bit: a one is a miss.
    history: Vec<u32>,
    first: Vec<Bit>,
    further: Vec<Bit>,
    /// By class; most never need it.
    difference: Vec<Option<Box<Number>>>,
    /// Whether what may rest in a stretch does, by whether it did in the stretch before.
    rests: [Bit; 2],
    /// Whether the last stretch was at rest.
    at_rest: bool,
    /// Misses in the current stretch.
    misses: usize,
    /// The match that it belongs to.
    inside: Inside,
}

impl Predictor {
    /// Bytes that a predictor for an old file of this size allocates.
    pub(crate) fn memory(old_size: u64) -> u64 {
        let classes = (256 * 4 + 16 * 4 + 12 + Number::MEMORY).saturating_mul(Class::COUNT as u64);
        [Memory::<u64>::memory(log_memory(old_size)), Memory::<Moved>::memory(LOG_OFFSETS)]
            .into_iter()
            .fold(classes, u64::saturating_add)
    }

    pub(crate) fn new(old_size: u64) -> Self {
        Self {
            memory: Memory::new(log_memory(old_size)),
            offsets: Memory::new(LOG_OFFSETS),
            steps: vec![0; Class::COUNT],
            pages: [(u64::MAX, 0); PAGES],
            next_page: 0,
            history: vec![0; Class::COUNT],
            first: vec![Bit::expecting(63_000, 3); Class::COUNT.saturating_mul(128)],
            further: vec![Bit::default(); Class::COUNT.saturating_mul(8)],
            difference: vec![None; Class::COUNT],
            rests: [Bit::default(); 2],
            at_rest: true,
            misses: 0,
            inside: Inside::default(),
        }
    }

    /// Starts a stretch of a match.
    pub(crate) fn enter(&mut self, inside: Inside) {
        (self.misses, self.inside) = (0, inside);
    }

    /// Touches the places in memory that the next references will be looked up in. They lie far apart, and waiting for one
    /// after the other is much of what applying a large patch costs; those of several references are waited for at once.
    pub(crate) fn touch(&self, references: &[Reference]) {
        let sum = references.iter().fold(0, |sum, reference| match reference.anchor {
            Anchor::Step | Anchor::Offset => sum,
            _ => sum ^ self.memory.touch(reference.referent),
        });
        // Nobody wants the sum; this keeps the compiler from leaving out how it is made.
        black_box(sum);
    }

    /// Codes whether all references of the stretch that may rest do, so that none of them need be looked at.
    pub(crate) fn rest(&mut self, coder: &mut impl Coder, at_rest: bool) -> bool {
        let model = self.rests.get_mut(usize::from(self.at_rest));
        self.at_rest = model.is_some_and(|model| model.code(coder, at_rest));
        self.at_rest
    }

    /// Codes the value of a reference whose field held `was` and gets `truth` (which only the encoder knows); `address`
    /// is that of the field in the new file. Answers with the value and how it was come by.
    pub(crate) fn code(
        &mut self,
        coder: &mut impl Coder,
        map: &Correspondence,
        reference: &Reference,
        was: u64,
        address: u64,
        truth: u64,
    ) -> (u64, bool) {
        let class = reference.class.index();
        let mask = reference.form.mask();
        let anchor = match reference.anchor {
            Anchor::Here(skip) => address.wrapping_add(skip.into()),
            Anchor::At(base) => map.find(base).address,
            Anchor::Page => self.page(reference.referent),
            Anchor::Zero | Anchor::Step | Anchor::Offset => 0,
        };
        let local = self.inside.moves_along(reference.referent, reference.anchor, reference.form);
        let guesses = match reference.anchor {
            _ if local => Guesses { values: [was; 4], mapped: was, trust: LOCAL },
            Anchor::Step | Anchor::Offset => self.guess_number(reference, was),
            _ => self.guess_address(map, reference, was, anchor),
        };
        let history = self.history.get(class).copied().unwrap_or(0) as usize;
        let context = class << 7 | guesses.trust << 4 | (history & 3) << 2 | self.misses.min(3);
        let [best, rest @ ..] = guesses.values;
        let right = self.first.get_mut(context).is_some_and(|model| model.code(coder, best == truth));
        if let Some(history) = self.history.get_mut(class) {
            *history = *history << 1 | u32::from(!right);
        }
        if right && local {
            return (best, true);
        }
        self.misses = self.misses.saturating_add(usize::from(!right));
        let (value, mapped) = if right {
            (best, guesses.mapped)
        } else if local {
            let Guesses { values: [known, mapped, other, _], mapped: address, .. } =
                self.guess_address(map, reference, was, anchor);
            let rest = [known, mapped, other];
            (self.code_miss(coder, class, history, best, &rest, reference.form, truth), address)
        } else {
            (self.code_miss(coder, class, history, best, &rest, reference.form, truth), guesses.mapped)
        };
        match reference.anchor {
            Anchor::Step | Anchor::Offset => self.learn_number(reference, was, value, mask),
            _ => self.learn_address(reference, value, anchor, mapped),
        }
        (value, right)
    }

    /// The first guess was wrong: codes which of the others is right, or the difference from the second.
    #[allow(clippy::too_many_arguments, reason = "one step of `code`, split off to be read")]
    fn code_miss(
        &mut self,
        coder: &mut impl Coder,
        class: usize,
        history: usize,
        best: u64,
        rest: &[u64],
        form: Form,
        truth: u64,
    ) -> u64 {
        for (index, guess) in rest.iter().enumerate() {
            let known = *guess == best || rest.iter().take(index).any(|earlier| earlier == guess);
            let context = class << 3 | index << 1 | history & 1;
            if !known && self.further.get_mut(context).is_some_and(|model| model.code(coder, *guess == truth))
            {
                return *guess;
            }
        }
        let guess = rest.first().copied().unwrap_or(0);
        let shift = u64::BITS.wrapping_sub(form.bits());
        let difference = truth.wrapping_sub(guess).wrapping_shl(shift).cast_signed().wrapping_shr(shift);
        let difference = self
            .difference
            .get_mut(class)
            .map_or(0, |model| model.get_or_insert_default().code_signed(coder, difference));
        guess.wrapping_add_signed(difference) & form.mask()
    }

    fn guess_address(
        &mut self,
        map: &Correspondence,
        reference: &Reference,
        was: u64,
        anchor: u64,
    ) -> Guesses {
        let form = reference.form;
        let found = map.find(reference.referent);
        let mapped = form.value(found.address, anchor);
        let known = if reference.class == Class::TABLE { None } else { self.memory.find(reference.referent) };
        let best = known.map_or(mapped, |known| form.value(known, anchor));
        let other = reference
            .other
            .map_or(was, |base| form.value(map.find(base.wrapping_add(was)).address, map.find(base).address));
        let trust = match (known, found.outside) {
            (Some(_), _) if best == mapped => 3,
            (Some(_), _) => 4,
            (None, 0) if mapped == was => 0,
            (None, 0) => 5,
            (None, ..256) => 1,
            (None, _) => 2,
        };
        Guesses { values: [best, mapped, other, was], mapped: found.address, trust }
    }

    fn guess_number(&mut self, reference: &Reference, was: u64) -> Guesses {
        let step = self.steps.get(reference.class.index()).copied().unwrap_or(0);
        let moved = was.wrapping_add(step) & reference.form.mask();
        if reference.anchor == Anchor::Step {
            return Guesses { values: [moved, was, was, was], mapped: 0, trust: usize::from(step == 0) };
        }
        match self.offsets.find(offset_key(reference)) {
            Some(known) => {
                let trust = match (known.value == was, known.seen == self.inside.place) {
                    (false, true) => 1,
                    (false, false) => 2,
                    (true, true) => 3,
                    (true, false) => 4,
                };
                Guesses { values: [known.value, moved, was, was], mapped: 0, trust }
            }
            None => Guesses { values: [was, moved, was, was], mapped: 0, trust: 0 },
        }
    }

    fn learn_number(&mut self, reference: &Reference, was: u64, value: u64, mask: u64) {
        let moves = value != was;
        if let Some(step) = self.steps.get_mut(reference.class.index())
            && (moves || reference.anchor == Anchor::Step)
        {
            *step = value.wrapping_sub(was) & mask;
        }
        if reference.anchor == Anchor::Offset {
            let (key, seen) = (offset_key(reference), self.inside.place);
            if let Some(slot) = self.offsets.slot(key) {
                *slot = (key, Moved { value, seen });
            }
        }
    }

    /// What the map already says is not worth a place in the memory.
    fn learn_address(&mut self, reference: &Reference, value: u64, anchor: u64, mapped: u64) {
        let (form, class, key) = (reference.form, reference.class, reference.referent);
        let referent = form.referent(value, anchor);
        if form == Form::Page {
            if let Some(page) = self.pages.get_mut(self.next_page) {
                *page = (key, referent);
            }
            self.next_page = self.next_page.wrapping_add(1) & PAGES.saturating_sub(1);
            return;
        }
        if form == Form::Byte || class == Class::TABLE {
            return;
        }
        let surprising = match reference.anchor {
            // Without its page, a low part is no referent.
            Anchor::Page if anchor == 0 => return,
            Anchor::Page => referent != mapped,
            _ => form.value(mapped, anchor) != value,
        };
        if let Some(slot) = self.memory.slot(key)
            && (slot.0 == key || surprising)
        {
            *slot = (key, referent);
        }
    }

    /// The new page of the ADRP that led to `referent`, or none.
    fn page(&self, referent: u64) -> u64 {
        self.pages.iter().find(|(old, _)| *old == referent).map_or(0, |(_, page)| *page)
    }
}

/// Displacements are told apart by base register and width.
fn offset_key(reference: &Reference) -> u64 {
    reference.referent & 0xFFFF_FFFF | u64::from(reference.class.0) << 32
}
