//! Short sections, unpacked whole when they are opened: a decoder for each would cost more than its work.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use zstd_safe::{DCtx, DParameter, FrameFormat, InBuffer, OutBuffer, ResetDirective};

use crate::{
    ApplyError, ReadAt,
    header::SectionHeader,
    section::{CONTEXT, MAX_BLOCK, section_window_log},
};

/// Raw bytes of the longest section that is unpacked whole. With its packed bytes beside it, it takes less memory than a
/// decoder with a window does.
const WHOLE: u64 = 512 * 1024;

/// Bytes that packing adds where nothing can be saved: a frame's header, and three for each of its blocks.
const OVERHEAD: u64 = 64;

/// Whether a section is unpacked whole. What packed bytes there are beyond its raw ones is not read at once, whatever a
/// table says.
pub(crate) fn is_short(section: &SectionHeader) -> bool {
    section.raw_size <= WHOLE && section.packed_size <= section.raw_size.saturating_add(OVERHEAD)
}

/// A decoder that is used for one short section after the other.
#[derive(Default)]
pub(crate) struct Unpacker {
    decoder: Option<DCtx<'static>>,
}

impl Unpacker {
    /// Bytes it takes: what zstd allocates when it writes straight into the result.
    pub(crate) const MEMORY: u64 = CONTEXT + MAX_BLOCK;

    /// Unpacks the section whose packed bytes begin at `offset` of `source`: one frame, which is as long unpacked and
    /// packed as its table entry says.
    pub(crate) fn unpack(
        &mut self,
        source: &dyn ReadAt,
        header: &SectionHeader,
        offset: u64,
        window_log: u8,
    ) -> Result<Box<[u8]>, ApplyError> {
        let buffer = |len: u64| vec![0; usize::try_from(len).unwrap_or(usize::MAX)].into_boxed_slice();
        let mut packed = buffer(header.packed_size);
        source.read_exact_at(&mut packed, offset).map_err(ApplyError::PatchUnreadable)?;
        let mut raw = buffer(header.raw_size);

        let decoder = self.prepare(section_window_log(header.raw_size, window_log))?;
        let mut made = OutBuffer::around(&mut *raw);
        let mut input = InBuffer::around(&packed);
        let ended = loop {
            let before = (made.pos(), input.pos());
            let hint = decoder.decompress_stream(&mut made, &mut input).map_err(|code| {
                ApplyError::Unpack { section: header.kind, reason: zstd_safe::get_error_name(code) }
            })?;
            if hint == 0 || before == (made.pos(), input.pos()) {
                break hint == 0;
            }
        };
        let (made, used) = (made.pos() as u64, input.pos() as u64);
        let wrong =
            |unit, found, expected| ApplyError::SectionSize { section: header.kind, unit, found, expected };
        if made < header.raw_size {
            return Err(wrong("raw", made, header.raw_size));
        }
        if !ended || used < header.packed_size {
            return Err(wrong("packed", used, header.packed_size));
        }
        Ok(raw)
    }

    /// The decoder, ready for a frame with a window of this size.
    fn prepare(&mut self, window_log: u8) -> Result<&mut DCtx<'static>, ApplyError> {
        let setup = |reason| ApplyError::Setup { reason };
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => none.insert(DCtx::try_create().ok_or(setup("no memory for a context"))?),
        };
        let failed = |code| setup(zstd_safe::get_error_name(code));
        decoder.reset(ResetDirective::SessionOnly).map_err(failed)?;
        for parameter in [
            DParameter::Format(FrameFormat::Magicless),
            DParameter::StableOutBuffer(true),
            DParameter::WindowLogMax(window_log.into()),
        ] {
            decoder.set_parameter(parameter).map_err(failed)?;
        }
        Ok(decoder)
    }
}
