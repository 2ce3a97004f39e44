//! The reference-aware codec: between two builds most bytes that differ are addresses of things that moved, and
//! the matches say where they went.
//!
//! A smart encoder and a plain decoder. The patch carries, beside bsdiff's matches, where both files lie in memory and
//! by which rule references are found in which region of the old file. The decoder walks along the matches, finds the
//! references in the old bytes, asks the matches where their referents went, and is told when that is wrong. It knows no
//! executable format. `docs/codec.md` explains the method, `docs/format.md` has the bytes.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::{Account, ApplyError, Inspection, SectionKind, old::OldFile, output::Output, patch::Sections};

mod aarch64;
mod account;
mod add;
mod buckets;
mod bytes;
mod chained;
mod coder;
mod content;
mod control;
mod correspondence;
#[cfg(feature = "diff")]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "reads its caller's files, not patches"
)]
pub(crate) mod encoder;
mod extra;
mod field;
mod finder;
#[cfg(all(test, feature = "diff"))]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]
mod forged;
mod go;
mod half;
mod line_numbers;
mod list;
mod model;
mod nibbles;
mod pages;
mod parted;
mod plan;
mod predict;
mod rebases;
mod recall;
mod records;
mod region;
mod sorted;
mod sweep;
#[cfg(all(test, feature = "diff"))]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "it judges, and may panic"
)]
mod twin;
mod unwinding;
mod walk;
mod words;
mod x86_64;

use account::{Ledger, PartLedger};
use coder::Coder;
pub(crate) use coder::Decoder;
#[cfg(feature = "diff")]
pub(crate) use control::Match;
use extra::Extra;
use parted::{Part, PartReader, Parts};
use plan::Plan;
pub(crate) use plan::Sizes;
use walk::{ExtraStream, Streams, Walk};

/// The kinds of section a patch of this codec may have, beside those of extra in parts.
const CODED: [SectionKind; 4] =
    [SectionKind::Plan, SectionKind::References, SectionKind::AddCoded, SectionKind::ExtraCoded];

/// Whether a patch of this codec may have a section of this kind.
pub(crate) fn takes(kind: SectionKind) -> bool {
    CODED.contains(&kind) || is_part(kind)
}

/// Whether a section is packed and holds a part of the extra bytes.
pub(crate) fn is_part(kind: SectionKind) -> bool {
    Part::SECTIONS.contains(&kind)
}

/// Bytes that applying allocates for sections of these raw sizes that are coded bit by bit, on top of the buffers that
/// every codec uses.
pub(crate) fn memory(sizes: Sizes, plan: u64, extra: u64) -> u64 {
    // A plan is no smaller than its matches.
    Plan::memory(plan)
        .saturating_add(Walk::memory(sizes, plan.wrapping_div(24)))
        .saturating_add(Extra::memory(extra))
        .saturating_add(Decoder::MEMORY.saturating_mul(4))
}

/// Makes the new file.
pub(crate) fn apply<'a>(
    sections: &mut Sections<'a>,
    old: &mut OldFile<'_>,
    output: &mut Output<'_>,
) -> Result<(), ApplyError> {
    let plan = read_plan(sections, old.size())?;
    let coded = |sections: &Sections<'a>| sections.coded(SectionKind::ExtraCoded);
    let extra = match way(sections)? {
        Way::Coded => ExtraStream::Coded(coded(sections), models(sections, &plan)),
        Way::Mixed => {
            ExtraStream::Mixed(coded(sections), models(sections, &plan), PartReader::open(sections)?)
        }
        Way::Parted => ExtraStream::Parted(PartReader::open(sections)?),
    };
    let mut streams = Streams {
        references: sections.coded(SectionKind::References),
        add: sections.coded(SectionKind::AddCoded),
        extra,
    };
    make(sections, &plan, &mut streams, old, output)?;
    let Streams { references, add, extra } = streams;
    finish(&references, SectionKind::References)?;
    finish(&add, SectionKind::AddCoded)?;
    match extra {
        ExtraStream::Coded(coder, _) => finish(&coder, SectionKind::ExtraCoded),
        ExtraStream::Mixed(coder, _, parts) => {
            finish(&coder, SectionKind::ExtraCoded)?;
            parts.finish()
        }
        ExtraStream::Parted(parts) => parts.finish(),
    }
}

/// Makes the new file too, and keeps account of what the parts of it cost that begin at `borders`.
pub(crate) fn account<'a>(
    sections: &mut Sections<'a>,
    old: &mut OldFile<'_>,
    output: &mut Output<'_>,
    borders: &[u64],
) -> Result<Account, ApplyError> {
    let mut account = Account::default();
    let mut coder = Ledger::new(sections.coded(SectionKind::Plan), borders);
    let plan = code_plan(&mut coder, sections, old.size())?;
    finish(&coder.close(&mut account), SectionKind::Plan)?;
    let coded = |sections: &Sections<'a>| Ledger::new(sections.coded(SectionKind::ExtraCoded), borders);
    let parted = |sections: &mut Sections<'a>| {
        let prices = Part::SECTIONS.map(|kind| sections.bits_per_byte(kind));
        Ok::<_, ApplyError>(PartLedger::new(PartReader::open(sections)?, prices, borders))
    };
    let extra = match way(sections)? {
        Way::Coded => ExtraStream::Coded(coded(sections), models(sections, &plan)),
        Way::Mixed => ExtraStream::Mixed(coded(sections), models(sections, &plan), parted(sections)?),
        Way::Parted => ExtraStream::Parted(parted(sections)?),
    };
    let mut streams = Streams {
        references: Ledger::new(sections.coded(SectionKind::References), borders),
        add: Ledger::new(sections.coded(SectionKind::AddCoded), borders),
        extra,
    };
    make(sections, &plan, &mut streams, old, output)?;
    let Streams { references, add, extra } = streams;
    finish(&references.close(&mut account), SectionKind::References)?;
    finish(&add.close(&mut account), SectionKind::AddCoded)?;
    match extra {
        ExtraStream::Coded(coder, _) => finish(&coder.close(&mut account), SectionKind::ExtraCoded)?,
        ExtraStream::Mixed(coder, _, parts) => {
            finish(&coder.close(&mut account), SectionKind::ExtraCoded)?;
            parts.close(&mut account).finish()?;
        }
        ExtraStream::Parted(parts) => parts.close(&mut account).finish()?,
    }
    Ok(account)
}

