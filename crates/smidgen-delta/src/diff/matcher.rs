//! Finding the steps: bsdiff's loop as bidiff has it, in time linear in the new file whatever the files hold.
//!
//! The loop (Colin Percival, "Naive differences of executable code", 2003; the details are bidiff 1.0.0's, whose
//! matches this finds one for one on ordinary files, which a test holds against bidiff itself) walks over the new
//! file and asks at each place for the longest match in the old one. As long as going on with the old place is about
//! as good, it does; else it ends the step there, and both steps are extended towards each other over bytes that
//! differ here and there.
//!
//! Two parts of it are super-linear on files that repeat themselves, and both are bounded here by counting:
//!
//! - **Searches.** Where a long match is only as good as going on, the next search is one byte further and finds, at
//!   the same price, the same match less one byte. Here a search is paid for by the bytes it lets us pass: one that
//!   compared [`FREE_OPERATIONS`] words or more moves on by a byte for each so many, a small fraction of the match it
//!   found. What that passes over is nothing but other places to begin a match that was just found not to pay.
//! - **Extensions.** A step that is extended back over all of the one before makes the next extension start from
//!   further back still. When all extensions together have looked at [`EXTENSIONS_PER_BYTE`] bytes for each byte of
//!   the new file, they go back [`SHORT_REACH`] bytes at most.
//!
//! Operations are counted, never time, so that the result depends on the files alone.

use super::{script::Step, suffixes::Suffixes};

/// A match must beat going on at the old place by more than this many bytes.
const BETTER_BY: usize = 8;

/// Operations of a search that are paid for by moving on one byte.
const FREE_OPERATIONS: usize = 256;

/// Bytes all extensions may look at without a limit to their reach, for each byte of the new file.
const EXTENSIONS_PER_BYTE: usize = 32;

/// Bytes an extension reaches back when that is used up.
const SHORT_REACH: usize = 256;

/// The steps that make `new` from `old`, and the operations it took to find them. `old` is not empty and shorter than
/// 2 GiB. Steps may be empty.
pub(crate) fn find(old: &[u8], new: &[u8]) -> (Vec<Step>, u64) {
    let suffixes = Suffixes::of(old);
    let mut matcher = Matcher { old, new, suffixes: &suffixes, operations: 0, extended: 0 };
    let steps = matcher.steps();
    (steps, matcher.operations)
}

struct Matcher<'a> {
    old: &'a [u8],
    new: &'a [u8],
    suffixes: &'a Suffixes<'a>,
    operations: u64,
    /// Bytes that extensions have looked at.
    extended: usize,
}

/// A pair of places at which old and new are laid side by side.
#[derive(Clone, Copy, Default)]
struct Anchor {
    old: usize,
    new: usize,
}

impl Matcher<'_> {
    fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        // The step being made starts at `last`; searching has come to `scan`, where `len` bytes match at `found`.
        let mut last = Anchor::default();
        let mut diagonal = 0_isize;
        let (mut scan, mut len, mut found) = (0, 0, 0);
        while scan < self.new.len() {
            // Of the bytes from `scan` to `scored`, those that going on at the old place gets right.
            let mut going_on = 0;
            scan += len;
            let mut scored = scan;
            while scan < self.new.len() {
                let search = self.suffixes.longest_match(&self.new[scan..]);
                self.operations += search.operations as u64;
                (found, len) = (search.old_offset, search.len);
                if scored < scan + len {
                    going_on += self.count_equal(scored, scan + len, diagonal);
                    scored = scan + len;
                }
                if (len == going_on && len != 0) || len > going_on + BETTER_BY {
                    break;
                }
                let pass = (search.operations / FREE_OPERATIONS).clamp(1, (len / 2).max(1));
                going_on -= self.count_equal(scan, (scan + pass).min(scored), diagonal);
                scan += pass;
                scored = scored.max(scan);
            }
            if len == going_on && scan < self.new.len() {
                continue;
            }
            let next = Anchor { old: found, new: scan };
            let (forward, back) = self.extend(last, next);
            steps.push(Step {
                old_offset: last.old,
                add_len: forward,
                extra_len: next.new - back - last.new - forward,
            });
            last = Anchor { old: next.old - back, new: next.new - back };
            diagonal = found as isize - scan as isize;
        }
        steps
    }

    /// Bytes of new from `start` to `end` that equal the old ones on `diagonal`.
    fn count_equal(&mut self, start: usize, end: usize, diagonal: isize) -> usize {
        self.operations += (end - start) as u64 / 8;
        let first = start.max(0.max(-diagonal) as usize);
        let Some(new) = self.new.get(first..end) else { return 0 };
        let Some(old) = self.old.get((first as isize + diagonal) as usize..) else { return 0 };
        new.iter().zip(old).filter(|(new, old)| new == old).count()
    }

    /// How far to extend the step that starts at `last` forward, and the one around `next` back: to where most bytes
    /// are still equal, and where they would overlap, to where the one becomes better than the other.
    fn extend(&mut self, last: Anchor, next: Anchor) -> (usize, usize) {
        let (old, new) = (self.old, self.new);
        let between = next.new - last.new;
        let reach = if self.extended < EXTENSIONS_PER_BYTE * new.len() { between } else { SHORT_REACH };
        let forward_pairs = new[last.new..next.new].iter().zip(&old[last.old..]);
        let mut forward = longest_mostly_equal(forward_pairs);
        let mut back = 0;
        if next.new < new.len() {
            let back_reach = between.min(reach).min(next.old);
            let new_back = new[next.new - back_reach..next.new].iter().rev();
            let old_back = old[next.old - back_reach..next.old].iter().rev();
            back = longest_mostly_equal(new_back.zip(old_back));
        }
        self.extended += 2 * between;
        self.operations += between as u64;

        let overlap = (forward + back).saturating_sub(between);
        if overlap > 0 {
            let kept = self.split_overlap(last, next, forward - overlap, back, overlap);
            forward -= overlap - kept;
            back -= kept;
        }
        (forward, back)
    }

    /// Of `overlap` bytes that both steps could take, how many the first gets.
    fn split_overlap(
        &self,
        last: Anchor,
        next: Anchor,
        forward: usize,
        back: usize,
        overlap: usize,
    ) -> usize {
        let first = last.new + forward;
        let new = &self.new[first..first + overlap];
        let by_last = &self.old[last.old + forward..];
        let by_next = &self.old[next.old - back..];
        let (mut score, mut best, mut kept) = (0_isize, 0, 0);
        for (index, ((new, by_last), by_next)) in new.iter().zip(by_last).zip(by_next).enumerate() {
            score += isize::from(new == by_last) - isize::from(new == by_next);
            if score > best {
                (best, kept) = (score, index + 1);
            }
        }
        kept
    }
}

