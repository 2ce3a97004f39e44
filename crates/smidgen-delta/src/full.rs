//! Full copies: the new file in one zstd frame with a long window, for first installs and for when no patch pays.
//!
//! The frame is plain zstd (`zstd -d --long` reads it) with its content size and without a checksum: the digest in
//! the signed metadata is what it is held against.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io::{self, Read, Write};

use zstd_safe::{InBuffer, OutBuffer};

use crate::{
    Applied, ApplyError, Digest, Fault, Limits,
    frame::{self, FrameHeader},
    output::{OUTPUT_BUFFER, Output},
    section::{decoder_memory, plain_decoder},
};

/// Packed bytes read at a time.
const INPUT_BUFFER: usize = 64 * 1024;

/// How to pack a full copy.
#[cfg(feature = "diff")]
#[derive(Debug, Clone)]
pub struct FullOptions {
    /// zstd's level. Default 22: on the corpus 2 % smaller than 19 for text, the same for programs, at the same cost.
    pub level: i32,
    /// Logarithm of the longest window. Shorter files get a window no longer than they are. Default 24: 16 MiB, with
    /// which expanding takes 17 MiB; twice as much brings 0.3 % at best, half as much costs up to a third.
    pub window_log: u8,
}

#[cfg(feature = "diff")]
impl Default for FullOptions {
    fn default() -> Self {
        Self { level: 22, window_log: 24 }
    }
}

/// What an expanded full copy must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Bytes of the new file.
    pub size: u64,
    /// Their digest.
    pub digest: Digest,
}

/// A full copy could not be packed or expanded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FullError {
    /// The bytes do not start as a zstd frame.
    #[error("the full copy does not start with a zstd frame; it is damaged: fetch it again")]
    NotAFrame,
    /// The frame promises another size.
    #[error("the full copy says it holds {found} bytes, expected {expected}; it is damaged: fetch it again")]
    PromisedSize {
        /// Bytes the frame says it holds.
        found: u64,
        /// Bytes it must hold.
        expected: u64,
    },
    /// The frame ends too early, goes on too long or is followed by something.
    #[error("the full copy {what} after {at} bytes of the new file; it is damaged: fetch it again")]
    Frame {
        /// What is wrong.
        what: &'static str,
        /// Bytes of the new file made so far.
        at: u64,
    },
    /// zstd refuses the bytes.
    #[error("the full copy does not unpack: {reason}; it is damaged: fetch it again")]
    Unpack {
        /// What zstd says.
        reason: &'static str,
    },
    /// A number above the caller's limit.
    #[error("{field} is {found}, the limit is {limit}; raise the limit")]
    LimitExceeded {
        /// Which number.
        field: &'static str,
        /// Its value.
        found: u64,
        /// The ceiling.
        limit: u64,
    },
    /// The packed bytes could not be read.
    #[error("failed to read the full copy: {0}")]
    Unreadable(#[source] io::Error),
    /// The new file came out wrong or could not be written.
    #[error(transparent)]
    New(ApplyError),
    /// zstd did not do its work.
    #[error("failed to pack the full copy: {reason}; please report this")]
    Pack {
        /// What zstd says.
        reason: &'static str,
    },
}

impl FullError {
    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::LimitExceeded { .. } => Fault::LimitExceeded,
            Self::Unreadable(_) => Fault::PatchUnreadable,
            Self::New(error) => error.fault(),
            Self::Pack { .. } => Fault::Bug,
            _ => Fault::PatchDamaged,
        }
    }
}

/// Packs `new`.
///
/// # Errors
/// [`FullError::Pack`] if zstd refuses the options or runs out of memory.
#[cfg(feature = "diff")]
pub fn compress(new: &[u8], options: &FullOptions) -> Result<Vec<u8>, FullError> {
    use zstd_safe::{CCtx, CParameter};

    let failed = |code| FullError::Pack { reason: zstd_safe::get_error_name(code) };
    let mut packer = CCtx::try_create().ok_or(FullError::Pack { reason: "no memory for a context" })?;
    for parameter in [
        CParameter::CompressionLevel(options.level),
        CParameter::WindowLog(options.window_log.into()),
        CParameter::ContentSizeFlag(true),
        CParameter::ChecksumFlag(false),
    ] {
        packer.set_parameter(parameter).map_err(failed)?;
    }
    let mut packed = Vec::with_capacity(zstd_safe::compress_bound(new.len()));
    packer.compress2(&mut packed, new).map_err(failed)?;
    packed.shrink_to_fit();
    Ok(packed)
}

