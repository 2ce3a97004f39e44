//! Why a build cannot be published.

use std::io;

use smidgen_metadata::{LineError, Malformed};

use crate::encode::EncodeError;
use crate::repository::RepositoryError;
use crate::store::StoreError;

/// A publication that failed. Clients see what they saw before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The repository cannot be opened or changed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The build cannot be read.
    #[error("failed to read the build {path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The build's file name cannot be the name of an installed file.
    #[error("{path} cannot be installed under its own name ({reason}): give another one")]
    BadFileName {
        /// The file.
        path: String,
        /// What a name may be.
        reason: String,
    },
    /// Two requests of one call are for the same line.
    #[error("{first} and {second} are for the same build line ({line}): a line gets one build in a release")]
    SameLine {
        /// A file.
        first: String,
        /// Another one.
        second: String,
        /// Product, channel, platform and plugins.
        line: String,
    },
    /// The version belongs to another build already.
    #[error(
        "{line}: version {version} was published as another build (sequence {sequence}, build {build}): give this one a new version"
    )]
    VersionTaken {
        /// Product, channel, platform and plugins.
        line: String,
        /// The version.
        version: String,
        /// Sequence of the release that has it.
        sequence: u64,
        /// First half of the build digest of that release.
        build: String,
    },
    /// The same version and build, but something else that is signed differs.
    #[error(
        "{line}: version {version} was published with {what} {found}, not {given}: what is signed does not change; give this one a new version"
    )]
    ReleaseDiffers {
        /// Product, channel, platform and plugins.
        line: String,
        /// The version.
        version: String,
        /// Which part differs.
        what: &'static str,
        /// What is signed.
        found: String,
        /// What was to be published.
        given: String,
    },
    /// The build has a version already.
    #[error(
        "{line}: this build was published as version {version} (sequence {sequence}) before: build the new version, or publish nothing"
    )]
    BuildTaken {
        /// Product, channel, platform and plugins.
        line: String,
        /// Its version.
        version: String,
        /// Its sequence.
        sequence: u64,
    },
    /// The release was taken back.
    #[error(
        "{line}: version {version} (sequence {sequence}) was withdrawn and stays so: publish a new version"
    )]
    Withdrawn {
        /// Product, channel, platform and plugins.
        line: String,
        /// Its version.
        version: String,
        /// Its sequence.
        sequence: u64,
    },
    /// The build line in the signed metadata is not readable.
    #[error("the line {line} cannot be read: {fault}; restore the repository from a copy")]
    LineMalformed {
        /// Product, channel, platform and plugins.
        line: String,
        /// What is wrong.
        fault: Malformed,
    },
    /// The release cannot be listed.
    #[error("{line}: {source}")]
    Unlistable {
        /// Product, channel, platform and plugins.
        line: String,
        /// Why.
        source: LineError,
    },
    /// The encoder failed.
    #[error("{artifact}: {source}")]
    Encode {
        /// Name and platform.
        artifact: String,
        /// Why.
        source: EncodeError,
    },
    /// A worker died.
    #[error("a worker stopped: {reason}; this is a defect, please report it")]
    Worker {
        /// What is known.
        reason: String,
    },
    /// Others publish faster than this run can follow.
    #[error("somebody else published {attempts} times while this run tried to: run it again")]
    Outrun {
        /// How often it was tried.
        attempts: u32,
    },
}

impl PublishError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Repository(error) => error.code(),
            Self::Unreadable { .. } => "build_unreadable",
            Self::BadFileName { .. } => "bad_name",
            Self::SameLine { .. } => "same_line",
            Self::VersionTaken { .. } => "version_taken",
            Self::ReleaseDiffers { .. } => "release_differs",
            Self::BuildTaken { .. } => "build_taken",
            Self::Withdrawn { .. } => "withdrawn",
            Self::LineMalformed { .. } => "malformed_metadata",
            Self::Unlistable { .. } => "bad_release",
            Self::Encode { source: EncodeError::Proof(error), .. } if !error.is_defect() => "not_proven",
            Self::Encode { .. } | Self::Worker { .. } => "defect",
            Self::Outrun { .. } => "changed_meanwhile",
        }
    }
}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        Self::Repository(error.into())
    }
}
