//! An index of the old file by its eight-byte pieces: where a piece of the new file may have come from.
//!
//! Places are grouped by a hash of the eight bytes there, by counting, so that the places of one piece lie together and in
//! order. That takes a quarter of the time of sorting suffixes and less room; that the longest match is not known at once
//! does not matter, because matches are chosen by what they save, not by their length. Only pieces that somebody asks for
//! are indexed, which is most of what makes it quick.

use std::num::NonZeroUsize;

use super::{candidates::WORK, text::Text};
use crate::diff::jobs;

/// Bytes that are hashed.
pub(super) const PIECE: usize = 8;

/// The hashes are worked on in ranges, side by side; one after the other where there are more pieces than this to each,
/// so that what is written to is not all over the memory.
const LOG_RANGE: u32 = 22;

/// The most ranges.
const RANGES: usize = 16;

/// Pieces that are looked up together: their cache misses overlap.
const BATCH: usize = 16;

/// The fewest and the most bits of a hash.
const BITS: std::ops::RangeInclusive<u32> = 8..=26;

/// The places of a file by what stands there.
pub(super) struct Seeds {
    /// Where the places of each hash start in `places`; one more entry for the end.
    starts: Vec<u32>,
    /// A place, and below it as many more bits of the hash as there is room for.
    places: Vec<u32>,
    bits: u32,
    tag_bits: u32,
}

/// What is known of one piece.
#[derive(Clone, Copy, Default)]
pub(super) struct Found {
    start: u32,
    end: u32,
    first: u32,
    tag: u32,
}

impl Seeds {
    /// Indexes those pieces of a file shorter than 2 GiB that are asked for by their hash.
    pub(super) fn of(text: &Text, asked: impl Fn(Hash) -> bool + Sync, threads: NonZeroUsize) -> Self {
        let kept = Kept::of(text, asked, threads);
        let bits = kept.count.max(1).ilog2().saturating_sub(1).clamp(*BITS.start(), *BITS.end());
        let tag_bits = u32::BITS - bits_of(text.bytes.len());
        let count = (kept.count >> LOG_RANGE).max(threads.get()).min(RANGES).next_power_of_two();
        let range = (1_usize << bits) / count;
        let ranges: Vec<usize> = (0..count).collect();
        // Hashes by range: how many places each has, then, added up, where they start.
        let counted = jobs::run(&ranges, threads, |which| {
            let mut counts = vec![0_u32; range];
            for (_, hash) in kept.places(text) {
                if let Some(count) = counts.get_mut(hash.top(bits).wrapping_sub(which * range)) {
                    *count += 1;
                }
            }
            counts
        });
        let mut starts = counted.concat();
        drop(counted);
        let mut sum = 0;
        for start in &mut starts {
            (*start, sum) = (sum, sum + *start);
        }
        let mut places = vec![0_u32; sum as usize];
        let mut jobs = Vec::new();
        let mut rest = places.as_mut_slice();
        let mut free = starts.clone();
        let mut free_rest = free.as_mut_slice();
        let mut before = 0;
        for which in 0..count {
            let end = starts.get((which + 1) * range).copied().unwrap_or(sum);
            let (own, others) = rest.split_at_mut((end - before) as usize);
            let (own_free, others_free) = free_rest.split_at_mut(range);
            jobs.push((which * range, before, own, own_free));
            (rest, free_rest, before) = (others, others_free, end);
        }
        jobs::consume(jobs, threads, |(first, before, places, free)| {
            for (place, hash) in kept.places(text) {
                if let Some(slot) = free.get_mut(hash.top(bits).wrapping_sub(first)) {
                    places[(*slot - before) as usize] = (place as u32) << tag_bits | hash.tag(tag_bits);
                    *slot += 1;
                }
            }
        });
        starts.push(sum);
        Self { starts, places, bits, tag_bits }
    }

    /// Looks up the pieces with one hash.
    pub(super) fn find_one(&self, hash: Hash) -> Found {
        let slot = hash.top(self.bits);
        let (start, end) = (self.starts[slot], self.starts[slot + 1]);
        let first = self.places.get(start as usize).copied().unwrap_or(0);
        Found { start, end, first, tag: hash.tag(self.tag_bits) }
    }

    /// Looks up the pieces of `text` at `place` and at the places behind it, `step` bytes from each other.
    pub(super) fn find(&self, text: &[u8], place: usize, step: usize) -> [Found; BATCH] {
        let mut found = [Found::default(); BATCH];
        let mut hashes = [None; BATCH];
        for (index, hash) in hashes.iter_mut().enumerate() {
            *hash = Hash::at(text, place + index * step);
        }
        for (found, hash) in found.iter_mut().zip(hashes) {
            if let Some(hash) = hash {
                let slot = hash.top(self.bits);
                (found.start, found.end) = (self.starts[slot], self.starts[slot + 1]);
                found.tag = hash.tag(self.tag_bits);
            }
        }
        for found in found.iter_mut().filter(|found| found.start < found.end) {
            found.first = self.places[found.start as usize];
        }
        found
    }

