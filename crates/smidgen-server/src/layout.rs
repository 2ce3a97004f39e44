//! Where things are in a repository; `docs/repository.md` shows the whole of it.

use crate::store::{LOCK_FILE, NEXT};

/// The folder of signed metadata.
pub(crate) const METADATA: &str = "metadata";
/// The folder of full copies and patches, named by the beginning of the BLAKE3 of their bytes.
pub(crate) const BLOBS: &str = "blobs";
/// The folder of raw files for TUF clients that know nothing of blobs.
pub(crate) const TARGETS: &str = "targets";
/// The only file that changes in place.
pub(crate) const TIMESTAMP: &str = "metadata/timestamp.json";

/// Where a version of a role is: `metadata/N.role.json`. Every role but timestamp has its version in its file's name.
pub(crate) fn role_key(role: &str, version: u64) -> String {
    format!("{METADATA}/{version}.{role}.json")
}

/// The role and the version that `key` is for.
pub(crate) fn role_of(key: &str) -> Option<(&str, u64)> {
    let name = key.strip_prefix(METADATA)?.strip_prefix('/')?.strip_suffix(".json")?;
    // No version holds a dot, but the name of a product may.
    let (version, role) = name.split_once('.')?;
    let number: u64 = version.parse().ok()?;
    (number.to_string() == version && is_role(role)).then_some((role, number))
}

fn is_role(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-~".contains(&byte))
}

/// What a file in a repository is, by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// A version of a role.
    Role(&'a str, u64),
    /// `timestamp.json`.
    Timestamp,
    /// A new `timestamp.json` on its way: the leftover of a crash, unless somebody is publishing now.
    NextTimestamp,
    /// A full copy or patch.
    Blob,
    /// A raw file.
    Raw,
    /// The lock file.
    Lock,
    /// A secret key, by its looks.
    Key,
    /// Nothing that belongs here.
    Foreign,
}

impl<'a> Kind<'a> {
    pub(crate) fn of(key: &'a str) -> Self {
        if let Some((role, version)) = role_of(key) {
            Self::Role(role, version)
        } else if key == TIMESTAMP {
            Self::Timestamp
        } else if key.strip_suffix(NEXT) == Some(TIMESTAMP) {
            Self::NextTimestamp
        } else if key == LOCK_FILE {
            Self::Lock
        } else if is_blob(key) {
            Self::Blob
        } else if is_raw(key) {
            Self::Raw
        } else if key.ends_with(".pem") {
            Self::Key
        } else {
            Self::Foreign
        }
    }
}

/// Lower-case digits of a SHA-256.
const SHA256_DIGITS: usize = 64;
/// Lower-case digits of the name of a blob.
const BLOB_DIGITS: usize = 32;

fn is_digest(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn is_blob(key: &str) -> bool {
    let mut parts = key.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(BLOBS), Some(folder), Some(name), None) => {
            is_digest(name, BLOB_DIGITS) && name.get(..2) == Some(folder)
        }
        _ => false,
    }
}

fn is_raw(key: &str) -> bool {
    let Some((folder, file)) = key.rsplit_once('/') else { return false };
    let in_targets = folder.split('/').next() == Some(TARGETS);
    in_targets
        && file
            .split_once('.')
            .is_some_and(|(digest, name)| is_digest(digest, SHA256_DIGITS) && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_only_the_names_that_it_writes() {
        assert_eq!(role_key("targets", 12), "metadata/12.targets.json");
        assert_eq!(role_of("metadata/12.targets.json"), Some(("targets", 12)));
        assert_eq!(role_of(&role_key("editor~3f", 7)), Some(("editor~3f", 7)));
        assert_eq!(role_of(&role_key("node.js", 7)), Some(("node.js", 7)));
        for other in [
            "metadata/012.targets.json",
            "metadata/+1.targets.json",
            "metadata/.targets.json",
            "metadata/1..json",
            "metadata/timestamp.json",
            "metadata/1.a b.json",
            "metadata/a/1.targets.json",
            "12.targets.json",
        ] {
            assert_eq!(role_of(other), None, "{other}");
        }
    }

    #[test]
    fn tells_what_a_file_is_from_its_name() {
        let digest = "ab".repeat(32);
        let blob = "ab".repeat(16);
        for (key, kind) in [
            ("metadata/3.snapshot.json", Kind::Role("snapshot", 3)),
            ("metadata/timestamp.json", Kind::Timestamp),
            ("metadata/timestamp.json.next", Kind::NextTimestamp),
            (&format!("blobs/ab/{blob}"), Kind::Blob),
            (&format!("blobs/ac/{blob}"), Kind::Foreign),
            (&format!("blobs/ab/{digest}"), Kind::Foreign),
            (&format!("blobs/{blob}"), Kind::Foreign),
            (&format!("targets/editor/stable/x/y/1/{digest}.editor"), Kind::Raw),
            (&format!("targets/{digest}.editor.bin"), Kind::Raw),
            (&format!("targets/{digest}"), Kind::Foreign),
            ("targets/editor", Kind::Foreign),
            (".smidgen.lock", Kind::Lock),
            ("keys/targets.pem", Kind::Key),
            ("README", Kind::Foreign),
            ("blobs", Kind::Foreign),
        ] {
            assert_eq!(Kind::of(key), kind, "{key}");
        }
    }
}
