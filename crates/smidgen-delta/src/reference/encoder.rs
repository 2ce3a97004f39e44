//! The encoder: what is in the two files, what matches, what is worth sending.

use std::{iter, num::NonZeroUsize};

use super::{
    coder::Encoder,
    control::Match,
    correspondence::Correspondence,
    extra::Extra,
    parted::{Part, PartWriter},
    plan::{self, MAX_REGIONS, Plan, Sizes, Wrong},
    region::Rule,
    sorted::{Records, Tables},
    walk::{ExtraStream, Scope, Streams, Walk},
};
use crate::{
    ApplyError, SectionKind,
    diff::{
        jobs,
        pack::{Packed, Strength, pack},
    },
    old::OldFile,
};

mod candidates;
mod carried;
mod chains;
mod choice;
mod elf;
mod go;
mod ideas;
mod image;
mod labels;
mod line_numbers;
mod lists;
mod mach_o;
mod matches;
mod numbers;
mod pe;
mod seeds;
mod signature;
mod tables;
mod text;

pub use ideas::Idea;
pub(crate) use ideas::Ideas;
pub use image::FileSection;
use image::Image;
use labels::File;
use signature::Signature;
use tables::Table;
use text::Text;

/// Bytes of both files together: places in them are counted in 32 bits.
const MAX_SIZE: u64 = i32::MAX as u64;

/// More extra bytes than this take the decoder longer than they are worth: half a microsecond for each, where a classic patch
/// takes a twentieth of that and is a fifth larger.
const MAX_EXTRA: u64 = 16 << 20;

/// A reference-aware patch without its header.
pub(crate) struct Encoded {
    pub(crate) sections: Vec<Packed>,
    /// What comes from the bytes of the old file as they are, in the order of the new one.
    pub(crate) matches: Vec<Match>,
    /// Whether both files are programs in which references can be, and most of the new one is in matches.
    pub(crate) is_of_programs: bool,
}

/// Makes the sections of a reference-aware patch; `None` if it cannot be smaller than a classic one. Where a file lies about
/// its structure so that a decoder would refuse what is made of that, both files are bytes without any.
pub(crate) fn encode(old: &[u8], new: &[u8], threads: NonZeroUsize, ideas: Ideas) -> Option<Encoded> {
    if old.len() as u64 + new.len() as u64 > MAX_SIZE {
        return None;
    }
    let encoded = encode_as_they_say(old, new, threads, ideas);
    encoded.or_else(|_| encode_as_they_say(old, new, threads, ideas.without_structure())).ok().flatten()
}

/// The same, believing the files; an error if they lie.
fn encode_as_they_say(
    old: &[u8],
    new: &[u8],
    threads: NonZeroUsize,
    ideas: Ideas,
) -> Result<Option<Encoded>, ApplyError> {
    let (mut old_image, new_image) = jobs::both(threads, || Image::of(old, ideas), || Image::of(new, ideas));
    old_image.regions.truncate(MAX_REGIONS);
    old_image.set_parts(new_image.buckets().map_or(0, |(_, buckets)| buckets.parts));
    let tables = old_image.line_tables.zip(new_image.line_tables);
    let moved = tables.and_then(|(was, is)| line_numbers::find(old, &was, new, &is));
    let (lines, changed) = moved.unzip();
    // All matches are with the old file as it is when its line numbers are put right.
    let (file, old) = (old, changed.as_deref().unwrap_or(old));
    let (old_file, new_file) =
        (File { bytes: old, image: &old_image }, File { bytes: new, image: &new_image });
    let Some(mut matches) = find_matches(old_file, new_file, threads, ideas)? else {
        return Ok(None);
    };
    let signature = Signature::of(new).filter(|_| ideas.has(Idea::Digests));
    let digests = signature.map_or(0, |found| found.paging.len());
    match_tables(old_file, new_file, digests, &mut matches, threads)?;
    lists::place(old, &mut old_image, new_file, digests, &mut matches)?;
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
        lines,
    };
    let extra = extra_len(new, &plan.matches);
    if extra > MAX_EXTRA {
        return Ok(None);
    }
    let Some(sections) = write(&plan, file, new, threads, ideas)? else {
        return Ok(None);
    };
    let are_programs = !plan.regions.is_empty() && !new_image.regions.is_empty();
    let is_of_programs = are_programs && Way::of(extra, new.len() as u64, Ideas::ALL) != [Way::Parts];
    let mut matches = plan.matches;
    matches.retain(|found| found.old_end() <= file.len() as u64);
    Ok(Some(Encoded { sections, matches, is_of_programs }))
}

/// The sections that an executable file names, by place; none if it is of no format that is known here.
pub(crate) fn sections_of(file: &[u8]) -> Vec<FileSection> {
    Image::of(file, Ideas::ALL).into_sections()
}

