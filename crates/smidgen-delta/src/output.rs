//! The new file on its way out: buffered, digested, and never longer than promised.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io::Write;

use crate::{
    Applied, ApplyError, Digest,
    digest::{BLOCK, Block, BlockHasher},
};

/// Bytes that an output allocates: what is held back until it is worth a write, and its digest.
pub(crate) const OUTPUT_BUFFER: usize = BLOCK + BlockHasher::MEMORY;

/// A bounded, digested writer.
pub(crate) struct Output<'a> {
    sink: &'a mut dyn Write,
    hasher: BlockHasher,
    buffer: Box<[u8]>,
    filled: usize,
    made: u64,
    promised: u64,
}

impl<'a> Output<'a> {
    pub(crate) fn new(sink: &'a mut dyn Write, promised: u64) -> Self {
        let len = usize::try_from(promised).unwrap_or(usize::MAX).clamp(1, BLOCK);
        Self {
            sink,
            hasher: BlockHasher::default(),
            buffer: vec![0; len].into_boxed_slice(),
            filled: 0,
            made: 0,
            promised,
        }
    }

    /// Bytes made so far.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// Bytes still to be made.
    pub(crate) fn left(&self) -> u64 {
        self.promised.saturating_sub(self.made)
    }

    /// Room for further bytes: at least one, unless none is left to be made.
    pub(crate) fn room(&mut self) -> Result<&mut [u8], ApplyError> {
        if self.filled == self.buffer.len() {
            self.flush()?;
        }
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
        let end = self.filled.saturating_add(left).min(self.buffer.len());
        Ok(self.buffer.get_mut(self.filled..end).unwrap_or_default())
    }

    /// Says that the first `len` bytes of the room are made.
    pub(crate) fn commit(&mut self, len: usize) {
        self.filled = self.filled.saturating_add(len).min(self.buffer.len());
        self.made = self.made.saturating_add(len as u64);
    }

    /// Room for up to `want` bytes, which the caller must fill: they count as made.
    pub(crate) fn take(&mut self, want: u64) -> Result<&mut [u8], ApplyError> {
        let room = self.room()?.len();
        let start = self.filled;
        self.commit(usize::try_from(want).unwrap_or(usize::MAX).min(room));
        Ok(self.buffer.get_mut(start..self.filled).unwrap_or_default())
    }

    /// Takes over bytes that are made elsewhere; what would exceed the promise is refused.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> Result<(), ApplyError> {
        if bytes.len() as u64 > self.left() {
            let found = self.made.saturating_add(bytes.len() as u64);
            return Err(ApplyError::NewSize { found, expected: self.promised });
        }
        while !bytes.is_empty() {
            let room = self.take(bytes.len() as u64)?;
            let (now, later) = bytes.split_at_checked(room.len()).unwrap_or_default();
            room.copy_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Takes over a block of the old file as it is, whose digest is not made again; false, and nothing is taken, where
    /// it would not be a block of the new file at the same offset.
    pub(crate) fn pass(&mut self, bytes: &[u8], block: &Block) -> Result<bool, ApplyError> {
        let whole = bytes.len() == BLOCK || bytes.len() as u64 == self.left();
        let between = self.filled == 0 || self.filled == BLOCK;
        if !(whole && between && block.offset() == self.made && bytes.len() as u64 <= self.left()) {
            return Ok(false);
        }
        self.flush()?;
        self.hasher.push_same(block);
        self.made = self.made.saturating_add(bytes.len() as u64);
        self.sink.write_all(bytes).map_err(ApplyError::OutputFailed)?;
        Ok(true)
    }

    /// Writes out what is held back and holds the promises against what was made.
    pub(crate) fn finish(mut self, expected: Digest) -> Result<Applied, ApplyError> {
        self.flush()?;
        if self.made != self.promised {
            return Err(ApplyError::NewSize { found: self.made, expected: self.promised });
        }
        let found = self.hasher.finish();
        if found != expected {
            return Err(ApplyError::NewDigest { found, expected });
        }
        self.sink.flush().map_err(ApplyError::OutputFailed)?;
        Ok(Applied { new_size: self.made, new_digest: found })
    }

    fn flush(&mut self) -> Result<(), ApplyError> {
        let ready = self.buffer.get(..self.filled).unwrap_or_default();
        if ready.is_empty() {
            return Ok(());
        }
        self.hasher.push(ready);
        self.sink.write_all(ready).map_err(ApplyError::OutputFailed)?;
        self.filled = 0;
        Ok(())
    }
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code on numbers of its own"
)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_passed_on_only_where_it_is_one_of_the_new_file_too() {
        let bytes: Vec<u8> = (0..3 * BLOCK + 5).map(|i| (i * 31 % 251) as u8).collect();
        let mut old = BlockHasher::default();
        let blocks: Vec<_> = bytes.chunks(BLOCK).map(|bytes| (bytes, old.push(bytes))).collect();
        let mut sink = Vec::new();
        let mut output = Output::new(&mut sink, bytes.len() as u64);
        let pass = |output: &mut Output<'_>, index: usize| {
            let (bytes, block) = &blocks[index];
            output.pass(bytes, block).unwrap()
        };
        assert!(pass(&mut output, 0));
        assert!(!pass(&mut output, 0), "another offset");
        output.write(&bytes[BLOCK..BLOCK + 7]).unwrap();
        assert!(!pass(&mut output, 1), "in the middle of a block");
        output.write(&bytes[BLOCK + 7..2 * BLOCK]).unwrap();
        assert!(!pass(&mut output, 3), "short, and not the last");
        assert!(pass(&mut output, 2) && pass(&mut output, 3));
        assert!(!pass(&mut output, 3), "beyond the promise");
        output.finish(Digest::of(&bytes)).unwrap();
        assert!(sink == bytes);
    }
}
