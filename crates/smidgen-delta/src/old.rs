//! The old file while a patch is applied: positioned reads through a small cache of pages.
//!
//! A patch of a program that was compiled anew reads the old file in a hundred thousand short pieces, most of them far
//! from the one before. A buffer around the last place would be filled anew for each and cost more than all the
//! rest; pages kept by their number are found again half the time, and cost little when they are not.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io;

use crate::ReadAt;

/// Bytes of a page.
const PAGE: usize = 4096;

/// Pages kept: page `n` of the file in slot `n % SLOTS`.
const SLOTS: u64 = 256;

/// Pages read at once when the one before was the last that was missing.
const READ_AHEAD: u64 = 8;

/// Reads of this many bytes or more go to the file directly.
const DIRECT: usize = 2 * PAGE;

/// Bytes of the cache, the table of what it holds included.
pub(crate) const OLD_BUFFER: usize = SLOTS as usize * (PAGE + size_of::<u64>());

/// A slot that holds nothing: no file has that many pages.
const EMPTY: u64 = u64::MAX;

/// A cached view of the old file.
pub(crate) struct OldFile<'a> {
    source: &'a dyn ReadAt,
    size: u64,
    pages: Box<[u8]>,
    /// The page each slot holds.
    held: Box<[u64]>,
    /// The page after the last that was read from the file.
    next: u64,
}

impl<'a> OldFile<'a> {
    pub(crate) fn new(source: &'a dyn ReadAt) -> Self {
        let size = source.size();
        let slots = usize::try_from(size.div_ceil(PAGE as u64).min(SLOTS)).unwrap_or_default();
        Self {
            source,
            size,
            pages: vec![0; slots.saturating_mul(PAGE)].into_boxed_slice(),
            held: vec![EMPTY; slots].into_boxed_slice(),
            next: EMPTY,
        }
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Fills `out` from `offset`. The caller has checked that the range lies inside the file.
    pub(crate) fn read(&mut self, out: &mut [u8], offset: u64) -> io::Result<()> {
        if out.len() >= DIRECT {
            return self.source.read_exact_at(out, offset);
        }
        let (mut rest, mut offset) = (out, offset);
        while !rest.is_empty() {
            let skip = usize::try_from(offset & (PAGE as u64).wrapping_sub(1)).unwrap_or_default();
            let page = self.page(offset.checked_div(PAGE as u64).unwrap_or_default())?;
            let bytes = page.get(skip..).filter(|bytes| !bytes.is_empty());
            let bytes = bytes.ok_or(io::ErrorKind::UnexpectedEof)?;
            let len = bytes.len().min(rest.len());
            let (filled, unfilled) = rest.split_at_mut(len);
            filled.copy_from_slice(bytes.get(..len).unwrap_or_default());
            rest = unfilled;
            offset = offset.saturating_add(len as u64);
        }
        Ok(())
    }

    /// The bytes of a page; fewer than [`PAGE`] at the end of the file.
    fn page(&mut self, page: u64) -> io::Result<&[u8]> {
        let slots = self.held.len() as u64;
        let slot = usize::try_from(page.checked_rem(slots).unwrap_or_default()).unwrap_or_default();
        let start = slot.saturating_mul(PAGE);
        if self.held.get(slot) != Some(&page) {
            let ahead = if page == self.next { READ_AHEAD.min(slots.saturating_sub(slot as u64)) } else { 1 };
            let len = self.len_of(page, ahead);
            let held = self.held.iter_mut().skip(slot).zip(page..).take(len.div_ceil(PAGE));
            let bytes = self.pages.get_mut(start..start.saturating_add(len)).unwrap_or_default();
            self.next = page.saturating_add(ahead);
            // A read that fails ends the apply: what the slots hold then does not matter.
            held.for_each(|(held, page)| *held = page);
            self.source.read_exact_at(bytes, page.saturating_mul(PAGE as u64))?;
        }
        let end = start.saturating_add(self.len_of(page, 1));
        Ok(self.pages.get(start..end).unwrap_or_default())
    }

    /// Bytes the file has in `count` pages from `page` on.
    fn len_of(&self, page: u64, count: u64) -> usize {
        let left = self.size.saturating_sub(page.saturating_mul(PAGE as u64));
        usize::try_from(count.saturating_mul(PAGE as u64).min(left)).unwrap_or_default()
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
    fn every_read_sees_the_bytes_of_the_file() {
        let bytes: Vec<u8> =
            (0..3_000_001_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut old = OldFile::new(&bytes);
        let mut state = 7_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        let mut sequential = 0;
        for round in 0..20_000 {
            let len = next(if round % 10 == 0 { 20_000 } else { 300 });
            let offset = if round % 3 == 0 { sequential } else { next(bytes.len()) };
            let len = len.min(bytes.len() - offset);
            let mut out = vec![0; len];
            old.read(&mut out, offset as u64).unwrap();
            assert!(out == bytes[offset..offset + len], "{len} bytes at {offset}");
            sequential = (offset + len) % bytes.len();
        }
    }

    #[test]
    fn a_file_shorter_than_it_was_is_an_error() {
        struct Shrunk;
        impl ReadAt for Shrunk {
            fn size(&self) -> u64 {
                10_000
            }
            fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
                [0; 5000].read_exact_at(buf, offset)
            }
        }
        let mut old = OldFile::new(&Shrunk);
        old.read(&mut [0; 100], 100).unwrap();
        let error = old.read(&mut [0; 100], 4900).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
