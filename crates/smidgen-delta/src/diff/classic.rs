//! Writes a script as a classic patch's sections.

use std::num::NonZeroUsize;

use super::{
    DiffError, jobs,
    pack::{Packed, Strength, pack},
    script::Script,
};
use crate::{SectionKind, varint};

/// The raw sections of a script, without those of its runs.
#[derive(Default)]
struct Raw {
    add_lens: Vec<u8>,
    extra_lens: Vec<u8>,
    seeks: Vec<u8>,
    gaps: Vec<u8>,
    run_lens: Vec<u8>,
    extra: Vec<u8>,
    runs: Runs,
}

/// The bytes of the runs twice: sorted by their length, and as they come.
#[derive(Default)]
struct Runs {
    of_1: Vec<u8>,
    of_2: Vec<u8>,
    of_3: Vec<u8>,
    longer: Vec<u8>,
    all: Vec<u8>,
}

/// The sections of the smallest classic patch for `script`.
pub(super) fn encode(
    script: &Script<'_>,
    strength: Strength,
    threads: NonZeroUsize,
) -> Result<Vec<Packed>, DiffError> {
    let raw = Raw::of(script);
    let sorted = [
        (SectionKind::Runs1, &raw.runs.of_1),
        (SectionKind::Runs2, &raw.runs.of_2),
        (SectionKind::Runs3, &raw.runs.of_3),
        (SectionKind::Runs, &raw.runs.longer),
    ];
    let unsorted = [(SectionKind::Runs, &raw.runs.all)];
    let others = [
        (SectionKind::AddLens, &raw.add_lens),
        (SectionKind::ExtraLens, &raw.extra_lens),
        (SectionKind::Seeks, &raw.seeks),
        (SectionKind::Gaps, &raw.gaps),
        (SectionKind::RunLens, &raw.run_lens),
        (SectionKind::Extra, &raw.extra),
    ];
    let jobs = [&sorted[..], &unsorted[..], &others[..]].concat();
    let packed = jobs::run(&jobs, threads, |(kind, raw)| pack(*kind, raw, strength));
    let mut sorted_runs = packed.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut unsorted_runs = sorted_runs.split_off(sorted.len());
    let mut sections = unsorted_runs.split_off(unsorted.len());
    let size = |sections: &[Packed]| -> usize { sections.iter().map(Packed::size_in_patch).sum() };
    let smaller = if size(&sorted_runs) < size(&unsorted_runs) { sorted_runs } else { unsorted_runs };
    sections.extend(smaller);
    Ok(sections)
}

impl Raw {
    fn of(script: &Script<'_>) -> Self {
        let mut raw = Self::default();
        let mut old_end = 0;
        let mut gap = 0;
        let mut run = Vec::new();
        for part in script.parts() {
            let old_offset = part.step.old_offset as i64;
            varint::write(&mut raw.seeks, varint::zigzag(old_offset - old_end));
            old_end = old_offset + part.step.add_len as i64;
            varint::write_high_first(&mut raw.add_lens, part.step.add_len as u64);
            varint::write_high_first(&mut raw.extra_lens, part.step.extra_len as u64);
            raw.extra.extend(part.extra);
            // The add parts count as one stream: a run may begin in one and end in the next.
            for difference in part.differences() {
                if difference != 0 {
                    run.push(difference);
                    continue;
                }
                if !run.is_empty() {
                    raw.push_run(gap, &run);
                    run.clear();
                    gap = 0;
                }
                gap += 1;
            }
        }
        if !run.is_empty() {
            raw.push_run(gap, &run);
        }
        raw
    }

    fn push_run(&mut self, gap: u64, run: &[u8]) {
        varint::write_high_first(&mut self.gaps, gap);
        varint::write_high_first(&mut self.run_lens, run.len() as u64);
        let runs = match run.len() {
            1 => &mut self.runs.of_1,
            2 => &mut self.runs.of_2,
            3 => &mut self.runs.of_3,
            _ => &mut self.runs.longer,
        };
        runs.extend(run);
        self.runs.all.extend(run);
    }
}
