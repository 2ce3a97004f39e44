//! The header of a plain zstd frame (RFC 8878, section 3.1.1.1), read before a decoder is made for it.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

/// The longest header a frame can have, magic bytes included.
pub(crate) const MAX_LEN: usize = 18;

const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// What a frame says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// Bytes the decoder must keep.
    pub(crate) window: u64,
    /// Bytes of content, if it says so.
    pub(crate) content_size: Option<u64>,
}

impl FrameHeader {
    /// Reads the header from the first bytes of a frame; `None` if they are not one, or are too few.
    pub(crate) fn parse(prefix: &[u8]) -> Option<Self> {
        let (magic, rest) = prefix.split_first_chunk::<4>()?;
        let (&descriptor, rest) = rest.split_first()?;
        let reserved = descriptor & 0b0000_1000 != 0;
        if *magic != MAGIC || reserved {
            return None;
        }
        let single_segment = descriptor & 0b0010_0000 != 0;
        let (window, rest) = if single_segment {
            (None, rest)
        } else {
            let (&byte, rest) = rest.split_first()?;
            let base = 1_u64.checked_shl(u32::from(byte >> 3).saturating_add(10))?;
            let eighths = (base >> 3).saturating_mul(u64::from(byte & 7));
            (Some(base.saturating_add(eighths)), rest)
        };
        let id_len = match descriptor & 3 {
            3 => 4,
            len => usize::from(len),
        };
        let rest = rest.get(id_len..)?;
        let content_size = match descriptor >> 6 {
            0 if single_segment => Some(u64::from(*rest.first()?)),
            0 => None,
            1 => Some(u64::from(u16::from_le_bytes(*rest.first_chunk()?)).saturating_add(256)),
            2 => Some(u64::from(u32::from_le_bytes(*rest.first_chunk()?))),
            _ => Some(u64::from_le_bytes(*rest.first_chunk()?)),
        };
        Some(Self { window: window.or(content_size)?, content_size })
    }
}
