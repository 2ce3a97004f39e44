//! Progress while a command works: bars on a terminal, plain lines where nobody watches them move.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::screen::Screen;

/// How often a spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// Shows that work goes on whose end is not known; on anything but a terminal, nothing.
pub(crate) fn spinner(screen: &Screen, message: &'static str) -> ProgressBar {
    if !screen.moves() {
        return ProgressBar::hidden();
    }
    let spinner = screen.bars().add(ProgressBar::new_spinner().with_message(message));
    spinner.set_style(style("{spinner} {msg} {elapsed:.dim}"));
    spinner.enable_steady_tick(TICK);
    spinner
}

/// A style from a template of ours; one that indicatif does not take falls back to its default look.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
