//! What an update is doing: a bar that shows the bytes spared on a terminal, and a line for each turn it takes.

use std::sync::Mutex;

use indicatif::ProgressBar;
use smidgen_client::{Event, Observer, Way};

use crate::progress;
use crate::quantity::{bytes, percent, saving};
use crate::screen::Screen;

/// Listens to a client and shows it on the screen until it is dropped.
pub(crate) struct Updating {
    screen: Screen,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    full_size: u64,
}

impl Updating {
    pub(crate) fn new(screen: &Screen) -> Self {
        Self { screen: screen.clone(), state: Mutex::default() }
    }

    fn on_bar(&self, change: impl FnOnce(&ProgressBar, u64)) {
        if !self.screen.moves() {
            return;
        }
        // A thread that panicked over the bar leaves a bar behind all the same.
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let full_size = state.full_size;
        change(state.bar.get_or_insert_with(|| progress::download(&self.screen)), full_size);
    }
}

impl Drop for Updating {
    fn drop(&mut self) {
        if let Some(bar) = self.state.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).bar.take()
        {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Updating {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Planned { full_size, .. } => {
                self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).full_size = *full_size;
            }
            Event::Fetching { way, done, size } => self.on_bar(|bar, full_size| {
                bar.set_length(*size);
                bar.set_position(*done);
                bar.set_message(spared(way, *size, full_size));
            }),
            Event::Staging { done, size } => self.on_bar(|bar, _| {
                bar.set_length(*size);
                bar.set_position(*done);
                bar.set_message("writing and proving the new build");
            }),
            _ => {}
        }
        if let Some(line) = line(event) {
            self.screen.remark(&line);
        }
    }
}

/// What a way spares against the full copy.
fn spared(way: &Way, size: u64, full_size: u64) -> String {
    match way {
        Way::Patch { .. } if size < full_size => {
            format!("by patch, {} saved ({})", bytes(full_size - size), percent(full_size - size, full_size))
        }
        way => format!("by {}", name(way)),
    }
}

/// A way as people read it.
pub(crate) fn name(way: &Way) -> &'static str {
    match way {
        Way::Kept => "a build that is kept here",
        Way::Patch { .. } => "patch",
        _ => "full copy",
    }
}

/// What a turn says; `None` for what only moves the bar.
fn line(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::Planned { version, way: way @ Way::Patch { .. }, full_size } => {
            format!("{version} by patch: {} to fetch, {}", bytes(way.rest()), saving(way.rest(), *full_size))
        }
        Event::Planned { version, way, .. } => {
            format!("{version} by {}: {} to fetch", name(way), bytes(way.rest()))
        }
        Event::Resuming { done, size, code } => {
            format!("the download broke off ({code}) and goes on at {} of {}", bytes(*done), bytes(*size))
        }
        Event::FellBack { way, code } => format!("no success by {} ({code}), trying another way", name(way)),
        _ => return None,
    })
}
