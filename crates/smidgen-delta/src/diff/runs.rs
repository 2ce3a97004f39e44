//! Files that hardly changed: long common runs are taken out first, and only what is left between them is searched.
//!
//! Sorting the suffixes of a file takes the same seconds whether one byte of it changed or all. A rolling hash over
//! the new file that looks for blocks of the old one (as rsync does; Andrew Tridgell, 1999) takes milliseconds. Where
//! nearly everything lies in long runs that are in the same order in both files, each place in between is matched
//! against what lies beside it only. What that cannot see is bytes that came from far away; if it leaves more than a
//! little to be sent, the whole file is searched after all, so that no patch grows. Files that are not nearly equal
//! are given up as soon as a sixteenth of the new one is found to be in no run.

use super::{matcher, script::Step, suffixes::common_prefix_len};

/// Bytes of the blocks that runs are found by.
const BLOCK: usize = 4096;

/// The shortest run that is taken out.
const MIN_RUN: usize = 8 * BLOCK;

/// Bytes of the runs on both sides that are searched along with what lies between.
const MARGIN: usize = 4096;

/// What is searched may be one part in this many of the new file.
const SEARCHED_PART: usize = 16;

/// The most extra bytes for which the surroundings are taken to have been enough: a search of the whole file could not
/// save more than these.
const MAX_EXTRA: usize = 64;

/// A piece that both files have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    old: usize,
    new: usize,
    len: usize,
}

/// The steps from `old` to `new` if the two are nearly equal.
pub(crate) fn find(old: &[u8], new: &[u8]) -> Option<Vec<Step>> {
    let runs = common_runs(old, new)?;
    let mut steps = Vec::new();
    let (mut old_start, mut new_start) = (0, 0);
    let end = Run { old: old.len(), new: new.len(), len: 0 };
    for run in runs.iter().copied().chain([end]) {
        // Up to a margin inside the run; at the end of the files there is none.
        let margin = if run.len > 0 { MARGIN } else { 0 };
        let (old_end, new_end) = (run.old + margin, run.new + margin);
        search(old, new, (old_start, old_end), (new_start, new_end), &mut steps);
        if run.len > 0 {
            let add_len = run.len - 2 * MARGIN;
            push(&mut steps, Step { old_offset: old_end, add_len, extra_len: 0 });
            (old_start, new_start) = (old_end + add_len, new_end + add_len);
        }
    }
    let extra: usize = steps.iter().map(|step| step.extra_len).sum();
    (extra <= MAX_EXTRA).then_some(steps)
}

/// Matches a piece of new against the piece of old that lies beside it.
fn search(
    old: &[u8],
    new: &[u8],
    (old_start, old_end): (usize, usize),
    (new_start, new_end): (usize, usize),
    steps: &mut Vec<Step>,
) {
    let (old, new) = (&old[old_start..old_end], &new[new_start..new_end]);
    if old == new || old.is_empty() {
        let (add_len, extra_len) = if old.is_empty() { (0, new.len()) } else { (new.len(), 0) };
        push(steps, Step { old_offset: old_start, add_len, extra_len });
        return;
    }
    for step in matcher::find(old, new).0 {
        push(steps, Step { old_offset: old_start + step.old_offset, ..step });
    }
}

/// Appends a step; where it only goes on with the last one, that one is made longer.
fn push(steps: &mut Vec<Step>, step: Step) {
    match steps.last_mut() {
        Some(last) if last.extra_len == 0 && last.old_offset + last.add_len == step.old_offset => {
            last.add_len += step.add_len;
            last.extra_len = step.extra_len;
        }
        _ => steps.push(step),
    }
}

/// Long runs, ascending in both files; `None` if too little of the new file lies in them.
fn common_runs(old: &[u8], new: &[u8]) -> Option<Vec<Run>> {
    let allowance = new.len() / SEARCHED_PART;
    let blocks = Blocks::of(old);
    let mut runs: Vec<Run> = Vec::new();
    let (mut offset, mut searched) = (0, 0);
    let mut window = None;
    while offset + BLOCK <= new.len() && searched <= allowance {
        let after = runs.last().map_or(Run { old: 0, new: 0, len: 0 }, |run| Run {
            old: run.old + run.len,
            new: run.new + run.len,
            len: 0,
        });
        // Going on as before is the likeliest; else a block of old that has not been passed.
        let beside = after.old + (offset - after.new);
        let hash = window.unwrap_or_else(|| hash(&new[offset..offset + BLOCK]));
        let found = [Some(beside), blocks.find(hash)].into_iter().flatten().find(|&found| {
            found >= after.old && old.get(found..found + BLOCK) == Some(&new[offset..offset + BLOCK])
        });
        if let Some(found) = found {
            let reach = (offset - after.new).min(found - after.old);
            let before = new[..offset].iter().rev().zip(old[..found].iter().rev()).take(reach);
            let back = before.take_while(|(new, old)| new == old).count();
            let forward = common_prefix_len(&old[found..], &new[offset..]);
            // Past a run that is too short, too: looking into it again byte by byte would take its length each time.
            offset += forward;
            window = None;
            if back + forward >= MIN_RUN {
                let run = Run { old: found - back, new: offset - forward - back, len: back + forward };
                searched += run.new - after.new + 2 * MARGIN;
                runs.push(run);
            }
            continue;
        }
        if offset - after.new > allowance {
            return None;
        }
        window = new.get(offset + BLOCK).map(|entering| roll(hash, new[offset], *entering));
        offset += 1;
    }
    let end = runs.last().map_or(0, |run| run.new + run.len);
    (searched + new.len() - end <= allowance).then_some(runs)
}

