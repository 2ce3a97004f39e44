//! Lists of starts (Mach-O's `LC_FUNCTION_STARTS`): each address as its distance from the one before, seven bits a byte,
//! lowest first; a zero ends the list, and more of them fill it up to a multiple of eight.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Entry, table::Table};

/// The most addresses that so many bytes hold.
pub(super) fn most(len: u64) -> u64 {
    len
}

/// The addresses, up to where the list ends or cannot be read.
pub(super) fn unpack(bytes: &[u8]) -> Vec<u32> {
    let mut addresses = Vec::new();
    let (mut address, mut distance, mut shift) = (0_u64, 0_u64, 0_u32);
    for byte in bytes {
        distance |= u64::from(byte & 0x7F).wrapping_shl(shift);
        shift = shift.saturating_add(7);
        if *byte < 0x80 {
            address = address.saturating_add(distance);
            match u32::try_from(address) {
                Ok(address) if distance > 0 => addresses.push(address),
                _ => break,
            }
            (distance, shift) = (0, 0);
        } else if shift > 28 {
            break;
        }
    }
    addresses
}

/// Appends the list of these addresses.
pub(super) fn pack(entries: &[Entry], table: &mut Table) {
    let mut last = 0;
    for entry in entries {
        if table.is_full() {
            break;
        }
        let mut distance = entry.address.wrapping_sub(last);
        last = entry.address;
        while distance >= 0x80 {
            table.put(&[distance as u8 | 0x80]);
            distance >>= 7;
        }
        table.put(&[distance as u8]);
    }
    table.put(&[0]);
    table.fill(table.len().next_multiple_of(8));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(addresses: &[u32]) -> Vec<Entry> {
        addresses.iter().map(|address| Entry { address: *address, ..Entry::default() }).collect()
    }

    #[test]
    fn addresses_are_distances_of_seven_bits_a_byte() {
        let addresses = [0xC00, 0xC7F, 0xCFF, 0x10_0CFF];
        let table = [0x80, 0x18, 0x7F, 0x80, 0x01, 0x80, 0x80, 0x40, 0, 0, 0, 0, 0, 0, 0, 0];
        let packed = |len| {
            let mut table = Table::new(len);
            pack(&entries(&addresses), &mut table);
            table.finish()
        };
        assert_eq!([packed(16), packed(5)], [&table[..], &table[..5]]);
        assert_eq!(unpack(&table), addresses);
    }

    #[test]
    fn a_list_ends_with_a_zero_or_where_it_cannot_go_on() {
        assert_eq!(unpack(&[4, 0, 4]), [4]);
        assert_eq!(unpack(&[4, 0x80]), [4]);
        assert_eq!(unpack(&[4, 0xFB, 0xFF, 0xFF, 0xFF, 0x0F, 1]), [4, u32::MAX]);
        assert_eq!(unpack(&[4, 0xFC, 0xFF, 0xFF, 0xFF, 0x0F, 1]), [4]);
        assert_eq!(unpack(&[4, 0x81, 0x80, 0x80, 0x80, 0x80, 0, 1]), [4]);
    }
}
