//! What a patch consists of, counted.

/// The contents of a patch's sections. Packed and raw sizes of each section stand in
/// [`Header::sections`](crate::Header::sections).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// Controls: one add part, one extra part, one seek each.
    pub controls: u64,
    /// Bytes of the add parts that are taken over from the old file unchanged.
    pub add_zero: u64,
    /// Bytes of the add parts that are taken over with a difference.
    pub add_non_zero: u64,
    /// Bytes of the extra parts: sent, not derived from the old file.
    pub extra: u64,
    /// Seeks that go back in the old file.
    pub seeks_back: u64,
    /// Seeks that go forward.
    pub seeks_forward: u64,
    /// Bytes moved over by all seeks together.
    pub seek_distance: u64,
}

impl Inspection {
    pub(crate) fn count_seek(&mut self, seek: i64) {
        self.seeks_back += u64::from(seek < 0);
        self.seeks_forward += u64::from(seek > 0);
        self.seek_distance = self.seek_distance.saturating_add(seek.unsigned_abs());
    }
}
