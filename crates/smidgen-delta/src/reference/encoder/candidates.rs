//! Candidates for matches: stretches of the new file laid along the old one, found from pieces that both have and drawn
//! out as far as they seem to save something.

use std::{num::NonZeroUsize, ops::Range};

use super::{
    seeds::{Found, PIECE, Seeds},
    text::Text,
};
use crate::diff::{jobs, suffixes::common_prefix_len};

/// A stretch of the new file and where it lies along the old one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Candidate {
    /// First byte in the new file.
    pub(super) start: u32,
    /// One past the last.
    pub(super) end: u32,
    /// What is added to a new place for the old one, wrapping.
    pub(super) shift: u32,
}

/// Bytes of the new file that are searched as one piece of work.
pub(super) const WORK: usize = 1 << 20;

/// Where the next so many bytes go on as in a candidate just found, nothing else is looked for.
const EXPLAINED: usize = 16;

/// Where they do so for so many, candidates that do not are closed.
pub(super) const SETTLED: usize = 32;

/// Places of a piece that are looked at.
const LOOKS: usize = 16;

/// Candidates that may be open at once.
const OPEN: usize = 16;

/// What a byte that agrees is worth, what one that does not costs, and one that follows on such.
const AGREES: i32 = 2;
const DIFFERS: i32 = 5;
const DIFFERS_TOO: i32 = 2;

/// A candidate ends where it has lost this much.
const DROP: i32 = 112;

/// What a candidate must be worth, near the one before and elsewhere.
const WORTH_NEAR: i32 = 18;
const WORTH: i32 = 28;

/// A shift that differs by less than this is near.
const NEAR: u32 = 1 << 12;

/// Bytes that a candidate is drawn out at a time.
const AHEAD: usize = 256;

/// Bytes that it reaches back at most.
const BACK: usize = 1024;

/// Bytes that may be looked at to open candidates, for each byte that was passed; files that repeat themselves would
/// take more.
const LOOKED_AT: usize = 64;

/// Bytes that are looked at, either way, when that is used up.
const SHORT: usize = 48;

/// All candidates for matches of `new`, by start, those of equal shift without overlap.
///
/// What was `carried` over, by start, is taken as it is; only other places are looked up.
pub(super) fn find(
    old: &Text,
    new: &Text,
    carried: &[Candidate],
    seeds: &Seeds,
    threads: NonZeroUsize,
) -> Vec<Candidate> {
    let starts: Vec<usize> = (0..new.bytes.len()).step_by(WORK).collect();
    let mut found = jobs::run(&starts, threads, |start| {
        let search = Search {
            text: new,
            old: &old.bytes,
            new: &new.bytes,
            seeds,
            carried: &carried[carried.partition_point(|found| found.end as usize <= *start)..],
            open: Vec::new(),
            found: Vec::new(),
            shift: 0,
            looked_at: 0,
            allowed: 0,
        };
        search.run(*start..new.bytes.len().min(start + WORK))
    })
    .concat();
    found.sort_unstable_by_key(|found| (found.shift, found.start, found.end));
    found.dedup_by(|next, last| {
        let joins = next.shift == last.shift && next.start <= last.end;
        if joins {
            last.end = last.end.max(next.end);
        }
        joins
    });
    found.sort_unstable();
    found
}

/// A search of one piece of the new file.
struct Search<'a> {
    text: &'a Text,
    old: &'a [u8],
    new: &'a [u8],
    seeds: &'a Seeds,
    /// What was carried over and is not yet behind.
    carried: &'a [Candidate],
    open: Vec<Open>,
    found: Vec<Candidate>,
    /// Of the candidate that was found last.
    shift: u32,
    /// Bytes that were looked at to open candidates, and how many may be.
    looked_at: usize,
    allowed: usize,
}

/// A candidate that is still being drawn out.
struct Open {
    candidate: Candidate,
    /// How far it was drawn.
    drawn: usize,
    line: Line,
}

/// What bytes laid side by side are worth so far, and where they were worth most.
#[derive(Default)]
struct Line {
    worth: i32,
    best: i32,
    differed: bool,
}

