//! Signing again what is about to expire, without changing what it says.

use serde::Serialize;
use smidgen_metadata::{RoleKind, Timestamp};

use crate::Reporter;
use crate::keys::Keys;
use crate::repository::{Depth, LIFETIMES, Repository, RepositoryError, Signers, State};

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
    /// When it expires.
    pub expires: Timestamp,
}

/// Signs metadata again, with new expiry and nothing else changed.
///
/// # Errors
/// [`RepositoryError`]; what clients see was not changed.
pub async fn resign(
    repository: &Repository,
    keys: &Keys,
    scope: ResignScope,
    reporter: &dyn Reporter,
) -> Result<ResignReport, RepositoryError> {
    loop {
        let lock = repository.lock(reporter).await?;
        let before = repository.load().await?;
        let depth = depth(scope, &before, keys, repository.now())?;
        let signers = match &depth {
            Depth::Timestamp => Signers::read_for_timestamp(keys, before.root())?,
            Depth::Snapshot => Signers::read_for_snapshot(keys, before.root())?,
            Depth::Targets(_) => Signers::read(keys, before.root())?,
        };
        match repository.commit(&lock, &before, depth, &signers, reporter).await {
            Err(error) if error.is_conflict() => continue,
            committed => committed?,
        };
        let after = repository.load().await?;
        return Ok(ResignReport { roles: changed(&before, &after) });
    }
}

fn depth(scope: ResignScope, state: &State, keys: &Keys, now: Timestamp) -> Result<Depth, RepositoryError> {
    // Half of the time is left for whoever has the key to notice that nobody signs any more.
    let is_due = |role, lifetime: u32| {
        let keys_here = || {
            let threshold = state.root().roles.get(&role).map_or(1, |role| role.threshold);
            keys.can_sign(state.root().keys_of(role).map(|(_, key)| key), threshold)
        };
        if state.expiry(role) > now.plus_hours(lifetime / 2) { Ok(false) } else { keys_here() }
    };
    let everything = || Depth::Targets(state.targets().targets.clone());
    Ok(match scope {
        ResignScope::TimestampOnly => Depth::Timestamp,
        ResignScope::Everything => everything(),
        ResignScope::WhatIsDue if is_due(RoleKind::Targets, LIFETIMES.targets)? => everything(),
        ResignScope::WhatIsDue if is_due(RoleKind::Snapshot, LIFETIMES.snapshot)? => Depth::Snapshot,
        ResignScope::WhatIsDue => Depth::Timestamp,
    })
}

fn changed(before: &State, after: &State) -> Vec<SignedRole> {
    let roles = [RoleKind::Targets, RoleKind::Snapshot, RoleKind::Timestamp];
    let signed = |role: &RoleKind| after.version(*role) != before.version(*role);
    roles
        .into_iter()
        .filter(signed)
        .map(|role| SignedRole {
            role: role.as_str(),
            version: after.version(role),
            expires: after.expiry(role),
        })
        .collect()
}
