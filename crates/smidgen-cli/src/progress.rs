//! The looks of progress bars. On anything but a terminal there are none.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::screen::Screen;

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Work whose end is not known.
pub(crate) fn spinner(screen: &Screen, message: &'static str) -> ProgressBar {
    let bar = begin(screen, "{spinner} {msg} {elapsed:.dim}");
    bar.set_message(message);
    bar
}

/// Things that are counted; how many is told later.
pub(crate) fn counter(screen: &Screen) -> ProgressBar {
    begin(screen, "{spinner} [{bar:32}] {pos}/{len} {wide_msg}")
}

/// Bytes that come in; the message says what they are and what they spare.
pub(crate) fn download(screen: &Screen) -> ProgressBar {
    begin(
        screen,
        "{spinner} [{bar:32}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {wide_msg}",
    )
}

/// Bytes that are made, of a file of so many.
pub(crate) fn making(screen: &Screen, size: u64, message: &'static str) -> ProgressBar {
    let bar = download(screen);
    bar.set_length(size);
    bar.set_message(message);
    bar
}

fn begin(screen: &Screen, template: &str) -> ProgressBar {
    if !screen.moves() {
        return ProgressBar::hidden();
    }
    let bar = screen.bars().add(ProgressBar::new(0));
    // A template of ours that indicatif does not take falls back to its default look.
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(TICK);
    bar
}
