//! One section as a stream of raw bytes: unpacked piece by piece, never beyond what its table entry promises.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use zstd_safe::{DCtx, DParameter, FrameFormat, InBuffer, OutBuffer, ResetDirective};

use crate::{
    ApplyError, ReadAt, SectionKind,
    header::{MIN_WINDOW_LOG, SectionHeader},
    varint,
};

/// Packed bytes read from the patch at a time.
const INPUT_BUFFER: usize = 16 * 1024;

/// Raw bytes a [`Numbers`] keeps.
const NUMBER_BUFFER: usize = 4 * 1024;

/// zstd's decoding context without its window (its own figure is 95,968 bytes in version 1.5.7 on 64 bits; a test
/// holds this constant against the real thing).
const CONTEXT: u64 = 160 * 1024;

/// The largest block of a zstd frame.
const MAX_BLOCK: u64 = 128 * 1024;

/// Bytes zstd adds to its window so that copies may overshoot.
const OVERSHOOT: u64 = 64;

/// Bytes that decoding one zstd stream with windows up to `window` bytes allocates, our own input buffer included.
/// The formula is `ZSTD_estimateDStreamSize`'s.
pub(crate) fn decoder_memory(window: u64) -> u64 {
    let block = window.min(MAX_BLOCK);
    [CONTEXT, block, window, block, block, OVERSHOOT, INPUT_BUFFER as u64]
        .into_iter()
        .fold(0, u64::saturating_add)
}

/// The logarithm of the window a section of `raw_size` bytes needs under a patch's `window_log`: a window longer than
/// the section is never used, so that small sections cost little whatever the header says.
pub(crate) fn section_window_log(raw_size: u64, window_log: u8) -> u8 {
    let covering = raw_size.checked_next_power_of_two().map_or(64, u64::trailing_zeros);
    u8::try_from(covering).unwrap_or(u8::MAX).max(MIN_WINDOW_LOG).min(window_log)
}

/// Bytes that reading one section allocates.
pub(crate) fn section_memory(section: &SectionHeader, window_log: u8) -> u64 {
    let log = section_window_log(section.raw_size, window_log);
    decoder_memory(1_u64.checked_shl(log.into()).unwrap_or(u64::MAX))
        .saturating_add(NUMBER_BUFFER as u64)
        .saturating_add(size_of::<Section<'_>>() as u64)
}

/// A section being unpacked.
pub(crate) struct Section<'a> {
    source: &'a dyn ReadAt,
    kind: SectionKind,
    header: SectionHeader,
    /// Where in the patch the packed bytes not yet read begin, and how many there are.
    offset: u64,
    packed_left: u64,
    raw_left: u64,
    input: Box<[u8]>,
    input_start: usize,
    input_end: usize,
    decoder: DCtx<'static>,
    frame_ended: bool,
}

impl<'a> Section<'a> {
    /// Opens the section whose packed bytes begin at `offset` of `source`.
    pub(crate) fn open(
        source: &'a dyn ReadAt,
        header: &SectionHeader,
        offset: u64,
        window_log: u8,
    ) -> Result<Self, ApplyError> {
        let mut decoder =
            DCtx::try_create().ok_or(ApplyError::Setup { reason: "no memory for a context" })?;
        let window_log = section_window_log(header.raw_size, window_log);
        for parameter in
            [DParameter::Format(FrameFormat::Magicless), DParameter::WindowLogMax(window_log.into())]
        {
            decoder
                .set_parameter(parameter)
                .map_err(|code| ApplyError::Setup { reason: zstd_safe::get_error_name(code) })?;
        }
        Ok(Self {
            source,
            kind: header.kind,
            header: *header,
            offset,
            packed_left: header.packed_size,
            raw_left: header.raw_size,
            input: vec![0; INPUT_BUFFER].into_boxed_slice(),
            input_start: 0,
            input_end: 0,
            decoder,
            frame_ended: false,
        })
    }

    /// Raw bytes not yet read.
    pub(crate) fn raw_left(&self) -> u64 {
        self.raw_left
    }

