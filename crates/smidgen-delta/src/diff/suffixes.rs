//! The old file's suffixes in order, and the search for the longest match in them.
//!
//! A plain binary search over 24 million suffixes misses the cache at almost every step and compares the same leading
//! bytes again and again. Two things make it several times faster without changing what it finds: a table of where
//! the suffixes with the same first two bytes begin, and the observation (Manber and Myers, 1990) that between two
//! suffixes which share `l` and `r` bytes with the needle, all share `min(l, r)`.

/// The suffix array of a file, with an index on the first two bytes.
pub(crate) struct Suffixes<'a> {
    text: &'a [u8],
    sorted: Vec<i32>,
    /// Where in `sorted` the suffixes begin that start with each pair of bytes.
    starts: Vec<u32>,
    /// How many there are.
    counts: Vec<u32>,
}

/// The place of the old file that goes on most like the needle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) old_offset: usize,
    pub(crate) len: usize,
    /// What the search cost: suffixes looked at and words compared.
    pub(crate) operations: usize,
}

impl<'a> Suffixes<'a> {
    /// Sorts the suffixes of `text`, which is not empty and shorter than 2 GiB.
    pub(crate) fn of(text: &'a [u8]) -> Self {
        let mut sorted = vec![0; text.len()];
        divsufsort::sort_in_place(text, &mut sorted);
        let mut counts = vec![0_u32; 1 << 16];
        for pair in text.windows(2) {
            counts[key(pair[0], pair[1])] += 1;
        }
        let mut starts = vec![0_u32; 1 << 16];
        let mut start = 0;
        for (key, count) in counts.iter().enumerate() {
            // The last suffix has one byte only; it comes before all pairs that start with that byte.
            if key & 0xFF == 0 && text.last().is_some_and(|last| usize::from(*last) == key >> 8) {
                start += 1;
            }
            starts[key] = start;
            start += count;
        }
        Self { text, sorted, starts, counts }
    }

    /// The longest match of `needle`, which is not empty. Of several places the last suffix below the needle or the
    /// first above it is taken, the one above if they are equally good: what bidiff's search arrives at.
    pub(crate) fn longest_match(&self, needle: &[u8]) -> Found {
        let (mut left, mut right, shared) = match needle {
            [first, second, ..] => {
                let key = key(*first, *second);
                let start = self.starts[key] as usize;
                (start, start + self.counts[key] as usize, 2)
            }
            _ => (0, self.sorted.len(), 0),
        };
        let (mut left_len, mut right_len) = (None, None);
        let mut operations = 0;
        while left < right {
            let middle = left.midpoint(right);
            let skip = left_len.unwrap_or(shared).min(right_len.unwrap_or(shared));
            let suffix = self.suffix(middle);
            let len = skip + common_prefix_len(&suffix[skip..], &needle[skip..]);
            operations += 1 + (len - skip) / WORD;
            let below = match (suffix.get(len), needle.get(len)) {
                (Some(old), Some(new)) => old < new,
                (old, _) => old.is_none() && len < needle.len(),
            };
            if below {
                (left, left_len) = (middle + 1, Some(len));
            } else {
                (right, right_len) = (middle, Some(len));
            }
        }
        // Now all suffixes before `left` are below the needle, and those from there on are not.
        let below = left.saturating_sub(1).min(self.sorted.len().saturating_sub(2));
        let above = (below + 1).min(self.sorted.len() - 1);
        let known = |index: usize| match (left_len, right_len) {
            (Some(len), _) if index + 1 == left => Some(len),
            (_, Some(len)) if index == left => Some(len),
            _ => None,
        };
        let len_at = |index| known(index).unwrap_or_else(|| common_prefix_len(self.suffix(index), needle));
        let (below_len, above_len) = (len_at(below), len_at(above));
        let (index, len) = if below_len > above_len { (below, below_len) } else { (above, above_len) };
        Found { old_offset: self.sorted[index] as usize, len, operations: operations + 1 }
    }

    fn suffix(&self, index: usize) -> &'a [u8] {
        &self.text[self.sorted[index] as usize..]
    }
}

fn key(first: u8, second: u8) -> usize {
    usize::from(first) << 8 | usize::from(second)
}

/// Bytes compared at a time.
const WORD: usize = 8;

/// Bytes that `a` and `b` have in common at their start.
pub(crate) fn common_prefix_len(a: &[u8], b: &[u8]) -> usize {
    let len = a.len().min(b.len());
    let (a, b) = (&a[..len], &b[..len]);
    let (a_words, a_rest) = a.as_chunks::<WORD>();
    let (b_words, b_rest) = b.as_chunks::<WORD>();
    for (index, (a, b)) in a_words.iter().zip(b_words).enumerate() {
        let differing = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differing != 0 {
            return index * WORD + differing.trailing_zeros() as usize / 8;
        }
    }
    let rest = a_rest.iter().zip(b_rest).take_while(|(a, b)| a == b).count();
    a_words.len() * WORD + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What bidiff's search finds, step by step as it goes.
    fn slow_search(text: &[u8], needle: &[u8]) -> (usize, usize) {
        let mut sorted: Vec<usize> = (0..text.len()).collect();
        sorted.sort_by_key(|&offset| &text[offset..]);
        let mut slice = &sorted[..];
        while slice.len() > 2 {
            let middle = slice.len() / 2;
            slice = if needle > &text[slice[middle]..] { &slice[middle..] } else { &slice[..=middle] };
        }
        let len = |offset: usize| text[offset..].iter().zip(needle).take_while(|(a, b)| a == b).count();
        match slice {
            [below, above] if len(*below) <= len(*above) => (*above, len(*above)),
            [below, ..] => (*below, len(*below)),
            [] => unreachable!(),
        }
    }

    #[test]
    fn finds_what_a_plain_binary_search_finds() {
        let texts: [&[u8]; 6] =
            [b"a", b"aa", b"banana", b"abracadabra abracadabra", &[0; 40], b"\xFF\x00\xFF\xFF\x00"];
        let needles: [&[u8]; 9] =
            [b"a", b"b", b"\0", b"\xFF", b"abra", b"anan", b"zebra", b"abracadabra!", &[0; 50]];
        for text in texts {
            let suffixes = Suffixes::of(text);
            for needle in needles.iter().copied().chain((0..text.len()).map(|start| &text[start..])) {
                let found = suffixes.longest_match(needle);
                let expected = slow_search(text, needle);
                assert_eq!((found.old_offset, found.len), expected, "{needle:02x?} in {text:02x?}");
            }
        }
    }

    #[test]
    fn common_prefixes_are_counted_to_the_byte() {
        let a: Vec<u8> = (0..40).collect();
        for len in 0..40 {
            let mut b = a.clone();
            b[len] ^= 0x80;
            assert_eq!(common_prefix_len(&a, &b), len);
            assert_eq!(common_prefix_len(&a, &a[..len]), len);
        }
    }
}
