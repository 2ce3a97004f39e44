//! Where things are in a repository; `docs/repository.md` shows the whole of it.

use crate::store::{LOCK_FILE, NEXT};

/// The folder of signed metadata.
pub(crate) const METADATA: &str = "metadata";
/// The folder of full copies and patches, named by the BLAKE3 of their bytes.
pub(crate) const BLOBS: &str = "blobs";
/// The folder of raw files for TUF clients that know nothing of blobs.
pub(crate) const TARGETS: &str = "targets";
/// The only file that changes in place.
pub(crate) const TIMESTAMP: &str = "metadata/timestamp.json";

/// A role that has its version in its file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versioned {
    Root,
    Snapshot,
    Targets,
}

impl Versioned {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
        }
    }

    /// `metadata/N.role.json`.
    pub(crate) fn key(self, version: u64) -> String {
        format!("{METADATA}/{version}.{}.json", self.as_str())
    }

    /// The version in `key`, if it is a file of this role.
    pub(crate) fn version(self, key: &str) -> Option<u64> {
        let name = key.strip_prefix(METADATA)?.strip_prefix('/')?;
        let version = name.strip_suffix(".json")?.strip_suffix(self.as_str())?.strip_suffix('.')?;
        let number: u64 = version.parse().ok()?;
        (number.to_string() == version).then_some(number)
    }
}

/// What a file in a repository is, by its name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A versioned role.
    Role(Versioned, u64),
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

impl Kind {
    pub(crate) fn of(key: &str) -> Self {
        for role in [Versioned::Root, Versioned::Snapshot, Versioned::Targets] {
            if let Some(version) = role.version(key) {
                return Self::Role(role, version);
            }
        }
        if key == TIMESTAMP {
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

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn is_blob(key: &str) -> bool {
    let mut parts = key.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(BLOBS), Some(folder), Some(name), None) => is_digest(name) && name.get(..2) == Some(folder),
        _ => false,
    }
}

fn is_raw(key: &str) -> bool {
    let Some((folder, file)) = key.rsplit_once('/') else { return false };
    let in_targets = folder.split('/').next() == Some(TARGETS);
    in_targets && file.split_once('.').is_some_and(|(digest, name)| is_digest(digest) && !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_only_the_names_that_it_writes() {
        assert_eq!(Versioned::Targets.key(12), "metadata/12.targets.json");
        assert_eq!(Versioned::Targets.version("metadata/12.targets.json"), Some(12));
        for other in [
            "metadata/12.root.json",
            "metadata/012.targets.json",
            "metadata/+1.targets.json",
            "12.targets.json",
        ] {
            assert_eq!(Versioned::Targets.version(other), None, "{other}");
        }
    }

    #[test]
    fn tells_what_a_file_is_from_its_name() {
        let digest = "ab".repeat(32);
        for (key, kind) in [
            ("metadata/3.snapshot.json", Kind::Role(Versioned::Snapshot, 3)),
            ("metadata/timestamp.json", Kind::Timestamp),
            ("metadata/timestamp.json.next", Kind::NextTimestamp),
            (&format!("blobs/ab/{digest}"), Kind::Blob),
            (&format!("blobs/ac/{digest}"), Kind::Foreign),
            (&format!("blobs/{digest}"), Kind::Foreign),
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
