//! Why a repository cannot be opened or changed.

use smidgen_metadata::sign::SignError;
use smidgen_metadata::{Malformed, Name, RoleName, ShardsError, Timestamp, VerifyError};

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
        source: Box<VerifyError>,
    },
    /// A role that stays as it is has expired, so that no client would take what is built upon it.
    #[error(
        "{role} expired at {expires}, and it is {now}: sign it again too (`smidgen resign` with its key), or set the clock right"
    )]
    Expired {
        /// The role.
        role: RoleName,
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
        role: RoleName,
        /// Why.
        source: SignError,
    },
    /// What was signed would not be accepted by a client; found out before anybody saw it.
    #[error(
        "the new {role} does not pass a client's verification ({source}): this is a defect, please report it"
    )]
    Unacceptable {
        /// The role.
        role: RoleName,
        /// What the client would say.
        source: Box<VerifyError>,
    },
    /// Nothing of the product can be signed for.
    #[error(
        "the product {product} is not known to this repository: whoever has the targets key must run `smidgen product add REPO --keys DIR --product {product}` once"
    )]
    UnknownProduct {
        /// The product.
        product: String,
    },
    /// A new product needs the targets key, which is not here.
    #[error(
        "the product {product} is new in {location}, and the key that lets it in is not here ({source}): whoever has it must run `smidgen product add {location} --keys DIR --product {product}` once"
    )]
    ProductNeedsTargetsKey {
        /// The product.
        product: Name,
        /// The repository.
        location: String,
        /// What is missing.
        source: Box<KeysError>,
    },
    /// A product that would take the name of a role that every repository has.
    #[error("{product} cannot be the name of a product: it is that of a role of every TUF repository")]
    ReservedProduct {
        /// The product.
        product: Name,
    },
    /// Targets do not say who signs releases.
    #[error("targets name no key for releases: this repository was not made by `smidgen init`")]
    NoReleaseKey,
    /// A number of shards that cannot be.
    #[error(transparent)]
    ShardCount {
        /// What was found, and what can be.
        source: ShardsError,
    },
    /// What root says about shards is not in their form.
    #[error("{key} cannot be understood: {fault}; restore it from a copy")]
    Shards {
        /// The file.
        key: String,
        /// What is wrong.
        fault: Malformed,
    },
    /// Version numbers have run out.
    #[error(
        "{role} has no version after {version}: the repository was tampered with; restore it from a copy"
    )]
    VersionsExhausted {
        /// The role.
        role: String,
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
            Self::UnknownProduct { .. } => "unknown_product",
            Self::ProductNeedsTargetsKey { .. } => "product_needs_targets_key",
            Self::ReservedProduct { .. } => "reserved_product",
            Self::NoReleaseKey => "no_release_key",
            Self::ShardCount { .. } => "bad_shard_count",
            Self::Shards { .. } => "malformed_metadata",
            Self::VersionsExhausted { .. } => "versions_exhausted",
        }
    }

    /// Whether somebody else changed the repository between reading and writing, so that a new try makes sense.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Changed { .. } | StoreError::Exists { .. }))
    }
}
