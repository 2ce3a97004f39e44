//! What a key is called: the stem of its files in the folder.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The name of a key: letters, digits and hyphens, at most [`KeyName::MAX_LEN`] of them. It is for people; which role a
/// key may sign is said by the root (or by targets, for a delegated role), which lists its public half.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(Cow<'static, str>);

/// A text that cannot name a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} cannot name a key: take lower-case letters, digits and hyphens, at most 64, beginning with a letter"
)]
pub struct KeyNameError {
    /// As given, cut short.
    pub found: String,
}

impl KeyName {
    /// The longest name.
    pub const MAX_LEN: usize = 64;
    /// Signs targets: which products there are.
    pub const TARGETS: Self = Self(Cow::Borrowed("targets"));
    /// Signs the roles of products and build lines: which releases there are.
    pub const RELEASE: Self = Self(Cow::Borrowed("release"));
    /// Signs snapshot.
    pub const SNAPSHOT: Self = Self(Cow::Borrowed("snapshot"));
    /// Signs timestamp.
    pub const TIMESTAMP: Self = Self(Cow::Borrowed("timestamp"));
    /// The three root keys.
    pub const ROOTS: [Self; 3] =
        [Self(Cow::Borrowed("root-1")), Self(Cow::Borrowed("root-2")), Self(Cow::Borrowed("root-3"))];

    /// The keys that a new repository needs.
    pub fn of_new_repository() -> Vec<Self> {
        [&Self::ROOTS[..], &[Self::TARGETS, Self::RELEASE, Self::SNAPSHOT, Self::TIMESTAMP]].concat()
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is how a key of `role` is usually called: the role's name, with or without a number.
    pub(crate) fn suggests(&self, role: &str) -> bool {
        let rest = self.0.strip_prefix(role);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_letter = |byte: &u8| byte.is_ascii_lowercase();
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.len() > Self::MAX_LEN
            || !text.as_bytes().first().is_some_and(is_letter)
            || !text.bytes().all(allowed)
        {
            return Err(KeyNameError { found: text.chars().take(80).collect() });
        }
        Ok(Self(Cow::Owned(text.to_owned())))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for KeyName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_a_path() {
        for bad in ["", "-", "1", "Root", "a/b", "..", "a.b", "a b", "ä", "a\0", &"a".repeat(65)] {
            assert!(bad.parse::<KeyName>().is_err(), "{bad:?}");
        }
        for good in ["a", "root-1", "timestamp", "release-2026", &"a".repeat(64)] {
            assert_eq!(good.parse::<KeyName>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn suggests_the_role_that_it_begins_with() {
        let name: KeyName = "timestamp-2".parse().unwrap();
        assert!(name.suggests("timestamp") && !name.suggests("time") && !name.suggests("snapshot"));
    }
}