    /// Fills `out`, or says at which byte of the new file (`at`) the section ran out.
    pub(crate) fn read_exact(&mut self, out: &mut [u8], at: u64) -> Result<(), ApplyError> {
        if out.len() as u64 > self.raw_left {
            return Err(ApplyError::Section { section: self.kind, what: "is used up", at });
        }
        let mut filled = 0;
        while filled < out.len() {
            let made = self.unpack(out.get_mut(filled..).unwrap_or_default())?;
            if made == 0 {
                let left = self.raw_left;
                return Err(self.wrong_size("raw", self.header.raw_size.saturating_sub(left)));
            }
            filled = filled.saturating_add(made);
            self.raw_left = self.raw_left.saturating_sub(made as u64);
        }
        Ok(())
    }

    /// Says that nothing is left over: every raw byte was used, the frame ends here, and so do the packed bytes.
    pub(crate) fn finish(mut self, at: u64) -> Result<(), ApplyError> {
        if self.raw_left > 0 {
            return Err(ApplyError::Section { section: self.kind, what: "is not used up", at });
        }
        if self.unpack(&mut [0])? > 0 {
            return Err(self.wrong_size("raw", self.header.raw_size.saturating_add(1)));
        }
        let unread =
            (self.input_end.saturating_sub(self.input_start) as u64).saturating_add(self.packed_left);
        if !self.frame_ended || unread > 0 {
            return Err(self.wrong_size("packed", self.header.packed_size.saturating_sub(unread)));
        }
        Ok(())
    }

    /// Unpacks until `out` holds something; 0 when the frame has ended or its packed bytes have.
    fn unpack(&mut self, out: &mut [u8]) -> Result<usize, ApplyError> {
        let mut made = OutBuffer::around(out);
        while !self.frame_ended && made.pos() == 0 {
            if self.input_start == self.input_end && self.packed_left > 0 {
                self.refill()?;
            }
            let packed = self.input.get(self.input_start..self.input_end).unwrap_or_default();
            let exhausted = packed.is_empty();
            let mut input = InBuffer::around(packed);
            let hint = self.decoder.decompress_stream(&mut made, &mut input).map_err(|code| {
                ApplyError::Unpack { section: self.kind, reason: zstd_safe::get_error_name(code) }
            })?;
            self.input_start = self.input_start.saturating_add(input.pos());
            self.frame_ended = hint == 0;
            if exhausted && made.pos() == 0 {
                break;
            }
        }
        Ok(made.pos())
    }

    fn refill(&mut self) -> Result<(), ApplyError> {
        let len = usize::try_from(self.packed_left).unwrap_or(usize::MAX).min(self.input.len());
        let target = self.input.get_mut(..len).unwrap_or_default();
        self.source.read_exact_at(target, self.offset).map_err(ApplyError::PatchUnreadable)?;
        self.offset = self.offset.saturating_add(len as u64);
        self.packed_left = self.packed_left.saturating_sub(len as u64);
        (self.input_start, self.input_end) = (0, len);
        Ok(())
    }

    fn wrong_size(&self, unit: &'static str, found: u64) -> ApplyError {
        let expected = if unit == "raw" { self.header.raw_size } else { self.header.packed_size };
        ApplyError::SectionSize { section: self.kind, unit, found, expected }
    }
}

