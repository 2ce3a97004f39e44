//! Go's index of functions by address (`runtime.findfunctab`, Go 1.20 and later): for each 4096 bytes of code the number of
//! the function that they begin in, a word, and for each 256 bytes of them by how much theirs is larger, a byte.
//!
//! A function that grows shifts half of that. But the index follows from where the functions begin, and that from the
//! matches: so it is made from them, and stands behind the old file like the tables that are sorted again. Where functions
//! were added, all numbers behind them are larger by as many, which is what each word's step from the last one's tells.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    correspondence::Correspondence,
    field::{Anchor, Class, Form},
    region::Buckets,
    sweep::Sweep,
};
use crate::{ApplyError, old::OldFile};

/// Bytes of code that a byte of the index is for.
pub(crate) const PART: u64 = 256;
/// Parts that share a word.
const PARTS: u64 = 16;
/// Bytes of a word and its parts.
const STRIDE: usize = 20;
/// Bytes of an entry of the list of functions: where it begins, and where its record does, counted from the list.
pub(crate) const ENTRY: u64 = 8;

impl Buckets {
    /// Bytes of the list of functions, up to the word that says where the last one ends.
    pub(crate) fn list_len(&self) -> u64 {
        u64::from(self.functions).saturating_mul(ENTRY).saturating_add(4)
    }

    /// Bytes of the index.
    pub(crate) fn len(&self) -> u64 {
        let parts = u64::from(self.parts);
        parts.saturating_add(parts.div_ceil(PARTS).saturating_mul(4))
    }

    /// The room that the index and what it is made from take among the tables.
    pub(crate) fn room(&self) -> u64 {
        self.list_len().saturating_add(ENTRY).max(self.len())
    }

    /// Appends the index to `table`.
    pub(crate) fn write(
        &self,
        map: &Correspondence,
        old: &mut OldFile<'_>,
        table: &mut Vec<u8>,
    ) -> Result<(), ApplyError> {
        let mut list = vec![0; usize::try_from(self.list_len()).unwrap_or(0)];
        old.read(&mut list, self.list).map_err(ApplyError::OldUnreadable)?;
        let text = map.find(self.text).address;
        let begin = |entry: &[u8]| {
            let old = self.text.wrapping_add(Form::Unsigned.read(entry));
            map.find(old).address.wrapping_sub(text)
        };
        let mut functions: Vec<u64> = list.chunks_exact(ENTRY as usize).map(begin).collect();
        functions.sort_unstable();
        let mut last = 0_usize;
        let mut word = 0_usize;
        for part in 0..u64::from(self.parts) {
            let address = part.wrapping_mul(PART);
            while functions.get(last.saturating_add(1)).is_some_and(|begin| *begin <= address) {
                last = last.saturating_add(1);
            }
            if part.checked_rem(PARTS) == Some(0) {
                word = last;
                table.extend((word as u32).to_le_bytes());
            }
            table.push(last.wrapping_sub(word) as u8);
        }
        Ok(())
    }
}

/// Finds the words of an index.
pub(crate) fn sweep(sweep: &mut Sweep<'_>) {
    let start = sweep.start();
    let inside = sweep.offset(start).wrapping_sub(sweep.region_start());
    let into = inside.checked_rem(STRIDE as u64).unwrap_or(0) as usize;
    let skip = if into == 0 { 0 } else { STRIDE.wrapping_sub(into) };
    let mut at = start.wrapping_add(skip);
    while at < sweep.end() {
        sweep.find_number(at, Form::Word, Anchor::Step, Class::GO_FUNCTION);
        at = at.wrapping_add(STRIDE);
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;
    use crate::reference::{
        control::Match,
        region::{Layout, Segment},
    };

    fn layout() -> Layout {
        let segment = Segment { offset: 0, len: 20_000, address: 0x1000, memory_len: 20_000, code: true };
        Layout { segments: vec![segment] }
    }

    /// The index of functions that begin so far behind the start of the code, as the runtime reads it: the last function
    /// that begins at or before an address is found from the first one of its part on.
    fn index(functions: &[u64], parts: u32) -> Vec<u8> {
        let first = |part: u32| {
            let address = u64::from(part) * PART;
            functions.iter().filter(|begin| **begin <= address).count().saturating_sub(1) as u32
        };
        let mut index = Vec::new();
        for part in 0..parts {
            if part % 16 == 0 {
                index.extend(first(part).to_le_bytes());
            }
            index.push((first(part) - first(part / 16 * 16)) as u8);
        }
        index
    }

    #[test]
    fn an_index_is_made_from_where_functions_went() {
        let begins: Vec<u64> = (0..60).map(|index| index * index * 4).collect();
        let mut old = vec![0; 20_000];
        for (index, begin) in begins.iter().enumerate() {
            let at = 15_000 + 8 * index;
            old[at..at + 4].copy_from_slice(&(*begin as u32).to_le_bytes());
        }
        let buckets = Buckets { list: 15_000, functions: 60, text: 0x1000, parts: 57 };
        assert_eq!((buckets.list_len(), buckets.len(), buckets.room()), (484, 57 + 16, 492));
        // 1000 bytes were put in front of what lay from 5000 on, and what lay from 9000 on came first.
        let found = |old_offset, new_offset, len| Match { old_offset, new_offset, len };
        let matches =
            [found(0, 0, 2000), found(9000, 2000, 5000), found(2000, 7000, 3000), found(5000, 11_000, 4000)];
        let map = Correspondence::new(&matches, &layout(), &layout());
        let mut made = vec![7];
        buckets.write(&map, &mut OldFile::new(&old), &mut made).unwrap();
        let went = |begin: u64| match begin {
            ..2000 => begin,
            2000..5000 => begin + 5000,
            5000..9000 => begin + 6000,
            _ => begin - 7000,
        };
        let mut new: Vec<u64> = begins.into_iter().map(went).collect();
        new.sort_unstable();
        assert_eq!(made[1..], index(&new, 57));
    }
}
