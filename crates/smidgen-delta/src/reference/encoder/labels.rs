//! Labels: each reference replaced by a digest of what it refers to, so that code that only moved looks the same.
//!
//! A reference looks the same in both files when what it refers to looks the same, references in it included: labels
//! are computed from labels, a few times over (the idea of Weisfeiler and Lehman).

use super::{
    super::{
        control::Match,
        correspondence::Correspondence,
        field::{Anchor, Reference},
    },
    File,
};

/// How many times labels are computed from labels.
const ROUNDS: usize = 3;

/// Bytes of a referent that its label is computed from.
const REACH: usize = 24;

/// A label for what has no bytes in the file.
const NOTHING: u64 = 7;

/// A file with labels in place of references.
pub(super) struct Labels {
    file: Vec<u8>,
}

impl Labels {
    /// Labels by content.
    pub(super) fn by_content(file: &File<'_>) -> Self {
        let mut labelled = Self { file: file.bytes.to_vec() };
        let mut labels = vec![0; file.references.len()];
        for round in 0..=ROUNDS {
            if round > 0 {
                for (label, reference) in labels.iter_mut().zip(&file.references) {
                    *label = labelled.content(file, reference);
                }
            }
            for (label, reference) in labels.iter().zip(&file.references) {
                put(&mut labelled.file, reference, *label);
            }
        }
        labelled
    }

    fn content(&self, file: &File<'_>, reference: &Reference) -> u64 {
        if is_number(reference) {
            return 0;
        }
        match file.image.layout.offset(reference.referent) {
            Some(at) => {
                let rest = &self.file[(at as usize).min(self.file.len())..];
                digest(&rest[..REACH.min(rest.len())])
            }
            None => NOTHING,
        }
    }

    /// The labelled file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.file
    }

    /// The old file, labelled by where referents went: equal labels mean that a prediction will be right.
    pub(super) fn moved(self, old: &File<'_>, map: &Correspondence) -> Vec<u8> {
        let mut moved = old.bytes.to_vec();
        for reference in &old.references {
            let found = map.find(reference.referent);
            let is_known = found.outside == 0 && !is_number(reference);
            let label = if is_known { mix(found.address) } else { self.content(old, reference) };
            put(&mut moved, reference, label);
        }
        moved
    }

    /// The new file, labelled in the same way: by address where a match leads, by content elsewhere.
    pub(super) fn covered(self, new: &File<'_>, matches: &[Match]) -> Vec<u8> {
        let mut covered = new.bytes.to_vec();
        for reference in &new.references {
            let is_known = !is_number(reference)
                && new.image.layout.offset(reference.referent).is_some_and(|at| {
                    let next = matches.partition_point(|found| found.new_offset <= at);
                    next.checked_sub(1).is_some_and(|index| at < matches[index].new_end())
                });
            let label = if is_known { mix(reference.referent) } else { self.content(new, reference) };
            put(&mut covered, reference, label);
        }
        covered
    }
}

/// Displacements stay as they are: they move seldom and say much. Line numbers are masked.
fn is_number(reference: &Reference) -> bool {
    matches!(reference.anchor, Anchor::Step | Anchor::Offset)
}

fn put(file: &mut [u8], reference: &Reference, label: u64) {
    let at = reference.offset as usize;
    if reference.anchor != Anchor::Offset
        && let Some(field) = file.get_mut(at..at + reference.form.len())
    {
        reference.form.write(field, label & reference.form.mask());
    }
}

fn mix(mut number: u64) -> u64 {
    number ^= number >> 32;
    number = number.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    number ^ number >> 32
}

fn digest(bytes: &[u8]) -> u64 {
    let mut digest = 0x1357_9BDF_u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        digest = mix(digest ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    mix(digest)
}
