//! Lists in blocks (PE's base relocations): for each page of 4 KiB its address, the bytes of the block, and 16 bits for
//! each place in it: four say what stands there, which is always an address of 64 bits here, the others where. A
//! block has a multiple of four bytes.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Entry, table::Table, word};

/// "An address of 64 bits stands there."
const LONG: u16 = 10 << 12;
/// Bits that tell places of a page apart.
const PLACE: u32 = 0xFFF;
/// Bytes in front of the places of a block.
const HEAD: usize = 8;

/// The most addresses that so many bytes hold.
pub(super) fn most(len: u64) -> u64 {
    len.wrapping_div(2)
}

/// The addresses, up to where the list ends or cannot be read. What is no 64-bit address is left out.
pub(super) fn unpack(mut bytes: &[u8]) -> Vec<u32> {
    let mut addresses = Vec::new();
    while let (Some(page), Some(len)) = (word(bytes, 0), word(bytes, 4)) {
        let Some((block, rest)) =
            bytes.split_at_checked(len as usize).filter(|(block, _)| block.len() >= HEAD)
        else {
            break;
        };
        bytes = rest;
        for place in block.get(HEAD..).unwrap_or_default().as_chunks().0 {
            let place = u16::from_le_bytes(*place);
            if place & !(PLACE as u16) == LONG {
                addresses.push(page.wrapping_add(u32::from(place) & PLACE));
            }
        }
    }
    addresses
}

/// Appends the list of these addresses.
pub(super) fn pack(entries: &[Entry], table: &mut Table) {
    for block in entries.chunk_by(|one, other| one.address & !PLACE == other.address & !PLACE) {
        if table.is_full() {
            break;
        }
        let page = block.first().map_or(0, |entry| entry.address & !PLACE);
        let its_len = block.len().saturating_mul(2).saturating_add(HEAD).next_multiple_of(4);
        table.put_words(&[page, its_len as u32]);
        for entry in block {
            table.put(&(LONG | (entry.address & PLACE) as u16).to_le_bytes());
        }
        if block.len() & 1 == 1 {
            table.put(&[0; 2]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with two places, and one with one and a filler.
    const TABLE: [u8; 24] =
        [0, 0x10, 0, 0, 12, 0, 0, 0, 8, 0xA0, 0xF8, 0xAF, 0, 0x30, 0, 0, 12, 0, 0, 0, 4, 0xA0, 0, 0];
    const ADDRESSES: [u32; 3] = [0x1008, 0x1FF8, 0x3004];

    #[test]
    fn pages_have_a_block_each() {
        let entries = ADDRESSES.map(|address| Entry { address, ..Entry::default() });
        let packed = |len| {
            let mut table = Table::new(len);
            pack(&entries, &mut table);
            table.finish()
        };
        assert_eq!(packed(24), TABLE);
        assert_eq!([packed(9), packed(13)], [&TABLE[..9], &TABLE[..13]]);
        assert_eq!(unpack(&TABLE), ADDRESSES);
    }

    #[test]
    fn a_list_ends_where_a_block_cannot_be() {
        assert_eq!(unpack(&TABLE[..23]), ADDRESSES[..2]);
        let short = [&TABLE[..12], &[0, 0x30, 0, 0, 7, 0, 0, 0]].concat();
        assert_eq!(unpack(&short), ADDRESSES[..2]);
        // Half of an address is none.
        let mut halves = TABLE;
        halves[9] = 0x10;
        assert_eq!(unpack(&halves), ADDRESSES[1..]);
    }
}
