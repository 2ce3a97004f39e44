//! Writes a script as a classic patch's sections.

use std::num::NonZeroUsize;

use super::{
    DiffError, jobs,
    pack::{Packed, Strength, pack},
    script::Script,
};
use crate::{SectionKind, varint};

/// The raw sections of a script: the changes in add parts twice, in one section and sorted into six.
#[derive(Default)]
struct Raw {
    add_lens: Vec<u8>,
    extra_lens: Vec<u8>,
    seeks: Vec<u8>,
    gaps: Vec<u8>,
    run_lens: Vec<u8>,
    runs_of_1: Vec<u8>,
    runs_of_2: Vec<u8>,
    runs_of_3: Vec<u8>,
    longer_runs: Vec<u8>,
    changes: Vec<u8>,
    extra: Vec<u8>,
}

/// The sections of the smallest classic patch for `script`.
pub(super) fn encode(
    script: &Script<'_>,
    strength: Strength,
    threads: NonZeroUsize,
) -> Result<Vec<Packed>, DiffError> {
    let raw = Raw::of(script);
    let sorted = [
        (SectionKind::Gaps, &raw.gaps),
        (SectionKind::RunLens, &raw.run_lens),
        (SectionKind::Runs1, &raw.runs_of_1),
        (SectionKind::Runs2, &raw.runs_of_2),
        (SectionKind::Runs3, &raw.runs_of_3),
        (SectionKind::Runs, &raw.longer_runs),
    ];
    let interleaved = [(SectionKind::Changes, &raw.changes)];
    let others = [
        (SectionKind::AddLens, &raw.add_lens),
        (SectionKind::ExtraLens, &raw.extra_lens),
        (SectionKind::Seeks, &raw.seeks),
        (SectionKind::Extra, &raw.extra),
    ];
    let jobs = [&sorted[..], &interleaved[..], &others[..]].concat();
    let packed = jobs::run(&jobs, threads, |(kind, raw)| pack(*kind, raw, strength));
    let mut sorted_changes = packed.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut changes = sorted_changes.split_off(sorted.len());
    let mut sections = changes.split_off(interleaved.len());
    let size = |sections: &[Packed]| -> usize { sections.iter().map(Packed::size_in_patch).sum() };
    sections.extend(if size(&sorted_changes) < size(&changes) { sorted_changes } else { changes });
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
            1 => &mut self.runs_of_1,
            2 => &mut self.runs_of_2,
            3 => &mut self.runs_of_3,
            _ => &mut self.longer_runs,
        };
        runs.extend(run);
        varint::write_high_first(&mut self.changes, gap);
        varint::write_high_first(&mut self.changes, run.len() as u64);
        self.changes.extend(run);
    }
}
