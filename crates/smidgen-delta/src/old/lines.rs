//! The cache for what is read apart from the block that is digested: short lines of the old file, kept by their number.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io;

use crate::ReadAt;

/// Bytes of a line.
const LINE: usize = 1024;

/// Lines kept at most: line `n` of the file under slot `n` modulo their number.
const SLOTS: usize = 8192;

/// Lines read at once when the one before was the last that was missing.
const READ_AHEAD: usize = 8;

/// Slots for a file of this size: for half of its lines at most.
pub(super) fn slots(size: u64) -> usize {
    usize::try_from(size).unwrap_or(usize::MAX).div_ceil(2 * LINE).min(SLOTS)
}

/// Bytes that a cache of so many lines takes.
pub(super) fn memory(slots: usize) -> usize {
    slots.saturating_mul(LINE.saturating_add(size_of::<Slot>())).saturating_add(ahead(slots))
}

/// Bytes of what is read at once.
fn ahead(slots: usize) -> usize {
    if slots == 0 { 0 } else { READ_AHEAD * LINE }
}

/// Which line a slot holds, and where: the number after the line's, so that 0 is none, and the place in `bytes`.
///
/// Places are given out in the order in which slots are first filled. The few lines that most patches need lie side by side
/// then, in few pages, though their slots are strewn over the whole table.
type Slot = (u64, usize);

/// The lines of one file.
pub(super) struct Lines {
    slots: Box<[Slot]>,
    bytes: Vec<u8>,
    /// What is being read.
    fresh: Box<[u8]>,
    /// The line after the last that was read from the file.
    next: u64,
}

impl Lines {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots: vec![(0, 0); slots].into_boxed_slice(),
            bytes: Vec::with_capacity(slots.saturating_mul(LINE)),
            fresh: vec![0; ahead(slots)].into_boxed_slice(),
            next: u64::MAX,
        }
    }

    /// Fills `out` from `offset` of `source`, which has that many bytes.
    pub(super) fn read(&mut self, source: &dyn ReadAt, out: &mut [u8], offset: u64) -> io::Result<()> {
        let (mut rest, mut offset) = (out, offset);
        while !rest.is_empty() {
            let skip = usize::try_from(offset & (LINE as u64).wrapping_sub(1)).unwrap_or_default();
            let line = self.line(source, offset.checked_div(LINE as u64).unwrap_or_default())?;
            let bytes = line.get(skip..).filter(|bytes| !bytes.is_empty());
            let bytes = bytes.ok_or(io::ErrorKind::UnexpectedEof)?;
            let len = bytes.len().min(rest.len());
            let (filled, unfilled) = rest.split_at_mut(len);
            filled.copy_from_slice(bytes.get(..len).unwrap_or_default());
            rest = unfilled;
            offset = offset.saturating_add(len as u64);
        }
        Ok(())
    }

    /// A line of [`LINE`] bytes; what it has beyond the end of the file is of no meaning.
    fn line(&mut self, source: &dyn ReadAt, line: u64) -> io::Result<&[u8]> {
        let place = match self.slots.get(slot(line, self.slots.len())) {
            Some(&(held, place)) if held == line.saturating_add(1) => place,
            _ => self.fetch(source, line)?,
        };
        Ok(self.bytes.get(place..place.saturating_add(LINE)).unwrap_or_default())
    }

    /// Reads a line that is missing, and those after it if the ones before it were read so; where the line lies then.
    fn fetch(&mut self, source: &dyn ReadAt, line: u64) -> io::Result<usize> {
        let count = if line == self.next { READ_AHEAD } else { 1 };
        let start = line.saturating_mul(LINE as u64);
        let left = usize::try_from(source.size().saturating_sub(start)).unwrap_or(usize::MAX);
        let len = left.min(count.saturating_mul(LINE));
        let fresh = self.fresh.get_mut(..len).ok_or(io::ErrorKind::UnexpectedEof)?;
        source.read_exact_at(fresh, start)?;
        self.next = line.saturating_add(count as u64);
        let mut first = None;
        for (line, bytes) in (line..).zip(fresh.chunks(LINE)) {
            let place = hold(&mut self.slots, &mut self.bytes, line, bytes);
            first.get_or_insert(place);
        }
        first.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Puts the bytes of a line under its slot; where they lie.
fn hold(slots: &mut [Slot], bytes: &mut Vec<u8>, line: u64, fresh: &[u8]) -> usize {
    let end = bytes.len();
    let Some((held, place)) = slots.get_mut(slot(line, slots.len())) else { return end };
    if *held == 0 {
        *place = end;
        bytes.resize(end.saturating_add(LINE), 0);
    }
    *held = line.saturating_add(1);
    let room = bytes.get_mut(*place..).and_then(|room| room.get_mut(..fresh.len()));
    room.unwrap_or_default().copy_from_slice(fresh);
    *place
}

/// The slot of a line. A file that has any is longer than 1 MiB, so there are more than are read at once and none of those
/// displaces another.
fn slot(line: u64, slots: usize) -> usize {
    usize::try_from(line.checked_rem(slots as u64).unwrap_or_default()).unwrap_or_default()
}