/// Unpacks a full copy into `new`, which gets at most `expected.size` bytes. The frame's promises are held against
/// `expected` and `limits` before anything is allocated, the digest is verified before `Ok`.
///
/// # Errors
/// [`FullError`]; what was written by then is worthless.
pub fn expand(
    mut packed: impl Read,
    new: &mut impl Write,
    expected: Expected,
    limits: &Limits,
) -> Result<Applied, FullError> {
    within("new size", expected.size, limits.max_new_size)?;
    let mut input = vec![0; INPUT_BUFFER];
    let mut len = fill(&mut packed, &mut input)?;
    let header = FrameHeader::parse(input.get(..len).unwrap_or_default()).ok_or(FullError::NotAFrame)?;
    match header.content_size {
        Some(size) if size == expected.size => {}
        found => {
            return Err(FullError::PromisedSize { found: found.unwrap_or(0), expected: expected.size });
        }
    }
    within("memory to expand", memory(&header), limits.max_memory)?;
    let window_log = header.window.checked_next_power_of_two().map_or(64, u64::trailing_zeros).max(10);
    within("window log", window_log.into(), limits.max_window_log.into())?;

    let mut decoder = plain_decoder(window_log).map_err(|reason| FullError::Pack { reason })?;
    let mut output = Output::new(new, expected.size);
    let mut start = 0_usize;
    loop {
        let at = output.made();
        let mut overrun = [0];
        let last = output.left() == 0;
        let piece = if last { &mut overrun[..] } else { output.room().map_err(FullError::New)? };
        let mut made = OutBuffer::around(piece);
        let mut rest = InBuffer::around(input.get(start..len).unwrap_or_default());
        let hint = decoder
            .decompress_stream(&mut made, &mut rest)
            .map_err(|code| FullError::Unpack { reason: zstd_safe::get_error_name(code) })?;
        start = start.saturating_add(rest.pos());
        let count = made.pos();
        if last && count > 0 {
            return Err(FullError::Frame { what: "goes on", at });
        }
        output.commit(count);
        if hint == 0 {
            break;
        }
        if start == len && count == 0 {
            (start, len) = (0, fill(&mut packed, &mut input)?);
            if len == 0 {
                return Err(FullError::Frame { what: "ends", at });
            }
        }
    }
    if start < len || fill(&mut packed, &mut input)? > 0 {
        return Err(FullError::Frame { what: "is followed by other bytes", at: output.made() });
    }
    output.finish(expected.digest).map_err(FullError::New)
}

/// Bytes that [`expand`] allocates for the full copy that starts with `packed_prefix` (18 bytes are always enough).
///
/// # Errors
/// [`FullError::NotAFrame`].
pub fn expand_memory(packed_prefix: &[u8]) -> Result<u64, FullError> {
    FrameHeader::parse(packed_prefix).map(|header| memory(&header)).ok_or(FullError::NotAFrame)
}

fn memory(header: &FrameHeader) -> u64 {
    let own = [INPUT_BUFFER, OUTPUT_BUFFER, size_of::<blake3::Hasher>(), frame::MAX_LEN];
    own.into_iter().fold(decoder_memory(header.window), |sum, bytes| sum.saturating_add(bytes as u64))
}

fn within(field: &'static str, found: u64, limit: u64) -> Result<(), FullError> {
    if found > limit { Err(FullError::LimitExceeded { field, found, limit }) } else { Ok(()) }
}

/// Reads until `buf` is full or the source ends.
fn fill(source: &mut impl Read, buf: &mut [u8]) -> Result<usize, FullError> {
    let mut filled = 0_usize;
    while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(len) => filled = filled.saturating_add(len),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FullError::Unreadable(error)),
        }
    }
    Ok(filled)
}
