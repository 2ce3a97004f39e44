//! What of a list does not follow from the matches: which of the addresses foreseen are none, which are new, and what
//! stands beside them.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    Entry,
    unwind_info::{RECORD, Style},
};
use crate::reference::{
    account::Made,
    coder::Coder,
    field::Class,
    model::{Bit, Number, Symbol},
};

/// An entry that is foreseen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guess {
    pub(super) entry: Entry,
    /// Whether it was next to the one before in the old list too, and as far from it.
    pub(super) follows: bool,
}

/// What a list is to be.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// How what stands beside addresses is to be read, if anything does.
    pub(super) style: Option<Style>,
    /// The most entries.
    pub(super) most: usize,
    /// Where its table lies in the new file.
    pub(super) place: u64,
    /// The entries; the decoder does not know them.
    pub(super) truth: &'a [Entry],
}

/// What came of it.
pub(super) struct Corrected {
    pub(super) entries: Vec<Entry>,
    /// Entries that were not foreseen.
    pub(super) missed: u64,
}

/// Models of the bytes of a way: one for each mode and place.
const WAYS: usize = 16 * 4;
/// The flag of a way that has data.
const HAS_DATA: u32 = 1 << 30;

/// The models of the corrections of one list.
pub(super) struct Corrections {
    /// Whether an address is as foreseen: by whether it follows the one before, and whether the last two were.
    right: [Bit; 8],
    /// Whether one that is not is none at all, by whether the last two were as foreseen.
    gone: [Bit; 4],
    /// Whether there are more than were foreseen.
    more: Bit,
    /// How far behind the one before a new address lies, by whether that one was foreseen.
    distance: [Number; 2],
    /// Whether a way is as foreseen, by whether it leads to a record, and whether the last was.
    way_right: [Bit; 4],
    way: Vec<Symbol<8, 256>>,
    /// How far behind the last record another lies.
    record: Number,
    /// Whether data are as foreseen, by whether any are, and whether the last were.
    data_right: [Bit; 4],
    /// Whether there are any, by whether the way says so.
    has_data: [Bit; 2],
    /// How far behind the last data others lie.
    data: Number,
    last_way: u32,
    last_record: u32,
    last_data: u32,
    way_missed: bool,
    data_missed: bool,
}

impl Corrections {
    /// Bytes that they allocate.
    pub(super) const MEMORY: u64 = Number::MEMORY * 4 + (WAYS * size_of::<Symbol<8, 256>>()) as u64;

    pub(super) fn new() -> Self {
        Self {
            right: Default::default(),
            gone: Default::default(),
            more: Bit::default(),
            distance: Default::default(),
            way_right: Default::default(),
            way: vec![Symbol::default(); WAYS],
            record: Number::default(),
            data_right: Default::default(),
            has_data: Default::default(),
            data: Number::default(),
            last_way: 0,
            last_record: 0,
            last_data: 0,
            way_missed: false,
            data_missed: false,
        }
    }

    /// Codes a list of which `guesses` are foreseen.
    pub(super) fn code(
        mut self,
        coder: &mut impl Coder,
        guesses: impl Iterator<Item = Guess>,
        wanted: Wanted<'_>,
    ) -> Corrected {
        let mut made = Corrected { entries: Vec::with_capacity(wanted.most), missed: 0 };
        // The last answers to whether the address is as foreseen, the last one in the lowest bit: a one is no.
        let mut history = 0_usize;
        let mut kept = false;
        for guess in guesses.map(Some).chain([None]) {
            let mut follows = kept && guess.is_some_and(|guess| guess.follows);
            kept = false;
            loop {
                let least = made.entries.last().map_or(0, |last| u64::from(last.address).saturating_add(1));
                let passed = guess.is_some_and(|guess| u64::from(guess.entry.address) < least);
                if passed || made.entries.len() >= wanted.most {
                    break;
                }
                let truth = wanted.truth.get(made.entries.len()).copied();
                let is_more = if let Some(Guess { entry, .. }) = guess {
                    let right = truth.is_some_and(|truth| truth.address == entry.address);
                    let context = usize::from(follows) << 2 | history & 3;
                    kept = self.right.get_mut(context).is_some_and(|model| model.code(coder, right));
                    history = history << 1 | usize::from(!kept);
                    if kept {
                        let (made_of_it, right) = self.code_beside(coder, entry, true, wanted.style, truth);
                        made.push(coder, wanted.place, made_of_it, right);
                        break;
                    }
                    let gone = truth.is_none_or(|truth| truth.address > entry.address);
                    let context = history >> 1 & 3;
                    !self.gone.get_mut(context).is_some_and(|model| model.code(coder, gone))
                } else {
                    self.more.code(coder, truth.is_some())
                };
                if !is_more {
                    break;
                }
                let distance = truth.map_or(0, |truth| u64::from(truth.address).wrapping_sub(least));
                let model = self.distance.get_mut(history >> 1 & 1);
                let distance = model.map_or(0, |model| model.code(coder, distance));
                let Ok(address) = u32::try_from(least.saturating_add(distance)) else {
                    return made;
                };
                let entry = Entry { address, ..Entry::default() };
                let (entry, _) = self.code_beside(coder, entry, false, wanted.style, truth);
                made.push(coder, wanted.place, entry, false);
                follows = false;
            }
        }
        made
    }

