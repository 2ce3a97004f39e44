//! The choice among candidates: the cheapest way to make the new file, by what each byte and each match is known to cost
//! once coded.
//!
//! A shortest path (Viterbi, 1967): for each place of the new file and each candidate there, the least that everything up
//! to it costs if that byte is taken from that candidate; and one more for making it as an extra byte.

use std::{num::NonZeroUsize, ops::Range};

use super::{super::control::Match, candidates::Candidate};
use crate::diff::jobs;

/// Costs, in 64ths of a bit: what they came to on real pairs, and then what made the patches smallest.
mod cost {
    /// A byte that agrees.
    pub(super) const AGREES: i64 = 2;
    /// One that does not.
    pub(super) const DIFFERS: i64 = 11 * 64;
    /// One that follows on such.
    pub(super) const DIFFERS_TOO: i64 = 5 * 64;
    /// An extra byte. On average it takes a third less; but those between two matches are the dearest.
    pub(super) const EXTRA: i64 = 11 * 32;
    /// A match on the diagonal of the one before it, near its end, anywhere.
    pub(super) const SAME: i64 = 14 * 64;
    pub(super) const NEAR: i64 = 38 * 64;
    pub(super) const FAR: i64 = 62 * 64;
}

/// A nearer place is near.
const NEAR: u32 = 1 << 12;

/// Candidates that are followed at once: those from which the ways are cheapest, and those that go on for longest.
const MAX_TRACKS: usize = 24;

/// What lies beyond so many bytes is not taken into account.
const FAR_AHEAD: usize = 1 << 20;

/// No node.
const NONE: u32 = u32::MAX;

/// A match on the way, and the node of what came before it.
#[derive(Clone, Copy)]
struct Node {
    start: u32,
    end: u32,
    shift: u32,
    before: u32,
}

impl Node {
    const NOTHING: Self = Self { start: 0, end: 0, shift: 0, before: NONE };
}

/// The cheapest way that ends in extra bytes, or in nothing.
#[derive(Clone, Copy)]
struct Pause {
    cost: i64,
    /// The match before them.
    last: Node,
}

/// A candidate that may be taken here, and the cheapest way that takes it.
struct Track {
    shift: u32,
    end: u32,
    cost: i64,
    /// Where the way entered it.
    start: u32,
    /// The match before that.
    before: Node,
    /// Its place among the nodes, once it has one: most ways are given up before anything branches off them.
    node: u32,
    differed: bool,
}

impl Track {
    fn new(candidate: &Candidate) -> Self {
        Self {
            shift: candidate.shift,
            end: candidate.end,
            cost: i64::MAX / 2,
            start: candidate.start,
            before: Node::NOTHING,
            node: NONE,
            differed: false,
        }
    }

    /// The match that ends where the way is left for another.
    fn leave(&mut self, at: usize, nodes: &mut Vec<Node>) -> Node {
        if self.node == NONE {
            self.node = nodes.len() as u32;
            nodes.push(self.before);
        }
        Node { start: self.start, end: at as u32, shift: self.shift, before: self.node }
    }

    fn agrees(&self, old: &[u8], new: &[u8], at: usize, len: usize) -> bool {
        let place = (at as u32).wrapping_add(self.shift) as usize;
        old[place..place + len] == new[at..at + len]
    }
}

fn seek(from: u32, to: u32) -> i64 {
    if from == to {
        cost::SAME
    } else if from.wrapping_sub(to).cast_signed().unsigned_abs() < NEAR {
        cost::NEAR
    } else {
        cost::FAR
    }
}

/// Bytes of a piece that is chosen for by itself, at least.
const PIECE: usize = 1 << 20;

/// In the middle of a stretch that was carried over for so long, the cheapest way is in it, wherever it comes from and
/// goes: there the file is cut into pieces.
const SURE: usize = 4096;

/// A piece of the new file.
struct Piece {
    range: Range<usize>,
    /// Of the stretch that it begins in.
    shift: u32,
    /// What of the candidates lies in it, by start.
    candidates: Vec<Candidate>,
}

