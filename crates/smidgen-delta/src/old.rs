//! The old file while a patch is applied: read once from front to back and digested on the way; read again, in lines
//! of a small cache, only where the patch goes back or far ahead.
//!
//! Most of a patch follows the old file in order, so the block that was digested last is nearly always the one that is
//! wanted, and reading the file a second time for its digest would cost as much as all the rest.
//!
//! A patch of a program that was compiled anew reads the old file in a hundred thousand short pieces beside that, most
//! of them far from the one before. A buffer around the last place would be filled anew for each; short lines kept by
//! their number are found again half the time, and cost little more than the call when they are not.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io;

use crate::{
    Digest, ReadAt,
    digest::{BLOCK, Block, BlockHasher},
};

use self::lines::Lines;

mod lines;

/// Reads of this many bytes or more that miss the block go to the file directly.
const DIRECT: usize = 4096;

/// A file that is no longer is held whole instead.
const WHOLE: usize = 1 << 20;

/// How far the digest runs ahead to a place that is wanted: so many times the bytes that are wanted there. What it
/// passes over must be read again if it is wanted later, so a few bytes far away must not draw it there.
const RUN_AHEAD: u64 = 16;

/// Bytes of all buffers for a file of this size.
pub(crate) fn memory(size: u64) -> u64 {
    let (block, slots) = buffers(size);
    block.saturating_add(lines::memory(slots)).saturating_add(BlockHasher::MEMORY) as u64
}

/// Bytes that are digested at once, and lines in the cache.
fn buffers(size: u64) -> (usize, usize) {
    match usize::try_from(size) {
        Ok(size) if size <= WHOLE => (size, 0),
        _ => (BLOCK, lines::slots(size)),
    }
}

/// The old file, digested while it is read.
pub(crate) struct OldFile<'a> {
    source: &'a dyn ReadAt,
    size: u64,
    hasher: BlockHasher,
    /// The block that was digested last, which ends where the digest has come to; of a small file, all blocks.
    block: Box<[u8]>,
    block_start: u64,
    digested: u64,
    /// What the hasher said of that block.
    seen: Option<Block>,
    lines: Lines,
    /// Whether the block is the whole file.
    is_small: bool,
    /// Bytes that are read as others than they are, by place.
    changes: Vec<Change>,
}

/// A byte of the old file that is to be read as another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    pub(crate) at: u32,
    pub(crate) byte: u8,
}

impl<'a> OldFile<'a> {
    pub(crate) fn new(source: &'a dyn ReadAt) -> Self {
        let size = source.size();
        let (block, slots) = buffers(size);
        Self {
            source,
            size,
            hasher: BlockHasher::default(),
            block: vec![0; block].into_boxed_slice(),
            block_start: 0,
            digested: 0,
            seen: None,
            lines: Lines::new(slots),
            is_small: slots == 0,
            changes: Vec::new(),
        }
    }

    /// From now on, [`read`](Self::read) gives these bytes for what is there; of two at one place, the first. The digest
    /// stays that of the file.
    pub(crate) fn change(&mut self, mut changes: Vec<Change>) {
        changes.sort_by_key(|change| change.at);
        changes.dedup_by_key(|change| change.at);
        self.changes = changes;
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Reads what is left and says what the whole file's digest is.
    pub(crate) fn digest(mut self) -> io::Result<Digest> {
        while self.digested < self.size {
            self.advance()?;
        }
        Ok(self.hasher.finish())
    }

    /// The block that begins at `offset` and what its digest is, unless the digest has long passed there or is far
    /// behind.
    pub(crate) fn block(&mut self, offset: u64) -> io::Result<Option<(&[u8], Block)>> {
        if !self.reach(offset, BLOCK)? || self.block_start != offset {
            return Ok(None);
        }
        let bytes = self.block.get(..self.block_len()).unwrap_or_default();
        Ok(self.seen.filter(|seen| seen.offset() == offset).map(|seen| (bytes, seen)))
    }

    /// Fills `out` from `offset`. The caller has checked that the range lies inside the file.
    pub(crate) fn read(&mut self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_unchanged(out, offset)?;
        if !self.changes.is_empty() {
            let first = self.changes.partition_point(|change| u64::from(change.at) < offset);
            for change in self.changes.iter().skip(first) {
                let inside = u64::from(change.at).saturating_sub(offset);
                match out.get_mut(usize::try_from(inside).unwrap_or(usize::MAX)) {
                    Some(byte) => *byte = change.byte,
                    None => break,
                }
            }
        }
        Ok(())
    }

    fn read_unchanged(&mut self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let (mut rest, mut offset) = (out, offset);
        while !rest.is_empty() {
            let len = if self.reach(offset, rest.len())? {
                let skip = usize::try_from(offset.saturating_sub(self.block_start)).unwrap_or(usize::MAX);
                let bytes = self.block.get(skip..self.block_len()).unwrap_or_default();
                copy(rest, bytes)
            } else {
                // What lies before the block ends where it begins.
                let apart = self.block_start.checked_sub(offset).unwrap_or(u64::MAX);
                let len = usize::try_from(apart).unwrap_or(usize::MAX).min(rest.len());
                self.read_apart(rest.get_mut(..len).unwrap_or_default(), offset)?;
                len
            };
            rest = rest.get_mut(len..).unwrap_or_default();
            offset = offset.saturating_add(len as u64);
        }
        Ok(())
    }

    /// Fills `out` with what is not in the block.
    fn read_apart(&mut self, out: &mut [u8], offset: u64) -> io::Result<()> {
        if out.len() >= DIRECT {
            return self.source.read_exact_at(out, offset);
        }
        self.lines.read(self.source, out, offset)
    }

    /// Brings the digest's block to `offset`, where `len` bytes are wanted, if it lies ahead and not too far; false if
    /// the block is elsewhere then.
    fn reach(&mut self, offset: u64, len: usize) -> io::Result<bool> {
        let ahead = if self.is_small { u64::MAX } else { RUN_AHEAD.saturating_mul(len as u64) };
        if offset < self.block_start || offset >= self.digested.saturating_add(ahead).min(self.size) {
            return Ok(false);
        }
        while offset >= self.digested {
            self.advance()?;
        }
        Ok(true)
    }

    fn block_len(&self) -> usize {
        usize::try_from(self.digested.saturating_sub(self.block_start)).unwrap_or_default()
    }

    /// Reads and digests the next block; of a small file, all of them.
    fn advance(&mut self) -> io::Result<()> {
        let left = usize::try_from(self.size.saturating_sub(self.digested)).unwrap_or(usize::MAX);
        let len = left.min(self.block.len());
        self.block_start = self.digested;
        for bytes in self.block.get_mut(..len).unwrap_or_default().chunks_mut(BLOCK) {
            self.source.read_exact_at(bytes, self.digested)?;
            self.seen = Some(self.hasher.push(bytes));
            self.digested = self.digested.saturating_add(bytes.len() as u64);
        }
        Ok(())
    }
}

/// Copies as much of `from` as there is room for in `to`; how much that is.
///
/// In pieces, because of what `memcpy` makes of longer ones: glibc takes `rep movsb` above 2 or 4 KiB, which some processors
/// (AMD's Zen 3) execute at a fraction of their speed when both sides lie alike in their pages, as these two do.
fn copy(to: &mut [u8], from: &[u8]) -> usize {
    const PIECE: usize = 2048;
    let len = to.len().min(from.len());
    let (to, from) = (to.get_mut(..len).unwrap_or_default(), from.get(..len).unwrap_or_default());
    for (to, from) in to.chunks_mut(PIECE).zip(from.chunks(PIECE)) {
        to.copy_from_slice(from);
    }
    len
}

#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code on numbers of its own"
)]
mod tests {
    use super::*;

