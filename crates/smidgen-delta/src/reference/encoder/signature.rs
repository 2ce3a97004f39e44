//! The code signature of a Mach-O file (`cs_blobs.h` of XNU): where its list of page digests stands.

use super::{
    super::pages::{DIGEST, MAX_LOG, MAX_PAGES, MIN_LOG, Paging},
    numbers::u32_at,
};

const MACH_O: u32 = 0xFEED_FACF;
const CODE_SIGNATURE: u32 = 0x1D;
const SUPER_BLOB: u32 = 0xFADE_0CC0;
const CODE_DIRECTORY: u32 = 0xFADE_0C02;
/// Kind of digest: SHA-256.
const SHA_256: u8 = 2;

/// A list of digests in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signature {
    /// Offset of the first digest.
    pub(super) offset: u64,
    /// What is digested.
    pub(super) paging: Paging,
}

impl Signature {
    /// Finds the list, if there is one that digests what stands before it.
    pub(super) fn of(file: &[u8]) -> Option<Self> {
        let big = |at| u32_at(file, at).map(u32::swap_bytes);
        if u32_at(file, 0)? != MACH_O {
            return None;
        }
        let mut at = 32;
        for _ in 0..u32_at(file, 16)? {
            if u32_at(file, at)? == CODE_SIGNATURE {
                break;
            }
            at += u64::from(u32_at(file, at + 4)?.max(8));
        }
        let blob = u64::from(u32_at(file, at + 8)?);
        if u32_at(file, at)? != CODE_SIGNATURE || big(blob)? != SUPER_BLOB {
            return None;
        }
        for index in 0..u64::from(big(blob + 8)?) {
            let directory = blob + u64::from(big(blob + 16 + 8 * index)?);
            if big(directory)? != CODE_DIRECTORY {
                continue;
            }
            let offset = directory + u64::from(big(directory + 16)?);
            let (count, end) = (u64::from(big(directory + 28)?), u64::from(big(directory + 32)?));
            let [len, kind, _, log] = big(directory + 36)?.to_be_bytes();
            let paging = Paging { log, end };
            let fits = (MIN_LOG..=MAX_LOG).contains(&log) && u64::from(len) == DIGEST && kind == SHA_256;
            if fits
                && count > 0
                && paging.count() <= MAX_PAGES
                && paging.len() == count * DIGEST
                && end <= offset
                && offset + paging.len() <= file.len() as u64
            {
                return Some(Self { offset, paging });
            }
        }
        None
    }
}