/// Matches the files with their references replaced by labels: first by what is referred to, then by where the
/// first matches say that it went. References are found anew for each round: they take more room than time. `None` if the
/// second round would have to explain more than it ever does.
fn find_matches(
    old: File<'_>,
    new: File<'_>,
    threads: NonZeroUsize,
    ideas: Ideas,
) -> Result<Option<Vec<Match>>, ApplyError> {
    let labelled =
        |file: File<'_>| if ideas.has(Idea::Labels) { file.by_content(threads) } else { Ok(file.as_it_is()) };
    let find = |old: &Text, new: &Text| {
        if ideas.has(Idea::Prices) { matches::find(old, new, threads) } else { matches::by_rule(old, new) }
    };
    let (old_text, new_text) = (labelled(old)?, labelled(new)?);
    let found = find(&old_text, &new_text);
    let has_regions = !old.image.regions.is_empty() && !new.image.regions.is_empty();
    if !has_regions || !ideas.has(Idea::SecondRound) {
        return Ok(Some(found));
    }
    if extra_len(new.bytes, &found) > 2 * MAX_EXTRA {
        return Ok(None);
    }
    let map = Correspondence::new(&found, &old.image.layout, &new.image.layout);
    let old_text = old.moved(&old_text, &map, threads)?;
    let new_text = new.covered(&new_text, &found, threads)?;
    drop((found, map));
    Ok(Some(find(&old_text, &new_text)))
}

/// Bytes of the new file that are in no match.
fn extra_len(new: &[u8], matches: &[Match]) -> u64 {
    new.len() as u64 - matches.iter().map(|found| found.len).sum::<u64>()
}

/// Matches the sorted tables of the new file with what the matches so far make of the old ones, where that is cheaper.
fn match_tables(
    old: File<'_>,
    new: File<'_>,
    digests: u64,
    matches: &mut Vec<Match>,
    threads: NonZeroUsize,
) -> Result<(), ApplyError> {
    match_bases(old.image, new.image, matches);
    let mut source = OldFile::new(&old.bytes);
    let map = Correspondence::new(matches, &old.image.layout, &new.image.layout);
    let start = old.bytes.len() as u64 + digests;
    let (regions, layout) = (&old.image.regions, &old.image.layout);
    let made = Tables::new(start, Records::Moved, regions, layout, &map, &mut source)?;
    match_buckets(&made, new, matches);
    let text = |bytes: &[u8]| Text::new(bytes.to_vec(), &Image::default());
    let made_text = text(made.bytes());
    for region in &new.image.regions {
        let bytes = &new.bytes[region.start as usize..region.end() as usize];
        let Some(table) = Table::of(region, bytes) else {
            continue;
        };
        let by_record = made.regions().iter().find_map(|old| {
            let mut found = table.matches(&Table::of(old, made.table(old))?)?;
            found.iter_mut().for_each(|found| found.old_offset += old.start - start);
            Some(found)
        });
        let mut found = by_record.unwrap_or_else(|| matches::find(&made_text, &text(bytes), threads));
        for found in &mut found {
            found.old_offset += start;
            found.new_offset += region.start;
        }
        matches::replace(matches, region.start..region.end(), &found);
    }
    Ok(())
}

/// Takes the index of functions from what the matches make of the old one, if that is mostly right.
fn match_buckets(made: &Tables, new: File<'_>, matches: &mut Vec<Match>) {
    let table = made.regions().iter().find(|region| matches!(region.rule, Rule::Buckets(_)));
    if let (Some(table), Some((new_offset, _))) = (table, new.image.buckets()) {
        let made = made.table(table);
        let index = &new.bytes[new_offset as usize..];
        let len = made.len().min(index.len());
        let right = made.iter().zip(index).filter(|(made, byte)| made == byte).count();
        if 2 * right > len {
            matches::place(matches, Match { old_offset: table.start, new_offset, len: len as u64 });
        }
    }
}

/// Bytes of a match that only says where a base went.
const BASE: u64 = 12;

/// Sees to it that the matches say where the addresses went that the fields of sorted tables count from: a table all of
/// which is new has no match that would.
fn match_bases(old: &Image, new: &Image, matches: &mut Vec<Match>) {
    for ((old_table, old_base), (new_table, new_base)) in old.sorted().into_iter().zip(new.sorted()) {
        let map = Correspondence::new(matches, &old.layout, &new.layout);
        if let (Some(old_base), Some(new_base)) = (old_base, new_base)
            && map.find(old_base).address != new_base
            && let (Some(old_offset), Some(new_offset)) =
                (old.layout.offset(old_base), new.layout.offset(new_base))
            && old_offset + BASE <= old_table.start
            && new_offset + BASE <= new_table.start
        {
            matches::place(matches, Match { old_offset, new_offset, len: BASE });
        }
    }
}

