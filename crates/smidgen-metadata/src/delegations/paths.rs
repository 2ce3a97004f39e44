//! Which delegations are about a path.

use super::{Scope, SuccinctRoles};
use crate::digest::Sha256;
use crate::hex;
use crate::pattern;
use crate::release::BuildLine;

/// What a search looks for, in the terms in which delegations are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// One target path.
    Path { path: String, digest: Sha256, digits: String },
    /// All target paths of a build line: two segments below its folder.
    Line { folder: String },
}

impl Subject {
    pub(crate) fn path(path: &str) -> Self {
        let digest = Sha256::of(path.as_bytes());
        Self::Path { path: path.to_owned(), digits: digest.to_string(), digest }
    }

    pub(crate) fn line(line: &BuildLine) -> Self {
        Self::Line { folder: line.target_prefix() }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Path { path, .. } => path,
            Self::Line { folder } => folder,
        }
    }
}

impl Scope {
    /// Whether a target path is in the scope.
    pub fn covers(&self, path: &str) -> bool {
        self.is_about(&Subject::path(path))
    }

    /// Whether every target path of a build line is in the scope. One that holds some of them only has no say about the
    /// line: its releases would be in several roles, of which each could hide the others'.
    pub fn covers_line(&self, line: &BuildLine) -> bool {
        self.is_about(&Subject::line(line))
    }

    pub(crate) fn is_about(&self, subject: &Subject) -> bool {
        match (self, subject) {
            (Self::Paths(patterns), Subject::Path { path, .. }) => {
                patterns.iter().any(|pattern| pattern::matches(pattern, path))
            }
            (Self::Paths(patterns), Subject::Line { folder }) => {
                patterns.iter().any(|pattern| pattern::covers_two_below(pattern, folder))
            }
            (Self::PathHashPrefixes(prefixes), Subject::Path { digits, .. }) => {
                prefixes.iter().any(|prefix| digits.starts_with(prefix.as_str()))
            }
            // Digests scatter the paths of a line: all of them are in the scope only if all paths are.
            (Self::PathHashPrefixes(prefixes), Subject::Line { .. }) => prefixes.iter().any(String::is_empty),
        }
    }
}

impl SuccinctRoles {
    /// The name of the bin that lists a target path.
    pub fn role_of(&self, path: &str) -> String {
        self.bin_of(&Sha256::of(path.as_bytes()))
    }

    /// The names of all bins in their order.
    pub fn role_names(&self) -> impl Iterator<Item = String> {
        let last = u32::MAX.checked_shr(self.unused_bits()).unwrap_or_default();
        (0..=last).map(|number| self.role_with(number))
    }

    pub(crate) fn role_about(&self, subject: &Subject) -> Option<String> {
        match subject {
            Subject::Path { digest, .. } => Some(self.bin_of(digest)),
            // The paths of a line are scattered over all bins.
            Subject::Line { .. } => None,
        }
    }

    /// TAP 15: the first `bit_length` bits of the digest, read as a number.
    fn bin_of(&self, digest: &Sha256) -> String {
        let [a, b, c, d, ..] = *digest.as_bytes();
        let number = u32::from_be_bytes([a, b, c, d]).checked_shr(self.unused_bits());
        self.role_with(number.unwrap_or_default())
    }

    fn unused_bits(&self) -> u32 {
        32_u32.saturating_sub(self.bit_length)
    }

    /// TAP 15: `<prefix>-<number>`, in as many hexadecimal digits as the last number needs.
    fn role_with(&self, number: u32) -> String {
        let digits = hex::encode(&number.to_be_bytes());
        let needed = usize::try_from(self.bit_length.div_ceil(4)).unwrap_or(8).clamp(1, 8);
        let skipped = digits.len().saturating_sub(needed);
        format!("{}-{}", self.name_prefix, digits.get(skipped..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::canonical::Object;

    fn bins(bit_length: u32) -> SuccinctRoles {
        SuccinctRoles {
            keyids: BTreeSet::new(),
            threshold: 1,
            bit_length,
            name_prefix: "bin".to_owned(),
            unknown: Object::new(),
        }
    }

    #[test]
    fn bins_are_named_as_in_the_reference_client() {
        // SuccinctRoles([], 1, bits, "bin").get_role_for_target(path) of python-tuf; the digest of "file" begins with
        // 3b9c358f36f0a31b.
        for (bits, name) in
            [(1, "bin-0"), (2, "bin-0"), (4, "bin-3"), (5, "bin-07"), (8, "bin-3b"), (32, "bin-3b9c358f")]
        {
            assert_eq!(bins(bits).role_of("file"), name, "{bits}");
        }
        let names: Vec<String> = bins(5).role_names().collect();
        assert_eq!((names.len(), names[0].as_str(), names[31].as_str()), (32, "bin-00", "bin-1f"));
    }

    #[test]
    fn hash_prefixes_are_of_the_paths_digest_in_lower_case() {
        let scope = |prefix: &str| Scope::PathHashPrefixes(vec!["ff".to_owned(), prefix.to_owned()]);
        assert!(scope("3b9c").covers("file"));
        assert!(scope("").covers("file"));
        assert!(!scope("3B9C").covers("file"));
        assert!(!scope("3b9d").covers("file"));
        let whole = Sha256::of(b"file").to_string();
        assert!(scope(&whole).covers("file"));
        assert!(!scope(&format!("{whole}0")).covers("file"));
    }

    #[test]
    fn a_line_is_delegated_as_a_whole_or_not_at_all() {
        let line = BuildLine::new("editor", "stable", "x86_64-linux", ["tls"]).unwrap();
        let folder = line.target_prefix();
        let paths = |pattern: String| Scope::Paths(vec!["other/*".to_owned(), pattern]);
        let first: String = line.id().to_string().chars().take(2).collect();
        assert!(paths("editor/*/*/*/*/*".to_owned()).covers_line(&line));
        assert!(paths(format!("editor/*/*/{first}*/*/*")).covers_line(&line));
        assert!(paths(format!("{folder}*/*")).covers_line(&line));
        assert!(!paths(format!("{folder}7/*")).covers_line(&line));
        assert!(!paths(format!("{folder}*/editor")).covers_line(&line));
        assert!(!Scope::PathHashPrefixes(vec!["0".to_owned()]).covers_line(&line));
        assert_eq!(bins(8).role_about(&Subject::line(&line)), None);
    }
}
