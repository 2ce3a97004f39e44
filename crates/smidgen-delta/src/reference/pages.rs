//! SHA-256 of the pages of the new file, as a code signature lists them: computed while the file is made, so that it need
//! not be sent.
//!
//! The digests stand behind the old file: a match whose old offset is the old file's size takes the first.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use sha2::{Digest as _, Sha256};

/// Bytes of a digest.
pub(crate) const DIGEST: u64 = 32;

/// The smallest page, as a logarithm.
pub(crate) const MIN_LOG: u8 = 12;
/// The largest.
pub(crate) const MAX_LOG: u8 = 16;

/// The most pages.
pub(crate) const MAX_PAGES: u64 = 1 << 16;

/// Which part of the new file is digested, in pages of which size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Paging {
    /// Logarithm of a page's bytes.
    pub(crate) log: u8,
    /// Bytes that are digested, from the start of the file.
    pub(crate) end: u64,
}

impl Paging {
    fn page(&self) -> u64 {
        1_u64.wrapping_shl(self.log.clamp(MIN_LOG, MAX_LOG).into())
    }

    /// How many pages there are.
    pub(crate) fn count(&self) -> u64 {
        self.end.div_ceil(self.page())
    }

    /// Bytes of all digests.
    pub(crate) fn len(&self) -> u64 {
        self.count().saturating_mul(DIGEST)
    }
}

/// The digests of what was made so far.
pub(crate) struct Pages {
    paging: Option<Paging>,
    made: u64,
    current: Sha256,
    digests: Vec<u8>,
}

impl Pages {
    /// Bytes allocated for a new file of this size.
    pub(crate) fn memory(new_size: u64) -> u64 {
        new_size.wrapping_shr(MIN_LOG.into()).saturating_add(1).min(MAX_PAGES).saturating_mul(DIGEST)
    }

    pub(crate) fn new(paging: Option<Paging>) -> Self {
        let digests = Vec::with_capacity(paging.map_or(0, |paging| paging.len() as usize));
        Self { paging, made: 0, current: Sha256::new(), digests }
    }

    /// Takes note of the next bytes of the new file.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        let Some(paging) = self.paging else {
            return;
        };
        while self.made < paging.end && !bytes.is_empty() {
            let into = self.made & paging.page().saturating_sub(1);
            let left = paging.page().saturating_sub(into).min(paging.end.saturating_sub(self.made));
            let (now, later) =
                bytes.split_at_checked(usize::try_from(left).unwrap_or(usize::MAX)).unwrap_or((bytes, &[]));
            self.current.update(now);
            self.made = self.made.saturating_add(now.len() as u64);
            if now.len() as u64 == left {
                self.digests.extend_from_slice(&self.current.finalize_reset());
            }
            bytes = later;
        }
    }

    /// Fills `out` with the digests from byte `offset` of them on; those that are not known yet are zeros.
    pub(crate) fn read(&self, out: &mut [u8], offset: u64) {
        let known =
            usize::try_from(offset).ok().and_then(|offset| self.digests.get(offset..)).unwrap_or_default();
        for (index, byte) in out.iter_mut().enumerate() {
            *byte = known.get(index).copied().unwrap_or(0);
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;

    #[test]
    fn pages_are_digested_however_the_bytes_arrive() {
        let file: Vec<u8> = (0..20_000_u32).map(|byte| ((byte * byte) >> 7) as u8).collect();
        let paging = Paging { log: 12, end: 9000 };
        assert_eq!(paging.len(), 96);
        for piece in [1, 100, 4096, 5000, 20_000] {
            let mut pages = Pages::new(Some(paging));
            file.chunks(piece).for_each(|bytes| pages.update(bytes));
            let mut digests = [1; 100];
            pages.read(&mut digests, 0);
            let expected = [&file[..4096], &file[4096..8192], &file[8192..9000]].map(Sha256::digest).concat();
            assert_eq!(digests[..96], expected);
            assert_eq!(digests[96..], [0; 4]);
        }
    }
}
