//! What can go wrong, one enum for each operation; every message says what was found, what was expected and what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use smidgen_delta::{ApplyError, Digest, ParseError, full::FullError};
use smidgen_metadata::{BlobDigest, VerifyError};

use crate::folder::Folder;
use crate::layout::TrustFile;
use crate::transport::ShownUrl;

/// The client cannot run as it was set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// Not an address of a repository.
    #[error("{url} is not the address of a repository: expected http:// or https:// and a folder")]
    Url {
        /// What was given.
        url: ShownUrl,
    },
    /// Another client works on this folder.
    #[error("{} is being updated by another process; wait for it, then try again", dir.display())]
    Busy {
        /// The folder.
        dir: PathBuf,
    },
    /// The blocking interface inside of an event loop, which it would block.
    #[error("the blocking client was called inside of an async runtime; use smidgen_client::Client there")]
    BlockingInAsync,
    /// No thread or event loop to be had.
    #[error("failed to start what runs the client: {reason}; this machine is short of threads or memory")]
    Runtime {
        /// What the system says.
        reason: String,
    },
    /// The embedding program is shutting its runtime down.
    #[error("the runtime stopped in the middle of {step}; the update goes on from there at the next run")]
    Stopped {
        /// What was being done.
        step: &'static str,
    },
}

/// An answer that is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// No repository at this address.
    #[error("{url} answered {status}: there is no repository at this address; check it")]
    NoRepository {
        /// What was asked for.
        url: ShownUrl,
        /// The HTTP status.
        status: u16,
    },
    /// Listed, but not there.
    #[error(
        "{url} answered {status}, but signed metadata lists it: the repository is incomplete or half copied; \
         copy blobs first and timestamp.json last, then try again"
    )]
    Missing {
        /// What was asked for.
        url: ShownUrl,
        /// The HTTP status.
        status: u16,
    },
    /// Not now.
    #[error("{url} answered {status}: the server is busy or broken; try again later")]
    Unavailable {
        /// What was asked for.
        url: ShownUrl,
        /// The HTTP status.
        status: u16,
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// Not for us, or not understood.
    #[error("{url} answered {status}, expected 200; check the address and who may read it")]
    Refused {
        /// What was asked for.
        url: ShownUrl,
        /// The HTTP status.
        status: u16,
    },
    /// More bytes than there may be.
    #[error(
        "{url} sends more than the {limit} bytes it may have; the server or something before it is not to be trusted"
    )]
    TooLong {
        /// What was asked for.
        url: ShownUrl,
        /// Most bytes there may be.
        limit: u64,
    },
    /// Silence.
    #[error("{url} sent nothing for {waited:?}; try again, the download goes on where it stopped")]
    TimedOut {
        /// What was asked for.
        url: ShownUrl,
        /// How long we waited.
        waited: Duration,
    },
    /// Close to silence.
    #[error(
        "{url} sends {found} bytes per second, expected {expected} at least; try again, the download goes on where it stopped"
    )]
    TooSlow {
        /// What was asked for.
        url: ShownUrl,
        /// Measured speed in bytes per second.
        found: u64,
        /// The least that is waited for.
        expected: u64,
    },
    /// An end before the end.
    #[error(
        "{url} ended after {found} of {expected} bytes; try again, the download goes on where it stopped"
    )]
    Truncated {
        /// What was asked for.
        url: ShownUrl,
        /// Bytes that we hold.
        found: u64,
        /// Bytes there should be.
        expected: u64,
    },
}

/// What earlier refreshes stored is damaged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A stored file does not read as what was stored.
    #[error(
        "stored metadata {} is damaged: {source}; nothing is believed until it is repaired: restore it, or remove the \
         folder it is in to start over from the configured root",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<VerifyError>,
    },
}

impl TrustError {
    pub(crate) fn damaged(folder: &Folder, file: TrustFile, source: VerifyError) -> Self {
        Self::Damaged { path: folder.layout.trust_file(file), source: Box::new(source) }
    }
}

