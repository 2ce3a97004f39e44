//! Whose fault a failure is, so that a caller can branch without knowing every error.

/// What went wrong, by what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The patch or full copy contradicts itself or its promise: fetch it again.
    PatchDamaged,
    /// The patch needs a newer program: update by full copy.
    PatchUnsupported,
    /// The patch could not be read.
    PatchUnreadable,
    /// The old file is not the one the patch was made for: take another patch or the full copy.
    OldDiffers,
    /// The old file could not be read.
    OldUnreadable,
    /// The new file could not be written.
    OutputFailed,
    /// A number is above the caller's [`Limits`](crate::Limits), or beyond what the method can take.
    LimitExceeded,
    /// Ours: please report it.
    Bug,
}
