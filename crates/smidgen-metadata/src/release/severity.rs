//! How much a release matters, and what a client wants.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How much a release, of the core or of a plugin, matters. Ordered: routine is the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing that anybody must have.
    #[default]
    Routine,
    /// Something new.
    Feature,
    /// Non-critical security, significant performance.
    Important,
    /// A high-risk vulnerability.
    Critical,
}

/// Which releases a client takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Every release.
    #[default]
    All,
    /// Features and what matters more.
    Feature,
    /// Important and critical releases.
    Important,
    /// Critical releases.
    Critical,
    /// None.
    None,
}

/// A word that is no severity or no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found:?}, expected one of {expected}")]
pub struct WordError {
    found: String,
    expected: &'static str,
}

impl Severity {
    /// All, the least first.
    pub const ALL: [Self; 4] = [Self::Routine, Self::Feature, Self::Important, Self::Critical];

    /// The word in metadata.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Routine => "routine",
            Self::Feature => "feature",
            Self::Important => "important",
            Self::Critical => "critical",
        }
    }

    /// The letter in histories: the first one of the word.
    pub(super) const fn letter(self) -> char {
        match self {
            Self::Routine => 'r',
            Self::Feature => 'f',
            Self::Important => 'i',
            Self::Critical => 'c',
        }
    }

    pub(super) fn from_letter(letter: char) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.letter() == letter)
    }
}

impl Policy {
    /// All, the widest first.
    pub const ALL: [Self; 5] = [Self::All, Self::Feature, Self::Important, Self::Critical, Self::None];

    /// The word in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Feature => "feature",
            Self::Important => "important",
            Self::Critical => "critical",
            Self::None => "none",
        }
    }

    /// Whether a change whose highest severity is `severity` is wanted.
    pub fn admits(self, severity: Severity) -> bool {
        self.least().is_some_and(|least| severity >= least)
    }

    /// The least severity that is wanted; `None` if nothing is.
    pub const fn least(self) -> Option<Severity> {
        match self {
            Self::All => Some(Severity::Routine),
            Self::Feature => Some(Severity::Feature),
            Self::Important => Some(Severity::Important),
            Self::Critical => Some(Severity::Critical),
            Self::None => None,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|severity| severity.as_str() == text);
        known.ok_or_else(|| WordError::new(text, "routine, feature, important, critical"))
    }
}

impl FromStr for Policy {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|policy| policy.as_str() == text);
        known.ok_or_else(|| WordError::new(text, "all, feature, important, critical, none"))
    }
}

impl WordError {
    fn new(found: &str, expected: &'static str) -> Self {
        Self { found: found.chars().take(32).collect(), expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_admit_what_matters_at_least_as_much() {
        let admitted =
            |policy: Policy| Severity::ALL.into_iter().filter(|severity| policy.admits(*severity)).count();
        assert_eq!(Policy::ALL.map(admitted), [4, 3, 2, 1, 0]);
        assert!(Policy::Critical.admits(Severity::Critical));
    }

    #[test]
    fn words_come_back() {
        for severity in Severity::ALL {
            assert_eq!(severity.to_string().parse(), Ok(severity));
        }
        for policy in Policy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert!("Critical".parse::<Severity>().is_err());
    }
}