/// A section read as numbers.
pub(crate) struct Numbers<'a> {
    section: Section<'a>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<'a> Numbers<'a> {
    pub(crate) fn new(section: Section<'a>) -> Self {
        Self { section, buffer: vec![0; NUMBER_BUFFER].into_boxed_slice(), start: 0, end: 0 }
    }

    /// Whether every number has been read.
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end && self.section.raw_left() == 0
    }

    /// The next number; `at` is the byte of the new file it is for.
    pub(crate) fn next(&mut self, at: u64) -> Result<u64, ApplyError> {
        self.next_with(varint::read_high_first, at)
    }

    /// The next number, one that has its low bits first.
    pub(crate) fn next_low_first(&mut self, at: u64) -> Result<u64, ApplyError> {
        self.next_with(varint::read, at)
    }

    #[inline]
    fn next_with(
        &mut self,
        read: impl Fn(&[u8]) -> Result<(u64, &[u8]), varint::Fault>,
        at: u64,
    ) -> Result<u64, ApplyError> {
        if self.end.saturating_sub(self.start) < varint::MAX_LEN && self.section.raw_left() > 0 {
            self.refill(at)?;
        }
        let bytes = self.buffer.get(self.start..self.end).unwrap_or_default();
        let what = match read(bytes) {
            Ok((value, rest)) => {
                self.start = self.end.saturating_sub(rest.len());
                return Ok(value);
            }
            Err(varint::Fault::Truncated) => "is used up",
            Err(varint::Fault::NotCanonical) => "has a number not in its shortest spelling",
        };
        Err(ApplyError::Section { section: self.section.kind, what, at })
    }

    /// Hands the next `len` bytes, which are not numbers, to `see` in pieces.
    pub(crate) fn take(&mut self, len: u64, at: u64, mut see: impl FnMut(&[u8])) -> Result<(), ApplyError> {
        let mut left = len;
        while left > 0 {
            if self.start == self.end {
                self.refill(at)?;
            }
            let bytes = self.buffer.get(self.start..self.end).unwrap_or_default();
            let piece = bytes.get(..usize::try_from(left).unwrap_or(usize::MAX)).unwrap_or(bytes);
            if piece.is_empty() {
                return Err(ApplyError::Section { section: self.section.kind, what: "is used up", at });
            }
            see(piece);
            self.start = self.start.saturating_add(piece.len());
            left = left.saturating_sub(piece.len() as u64);
        }
        Ok(())
    }

    /// Says that nothing is left over, as [`Section::finish`].
    pub(crate) fn finish(self, at: u64) -> Result<(), ApplyError> {
        if self.start < self.end {
            return Err(ApplyError::Section { section: self.section.kind, what: "is not used up", at });
        }
        self.section.finish(at)
    }

    fn refill(&mut self, at: u64) -> Result<(), ApplyError> {
        self.buffer.copy_within(self.start..self.end, 0);
        let kept = self.end.saturating_sub(self.start);
        let room = self.buffer.get_mut(kept..).unwrap_or_default();
        let len = usize::try_from(self.section.raw_left()).unwrap_or(usize::MAX).min(room.len());
        self.section.read_exact(room.get_mut(..len).unwrap_or_default(), at)?;
        (self.start, self.end) = (0, kept.saturating_add(len));
        Ok(())
    }
}

/// Makes a fresh decoder ready for a frame with magic bytes and windows up to `window_log`.
pub(crate) fn plain_decoder(window_log: u32) -> Result<DCtx<'static>, &'static str> {
    let mut decoder = DCtx::try_create().ok_or("no memory for a context")?;
    decoder
        .reset(ResetDirective::SessionOnly)
        .and_then(|_| decoder.set_parameter(DParameter::WindowLogMax(window_log)))
        .map_err(zstd_safe::get_error_name)?;
    Ok(decoder)
}

#[cfg(all(test, feature = "diff"))]
#[allow(clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;
    use crate::diff::pack::pack;

    /// Bytes that zstd cannot shrink.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn a_section_takes_no_more_memory_than_is_said() {
        for len in [1, 1000, 1024, 1025, 100_000, 131_072, 1 << 20, (1 << 23) + 1] {
            let raw = noise(len);
            let packed = pack(SectionKind::Extra, &raw).unwrap();
            let header = SectionHeader {
                kind: SectionKind::Extra,
                raw_size: raw.len() as u64,
                packed_size: packed.bytes.len() as u64,
            };
            let mut section = Section::open(&packed.bytes, &header, 0, packed.window_log).unwrap();
            let mut out = vec![0; len];
            section.read_exact(&mut out, 0).unwrap();
            assert!(out == raw);
            let held = section.decoder.sizeof() + section.input.len() + size_of_val(&section);
            let said = section_memory(&header, packed.window_log);
            assert!(held as u64 <= said, "{len}: holds {held}, said {said}");
            section.finish(0).unwrap();
        }
    }
}
