//! The releases of one build line, and what a client or a publisher wants to know about them.

use serde::Serialize;

use super::entry::{MAX_MODE, are_notes};
use super::history::{read_history, write_history};
use super::{BuildLine, HISTORY_CAP, HistoryEntry, Release, Severity};
use crate::canonical::{Members, View};
use crate::digest::Blake3;
use crate::fields::{Fields, Malformed, Place};
use crate::targets::{Target, Targets};

/// The releases of one build line. [`TrustedSet::search`](crate::TrustedSet::search) finds it for clients,
/// [`Line::read`] and [`Line::write`] to publishers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Line {
    releases: Vec<Release>,
    history: Vec<HistoryEntry>,
    /// A withdrawn release that is still listed, to carry the history, because nothing else is.
    #[serde(skip)]
    tombstone: Option<Release>,
}

/// Why a release cannot join its line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// The number is not new.
    #[error("the release has sequence {found}, expected {next} or more")]
    Sequence {
        /// The number of the release.
        found: u64,
        /// The next free number.
        next: u64,
    },
    /// The plugins are not those of the line.
    #[error("the release has the plugins {found:?}, expected those of its build line: {expected:?}")]
    Plugins {
        /// Plugins of the release.
        found: Vec<String>,
        /// Plugins of the line.
        expected: Vec<String>,
    },
    /// A mode beyond permission bits.
    #[error("the release has mode {found:o}, expected at most 777: releases set no user id")]
    Mode {
        /// The mode of the release.
        found: u32,
    },
    /// Notes that are no text.
    #[error("the notes hold control characters or more than 4096 bytes: shorten or clean them")]
    Notes,
}

impl LineError {
    /// A short name that never changes its meaning; the table is in `docs/metadata.md`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Sequence { .. } => "sequence_taken",
            Self::Plugins { .. } => "other_plugins",
            Self::Mode { .. } => "bad_mode",
            Self::Notes => "bad_notes",
        }
    }
}

impl Line {
    /// Reads the line from targets metadata; `None` if it lists nothing under the line's prefix.
    ///
    /// # Errors
    /// [`Malformed`] if an entry under the prefix is no release of this line.
    pub fn read(targets: &Targets, line: &BuildLine) -> Result<Option<Self>, Malformed> {
        // As most roles that a search looks into: they delegate.
        if targets.targets.is_empty() {
            return Ok(None);
        }
        let prefix = line.target_prefix();
        let mut read = Self::default();
        let mut newest = None;
        for (path, target) in entries(targets, &prefix) {
            let (release, history, withdrawn) = read_entry(path, target, line, &prefix)?;
            if newest.as_ref().is_none_or(|(sequence, _)| *sequence < release.sequence) {
                newest = Some((release.sequence, history));
            }
            read.history.push(HistoryEntry { withdrawn, ..release.to_history() });
            if withdrawn {
                read.tombstone = Some(release);
            } else {
                read.releases.push(release);
            }
        }
        let Some((_, history)) = newest else { return Ok(None) };
        read.releases.sort_by_key(|release| release.sequence);
        if let Some(history) = history {
            read.history.extend(read_history(history, Place::Top(&format!("{prefix}..custom.history")))?);
        }
        read.history.sort_by_key(|entry| entry.sequence);
        let twice = read.history.windows(2).find(|pair| matches!(pair, [a, b] if a.sequence == b.sequence));
        if let Some([entry, _]) = twice {
            return Err(Malformed::new(
                prefix,
                format!("the sequence {} twice", entry.sequence),
                "distinct sequences",
            ));
        }
        Ok(Some(read))
    }