/// Writes the sections; `None` if zstd did not do its work. An error if a decoder would refuse the plan, or find none of what it
/// says in the old file.
fn write(
    plan: &Plan,
    old: &[u8],
    new: &[u8],
    threads: NonZeroUsize,
    ideas: Ideas,
) -> Result<Option<Vec<Packed>>, ApplyError> {
    let sizes = Sizes { old: old.len() as u64, new: new.len() as u64 };
    let mut coder = Encoder::new();
    let raw_size = plan.raw_size();
    let refused = |Wrong(what)| ApplyError::Section { section: SectionKind::Plan, what, at: 0 };
    if plan::code(&mut coder, plan, raw_size, sizes).map_err(refused)? != *plan {
        return Err(refused(Wrong("says what cannot be written")));
    }
    let mut sections = vec![section(SectionKind::Plan, raw_size, coder)];

    let extra = extra_len(new, &plan.matches);
    let walk = |scope: Scope, way: Way| {
        let mut source = OldFile::new(&old);
        let walk = Walk::new(plan, &mut source)?.with_scope(scope);
        let models = |size| Box::new(Extra::new(size, plan.has_words()));
        let extra = match way {
            Way::Models => ExtraStream::Coded(Encoder::new(), models(extra)),
            Way::Mixed => {
                ExtraStream::Mixed(Encoder::new(), models(plan.extra_code(sizes.new)), PartWriter::default())
            }
            Way::Parts => ExtraStream::Parted(PartWriter::default()),
        };
        let mut streams = Streams { references: Encoder::new(), add: Encoder::new(), extra };
        let seen = walk.run(&mut streams, &mut source, new, sizes.new, |_| Ok(()))?;
        Ok(match (scope, streams.extra) {
            (Scope::Extra, ExtraStream::Coded(coder, _)) => {
                Some(vec![section(SectionKind::ExtraCoded, seen.extra, coder)])
            }
            (Scope::Extra, ExtraStream::Mixed(coder, _, parts)) => pack_parts(parts).map(|mut sections| {
                let parted: u64 = sections.iter().map(|section| section.raw_size).sum();
                sections.push(section(SectionKind::ExtraCoded, seen.extra - parted, coder));
                sections
            }),
            (Scope::Extra, ExtraStream::Parted(parts)) => pack_parts(parts),
            _ => Some(vec![
                section(SectionKind::References, seen.references, streams.references),
                section(SectionKind::AddCoded, seen.add, streams.add),
            ]),
        })
    };
    let ways = Way::of(extra, sizes.new, ideas).iter().map(|way| (Scope::Extra, *way));
    let walks: Vec<(Scope, Way)> = iter::once((Scope::Matches, Way::Parts)).chain(ways).collect();
    let outcomes = jobs::run(&walks, threads, |(scope, way)| walk(*scope, *way));
    let Some(mut outcomes) = outcomes.into_iter().collect::<Result<Option<Vec<_>>, _>>()? else {
        return Ok(None);
    };
    let size = |sections: &Vec<Packed>| sections.iter().map(Packed::size_in_patch).sum::<usize>();
    let smallest = outcomes.drain(1..).min_by_key(size).unwrap_or_default();
    sections.extend(outcomes.into_iter().flatten().chain(smallest));
    Ok(Some(sections))
}

/// How extra bytes are coded: models of each of these bytes take long to read, and a patch must not take longer than one of
/// bsdiff does, whose time is mostly by the size of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// All of them get models.
    Models,
    /// Code does, for which they do most.
    Mixed,
    /// None does.
    Parts,
}

impl Way {
    /// The ways that there is time for; the smallest outcome counts. Data in models are smaller on most programs, but zstd finds
    /// what comes again in them, which in Go's tables is a tenth of a patch: where there are enough of them, both are tried.
    fn of(extra: u64, new_size: u64, ideas: Ideas) -> &'static [Self] {
        // So few take little time whichever way.
        const FEW: u64 = 16 << 10;
        let is_above = |part: u64| extra > FEW.max(new_size / part);
        match () {
            () if !ideas.has(Idea::Models) => &[Self::Parts],
            () if !ideas.has(Idea::Parts) => &[Self::Models],
            () if is_above(4) => &[Self::Parts],
            () if is_above(12) => &[Self::Mixed],
            () if is_above(64) => &[Self::Models, Self::Mixed],
            () => &[Self::Models],
        }
    }
}

fn pack_parts(parts: PartWriter) -> Option<Vec<Packed>> {
    let parts = Part::SECTIONS.into_iter().zip(parts.parts);
    parts.map(|(kind, raw)| pack(kind, &raw, Strength::Parts).ok()).collect()
}

fn section(kind: SectionKind, raw_size: u64, coder: Encoder) -> Packed {
    Packed::coded(kind, raw_size, coder.finish())
}
