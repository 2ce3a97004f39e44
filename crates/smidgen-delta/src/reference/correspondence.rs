//! Which address of the new file corresponds to one of the old: read off the matches.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{control::Match, region::Layout};

/// A range of old addresses that went to new ones as a whole.
#[derive(Clone, Copy, Debug)]
struct Span {
    old: u64,
    end: u64,
    new: u64,
}

impl Span {
    fn len(&self) -> u64 {
        self.end.saturating_sub(self.old)
    }
}

/// The matches as a map from old addresses to new ones.
pub(crate) struct Correspondence {
    /// By old address; what overlaps is [`flatten`]ed.
    spans: Vec<Span>,
    /// For each stretch of old addresses, from that of the first span on, how many spans begin in front of it.
    index: Vec<u32>,
    /// Logarithm of the length of such a stretch.
    log: u32,
}

/// What an address corresponds to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    /// The new address.
    pub(crate) address: u64,
    /// How far behind the nearest match the old one lies; 0 is inside.
    pub(crate) outside: u64,
}

impl Correspondence {
    /// Bytes it allocates for so many matches: no more spans are kept than [`max_spans`](Self::max_spans), twice,
    /// because they are flattened into a second list, and no more than two stretches for each.
    pub(crate) fn memory(matches: u64) -> u64 {
        let each = size_of::<[Span; 2]>().saturating_add(size_of::<[u32; 2]>());
        Self::max_spans(matches).saturating_mul(each as u64).saturating_add(16)
    }

    /// A match is cut where a segment ends, which is seldom: what exceeds this is left out.
    fn max_spans(matches: u64) -> u64 {
        matches.saturating_mul(5).wrapping_div(4).saturating_add(64)
    }

    /// Reads the map off `matches`.
    pub(crate) fn new(matches: &[Match], old: &Layout, new: &Layout) -> Self {
        let most = Self::max_spans(matches.len() as u64) as usize;
        let mut spans = Vec::with_capacity(most);
        for found in matches {
            let (mut from, mut to, mut left) = (found.old_offset, found.new_offset, found.len);
            while left > 0 && spans.len() < most {
                let (old_room, new_room) = (old.room(from), new.room(to));
                let step = old_room.1.min(new_room.1).min(left).max(1);
                if let (Some(old), Some(new)) = (old_room.0, new_room.0) {
                    spans.push(Span { old, end: old.saturating_add(step), new });
                }
                (from, to) = (from.saturating_add(step), to.saturating_add(step));
                left = left.saturating_sub(step);
            }
        }
        Self::of(flatten(spans))
    }

    fn of(spans: Vec<Span>) -> Self {
        let first = spans.first().map_or(0, |span| span.old);
        let extent = spans.last().map_or(0, |span| span.old.wrapping_sub(first));
        let stretches = spans.len().max(1).next_power_of_two();
        let log = u64::BITS.wrapping_sub(extent.leading_zeros()).saturating_sub(stretches.trailing_zeros());
        let mut index = Vec::with_capacity(stretches.saturating_add(2));
        let mut count = 0_u32;
        for span in &spans {
            let stretch = (span.old.wrapping_sub(first)).wrapping_shr(log) as usize;
            while index.len() <= stretch {
                index.push(count);
            }
            count = count.saturating_add(1);
        }
        index.push(count);
        Self { spans, index, log }
    }

    /// How many spans begin at or in front of `address`.
    #[inline]
    fn begun(&self, address: u64) -> usize {
        let first = self.spans.first().map_or(0, |span| span.old);
        let Some(inside) = address.checked_sub(first) else {
            return 0;
        };
        let stretch = usize::try_from(inside.wrapping_shr(self.log)).unwrap_or(usize::MAX);
        let at = |stretch: usize| self.index.get(stretch).map_or(self.spans.len(), |count| *count as usize);
        let (from, to) = (at(stretch), at(stretch.saturating_add(1)));
        let spans = self.spans.get(from..to).unwrap_or_default();
        from.saturating_add(spans.partition_point(|span| span.old <= address))
    }

