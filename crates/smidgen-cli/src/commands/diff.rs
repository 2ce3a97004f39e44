//! `smidgen diff`: makes a patch from two files.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::{io, thread};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use serde::Serialize;
use smidgen_delta::diff::{CodecChoice, DiffOptions, diff};
use smidgen_delta::{Codec, Limits, Patch};

use crate::exit::Exit;
use crate::input::freeze;
use crate::new_file::NewFile;
use crate::progress;
use crate::quantity::{bytes, percent};
use crate::screen::Screen;
use crate::words;

const EXAMPLES: &str = "\
The patch is applied and compared before it appears.

Codecs:
  classic    bsdiff's matches and differences, packed by zstd: the least work to make and to apply
  bidiff     bidiff's own stream, packed by zstd: the plainest form, for interchange
  reference  foresees the addresses that moved: the smallest for programs, the most work to apply
  auto       the smallest of the three; what cannot be the smallest is not made

Examples:
  $ smidgen diff hello-1.0 hello-1.1 hello-1.0-to-1.1.patch
  $ smidgen diff --codec reference hello-1.0 hello-1.1 hello-1.0-to-1.1.patch
  $ smidgen diff --codec bidiff --json hello-1.0 hello-1.1 plain.patch";

/// Make a patch that turns one file into another
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Diff {
    /// The file that people have.
    old: PathBuf,
    /// The file that they shall get.
    new: PathBuf,
    /// Where the patch goes; a file that is there is replaced.
    patch: PathBuf,
    /// How the patch is written down; auto keeps the smallest.
    #[arg(long, value_enum, default_value = "auto")]
    codec: CodecArgument,
    /// Encoder threads [default: one per processor]. They change the time, never the patch.
    #[arg(long, value_name = "N", value_parser = words::threads)]
    threads: Option<NonZeroUsize>,
}

/// `--codec`, here and where patches are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CodecArgument {
    Auto,
    Classic,
    Bidiff,
    Reference,
}

impl CodecArgument {
    pub(crate) fn choice(self) -> CodecChoice {
        match self {
            Self::Auto => CodecChoice::Smallest,
            Self::Classic => CodecChoice::Only(Codec::Classic),
            Self::Bidiff => CodecChoice::Only(Codec::Bidiff),
            Self::Reference => CodecChoice::Only(Codec::Reference),
        }
    }
}

#[derive(Serialize)]
struct Report {
    patch: PathBuf,
    codec: String,
    patch_size: u64,
    old_size: u64,
    new_size: u64,
    old_digest: String,
    new_digest: String,
    apply_memory: u64,
}

impl Diff {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report = self.diff(screen).with_context(|| {
            format!(
                "failed to make {} from {} and {}",
                self.patch.display(),
                self.old.display(),
                self.new.display()
            )
        })?;
        screen.show(&report, |report| {
            format!(
                "{}: {}, {} of the new file ({}), codec {}\n",
                report.patch.display(),
                bytes(report.patch_size),
                percent(report.patch_size, report.new_size),
                bytes(report.new_size),
                report.codec,
            )
        })?;
        Ok(Exit::Done)
    }

    fn diff(&self, screen: &Screen) -> Result<Report> {
        let mut file = NewFile::create(&self.patch, &[&self.old, &self.new])?;
        let (old, new) = (freeze(&self.old)?, freeze(&self.new)?);
        let threads =
            self.threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
        let mut options = DiffOptions::default().with_threads(threads);
        options.codec = self.codec.choice();
        let spinner = progress::spinner(screen, "looking for matches");
        let patch = diff(&old, &new, &options)?;
        spinner.finish_and_clear();
        let opened = Patch::open(&patch, &Limits::default())?;
        let header = opened.header();
        screen.step(&format!("made a patch: {}, codec {}", bytes(patch.len() as u64), header.codec));
        let bar = progress::making(screen, header.new_size, "applying and comparing");
        opened.apply(&&*old, &mut bar.wrap_write(io::sink()))?;
        bar.finish_and_clear();
        screen.step("applied it and compared: the new file comes out");
        io::Write::write_all(&mut file, &patch)?;
        file.publish(None)?;
        Ok(Report {
            patch: self.patch.clone(),
            codec: header.codec.to_string(),
            patch_size: patch.len() as u64,
            old_size: header.old_size,
            new_size: header.new_size,
            old_digest: header.old_digest.to_string(),
            new_digest: header.new_digest.to_string(),
            apply_memory: header.apply_memory(),
        })
    }
}