    /// Codes what stands beside an address, which may be foreseen; says whether it was.
    fn code_beside(
        &mut self,
        coder: &mut impl Coder,
        guess: Entry,
        is_foreseen: bool,
        style: Option<Style>,
        truth: Option<Entry>,
    ) -> (Entry, bool) {
        let Some(style) = style else {
            return (guess, is_foreseen);
        };
        let truth = truth.unwrap_or_default();
        let way_right = is_foreseen && {
            let context = usize::from(style.is_record(guess.way)) << 1 | usize::from(self.way_missed);
            self.way_right.get_mut(context).is_some_and(|model| model.code(coder, guess.way == truth.way))
        };
        let way = if way_right { guess.way } else { self.code_way(coder, style, truth.way) };
        self.way_missed = !way_right;
        self.last_way = way;
        if style.is_record(way) {
            self.last_record = way & RECORD;
        }
        let data_right = is_foreseen && {
            let context = usize::from(guess.data > 0) << 1 | usize::from(self.data_missed);
            self.data_right.get_mut(context).is_some_and(|model| model.code(coder, guess.data == truth.data))
        };
        let data = if data_right { guess.data } else { self.code_data(coder, way, truth.data) };
        if data > 0 {
            self.data_missed = !data_right;
            self.last_data = data;
        }
        (Entry { address: guess.address, way, data }, way_right && data_right)
    }

    fn code_way(&mut self, coder: &mut impl Coder, style: Style, truth: u32) -> u32 {
        let [top, rest @ ..] = truth.to_be_bytes();
        let mode = |way: u32| (way >> 24 & 15) as usize;
        let mut byte = |context: usize, byte: u8| {
            self.way.get_mut(context).map_or(0, |model| model.code(coder, byte.into()))
        };
        let way = byte(mode(self.last_way), top) << 24;
        if style.is_record(way) {
            let distance = i64::from(truth & RECORD).wrapping_sub(self.last_record.into());
            let distance = self.record.code_signed(coder, distance);
            return way | self.last_record.wrapping_add(distance as u32) & RECORD;
        }
        rest.into_iter().zip([16, 32, 48]).zip([16, 8, 0]).fold(way, |way, ((truth, place), shift)| {
            way | byte(mode(way).saturating_add(place), truth) << shift
        })
    }

    fn code_data(&mut self, coder: &mut impl Coder, way: u32, truth: u32) -> u32 {
        let model = self.has_data.get_mut(usize::from(way & HAS_DATA > 0));
        if !model.is_some_and(|model| model.code(coder, truth > 0)) {
            return 0;
        }
        let distance = i64::from(truth).wrapping_sub(self.last_data.into());
        self.last_data.wrapping_add(self.data.code_signed(coder, distance) as u32)
    }
}

impl Corrected {
    fn push(&mut self, coder: &mut impl Coder, place: u64, entry: Entry, right: bool) {
        self.entries.push(entry);
        self.missed = self.missed.saturating_add(u64::from(!right));
        coder.book(Made::Reference { class: Class::LISTED, right, offset: place });
    }
}
