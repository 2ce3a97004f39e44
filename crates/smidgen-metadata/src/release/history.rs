//! The signed memory of a build line: its last releases in a few bytes each.

use serde::Serialize;

use super::{Name, PluginRelease, Severity};
use crate::canonical::{Value, integer};
use crate::digest::BuildPrefix;
use crate::fields::{Malformed, into_natural, into_string};

/// Releases that a publisher keeps in a line's history, the listed ones included. A year of weekly releases, nearly; at
/// some forty bytes each it stays below what one patch entry costs after compression.
pub const HISTORY_CAP: usize = 48;

/// What is remembered of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryEntry {
    /// Its number in the line.
    pub sequence: u64,
    /// Its version.
    pub version: Name,
    /// What changed in the core.
    pub severity: Severity,
    /// Every plugin with its version and what changed in it, by name.
    pub plugins: Vec<PluginRelease>,
    /// The first eight bytes of the build digest.
    pub build: BuildPrefix,
    /// Whether the publisher took it back.
    pub withdrawn: bool,
}

impl HistoryEntry {
    /// The highest severity of the core and of all plugins.
    pub fn highest_severity(&self) -> Severity {
        self.plugins.iter().map(|plugin| plugin.severity).fold(self.severity, Severity::max)
    }

    /// Reads `[sequence, version, severity, build, plugins?, withdrawn?]`. A plugin that the entry does not name is at the
    /// version of the entry before, and routine.
    pub(super) fn read(value: Value, place: &str, before: Option<&Self>) -> Result<Self, Malformed> {
        let Value::Array(items) = value else { return Err(Malformed::new(place, value.kind(), "an array")) };
        let mut items = items.into_iter();
        let mut next =
            |expected: &str| items.next().ok_or_else(|| Malformed::new(place, "a shorter array", expected));
        let at = || place.to_owned();
        let sequence = into_natural(next("a sequence")?, at)?;
        let version = parse(next("a version")?, place)?;
        let severity = parse(next("a severity")?, place)?;
        let build = parse(next("the first eight bytes of a build digest")?, place)?;
        let named = match items.next() {
            None => Vec::new(),
            Some(Value::Array(named)) => named,
            Some(other) => return Err(Malformed::new(place, other.kind(), "an array of plugins")),
        };
        let withdrawn = match items.next() {
            None => false,
            Some(Value::Bool(withdrawn)) => withdrawn,
            Some(other) => return Err(Malformed::new(place, other.kind(), "whether it is withdrawn")),
        };
        let carried =
            |plugin: &PluginRelease| PluginRelease { severity: Severity::Routine, ..plugin.clone() };
        let mut plugins: Vec<PluginRelease> =
            before.map(|entry| entry.plugins.iter().map(carried).collect()).unwrap_or_default();
        for value in named {
            let plugin: PluginRelease = parse(value, place)?;
            match plugins.iter_mut().find(|known| known.name == plugin.name) {
                Some(known) => *known = plugin,
                None => plugins.push(plugin),
            }
        }
        plugins.sort();
        Ok(Self { sequence, version, severity, plugins, build, withdrawn })
    }

    pub(super) fn write(&self, before: Option<&Self>) -> Value {
        let carried = |plugin: &&PluginRelease| {
            plugin.severity == Severity::Routine
                && before.is_some_and(|entry| {
                    entry
                        .plugins
                        .iter()
                        .any(|known| known.name == plugin.name && known.version == plugin.version)
                })
        };
        let named: Vec<Value> = self
            .plugins
            .iter()
            .filter(|plugin| !carried(plugin))
            .map(|plugin| Value::String(plugin.to_string()))
            .collect();
        let mut items = vec![
            integer(self.sequence),
            self.version.as_str().into(),
            self.severity.as_str().into(),
            self.build.to_string().into(),
        ];
        if self.withdrawn {
            items.extend([Value::Array(named), true.into()]);
        } else if !named.is_empty() {
            items.push(Value::Array(named));
        }
        Value::Array(items)
    }
}

/// A string that is read further.
pub(super) fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
    value: Value,
    place: &str,
) -> Result<T, Malformed> {
    let text = into_string(value, || place.to_owned())?;
    text.parse().map_err(|error: T::Err| Malformed::new(place, format!("{text:?}"), error.to_string()))
}