    fn bytes(len: u32) -> Vec<u8> {
        (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
    }

    #[test]
    fn every_read_sees_the_bytes_of_the_file_and_none_disturbs_its_digest() {
        // Jumps back and forth; forward in steps short and long; one piece after the other.
        type Step = fn(u64) -> usize;
        let steps: [Step; 3] = [|random| random as usize, |random| (random % 90_000) as usize, |_| 0];
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        for bytes in [bytes(3_000_001), bytes(300_001)] {
            for (step, start) in steps.into_iter().flat_map(|step| [(step, 0), (step, bytes.len() - 50)]) {
                let mut old = OldFile::new(&bytes);
                let mut offset = start;
                for round in 0..1500 {
                    let len = random() as usize % if round % 10 == 0 { 200_000 } else { 300 };
                    let len = len.min(bytes.len() - offset);
                    let mut out = vec![0; len];
                    old.read(&mut out, offset as u64).unwrap();
                    assert!(out == bytes[offset..offset + len], "{len} bytes at {offset}");
                    let jump = if round % 3 == 0 { step(random()) } else { 0 };
                    offset = (offset + len + jump) % bytes.len();
                }
                assert_eq!(old.digest().unwrap(), Digest::of(&bytes));
            }
        }
    }

    #[test]
    fn blocks_are_handed_out_where_the_digest_is_or_comes_to() {
        let bytes = bytes(20 * BLOCK as u32 + 17);
        let mut old = OldFile::new(&bytes);
        assert!(old.block(1).unwrap().is_none());
        for (index, expected) in bytes.chunks(BLOCK).enumerate() {
            let offset = (index * BLOCK) as u64;
            for _ in 0..2 {
                let (found, seen) = old.block(offset).unwrap().unwrap();
                assert!(found == expected && seen.offset() == offset);
            }
        }
        assert!(old.block(0).unwrap().is_none(), "it has passed there");
        assert!(old.block(bytes.len() as u64).unwrap().is_none());
        assert_eq!(old.digest().unwrap(), Digest::of(&bytes));
    }

    #[test]
    fn a_file_that_is_followed_in_order_is_read_once() {
        struct Counting(Vec<u8>, std::cell::Cell<usize>);
        impl ReadAt for Counting {
            fn size(&self) -> u64 {
                self.0.size()
            }
            fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
                self.1.set(self.1.get() + buf.len());
                self.0.read_exact_at(buf, offset)
            }
        }
        for size in [700_000, 3_000_000] {
            let source = Counting(bytes(size), std::cell::Cell::new(0));
            let mut old = OldFile::new(&source);
            let mut out = vec![0; 10_007];
            for offset in (0..size - 20_000).step_by(30_000) {
                old.read(&mut out, offset.into()).unwrap();
            }
            old.digest().unwrap();
            assert_eq!(source.1.get(), size as usize);
        }
    }

    #[test]
    fn a_file_shorter_than_it_was_is_an_error() {
        struct Shrunk(u64);
        impl ReadAt for Shrunk {
            fn size(&self) -> u64 {
                self.0
            }
            fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
                [0; 100_000].read_exact_at(buf, offset)
            }
        }
        for size in [150_000, 2_000_000] {
            let source = Shrunk(size);
            let mut old = OldFile::new(&source);
            for offset in [99_990, 140_000, size - 100] {
                let error = old.read(&mut [0; 100], offset).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            }
            assert_eq!(old.digest().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
