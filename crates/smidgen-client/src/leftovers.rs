//! What updates leave behind once the newest build is installed: downloads, builds that are not the one to go back to.

use crate::error::StorageError;
use crate::folder::Folder;
use crate::state::State;

/// Removes them. Nothing depends on it: what cannot be removed now is tried again at the next poll.
pub(crate) fn clear(folder: &Folder, state: &State) {
    if let Err(error) = try_clear(folder, state) {
        tracing::warn!(code = "not_cleared", "old files are left for now: {error}");
    }
}

fn try_clear(folder: &Folder, state: &State) -> Result<(), StorageError> {
    let previous = state.previous.as_ref().map(|build| build.digest.to_string());
    for (dir, keep) in [(folder.layout.incoming(), None), (folder.layout.builds(), previous)] {
        for name in folder.list(&dir)? {
            if keep.as_ref() != Some(&name) {
                folder.remove(&dir.join(name))?;
            }
        }
    }
    Ok(())
}
