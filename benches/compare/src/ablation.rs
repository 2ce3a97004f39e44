//! What each idea of the reference codec brings: the whole patch, made without one of them at a time.
//!
//! Only what the encoder can leave out without another format is asked for. How bytes are coded, and that references are
//! predicted from matches, is in the decoder, and so in every figure here.

use std::fmt::Write as _;
use std::fs;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};
use smidgen_delta::diff::{DiffError, DiffOptions, Idea, diff_without};
use smidgen_delta::{Codec, Limits, Patch};

use crate::document::with_commas;
use crate::pair::{Pair, Pairs};

/// The rows of the table: what is left out.
const ROWS: [(&str, &[Idea]); 21] = [
    ("nothing: the codec as it is", &[]),
    ("code as instructions", &[Idea::Code]),
    ("pointers, words and jump tables in data", &[Idea::Words]),
    ("pointers that only the loader writes", &[Idea::Loaded]),
    ("records: symbols, relocations, Go's lists", &[Idea::Records]),
    ("`.eh_frame`", &[Idea::Unwinding]),
    ("sorted tables made again", &[Idea::Sorted]),
    ("packed lists made again", &[Idea::Lists]),
    ("rebase opcodes, chained pointers", &[Idea::Rebases]),
    ("page digests computed", &[Idea::Digests]),
    ("Go's function records", &[Idea::GoFunctions]),
    ("Go's `findfunctab` made again", &[Idea::Buckets]),
    ("line numbers put right", &[Idea::LineNumbers]),
    ("all of Go's tables, these three too", &[Idea::GoTables]),
    ("labels by content: the first round on bytes", &[Idea::Labels]),
    ("labels by where referents went: no second round", &[Idea::SecondRound]),
    ("both: no labels at all", &[Idea::Labels, Idea::SecondRound]),
    ("matches by price: bsdiff's rule instead", &[Idea::Prices]),
    ("extra in parts: all in models instead", &[Idea::Parts]),
    ("extra in models: all in parts instead", &[Idea::Models]),
    ("all that is found in files", &[Idea::Formats, Idea::Digests]),
];

/// Which pairs to make patches of.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pairs: Pairs,
}

/// Both files of a pair.
struct Builds<'a> {
    id: &'a str,
    old: Vec<u8>,
    new: Vec<u8>,
}

/// Makes all patches, as many at once as there are cores, and prints the table.
#[allow(clippy::print_stdout, reason = "the table is what was asked for")]
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let builds = arguments.pairs.chosen()?.iter().map(read).collect::<Result<Vec<_>>>()?;
    let jobs: Vec<(&Builds<'_>, usize)> =
        builds.iter().flat_map(|builds| (0..ROWS.len()).map(move |row| (builds, row))).collect();
    let sizes = sizes(&jobs)?;
    let columns: Vec<(&str, &[Option<u64>])> =
        builds.iter().map(|builds| builds.id).zip(sizes.chunks(ROWS.len())).collect();
    print!("{}", table(&columns));
    Ok(ExitCode::SUCCESS)
}

fn read<'a>(pair: &Pair<'a>) -> Result<Builds<'a>> {
    let read = |path: &std::path::Path| {
        fs::read(path)
            .with_context(|| format!("failed to read {}; `cargo xtask corpus` fetches it", path.display()))
    };
    Ok(Builds { id: pair.id, old: read(pair.old)?, new: read(pair.new)? })
}

/// The sizes of all patches, in the order of the jobs.
fn sizes(jobs: &[(&Builds<'_>, usize)]) -> Result<Vec<Option<u64>>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(jobs.len()));
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some((builds, row)) = jobs.get(index) else { break };
                    let size = proven_size(builds, *row);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, size));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, size)| size).collect()
}

