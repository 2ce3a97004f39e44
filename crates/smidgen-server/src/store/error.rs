//! What can go wrong in a store, with the key, the cause and the remedy.

use std::error::Error as _;
use std::io::ErrorKind;

/// An operation on a [`Store`](super::Store) that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A path or URL that no store can be opened with.
    #[error("cannot open the store {location:?}: {reason}")]
    BadLocation {
        /// As given.
        location: String,
        /// What is wrong with it, and what to give instead.
        reason: String,
    },
    /// A file that should be there.
    #[error("{key} is missing in {location}: copy the repository again completely, or restore the file")]
    Missing {
        /// The file.
        key: String,
        /// The store.
        location: String,
    },
    /// A file larger than it may be.
    #[error("{key} has {size} bytes, at most {limit} were expected: it was damaged or replaced; restore it")]
    TooLong {
        /// The file.
        key: String,
        /// Its size.
        size: u64,
        /// What would have been read.
        limit: u64,
    },
    /// A file that was to be made is there already.
    #[error("{key} exists already and is never overwritten: somebody else wrote it; run the command again")]
    Exists {
        /// The file.
        key: String,
    },
    /// A file changed between reading and replacing it.
    #[error("{key} changed meanwhile: somebody else published; run the command again")]
    Changed {
        /// The file.
        key: String,
    },
    /// The operating system or the bucket refuses.
    #[error("not permitted to {doing} {key}: {reason}; give this user access to it")]
    NotPermitted {
        /// The file or store.
        key: String,
        /// What was attempted.
        doing: &'static str,
        /// As the system says it.
        reason: String,
    },
    /// No space, or the quota is used up.
    #[error("failed to {doing} {key}: the disk is full ({reason}); make room and run the command again")]
    DiskFull {
        /// The file.
        key: String,
        /// What was attempted.
        doing: &'static str,
        /// As the system says it.
        reason: String,
    },
    /// Everything else that a disk or a network can do.
    #[error("failed to {doing} {key}: {reason}")]
    Failed {
        /// The file or store.
        key: String,
        /// What was attempted.
        doing: &'static str,
        /// As the system says it.
        reason: String,
    },
}

impl StoreError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadLocation { .. } => "bad_location",
            Self::Missing { .. } => "missing_file",
            Self::TooLong { .. } => "length_exceeded",
            Self::Exists { .. } => "file_exists",
            Self::Changed { .. } => "changed_meanwhile",
            Self::NotPermitted { .. } => "not_permitted",
            Self::DiskFull { .. } => "disk_full",
            Self::Failed { .. } => "store_failed",
        }
    }

    /// The file that it is about, if it is about one.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::BadLocation { .. } => None,
            Self::Missing { key, .. }
            | Self::TooLong { key, .. }
            | Self::Exists { key }
            | Self::Changed { key }
            | Self::NotPermitted { key, .. }
            | Self::DiskFull { key, .. }
            | Self::Failed { key, .. } => Some(key),
        }
    }

    pub(crate) fn from_io(key: &str, doing: &'static str, error: &std::io::Error) -> Self {
        let (key, kind, reason) = (key.to_owned(), error.kind(), error.to_string());
        match kind {
            ErrorKind::NotFound => Self::BadLocation {
                location: key,
                reason: "no such folder; make one with `smidgen init`".into(),
            },
            kind => Self::sort(key, doing, Some(kind), reason),
        }
    }

    pub(super) fn from_object(key: &str, doing: &'static str, error: object_store::Error) -> Self {
        use object_store::Error;
        let key = key.to_owned();
        match error {
            Error::AlreadyExists { .. } => Self::Exists { key },
            Error::Precondition { .. } | Error::NotModified { .. } => Self::Changed { key },
            Error::PermissionDenied { source, .. } | Error::Unauthenticated { source, .. } => {
                Self::NotPermitted { key, doing, reason: source.to_string() }
            }
            error => {
                let mut kind = None;
                let mut cause = error.source();
                let mut reason = error.to_string();
                while let Some(inner) = cause {
                    if let Some(io) = inner.downcast_ref::<std::io::Error>() {
                        kind = Some(io.kind());
                        reason = io.to_string();
                    }
                    cause = inner.source();
                }
                Self::sort(key, doing, kind, reason)
            }
        }
    }

    fn sort(key: String, doing: &'static str, kind: Option<ErrorKind>, reason: String) -> Self {
        match kind {
            Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
                Self::NotPermitted { key, doing, reason }
            }
            Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => Self::DiskFull { key, doing, reason },
            _ => Self::Failed { key, doing, reason },
        }
    }
}
