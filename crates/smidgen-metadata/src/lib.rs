//! Signed update metadata in TUF's format: types, canonical form, and verification as a state machine without I/O.
//!
//! A client feeds the bytes that it fetched or stored to a [`TrustedSet`] and asks it for the [`Line`] of its own
//! [`BuildLine`]. With the feature `sign`, `sign` makes keys and signatures. The byte format, the order of the
//! checks, the limits and the codes of the errors are in `docs/metadata.md`.
//!
//! A first refresh; with stored copies from earlier ones see [`TrustedSet`]:
//!
//! ```
//! use smidgen_metadata::{BuildLine, Limits, Line, Request, Timestamp, TrustedSet, Verified, VerifyError};
//!
//! /// `fetch` answers `None` where the repository has no such file, and stops after `Request::max_len` bytes.
//! fn refresh(
//!     root: &[u8],
//!     now: Timestamp,
//!     line: &BuildLine,
//!     fetch: impl Fn(Request) -> Option<Vec<u8>>,
//! ) -> Result<Option<Verified<Line>>, VerifyError> {
//!     let mut set = TrustedSet::open(root, now, Limits::default())?;
//!     set.pin_repository("editor-stable")?;
//!     while let Some(next) = set.root_request().and_then(&fetch) {
//!         set.update_root(&next)?;
//!     }
//!     set.finish_root()?;
//!     set.update_timestamp(&fetch(set.timestamp_request()).unwrap_or_default())?;
//!     set.update_snapshot(&fetch(set.snapshot_request()?).unwrap_or_default())?;
//!     set.update_targets(&fetch(set.targets_request()?).unwrap_or_default())?;
//!     // The line's releases may be delegated to a role of their own; only the roles on the way are fetched.
//!     let mut search = set.search(line)?;
//!     while let Some(request) = search.request()? {
//!         search.update(&fetch(request).unwrap_or_default())?;
//!     }
//!     search.finish()
//! }
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

pub mod canonical;
mod delegations;
mod digest;
mod envelope;
mod error;
mod fields;
mod hex;
mod key;
mod limits;
mod pattern;
mod release;
mod role;
mod root;
mod shards;
#[cfg(feature = "sign")]
pub mod sign;
mod snapshot;
mod target_check;
mod targets;
mod time;
mod timestamp;
mod trusted_set;
mod verified;

pub use delegations::{Delegated, DelegatedRole, Delegations, Scope, SuccinctRoles};
pub use digest::{Blake3, BlobDigest, BuildPrefix, DigestError, Sha256};
pub use envelope::RawMetadata;
pub use error::{Authority, VerifyError};
pub use fields::Malformed;
pub use key::{KeyId, PublicKey, Signature};
pub use limits::Limits;
pub use release::{
    Blob, BuildLine, HISTORY_CAP, HistoryEntry, Line, LineError, LineId, Name, NameError, PatchEntry,
    PluginRelease, Policy, Release, Severity,
};
pub use role::{Hashes, Header, MetaFile, Role, RoleKind, RoleName, SPEC_VERSION, encode_name};
pub use root::{RoleKeys, Root};
pub use shards::{Shard, Shards, ShardsError};
pub use snapshot::Snapshot;
pub use target_check::{TargetCheck, TargetMismatch};
pub use targets::{Target, Targets};
pub use time::{Timestamp, TimestampError};
pub use timestamp::TimestampRole;
#[cfg(feature = "sign")]
pub use trusted_set::Delegation;
pub use trusted_set::{Changed, Request, Search, Sought, Stored, TrustedSet};
pub use verified::Verified;
