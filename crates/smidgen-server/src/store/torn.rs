//! Half-written files of `object_store`'s folders: `<name>#<number>`, renamed to `<name>` when they are complete.

use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::Entry;

/// Walks all of `folder`.
pub(super) fn find(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((path, prefix)) = folders.pop() {
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push((entry.path(), format!("{key}/")));
            } else if kind.is_file() && is_torn(&key) {
                let metadata = entry.metadata()?;
                let age = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
                let modified = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
                found.push(Entry { key, size: metadata.len(), modified });
            }
        }
    }
    found.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(found)
}

fn is_torn(key: &str) -> bool {
    key.rsplit_once('#')
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}
