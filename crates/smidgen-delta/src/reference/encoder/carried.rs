//! What was carried over from the old file as it is: long stretches of the new one that agree with it to the byte.
//!
//! Between two builds that is most of the file, and it need not be looked for thoroughly: one piece in sixteen, chosen by
//! what it holds and so the same in both files, is enough to come across it. What is left is looked for in an index of
//! only those pieces that it holds itself.

use std::{
    iter,
    num::NonZeroUsize,
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{
    candidates::{Candidate, SETTLED, WORK, ahead},
    seeds::{Hash, PIECE, Seeds},
    text::Text,
};
use crate::diff::jobs;

/// A shorter stretch is left to the thorough search.
const LEAST: usize = 64;

/// Places of a piece that are looked at.
const LOOKS: usize = 8;

/// One piece in so many is looked up.
const SAMPLE: u64 = 16;

/// Bits of the filter for each piece that is looked for: one in about so many others passes.
const LOG_SPARE: u32 = 4;

fn is_sampled(hash: Hash) -> bool {
    hash.middle().is_multiple_of(SAMPLE)
}

/// The stretches, by start, without overlap.
pub(super) fn find(old: &Text, new: &Text, threads: NonZeroUsize) -> Vec<Candidate> {
    let seeds = Seeds::of(old, is_sampled, threads);
    jobs::run(&pieces(new), threads, |piece| find_in(old, new, &seeds, piece.clone())).concat()
}

/// A file in pieces of work.
fn pieces(text: &Text) -> Vec<Range<usize>> {
    let len = text.bytes.len();
    (0..len).step_by(WORK).map(|start| start..len.min(start + WORK)).collect()
}

fn find_in(old: &Text, new: &Text, seeds: &Seeds, piece: Range<usize>) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let mut shift = 0_u32;
    let mut next = piece.start;
    for (place, hash) in new.hashes(piece.clone()) {
        if place < next || !is_sampled(hash) {
            continue;
        }
        let near = (place as u32).wrapping_add(shift);
        let mut best: Option<(usize, u32, u32)> = None;
        for other in seeds.places(seeds.find_one(hash), near, LOOKS) {
            let its = other.wrapping_sub(place as u32);
            let len = ahead(&old.bytes, &new.bytes, place, its);
            let away = its.wrapping_sub(shift).cast_signed().unsigned_abs();
            if len >= PIECE && best.is_none_or(|(most, least, _)| len > most || len == most && away < least) {
                best = Some((len, away, its));
            }
        }
        let Some((len, _, its)) = best else {
            continue;
        };
        let start = place - behind(&old.bytes, &new.bytes, place, its, next);
        let end = (place + len).min(piece.end);
        if end - start >= LEAST {
            found.push(Candidate { start: start as u32, end: end as u32, shift: its });
            (shift, next) = (its, end);
        }
    }
    found
}

/// Bytes in front of `at` that agree, down to `least`.
fn behind(old: &[u8], new: &[u8], at: usize, shift: u32, least: usize) -> usize {
    let place = (at as u32).wrapping_add(shift) as usize;
    let pairs = old[..place].iter().rev().zip(new[least..at].iter().rev());
    pairs.take_while(|(old, new)| old == new).count()
}

/// The pieces of the new file that are looked for in the old one: those that the carried stretches do not explain. It may
/// take others for them.
pub(super) struct Wanted {
    bits: Vec<AtomicU64>,
    log: u32,
}

impl Wanted {
    /// The pieces outside of `carried`, and those at the ends of it: what follows may agree with them as well.
    pub(super) fn new(new: &Text, carried: &[Candidate], threads: NonZeroUsize) -> Self {
        let explained = |found: &Candidate| found.start as usize..found.end as usize - SETTLED;
        let known: usize = carried.iter().map(|found| explained(found).len()).sum();
        let log = ((new.bytes.len() - known).max(64).ilog2() + LOG_SPARE).min(32);
        let bits = iter::repeat_with(AtomicU64::default).take(1 << (log - 6)).collect();
        let wanted = Self { bits, log };
        jobs::run(&pieces(new), threads, |piece| {
            let mut at = piece.start;
            let first = carried.partition_point(|found| (found.end as usize) <= piece.start);
            let within = carried[first..].iter().map(explained).take_while(|range| range.start < piece.end);
            for range in within.chain(iter::once(piece.end..piece.end)) {
                new.hashes(at..range.start.max(at)).for_each(|(_, hash)| wanted.insert(hash));
                at = range.end.clamp(at, piece.end);
            }
        });
        wanted
    }

    fn insert(&self, hash: Hash) {
        let bit = hash.top(self.log);
        self.bits[bit / 64].fetch_or(1 << (bit % 64), Ordering::Relaxed);
    }

    /// Whether a piece with this hash is looked for.
    pub(super) fn holds(&self, hash: Hash) -> bool {
        let bit = hash.top(self.log);
        self.bits[bit / 64].load(Ordering::Relaxed) >> (bit % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::{super::image::Image, *};

    fn text(bytes: &[u8]) -> Text {
        Text::new(bytes.to_vec(), &Image::default())
    }

    fn noise(len: usize, mut state: u64) -> Vec<u8> {
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..len).map(|_| byte()).collect()
    }

    #[test]
    fn carried_stretches_agree_to_the_byte_and_as_far_as_they_can() {
        let old = noise(9000, 0);
        let new = [&noise(100, 20_000), &old[5000..8000], &noise(50, 30_000), &old[..4000]].concat();
        let found = find(&text(&old), &text(&new), NonZeroUsize::MIN);
        let stretch = |start, end, from: u32| Candidate { start, end, shift: from.wrapping_sub(start) };
        assert_eq!(found, [stretch(100, 3100, 5000), stretch(3150, 7150, 0)]);
    }

    #[test]
    fn each_piece_that_nothing_explains_is_wanted_for_any_number_of_threads() {
        let old = noise(2 * WORK + 5000, 0);
        let mut new = old.clone();
        new.splice(700_000..710_000, noise(20_000, 9_000_000));
        new.splice(WORK + 300..WORK + 310, noise(40_000, 5_000_000));
        let (old, new) = (text(&old), text(&new));
        let [one, three] = [1, 3].map(|threads| {
            let threads = NonZeroUsize::new(threads).unwrap();
            let carried = find(&old, &new, threads);
            let wanted = Wanted::new(&new, &carried, threads);
            (carried, wanted)
        });
        assert_eq!(one.0, three.0);
        let held = |wanted: &Wanted| {
            new.hashes(0..new.bytes.len()).map(|(_, hash)| wanted.holds(hash)).collect::<Vec<_>>()
        };
        let is_held = held(&one.1);
        assert_eq!(held(&three.1), is_held);
        let explained = |place: usize| {
            one.0.iter().any(|found| (found.start as usize..found.end as usize - SETTLED).contains(&place))
        };
        for ((place, _), is_held) in new.hashes(0..new.bytes.len()).zip(&is_held) {
            assert!(*is_held || explained(place), "{place}");
        }
        // Most of the file is explained, and few of its pieces look like one that is not.
        let others = is_held.iter().filter(|is_held| **is_held).count();
        assert!((60_000..400_000).contains(&others), "{others}");
    }
}