/// Bytes of the patch without the ideas of a row, which rebuilt the new file; `None` if the codec refuses the pair so.
#[allow(clippy::print_stderr, reason = "progress of a developer's command")]
fn proven_size(builds: &Builds<'_>, row: usize) -> Result<Option<u64>> {
    let Builds { id, old, new } = builds;
    let (name, ideas) = ROWS[row];
    let options = DiffOptions::default().with_codec(Codec::Reference);
    let patch = match diff_without(ideas, old, new, &options) {
        Ok(patch) => patch,
        Err(DiffError::Unsuitable) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut rebuilt = Vec::with_capacity(new.len());
    Patch::open(&patch, &Limits::default())?.apply(old, &mut rebuilt)?;
    ensure!(rebuilt == *new, "{id} without {name}: the patch does not rebuild the new file");
    eprintln!("{id:<16} without {name}: {}", with_commas(patch.len() as u64));
    Ok(Some(patch.len() as u64))
}

/// A column for each pair, with the sizes of its patches by row.
fn table(columns: &[(&str, &[Option<u64>])]) -> String {
    let mut out = String::from("| without |");
    for (id, _) in columns {
        let _ = write!(out, " {id} |");
    }
    let _ = writeln!(out, "\n|---|{}", "--:|".repeat(columns.len()));
    for (row, (name, _)) in ROWS.iter().enumerate() {
        let _ = write!(out, "| {name} |");
        for (_, sizes) in columns {
            let of = |row: usize| sizes.get(row).copied().flatten();
            let _ = write!(out, " {} |", cell(of(row), of(0), row == 0));
        }
        out.push('\n');
    }
    out
}

/// A size, and how much larger that is than the codec's as it is; `=` where it is the same to the byte.
fn cell(size: Option<u64>, whole: Option<u64>, is_whole: bool) -> String {
    match (size, whole) {
        (Some(size), _) if is_whole => with_commas(size),
        (Some(size), Some(whole)) if size == whole => "=".to_owned(),
        (Some(size), Some(whole)) => {
            let more = 100.0 * (size as f64 / whole as f64 - 1.0);
            // Nothing that differs is shown as no difference.
            let difference = match more.abs() {
                ..0.095 => format!("{:+} bytes", size.cast_signed() - whole.cast_signed()),
                99.95.. => format!("{more:+.0} %"),
                _ => format!("{more:+.1} %"),
            };
            format!("{} ({difference})", with_commas(size))
        }
        (Some(size), None) => with_commas(size),
        (None, _) => "not made".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_size_and_what_it_is_more() {
        let cell = |size, whole| super::cell(Some(size), Some(whole), false);
        assert_eq!(cell(1500, 1000), "1,500 (+50.0 %)");
        assert_eq!(cell(5000, 1000), "5,000 (+400 %)");
        assert_eq!(cell(990, 1000), "990 (-1.0 %)");
        assert_eq!(cell(100_010, 100_000), "100,010 (+10 bytes)");
        assert_eq!(cell(1000, 1000), "=");
        assert_eq!(super::cell(Some(1000), Some(1000), true), "1,000");
        assert_eq!(super::cell(None, Some(1000), false), "not made");
    }

    #[test]
    fn ideas_are_rows_and_pairs_columns() {
        let sizes: Vec<Option<u64>> = (0..ROWS.len() as u64).map(|row| Some(1000 + 10 * row)).collect();
        let table = table(&[("one", &sizes), ("two", &[Some(5)])]);
        assert!(table.starts_with(
            "| without | one | two |\n|---|--:|--:|\n| nothing: the codec as it is | 1,000 | 5 |\n"
        ));
        assert!(table.contains("| code as instructions | 1,010 (+1.0 %) | not made |\n"), "{table}");
    }

    #[test]
    fn every_row_leaves_something_else_out() {
        for (index, (name, ideas)) in ROWS.iter().enumerate() {
            assert!(ROWS[..index].iter().all(|(other, others)| other != name && others != ideas), "{name}");
        }
    }
}
