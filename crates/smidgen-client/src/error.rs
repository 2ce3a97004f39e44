//! What can go wrong: a stable code for logs, a kind to branch on, and a message with the remedy.

use std::io;
use std::time::Duration;

use serde::Serialize;
use smidgen_delta::Fault;
use smidgen_metadata::VerifyError;

pub use crate::causes::{
    AnswerError, BlobError, InstalledError, PlanError, SetupError, StageError, StorageError, TrustError,
};
use crate::transport::TransportError;

/// Why a step failed. The installed build is untouched, whatever it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client cannot run as it was set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// No answer, or a broken one.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An answer that is of no use.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// Metadata that must not be believed.
    #[error("metadata is not trusted: {0}")]
    Untrusted(Box<VerifyError>),
    /// What earlier refreshes stored is damaged.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A step on the file system.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// What is installed.
    #[error(transparent)]
    Installed(#[from] InstalledError),
    /// No way to the new build.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A patch or full copy that is not what was signed.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The new build could not be made from a good blob.
    #[error(transparent)]
    Stage(#[from] StageError),
}

impl From<VerifyError> for Error {
    fn from(error: VerifyError) -> Self {
        Self::Untrusted(Box::new(error))
    }
}

/// What the embedding program can do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Nothing: try again later, it may well go by itself.
    Retry,
    /// What came must not be believed; somebody tampers, or the publisher made a mistake.
    Untrusted,
    /// Free some space.
    DiskFull,
    /// Get the right to write there.
    NotPermitted,
    /// The address or the product is wrong.
    NotFound,
    /// Another process is updating the same folder.
    Busy,
    /// Files in the folder are not what we left there; a person has to look.
    Changed,
    /// The configuration forbids it or makes no sense.
    Misconfigured,
    /// Above a limit: raise it, or publish something smaller.
    Limit,
    /// The disk is in trouble.
    Storage,
    /// Ours: please report it.
    Bug,
}

