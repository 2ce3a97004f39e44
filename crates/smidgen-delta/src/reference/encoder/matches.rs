//! Matches between two files: bsdiff's loop over the longest common runs, which one suffix array of both files gives for
//! every place of the new one at once.
//!
//! The suffixes of both files are sorted together; the old suffix that has most in common with a new one is the
//! nearest old one on either side. How much that is follows for all places in one pass, because it falls by
//! one at most from one place to the next (Kasai et al., 2001). So the search is linear in the files whatever they hold, and
//! the loop (Colin Percival, "Naive differences of executable code", 2003) looks at each byte a bounded number of times.

use super::super::control::Match;

/// No old suffix on that side.
const NONE: u32 = u32::MAX;

/// A match must beat going on at the old place by more than this many bytes.
const BETTER_BY: usize = 8;

/// For each place of the new file, the place of the old one with the longest common run, and its length.
struct Longest {
    places: Vec<u32>,
    lens: Vec<u32>,
}

impl Longest {
    fn of(text: &[u8], old_len: usize) -> Self {
        let (old, new) = text.split_at(old_len);
        let mut order = vec![0; text.len()];
        divsufsort::sort_in_place(text, &mut order);
        let mut places = nearest(order.iter().copied(), old.len(), new.len());
        let after = nearest(order.iter().rev().copied(), old.len(), new.len());
        drop(order);
        let mut lens = vec![0; new.len()];
        let (mut left, mut right) = (0, 0);
        for at in 0..new.len() {
            left = common(old, places[at], &new[at..], left);
            right = common(old, after[at], &new[at..], right);
            if right > left {
                places[at] = after[at];
            }
            lens[at] = left.max(right) as u32;
        }
        Self { places, lens }
    }
}

/// For each new suffix the last old one before it.
fn nearest(order: impl Iterator<Item = i32>, old_len: usize, new_len: usize) -> Vec<u32> {
    let mut nearest = vec![NONE; new_len];
    let mut last = NONE;
    for suffix in order {
        match (suffix as usize).checked_sub(old_len) {
            Some(new) => nearest[new] = last,
            None => last = suffix as u32,
        }
    }
    nearest
}

/// Bytes that `old` from `place` on has in common with `new`, given that it was `before` for the place before.
fn common(old: &[u8], place: u32, new: &[u8], before: usize) -> usize {
    if place == NONE {
        return 0;
    }
    let old = &old[place as usize..];
    let most = old.len().min(new.len());
    let mut len = before.saturating_sub(1).min(most);
    while len + 8 <= most && old[len..len + 8] == new[len..len + 8] {
        len += 8;
    }
    while len < most && old[len] == new[len] {
        len += 1;
    }
    len
}

/// A match shorter than this costs more than it saves.
const SHORTEST: u64 = 16;
/// The same, for a match that continues the diagonal of a neighbour.
const SHORTEST_BESIDE: u64 = 8;

/// Finds the matches of the new file in the old, by place in the new one. `text` holds the old file, which is `old_len`
/// bytes, and the new one behind it; together they are shorter than 2 GiB.
pub(super) fn find(text: &[u8], old_len: usize) -> Vec<Match> {
    let longest = Longest::of(text, old_len);
    let (old, new) = text.split_at(old_len);
    let mut matches = Vec::new();
    // The match that is being extended, and the place from where the next is looked for.
    let mut last = Pair::default();
    let mut diagonal = Pair::default();
    let (mut scan, mut len) = (0, 0);
    while scan < new.len() {
        let mut agrees = 0;
        scan += len;
        let mut counted = scan;
        let mut old_at = 0;
        while scan < new.len() {
            (len, old_at) = (longest.lens[scan] as usize, longest.places[scan] as usize);
            while counted < scan + len {
                agrees += usize::from(diagonal.agrees(old, new, counted));
                counted += 1;
            }
            if len == agrees && len != 0 || len > agrees + BETTER_BY {
                break;
            }
            agrees -= usize::from(diagonal.agrees(old, new, scan) && counted > scan);
            counted = counted.max(scan + 1);
            scan += 1;
        }
        if len == agrees && scan < new.len() {
            continue;
        }
        let next = (scan < new.len()).then_some(Pair { old: old_at, new: scan });
        let (forward, backward) = extend(old, new, last, next);
        if forward > 0 {
            let (old_offset, new_offset) = (last.old as u64, last.new as u64);
            matches.push(Match { old_offset, new_offset, len: forward as u64 });
        }
        if let Some(next) = next {
            last = Pair { old: next.old - backward, new: next.new - backward };
            diagonal = next;
        }
    }
    drop_short(&mut matches);
    matches
}