/// Walks along the matches of the plan.
fn make(
    sections: &Sections<'_>,
    plan: &Plan,
    streams: &mut Streams<impl Coder, impl Parts>,
    old: &mut OldFile<'_>,
    output: &mut Output<'_>,
) -> Result<(), ApplyError> {
    let new_size = sections.new_size();
    let matched = plan.matches.iter().fold(0_u64, |sum, found| sum.saturating_add(found.len));
    if matched.checked_add(extra_size(sections)) != Some(new_size) {
        let extra = if way(sections)? == Way::Parted { SectionKind::Extra } else { SectionKind::ExtraCoded };
        return Err(wrong(extra, "has another raw size than the matches leave room for"));
    }
    if sections.raw_size(SectionKind::AddCoded) != matched {
        return Err(wrong(SectionKind::AddCoded, "has another raw size than the matches have bytes"));
    }
    let walk = Walk::new(plan, old)?;
    let seen = walk.run(streams, old, &[], new_size, |made| output.write(made))?;
    if seen.references != sections.raw_size(SectionKind::References) {
        return Err(wrong(SectionKind::References, "is for another number of references"));
    }
    Ok(())
}

/// Extra bytes, as the section table has them.
fn extra_size(sections: &Sections<'_>) -> u64 {
    let parts = Part::SECTIONS.map(|kind| sections.raw_size(kind));
    parts.into_iter().fold(sections.raw_size(SectionKind::ExtraCoded), u64::saturating_add)
}

/// How extra bytes come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Coded,
    Mixed,
    Parted,
}

/// Which sections there are says how extra bytes come.
fn way(sections: &Sections<'_>) -> Result<Way, ApplyError> {
    let has = |kind: &SectionKind| sections.raw_size(*kind) > 0;
    let is_coded = has(&SectionKind::ExtraCoded);
    let (data, code) = Part::SECTIONS.split_at(1);
    match (is_coded, data.iter().any(has), code.iter().any(has)) {
        (true, _, true) => Err(wrong(SectionKind::ExtraCoded, "stands beside what it replaces")),
        (true, true, false) => Ok(Way::Mixed),
        (_, false, false) => Ok(Way::Coded),
        (false, _, _) => Ok(Way::Parted),
    }
}

/// Models for extra bytes that are coded bit by bit.
fn models(sections: &Sections<'_>, plan: &Plan) -> Box<Extra> {
    Box::new(Extra::new(sections.raw_size(SectionKind::ExtraCoded), plan.has_words()))
}

/// Counts what the plan says; what the other sections hold shows only beside the old file.
pub(crate) fn inspect(sections: &Sections<'_>, old_size: u64) -> Result<Inspection, ApplyError> {
    let plan = read_plan(sections, old_size)?;
    let mut found = Inspection::default();
    let mut before = control::Match::default();
    for next in &plan.matches {
        if found.controls > 0 {
            found.count_seek(next.old_offset.wrapping_sub(before.old_end()).cast_signed());
        }
        found.controls = found.controls.saturating_add(1);
        found.add_zero = found.add_zero.saturating_add(next.len);
        before = *next;
    }
    found.extra = extra_size(sections);
    Ok(found)
}

fn read_plan(sections: &Sections<'_>, old_size: u64) -> Result<Plan, ApplyError> {
    let mut coder = sections.coded(SectionKind::Plan);
    let plan = code_plan(&mut coder, sections, old_size)?;
    finish(&coder, SectionKind::Plan)?;
    Ok(plan)
}

fn code_plan(coder: &mut impl Coder, sections: &Sections<'_>, old_size: u64) -> Result<Plan, ApplyError> {
    let sizes = Sizes { old: old_size, new: sections.new_size() };
    let raw_size = sections.raw_size(SectionKind::Plan);
    plan::code(coder, &Plan::default(), raw_size, sizes).map_err(|found| wrong(SectionKind::Plan, found.0))
}

fn finish(coder: &Decoder<'_>, section: SectionKind) -> Result<(), ApplyError> {
    if coder.is_used_up() { Ok(()) } else { Err(wrong(section, "is not used up")) }
}

fn wrong(section: SectionKind, what: &'static str) -> ApplyError {
    ApplyError::Section { section, what, at: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What grows with files has a ceiling; beyond it only what the patch says counts.
    #[test]
    fn memory_is_bounded_by_matches_and_not_by_the_size_of_files() {
        const MIB: u64 = 1 << 20;
        // More than there can be regions in as many bytes.
        const MATCHES: u64 = 10_000;
        let declared = |size, matches| memory(Sizes { old: size, new: size }, 24 * matches, 0);
        let most = declared(256 * MIB, 0);
        assert_eq!(declared(u64::MAX, 0), most);
        assert_eq!(most / 1_000_000, 61, "{most}");
        assert!(declared(10 * MIB, 0) < most / 2);
        let of_a_match = (declared(u64::MAX, 2 * MATCHES) - declared(u64::MAX, MATCHES)).div_ceil(MATCHES);
        assert_eq!(of_a_match, 112);
    }
}
