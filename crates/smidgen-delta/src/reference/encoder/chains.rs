//! The chains that Mach-O's pointers form (`mach-o/fixup-chains.h`): where they start, page by page, and so where they
//! lead.

use super::{
    super::region::{Rule, Segment},
    numbers::{u16_at, u32_at, u64_at},
};

/// Kinds of pointer: 64 bits that hold an address, or count from the start of the image.
mod kind {
    pub(super) const ADDRESS: u16 = 2;
    pub(super) const OFFSET: u16 = 6;
}

/// In place of a start: the page has no pointers.
const NONE: u16 = 0xFFFF;
/// Bytes that the unit of a link stands for.
const UNIT: u64 = 4;

/// The chains of one segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chains {
    /// Address that the pointers count from, if they do.
    base: Option<u64>,
    /// File offsets of the pointers, in order.
    places: Vec<u64>,
}

impl Chains {
    /// The rule for a range of the file, if some of these pointers lie in it.
    pub(super) fn rule(&self, start: u64, len: u64) -> Option<Rule> {
        let next = self.places.partition_point(|place| *place < start);
        let is_inside = self.places.get(next).is_some_and(|place| place - start < len);
        is_inside.then_some(Rule::Chained { base: self.base })
    }
}

/// Follows the chains that the table at `table` tells of. `segments` are all that the file lists, in its order. What cannot
/// be is left out.
pub(super) fn read(file: &[u8], table: u64, segments: &[Segment]) -> Vec<Chains> {
    let base = segments.iter().find(|segment| segment.len > 0).map_or(0, |segment| segment.address);
    // More pointers than there is room for are the same ones again.
    let mut left = file.len() as u64 / UNIT;
    let of = |(index, segment): (usize, &Segment)| {
        let starts = table.checked_add(u32_at(file, table.checked_add(4)?)?.into())?;
        if index as u64 >= u32_at(file, starts)?.into() {
            return None;
        }
        let skip = u32_at(file, starts.checked_add(UNIT * (1 + index as u64))?)?;
        if skip == 0 {
            return None;
        }
        follow(file, starts.checked_add(skip.into())?, segment, base, &mut left)
    };
    segments.iter().enumerate().filter_map(of).collect()
}

/// Follows the chains of the segment whose starts are listed at `starts`.
fn follow(file: &[u8], starts: u64, segment: &Segment, base: u64, left: &mut u64) -> Option<Chains> {
    let page_size = u64::from(u16_at(file, starts.checked_add(4)?)?);
    let base = match u16_at(file, starts + 6)? {
        kind::ADDRESS => None,
        kind::OFFSET => Some(base),
        _ => return None,
    };
    let mut places = Vec::new();
    for page in 0..u64::from(u16_at(file, starts.checked_add(20)?)?) {
        let mut inside = match u16_at(file, starts.checked_add(22 + 2 * page)?)? {
            NONE => continue,
            start => u64::from(start),
        };
        while inside < page_size && *left > 0 {
            *left -= 1;
            let at = segment.offset.checked_add(page * page_size + inside)?;
            let word = u64_at(file, at)?;
            places.push(at);
            match word >> 51 & 0xFFF {
                0 => break,
                next => inside += UNIT * next,
            }
        }
    }
    Some(Chains { base, places })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts little-endian halves of words there.
    fn put(file: &mut [u8], at: usize, halves: &[u16]) {
        for (index, half) in halves.iter().enumerate() {
            file[at + 2 * index..][..2].copy_from_slice(&half.to_le_bytes());
        }
    }

    /// A table, and at 256 the second of two segments, with pages of 64 bytes: a chain of three pointers, none, one that
    /// leads out of its page.
    fn file(kind: u16) -> Vec<u8> {
        let mut file = vec![0; 512];
        put(&mut file, 4, &[16, 0]);
        put(&mut file, 16, &[2, 0, 0, 0, 16, 0]);
        put(&mut file, 32 + 4, &[64, kind]);
        put(&mut file, 32 + 20, &[3, 8, NONE, 48]);
        for (at, next) in [(264, 4_u64), (280, 2), (288, 0), (432, 200)] {
            file[at..at + 8].copy_from_slice(&(next << 51 | 1).to_le_bytes());
        }
        file
    }

    fn read(file: &[u8]) -> Vec<Chains> {
        let segment = |offset, address| Segment { offset, len: 256, address, memory_len: 256, code: false };
        super::read(file, 0, &[segment(0, 0x1000), segment(256, 0x2000)])
    }

    #[test]
    fn chains_are_followed_page_by_page() {
        let places = || vec![264, 280, 288, 432];
        assert_eq!(read(&file(kind::OFFSET)), [Chains { base: Some(0x1000), places: places() }]);
        let chains = read(&file(kind::ADDRESS));
        assert_eq!(chains, [Chains { base: None, places: places() }]);
        assert_eq!(read(&file(1)), []);
        let rule = Some(Rule::Chained { base: None });
        assert_eq!(chains[0].rule(200, 65), rule);
        assert_eq!(chains[0].rule(432, 1), rule);
        assert_eq!(chains[0].rule(200, 64), None);
        assert_eq!(chains[0].rule(433, 79), None);
    }

    #[test]
    fn tables_that_lie_yield_what_can_be() {
        for at in 0..64 {
            for lie in [0, 1, 0x7FFF, 0xFFFF] {
                let mut file = file(kind::OFFSET);
                put(&mut file, at, &[lie]);
                let chains = read(&file);
                assert!(chains.iter().flat_map(|chains| &chains.places).all(|place| place + 8 <= 512));
            }
        }
        for len in 0..512 {
            read(&file(kind::OFFSET)[..len]);
        }
        // Many starts for the same few pointers.
        let mut file = file(kind::OFFSET);
        put(&mut file, 32 + 4, &[1]);
        put(&mut file, 32 + 20, &[200]);
        let places: usize = read(&file).iter().map(|chains| chains.places.len()).sum();
        assert!(places <= 128, "{places}");
    }
}