    /// Up to `most` places that may hold a piece, by place and nearest to `near` if there are more.
    pub(super) fn places(&self, found: Found, near: u32, most: usize) -> impl Iterator<Item = u32> {
        let (tag_bits, mask) = (self.tag_bits, (1 << self.tag_bits) - 1);
        let Found { start, end, first, tag } = found;
        // Most pieces have one place or none, and that is known to be another's.
        let is_other = end - start == 1 && first & mask != tag;
        let all = if is_other { &[] } else { &self.places[start as usize..end as usize] };
        let near = if all.len() <= most { 0 } else { all.partition_point(|place| place >> tag_bits < near) };
        let from = near.saturating_sub(most / 2).min(all.len().saturating_sub(most));
        let some = &all[from..all.len().min(from + most)];
        some.iter().filter(move |place| **place & mask == tag).map(move |place| place >> tag_bits)
    }
}

/// The places of a file whose pieces are indexed, one bit each.
struct Kept {
    bits: Vec<u64>,
    count: usize,
}

impl Kept {
    fn of(text: &Text, asked: impl Fn(Hash) -> bool + Sync, threads: NonZeroUsize) -> Self {
        let len = text.bytes.len();
        let starts: Vec<usize> = (0..len).step_by(WORK).collect();
        let bits = jobs::run(&starts, threads, |start| {
            let mut bits = vec![0_u64; len.min(start + WORK).div_ceil(64) - start / 64];
            for (place, hash) in text.hashes(*start..len.min(start + WORK)) {
                let place = place - start;
                bits[place / 64] |= u64::from(asked(hash)) << (place % 64);
            }
            bits
        })
        .concat();
        let count = bits.iter().map(|word| word.count_ones() as usize).sum();
        Self { bits, count }
    }

    fn places(&self, text: &Text) -> impl Iterator<Item = (usize, Hash)> {
        self.bits.iter().enumerate().flat_map(move |(index, word)| {
            let mut word = *word;
            std::iter::from_fn(move || {
                let place = index * 64 + word.trailing_zeros() as usize;
                (word != 0).then(|| word &= word - 1)?;
                let piece = text.bytes[place..].first_chunk()?;
                Some((place, Hash::of(u64::from_le_bytes(*piece))))
            })
        })
    }
}

/// The hash of a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hash(u64);

impl Hash {
    fn of(piece: u64) -> Self {
        Self((piece ^ piece >> 29).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// The hash of the piece at a place, unless that lies inside a run of one byte: where a run begins says enough.
    pub(super) fn at(text: &[u8], place: usize) -> Option<Self> {
        let piece = u64::from_le_bytes(*text.get(place..)?.first_chunk()?);
        let begins = || place.checked_sub(1).is_none_or(|before| text[before] != text[place]);
        (!is_run(piece) || begins()).then(|| Self::of(piece))
    }

    /// Its upper bits.
    pub(super) fn top(self, bits: u32) -> usize {
        (self.0 >> (u64::BITS - bits)) as usize
    }

    /// Bits that are neither in [`top`](Self::top) of few bits nor in [`tag`](Self::tag).
    pub(super) fn middle(self) -> u64 {
        self.0 >> 33 & 0x1F
    }

    fn tag(self, bits: u32) -> u32 {
        (self.0 >> 20) as u32 & ((1 << bits) - 1)
    }
}

/// Whether all bytes of a piece are equal.
fn is_run(piece: u64) -> bool {
    piece == piece.rotate_left(8)
}

/// Bits of the numbers up to `len`.
fn bits_of(len: usize) -> u32 {
    usize::BITS - len.max(1).leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::{super::image::Image, *};

    #[test]
    fn every_place_of_a_piece_is_found_in_order() {
        for (len, letters) in [(0_u64, 2), (5, 2), (8, 2), (300, 2), (3000, 3), (70_000, 200)] {
            let noise = |at: u64| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % letters;
            let bytes: Vec<u8> = (1..=len).map(|at| noise(at) as u8).collect();
            for threads in [1, 3] {
                let text = Text::new(bytes.clone(), &Image::default());
                let seeds = Seeds::of(&text, |_| true, NonZeroUsize::new(threads).unwrap());
                for at in (0..bytes.len().saturating_sub(PIECE)).step_by(97) {
                    let piece = &bytes[at..at + PIECE];
                    let expected: Vec<u32> = bytes
                        .windows(PIECE)
                        .enumerate()
                        .filter(|(place, other)| {
                            let is_run = piece.iter().all(|byte| *byte == piece[0]);
                            *other == piece && (!is_run || *place == 0 || bytes[place - 1] != piece[0])
                        })
                        .map(|(place, _)| place as u32)
                        .collect();
                    let found = seeds.find(&bytes, at, 1)[0];
                    let begins = at == 0 || bytes[at - 1] != bytes[at];
                    if piece.iter().all(|byte| *byte == piece[0]) && !begins {
                        continue;
                    }
                    let all: Vec<u32> = seeds.places(found, 0, usize::MAX).collect();
                    let same = |place: &&u32| bytes[**place as usize..].starts_with(piece);
                    assert_eq!(all.iter().filter(same).copied().collect::<Vec<_>>(), expected);
                    // Few others come along: their hashes are equal.
                    assert!(all.len() <= expected.len() + 2, "{at}: {all:?}");
                    let near: Vec<u32> = seeds.places(found, at as u32, 3).collect();
                    assert!(near.contains(&(at as u32)), "{at}: {near:?}");
                }
            }
        }
    }
}
