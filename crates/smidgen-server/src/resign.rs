//! Signing again what is about to expire, without changing what it says.

use serde::Serialize;

/// What to sign again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResignScope {
    /// Timestamp, and whatever else has used up more than half of its time and whose key is in the folder.
    #[default]
    WhatIsDue,
    /// Timestamp only: all that a machine with nothing but its key can do.
    TimestampOnly,
    /// Timestamp, snapshot and targets.
    Everything,
}

/// What was signed again.
#[derive(Clone, Debug, Serialize)]
pub struct ResignReport {
    /// Each role with its new version and expiry.
    pub roles: Vec<SignedRole>,
}

/// A role with its new version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignedRole {
    /// `targets`, `snapshot` or `timestamp`.
    pub role: &'static str,
    /// Its version.
    pub version: u64,
    /// When it expires, such as `2026-03-01T12:00:00Z`.
    pub expires: String,
}
