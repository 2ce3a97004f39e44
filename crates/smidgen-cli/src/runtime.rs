//! The event loop under the commands that work on a repository.

use std::future::Future;

use anyhow::{Context as _, Result};

/// Runs `work` to its end.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the event loop; this machine is short of threads or memory")?
        .block_on(work)
}
