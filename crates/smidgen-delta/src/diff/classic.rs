//! Writes a script as a classic patch's sections.

use std::num::NonZeroUsize;

use crate::{
    SectionKind,
    diff::{
        DiffError, jobs,
        pack::{Packed, pack},
        script::Script,
    },
    varint,
};

/// The raw sections of a script.
struct Raw {
    add_lens: Vec<u8>,
    extra_lens: Vec<u8>,
    seeks: Vec<u8>,
    add_dense: Vec<u8>,
    add_runs: Vec<u8>,
    add_sparse: Vec<u8>,
    extra: Vec<u8>,
}

/// The sections of the smallest classic patch for `script`.
pub(crate) fn encode(script: &Script<'_>, threads: NonZeroUsize) -> Result<Vec<Packed>, DiffError> {
    let raw = Raw::of(script);
    let jobs = [
        (SectionKind::AddDense, &raw.add_dense),
        (SectionKind::AddRuns, &raw.add_runs),
        (SectionKind::AddSparse, &raw.add_sparse),
        (SectionKind::Extra, &raw.extra),
        (SectionKind::AddLens, &raw.add_lens),
        (SectionKind::ExtraLens, &raw.extra_lens),
        (SectionKind::Seeks, &raw.seeks),
    ];
    let packed = jobs::run(&jobs, threads, |(kind, raw)| pack(*kind, raw));
    let mut sections = packed.into_iter().collect::<Result<Vec<_>, _>>()?;
    let size = |kinds: &[SectionKind]| -> usize {
        sections
            .iter()
            .filter(|section| kinds.contains(&section.kind))
            .map(|section| section.bytes.len())
            .sum()
    };
    let dense = size(&[SectionKind::AddDense]);
    let sparse = size(&[SectionKind::AddRuns, SectionKind::AddSparse]);
    if dense < sparse {
        sections.retain(|section| !matches!(section.kind, SectionKind::AddRuns | SectionKind::AddSparse));
    } else {
        sections.retain(|section| section.kind != SectionKind::AddDense);
    }
    Ok(sections)
}

impl Raw {
    fn of(script: &Script<'_>) -> Self {
        let mut raw = Self {
            add_lens: Vec::new(),
            extra_lens: Vec::new(),
            seeks: Vec::new(),
            add_dense: Vec::new(),
            add_runs: Vec::new(),
            add_sparse: Vec::new(),
            extra: Vec::new(),
        };
        let mut old_end = None;
        for part in script.parts() {
            let old_offset = part.step.old_offset as i64;
            if let Some(old_end) = old_end {
                varint::write(&mut raw.seeks, varint::zigzag(old_offset - old_end));
            }
            old_end = Some(old_offset + part.step.add_len as i64);
            varint::write(&mut raw.add_lens, part.step.add_len as u64);
            varint::write(&mut raw.extra_lens, part.step.extra_len as u64);
            raw.add_dense.extend(part.differences());
            raw.extra.extend(part.extra);
        }
        raw.split_runs();
        raw
    }

    /// Makes the sparse form of the add parts from the dense one.
    fn split_runs(&mut self) {
        let mut gap = 0_u64;
        for run in self.add_dense.chunk_by(|a, b| (*a == 0) == (*b == 0)) {
            if run.first() == Some(&0) {
                gap = run.len() as u64;
            } else {
                varint::write(&mut self.add_runs, gap);
                varint::write(&mut self.add_runs, run.len() as u64);
                self.add_sparse.extend(run);
            }
        }
    }
}
