//! The stable code and the exit code of each library's errors.

use std::error::Error;
use std::io;

use smidgen_client::{Kind, SetupError};
use smidgen_delta::diff::DiffError;
use smidgen_delta::{ApplyError, Fault, ParseError};
use smidgen_metadata::VerifyError;
use smidgen_server::ceremony::CeremonyError;
use smidgen_server::keys::KeysError;
use smidgen_server::pipeline::{ManifestError, PipelineError};
use smidgen_server::publish::PublishError;
use smidgen_server::repository::RepositoryError;
use smidgen_server::store::StoreError;
use smidgen_server::withdraw::WithdrawError;

use super::Problem;
use crate::exit::Exit;

/// What an error comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) code: &'static str,
    pub(super) exit: Exit,
}

impl Verdict {
    /// What is said when no error in the chain is known.
    pub(super) const UNKNOWN: Self = Self { code: "failed", exit: Exit::Failed };

    /// The verdict on one error of a chain; `None` if it is not known, or if what lies below it knows more.
    pub(super) fn on(error: &(dyn Error + 'static)) -> Option<Self> {
        if let Some(problem) = error.downcast_ref::<Problem>() {
            return Some(Self { code: problem.code, exit: problem.exit });
        }
        if let Some(error) = error.downcast_ref::<smidgen_client::Error>() {
            return Some(Self { code: error.code(), exit: client(error) });
        }
        if let Some(error) = error.downcast_ref::<VerifyError>() {
            return Some(Self { code: error.code(), exit: Exit::Untrusted });
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(io(error));
        }
        publisher(error).or_else(|| codec(error))
    }
}

/// Errors of publishing commands. Those of their parts are wrapped without a link in the chain.
fn publisher(error: &(dyn Error + 'static)) -> Option<Verdict> {
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return Some(Verdict { code: error.code(), exit: store(error) });
    }
    if let Some(error) = error.downcast_ref::<KeysError>() {
        return Some(keys(error));
    }
    if let Some(error) = error.downcast_ref::<CeremonyError>() {
        return Some(ceremony(error));
    }
    if let Some(error) = error.downcast_ref::<RepositoryError>() {
        return Some(repository(error));
    }
    if let Some(error) = error.downcast_ref::<PublishError>() {
        return Some(publish(error));
    }
    if let Some(error) = error.downcast_ref::<WithdrawError>() {
        return Some(match error {
            WithdrawError::Repository(error) => repository(error),
            WithdrawError::UnknownLine { .. } | WithdrawError::UnknownRelease { .. } => {
                Verdict { code: error.code(), exit: Exit::NotApplicable }
            }
            _ => Verdict { code: error.code(), exit: Exit::Failed },
        });
    }
    if let Some(error) = error.downcast_ref::<ManifestError>() {
        return Some(manifest(error));
    }
    match error.downcast_ref::<PipelineError>()? {
        PipelineError::Manifest(error) => Some(manifest(error)),
        PipelineError::Store(error) => Some(Verdict { code: error.code(), exit: store(error) }),
        PipelineError::Keys(error) => Some(keys(error)),
        PipelineError::Publish(error) => Some(publish(error)),
        error => Some(Verdict { code: error.code(), exit: Exit::Failed }),
    }
}

fn publish(error: &PublishError) -> Verdict {
    let exit = match error {
        PublishError::Repository(error) => return repository(error),
        PublishError::Unreadable { source, .. } => refused(source),
        PublishError::Outrun { .. } => Exit::Later,
        _ => Exit::Failed,
    };
    Verdict { code: error.code(), exit }
}

fn ceremony(error: &CeremonyError) -> Verdict {
    let exit = match error {
        CeremonyError::Repository(error) => return repository(error),
        CeremonyError::Keys(error) => return keys(error),
        CeremonyError::NoSuchKey { .. } => Exit::NotApplicable,
        CeremonyError::AmbiguousKey { .. }
        | CeremonyError::WhichKey { .. }
        | CeremonyError::KeyTwice { .. }
        | CeremonyError::NothingToDo => Exit::Usage,
        CeremonyError::NoRoot { .. }
        | CeremonyError::Surprising { .. }
        | CeremonyError::NoRootKey { .. }
        | CeremonyError::Unacceptable { .. }
        | CeremonyError::Expired { .. } => Exit::Untrusted,
        _ => Exit::Failed,
    };
    Verdict { code: error.code(), exit }
}

fn repository(error: &RepositoryError) -> Verdict {
    let exit = match error {
        RepositoryError::Store(error) => store(error),
        RepositoryError::Keys(error) => return keys(error),
        RepositoryError::Verify { .. } | RepositoryError::Expired { .. } => Exit::Untrusted,
        _ => Exit::Failed,
    };
    Verdict { code: error.code(), exit }
}

fn store(error: &StoreError) -> Exit {
    match error {
        StoreError::TooLong { .. } => Exit::Untrusted,
        StoreError::Exists { .. } | StoreError::Changed { .. } => Exit::Later,
        StoreError::NotPermitted { .. } | StoreError::DiskFull { .. } => Exit::Refused,
        _ => Exit::Failed,
    }
}

fn keys(error: &KeysError) -> Verdict {
    let exit = match error {
        KeysError::InsideRepository { .. } | KeysError::Name(..) => Exit::Usage,
        KeysError::WrongKey { .. } | KeysError::TooFew { .. } => Exit::Untrusted,
        KeysError::Failed { source, .. } => refused(source),
        _ => Exit::Failed,
    };
    Verdict { code: error.code(), exit }
}

fn manifest(error: &ManifestError) -> Verdict {
    let exit = match error {
        ManifestError::Unreadable { source, .. } => refused(source),
        _ => Exit::Failed,
    };
    Verdict { code: error.code(), exit }
}

fn client(error: &smidgen_client::Error) -> Exit {
    if matches!(error, smidgen_client::Error::Setup(SetupError::Url { .. })) {
        return Exit::Usage;
    }
    match error.kind() {
        Kind::Untrusted => Exit::Untrusted,
        Kind::Retry | Kind::Busy => Exit::Later,
        Kind::DiskFull | Kind::NotPermitted => Exit::Refused,
        Kind::NotFound => Exit::NotApplicable,
        _ => Exit::Failed,
    }
}

fn codec(error: &(dyn Error + 'static)) -> Option<Verdict> {
    let fault = None
        .or_else(|| error.downcast_ref().map(ParseError::fault))
        .or_else(|| error.downcast_ref().map(ApplyError::fault))
        .or_else(|| error.downcast_ref().map(DiffError::fault))?;
    let (code, exit) = match fault {
        Fault::PatchDamaged => ("patch_damaged", Exit::Untrusted),
        Fault::PatchUnsupported => ("patch_unsupported", Exit::NotApplicable),
        Fault::OldDiffers => ("old_differs", Exit::NotApplicable),
        Fault::LimitExceeded => ("limit_exceeded", Exit::Failed),
        Fault::Bug => ("bug", Exit::Failed),
        // A file system is at fault, and the cause below knows how.
        _ => return None,
    };
    Some(Verdict { code, exit })
}

fn io(error: &io::Error) -> Verdict {
    let code = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "not_permitted",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk_full",
        io::ErrorKind::NotFound => "not_found",
        _ => "io",
    };
    Verdict { code, exit: refused(error) }
}

/// Whether the machine refused, or something else went wrong.
fn refused(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded => Exit::Refused,
        _ => Exit::Failed,
    }
}