/// Chooses the matches among `candidates`, which are ordered by start, as is what was `carried` over.
pub(super) fn choose(
    old: &[u8],
    new: &[u8],
    candidates: &[Candidate],
    carried: &[Candidate],
    threads: NonZeroUsize,
) -> Vec<Match> {
    let pieces = cut(new.len(), candidates, carried);
    let chosen = jobs::run(&pieces, threads, |piece| choose_in(old, new, piece)).concat();
    let mut matches: Vec<Match> = Vec::with_capacity(chosen.len());
    for next in chosen {
        match matches.last_mut() {
            Some(last) if last.new_end() == next.new_offset && last.diagonal() == next.diagonal() => {
                last.len += next.len;
            }
            _ => matches.push(next),
        }
    }
    matches
}

/// Cuts the new file into pieces, and the candidates with it.
fn cut(len: usize, candidates: &[Candidate], carried: &[Candidate]) -> Vec<Piece> {
    let piece = |start, shift| Piece { range: start..len, shift, candidates: Vec::new() };
    let mut pieces = vec![piece(0, 0)];
    for sure in carried.iter().filter(|sure| (sure.end - sure.start) as usize >= SURE) {
        let middle = (sure.start + (sure.end - sure.start) / 2) as usize;
        if let Some(last) = pieces.last_mut()
            && middle >= last.range.start + PIECE
        {
            last.range.end = middle;
            pieces.push(piece(middle, sure.shift));
        }
    }
    for candidate in candidates {
        let first = pieces.partition_point(|piece| piece.range.end <= candidate.start as usize);
        for piece in &mut pieces[first..] {
            if piece.range.start >= candidate.end as usize {
                break;
            }
            let start = candidate.start.max(piece.range.start as u32);
            let end = candidate.end.min(piece.range.end as u32);
            piece.candidates.push(Candidate { start, end, shift: candidate.shift });
        }
    }
    pieces
}

/// Chooses the matches of one piece.
fn choose_in(old: &[u8], new: &[u8], piece: &Piece) -> Vec<Match> {
    let Piece { range, shift, candidates } = piece;
    let len = range.end;
    let mut nodes: Vec<Node> = Vec::new();
    let mut tracks: Vec<Track> = Vec::new();
    let mut extra = Pause { cost: 0, last: Node { shift: *shift, ..Node::NOTHING } };
    let mut next = 0;
    let mut at = range.start;
    while at < len {
        // The best way that ends in a match may be left here.
        if let Some(best) = tracks.iter_mut().min_by_key(|track| track.cost)
            && best.cost < extra.cost
        {
            extra = Pause { cost: best.cost, last: best.leave(at, &mut nodes) };
        }
        tracks.retain(|track| track.end as usize > at);
        while let Some(candidate) = candidates.get(next).filter(|candidate| candidate.start as usize <= at) {
            tracks.push(Track::new(candidate));
            next += 1;
        }
        let until = candidates.get(next).map_or(len, |candidate| candidate.start as usize);
        let until = tracks.iter().fold(until, |until, track| until.min(track.end as usize));
        if tracks.is_empty() {
            extra.cost += (until - at) as i64 * cost::EXTRA;
            at = until;
            continue;
        }
        enter(&mut tracks, &extra, at, &mut nodes);
        if tracks.len() > MAX_TRACKS {
            // By what they may come to, a little further on.
            tracks.sort_by_key(|track| {
                track.cost - (track.end as usize - at).min(FAR_AHEAD) as i64 * cost::EXTRA
            });
            tracks.truncate(MAX_TRACKS);
        }
        // One byte, or eight where all agree.
        let mut step = 1;
        if until - at >= 8 && tracks.iter().all(|track| track.agrees(old, new, at, 8)) {
            step = 8;
            for track in &mut tracks {
                track.cost += 8 * cost::AGREES;
                track.differed = false;
            }
        } else {
            for track in &mut tracks {
                let agrees = track.agrees(old, new, at, 1);
                track.cost += match (agrees, track.differed) {
                    (true, _) => cost::AGREES,
                    (false, false) => cost::DIFFERS,
                    (false, true) => cost::DIFFERS_TOO,
                };
                track.differed = !agrees;
            }
        }
        extra.cost += step as i64 * cost::EXTRA;
        at += step;
    }
    let last = match tracks.iter_mut().min_by_key(|track| track.cost) {
        Some(best) if best.cost < extra.cost => best.leave(len, &mut nodes),
        _ => extra.last,
    };
    trace(&nodes, last)
}

