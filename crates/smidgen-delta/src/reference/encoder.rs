//! The encoder: what is in the two files, what matches, what is worth sending.

use std::num::NonZeroUsize;

use super::{
    coder::Encoder,
    control::Match,
    correspondence::Correspondence,
    field::Reference,
    plan::{self, Plan, Sizes},
    sweep::STRETCH,
    walk::{Finder, Seen, Streams, Walk},
};
use crate::{ApplyError, SectionKind, diff::pack::Packed, old::OldFile};

mod elf;
mod go;
mod image;
mod labels;
mod mach_o;
mod matches;
mod numbers;
mod pe;
mod signature;

use image::Image;
use labels::Labels;
use signature::Signature;

/// Bytes of both files together: the suffix array of both counts in 31 bits.
const MAX_SIZE: u64 = i32::MAX as u64;

/// More extra bytes than this take the decoder longer than they are worth.
const MAX_EXTRA: u64 = 16 << 20;

/// The sections of a reference-aware patch; `None` if it cannot be smaller than a classic one.
pub(crate) fn encode(old: &[u8], new: &[u8], threads: NonZeroUsize) -> Option<Vec<Packed>> {
    if old.len() as u64 + new.len() as u64 > MAX_SIZE {
        return None;
    }
    let (old_image, new_image) = (Image::of(old), Image::of(new));
    let mut matches = find_matches((old, &old_image), (new, &new_image), threads)?;
    let signature = Signature::of(new);
    if let Some(Signature { offset, paging }) = signature {
        let digests = Match { old_offset: old.len() as u64, new_offset: offset, len: paging.len() };
        matches::place(&mut matches, digests);
    }
    let plan = Plan {
        old: old_image.layout,
        new: new_image.layout,
        regions: old_image.regions,
        matches,
        paging: signature.map(|found| found.paging),
    };
    let matched: u64 = plan.matches.iter().map(|found| found.len).sum();
    if new.len() as u64 - matched > MAX_EXTRA {
        return None;
    }
    write(&plan, old, new).ok()
}

/// A file, what it is, and its references.
struct File<'a> {
    bytes: &'a [u8],
    image: &'a Image,
    references: Vec<Reference>,
}

impl<'a> File<'a> {
    fn new(bytes: &'a [u8], image: &'a Image) -> Option<Self> {
        let mut references = Vec::new();
        let mut source = OldFile::new(&bytes);
        let mut finder = Finder::new(&image.layout, &image.regions, &mut source).ok()?;
        let size = bytes.len() as u64;
        let mut from = 0;
        while from < size {
            let to = size.min(from + STRETCH);
            finder.find(&mut source, from, to, &mut references).ok()?;
            from = to;
        }
        Some(Self { bytes, image, references })
    }
}

/// Matches the files with their references replaced by labels: first by what is referred to, then by where the
/// first matches say that it went. References are found anew for each round: they take more room than time.
fn find_matches(
    (old, old_image): (&[u8], &Image),
    (new, new_image): (&[u8], &Image),
    threads: NonZeroUsize,
) -> Option<Vec<Match>> {
    let (old_labels, new_labels) = both(
        threads,
        || Some(Labels::by_content(&File::new(old, old_image)?)),
        || Some(Labels::by_content(&File::new(new, new_image)?)),
    );
    let (old_labels, new_labels) = (old_labels?, new_labels?);
    let found = matches::find(&[old_labels.bytes(), new_labels.bytes()].concat(), old.len());

    let map = Correspondence::new(&found, &old_image.layout, &new_image.layout);
    let (old_moved, new_moved) = both(
        threads,
        || Some(old_labels.moved(&File::new(old, old_image)?, &map)),
        || Some(new_labels.covered(&File::new(new, new_image)?, &found)),
    );
    let text = [old_moved?, new_moved?].concat();
    drop((found, map));
    Some(matches::find(&text, old.len()))
}

/// Does two things, at once if there are threads for it.
fn both<T: Send>(
    threads: NonZeroUsize,
    one: impl FnOnce() -> T + Send,
    other: impl FnOnce() -> T + Send,
) -> (T, T) {
    if threads.get() == 1 {
        return (one(), other());
    }
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = other();
        match one.join() {
            Ok(one) => (one, other),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Writes the sections.
fn write(plan: &Plan, old: &[u8], new: &[u8]) -> Result<Vec<Packed>, ApplyError> {
    let sizes = Sizes { old: old.len() as u64, new: new.len() as u64 };
    let mut coder = Encoder::new();
    let raw_size = Plan::raw_size(plan.regions.len() as u64, plan.matches.len() as u64);
    let written = plan::code(&mut coder, plan, raw_size, sizes);
    debug_assert!(written.is_ok_and(|written| written == *plan));
    let mut sections = vec![section(SectionKind::Plan, raw_size, coder)];

    let matched: u64 = plan.matches.iter().map(|found| found.len).sum();
    let mut source = OldFile::new(&old);
    let walk = Walk::new(plan, sizes.new.saturating_sub(matched), &mut source)?;
    let mut streams = Streams { references: Encoder::new(), add: Encoder::new(), extra: Encoder::new() };
    let seen: Seen = walk.run(&mut streams, &mut source, new, sizes.new, |_| Ok(()))?;
    sections.push(section(SectionKind::References, seen.references, streams.references));
    sections.push(section(SectionKind::AddCoded, seen.add, streams.add));
    sections.push(section(SectionKind::ExtraCoded, seen.extra, streams.extra));
    Ok(sections)
}

fn section(kind: SectionKind, raw_size: u64, coder: Encoder) -> Packed {
    Packed::coded(kind, raw_size, coder.finish())
}