impl Line {
    /// Looks at the next bytes; answers with how many of them there are up to where the line is worth most, if that is
    /// among them.
    fn draw<'b>(&mut self, pairs: impl Iterator<Item = (&'b u8, &'b u8)>) -> Option<usize> {
        let mut most = None;
        for (index, (old, new)) in pairs.enumerate() {
            if old == new {
                self.worth += AGREES;
                self.differed = false;
                if self.worth > self.best {
                    self.best = self.worth;
                    most = Some(index + 1);
                }
            } else {
                self.worth -= if self.differed { DIFFERS_TOO } else { DIFFERS };
                self.differed = true;
                if self.is_lost() {
                    break;
                }
            }
        }
        most
    }

    fn is_lost(&self) -> bool {
        self.worth < self.best - DROP
    }
}

impl Search<'_> {
    fn run(mut self, piece: Range<usize>) -> Vec<Candidate> {
        let mut at = piece.start;
        while at < piece.end {
            self.draw_out(at);
            self.allowed = (at - piece.start + 4 * BACK) * LOOKED_AT;
            self.carry(at);
            if let Some(len) = self.settle(at) {
                at += len - PIECE;
                continue;
            }
            let (first, step) = self.text.place(at);
            let mut next = first;
            for (index, found) in self.seeds.find(self.new, first, step).into_iter().enumerate() {
                let place = first + index * step;
                if place >= next {
                    let explained = self.look(place, found);
                    next = place + if explained >= EXPLAINED { explained - PIECE } else { step };
                }
            }
            at = next.max(first + step);
        }
        self.draw_out(piece.end);
        self.found.extend(self.open.into_iter().map(|open| open.candidate));
        self.found
    }

    /// Opens the candidate of what was carried over at `at`.
    fn carry(&mut self, at: usize) {
        while let Some((first, rest)) = self.carried.split_first()
            && first.end as usize <= at
        {
            self.carried = rest;
        }
        if let Some(Candidate { start, shift, .. }) = self.carried.first().copied()
            && start as usize <= at
            && !self.is_open(shift)
        {
            self.open(at, shift);
        }
    }

    fn is_open(&self, shift: u32) -> bool {
        self.open.iter().any(|open| open.candidate.shift == shift)
    }

    /// Draws all candidates out beyond `at`, and closes those that end before.
    fn draw_out(&mut self, at: usize) {
        let (old, new) = (self.old, self.new);
        for open in &mut self.open {
            while open.drawn < at + AHEAD / 2 && !open.line.is_lost() && open.drawn < new.len() {
                let to = new.len().min(open.drawn + AHEAD);
                let place = (open.drawn as u32).wrapping_add(open.candidate.shift) as usize;
                let Some(old) = old.get(place..).filter(|old| !old.is_empty()) else {
                    break;
                };
                // What it is worth is counted from anew, so that the numbers stay small.
                let line = &mut open.line;
                (line.worth, line.best) = (line.worth - line.best, 0);
                if let Some(len) = line.draw(old.iter().zip(&new[open.drawn..to])) {
                    open.candidate.end = (open.drawn + len) as u32;
                }
                open.drawn = to;
            }
        }
        let found = &mut self.found;
        self.open.retain(|open| {
            let goes_on = open.candidate.end as usize > at || open.drawn > at && !open.line.is_lost();
            if !goes_on {
                found.push(open.candidate);
            }
            goes_on
        });
    }

    /// If a candidate agrees for long from here on, closes those that do not; answers with how long.
    fn settle(&mut self, at: usize) -> Option<usize> {
        let lens = self.open.iter().map(|open| ahead(self.old, self.new, at, open.candidate.shift));
        let len = lens.max().filter(|len| *len >= SETTLED)?;
        let (old, new, found) = (self.old, self.new, &mut self.found);
        self.open.retain_mut(|open| {
            let goes_on = ahead(old, new, at, open.candidate.shift) >= SETTLED;
            if !goes_on {
                open.candidate.end = open.candidate.end.min((at + SETTLED) as u32);
                found.push(open.candidate);
            }
            goes_on
        });
        Some(len)
    }

    /// Looks for candidates at `at`; answers with for how many bytes the best agrees from there on.
    fn look(&mut self, at: usize, found: Found) -> usize {
        let mut best: Option<(usize, u32)> = None;
        let mut nearest: Option<(u32, u32)> = None;
        for place in self.seeds.places(found, (at as u32).wrapping_add(self.shift), LOOKS) {
            let shift = place.wrapping_sub(at as u32);
            let len = ahead(self.old, self.new, at, shift);
            if len < PIECE {
                continue;
            }
            if best.is_none_or(|(most, _)| len > most) {
                best = Some((len, shift));
            }
            let away = shift.wrapping_sub(self.shift).cast_signed().unsigned_abs();
            if nearest.is_none_or(|(least, _)| away < least) {
                nearest = Some((away, shift));
            }
        }
        let Some((len, best)) = best else {
            return 0;
        };
        let nearest = nearest.map(|(_, shift)| shift).filter(|shift| *shift != best);
        for shift in [best].into_iter().chain(nearest) {
            if !self.is_open(shift) {
                self.open(at, shift);
            }
        }
        len
    }

    /// Opens the candidate around a place, if it seems to be worth anything.
    fn open(&mut self, at: usize, shift: u32) {
        let (old, new) = (self.old, self.new);
        let place = (at as u32).wrapping_add(shift) as usize;
        let (back, forth) = if self.looked_at < self.allowed { (BACK, AHEAD) } else { (SHORT, SHORT) };
        self.looked_at += back + forth;
        let mut line = Line::default();
        let back = line.draw(old[..place].iter().rev().zip(new[..at].iter().rev()).take(back)).unwrap_or(0);
        let more = line.best;
        line = Line::default();
        let drawn = new.len().min(at + forth);
        let forward = line.draw(old[place..].iter().zip(&new[at..drawn])).unwrap_or(0);
        let is_near = shift.wrapping_sub(self.shift).cast_signed().unsigned_abs() < NEAR;
        if line.best + more < if is_near { WORTH_NEAR } else { WORTH } {
            return;
        }
        let candidate = Candidate { start: (at - back) as u32, end: (at + forward) as u32, shift };
        if self.open.len() >= OPEN
            && let Some(least) = (0..OPEN).min_by_key(|index| self.open[*index].candidate.end)
        {
            if self.open[least].candidate.end >= candidate.end {
                return;
            }
            let closed = self.open.remove(least);
            self.found.push(closed.candidate);
        }
        self.open.push(Open { candidate, drawn, line });
        self.shift = shift;
    }
}