/// An odd number without pattern: the base of the rolling hash, a polynomial modulo 2 to the 64.
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;

/// `BASE` to the power of the block's length: the weight of the byte that leaves.
const LEAVING: u64 = {
    let (mut power, mut count) = (1_u64, 0);
    while count < BLOCK {
        power = power.wrapping_mul(BASE);
        count += 1;
    }
    power
};

/// The hash of a block.
fn hash(block: &[u8]) -> u64 {
    block.iter().fold(0, |hash, byte| roll(hash, 0, *byte))
}

/// The hash of the block one byte further.
fn roll(hash: u64, leaving: u8, entering: u8) -> u64 {
    hash.wrapping_mul(BASE)
        .wrapping_add(u64::from(entering))
        .wrapping_sub(u64::from(leaving).wrapping_mul(LEAVING))
}

/// The blocks of the old file by their hash: the first of each slot, which is verified by whoever asks.
struct Blocks {
    slots: Vec<u32>,
    shift: u32,
}

impl Blocks {
    fn of(old: &[u8]) -> Self {
        let count = old.len() / BLOCK;
        let slots = (4 * count).next_power_of_two().max(16);
        let mut blocks = Self { slots: vec![u32::MAX; slots], shift: u64::BITS - slots.trailing_zeros() };
        for (index, block) in old.chunks_exact(BLOCK).enumerate() {
            let slot = blocks.slot(hash(block));
            if blocks.slots[slot] == u32::MAX {
                blocks.slots[slot] = index as u32;
            }
        }
        blocks
    }

    /// Where a block with this hash may begin.
    fn find(&self, hash: u64) -> Option<usize> {
        Some(self.slots[self.slot(hash)])
            .filter(|index| *index != u32::MAX)
            .map(|index| index as usize * BLOCK)
    }

    fn slot(&self, hash: u64) -> usize {
        (hash.wrapping_mul(BASE) >> self.shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 3_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    fn extra_and_len(steps: &[Step]) -> (usize, usize) {
        let extra = steps.iter().map(|step| step.extra_len).sum();
        (extra, steps.iter().map(|step| step.add_len + step.extra_len).sum())
    }

    #[test]
    fn a_few_edits_are_found_without_sorting_the_file() {
        let old = noise(2_000_000);
        let mut new = old.clone();
        new[500_000] ^= 1;
        new.splice(1_000_000..1_000_000, *b"inserted");
        new.drain(1_500_000..1_500_003);
        let steps = find(&old, &new).expect("nearly equal");
        assert_eq!(extra_and_len(&steps), (8, new.len()));
        assert_eq!(find(&old, &old), Some(vec![Step { old_offset: 0, add_len: old.len(), extra_len: 0 }]));
        assert_eq!(extra_and_len(&find(&old, &old[..1_990_000]).expect("shorter")), (0, 1_990_000));
    }

    #[test]
    fn the_hash_rolls() {
        let bytes = noise(3 * BLOCK);
        let mut rolled = hash(&bytes[..BLOCK]);
        for offset in 0..2 * BLOCK {
            assert_eq!(rolled, hash(&bytes[offset..offset + BLOCK]));
            rolled = roll(rolled, bytes[offset], bytes[offset + BLOCK]);
        }
    }

    #[test]
    fn what_came_from_far_away_is_left_to_the_search_of_the_whole_file() {
        let old = noise(2_000_000);
        let mut new = old.clone();
        let moved: Vec<u8> = new.drain(100_000..120_000).collect();
        new.splice(1_900_000..1_900_000, moved);
        assert_eq!(find(&old, &new), None);
        assert_eq!(find(&old, &noise(3_000_000)[1_000_000..]), None);
        assert_eq!(find(&old, b"short"), None);
    }
}
