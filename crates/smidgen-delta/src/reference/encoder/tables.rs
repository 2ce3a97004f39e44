//! Matches of sorted tables, record by record.
//!
//! What the decoder makes of an old table and the new one are both in the order of the addresses that their first fields hold, so
//! that records with the same address are found by going through both once. The search for pieces that agree is lost there: all
//! records look alike, and so it stays for long with what is not their own.

use std::cmp::Ordering;

use super::super::{
    control::Match,
    field::Form,
    region::{Holds, RecordField, Region, Rule},
};

/// So many records that differ are cheaper in a match than between two.
const GAP: usize = 4;

/// A sorted table.
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    stride: usize,
    /// What its records are ordered by.
    key: RecordField,
}

/// Records that follow each other in both tables.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    old: usize,
    new: usize,
    count: usize,
}

impl<'a> Table<'a> {
    /// The table that a region is, whose bytes are given, if it is sorted.
    pub(super) fn of(region: &Region, bytes: &'a [u8]) -> Option<Self> {
        match &region.rule {
            Rule::Sorted { stride, fields } => {
                Some(Self { bytes, stride: *stride as usize, key: *fields.first()? })
            }
            _ => None,
        }
    }

    /// The keys in order. Zeros at the end are no records.
    fn keys(&self) -> Vec<i64> {
        let form = match self.key.holds {
            Holds::Address => Form::Long,
            Holds::From(_) => Form::Unsigned,
            Holds::Around(_) | Holds::Here => Form::Word,
        };
        let records = self.bytes.chunks_exact(self.stride);
        let last = records.clone().rposition(|record| record.iter().any(|byte| *byte != 0));
        let key = |record: &[u8]| form.referent(form.read(&record[self.key.at as usize..]), 0).cast_signed();
        records.take(last.map_or(0, |last| last + 1)).map(key).collect()
    }

    /// The matches of this table, the new one, with what became of an old one; both count from their first bytes. `None` if
    /// they are of less than half of it: then the pieces that agree say more.
    pub(super) fn matches(&self, old: &Table<'_>) -> Option<Vec<Match>> {
        if self.stride != old.stride {
            return None;
        }
        let bytes = |records: usize| (records * self.stride) as u64;
        let found = |run: Run| Match {
            old_offset: bytes(run.old),
            new_offset: bytes(run.new),
            len: bytes(run.count),
        };
        let matches: Vec<Match> = runs(&old.keys(), &self.keys()).into_iter().map(found).collect();
        let covered: u64 = matches.iter().map(|found| found.len).sum();
        (2 * covered >= self.bytes.len() as u64).then_some(matches)
    }
}

/// The runs of records with equal keys, among which there may be a few others, as many in both.
fn runs(old: &[i64], new: &[i64]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut at_old, mut at_new) = (0, 0);
    while let (Some(old), Some(new)) = (old.get(at_old), new.get(at_new)) {
        match old.cmp(new) {
            Ordering::Less => at_old += 1,
            Ordering::Greater => at_new += 1,
            Ordering::Equal => {
                let goes_on = |run: &&mut Run| {
                    let (after_old, after_new) = (at_old - run.old, at_new - run.new);
                    after_old == after_new && after_new - run.count <= GAP
                };
                match runs.last_mut().filter(goes_on) {
                    Some(run) => run.count = at_new - run.new + 1,
                    None => runs.push(Run { old: at_old, new: at_new, count: 1 }),
                }
                (at_old, at_new) = (at_old + 1, at_new + 1);
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(holds: Holds) -> Region {
        let fields = vec![RecordField { at: 4, holds }];
        Region { start: 0, len: 80, rule: Rule::Sorted { stride: 8, fields } }
    }

    fn table(keys: &[i32]) -> Vec<u8> {
        keys.iter().flat_map(|key| [7_u32.to_le_bytes(), key.to_le_bytes()].concat()).collect()
    }

    #[test]
    fn records_with_equal_keys_are_runs_across_a_few_others() {
        let run = |old, new, count| Run { old, new, count };
        // One record came, one went, one changed its key; then more than a few did.
        let old = [1, 2, 3, 4, 5, 6, 20, 21, 22, 23, 24, 40, 41];
        let new = [1, 2, 9, 10, 11, 12, 20, 21, 22, 23, 24, 40, 41];
        assert_eq!(runs(&old, &new), [run(0, 0, 13)]);
        let new = [1, 2, 3, 7, 8, 9, 10, 11, 22, 23, 24, 40, 41];
        assert_eq!(runs(&old, &new), [run(0, 0, 3), run(8, 8, 5)]);
        assert_eq!(runs(&[1, 3, 4, 6], &[1, 2, 3, 4, 5]), [run(0, 0, 1), run(1, 2, 2)]);
        assert_eq!(runs(&[], &[1]), []);
    }

    #[test]
    fn tables_are_matched_where_half_of_them_agrees() {
        let found = |old_offset, new_offset, len| Match { old_offset, new_offset, len };
        let signed = region(Holds::Around(0));
        let matches = |region: &Region, old: &[i32], new: &[i32]| {
            let (old, new) = (table(old), [table(new), vec![0; 5]].concat());
            Table::of(region, &new).unwrap().matches(&Table::of(region, &old).unwrap())
        };
        let expected = vec![found(8, 0, 16), found(24, 24, 8)];
        assert_eq!(matches(&signed, &[-9, -5, 1, 3], &[-5, 1, 2, 3]), Some(expected));
        assert_eq!(matches(&signed, &[-9, -5, 1, 3], &[-5, 4, 5, 6]), None);
        // As unsigned numbers these are in another order.
        let unsigned = region(Holds::From(0));
        assert_eq!(matches(&unsigned, &[1, 3, -9, -5], &[1, 3, -8, -5]), Some(vec![found(0, 0, 32)]));
        let other = Region { rule: Rule::Sorted { stride: 12, fields: Vec::new() }, ..signed.clone() };
        assert!(Table::of(&other, &[]).is_none());
        assert!(Table::of(&Region { rule: Rule::Unwinding, ..signed }, &[]).is_none());
    }

    #[test]
    fn zeros_behind_the_records_are_none() {
        let bytes = [table(&[-3, 4]), vec![0; 24]].concat();
        assert_eq!(Table::of(&region(Holds::Around(0)), &bytes).unwrap().keys(), [-3, 4]);
    }
}
