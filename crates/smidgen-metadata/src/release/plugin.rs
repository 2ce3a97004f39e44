//! A plugin's part in a release: `NAME@VERSION[:SEVERITY]`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::{Name, Severity};

/// A plugin as it is in one release. Written `metrics@1.2.1:critical`; without a severity it is routine.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PluginRelease {
    /// The plugin.
    pub name: Name,
    /// Its version.
    pub version: Name,
    /// What changed in this plugin since the build line's release before.
    pub severity: Severity,
}

/// A string that is not `NAME@VERSION[:SEVERITY]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found the plugin {found:?}, expected NAME@VERSION[:SEVERITY]: {reason}")]
pub struct PluginError {
    found: String,
    reason: String,
}

impl FromStr for PluginRelease {
    type Err = PluginError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |reason: String| PluginError { found: text.chars().take(160).collect(), reason };
        let (name, rest) = text.split_once('@').ok_or_else(|| error("there is no @".to_owned()))?;
        let (version, severity) = match rest.split_once(':') {
            Some((version, severity)) => {
                (version, severity.parse().map_err(|fault| error(format!("{fault}")))?)
            }
            None => (rest, Severity::Routine),
        };
        Ok(Self {
            name: name.parse().map_err(|fault| error(format!("{fault}")))?,
            version: version.parse().map_err(|fault| error(format!("{fault}")))?,
            severity,
        })
    }
}

impl fmt::Display for PluginRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)?;
        if self.severity != Severity::Routine {
            write!(f, ":{}", self.severity)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["metrics@1.2.1", "metrics@1.2.1:critical"] {
            assert_eq!(text.parse::<PluginRelease>().unwrap().to_string(), text);
        }
        assert_eq!("a@1:routine".parse::<PluginRelease>().unwrap().to_string(), "a@1");
        for text in [
            "",
            "metrics",
            "@1",
            "metrics@",
            "metrics@1:",
            "metrics@1:urgent",
            "a@1@2",
            "../a@1",
            "a@1:critical:x",
        ] {
            assert!(text.parse::<PluginRelease>().is_err(), "{text}");
        }
    }
}
