//! A labelled file, and at which of its places matches are looked for.

use std::ops::Range;

use super::{super::region::Rule, image::Image, seeds::Hash};

/// A file that is matched.
#[derive(Clone)]
pub(super) struct Text {
    /// Its bytes, labels in place of references.
    pub(super) bytes: Vec<u8>,
    /// Ranges in order, without overlap, in which things begin on multiples of four only.
    words: Vec<Range<usize>>,
}

impl Text {
    /// The labelled bytes of a file.
    pub(super) fn new(bytes: Vec<u8>, image: &Image) -> Self {
        let words = image.regions.iter().filter(|region| region.rule == Rule::Aarch64);
        let words = words.map(|region| region.start as usize..region.end() as usize).collect();
        Self { bytes, words }
    }

    /// The first place from `at` on at which something may begin, and how far the next one is.
    pub(super) fn place(&self, at: usize) -> (usize, usize) {
        let next = self.words.partition_point(|range| range.end <= at);
        match self.words.get(next) {
            Some(range) if range.start <= at => (at.next_multiple_of(4), 4),
            _ => (at, 1),
        }
    }

    /// The places in a range at which something may begin, and the hashes of what begins there.
    pub(super) fn hashes(&self, range: Range<usize>) -> impl Iterator<Item = (usize, Hash)> {
        let places = self.places(range).into_iter().flat_map(|(range, step)| range.step_by(step));
        places.filter_map(|place| Some((place, Hash::at(&self.bytes, place)?)))
    }

    /// The places in a range at which something may begin, as ranges with their steps.
    fn places(&self, within: Range<usize>) -> Vec<(Range<usize>, usize)> {
        let mut places = Vec::new();
        let mut at = within.start;
        let first = self.words.partition_point(|range| range.end <= at);
        for range in self.words[first..].iter().take_while(|range| range.start < within.end) {
            places.push((at..range.start.max(at), 1));
            let end = range.end.min(within.end);
            places.push((range.start.max(at).next_multiple_of(4)..end, 4));
            at = end;
        }
        places.push((at..within.end, 1));
        places
    }
}
