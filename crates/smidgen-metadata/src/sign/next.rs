//! The next version of each role: numbers, times and names put where they belong.

use std::collections::BTreeMap;

use crate::canonical::Object;
use crate::release::Name;
use crate::role::{Header, MetaFile, Role, RoleName};
use crate::root::Root;
use crate::snapshot::Snapshot;
use crate::targets::Targets;
use crate::time::Timestamp;
use crate::timestamp::TimestampRole;

/// How long a new version of each role is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Hours of a root.
    pub root: u32,
    /// Hours of targets, which are signed offline.
    pub targets: u32,
    /// Hours of the roles that targets delegate to, which list releases.
    pub release: u32,
    /// Hours of a snapshot.
    pub snapshot: u32,
    /// Hours of a timestamp: the longest that a mirror can hide news from a client.
    pub timestamp: u32,
}

impl Default for Lifetimes {
    /// A year, half a year, 90 days, 14 days, 72 hours.
    fn default() -> Self {
        Self { root: 365 * 24, targets: 182 * 24, release: 90 * 24, snapshot: 14 * 24, timestamp: 72 }
    }
}

/// The time to sign with and to count expiry from: `now`, unless the last timestamp was signed later.
///
/// Clients never believe a time before the newest that they saw signed. If the publisher's clock was once fast and is
/// right again, what it signs must not have expired in the eyes of those clients.
pub fn signing_time(now: Timestamp, last: Option<&TimestampRole>) -> Timestamp {
    last.and_then(|last| last.signed_at).map_or(now, |last| last.max(now))
}

fn header_after<R: Role>(last: Option<&R>, expires: Timestamp) -> Header {
    Header::new(last.map_or(0, Role::version).saturating_add(1), expires)
}

/// The next root, with the keys of the last; change them with [`Root::assign`].
pub fn next_root(last: &Root, expires: Timestamp) -> Root {
    Root { header: header_after(Some(last), expires), ..last.clone() }
}

/// The next targets, or the next version of a delegated role, listing what the last did.
pub fn next_targets(last: Option<&Targets>, expires: Timestamp) -> Targets {
    let header = header_after(last, expires);
    match last {
        Some(last) => Targets { header, ..last.clone() },
        None => Targets::new(header),
    }
}

/// The next snapshot, listing these roles anew. Everything else that the last one listed stays: clients refuse a snapshot
/// that forgets a role.
pub fn next_snapshot(
    last: Option<&Snapshot>,
    repository: &Name,
    roles: impl IntoIterator<Item = (RoleName, MetaFile)>,
    expires: Timestamp,
) -> Snapshot {
    let (mut meta, unknown) = last
        .map_or_else(|| (BTreeMap::new(), Object::new()), |last| (last.meta.clone(), last.unknown.clone()));
    meta.extend(roles.into_iter().map(|(role, listed)| (format!("{}.json", role.as_str()), listed)));
    Snapshot { header: header_after(last, expires), repository: Some(repository.to_string()), meta, unknown }
}

/// The next timestamp, listing the snapshot. `signed_at` comes from [`signing_time`].
pub fn next_timestamp(
    last: Option<&TimestampRole>,
    repository: &Name,
    snapshot: MetaFile,
    signed_at: Timestamp,
    expires: Timestamp,
) -> TimestampRole {
    TimestampRole {
        header: header_after(last, expires),
        repository: Some(repository.to_string()),
        signed_at: Some(signed_at),
        snapshot,
        unknown: last.map(|last| last.unknown.clone()).unwrap_or_default(),
    }
}
