//! The old file while a patch is applied: positioned reads with one modest buffer, so that the many short reads
//! close to each other that a patch makes do not each cost a system call.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io;

use crate::ReadAt;

/// Bytes of the buffer.
pub(crate) const OLD_BUFFER: usize = 64 * 1024;

/// Bytes read before the place asked for: seeks go backwards as often as forwards.
const READ_BEHIND: u64 = 8 * 1024;

/// A buffered view of the old file.
pub(crate) struct OldFile<'a> {
    source: &'a dyn ReadAt,
    size: u64,
    buffer: Box<[u8]>,
    /// Offset in the file of the buffer's first byte, and how many bytes are valid.
    start: u64,
    len: usize,
}

impl<'a> OldFile<'a> {
    pub(crate) fn new(source: &'a dyn ReadAt) -> Self {
        let size = source.size();
        let len = usize::try_from(size).unwrap_or(usize::MAX).min(OLD_BUFFER);
        Self { source, size, buffer: vec![0; len].into_boxed_slice(), start: 0, len: 0 }
    }

    /// Bytes of the file.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Fills `out` from `offset`. The caller has checked that the range lies inside the file.
    pub(crate) fn read(&mut self, out: &mut [u8], offset: u64) -> io::Result<()> {
        if self.copy(out, offset) {
            return Ok(());
        }
        if out.len() >= self.buffer.len().wrapping_div(2) {
            return self.source.read_exact_at(out, offset);
        }
        self.start =
            offset.saturating_sub(READ_BEHIND).min(self.size.saturating_sub(self.buffer.len() as u64));
        self.len = 0;
        self.source.read_exact_at(&mut self.buffer, self.start)?;
        self.len = self.buffer.len();
        if self.copy(out, offset) { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn copy(&self, out: &mut [u8], offset: u64) -> bool {
        let valid = self.buffer.get(..self.len).unwrap_or_default();
        let bytes = offset
            .checked_sub(self.start)
            .and_then(|skip| usize::try_from(skip).ok())
            .and_then(|skip| valid.get(skip..skip.checked_add(out.len())?));
        match bytes {
            Some(bytes) => {
                out.copy_from_slice(bytes);
                true
            }
            None => false,
        }
    }
}
