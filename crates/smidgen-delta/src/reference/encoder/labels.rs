//! Labels: each reference replaced by a digest of what it refers to, so that code that only moved looks the same.
//!
//! A reference looks the same in both files when what it refers to looks the same, references in it included: labels
//! are computed from labels, a few times over (the idea of Weisfeiler and Lehman).

use std::{num::NonZeroUsize, ops::Range};

use super::{
    super::{
        control::Match,
        correspondence::Correspondence,
        field::{Anchor, Form, Reference},
        finder::Finder,
        sweep::STRETCH,
    },
    image::Image,
    text::Text,
};
use crate::{ApplyError, diff::jobs, old::OldFile};

/// How many times labels are computed from labels.
const ROUNDS: usize = 3;

/// Bytes of a referent that its label is computed from.
const REACH: usize = 24;

/// A label for what has no bytes in the file.
const NOTHING: u32 = 7;

/// The most pieces that references are found in.
const PIECES: usize = 32;

/// References that are labelled as one piece of work.
const BATCH: usize = 1 << 16;

/// A file, and what it is.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) image: &'a Image,
}

/// What labelling needs of a reference.
#[derive(Clone, Copy)]
struct Place {
    offset: u32,
    /// Offset of what it refers to, or [`NO_BYTES`].
    referent: u32,
    form: Form,
}

const NO_BYTES: u32 = u32::MAX;

impl File<'_> {
    /// Labels by content.
    pub(super) fn by_content(&self, threads: NonZeroUsize) -> Result<Text, ApplyError> {
        let found = jobs::run(&self.pieces(), threads, |piece| {
            let mut places = Vec::new();
            self.find(piece.clone(), |reference| {
                // Line numbers lead nowhere: they are masked.
                let is_address = reference.anchor != Anchor::Step;
                let referent = self.image.layout.offset(reference.referent).filter(|_| is_address);
                let referent = referent.map_or(NO_BYTES, |at| at as u32);
                places.push(Place { offset: reference.offset as u32, referent, form: reference.form });
            })?;
            Ok(places)
        });
        let places = found.into_iter().collect::<Result<Vec<_>, ApplyError>>()?.concat();
        let mut text = self.bytes.to_vec();
        for place in &places {
            put(&mut text, place.offset, place.form, 0);
        }
        let batches: Vec<&[Place]> = places.chunks(BATCH).collect();
        for _ in 0..ROUNDS {
            let labels = jobs::run(&batches, threads, |batch| {
                batch.iter().map(|place| content(&text, place.referent)).collect::<Vec<u32>>()
            });
            for (place, label) in places.iter().zip(labels.into_iter().flatten()) {
                put(&mut text, place.offset, place.form, mix(label.into()));
            }
        }
        Ok(Text::new(text, self.image))
    }

    /// No labels.
    pub(super) fn as_it_is(&self) -> Text {
        Text::new(self.bytes.to_vec(), self.image)
    }

    /// The old file, labelled by where referents went: equal labels mean that a prediction will be right. `by_content`
    /// labels what no match speaks of.
    pub(super) fn moved(
        &self,
        by_content: &Text,
        map: &Correspondence,
        threads: NonZeroUsize,
    ) -> Result<Text, ApplyError> {
        self.label(by_content, threads, |reference| {
            let found = map.find(reference.referent);
            (found.outside == 0).then_some(found.address)
        })
    }

    /// The new file, labelled in the same way: by address where a match leads, by content elsewhere.
    pub(super) fn covered(
        &self,
        by_content: &Text,
        matches: &[Match],
        threads: NonZeroUsize,
    ) -> Result<Text, ApplyError> {
        self.label(by_content, threads, |reference| {
            let at = self.image.layout.offset(reference.referent)?;
            let next = matches.partition_point(|found| found.new_offset <= at);
            let is_covered = next.checked_sub(1).is_some_and(|index| at < matches[index].new_end());
            is_covered.then_some(reference.referent)
        })
    }

    /// Labels all references by the addresses that are known of them.
    fn label(
        &self,
        by_content: &Text,
        threads: NonZeroUsize,
        known: impl Fn(&Reference) -> Option<u64> + Sync,
    ) -> Result<Text, ApplyError> {
        let mut text = self.bytes.to_vec();
        let mut rest = text.as_mut_slice();
        let mut pieces = Vec::new();
        for piece in self.pieces() {
            let (bytes, others) = rest.split_at_mut((piece.end - piece.start) as usize);
            pieces.push((piece, bytes));
            rest = others;
        }
        let labelled = jobs::consume(pieces, threads, |(piece, bytes)| {
            let start = piece.start;
            self.find(piece, |reference| {
                let label = known(reference).map_or_else(
                    || {
                        let at = self.image.layout.offset(reference.referent);
                        mix(content(&by_content.bytes, at.map_or(NO_BYTES, |at| at as u32)).into())
                    },
                    mix,
                );
                let label = if reference.anchor == Anchor::Step { 0 } else { label };
                put(bytes, (reference.offset - start) as u32, reference.form, label);
            })
        });
        labelled.into_iter().collect::<Result<(), ApplyError>>()?;
        Ok(Text::new(text, self.image))
    }

    /// The file in pieces; no reference crosses their borders.
    fn pieces(&self) -> Vec<Range<u64>> {
        let size = self.bytes.len() as u64;
        let piece = size.div_ceil(PIECES as u64).next_multiple_of(STRETCH).max(STRETCH);
        (0..size).step_by(piece as usize).map(|start| start..size.min(start + piece)).collect()
    }

    /// Finds the references of a piece, also those that only the loader writes. Displacements stay as they are, because they move seldom and say much.
    fn find(&self, piece: Range<u64>, mut note: impl FnMut(&Reference)) -> Result<(), ApplyError> {
        let mut source = OldFile::new(&self.bytes);
        let first = self.image.loaded.partition_point(|loaded| loaded.offset < piece.start);
        let mut loaded = self.image.loaded[first..].iter().peekable();
        let mut finder = Finder::new(&self.image.layout, &self.image.regions, &mut source)?;
        let mut references = Vec::new();
        let mut from = piece.start;
        while from < piece.end {
            let to = piece.end.min(from + STRETCH);
            references.clear();
            finder.find(&mut source, from, to, None, &mut references)?;
            references.iter().filter(|reference| reference.anchor != Anchor::Offset).for_each(&mut note);
            while let Some(loaded) = loaded.next_if(|loaded| loaded.offset < to) {
                if loaded.offset + Form::Long.len() as u64 <= to {
                    note(&loaded.reference());
                }
            }
            from = to;
        }
        Ok(())
    }
}

/// What stands at an offset of a labelled file, in short.
fn content(text: &[u8], at: u32) -> u32 {
    match text.get(at as usize..) {
        Some(rest) => digest(&rest[..REACH.min(rest.len())]) as u32,
        None => NOTHING,
    }
}

fn put(text: &mut [u8], offset: u32, form: Form, label: u64) {
    let at = offset as usize;
    if let Some(field) = text.get_mut(at..at + form.len()) {
        form.write(field, label & form.mask());
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
