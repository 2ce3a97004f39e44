//! One section as a stream of raw bytes: unpacked piece by piece, never beyond what its table entry promises.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use zstd_safe::{DCtx, DParameter, FrameFormat, InBuffer, OutBuffer, ResetDirective};

use crate::{
    ApplyError, ReadAt,
    header::{MIN_WINDOW_LOG, SectionHeader},
    unpacker::{Unpacker, is_short},
    varint,
};

/// Packed bytes read from the patch at a time.
const INPUT_BUFFER: usize = 16 * 1024;

/// Raw bytes unpacked at a time where few are asked for.
const RAW_BUFFER: usize = 8 * 1024;

/// zstd's decoding context without its window (its own figure is 95,968 bytes in version 1.5.7 on 64 bits; a test
/// holds this constant against the real thing).
pub(crate) const CONTEXT: u64 = 160 * 1024;

/// The largest block of a zstd frame.
pub(crate) const MAX_BLOCK: u64 = 128 * 1024;

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

/// Bytes that reading one section allocates, beside the [`Unpacker`] that all share.
pub(crate) fn section_memory(section: &SectionHeader, window_log: u8) -> u64 {
    if is_short(section) {
        // Both at once only while it is unpacked.
        return section
            .raw_size
            .saturating_add(section.packed_size)
            .saturating_add(size_of::<Section<'_>>() as u64);
    }
    let log = section_window_log(section.raw_size, window_log);
    decoder_memory(1_u64.checked_shl(log.into()).unwrap_or(u64::MAX))
        .saturating_add(RAW_BUFFER as u64)
        .saturating_add(size_of::<Section<'_>>() as u64)
}

/// A section being read.
pub(crate) struct Section<'a> {
    header: SectionHeader,
    /// Where raw bytes come from that are not in the buffer; a short section has all of its bytes there.
    stream: Option<Stream<'a>>,
    /// Raw bytes not yet unpacked.
    raw_left: u64,
    /// Raw bytes that were unpacked and not yet taken: the decoder is too slow to be asked for a few bytes at a time.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

/// The packed bytes of a section, and their decoder.
struct Stream<'a> {
    source: &'a dyn ReadAt,
    header: SectionHeader,
    /// Where in the patch the packed bytes not yet read begin, and how many there are.
    offset: u64,
    packed_left: u64,
    /// Packed bytes that were read and not yet unpacked.
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
        unpacker: &mut Unpacker,
    ) -> Result<Self, ApplyError> {
        if is_short(header) {
            let buffer = unpacker.unpack(source, header, offset, window_log)?;
            let end = buffer.len();
            return Ok(Self { header: *header, stream: None, raw_left: 0, buffer, start: 0, end });
        }
        Ok(Self {
            header: *header,
            stream: Some(Stream::open(source, header, offset, window_log)?),
            raw_left: header.raw_size,
            buffer: vec![0; RAW_BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
        })
    }

    /// Raw bytes not yet taken.
    pub(crate) fn left(&self) -> u64 {
        self.raw_left.saturating_add(self.buffered().len() as u64)
    }

    /// Fills `out`; `at` is the byte of the new file it is for, which an error names.
    pub(crate) fn read_exact(&mut self, out: &mut [u8], at: u64) -> Result<(), ApplyError> {
        let mut rest = out;
        loop {
            let len = rest.len().min(self.buffered().len());
            let (filled, unfilled) = rest.split_at_mut(len);
            filled.copy_from_slice(self.buffered().get(..len).unwrap_or_default());
            self.start = self.start.saturating_add(len);
            rest = unfilled;
            if rest.is_empty() {
                return Ok(());
            }
            if rest.len() as u64 > self.raw_left {
                return Err(self.fault("is used up", at));
            }
            if rest.len() >= self.buffer.len() {
                return self.unpack_exact(rest);
            }
            self.refill()?;
        }
    }

    /// The next `N` raw bytes.
    #[inline]
    pub(crate) fn take<const N: usize>(&mut self, at: u64) -> Result<[u8; N], ApplyError> {
        if let Some(bytes) = self.buffered().first_chunk().copied() {
            self.start = self.start.saturating_add(N);
            return Ok(bytes);
        }
        let mut bytes = [0; N];
        self.read_exact(&mut bytes, at)?;
        Ok(bytes)
    }

    /// Adds the next raw bytes to those of `out`; otherwise as [`read_exact`](Self::read_exact).
    pub(crate) fn add_exact(&mut self, out: &mut [u8], at: u64) -> Result<(), ApplyError> {
        let mut rest = out;
        loop {
            let len = rest.len().min(self.buffered().len());
            let (filled, unfilled) = rest.split_at_mut(len);
            for (byte, difference) in filled.iter_mut().zip(self.buffered()) {
                *byte = byte.wrapping_add(*difference);
            }
            self.start = self.start.saturating_add(len);
            rest = unfilled;
            if rest.is_empty() {
                return Ok(());
            }
            if self.raw_left == 0 {
                return Err(self.fault("is used up", at));
            }
            self.refill()?;
        }
    }

    /// The next number, one that has its high bits first. Most have one byte only.
    #[inline]
    pub(crate) fn number(&mut self, at: u64) -> Result<u64, ApplyError> {
        match self.buffered().first() {
            Some(&byte) if byte < 0x80 => {
                self.start = self.start.saturating_add(1);
                Ok(byte.into())
            }
            _ => self.number_with(varint::read_high_first, at),
        }
    }

    /// The next number, one that has its low bits first.
    pub(crate) fn number_low_first(&mut self, at: u64) -> Result<u64, ApplyError> {
        self.number_with(varint::read, at)
    }

    /// Hands the next `len` raw bytes to `see` in pieces.
    pub(crate) fn scan(&mut self, len: u64, at: u64, mut see: impl FnMut(&[u8])) -> Result<(), ApplyError> {
        let mut left = len;
        while left > 0 {
            if self.start == self.end {
                self.refill()?;
            }
            let bytes = self.buffered();
            let piece = bytes.get(..usize::try_from(left).unwrap_or(usize::MAX)).unwrap_or(bytes);
            if piece.is_empty() {
                return Err(self.fault("is used up", at));
            }
            see(piece);
            let len = piece.len();
            self.start = self.start.saturating_add(len);
            left = left.saturating_sub(len as u64);
        }
        Ok(())
    }

    /// Takes of the [`buffered`](Self::buffered) bytes all but the last `left`.
    pub(crate) fn take_until(&mut self, left: usize) {
        self.start = self.end.saturating_sub(left).max(self.start);
    }

    /// Says that nothing is left over: every raw byte was taken, the frame ends here, and so do the packed bytes.
    pub(crate) fn finish(self, at: u64) -> Result<(), ApplyError> {
        if self.left() > 0 {
            return Err(self.fault("is not used up", at));
        }
        self.stream.map_or(Ok(()), Stream::finish)
    }

    /// An error about this section.
    fn fault(&self, what: &'static str, at: u64) -> ApplyError {
        ApplyError::Section { section: self.header.kind, what, at }
    }

    /// Raw bytes that can be taken at once; of a short section, all that are left.
    pub(crate) fn buffered(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    #[inline]
    fn number_with(
        &mut self,
        read: impl Fn(&[u8]) -> Result<(u64, &[u8]), varint::Fault>,
        at: u64,
    ) -> Result<u64, ApplyError> {
        if self.buffered().len() < varint::MAX_LEN && self.raw_left > 0 {
            self.refill()?;
        }
        match read(self.buffered()) {
            Ok((value, rest)) => {
                self.start = self.end.saturating_sub(rest.len());
                Ok(value)
            }
            Err(varint::Fault::Truncated) => Err(self.fault("is used up", at)),
            Err(varint::Fault::NotCanonical) => {
                Err(self.fault("has a number not in its shortest spelling", at))
            }
        }
    }

    /// Moves what is buffered to the front and unpacks more behind it.
    fn refill(&mut self) -> Result<(), ApplyError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let kept = self.end.saturating_sub(self.start);
        buffer.copy_within(self.start..self.end, 0);
        let len = usize::try_from(self.raw_left).unwrap_or(usize::MAX).min(buffer.len().saturating_sub(kept));
        let end = kept.saturating_add(len);
        let unpacked = self.unpack_exact(buffer.get_mut(kept..end).unwrap_or_default());
        self.buffer = buffer;
        (self.start, self.end) = (0, if unpacked.is_ok() { end } else { kept });
        unpacked
    }

    /// Fills `out`, which is not longer than what the table entry promises, straight from the decoder.
    fn unpack_exact(&mut self, out: &mut [u8]) -> Result<(), ApplyError> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let mut filled = 0_usize;
        while filled < out.len() {
            let made = stream.unpack(out.get_mut(filled..).unwrap_or_default())?;
            if made == 0 {
                return Err(stream.wrong_size("raw", self.header.raw_size.saturating_sub(self.raw_left)));
            }
            filled = filled.saturating_add(made);
            self.raw_left = self.raw_left.saturating_sub(made as u64);
        }
        Ok(())
    }
}

