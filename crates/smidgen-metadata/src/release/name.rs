//! Names that may become a component of a path, an argument or a line on a terminal without a second thought.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A product, channel, platform, plugin, version or file name: 1 to 64 of the characters `A-Z a-z 0-9 . _ + -`, not
/// starting with `.` or `-`.
///
/// So no name is `.` or `..`, hides a file, shadows the client's own `.smidgen` folder, separates paths, reads as an
/// option, or carries escapes to a terminal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A string that is not a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found the name {found:?}, expected 1 to 64 of A-Z a-z 0-9 . _ + - that do not start with . or -")]
pub struct NameError {
    found: String,
}

impl Name {
    /// Characters that a name may have.
    pub const MAX_LEN: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-');
    (1..=Name::MAX_LEN).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with(['.', '-'])
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if is_name(&text) {
            Ok(Self(text))
        } else {
            Err(NameError { found: text.chars().take(Self::MAX_LEN.saturating_add(16)).collect() })
        }
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hostile_may_become_a_path() {
        let long = "a".repeat(64);
        for good in ["editor", "x86_64-linux", "4.12.1+build.7", "_", "a..b", &long] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        let too_long = "a".repeat(65);
        for bad in [
            "",
            ".",
            "..",
            ".smidgen",
            "-rf",
            "a/b",
            "/etc",
            "..\\a",
            "a\\b",
            "C:",
            "a b",
            "a\n",
            "a\0",
            "\u{1b}[2J",
            "é",
            "a%2f",
            "~",
            "a@b",
            "a:b",
            &too_long,
        ] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }
}
