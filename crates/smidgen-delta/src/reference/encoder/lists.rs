//! Which packed lists of the old file are worth making new ones of.

use super::{
    super::{
        coder::Encoder,
        control::Match,
        correspondence::Correspondence,
        list::{self, Lists},
        plan::{MAX_REGIONS, Plan},
        region::{Packed, Packing, Region, Rule, Style, Unwound},
        sorted,
    },
    image::{Image, ListKind, PackedList},
    labels::File,
    matches,
};
use crate::{ApplyError, old::OldFile};

/// Bytes that a list costs beside its corrections: its rule, the match that takes its table.
const LIST: u64 = 24;
/// A match costs about as much as so many bytes, a byte that differs as one, and a byte that no match explains as half of
/// one.
const MATCH: u64 = 4;
/// Tables of which more than one byte in so many is not as the rule makes it are of another linker.
const ODD: u64 = 64;

/// A list of both files.
#[derive(Clone, Copy)]
struct Pair {
    old: PackedList,
    new: PackedList,
}

/// The list's region in the old file, and where its table is in the new one.
struct Made {
    region: Region,
    packed: Packed,
    new_offset: u64,
}

/// Gives lists of the old file their rule, and has the matches take what becomes of them, where that is cheaper. They will
/// stand behind what else stands behind the old file: `digests` bytes, and the sorted tables.
pub(super) fn place(
    old_bytes: &[u8],
    old: &mut Image,
    new: File<'_>,
    digests: u64,
    matches: &mut Vec<Match>,
) -> Result<(), ApplyError> {
    let pairs = pairs(&old.lists, &new.image.lists);
    if pairs.is_empty() || old.regions.len() + 2 * pairs.len() > MAX_REGIONS {
        return Ok(());
    }
    let mut chosen = Vec::new();
    {
        let map = Correspondence::new(matches, &old.layout, &new.image.layout);
        let judge = Judge { old: File { bytes: old_bytes, image: old }, new, matches, map: &map };
        let both: Vec<Pair> = pairs.iter().filter(|pair| pair.is_of_functions()).copied().collect();
        let mut left = pairs;
        if both.len() == 2
            && let Some(made) = judge.best(&both)?
        {
            chosen.extend(made);
            left.retain(|pair| !both.iter().any(|both| both.old == pair.old));
        }
        for pair in left {
            // Two lists of functions would be read as one, which was judged dearer or wrong.
            if pair.is_of_functions() && chosen.iter().any(Made::is_of_functions) {
                continue;
            }
            chosen.extend(judge.best(&[pair])?.into_iter().flatten());
        }
    }
    let mut regions = old.clone();
    for made in &chosen {
        regions.place(made.region.start, made.region.len, made.region.rule.clone());
    }
    let size = old_bytes.len() as u64;
    let mut start = size + digests + sorted::len(&regions.regions, size);
    // Together they may take more room than each alone.
    if list::len(&regions.regions, size) != chosen.iter().map(|made| made.packed.len).sum::<u64>() {
        return Ok(());
    }
    chosen.sort_by_key(|made| made.region.start);
    for made in chosen {
        matches::place(matches, made.taken_from(start));
        start += made.packed.len;
    }
    old.regions = regions.regions;
    Ok(())
}

impl Pair {
    /// Whether there is more than one way to lay its table out.
    fn has_style(&self) -> bool {
        matches!(self.old.kind, ListKind::Unwinding { .. })
    }

    /// Whether it is one of two that list functions, and can be one list.
    fn is_of_functions(&self) -> bool {
        self.has_style() || self.old.kind == ListKind::Starts
    }
}

/// Lists of the same kind in both files, the first of each kind, by place in the old one.
fn pairs(old: &[PackedList], new: &[PackedList]) -> Vec<Pair> {
    let kind = |list: &PackedList| std::mem::discriminant(&list.kind);
    let mut pairs: Vec<Pair> = Vec::new();
    for old in old {
        if let Some(new) = new.iter().find(|new| kind(new) == kind(old))
            && pairs.iter().all(|pair| kind(&pair.old) != kind(old))
        {
            pairs.push(Pair { old: *old, new: *new });
        }
    }
    pairs.sort_by_key(|pair| pair.old.offset);
    pairs
}

impl Made {
    /// Whether it lists functions.
    fn is_of_functions(&self) -> bool {
        matches!(self.packed.packing, Packing::Unwinding(_) | Packing::Starts)
    }

    /// The match that takes the table from `start` on.
    fn taken_from(&self, start: u64) -> Match {
        Match { old_offset: start, new_offset: self.new_offset, len: self.packed.len }
    }

