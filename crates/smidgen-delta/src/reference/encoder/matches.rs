//! Matches between two files, chosen by what the patch will cost.
//!
//! bsdiff's rule (a match must beat going on by more than eight bytes) knows nothing of what a byte or a control costs
//! once coded, and its suffix array takes most of a diff's time. Here [`seeds`](super::seeds) says where a piece of eight
//! bytes came from, [`candidates`](super::candidates) draws stretches out of that, and [`choice`](super::choice) takes
//! the cheapest way through all of them.

use std::{num::NonZeroUsize, ops::Range};

use super::{
    super::control::Match,
    candidates,
    carried::{self, Wanted},
    choice,
    seeds::Seeds,
    text::Text,
};
use crate::diff::script::Script;

/// Finds the matches of the new file in the old, by place in the new one. Each is shorter than 2 GiB.
pub(super) fn find(old: &Text, new: &Text, threads: NonZeroUsize) -> Vec<Match> {
    let carried = carried::find(old, new, threads);
    let candidates = {
        let wanted = Wanted::new(new, &carried, threads);
        let seeds = Seeds::of(old, |hash| wanted.holds(hash), threads);
        candidates::find(old, new, &carried, &seeds, threads)
    };
    choice::choose(&old.bytes, &new.bytes, &candidates, &carried, threads)
}

/// The same by bsdiff's rule.
pub(super) fn by_rule(old: &Text, new: &Text) -> Vec<Match> {
    Script::find(&old.bytes, &new.bytes).matches()
}

/// A match costs about as much as so many extra bytes.
const MATCH: u64 = 8;

/// Puts `better` in place of all matches in a range of the new file, if that leaves less to be sent.
pub(super) fn replace(matches: &mut Vec<Match>, range: Range<u64>, better: &[Match]) {
    let price = |matches: &[Match]| {
        let within = matches.iter().map(|found| {
            let (start, end) = (found.new_offset.max(range.start), found.new_end().min(range.end));
            end.saturating_sub(start)
        });
        let within: Vec<u64> = within.filter(|len| *len > 0).collect();
        (range.end - range.start) - within.iter().sum::<u64>() + MATCH * within.len() as u64
    };
    if price(better) < price(matches) {
        place(matches, Match { old_offset: 0, new_offset: range.start, len: range.end - range.start });
        let index = matches.partition_point(|found| found.new_offset < range.start);
        matches.splice(index..=index, better.iter().copied());
    }
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
    use super::{super::image::Image, *};

    fn noise(len: usize, letters: u64, mut state: u64) -> Vec<u8> {
        let mut byte = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % letters) as u8
        };
        (0..len).map(|_| byte()).collect()
    }

    fn find(old: &[u8], new: &[u8]) -> Vec<Match> {
        let text = |bytes: &[u8]| Text::new(bytes.to_vec(), &Image::default());
        super::find(&text(old), &text(new), NonZeroUsize::MIN)
    }

    #[test]
    fn matches_lie_in_both_files_in_order_and_find_what_moved() {
        let old = noise(5000, 250, 9);
        let new = [&old[3000..], &noise(100, 250, 10), &old[..2500]].concat();
        let matches = find(&old, &new);
        assert!(matches.windows(2).all(|pair| pair[0].new_end() <= pair[1].new_offset));
        assert!(matches.iter().all(|found| found.old_end() <= 5000 && found.new_end() <= new.len() as u64));
        let moved: u64 = matches.iter().map(|found| found.len).sum();
        assert!(moved >= 4480, "{matches:?}");
    }

    #[test]
    fn what_is_new_between_two_matches_belongs_to_neither() {
        let old = noise(6000, 250, 9);
        let new = [&old[..3000], &noise(300, 250, 10), &old[3000..]].concat();
        let matches = find(&old, &new);
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

    /// Each of these once took a search time that grew with the square of the size.
    #[test]
    fn files_that_repeat_themselves_are_matched_in_linear_time() {
        const LEN: usize = 100_000;
        let ticks = |distance: usize| -> Vec<u8> {
            (0..LEN).map(|index| u8::from(index % distance == distance - 1)).collect()
        };
        let period = |period: usize| -> Vec<u8> {
            (0..period).map(|index| (index * index % 251) as u8).cycle().take(LEN).collect()
        };
        let scratched = |mut bytes: Vec<u8>, every: usize| {
            bytes.iter_mut().step_by(every).for_each(|byte| *byte ^= 0x55);
            bytes
        };
        let letters = |seed| noise(LEN, 2, seed);
        let cases = [
            ("ticks", ticks(20_000), ticks(20_001)),
            ("close ticks", ticks(200), ticks(201)),
            ("zeros", vec![0; LEN], vec![0; LEN]),
            ("scratched zeros", vec![0; LEN], scratched(vec![0; LEN], 50)),
            ("period", period(5000), scratched(period(5000), 70)),
            ("other period", period(500), period(501)),
            ("short period", period(12), scratched(period(12), 9)),
            ("two letters", letters(1), letters(2)),
        ];
        for (name, old, new) in cases {
            let matches = find(&old, &new);
            let matched: u64 = matches.iter().map(|found| found.len).sum();
            // Noise of two letters costs less as extra bytes than as matches.
            assert!(matched * 2 > LEN as u64 || name == "two letters", "{name}: {matched} bytes");
        }
    }

    #[test]
    fn threads_do_not_change_matches() {
        let old = noise(3 << 20, 200, 5);
        let mut new = [&old[1 << 20..], &old[..1 << 20]].concat();
        new.iter_mut().step_by(900).for_each(|byte| *byte ^= 1);
        let text = |bytes: &[u8]| Text::new(bytes.to_vec(), &Image::default());
        let (old, new) = (text(&old), text(&new));
        let once = super::find(&old, &new, NonZeroUsize::MIN);
        assert_eq!(super::find(&old, &new, NonZeroUsize::new(3).unwrap()), once);
    }
}
