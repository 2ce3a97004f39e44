//! What the demo tells on standard output.

use std::time::Instant;

use super::ledger::{Ledger, grouped, percent};

/// The story, told as it happens.
pub(super) struct Story {
    start: Instant,
}

#[allow(clippy::print_stdout, reason = "the story is the demo's output")]
impl Story {
    pub(super) fn begin(title: &str) -> Self {
        println!("{title}");
        Self { start: Instant::now() }
    }

    pub(super) fn chapter(&self, title: &str) {
        println!("\n{title}  [{:.1} s]", self.start.elapsed().as_secs_f64());
    }

    pub(super) fn line(&self, text: impl AsRef<str>) {
        println!("  {}", text.as_ref());
    }

    pub(super) fn table(&self, ledger: &Ledger) {
        for line in ledger.table().lines() {
            println!("  {line}");
        }
        let (wire, full) = ledger.updates();
        println!(
            "\n  Updates by patch: {} bytes, for full copies of {}: {} saved. Bytes are HTTP, both ways, heads and",
            grouped(wire),
            grouped(full),
            percent(wire, full)
        );
        println!("  metadata included; a full copy is the build under zstd.");
    }

    pub(super) fn end(&self) {
        println!("\nEverything above was checked, in {:.1} s.", self.start.elapsed().as_secs_f64());
    }
}
