//! Why a secret key cannot be made or used.

use std::io;

use super::{KeyName, KeyNameError};

/// Secret keys that cannot be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The keys would be served to the world.
    #[error(
        "{path} is inside the repository {repository}, which is what gets served: keep the keys elsewhere"
    )]
    InsideRepository {
        /// The folder or file, with symbolic links followed.
        path: String,
        /// The repository.
        repository: String,
    },
    /// A key file that is not there.
    #[error(
        "{path} is missing: give the folder that `smidgen init` made with --keys, or copy this key into it"
    )]
    Missing {
        /// The file.
        path: String,
    },
    /// A key file that is there already.
    #[error("{path} exists already, and a key is never overwritten: take another name")]
    Exists {
        /// The file.
        path: String,
    },
    /// A name that cannot be a key's.
    #[error(transparent)]
    Name(#[from] KeyNameError),
    /// Others can read or change a key.
    #[error("{path} can be {how} by others (mode {mode:03o}): chmod 600 {path}")]
    Exposed {
        /// The file.
        path: String,
        /// `read`, or `changed`.
        how: &'static str,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not a key.
    #[error("{path} is not an Ed25519 key in PKCS#8 PEM form ({reason}): restore it from a copy")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A public key without which an encrypted or external key cannot be told from others.
    #[error(
        "{path} is missing: it says which key the secret beside it is; make it with `openssl pkey -in KEY.pem -pubout`"
    )]
    PublicMissing {
        /// The file.
        path: String,
    },
    /// The file is not a public key.
    #[error("{path} is not an Ed25519 public key in PEM form ({reason}): restore it from a copy")]
    PublicMalformed {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The two halves of a key do not belong together.
    #[error(
        "{path} is not the secret of the public key beside it: one of the two was replaced; restore both"
    )]
    HalvesDiffer {
        /// The file of the secret.
        path: String,
    },
    /// A key is in the folder twice, and it is not clear which one to use.
    #[error("there are {one} and {other}, which are two ways to sign with one key: take one of them away")]
    Ambiguous {
        /// One file.
        one: String,
        /// The other.
        other: String,
    },
    /// Nobody gave the passphrase of an encrypted key.
    #[error("{path} is encrypted, and {reason}")]
    Locked {
        /// The file.
        path: String,
        /// Why there is no passphrase, and how to give one.
        reason: String,
    },
    /// The passphrase is another one.
    #[error("the passphrase does not open {path}: try another one, or restore the file from a copy")]
    WrongPassphrase {
        /// The file.
        path: String,
    },
    /// What says how to start an external signer is unusable.
    #[error("{path} does not say how to start a signer: {reason}")]
    BadExternal {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The key in the folder is not one that the repository names.
    #[error(
        "{path} is not a key that this repository names for {role}: give the folder of its own keys with --keys"
    )]
    WrongKey {
        /// The role.
        role: String,
        /// The key's file.
        path: String,
    },
    /// Fewer keys than the role needs.
    #[error(
        "found {found} of the keys that may sign {role} in {folder}, {threshold} are needed: put the others beside them"
    )]
    TooFew {
        /// The role.
        role: String,
        /// The folder.
        folder: String,
        /// Distinct keys that can sign here.
        found: usize,
        /// Signatures needed.
        threshold: u64,
    },
    /// A key that is not there by that name.
    #[error("there is no key {name} in {folder}: `smidgen key list --keys {folder}` shows what is there")]
    NoSuchKey {
        /// As asked for.
        name: KeyName,
        /// The folder.
        folder: String,
    },
    /// The operating system refuses.
    #[error("failed to {doing} {path}: {source}")]
    Failed {
        /// What was attempted.
        doing: &'static str,
        /// The file or folder.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl KeysError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InsideRepository { .. } => "key_in_repository",
            Self::Missing { .. } | Self::NoSuchKey { .. } => "key_missing",
            Self::Exists { .. } => "key_exists",
            Self::Name(..) => "bad_key_name",
            Self::Exposed { .. } => "key_exposed",
            Self::Malformed { .. } | Self::PublicMalformed { .. } | Self::Ambiguous { .. } => "key_malformed",
            Self::PublicMissing { .. } => "public_key_missing",
            Self::HalvesDiffer { .. } => "key_halves_differ",
            Self::Locked { .. } => "key_locked",
            Self::WrongPassphrase { .. } => "wrong_passphrase",
            Self::BadExternal { .. } => "bad_external_signer",
            Self::WrongKey { .. } => "wrong_key",
            Self::TooFew { .. } => "signature_threshold",
            Self::Failed { .. } => "key_unreadable",
        }
    }
}
