//! Lists of bitmaps (ELF's RELR): a word of 64 bits is an even address, or has its lowest bit set and says by each other
//! whether it is one of the 63 places of eight bytes behind those spoken of that is meant.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Entry, table::Table};

/// Bytes of a place and of a word.
const WORD: u64 = 8;
/// Places that a bitmap speaks of.
const PLACES: u64 = 63;

/// The most addresses that so many bytes hold.
pub(super) fn most(len: u64) -> u64 {
    len.wrapping_div(WORD).saturating_mul(PLACES)
}

/// The addresses, as distances from `base`, up to one that does not ascend.
pub(super) fn unpack(bytes: &[u8], base: u64) -> Vec<u32> {
    let mut addresses: Vec<u32> = Vec::new();
    let mut next = 0_u64;
    for word in bytes.as_chunks().0 {
        let word = u64::from_le_bytes(*word);
        let (first, bits) = if word & 1 == 0 { (word, 1) } else { (next, word >> 1) };
        for place in (0..PLACES).filter(|place| bits >> place & 1 == 1) {
            let address = first.wrapping_add(place.wrapping_mul(WORD)).wrapping_sub(base);
            match u32::try_from(address) {
                Ok(address) if addresses.last().is_none_or(|last| *last < address) => addresses.push(address),
                _ => return addresses,
            }
        }
        let spoken_of = if word & 1 == 0 { WORD } else { PLACES * WORD };
        next = first.wrapping_add(spoken_of);
    }
    addresses
}

/// Appends the list of these addresses, which count from `base`.
pub(super) fn pack(entries: &[Entry], base: u64, table: &mut Table) {
    let mut addresses = entries.iter().map(|entry| base.wrapping_add(entry.address.into())).peekable();
    while let Some(first) = addresses.next() {
        if table.is_full() {
            break;
        }
        table.put(&(first & !1).to_le_bytes());
        let mut next = first.wrapping_add(WORD);
        loop {
            let mut bits = 0_u64;
            while let Some(place) = addresses.peek().and_then(|address| place(*address, next)) {
                bits |= 1 << place;
                addresses.next();
            }
            if bits == 0 || table.is_full() {
                break;
            }
            table.put(&(bits << 1 | 1).to_le_bytes());
            next = next.wrapping_add(PLACES * WORD);
        }
    }
}

/// The place of an address among the 63 from `next` on.
fn place(address: u64, next: u64) -> Option<u64> {
    let distance = address.wrapping_sub(next);
    (distance < PLACES * WORD && distance & (WORD - 1) == 0).then_some(distance / WORD)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;

    fn bytes(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn a_word_is_an_address_or_speaks_of_63_places() {
        let addresses = [0x100, 0x108, 0x118, 0x108 + 63 * 8, 0x108 + 2 * 63 * 8, 0x108 + 4 * 63 * 8];
        let entries = addresses.map(|address| Entry { address, ..Entry::default() });
        let last = u64::from(0x108_u32 + 4 * 63 * 8);
        let table = bytes(&[0x40_0100, 0b1011, 0b11, 0b11, 0x40_0000 + last]);
        let packed = |len| {
            let mut table = Table::new(len);
            pack(&entries, 0x40_0000, &mut table);
            table.finish()
        };
        assert_eq!(packed(40), table);
        assert_eq!([packed(31), packed(48)], [&table[..31], &table]);
        assert_eq!(unpack(&table, 0x40_0000), addresses);
    }

    /// Once the length was looked at in front of words that are addresses only, and a list of bitmaps took 63 times its room.
    #[test]
    fn bitmaps_take_no_more_than_their_room() {
        let entries: Vec<Entry> =
            (0..630).map(|index| Entry { address: 504 * index, ..Entry::default() }).collect();
        let mut table = Table::new(80);
        pack(&entries, 0, &mut table);
        assert!(table.is_full());
        assert_eq!(unpack(&table.finish(), 0).len(), 10);
    }

    #[test]
    fn a_list_ends_where_addresses_do_not_ascend() {
        assert_eq!(unpack(&bytes(&[0x110, 0b11, 0x110, 0x200]), 0x100), [0x10, 0x18]);
        assert_eq!(unpack(&bytes(&[0x110, 0x80]), 0x100), [0x10]);
        assert_eq!(unpack(&bytes(&[0x110, 0x1_0000_0100]), 0x100), [0x10]);
    }
}
