//! Why a repository cannot be opened or changed.

use smidgen_metadata::sign::SignError;
use smidgen_metadata::{Name, RoleKind, Timestamp, VerifyError};

use crate::keys::KeysError;
use crate::store::StoreError;

/// An operation on a [`Repository`](super::Repository) that failed. Nothing that clients see was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepositoryError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A secret key cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// There is no root.
    #[error("{location} is not a repository (it has no metadata/1.root.json): make one with `smidgen init`")]
    NotARepository {
        /// The store.
        location: String,
    },
    /// There is a repository already.
    #[error("{location} is a repository already (named {name}): nothing was changed")]
    AlreadyInitialised {
        /// The store.
        location: String,
        /// Its signed name.
        name: Name,
    },
    /// A folder with other things in it would be served with them.
    #[error(
        "{location} holds {found:?}, which is no part of a repository and would be served with it: give an empty folder"
    )]
    NotEmpty {
        /// The store.
        location: String,
        /// The first thing that does not belong there.
        found: String,
    },
    /// A name that cannot be one.
    #[error("{name:?} cannot be a repository's name")]
    BadName {
        /// As given.
        name: String,
    },
    /// The timestamp carries no name.
    #[error(
        "the timestamp in {location} names no repository: it was not made by smidgen; publish to one that `smidgen init` made"
    )]
    Nameless {
        /// The store.
        location: String,
    },
    /// Metadata in the repository is not what was signed.
    #[error("{key} cannot be trusted: {source}")]
    Verify {
        /// The file.
        key: String,
        /// What was found, and what to do.
        source: VerifyError,
    },
    /// A role that stays as it is has expired, so that no client would take what is built upon it.
    #[error(
        "{role} expired at {expires}, and it is {now}: sign it again too (`smidgen resign` with its key), or set the clock right"
    )]
    Expired {
        /// The role.
        role: RoleKind,
        /// When it expired.
        expires: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// The clock is behind the newest signature.
    #[error("the clock says {now}, but this repository was last signed at {signed}: set the clock right")]
    ClockBack {
        /// What the clock says.
        now: Timestamp,
        /// The newest signed time.
        signed: Timestamp,
    },
    /// A key does not sign.
    #[error("failed to sign {role}: {source}")]
    Sign {
        /// The role.
        role: RoleKind,
        /// Why.
        source: SignError,
    },
    /// What was signed would not be accepted by a client; found out before anybody saw it.
    #[error(
        "the new {role} does not pass a client's verification ({source}): this is a defect, please report it"
    )]
    Unacceptable {
        /// The role.
        role: RoleKind,
        /// What the client would say.
        source: VerifyError,
    },
    /// Version numbers have run out.
    #[error(
        "{role} has no version after {version}: the repository was tampered with; restore it from a copy"
    )]
    VersionsExhausted {
        /// The role.
        role: RoleKind,
        /// Its version.
        version: u64,
    },
}

impl RepositoryError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::Keys(error) => error.code(),
            Self::NotARepository { .. } => "not_a_repository",
            Self::AlreadyInitialised { .. } => "already_initialised",
            Self::NotEmpty { .. } => "folder_not_empty",
            Self::BadName { .. } => "bad_name",
            Self::Nameless { .. } => "nameless_repository",
            Self::Verify { source, .. } => source.code(),
            Self::Expired { .. } => "expired_metadata",
            Self::ClockBack { .. } => "clock_back",
            Self::Sign { .. } => "sign_failed",
            Self::Unacceptable { .. } => "defect",
            Self::VersionsExhausted { .. } => "versions_exhausted",
        }
    }

    /// Whether somebody else changed the repository between reading and writing, so that a new try makes sense.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Changed { .. } | StoreError::Exists { .. }))
    }
}
