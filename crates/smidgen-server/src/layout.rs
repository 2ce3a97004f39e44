//! Where things are in a repository; `docs/repository.md` shows the whole of it.

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
}
