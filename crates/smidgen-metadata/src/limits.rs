//! How much a repository may ask of its client.

use crate::canonical::ParseLimits;
use crate::role::{RoleKind, RoleName};

/// Upper bounds for everything that comes from a repository. Nothing longer is downloaded, parsed or kept.
///
/// The defaults are those of the reference client (python-tuf) where it has one. They can be raised by an embedding
/// program; a repository cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of a root.json. Default 512,000.
    pub max_root_len: u64,
    /// Bytes of timestamp.json. Default 16,384.
    pub max_timestamp_len: u64,
    /// Bytes of snapshot.json. Default 2,000,000.
    pub max_snapshot_len: u64,
    /// Bytes of targets.json and of each delegated role. Default 5,000,000.
    pub max_targets_len: u64,
    /// Arrays and objects inside each other. Default 24; our own metadata is at most 8 deep.
    pub max_depth: u32,
    /// JSON values in one document. Default 1,000,000: at 32 bytes a value this bounds what a document can take in
    /// memory beside its strings.
    pub max_values: u32,
    /// New root versions in one refresh. Default 256.
    pub max_root_rotations: u32,
    /// Delegated roles that one search looks into. Default 32.
    pub max_searched_roles: u32,
    /// Bytes of all delegated roles that one search looks into. Default 20,000,000.
    pub max_searched_len: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_root_len: 512_000,
            max_timestamp_len: 16_384,
            max_snapshot_len: 2_000_000,
            max_targets_len: 5_000_000,
            max_depth: 24,
            max_values: 1_000_000,
            max_root_rotations: 256,
            max_searched_roles: 32,
            max_searched_len: 20_000_000,
        }
    }
}

impl Limits {
    /// Bytes that a role's file may have.
    pub fn max_len(&self, role: &RoleName) -> u64 {
        match role {
            RoleName::Top(RoleKind::Root) => self.max_root_len,
            RoleName::Top(RoleKind::Timestamp) => self.max_timestamp_len,
            RoleName::Top(RoleKind::Snapshot) => self.max_snapshot_len,
            RoleName::Top(RoleKind::Targets) | RoleName::Delegated(_) => self.max_targets_len,
        }
    }

    pub(crate) fn of_document(&self, max_len: u64) -> ParseLimits {
        ParseLimits { max_len, max_depth: self.max_depth, max_values: self.max_values }
    }
}