/// A step on the file system failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The system refused a step.
    #[error("failed to {step} {}: {source}; {}", path.display(), remedy(source))]
    Step {
        /// What was tried, as a verb.
        step: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Looked up before anything is fetched.
    #[error(
        "{} has {found} bytes free, the update needs {expected}; free {} bytes, then try again",
        dir.display(),
        expected.saturating_sub(*found)
    )]
    Space {
        /// The folder that is kept up to date.
        dir: PathBuf,
        /// Bytes that are free.
        found: u64,
        /// Bytes that are needed.
        expected: u64,
    },
}

fn remedy(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space, then try again",
        io::ErrorKind::PermissionDenied => "run as a user who may write there",
        io::ErrorKind::ReadOnlyFilesystem => "mount it for writing, or keep the program in another folder",
        _ => "check the disk, then try again",
    }
}

/// What is installed stands in the way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstalledError {
    /// Somebody else's file has the name of ours.
    #[error(
        "{} is build {found}, which this line never released and we did not install; it is left alone: \
         move it away to install over it",
        path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Its digest.
        found: Digest,
    },
    /// A folder or a link has the name of ours.
    #[error("{} is no regular file; move it away, or follow it and update the folder that it leads to", path.display())]
    NotAFile {
        /// What is there.
        path: PathBuf,
    },
    /// Another file than at the beginning of this update.
    #[error(
        "{} changed while it was being updated: it is build {found}, the update began with {expected}; \
         nothing was switched: try again",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its digest now, or "missing".
        found: String,
        /// Its digest before.
        expected: String,
    },
    /// A release cannot rename the program.
    #[error(
        "the release calls the program {found}, installed is {expected}; install it into a folder of its own"
    )]
    Renamed {
        /// The release's name.
        found: String,
        /// The installed name.
        expected: String,
    },
}

/// No way to the new build.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The line has no such product, channel, platform or plugin set.
    #[error("{repository} has no builds of {line}; check product, channel, platform and plugins")]
    UnknownLine {
        /// The repository's signed name, or its address.
        repository: String,
        /// What was asked for.
        line: String,
    },
    /// Every release of the line was withdrawn, and nothing is installed.
    #[error("every release of {line} has been withdrawn; wait for the next one")]
    NothingReleased {
        /// What was asked for.
        line: String,
    },
    /// Only the full copy leads there, and it may not be fetched.
    #[error(
        "there is no patch from the installed build {installed} to {version}, and full copies are not allowed here; \
         allow them once, or wait for a patch"
    )]
    FullCopyNotAllowed {
        /// Digest of the installed build.
        installed: Digest,
        /// The version that is wanted.
        version: String,
    },
}

/// A blob is not what was signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlobError {
    /// Another digest.
    #[error(
        "{url} has digest {found}, signed metadata says {expected}; it was damaged on its way or in the repository and was removed: try again"
    )]
    Damaged {
        /// What was fetched.
        url: ShownUrl,
        /// Digest of what came.
        found: BlobDigest,
        /// Digest that was signed.
        expected: BlobDigest,
    },
    /// A kept build is not what its name says.
    #[error("{} has digest {found}; it was damaged on this disk and was removed: try again", path.display())]
    KeptDamaged {
        /// The file.
        path: PathBuf,
        /// Its digest now.
        found: Digest,
    },
}

/// The new build could not be made from a good blob.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// The patch was refused.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The patch did not apply.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The full copy did not expand.
    #[error(transparent)]
    Expand(#[from] FullError),
    /// The patch is for other builds than signed metadata says.
    #[error(
        "{field} of the patch is {found}, signed metadata says {expected}; the publisher has to make the patch again"
    )]
    Mislabelled {
        /// What differs.
        field: &'static str,
        /// In the patch.
        found: String,
        /// In metadata.
        expected: String,
    },
    /// The result is not what was signed.
    #[error(
        "the new build has {field} {found}, signed metadata says {expected}; it was removed: the publisher has to release it again"
    )]
    Differs {
        /// What differs.
        field: &'static str,
        /// Of the result.
        found: String,
        /// In metadata.
        expected: String,
    },
}
