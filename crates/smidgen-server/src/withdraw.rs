//! Withdrawing: a release that turned out bad is not offered any more.

use std::collections::BTreeSet;

use serde::Serialize;
use smidgen_metadata::{BuildLine, HistoryEntry, Line, LineId, Malformed, Name, Role};

use crate::Reporter;
use crate::keys::Keys;
use crate::lines;
use crate::publish::{Older, line_label};
use crate::repository::{Depth, Repository, RepositoryError, Signers, State};
use crate::store::StoreError;

/// Which release of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// By what people call it.
    Version(Name),
    /// By its integer within the line.
    Sequence(u64),
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version(version) => write!(f, "version {version}"),
            Self::Sequence(sequence) => write!(f, "sequence {sequence}"),
        }
    }
}

/// What to withdraw.
#[derive(Clone, Debug)]
pub struct WithdrawRequest {
    /// The build line.
    pub line: BuildLine,
    /// The release.
    pub release: Which,
}

/// What withdrawing did.
#[derive(Clone, Debug, Serialize)]
pub struct WithdrawReport {
    /// The build line.
    pub line: BuildLine,
    /// Its short name.
    pub line_id: LineId,
    /// The release's integer within its line.
    pub sequence: u64,
    /// What people call it.
    pub version: Name,
    /// Whether it had been withdrawn before, so that nothing was changed.
    pub already: bool,
    /// What clients are offered now; `None`: nothing is left.
    pub newest: Option<Newest>,
}

/// The release that clients of a line are offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Newest {
    /// Its integer within the line.
    pub sequence: u64,
    /// What people call it.
    pub version: Name,
}

/// A release that could not be withdrawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WithdrawError {
    /// The repository cannot be opened or changed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// Nothing was ever published to the line.
    #[error("nothing was published to {line}; there is: {known}")]
    UnknownLine {
        /// Product, channel, platform and plugins.
        line: String,
        /// The lines that there are in its shard.
        known: String,
    },
    /// The line does not remember the release.
    #[error("{line} has no {release}; it has: {known}")]
    UnknownRelease {
        /// Product, channel, platform and plugins.
        line: String,
        /// As asked for.
        release: Which,
        /// The versions that it remembers.
        known: String,
    },
    /// The build line in the signed metadata is not readable.
    #[error("the line {line} cannot be read: {fault}; restore the repository from a copy")]
    LineMalformed {
        /// Product, channel, platform and plugins.
        line: String,
        /// What is wrong.
        fault: Malformed,
    },
}

impl From<StoreError> for WithdrawError {
    fn from(error: StoreError) -> Self {
        Self::Repository(error.into())
    }
}

impl WithdrawError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Repository(error) => error.code(),
            Self::UnknownLine { .. } => "unknown_line",
            Self::UnknownRelease { .. } => "unknown_release",
            Self::LineMalformed { .. } => "malformed_metadata",
        }
    }
}

/// Takes a release back: clients are not offered it any more, those that run it can tell from the signed history, and
/// the newest release before it takes its place, from an older version of the role if it was not listed any more. Files
/// stay until `gc` finds that nothing lists them.
///
/// # Errors
/// [`WithdrawError`]; what clients see was not changed.
pub async fn withdraw(
    repository: &Repository,
    keys: &Keys,
    request: &WithdrawRequest,
    reporter: &dyn Reporter,
) -> Result<WithdrawReport, WithdrawError> {
    let part = repository.of_line(&request.line).await?;
    if !part.exists().await? {
        return Err(unknown_line(request, &[]));
    }
    let lines = BTreeSet::from([request.line.clone()]);
    let product = request.line.product.to_string();
    loop {
        let lock = part.lock(reporter).await?;
        let state = part.load_lines(&lines).await?;
        let label = || line_label(&request.line);
        let line = state
            .line(&request.line)
            .map_err(|fault| WithdrawError::LineMalformed { line: label(), fault })?;
        let Some(mut line) = line else {
            let known: Vec<String> = match part.load_all().await {
                Ok(state) => lines::read(&state).0.iter().map(|known| line_label(&known.id)).collect(),
                Err(_) => Vec::new(),
            };
            return Err(unknown_line(request, &known));
        };
        let wanted = |sequence: u64, version: &Name| match &request.release {
            Which::Version(wanted) => wanted == version,
            Which::Sequence(wanted) => *wanted == sequence,
        };
        let entry = line.history().iter().rev().find(|entry| wanted(entry.sequence, &entry.version)).cloned();
        let Some(entry) = entry else {
            let known: Vec<String> = line.history().iter().map(|entry| entry.version.to_string()).collect();
            let release = request.release.clone();
            return Err(WithdrawError::UnknownRelease { line: label(), release, known: or_none(&known) });
        };
        if !entry.withdrawn {
            let signers = Signers::read_for_products(keys, &state, [product.clone()])?;
            line.withdraw(entry.sequence);
            if line.newest().is_none() {
                list_older(&part, &state, &request.line, &mut line).await;
            }
            let depth = Depth::Lines(vec![(request.line.clone(), line.clone())]);
            match part.commit(&lock, &state, depth, &signers, reporter).await {
                Err(error) if error.is_conflict() => continue,
                committed => committed?,
            };
        }
        let newest =
            line.newest().map(|newest| Newest { sequence: newest.sequence, version: newest.version.clone() });
        return Ok(WithdrawReport {
            line_id: request.line.id(),
            line: request.line.clone(),
            sequence: entry.sequence,
            version: entry.version,
            already: entry.withdrawn,
            newest,
        });
    }
}

/// Lists the newest release again that was not withdrawn and whose full copy is still there.
async fn list_older(part: &Repository, state: &State, id: &BuildLine, line: &mut Line) {
    let Some(role) = state.role_of(id) else { return };
    let before = state.delegated(role).map_or(0, Role::version);
    let good: Vec<HistoryEntry> = line.history().iter().filter(|entry| !entry.withdrawn).cloned().collect();
    let found = Older { repository: part, line: id, role, before }.recall(&good).await;
    for mut release in found.into_values().rev().flatten() {
        let is_there = async |key: String, size| matches!(part.store().entry(&key).await, Ok(Some(entry)) if entry.size == size);
        if !is_there(release.full.path(), release.full.size).await {
            continue;
        }
        release.raw = release.raw && is_there(release.raw_path(id), release.size).await;
        let mut patches = Vec::new();
        for patch in std::mem::take(&mut release.patches) {
            if is_there(patch.path(), patch.size).await {
                patches.push(patch);
            }
        }
        release.patches = patches;
        if line.list_again(release) {
            return;
        }
    }
}

fn unknown_line(request: &WithdrawRequest, known: &[String]) -> WithdrawError {
    WithdrawError::UnknownLine { line: line_label(&request.line), known: or_none(known) }
}

fn or_none(known: &[String]) -> String {
    if known.is_empty() { "nothing".into() } else { known.join("; ") }
}