/// Two places laid side by side.
#[derive(Clone, Copy, Default)]
struct Pair {
    old: usize,
    new: usize,
}

impl Pair {
    /// Whether the new byte at `at` is the old one on the same diagonal.
    fn agrees(self, old: &[u8], new: &[u8], at: usize) -> bool {
        (at + self.old).checked_sub(self.new).and_then(|place| old.get(place)) == new.get(at)
    }
}

/// How far the match at `last` goes on, and how far the one at `next` begins earlier: as far as more than half of the
/// bytes agree, and without overlap.
fn extend(old: &[u8], new: &[u8], last: Pair, next: Option<Pair>) -> (usize, usize) {
    let end = next.map_or(new.len(), |next| next.new);
    let room = (end - last.new).min(old.len() - last.old);
    let mut forward = tolerant((0..room).map(|step| old[last.old + step] == new[last.new + step]));
    let Some(next) = next else {
        return (forward, 0);
    };
    let room = (next.new - last.new).min(next.old);
    let mut backward = tolerant((1..=room).map(|step| old[next.old - step] == new[next.new - step]));
    let overlap = (last.new + forward + backward).saturating_sub(next.new);
    if overlap > 0 {
        // Cut where the first match loses its advantage over the second.
        let (mut score, mut best, mut cut) = (0_isize, 0, 0);
        for step in 0..overlap {
            let first = forward - overlap + step;
            let second = backward - step;
            score += isize::from(new[last.new + first] == old[last.old + first]);
            score -= isize::from(new[next.new - second] == old[next.old - second]);
            if score > best {
                (best, cut) = (score, step + 1);
            }
        }
        forward -= overlap - cut;
        backward -= cut;
    }
    (forward, backward)
}

/// The longest start of a row in which agreement has the greatest lead over disagreement.
fn tolerant(agrees: impl Iterator<Item = bool>) -> usize {
    let (mut lead, mut best, mut len) = (0_isize, 0, 0);
    for (step, agrees) in agrees.enumerate() {
        lead += if agrees { 1 } else { -1 };
        if lead > best {
            (best, len) = (lead, step + 1);
        }
    }
    len
}

/// Drops matches too short to pay for their control, and joins those that then continue each other.
fn drop_short(matches: &mut Vec<Match>) {
    let mut kept: Vec<Match> = Vec::with_capacity(matches.len());
    for (index, found) in matches.iter().enumerate() {
        let before = kept.last().is_some_and(|last| last.diagonal() == found.diagonal());
        let after = matches.get(index + 1).is_some_and(|next| next.diagonal() == found.diagonal());
        if found.len >= if before || after { SHORTEST_BESIDE } else { SHORTEST } {
            match kept.last_mut() {
                Some(last) if before && last.new_end() == found.new_offset => last.len += found.len,
                _ => kept.push(*found),
            }
        }
    }
    *matches = kept;
}

