//! Why metadata is not trusted: what was found, what was expected, what to do.

use std::fmt;

use crate::fields::Malformed;
use crate::role::RoleName;
use crate::time::Timestamp;

/// Metadata that is refused. Nothing of it was kept, and the trusted state is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// Not strict JSON, or not the shape that the role must have.
    #[error(
        "{role} is malformed {fault}; if it comes from the publisher, publish it again, if from a mirror, use another one"
    )]
    Malformed {
        /// The role.
        role: RoleName,
        /// Where and what.
        fault: Malformed,
    },
    /// More bytes than the limit or than the listing role allows.
    #[error(
        "{role} has {found} bytes, expected at most {max}; the mirror sends endless data, or raise the limit"
    )]
    LengthExceeded {
        /// The role.
        role: RoleName,
        /// Bytes found.
        found: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// A document of another role.
    #[error(
        "found the role {found:?} where {role} was expected; the repository is mixed up or the mirror hostile"
    )]
    OtherRole {
        /// The role that was asked for.
        role: RoleName,
        /// The `_type` found.
        found: String,
    },
    /// A major version of the specification that this client does not know.
    #[error(
        "{role} follows version {found:?} of the TUF specification, expected 1.x; update the client by other means"
    )]
    UnknownSpecVersion {
        /// The role.
        role: RoleName,
        /// The version found.
        found: String,
    },
    /// Too few valid signatures of distinct keys.
    #[error(
        "{role} has {found} valid signatures by the keys of {authority}, expected {needed}; \
         check that the root is this repository's own, and that no key was lost in a rotation"
    )]
    SignatureThreshold {
        /// The role.
        role: RoleName,
        /// Who says which keys may sign.
        authority: Authority,
        /// Distinct keys with a valid signature.
        found: u64,
        /// Distinct keys needed.
        needed: u64,
    },
    /// A root that is not the next one.
    #[error(
        "root has version {found}, expected {expected}; every N.root.json must stay in place: restore it"
    )]
    RootVersion {
        /// The version found.
        found: u64,
        /// The only version that may follow.
        expected: u64,
    },
    /// A version older than one that was seen before.
    #[error(
        "{role} has version {found}, but {trusted} was seen before; the mirror is stale or replays old metadata: use another one"
    )]
    Rollback {
        /// The role.
        role: RoleName,
        /// The version found.
        found: u64,
        /// The newest version seen.
        trusted: u64,
    },
    /// A version other than the one that the listing role promises.
    #[error(
        "{role} has version {found}, expected {listed} as listed; the mirror mixes states of the repository: try again later"
    )]
    VersionMismatch {
        /// The role.
        role: RoleName,
        /// The version found.
        found: u64,
        /// The version listed.
        listed: u64,
    },
    /// Bytes other than the ones that the listing role promises.
    #[error(
        "{role} has {property} {found}, expected {listed} as listed; the file is damaged or mixed with another state: fetch it again"
    )]
    DigestMismatch {
        /// The role.
        role: RoleName,
        /// "length", "sha256" or "sha512".
        property: &'static str,
        /// What the bytes have.
        found: String,
        /// What was listed.
        listed: String,
    },
    /// Metadata after its end.
    #[error(
        "{role} expired at {expires}, and it is {now}; the publisher must sign it again (smidgen resign), or the clock is wrong"
    )]
    Expired {
        /// The role.
        role: RoleName,
        /// When it expired.
        expires: Timestamp,
        /// The time of the refresh.
        now: Timestamp,
    },
    /// Metadata of another repository under the same root.
    #[error(
        "{role} belongs to the repository {}, expected {}; the mirror serves another shard here: check the URL",
        Named(found),
        Named(expected)
    )]
    OtherRepository {
        /// The role.
        role: RoleName,
        /// The signed name found.
        found: Option<String>,
        /// The name that this client follows.
        expected: Option<String>,
    },
    /// A role that the snapshot does not list, or that was listed before and is not any more.
    #[error("{role} is not listed in snapshot; the publisher must list it again")]
    NotListed {
        /// The role.
        role: RoleName,
    },
    /// More new roots in one refresh than the limit allows.
    #[error(
        "found more than {max} new roots in one refresh; the mirror sends endless data, or raise the limit"
    )]
    TooManyRotations {
        /// The limit.
        max: u32,
    },
    /// More delegated roles in one search than the limit allows.
    #[error(
        "the search for {sought:?} found no end within {max} delegated roles; the publisher must delegate in fewer steps, \
         or raise the limit"
    )]
    TooManyRoles {
        /// The target path, or the folder of the build line.
        sought: String,
        /// The limit.
        max: u32,
    },
    /// The caller's mistake: a step before the steps that it rests on.
    #[error("{role} cannot be loaded now: {needed}; this is a mistake in the calling program")]
    OutOfOrder {
        /// The role.
        role: RoleName,
        /// What had to be done before, or not yet.
        needed: &'static str,
    },
}

impl VerifyError {
    /// A short name that never changes its meaning; the table is in `docs/metadata.md`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed_metadata",
            Self::LengthExceeded { .. } => "length_exceeded",
            Self::OtherRole { .. } => "other_role",
            Self::UnknownSpecVersion { .. } => "unknown_spec_version",
            Self::SignatureThreshold { .. } => "signature_threshold",
            Self::RootVersion { .. } => "root_version",
            Self::Rollback { .. } => "rollback",
            Self::VersionMismatch { .. } => "version_mismatch",
            Self::DigestMismatch { .. } => "digest_mismatch",
            Self::Expired { .. } => "expired_metadata",
            Self::OtherRepository { .. } => "other_repository",
            Self::NotListed { .. } => "not_listed",
            Self::TooManyRotations { .. } => "too_many_rotations",
            Self::TooManyRoles { .. } => "too_many_roles",
            Self::OutOfOrder { .. } => "out_of_order",
        }
    }
}

/// Who says which keys may sign a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The root that is trusted already.
    TrustedRoot,
    /// The new root itself: it must be able to replace itself later.
    NewRoot,
    /// The role that delegates to it.
    Delegator(RoleName),
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrustedRoot => f.write_str("the trusted root"),
            Self::NewRoot => f.write_str("the new root itself"),
            Self::Delegator(role) => write!(f, "its delegator, {role}"),
        }
    }
}

struct Named<'a>(&'a Option<String>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, "{name:?}"),
            None => f.write_str("without a name"),
        }
    }
}
