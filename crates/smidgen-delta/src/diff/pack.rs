//! Packing one section with zstd.

use zstd_safe::{CCtx, CParameter, FrameFormat};

use super::DiffError;
use crate::{SectionKind, header::MIN_WINDOW_LOG, section::section_window_log, varint};

/// A packed section.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) kind: SectionKind,
    pub(crate) raw_size: u64,
    pub(crate) window_log: u8,
    pub(crate) bytes: Vec<u8>,
}

impl Packed {
    /// A section that was coded bit by bit and needs no window.
    pub(crate) fn coded(kind: SectionKind, raw_size: u64, bytes: Vec<u8>) -> Self {
        Self { kind, raw_size, window_log: MIN_WINDOW_LOG, bytes }
    }

    /// Bytes the section takes in a patch, its table entry included.
    pub(crate) fn size_in_patch(&self) -> usize {
        if self.raw_size == 0 {
            return 0;
        }
        let mut entry = Vec::new();
        varint::write(&mut entry, self.raw_size);
        varint::write(&mut entry, self.bytes.len() as u64);
        1 + entry.len() + self.bytes.len()
    }
}

/// The window sections are packed with: 8 MiB. `docs/measurements.md` has what longer ones bring and cost.
pub(crate) const WINDOW_LOG: u8 = 23;

/// How hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strength {
    /// zstd's level 1: a first estimate at next to no cost.
    Quick,
    /// Level 18: for short sections of like things, where level 22 saves two bytes of a thousand and takes the patch a fifth
    /// longer to make.
    Parts,
    /// The strongest that pays: level 22.
    Full,
}

/// Packs `raw` as section `kind`: one zstd frame without magic bytes, content size and checksum, all of which the
/// patch has elsewhere.
pub(crate) fn pack(kind: SectionKind, raw: &[u8], strength: Strength) -> Result<Packed, DiffError> {
    let failed = |code| DiffError::Pack { reason: zstd_safe::get_error_name(code) };
    let window_log = section_window_log(raw.len() as u64, WINDOW_LOG);
    let log = u32::from(window_log);
    let level = match strength {
        Strength::Quick => 1,
        Strength::Parts => 18,
        Strength::Full => 22,
    };
    let mut bytes = Vec::with_capacity(zstd_safe::compress_bound(raw.len()));
    if !raw.is_empty() {
        let mut packer = CCtx::try_create().ok_or(DiffError::Pack { reason: "no memory for a context" })?;
        for parameter in [
            CParameter::CompressionLevel(level),
            CParameter::WindowLog(log),
            CParameter::Format(FrameFormat::Magicless),
            CParameter::ContentSizeFlag(false),
            CParameter::ChecksumFlag(false),
            CParameter::DictIdFlag(false),
        ] {
            packer.set_parameter(parameter).map_err(failed)?;
        }
        if strength == Strength::Parts {
            // A quarter of zstd's own hash table and half of its tree, which is most of what packing a small patch takes: not a
            // byte worse on these.
            for parameter in [CParameter::HashLog(log.saturating_sub(2).max(6)), CParameter::ChainLog(log)] {
                packer.set_parameter(parameter).map_err(failed)?;
            }
        }
        packer.compress2(&mut bytes, raw).map_err(failed)?;
        bytes.shrink_to_fit();
    }
    Ok(Packed { kind, raw_size: raw.len() as u64, window_log, bytes })
}