/// Puts a match where others may lie: they give way.
pub(super) fn place(matches: &mut Vec<Match>, new: Match) {
    let mut placed = Vec::with_capacity(matches.len() + 2);
    for found in &*matches {
        let before = new.new_offset.saturating_sub(found.new_offset).min(found.len);
        let after = found.new_end().saturating_sub(new.new_end()).min(found.len);
        if before > 0 {
            placed.push(Match { len: before, ..*found });
        }
        if after > 0 {
            let skip = found.len - after;
            let (old_offset, new_offset) = (found.old_offset + skip, found.new_offset + skip);
            placed.push(Match { old_offset, new_offset, len: after });
        }
    }
    placed.push(new);
    placed.sort_by_key(|found| found.new_offset);
    *matches = placed;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize, letters: u64, mut state: u64) -> Vec<u8> {
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % letters) as u8
        };
        (0..len).map(|_| byte()).collect()
    }

    #[test]
    fn the_longest_runs_are_those_of_a_search_of_all_places() {
        for (seed, letters) in [(1, 2), (2, 3), (3, 8), (4, 200)] {
            let (old, new) = (noise(300, letters, seed), noise(300, letters, seed + 100));
            let longest = Longest::of(&[old.as_slice(), new.as_slice()].concat(), old.len());
            let mut hidden = 0;
            for at in 0..new.len() {
                let slowly = (0..old.len())
                    .map(|place| old[place..].iter().zip(&new[at..]).take_while(|(a, b)| a == b).count())
                    .max();
                let len = longest.lens[at] as usize;
                // Near the end of the old file a suffix is sorted by how it goes on in the new one, which can hide it.
                assert!(Some(len) <= slowly, "{at}");
                hidden += usize::from(Some(len) < slowly);
                if len > 0 {
                    let place = longest.places[at] as usize;
                    assert_eq!(old[place..place + len], new[at..at + len]);
                }
            }
            assert!(hidden <= 16, "{hidden} runs are hidden");
        }
    }

    #[test]
    fn matches_lie_in_both_files_in_order_and_find_what_moved() {
        let old = noise(5000, 250, 9);
        let new = [&old[3000..], &noise(100, 250, 10), &old[..2500]].concat();
        let matches = find(&[old.as_slice(), new.as_slice()].concat(), old.len());
        assert!(matches.windows(2).all(|pair| pair[0].new_end() <= pair[1].new_offset));
        assert!(matches.iter().all(|found| found.old_end() <= 5000 && found.new_end() <= new.len() as u64));
        let moved: u64 = matches.iter().map(|found| found.len).sum();
        assert!(moved >= 4480, "{matches:?}");
    }

    #[test]
    fn what_is_new_between_two_matches_belongs_to_neither() {
        let old = noise(6000, 250, 9);
        let new = [&old[..3000], &noise(300, 250, 10), &old[3000..]].concat();
        let matches = find(&[old.as_slice(), new.as_slice()].concat(), old.len());
        let found = |old_offset, new_offset, len| Match { old_offset, new_offset, len };
        assert_eq!(matches, [found(0, 0, 3000), found(3000, 3300, 3000)]);
    }

    #[test]
    fn a_match_that_is_placed_makes_room() {
        let found = |old_offset, new_offset, len| Match { old_offset, new_offset, len };
        let mut matches = vec![found(0, 0, 10), found(20, 10, 100), found(5, 110, 10), found(0, 130, 9)];
        place(&mut matches, found(1000, 40, 75));
        assert_eq!(
            matches,
            [found(0, 0, 10), found(20, 10, 30), found(1000, 40, 75), found(10, 115, 5), found(0, 130, 9)]
        );
        let mut matches = vec![found(20, 10, 100)];
        place(&mut matches, found(1000, 40, 20));
        assert_eq!(matches, [found(20, 10, 30), found(1000, 40, 20), found(70, 60, 50)]);
    }

    #[test]
    fn files_that_repeat_themselves_are_matched_in_linear_time() {
        let (mut old, mut new) = (vec![0; 200_000], vec![0; 200_000]);
        (0..10).for_each(|index| (old[index * 20_000], new[index * 19_999 + 5]) = (1, 1));
        let matches = find(&[old, new].concat(), 200_000);
        assert!(!matches.is_empty());
    }
}
