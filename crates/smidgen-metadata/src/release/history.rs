//! The signed memory of a build line: its last releases in some eight bytes each.
//!
//! It is written by columns, not by releases: what is alike stands together, and a packer sees it.

use serde::Serialize;

use super::{Name, PluginRelease, Severity};
use crate::canonical::{Value, View, integer};
use crate::digest::BuildPrefix;
use crate::fields::{Malformed, Place, into_array, into_natural, into_text, parse_text};

/// Releases that a publisher keeps in a line's history, the listed ones included. Ten weeks of weekly releases; every
/// client fetches all of it with each update, some nine bytes a release, and with these an update's metadata stays below
/// 1.6 kB for every line of a fleet of 10^5. Who was away for longer is told to take what they skipped as critical.
pub const HISTORY_CAP: usize = 10;

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
    /// The first four bytes of the build digest.
    pub build: BuildPrefix,
    /// Whether the publisher took it back.
    pub withdrawn: bool,
}

/// Digits of a build in the column of builds.
const BUILD_DIGITS: usize = 8;

impl HistoryEntry {
    /// The highest severity of the core and of all plugins.
    pub fn highest_severity(&self) -> Severity {
        self.plugins.iter().map(|plugin| plugin.severity).fold(self.severity, Severity::max)
    }
}

/// Reads `[runs, severities, versions, builds, plugins]`; the entries come in growing order.
///
/// A plugin that an entry does not name is at the version of the entry before, and routine.
pub(super) fn read_history(value: View<'_>, place: Place<'_>) -> Result<Vec<HistoryEntry>, Malformed> {
    let found = value.kind();
    let columns: Option<[View<'_>; 5]> = match value {
        View::Array(items) => items.try_into().ok(),
        _ => None,
    };
    let Some([runs, severities, versions, builds, plugins]) = columns else {
        return Err(Malformed::new(place, found, "[runs, severities, versions, builds, plugins]"));
    };
    let severities = into_text(severities, place.member("severities"))?;
    let versions = into_text(versions, place.member("versions"))?;
    let builds = into_text(builds, place.member("builds"))?;
    let plugins = into_text(plugins, place.member("plugins"))?;

    let mut sequences = Sequences::read(runs, place.member("runs"))?;
    let (mut versions, mut builds) = (split(&versions, ' '), &*builds);
    let mut plugins = split(&plugins, ',');
    let mut history: Vec<HistoryEntry> = Vec::new();
    for (index, letter) in severities.chars().enumerate() {
        let place = place.item(index);
        let shorter = |column| Malformed::new(place, format!("a shorter column of {column}"), "one for each");
        let severity = Severity::from_letter(letter.to_ascii_lowercase()).ok_or_else(|| {
            Malformed::new(
                place,
                format!("the severity {letter:?}"),
                "r, f, i or c, in capitals if withdrawn",
            )
        })?;
        let (build, rest) = builds.split_at_checked(BUILD_DIGITS).ok_or_else(|| shorter("builds"))?;
        builds = rest;
        let entry = HistoryEntry {
            sequence: sequences.next().ok_or_else(|| shorter("runs"))?,
            version: parse_text(versions.next().ok_or_else(|| shorter("versions"))?, place)?,
            severity,
            plugins: carry(history.last(), plugins.next().unwrap_or_default(), place)?,
            build: parse_text(build, place)?,
            withdrawn: letter.is_ascii_uppercase(),
        };
        history.push(entry);
    }
    let has_more = sequences.next().is_some()
        || versions.next().is_some()
        || !builds.is_empty()
        || plugins.next().is_some();
    if has_more || history.is_empty() {
        return Err(Malformed::new(place, "columns of different lengths", "as many of each as severities"));
    }
    Ok(history)
}

/// Writes entries in growing order.
pub(super) fn write_history(history: &[&HistoryEntry]) -> Value {
    let severities: String = history
        .iter()
        .map(|entry| {
            let letter = entry.severity.letter();
            if entry.withdrawn { letter.to_ascii_uppercase() } else { letter }
        })
        .collect();
    let versions: Vec<&str> = history.iter().map(|entry| entry.version.as_str()).collect();
    let builds: String = history.iter().map(|entry| entry.build.to_string()).collect();
    let mut before = None;
    let plugins: Vec<String> =
        history.iter().map(|entry| named(entry, before.replace(*entry)).join(" ")).collect();
    Value::Array(vec![
        Sequences::write(history.iter().map(|entry| entry.sequence)),
        severities.into(),
        versions.join(" ").into(),
        builds.into(),
        plugins.join(",").trim_end_matches(',').into(),
    ])
}

/// The parts of a column. A set of one character is compared with each, which is quicker in columns as short as these
/// than the search for a character.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split([separator])
}

/// The plugins of an entry, from those of the entry before and those that are named.
fn carry(
    before: Option<&HistoryEntry>,
    named: &str,
    place: Place<'_>,
) -> Result<Vec<PluginRelease>, Malformed> {
    let carried = |plugin: &PluginRelease| PluginRelease { severity: Severity::Routine, ..plugin.clone() };
    let mut plugins: Vec<PluginRelease> =
        before.map(|entry| entry.plugins.iter().map(carried).collect()).unwrap_or_default();
    for text in split(named, ' ').filter(|text| !text.is_empty()) {
        let plugin: PluginRelease = parse_text(text, place)?;
        match plugins.iter_mut().find(|known| known.name == plugin.name) {
            Some(known) => *known = plugin,
            None => plugins.push(plugin),
        }
    }
    plugins.sort();
    Ok(plugins)
}

/// The plugins that an entry has to name because they are not as they were in the entry before.
fn named(entry: &HistoryEntry, before: Option<&HistoryEntry>) -> Vec<String> {
    let is_carried = |plugin: &&PluginRelease| {
        let same = |known: &PluginRelease| known.name == plugin.name && known.version == plugin.version;
        plugin.severity == Severity::Routine && before.is_some_and(|before| before.plugins.iter().any(same))
    };
    entry.plugins.iter().filter(|plugin| !is_carried(plugin)).map(ToString::to_string).collect()
}

/// Growing sequences as runs: the first and the last of each. Counted one by one: a run may claim to be of any length.
struct Sequences {
    runs: std::vec::IntoIter<(u64, u64)>,
    /// What is left of the run that was begun.
    run: Option<(u64, u64)>,
}

impl Sequences {
    fn read(value: View<'_>, place: Place<'_>) -> Result<Self, Malformed> {
        let items = into_array(value, place)?.into_iter();
        let numbers = items.map(|item| into_natural(item, place)).collect::<Result<Vec<_>, _>>()?;
        let mut runs = Vec::new();
        let mut least = 1;
        for pair in numbers.chunks(2) {
            match *pair {
                [first, last] if first >= least && last >= first => {
                    runs.push((first, last));
                    least = last.saturating_add(1);
                }
                _ => {
                    return Err(Malformed::new(place, format!("{pair:?}"), "first and last of growing runs"));
                }
            }
        }
        Ok(Self { runs: runs.into_iter(), run: None })
    }

    fn write(sequences: impl Iterator<Item = u64>) -> Value {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for sequence in sequences {
            match runs.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(sequence) => *last = sequence,
                _ => runs.push((sequence, sequence)),
            }
        }
        Value::Array(runs.into_iter().flat_map(|(first, last)| [integer(first), integer(last)]).collect())
    }
}

impl Iterator for Sequences {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let (next, last) = self.run.take().or_else(|| self.runs.next())?;
        self.run = next.checked_add(1).filter(|after| *after <= last).map(|after| (after, last));
        Some(next)
    }
}