impl<'a> Stream<'a> {
    fn open(
        source: &'a dyn ReadAt,
        header: &SectionHeader,
        offset: u64,
        window_log: u8,
    ) -> Result<Self, ApplyError> {
        let setup = |reason| ApplyError::Setup { reason };
        let mut decoder = DCtx::try_create().ok_or(setup("no memory for a context"))?;
        let window_log = section_window_log(header.raw_size, window_log);
        for parameter in
            [DParameter::Format(FrameFormat::Magicless), DParameter::WindowLogMax(window_log.into())]
        {
            decoder.set_parameter(parameter).map_err(|code| setup(zstd_safe::get_error_name(code)))?;
        }
        let input = usize::try_from(header.packed_size).unwrap_or(usize::MAX).min(INPUT_BUFFER);
        Ok(Self {
            source,
            header: *header,
            offset,
            packed_left: header.packed_size,
            input: vec![0; input].into_boxed_slice(),
            input_start: 0,
            input_end: 0,
            decoder,
            frame_ended: false,
        })
    }

    /// Says that the frame ends here, and that the packed bytes do.
    fn finish(mut self) -> Result<(), ApplyError> {
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
                self.refill_input()?;
            }
            let packed = self.input.get(self.input_start..self.input_end).unwrap_or_default();
            let exhausted = packed.is_empty();
            let mut input = InBuffer::around(packed);
            let hint = self.decoder.decompress_stream(&mut made, &mut input).map_err(|code| {
                ApplyError::Unpack { section: self.header.kind, reason: zstd_safe::get_error_name(code) }
            })?;
            self.input_start = self.input_start.saturating_add(input.pos());
            self.frame_ended = hint == 0;
            if exhausted && made.pos() == 0 {
                break;
            }
        }
        Ok(made.pos())
    }

    fn refill_input(&mut self) -> Result<(), ApplyError> {
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
        ApplyError::SectionSize { section: self.header.kind, unit, found, expected }
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
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test code on numbers of its own"
)]
mod tests {
    use super::*;
    use crate::{
        SectionKind,
        diff::pack::{Strength, pack},
    };

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
            let packed = pack(SectionKind::Extra, &raw, Strength::Quick).unwrap();
            let header = SectionHeader {
                kind: SectionKind::Extra,
                raw_size: raw.len() as u64,
                packed_size: packed.bytes.len() as u64,
            };
            let mut unpacker = Unpacker::default();
            let mut section =
                Section::open(&packed.bytes, &header, 0, packed.window_log, &mut unpacker).unwrap();
            let mut out = vec![0; len];
            section.read_exact(&mut out, 0).unwrap();
            assert!(out == raw);
            let stream =
                section.stream.as_ref().map_or(0, |stream| stream.decoder.sizeof() + stream.input.len());
            let held = stream + section.buffer.len() + size_of_val(&section);
            let said = section_memory(&header, packed.window_log);
            assert!(held as u64 <= said, "{len}: holds {held}, said {said}");
            section.finish(0).unwrap();
        }
    }

    /// Opens a section whose entry says what it likes, and reads it to its end.
    fn read_all(packed: &[u8], raw_size: u64, window_log: u8) -> Result<Vec<u8>, ApplyError> {
        let packed_size = packed.len() as u64;
        let header = SectionHeader { kind: SectionKind::Extra, raw_size, packed_size };
        let mut section = Section::open(&packed, &header, 0, window_log, &mut Unpacker::default())?;
        let mut out = vec![0; raw_size as usize];
        section.read_exact(&mut out, 0)?;
        section.finish(0)?;
        Ok(out)
    }

    #[test]
    fn short_and_long_sections_are_held_to_their_entries_alike() {
        for len in [1000, 600_000] {
            let raw = noise(len);
            let packed = pack(SectionKind::Extra, &raw, Strength::Quick).unwrap();
            let read = |bytes: &[u8], raw_size: usize| read_all(bytes, raw_size as u64, packed.window_log);
            let bytes = &packed.bytes[..];
            assert!(read(bytes, len).unwrap() == raw);

            for cut in (1..bytes.len()).step_by(bytes.len() / 97) {
                let error = read(&bytes[..cut], len).unwrap_err();
                let found = matches!(error, ApplyError::SectionSize { unit: "raw", .. });
                assert!(found, "{len}, cut at {cut}: {error}");
            }
            let followed = [bytes, &[0]].concat();
            let twice = [bytes, bytes].concat();
            for longer in [followed, twice] {
                let error = read(&longer, len).unwrap_err();
                assert!(matches!(error, ApplyError::SectionSize { unit: "packed", .. }), "{len}: {error}");
            }
            let error = read(bytes, len + 1).unwrap_err();
            assert!(matches!(error, ApplyError::SectionSize { unit: "raw", .. }), "{len}: {error}");
            read(bytes, len - 1).unwrap_err();
            // A window that the header does not allow.
            let window = packed.window_log - 1;
            if len > 1024 {
                let error = read_all(bytes, len as u64, window).unwrap_err();
                assert!(matches!(error, ApplyError::Unpack { .. }), "{len}: {error}");
            }
        }
    }
}
