//! Keeping account while a patch is decoded: after each thing that is made, its price is what the range coder moved on
//! since the one before.
//!
//! The walk tells every coder what came of the bits, and only the one here listens: the walk is compiled a second time for
//! it, and the first time does not know of it.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    coder::{Coder, Decoder},
    field::Class,
    parted::{Part, PartReader, Parts},
};
use crate::{
    Account, ApplyError,
    account::{ClassCosts, Costs, Share},
};

/// What was made by the bits coded last, and where in the new file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Made {
    /// Layouts, regions, pages.
    Layout,
    /// A match that begins there.
    Control { offset: u64 },
    /// The value of a reference, and whether the first guess was right.
    Reference { class: Class, right: bool, offset: u64 },
    /// Whether all references of a stretch of a match that may rest do.
    Rest { offset: u64 },
    /// A byte of a match that differs.
    Differing { offset: u64 },
    /// A stretch of a match in which nothing differs from there on.
    Same { offset: u64 },
    /// Bytes that no match explains.
    Extra { offset: u64, len: u64 },
}

/// What was bought for each part of the new file.
struct Places<'a> {
    /// Where the parts begin, ascending; the first begins at 0.
    borders: &'a [u64],
    costs: Vec<Costs>,
}

impl<'a> Places<'a> {
    fn new(borders: &'a [u64]) -> Self {
        Self { borders, costs: vec![Costs::default(); borders.len()] }
    }

    /// The costs of the part that holds a place of the new file.
    fn at(&mut self, offset: u64) -> Option<&mut Costs> {
        let begun = self.borders.partition_point(|border| *border <= offset);
        self.costs.get_mut(begun.checked_sub(1)?)
    }

    /// Adds what bytes cost that no match explains, from a place of the new file on: each as much as the others, so
    /// that parts which end among them share it.
    fn include_extra(&mut self, offset: u64, extra: Share) {
        let price = extra.bits / extra.count.max(1) as f64;
        let (mut offset, mut left) = (offset, extra.count);
        while left > 0 {
            let begun = self.borders.partition_point(|border| *border <= offset);
            let next = self.borders.get(begun).copied().unwrap_or(u64::MAX);
            let count = next.saturating_sub(offset).clamp(1, left);
            if let Some(part) = self.at(offset) {
                part.extra.include(Share { count, bits: price * count as f64 });
            }
            offset = offset.saturating_add(count);
            left = left.saturating_sub(count);
        }
    }

    /// Adds all of it to `account`.
    fn close(self, account: &mut Account) {
        account.parts.resize(self.borders.len(), Costs::default());
        account.parts.iter_mut().zip(self.costs).for_each(|(sum, part)| sum.include(&part));
    }
}

/// The decoder of one section, and what was bought with its bits.
pub(crate) struct Ledger<'a> {
    decoder: Decoder<'a>,
    layout: Share,
    places: Places<'a>,
    /// By class: predicted, mispredicted.
    classes: Vec<[Share; 2]>,
    resting: Share,
    spent: f64,
}

impl<'a> Ledger<'a> {
    /// An empty ledger; parts of the new file begin at `borders`.
    pub(crate) fn new(decoder: Decoder<'a>, borders: &'a [u64]) -> Self {
        let classes = vec![<[Share; 2]>::default(); Class::COUNT];
        let (layout, resting) = <(Share, Share)>::default();
        Self { decoder, layout, places: Places::new(borders), classes, resting, spent: 0.0 }
    }

    /// Adds what was booked to `account` and gives the decoder back.
    pub(crate) fn close(self, account: &mut Account) -> Decoder<'a> {
        account.layout.include(self.layout);
        account.resting.include(self.resting);
        self.places.close(account);
        for (index, [predicted, mispredicted]) in self.classes.into_iter().enumerate() {
            if predicted.count.saturating_add(mispredicted.count) > 0 {
                let class = Class(index as u8).name();
                account.classes.push(ClassCosts { class, predicted, mispredicted });
            }
        }
        self.decoder
    }
}

impl Coder for Ledger<'_> {
    fn code(&mut self, chance: u16, bit: bool) -> bool {
        self.decoder.code(chance, bit)
    }

    fn code_symbol(&mut self, bounds: &[u16; 16], symbol: usize) -> usize {
        self.decoder.code_symbol(bounds, symbol)
    }

    fn book(&mut self, made: Made) {
        let spent = self.decoder.spent();
        let spent_before = std::mem::replace(&mut self.spent, spent);
        let share = |count| Share { count, bits: spent - spent_before };
        if let Made::Reference { class, right, .. } = made
            && let Some([predicted, mispredicted]) = self.classes.get_mut(class.index())
        {
            if right { predicted } else { mispredicted }.include(share(1));
        }
        if let Made::Rest { .. } = made {
            self.resting.include(share(1));
        }
        let (offset, count) = match made {
            Made::Layout => return self.layout.include(share(1)),
            Made::Extra { offset, len } => return self.places.include_extra(offset, share(len)),
            Made::Control { offset } | Made::Reference { offset, .. } | Made::Differing { offset } => {
                (offset, 1)
            }
            Made::Same { offset } | Made::Rest { offset } => (offset, 0),
        };
        let Some(part) = self.places.at(offset) else {
            return;
        };
        let sum = match made {
            Made::Layout | Made::Control { .. } => &mut part.controls,
            Made::Rest { .. } | Made::Reference { right: true, .. } => &mut part.predicted,
            Made::Reference { .. } => &mut part.mispredicted,
            Made::Differing { .. } | Made::Same { .. } => &mut part.differing,
            Made::Extra { .. } => &mut part.extra,
        };
        sum.include(share(count));
    }
}

/// Extra in parts, each byte of which costs what those of its section do on average.
pub(crate) struct PartLedger<'a> {
    reader: PartReader<'a>,
    /// Bits, by section.
    prices: [f64; Part::SECTIONS.len()],
    places: Places<'a>,
    /// Where the next byte stands in the new file.
    offset: u64,
}

impl<'a> PartLedger<'a> {
    /// An empty ledger; parts of the new file begin at `borders`.
    pub(crate) fn new(
        reader: PartReader<'a>,
        prices: [f64; Part::SECTIONS.len()],
        borders: &'a [u64],
    ) -> Self {
        Self { reader, prices, places: Places::new(borders), offset: 0 }
    }

    /// Adds what was booked to `account` and gives the reader back.
    pub(crate) fn close(self, account: &mut Account) -> PartReader<'a> {
        self.places.close(account);
        self.reader
    }

    fn book(&mut self, part: Part, count: u64) {
        let price = self.prices.get(part.index()).copied().unwrap_or(0.0);
        self.places.include_extra(self.offset, Share { count, bits: price * count as f64 });
        self.offset = self.offset.saturating_add(count);
    }
}

impl Parts for PartLedger<'_> {
    fn enter(&mut self, offset: u64) {
        self.offset = offset;
        self.reader.enter(offset);
    }

    fn take<const N: usize>(&mut self, part: Part, wanted: [u8; N]) -> Result<[u8; N], ApplyError> {
        self.book(part, N as u64);
        self.reader.take(part, wanted)
    }

    fn extend(&mut self, part: Part, wanted: &[u8], len: usize, out: &mut Vec<u8>) -> Result<(), ApplyError> {
        self.book(part, len as u64);
        self.reader.extend(part, wanted, len, out)
    }
}