/// Lets each candidate be entered from the way from which that is cheapest, if it is cheaper than staying in it.
fn enter(tracks: &mut [Track], extra: &Pause, at: usize, nodes: &mut Vec<Node>) {
    for index in 0..tracks.len() {
        let Track { shift, cost, .. } = tracks[index];
        // No way is cheaper than the one that makes extra.
        if cost <= extra.cost + cost::SAME {
            continue;
        }
        let mut least = extra.cost + seek(extra.last.shift, shift);
        let mut from = None;
        for (other, track) in tracks.iter().enumerate() {
            let through = track.cost + seek(track.shift, shift);
            if other != index && through < least {
                (least, from) = (through, Some(other));
            }
        }
        if least < cost {
            let before = from.map_or(extra.last, |other| tracks[other].leave(at, nodes));
            let track = &mut tracks[index];
            (track.cost, track.start, track.before, track.node) = (least, at as u32, before, NONE);
            track.differed = false;
        }
    }
}

/// The matches on the way that ends with `last`.
fn trace(nodes: &[Node], last: Node) -> Vec<Match> {
    let mut matches: Vec<Match> = Vec::new();
    let mut node = Some(&last);
    while let Some(Node { start, end, shift, before }) = node {
        let found = Match {
            old_offset: start.wrapping_add(*shift).into(),
            new_offset: (*start).into(),
            len: (end - start).into(),
        };
        match matches.last_mut() {
            _ if found.len == 0 => {}
            Some(after) if after.new_offset == found.new_end() && after.diagonal() == found.diagonal() => {
                *after = Match { len: after.len + found.len, ..found };
            }
            _ => matches.push(found),
        }
        node = nodes.get(*before as usize);
    }
    matches.reverse();
    matches
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a list of matches costs, added up byte by byte.
    fn price(old: &[u8], new: &[u8], matches: &[Match]) -> i64 {
        let mut total = 0;
        let mut at = 0;
        let mut shift = 0_u32;
        for found in matches {
            let its = (found.old_offset as u32).wrapping_sub(found.new_offset as u32);
            total += (found.new_offset - at) as i64 * cost::EXTRA + seek(shift, its);
            let mut differed = false;
            for step in 0..found.len {
                let differs =
                    old[(found.old_offset + step) as usize] != new[(found.new_offset + step) as usize];
                total += match (differs, differed) {
                    (false, _) => cost::AGREES,
                    (true, false) => cost::DIFFERS,
                    (true, true) => cost::DIFFERS_TOO,
                };
                differed = differs;
            }
            (at, shift) = (found.new_end(), its);
        }
        total + (new.len() as u64 - at) as i64 * cost::EXTRA
    }

    /// The last shift; by which candidate the last byte was made, and whether it differed; the cost.
    type State = (u32, Option<(usize, bool)>, i64);

    /// The cheapest of all ways, found by trying at each byte every candidate and none; for small files only.
    fn cheapest(old: &[u8], new: &[u8], candidates: &[Candidate]) -> i64 {
        let mut ways: Vec<State> = vec![(0, None, 0)];
        for at in 0..new.len() {
            let mut next: Vec<State> = Vec::new();
            let mut reach =
                |shift, state, cost| match next.iter_mut().find(|way| (way.0, way.1) == (shift, state)) {
                    Some(way) => way.2 = way.2.min(cost),
                    None => next.push((shift, state, cost)),
                };
            for (shift, state, cost) in &ways {
                reach(*shift, None, cost + cost::EXTRA);
                for (index, candidate) in candidates.iter().enumerate() {
                    if (candidate.start as usize..candidate.end as usize).contains(&at) {
                        let differs = old[(at as u32).wrapping_add(candidate.shift) as usize] != new[at];
                        let stays = state.is_some_and(|(last, _)| last == index);
                        let differed = state.is_some_and(|(_, differed)| differed) && stays;
                        let enter = if stays { 0 } else { seek(*shift, candidate.shift) };
                        let byte = match (differs, differed) {
                            (false, _) => cost::AGREES,
                            (true, false) => cost::DIFFERS,
                            (true, true) => cost::DIFFERS_TOO,
                        };
                        reach(candidate.shift, Some((index, differs)), cost + enter + byte);
                    }
                }
            }
            ways = next;
        }
        ways.iter().map(|way| way.2).min().unwrap_or(0)
    }

    #[test]
    fn the_choice_costs_what_the_cheapest_of_all_ways_costs() {
        let mut state = 3_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for round in 0..200 {
            let old: Vec<u8> = (0..400).map(|_| random(4) as u8).collect();
            let mut new: Vec<u8> = Vec::new();
            let mut candidates = Vec::new();
            while new.len() < 250 {
                let (from, len) = (random(300), 10 + random(90));
                let shift = (from as u32).wrapping_sub(new.len() as u32);
                let before = random(20).min(new.len()).min(from) as u32;
                let after = random(20).min(300 - from - len.min(300 - from)) as u32;
                let start = new.len() as u32;
                new.extend(&old[from..from + len]);
                candidates.push(Candidate { start: start - before, end: start + len as u32 + after, shift });
                for _ in 0..random(4) {
                    let at = new.len() - 1 - random(len);
                    new[at] ^= 1;
                }
                new.extend((0..random(12)).map(|_| random(4) as u8));
            }
            for candidate in &mut candidates {
                candidate.end = candidate.end.min(new.len() as u32);
            }
            candidates.sort_unstable();
            let chosen = choose(&old, &new, &candidates, &[], NonZeroUsize::MIN);
            let (price, least) = (price(&old, &new, &chosen), cheapest(&old, &new, &candidates));
            // Of ways that end in extra bytes only one is followed, whatever seek comes behind them.
            assert!(price >= least, "{round}");
            assert!(price <= least + least / 50, "{round}: {price}, not {least}");
        }
    }

    #[test]
    fn pieces_chosen_for_by_themselves_come_to_the_same() {
        let mut state = 5_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let old: Vec<u8> = (0..3 * PIECE).map(|_| random()).collect();
        let mut new = [&old[2 * PIECE..], &old[..2 * PIECE]].concat();
        new.iter_mut().step_by(10_000).for_each(|byte| *byte ^= 1);
        let far = Candidate { start: 0, end: PIECE as u32, shift: 2 * PIECE as u32 };
        let near =
            Candidate { start: PIECE as u32, end: new.len() as u32, shift: (PIECE as u32).wrapping_neg() };
        let carried: Vec<Candidate> = (0..new.len() as u32 / 10_000)
            .map(|index| {
                let whole = if index * 10_000 < PIECE as u32 { far } else { near };
                Candidate { start: index * 10_000 + 1, end: (index + 1) * 10_000, shift: whole.shift }
            })
            .filter(|found| !(found.start..found.end).contains(&(PIECE as u32)))
            .collect();
        let candidates = [far, near];
        assert_eq!(cut(new.len(), &candidates, &carried).len(), 3);
        let whole = choose(&old, &new, &candidates, &[], NonZeroUsize::MIN);
        for threads in [1, 2] {
            let threads = NonZeroUsize::new(threads).unwrap();
            assert_eq!(choose(&old, &new, &candidates, &carried, threads), whole);
        }
    }
}