    /// What corresponds to an old address: inside a match, its place there; outside, its distance from the match before.
    pub(crate) fn find(&self, address: u64) -> Found {
        let next = self.begun(address);
        let Some(span) = next.checked_sub(1).and_then(|index| self.spans.get(index)) else {
            // In front of everything: as the first.
            let shift = self.spans.first().map_or(0, |span| span.new.wrapping_sub(span.old));
            return Found { address: address.wrapping_add(shift), outside: u64::MAX };
        };
        Found {
            address: span.new.wrapping_add(address.wrapping_sub(span.old)),
            outside: (address.saturating_add(1)).saturating_sub(span.end),
        }
    }
}

/// Removes overlaps: where two matches use the same old bytes, the longer one speaks for them. Each is held against the one
/// before it alone, so an overlap of three can leave some: both sides agree on the map, and a worse guess costs bytes only.
fn flatten(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable_by_key(|span| (span.old, std::cmp::Reverse(span.end), span.new));
    let mut flat: Vec<Span> = Vec::with_capacity(spans.len());
    for mut span in spans {
        if let Some(last) = flat.last_mut().filter(|last| last.end > span.old) {
            if span.end <= last.end {
                continue;
            }
            if span.len() > last.len() {
                last.end = span.old;
            } else {
                span.new = span.new.wrapping_add(last.end.wrapping_sub(span.old));
                span.old = last.end;
            }
        }
        flat.push(span);
    }
    flat.retain(|span| span.end > span.old);
    flat
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;
    use crate::reference::region::Segment;
    use std::ops::Range;

    fn layout(segments: &[(u64, u64, u64)]) -> Layout {
        let segment = |(offset, len, address): &(u64, u64, u64)| Segment {
            offset: *offset,
            len: *len,
            address: *address,
            memory_len: *len,
            code: false,
        };
        Layout { segments: segments.iter().map(segment).collect() }
    }

    /// The slow twin: looks at every match and every byte of it.
    fn slowly(matches: &[Match], old: &Layout, new: &Layout, address: u64) -> Vec<u64> {
        let mut answers = Vec::new();
        for found in matches {
            for step in 0..found.len {
                if old.address(found.old_offset + step) == Some(address) {
                    answers.extend(new.address(found.new_offset + step));
                }
            }
        }
        answers
    }

    #[test]
    fn agrees_with_a_search_of_every_byte() {
        let old = layout(&[(0, 100, 0x1000), (120, 200, 0x2000), (320, 80, 0x20C8)]);
        let new = layout(&[(10, 150, 0x5000), (160, 300, 0x9000)]);
        let mut state = 7_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..50 {
            let mut matches = Vec::new();
            let mut new_offset = 0;
            while new_offset < 400 {
                let len = 1 + random(40);
                matches.push(Match { old_offset: random(400 - len), new_offset, len });
                new_offset += len + random(10);
            }
            let map = Correspondence::new(&matches, &old, &new);
            for address in (0x1000..0x1070).chain(0x1FF0..0x2130) {
                let found = map.find(address);
                let answers = slowly(&matches, &old, &new, address);
                if found.outside == 0 {
                    assert!(answers.contains(&found.address), "{address:x}");
                } else {
                    assert!(answers.is_empty(), "{address:x}: {found:?}, {answers:x?}");
                }
            }
        }
    }

    /// The example of the document of the format.
    #[test]
    fn ranges_that_are_cut_to_nothing_are_left_out() {
        let range = |old: Range<u64>, new| Span { old: old.start, end: old.end, new };
        let ranges = vec![range(6..20, 306), range(0..10, 100), range(5..12, 205)];
        let map = Correspondence::of(flatten(ranges));
        let moved = [5, 6, 11, 19].map(|address| map.find(address));
        let inside = |address| Found { address, outside: 0 };
        assert_eq!(moved, [105, 306, 311, 319].map(inside));
        assert_eq!(map.find(21), Found { address: 321, outside: 2 });
    }

    #[test]
    fn without_matches_nothing_moves() {
        let map = Correspondence::new(&[], &Layout::default(), &Layout::default());
        assert_eq!(map.find(77), Found { address: 77, outside: u64::MAX });
    }
}
