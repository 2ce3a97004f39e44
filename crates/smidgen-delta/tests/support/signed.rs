//! Code signatures of Mach-O files.

use sha2::{Digest as _, Sha256};

/// A Mach-O file with a code signature behind it: digests of its pages. There must be room for one more load command.
pub(crate) fn signed(mut file: Vec<u8>) -> Vec<u8> {
    file.resize(file.len().next_multiple_of(16), 0);
    let blob = file.len();
    let commands = u32::from_le_bytes(file[20..24].try_into().unwrap()) as usize;
    file[16] += 1;
    file[20..24].copy_from_slice(&(commands as u32 + 16).to_le_bytes());
    let command = [0x1D_u32, 16, blob as u32, 0].map(u32::to_le_bytes).concat();
    file[32 + commands..][..16].copy_from_slice(&command);
    let digests: Vec<_> = file.chunks(4096).flat_map(Sha256::digest).collect();
    let pages = digests.len() as u32 / 32;
    // A super blob of one code directory: a head of 44 bytes and the digests. What nobody reads here is 0.
    let end = blob as u32;
    let blob = [0xFADE_0CC0, 0, 1, 0, 20];
    let directory = [0xFADE_0C02, 0, 0x2_0400, 0, 44, 0, 0, pages, end, 0x2002_000C, 0];
    file.extend(blob.into_iter().chain(directory).flat_map(u32::to_be_bytes));
    file.extend(digests);
    file
}
