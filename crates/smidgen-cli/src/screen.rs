//! The two places that the program writes to: results on standard output, everything else on standard error.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use indicatif::MultiProgress;
use serde::Serialize;

use crate::failure::Failure;

/// What the global flags ask of the output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// One JSON document on standard output instead of text for people.
    pub json: bool,
    /// No progress and no remarks on standard error; errors and warnings still appear.
    pub quiet: bool,
}

/// Standard output and standard error, shared with the progress bars so that neither tears the other.
#[derive(Clone)]
pub(crate) struct Screen {
    style: Style,
    bars: MultiProgress,
}

/// Standard output was closed by its reader (`smidgen inspect x | head -1`): nobody is left to tell.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed")]
pub(crate) struct OutputClosed;

impl Screen {
    pub(crate) fn new(style: Style) -> Self {
        Self { style, bars: MultiProgress::new() }
    }

    /// The bars of this run; whatever else writes to standard error suspends them first.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Whether progress may move: a terminal is watching and was not asked to be quiet.
    pub(crate) fn moves(&self) -> bool {
        !self.style.quiet && io::stderr().is_terminal()
    }

    /// Writes a command's result: the report as one line of JSON, or the text made from it.
    pub(crate) fn show<R: Serialize>(&self, report: &R, text: impl FnOnce(&R) -> String) -> Result<()> {
        if self.style.json { self.print(&json_line(report)?) } else { self.print(&text(report)) }
    }

    /// Writes a line for people to standard error, above the bars.
    pub(crate) fn remark(&self, line: &str) {
        if !self.style.quiet {
            self.bars.suspend(|| complain(&format!("{line}\n")));
        }
    }

    /// Writes a line for a step that is done, where no bar shows it.
    pub(crate) fn step(&self, line: &str) {
        if !self.moves() {
            self.remark(line);
        }
    }

    /// Writes a failure: always for people on standard error, and with `--json` as the document as well.
    pub(crate) fn fail(&self, failure: &Failure) {
        let colour = colour(&io::stderr());
        self.bars.suspend(|| complain(&failure.text(colour)));
        if self.style.json
            && let Ok(line) = json_line(&failure.document())
        {
            // The exit code tells the rest when even this cannot be written.
            let _ = self.print(&line);
        }
    }

    fn print(&self, text: &str) -> Result<()> {
        self.bars.suspend(|| {
            let mut stdout = io::stdout().lock();
            match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(OutputClosed.into()),
                result => Ok(result?),
            }
        })
    }
}

/// Colours are for terminals, and only as long as nobody said no (<https://no-color.org>).
pub(crate) fn colour(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn json_line(report: &impl Serialize) -> Result<String> {
    let mut line = serde_json::to_string(report)?;
    line.push('\n');
    Ok(line)
}

/// Standard error is the last resort: when it is closed as well, the exit code has to do.
fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
