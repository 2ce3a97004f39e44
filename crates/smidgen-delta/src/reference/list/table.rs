//! A table while it is packed: it has as many bytes as the plan says, and never room for more.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// At most so many bytes. What is put behind the last of them is dropped.
pub(super) struct Table {
    bytes: Vec<u8>,
    len: usize,
}

impl Table {
    /// An empty table that will have `len` bytes at most.
    pub(super) fn new(len: u64) -> Self {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        Self { bytes: Vec::with_capacity(len), len }
    }

    /// Appends these bytes, as far as there is room.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let left = self.len.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(bytes.get(..left).unwrap_or(bytes));
    }

    /// Appends these words, low bytes first.
    pub(super) fn put_words(&mut self, words: &[u32]) {
        words.iter().for_each(|word| self.put(&word.to_le_bytes()));
    }

    /// Appends zeros up to byte `end`, or leaves out what was written behind it.
    pub(super) fn fill(&mut self, end: usize) {
        self.bytes.resize(end.min(self.len), 0);
    }

    /// Bytes that were written.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether more would be dropped.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= self.len
    }

    /// What was written, with room for the rest.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_dropped() {
        let mut table = Table::new(10);
        table.put(&[1, 2, 3]);
        table.fill(5);
        assert!(!table.is_full());
        table.put_words(&[0x0403_0201, 0x0807_0605]);
        table.fill(700);
        assert!(table.is_full());
        table.put(&[9]);
        assert_eq!(table.bytes.capacity(), 10);
        assert_eq!(table.finish(), [1, 2, 3, 0, 0, 1, 2, 3, 4, 5]);
    }
}
