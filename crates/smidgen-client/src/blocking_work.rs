//! Work that blocks a thread (files, digests, patches), kept off the embedding program's event loop.

use crate::error::{Error, SetupError};

/// Runs `work` on a thread that may block. `step` names it, should the runtime stop meanwhile.
pub(crate) async fn off_loop<T: Send + 'static>(
    step: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(SetupError::Stopped { step }.into()),
    }
}