    /// The table in the new file.
    fn table<'a>(&self, new: &'a [u8]) -> &'a [u8] {
        &new[self.new_offset as usize..(self.new_offset + self.packed.len) as usize]
    }
}

/// Tells what lists cost.
struct Judge<'a> {
    old: File<'a>,
    new: File<'a>,
    matches: &'a [Match],
    map: &'a Correspondence,
}

impl Judge<'_> {
    /// Pairs as one list, in the style that costs least, if that is less than what the matches make of their tables.
    fn best(&self, pairs: &[Pair]) -> Result<Option<Vec<Made>>, ApplyError> {
        let fits = |list: &PackedList, bytes: &[u8]| {
            list.len > 0 && list.offset.checked_add(list.len).is_some_and(|end| end <= bytes.len() as u64)
        };
        if !pairs.iter().all(|pair| fits(&pair.old, self.old.bytes) && fits(&pair.new, self.new.bytes)) {
            return Ok(None);
        }
        let mut least = pairs.iter().map(|pair| self.price_of_matches(&pair.new)).sum();
        let mut best = None;
        let styles: &[bool] = if pairs.iter().any(Pair::has_style) { &[false, true] } else { &[false] };
        for tight in styles.iter().copied() {
            let made: Vec<Made> = pairs.iter().map(|pair| self.made(pair, tight)).collect();
            if let Some(price) = self.price(&made)?
                && price < least
            {
                least = price;
                best = Some(made);
            }
        }
        Ok(best)
    }

    fn made(&self, pair: &Pair, tight: bool) -> Made {
        let packing = match (pair.old.kind, pair.new.kind) {
            (ListKind::Starts, _) => Packing::Starts,
            (ListKind::Blocks, _) => Packing::Blocks,
            (ListKind::Bitmaps, _) => Packing::Bitmaps,
            (ListKind::Unwinding { mode, frames: old_frames }, new) => {
                let new_frames = match new {
                    ListKind::Unwinding { frames, .. } => frames,
                    _ => 0,
                };
                let end = list::unwind_info::end(&self.new.bytes[pair.new.offset as usize..]);
                Packing::Unwinding(Unwound { style: Style { mode, tight }, old_frames, new_frames, end })
            }
        };
        let packed = Packed { packing, old_base: pair.old.base, new_base: pair.new.base, len: pair.new.len };
        let region = Region { start: pair.old.offset, len: pair.old.len, rule: Rule::Packed(packed) };
        Made { region, packed, new_offset: pair.new.offset }
    }

    /// What lists would cost; `None` if another linker packed their tables.
    fn price(&self, made: &[Made]) -> Result<Option<u64>, ApplyError> {
        let tables: Vec<(&Packed, &[u8])> =
            made.iter().map(|made| (&made.packed, made.table(self.new.bytes))).collect();
        let mut price = LIST * made.len() as u64;
        for ((_, table), again) in tables.iter().zip(list::repacked(&tables)) {
            let differing = table.iter().zip(&again).filter(|(one, other)| one != other).count() as u64;
            if differing * ODD > table.len() as u64 {
                return Ok(None);
            }
            price += differing;
        }
        // Only what lies behind all that matches take from now is not taken by mistake.
        let first = self.matches.iter().map(Match::old_end).max().unwrap_or(0);
        let mut start = first;
        let mut plan = Plan { old: self.old.image.layout.clone(), ..Plan::default() };
        for made in made {
            plan.regions.push(made.region.clone());
            plan.matches.push(made.taken_from(start));
            start += made.packed.len;
        }
        let mut coder = Encoder::new();
        let mut source = OldFile::new(&self.old.bytes);
        let mut lists = Lists::new(first);
        lists.make(&mut coder, &plan, self.map, &mut source, self.new.bytes)?;
        Ok((lists.entries > 0).then(|| price + coder.finish().len() as u64))
    }

    /// What the table costs as the matches make it.
    fn price_of_matches(&self, list: &PackedList) -> u64 {
        let (mut price, mut extra) = (0, list.len);
        let end = list.offset + list.len;
        for found in self.matches {
            let (from, to) = (found.new_offset.max(list.offset), found.new_end().min(end));
            if from >= to {
                continue;
            }
            extra -= to - from;
            let old_from = (found.old_offset + (from - found.new_offset)) as usize;
            let old = self.old.bytes.get(old_from..old_from + (to - from) as usize).unwrap_or_default();
            let new = &self.new.bytes[from as usize..to as usize];
            price += MATCH + old.iter().zip(new).filter(|(old, new)| old != new).count() as u64;
        }
        price + extra / 2
    }
}