    /// Replaces what targets metadata lists of the line.
    pub fn write(&self, targets: &mut Targets, line: &BuildLine) {
        let prefix = line.target_prefix();
        targets.targets.retain(|path, _| !path.starts_with(&prefix));
        let listed = if self.releases.is_empty() { self.tombstone.as_slice() } else { &self.releases };
        // Listed releases are remembered by being listed; both together stay within the cap.
        let is_listed =
            |entry: &&HistoryEntry| listed.iter().any(|release| release.sequence == entry.sequence);
        let mut history: Vec<&HistoryEntry> = self.history.iter().filter(|entry| !is_listed(entry)).collect();
        let cap = HISTORY_CAP.saturating_sub(listed.len());
        history.drain(..history.len().saturating_sub(cap));
        for (index, release) in listed.iter().enumerate().rev() {
            let mut target = release.write();
            if let Some(custom) = &mut target.custom {
                if index.saturating_add(1) == listed.len() && !history.is_empty() {
                    custom.insert("history".to_owned(), write_history(&history));
                }
                if self.releases.is_empty() {
                    custom.insert("withdrawn".to_owned(), true.into());
                }
            }
            targets.targets.insert(release.target_path(line), target);
        }
    }

    /// Releases that a client may be sent to, the oldest first.
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// What is remembered, listed releases included, the oldest first.
    pub fn history(&self) -> &[HistoryEntry] {
        &self.history
    }

    /// The release that a client with no reason to do otherwise runs.
    pub fn newest(&self) -> Option<&Release> {
        self.releases.last()
    }

    /// The listed release with this number.
    pub fn release(&self, sequence: u64) -> Option<&Release> {
        self.releases.iter().find(|release| release.sequence == sequence)
    }

    /// What is known about a build: whether it was ever released here, as what, and whether it was withdrawn. The newest
    /// release of the build counts if it was released twice.
    pub fn find_build(&self, build: &Blake3) -> Option<&HistoryEntry> {
        let prefix = build.prefix();
        self.history.iter().rev().find(|entry| entry.build == prefix)
    }

    /// The highest severity, in the core and in every plugin, of all releases after `from` up to and with `to`: what
    /// somebody skips who goes from one to the other, withdrawn releases included, whose fixes later ones contain.
    ///
    /// A number between them that the history does not remember counts as critical.
    pub fn highest_severity_skipped(&self, from: u64, to: u64) -> Severity {
        let skipped = self.history.iter().filter(|entry| from < entry.sequence && entry.sequence <= to);
        let remembered = u64::try_from(skipped.clone().count()).unwrap_or(u64::MAX);
        if remembered < to.saturating_sub(from) {
            return Severity::Critical;
        }
        skipped.map(HistoryEntry::highest_severity).max().unwrap_or_default()
    }

    /// The smallest change after `from` that leaves nothing of severity `least` or higher behind: the first listed release
    /// that is not older than the last one which mattered so much. `None` if nothing after `from` did.
    ///
    /// A number that the history does not remember counts as critical.
    pub fn smallest_clearing(&self, from: u64, least: Severity) -> Option<&Release> {
        let cleared = self.last_that_matters(from, least)?;
        self.releases.iter().find(|release| release.sequence >= cleared && release.sequence > from)
    }

    /// The last number after `from`, up to the newest offered release, whose release is forgotten or matters that much.
    fn last_that_matters(&self, from: u64, least: Severity) -> Option<u64> {
        let newest = self.newest()?.sequence;
        let mut number = newest;
        let offered = self.history.iter().rev().skip_while(|entry| entry.sequence > newest);
        for entry in offered.take_while(|entry| entry.sequence > from) {
            if entry.sequence < number || entry.highest_severity() >= least {
                return Some(number);
            }
            number = number.saturating_sub(1);
        }
        (number > from).then_some(number)
    }

    /// Where a roll back from `sequence` leads: the newest listed release before it.
    pub fn roll_back_from(&self, sequence: u64) -> Option<&Release> {
        self.releases.iter().rev().find(|release| release.sequence < sequence)
    }

    /// The number of the next release. Numbers of withdrawn releases are not used again.
    pub fn next_sequence(&self) -> u64 {
        self.history.last().map_or(1, |entry| entry.sequence.saturating_add(1))
    }

