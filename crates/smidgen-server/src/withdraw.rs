//! Withdrawing: a release that turned out bad is not offered any more.

use serde::Serialize;
use smidgen_metadata::{BuildLine, Line, LineId, Malformed, Name};

use crate::Reporter;
use crate::keys::Keys;
use crate::lines;
use crate::publish::line_label;
use crate::repository::{Depth, Repository, RepositoryError, Signers};

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
        /// The lines that there are.
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
/// the newest release before it takes its place. Its files stay until `gc` finds that nothing lists them.
///
/// # Errors
/// [`WithdrawError`]; what clients see was not changed.
pub async fn withdraw(
    repository: &Repository,
    keys: &Keys,
    request: &WithdrawRequest,
    reporter: &dyn Reporter,
) -> Result<WithdrawReport, WithdrawError> {
    let signers = Signers::read(keys, repository.load().await?.root())?;
    loop {
        let lock = repository.lock(reporter).await?;
        let state = repository.load().await?;
        let label = || line_label(&request.line);
        let line = Line::read(state.targets(), &request.line)
            .map_err(|fault| WithdrawError::LineMalformed { line: label(), fault })?;
        let Some(mut line) = line else {
            let known = lines::read(state.targets()).0;
            let known: Vec<String> = known.iter().map(|known| line_label(&known.id)).collect();
            return Err(WithdrawError::UnknownLine { line: label(), known: or_none(&known) });
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
            line.withdraw(entry.sequence);
            let mut targets = state.targets().clone();
            line.write(&mut targets, &request.line);
            match repository.commit(&lock, &state, Depth::Targets(targets.targets), &signers, reporter).await
            {
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

fn or_none(known: &[String]) -> String {
    if known.is_empty() { "nothing".into() } else { known.join("; ") }
}
