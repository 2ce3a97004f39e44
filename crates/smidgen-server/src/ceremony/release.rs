//! Another release key: the one change of keys that takes the targets key and no root.
//!
//! Targets name the keys that sign releases. New targets are signed once for all shards; each shard then puts them in force
//! together with its roles of products and lines, signed by the new key, in the one step of its timestamp. So there is
//! no moment in which a client could meet a release that it must not trust, and none in which old and new keys are mixed.

use serde::Serialize;
use smidgen_metadata::{PublicKey, RoleKind};

use super::CeremonyError;
use crate::Reporter;
use crate::keys::{KeyName, Keys};
use crate::repository::Repository;
use crate::resign::{ResignScope, SignedRole, resign};

/// What was done to let another key sign releases.
#[derive(Clone, Debug, Serialize)]
pub struct ReleaseReport {
    /// What was signed anew, in each shard.
    pub roles: Vec<SignedRole>,
    /// Keys that are not trusted any more and were moved aside.
    pub retired: Vec<KeyName>,
}

/// Lets `new` sign the releases of all products, and nobody else. The keys of targets, snapshot and timestamp must be in
/// `keys`, and whatever signs for `new`.
///
/// A call that crashed leaves clients with what they had; `resign` finishes it.
///
/// # Errors
/// [`CeremonyError`]. If it comes from the store, shards that were done have the new key and the others the old one.
pub async fn rotate_release(
    repository: &Repository,
    keys: &Keys,
    new: &PublicKey,
    reporter: &dyn Reporter,
) -> Result<ReleaseReport, CeremonyError> {
    let root = repository.root().await?;
    for role in [RoleKind::Targets, RoleKind::Snapshot, RoleKind::Timestamp] {
        let threshold = super::change::threshold(&root, role);
        keys.signers(role.as_str(), root.keys_of(role).map(|(_, key)| key), threshold)?;
    }
    keys.signers("release", [new], 1)?;
    let targets = repository.offline_targets().await?;
    let delegations = targets.and_then(|targets| targets.delegations);
    let old: Vec<PublicKey> =
        delegations.into_iter().flat_map(|delegations| delegations.keys.into_values()).collect();
    repository.entrust_releases(keys, new, reporter).await?;
    let report = resign(repository, keys, ResignScope::WhatIsDue, reporter).await?;
    let retired = keys.retire(old.iter().filter(|key| key.id() != new.id()))?;
    Ok(ReleaseReport { roles: report.roles, retired })
}
