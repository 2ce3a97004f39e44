//! What a patch may ask for: a ceiling on every number that decides memory, output or work.

/// Ceilings for parsing and applying patches and for expanding full copies. A number above its ceiling is refused
/// before anything is allocated for it.
///
/// Work is bounded too, without a ceiling of its own: decoding touches each raw byte of each section once, and the
/// sections of a patch may not hold more than [`RAW_PER_NEW_BYTE`](crate::RAW_PER_NEW_BYTE) times the new size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the old file. Default 16 GiB.
    pub max_old_size: u64,
    /// Bytes of the new file. Default 16 GiB.
    pub max_new_size: u64,
    /// Logarithm of the zstd window. Default 27 (128 MiB), which the memory ceiling usually undercuts.
    pub max_window_log: u8,
    /// Sections of a patch. Default 16.
    pub max_sections: u8,
    /// Raw bytes of one section. Default 32 GiB.
    pub max_section_raw: u64,
    /// Bytes that applying or expanding may allocate, as computed by
    /// [`Header::apply_memory`](crate::Header::apply_memory) and [`full::expand_memory`](crate::full::expand_memory).
    /// Default 160 MiB: a full copy with a window of 128 MiB just fits.
    pub max_memory: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self {
            max_old_size: 16 * GIB,
            max_new_size: 16 * GIB,
            max_window_log: 27,
            max_sections: 16,
            max_section_raw: 32 * GIB,
            max_memory: 160 << 20,
        }
    }
}
