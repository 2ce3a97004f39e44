//! The libraries' events on standard error, as lines for people or as JSON for collectors.

use std::io::{self, Write};

use anyhow::{Context, Result};
use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::screen;

/// The environment variable that overrules `-v`, in the syntax of tracing's `EnvFilter`.
const FILTER_VARIABLE: &str = "SMIDGEN_LOG";

/// How an event is written: a line for people, or a JSON object a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Sends events to standard error from now on, above the bars.
pub(crate) fn start(default_filter: &str, format: LogFormat, bars: &MultiProgress) -> Result<()> {
    let filter = match std::env::var(FILTER_VARIABLE) {
        Ok(filter) => EnvFilter::try_new(filter)
            .with_context(|| format!("failed to read the filter in {FILTER_VARIABLE}"))?,
        Err(_) => EnvFilter::new(default_filter),
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(AboveBars(bars.clone()))
        .with_ansi(screen::colour(&io::stderr()));
    match format {
        LogFormat::Text => builder.compact().finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    }
    .context("failed to start logging")
}

/// Hides the bars while a line is written.
#[derive(Clone)]
struct AboveBars(MultiProgress);

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().lock().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

impl MakeWriter<'_> for AboveBars {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
