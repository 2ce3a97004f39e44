//! The encoder: what is in the two files, what matches, what is worth sending.

use std::num::NonZeroUsize;

use super::{
    coder::Encoder,
    control::Match,
    correspondence::Correspondence,
    plan::{self, Plan, Sizes},
    walk::{Seen, Streams, Walk},
};
use crate::{ApplyError, SectionKind, diff::pack::Packed, old::OldFile};

mod candidates;
mod choice;
mod elf;
mod go;
mod image;
mod labels;
mod mach_o;
mod matches;
mod numbers;
mod pe;
mod seeds;
mod signature;
mod text;

use image::Image;
use labels::File;
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
    let (old_file, new_file) =
        (File { bytes: old, image: &old_image }, File { bytes: new, image: &new_image });
    let mut matches = find_matches(old_file, new_file, threads).ok()?;
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

/// Matches the files with their references replaced by labels: first by what is referred to, then by where the
/// first matches say that it went. References are found anew for each round: they take more room than time.
fn find_matches(old: File<'_>, new: File<'_>, threads: NonZeroUsize) -> Result<Vec<Match>, ApplyError> {
    let (old_text, new_text) = (old.by_content(threads)?, new.by_content(threads)?);
    let found = matches::find(&old_text, &new_text, threads);
    if old.image.regions.is_empty() || new.image.regions.is_empty() {
        return Ok(found);
    }
    let map = Correspondence::new(&found, &old.image.layout, &new.image.layout);
    let old_text = old.moved(&old_text, &map, threads)?;
    let new_text = new.covered(&new_text, &found, threads)?;
    drop((found, map));
    Ok(matches::find(&old_text, &new_text, threads))
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