    /// Adds a release at the end. Numbers may be left out, but clients take each of those for a critical release.
    ///
    /// # Errors
    /// [`LineError`] if clients could not read it, or would not take it for this line's newest.
    pub fn push(&mut self, mut release: Release, line: &BuildLine) -> Result<(), LineError> {
        let next = self.next_sequence();
        if release.sequence < next {
            return Err(LineError::Sequence { found: release.sequence, next });
        }
        release.plugins.sort();
        if !has_plugins_of(&release, line) {
            return Err(LineError::Plugins {
                found: release.plugins.iter().map(|plugin| plugin.name.to_string()).collect(),
                expected: line.plugins.iter().map(ToString::to_string).collect(),
            });
        }
        if release.mode > MAX_MODE {
            return Err(LineError::Mode { found: release.mode });
        }
        if !release.notes.as_deref().is_none_or(are_notes) {
            return Err(LineError::Notes);
        }
        self.history.push(release.to_history());
        self.releases.push(release);
        self.tombstone = None;
        Ok(())
    }

    /// Takes a release back: nobody is sent to it any more, and clients that run it can tell. `false` if the line does not
    /// remember it.
    ///
    /// If no other release is listed, it stays in the metadata, marked as withdrawn, to carry the history.
    pub fn withdraw(&mut self, sequence: u64) -> bool {
        let Some(entry) = self.history.iter_mut().find(|entry| entry.sequence == sequence) else {
            return false;
        };
        entry.withdrawn = true;
        if let Some(index) = self.releases.iter().position(|release| release.sequence == sequence) {
            let mut release = self.releases.remove(index);
            if self.releases.is_empty() {
                release.patches.clear();
                self.tombstone = Some(release);
            }
        }
        true
    }

    /// Offers a release again that the history remembers and that was not withdrawn. `false`, and nothing changes, for any
    /// other, or one that is listed.
    pub fn list_again(&mut self, release: Release) -> bool {
        let remembered = self.history.iter().find(|entry| entry.sequence == release.sequence);
        if remembered != Some(&release.to_history()) || self.release(release.sequence).is_some() {
            return false;
        }
        self.releases.push(release);
        self.releases.sort_by_key(|release| release.sequence);
        self.tombstone = None;
        true
    }

    /// Unlists all but the newest `count` releases; the history keeps them. At least one stays.
    pub fn keep_newest(&mut self, count: usize) {
        self.releases.drain(..self.releases.len().saturating_sub(count.max(1)));
    }

    /// The listed releases, to change what may change: patches that are added later, notes.
    pub fn releases_mut(&mut self) -> impl Iterator<Item = &mut Release> {
        self.releases.iter_mut()
    }
}

fn entries<'a>(targets: &'a Targets, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Target)> {
    let from_prefix =
        targets.targets.range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
    from_prefix.map_while(move |(path, target)| path.strip_prefix(prefix).map(|path| (path, target)))
}

fn read_entry<'t>(
    path: &str,
    target: &'t Target,
    line: &BuildLine,
    prefix: &str,
) -> Result<(Release, Option<View<'t>>, bool), Malformed> {
    let place = format!("{prefix}{path}");
    let place = Place::Top(&place);
    let custom = target.custom.as_ref().ok_or_else(|| Malformed::new(place, "no custom", "a release"))?;
    let mut fields = Fields::over(Members::of(custom), place.member("custom"));
    let history = fields.optional("history");
    let withdrawn = fields.optional_bool("withdrawn")?.unwrap_or(false);
    let release = Release::read(path, target, fields)?;
    if !has_plugins_of(&release, line) {
        return Err(Malformed::new(place, "other plugins", "the plugins of the build line"));
    }
    Ok((release, history, withdrawn))
}

fn has_plugins_of(release: &Release, line: &BuildLine) -> bool {
    release.plugins.iter().map(|plugin| &plugin.name).eq(&line.plugins)
}