/// Bytes from `at` on that agree.
pub(super) fn ahead(old: &[u8], new: &[u8], at: usize, shift: u32) -> usize {
    let place = (at as u32).wrapping_add(shift) as usize;
    old.get(place..).map_or(0, |old| common_prefix_len(old, &new[at..]))
}

#[cfg(test)]
mod tests {
    use super::{super::image::Image, *};

    fn candidates(old: &[u8], new: &[u8]) -> Vec<Candidate> {
        let text = |bytes: &[u8]| Text::new(bytes.to_vec(), &Image::default());
        let (old, new) = (text(old), text(new));
        let one = NonZeroUsize::MIN;
        find(&old, &new, &[], &Seeds::of(&old, |_| true, one), one)
    }

    fn noise(len: usize, seed: u64) -> Vec<u8> {
        (1..=len as u64).map(|at| ((at + seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
    }

    #[test]
    fn what_moved_is_one_candidate_across_bytes_that_differ() {
        let old = noise(3000, 0);
        let mut new = [noise(100, 9000), old[500..2500].to_vec()].concat();
        new.iter_mut().step_by(90).for_each(|byte| *byte ^= 1);
        let found = candidates(&old, &new);
        let whole = found.iter().max_by_key(|found| found.end - found.start).unwrap();
        assert!(whole.start.abs_diff(100) < 10 && whole.end.abs_diff(2100) < 10, "{whole:?}");
        assert_eq!(whole.shift, 400);
    }

    #[test]
    fn a_candidate_goes_on_from_one_piece_of_work_to_the_next() {
        let old = noise(2 * WORK + 5000, 0);
        let found = candidates(&old, &old);
        let whole = Candidate { start: 0, end: old.len() as u32, shift: 0 };
        assert!(found.contains(&whole), "{found:?}");
    }

    #[test]
    fn candidates_lie_in_both_files() {
        let (old, new) = (noise(700, 0), [noise(700, 0), noise(700, 0), noise(50, 3)].concat());
        for found in candidates(&old, &new) {
            let place = found.start.wrapping_add(found.shift) as usize;
            assert!(found.start < found.end && found.end as usize <= new.len(), "{found:?}");
            assert!(place + (found.end - found.start) as usize <= old.len(), "{found:?}");
        }
    }
}
