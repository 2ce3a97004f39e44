//! A labelled file, and at which of its places matches are looked for.

use std::ops::Range;

use super::{super::region::Rule, image::Image};

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

    /// All places at which something may begin, as ranges with their steps.
    pub(super) fn places(&self) -> Vec<(Range<usize>, usize)> {
        let mut places = Vec::new();
        let mut at = 0;
        for range in &self.words {
            places.push((at..range.start, 1));
            places.push((range.start.next_multiple_of(4)..range.end, 4));
            at = range.end;
        }
        places.push((at..self.bytes.len(), 1));
        places
    }
}
