//! Trust as a type.

use std::ops::Deref;

/// A value that follows from metadata whose signatures were checked. Only this crate can make one.
///
/// ```compile_fail,E0451
/// let forged = smidgen_metadata::Verified { value: 1 };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
}

impl<T> Verified<T> {
    /// Called where signatures have just been checked, and where a value is derived from one that was.
    pub(crate) fn vouch(value: T) -> Self {
        Self { value }
    }

    /// The value, without the proof.
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