/// The longest prefix of which more bytes are equal than not, by the widest margin.
fn longest_mostly_equal<'b>(pairs: impl Iterator<Item = (&'b u8, &'b u8)>) -> usize {
    let (mut margin, mut best, mut len) = (0_isize, 0, 0);
    for (index, (a, b)) in pairs.enumerate() {
        margin += if a == b { 1 } else { -1 };
        if margin > best {
            (best, len) = (margin, index + 1);
        }
    }
    len
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The steps bidiff finds.
    fn bidiff_steps(old: &[u8], new: &[u8]) -> Vec<Step> {
        let mut steps = Vec::new();
        let found = bidiff::diff(old, new, &bidiff::DiffParams::default(), |found| {
            steps.push(Step {
                old_offset: found.add_old_start,
                add_len: found.add_length,
                extra_len: found.copy_end - found.copy_start(),
            });
            Ok::<(), std::convert::Infallible>(())
        });
        let Ok(()) = found;
        steps
    }

    proptest! {
        #[test]
        fn finds_the_steps_that_bidiff_finds(
            old in prop::collection::vec(0_u8..4, 1..600),
            edits in prop::collection::vec((0_usize..600, 0_usize..40, prop::collection::vec(0_u8..5, 0..40)), 0..12),
        ) {
            let mut new = old.clone();
            for (at, removed, inserted) in edits {
                let at = at.min(new.len());
                let end = (at + removed).min(new.len());
                new.splice(at..end, inserted);
            }
            prop_assert_eq!(find(&old, &new).0, bidiff_steps(&old, &new));
        }
    }

    /// Zeros with a one at every `distance`th place.
    fn ticks(len: usize, distance: usize) -> Vec<u8> {
        (0..len).map(|index| u8::from(index % distance == distance - 1)).collect()
    }

    #[test]
    fn files_that_repeat_themselves_take_operations_in_proportion_to_their_size() {
        const LEN: usize = 1 << 18;
        let period = |period: usize| -> Vec<u8> {
            let word: Vec<u8> = (0..period).map(|index| (index * index % 251) as u8).collect();
            word.iter().copied().cycle().take(LEN).collect()
        };
        let fibonacci = {
            let (mut short, mut long) = (vec![0_u8], vec![0, 1]);
            while long.len() < LEN {
                let next = [&long[..], &short[..]].concat();
                short = std::mem::replace(&mut long, next);
            }
            long
        };
        let with_scratches = |mut bytes: Vec<u8>, every: usize| {
            bytes.iter_mut().step_by(every).for_each(|byte| *byte ^= 0x55);
            bytes
        };
        let cases = [
            ("ticks", ticks(LEN, 20_000), ticks(LEN, 20_001)),
            ("close ticks", ticks(LEN, 200), ticks(LEN, 201)),
            ("zeros", vec![0; LEN], vec![0; LEN]),
            ("zeros and ones", vec![0; LEN], vec![1; LEN]),
            ("longer zeros", vec![0; LEN], vec![0; 2 * LEN]),
            ("scratched zeros", vec![0; LEN], with_scratches(vec![0; LEN], 1000)),
            ("period", period(5000), with_scratches(period(5000), 700)),
            ("other period", period(5000), period(5001)),
            ("long period", period(LEN / 3), with_scratches(period(LEN / 3), 40)),
            ("fibonacci", fibonacci.clone(), with_scratches(fibonacci, 999)),
        ];
        for (name, old, new) in cases {
            let (steps, operations) = find(&old, &new);
            let made: usize = steps.iter().map(|step| step.add_len + step.extra_len).sum();
            assert_eq!(made, new.len(), "{name}");
            let per_byte = operations / (old.len() + new.len()) as u64;
            eprintln!("{name}: {per_byte} operations per byte, {} steps", steps.len());
            assert!(per_byte < 400, "{name}: {per_byte} operations per byte");
        }
    }
}
