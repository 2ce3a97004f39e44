//! What a publishing command is doing: a bar of patches or files on a terminal, and a line for each step that is done.

use std::sync::Mutex;

use indicatif::ProgressBar;
use smidgen_server::{Event, Reporter};

use crate::progress;
use crate::quantity::{bytes, percent};
use crate::screen::Screen;

/// Listens to a publishing command and shows it on the screen until it is dropped.
pub(crate) struct Publishing<'a> {
    screen: &'a Screen,
    bar: Mutex<Option<ProgressBar>>,
}

impl<'a> Publishing<'a> {
    pub(crate) fn new(screen: &'a Screen) -> Self {
        Self { screen, bar: Mutex::new(None) }
    }

    /// Moves the bar, which appears with the first thing to count.
    fn on_bar(&self, change: impl FnOnce(&ProgressBar)) {
        if !self.screen.moves() {
            return;
        }
        // A thread that panicked over the bar leaves a bar behind all the same.
        let mut bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(bar.get_or_insert_with(|| progress::counter(self.screen)));
    }
}

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

impl Reporter for Publishing<'_> {
    fn event(&self, event: &Event) {
        match event {
            Event::PatchesPlanned { count } => self.on_bar(|bar| {
                bar.set_message("patches");
                bar.inc_length(*count as u64);
            }),
            Event::PatchStarted { pair } => {
                self.on_bar(|bar| {
                    bar.set_message(format!("patches, {} from {}", pair.artifact, pair.old_version));
                });
            }
            Event::PatchMade { .. } => self.on_bar(|bar| bar.inc(1)),
            Event::Checking { key, index, count } => self.on_bar(|bar| {
                bar.set_length(*count as u64);
                bar.set_position(*index as u64);
                bar.set_message(key.clone());
            }),
            _ => {}
        }
        if let Some(line) = line(event) {
            self.screen.remark(&line);
        }
    }
}

/// What a step that is done says; `None` for steps that only move the bar.
fn line(event: &Event) -> Option<String> {
    Some(match event {
        Event::Waiting { location } => format!("waiting: somebody else works on {location}"),
        Event::BuildRead { artifact, size } => format!("read {artifact}: {}", bytes(*size)),
        Event::FullMade { artifact, size, full_size } => {
            format!(
                "full copy of {artifact}: {}, {} of the build",
                bytes(*full_size),
                percent(*full_size, *size)
            )
        }
        Event::PatchMade { pair, size, new_size } => format!(
            "patch {} {} to {}: {}, {} of the build",
            pair.artifact,
            pair.old_version,
            pair.new_version,
            bytes(*size),
            percent(*size, *new_size),
        ),
        Event::PatchSkipped { pair, reason } => {
            format!("no patch {} {} to {}: {reason}", pair.artifact, pair.old_version, pair.new_version)
        }
        Event::Committed { timestamp, targets } => {
            format!("in force: timestamp {timestamp}, targets {targets}")
        }
        Event::Removed { key, size } => format!("{key}: {}", bytes(*size)),
        _ => return None,
    })
}
