//! Why keys are not changed.

use smidgen_metadata::sign::SignError;
use smidgen_metadata::{RoleKind, Timestamp, VerifyError};

use super::Surprise;
use crate::keys::KeysError;
use crate::repository::RepositoryError;
use crate::store::StoreError;

/// A step of a change of keys that failed. What clients see was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CeremonyError {
    /// The repository failed.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// A key cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A key that the role does not have.
    #[error(
        "{role} has no key {key}; it has {present}: name one of these, by its id or as it is called in --keys"
    )]
    NoSuchKey {
        /// The role, or `the root` for any role.
        role: String,
        /// As asked for.
        key: String,
        /// Those that there are.
        present: String,
    },
    /// More than one key begins like this.
    #[error("more than one key begins with {key}: give more digits of its id")]
    AmbiguousKey {
        /// As asked for.
        key: String,
    },
    /// A role with several keys, and none was named.
    #[error("{role} has {count} keys: name the one to replace with --key")]
    WhichKey {
        /// The role.
        role: RoleKind,
        /// How many it has.
        count: usize,
    },
    /// A key that the role has already.
    #[error("{key} is a key of {role} already: give another one")]
    KeyTwice {
        /// The role.
        role: RoleKind,
        /// The key's id.
        key: String,
    },
    /// Nobody could sign the role any more.
    #[error(
        "{role} would have {keys} keys and need {threshold} signatures: give it another key, or lower its threshold"
    )]
    NobodyLeft {
        /// The role.
        role: RoleKind,
        /// Keys left.
        keys: usize,
        /// Signatures needed.
        threshold: u64,
    },
    /// No change was asked for.
    #[error("nothing would change: say what to add, remove or replace")]
    NothingToDo,
    /// The file is no root.
    #[error("{path} is not a root: {source}")]
    NoRoot {
        /// The file.
        path: String,
        /// What was found.
        source: VerifyError,
    },
    /// The draft does more than a signer expects, and nobody said that this is meant.
    #[error(
        "not signed, because of what nobody may have meant: {}; to sign all the same, give {}",
        list(surprises, ToString::to_string),
        list(surprises, |surprise| format!("--accept {}", surprise.code()))
    )]
    Surprising {
        /// What was found.
        surprises: Vec<Surprise>,
    },
    /// None of the keys at hand may sign a root.
    #[error(
        "none of the keys in {folder} may sign this root; it takes {needed}: put one of them there, or go to where they are"
    )]
    NoRootKey {
        /// The folder.
        folder: String,
        /// Ids of keys that could.
        needed: String,
    },
    /// A signature could not be made.
    #[error("failed to sign the root: {source}")]
    Sign {
        /// Why.
        source: SignError,
    },
    /// Too few signatures, or another fault that every client would find.
    #[error("clients would not follow this root: {source}")]
    Unacceptable {
        /// What a client would say.
        source: VerifyError,
    },
    /// A root that has ended already, or will before anybody has it.
    #[error("this root expires at {expires}, and it is {now}: make the draft again")]
    Expired {
        /// When it ends.
        expires: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// Not the root that may come next.
    #[error("this is root {found}, but the repository has root {present}: {}", remedy(*found, *present))]
    NotNext {
        /// The draft's version.
        found: u64,
        /// The newest in the repository.
        present: u64,
    },
    /// Somebody else was faster with another root of the same number.
    #[error(
        "root {version} is in the repository already, and it is another one: make this draft again on top of it, and have it signed"
    )]
    Taken {
        /// The number.
        version: u64,
    },
}

fn list(surprises: &[Surprise], say: impl Fn(&Surprise) -> String) -> String {
    surprises.iter().map(say).collect::<Vec<_>>().join(", ")
}

fn remedy(found: u64, present: u64) -> &'static str {
    if found > present { "put those in between in force first" } else { "make the draft again on top of it" }
}

impl CeremonyError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Repository(error) => error.code(),
            Self::Keys(error) => error.code(),
            Self::NoSuchKey { .. } | Self::AmbiguousKey { .. } => "unknown_key",
            Self::WhichKey { .. } => "which_key",
            Self::KeyTwice { .. } => "key_twice",
            Self::NobodyLeft { .. } => "nobody_left",
            Self::NothingToDo => "nothing_to_do",
            Self::NoRoot { .. } => "not_a_root",
            Self::Surprising { .. } => "surprising_root",
            Self::NoRootKey { .. } => "no_root_key",
            Self::Sign { .. } => "sign_failed",
            Self::Unacceptable { source } => source.code(),
            Self::Expired { .. } => "expired_metadata",
            Self::NotNext { .. } => "not_next_root",
            Self::Taken { .. } => "root_taken",
        }
    }
}

impl From<StoreError> for CeremonyError {
    fn from(error: StoreError) -> Self {
        Self::Repository(error.into())
    }
}
