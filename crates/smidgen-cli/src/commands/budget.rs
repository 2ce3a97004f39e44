//! `--threads` and `--memory`: how much of the machine encoding may use.

use std::num::NonZeroUsize;

use clap::Args;
use smidgen_server::budget::Budget;

use crate::words;

/// What encoders may use together.
#[derive(Args, Debug)]
#[command(next_help_heading = "Machine")]
pub(crate) struct BudgetArguments {
    /// Encoders at once [default: one per processor].
    #[arg(long, value_name = "N", value_parser = words::threads)]
    threads: Option<NonZeroUsize>,
    /// Memory for all encoders together, in bytes or with K, M, G [default: three quarters of what is free].
    #[arg(long, value_name = "BYTES", value_parser = words::byte_count)]
    memory: Option<u64>,
}

impl BudgetArguments {
    pub(crate) fn budget(&self) -> Budget {
        let default = Budget::default();
        Budget {
            threads: self.threads.unwrap_or(default.threads),
            memory: self.memory.unwrap_or(default.memory),
        }
    }
}