impl Error {
    /// The stable name of what went wrong, for logs and for alerts. `docs/client.md` lists all.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setup(error) => match error {
                SetupError::Url { .. } => "bad_url",
                SetupError::Busy { .. } => "busy",
                SetupError::BlockingInAsync => "blocking_in_async",
                SetupError::Runtime { .. } => "no_runtime",
                SetupError::Stopped { .. } => "stopped",
            },
            Self::Transport(error) => match error {
                TransportError::Unreachable { .. } => "unreachable",
                TransportError::Broken { .. } => "connection_broken",
                TransportError::Redirect { .. } => "redirect_refused",
                TransportError::Setup { .. } => "http_setup",
            },
            Self::Answer(error) => match error {
                AnswerError::NoRepository { .. } => "no_repository",
                AnswerError::Missing { .. } => "repository_incomplete",
                AnswerError::Unavailable { .. } => "server_unavailable",
                AnswerError::Refused { .. } => "server_refused",
                AnswerError::TooLong { .. } => "too_long",
                AnswerError::TimedOut { .. } => "timed_out",
                AnswerError::TooSlow { .. } => "too_slow",
                AnswerError::Truncated { .. } => "truncated",
            },
            Self::Untrusted(error) => error.code(),
            Self::Trust(TrustError::Damaged { .. }) => "trust_store_damaged",
            Self::Storage(error) => match error.kind() {
                Kind::DiskFull => "disk_full",
                Kind::NotPermitted => "not_permitted",
                _ => "storage_failed",
            },
            Self::Installed(error) => match error {
                InstalledError::Unknown { .. } => "unknown_build",
                InstalledError::NotAFile { .. } => "not_a_file",
                InstalledError::Changed { .. } => "installed_file_changed",
                InstalledError::Renamed { .. } => "program_renamed",
            },
            Self::Plan(error) => match error {
                PlanError::UnknownLine { .. } => "unknown_product",
                PlanError::NothingReleased { .. } => "nothing_released",
                PlanError::FullCopyNotAllowed { .. } => "full_copy_not_allowed",
            },
            Self::Blob(BlobError::Damaged { .. }) => "blob_damaged",
            Self::Blob(BlobError::KeptDamaged { .. }) => "kept_build_damaged",
            Self::Stage(error) => error.code(),
        }
    }

    /// What the embedding program can do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Setup(error) => match error {
                SetupError::Busy { .. } => Kind::Busy,
                SetupError::Url { .. } | SetupError::BlockingInAsync => Kind::Misconfigured,
                SetupError::Runtime { .. } | SetupError::Stopped { .. } => Kind::Retry,
            },
            Self::Transport(error) => match error {
                TransportError::Unreachable { .. } | TransportError::Broken { .. } => Kind::Retry,
                TransportError::Redirect { .. } | TransportError::Setup { .. } => Kind::Misconfigured,
            },
            Self::Answer(error) => match error {
                AnswerError::NoRepository { .. } => Kind::NotFound,
                AnswerError::Refused { .. } => Kind::Misconfigured,
                AnswerError::TooLong { .. } => Kind::Untrusted,
                AnswerError::Missing { .. }
                | AnswerError::Unavailable { .. }
                | AnswerError::TimedOut { .. }
                | AnswerError::TooSlow { .. }
                | AnswerError::Truncated { .. } => Kind::Retry,
            },
            Self::Untrusted(_) | Self::Blob(BlobError::Damaged { .. }) => Kind::Untrusted,
            Self::Storage(error) => error.kind(),
            Self::Installed(_) | Self::Trust(_) => Kind::Changed,
            Self::Plan(PlanError::UnknownLine { .. } | PlanError::NothingReleased { .. }) => Kind::NotFound,
            Self::Plan(PlanError::FullCopyNotAllowed { .. }) => Kind::Misconfigured,
            Self::Blob(BlobError::KeptDamaged { .. }) => Kind::Storage,
            Self::Stage(error) => error.kind(),
        }
    }

    /// How long the server asks to be left alone, where it does.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Answer(AnswerError::Unavailable { retry_after, .. }) => *retry_after,
            _ => None,
        }
    }

    /// Whether another plan may succeed where this one failed. Not so if the folder or the whole server is the trouble:
    /// then the next plan, which costs more, would only fail later.
    pub(crate) fn leaves_other_plans(&self) -> bool {
        !matches!(
            self,
            Self::Setup(_)
                | Self::Transport(TransportError::Unreachable { .. } | TransportError::Setup { .. })
                | Self::Installed(_)
                | Self::Storage(StorageError::Step { .. })
        )
    }
}

impl StorageError {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Space { .. } => Kind::DiskFull,
            Self::Step { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::DiskFull,
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Kind::NotPermitted,
                _ => Kind::Storage,
            },
        }
    }
}

impl StageError {
    fn fault(&self) -> Fault {
        match self {
            Self::Parse(error) => error.fault(),
            Self::Apply(error) => error.fault(),
            Self::Expand(error) => error.fault(),
            Self::Mislabelled { .. } | Self::Differs { .. } => Fault::PatchDamaged,
        }
    }

    fn code(&self) -> &'static str {
        match self.fault() {
            Fault::PatchUnsupported => "patch_unsupported",
            Fault::OldDiffers => "installed_file_changed",
            Fault::OldUnreadable | Fault::PatchUnreadable | Fault::OutputFailed => "storage_failed",
            Fault::LimitExceeded => "limit_exceeded",
            Fault::PatchDamaged => match self {
                Self::Expand(_) => "full_copy_damaged",
                Self::Mislabelled { .. } => "patch_mislabelled",
                Self::Differs { .. } => "result_differs",
                _ => "patch_damaged",
            },
            _ => "bug",
        }
    }

    fn kind(&self) -> Kind {
        match self.fault() {
            Fault::PatchDamaged | Fault::PatchUnsupported => Kind::Untrusted,
            Fault::OldDiffers => Kind::Changed,
            Fault::OldUnreadable | Fault::PatchUnreadable | Fault::OutputFailed => Kind::Storage,
            Fault::LimitExceeded => Kind::Limit,
            _ => Kind::Bug,
        }
    }
}
