//! Signing again what is about to expire, without changing what it says.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use smidgen_metadata::sign::next_targets;
use smidgen_metadata::{PublicKey, Role as _, RoleKind, RoleName, Root, Timestamp};

use crate::Reporter;
use crate::keys::Keys;
use crate::repository::products::{Authorised, product_of};
use crate::repository::{Depth, LIFETIMES, Repository, RepositoryError, Signers, State, is_due};

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
    /// The shard's folder; left out where there are no shards.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub shard: String,
    /// `targets`, `snapshot`, `timestamp`, or the role of a product or build line.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When it expires.
    pub expires: Timestamp,
}

/// Signs metadata again, in all shards, with new expiry and nothing else changed. Targets that were signed offline since the
/// last commit come in force with it.
///
/// # Errors
/// [`RepositoryError`]; what clients of the shard that failed, and of those after it, see was not changed.
pub async fn resign(
    repository: &Repository,
    keys: &Keys,
    scope: ResignScope,
    reporter: &dyn Reporter,
) -> Result<ResignReport, RepositoryError> {
    let mut report = ResignReport { roles: Vec::new() };
    if scope != ResignScope::TimestampOnly {
        resign_targets(repository, keys, scope, reporter).await?;
    }
    for part in repository.parts().await? {
        report.roles.extend(resign_part(&part, keys, scope, reporter).await?);
    }
    Ok(report)
}

/// Targets are signed once for all shards, where their key is at hand.
async fn resign_targets(
    home: &Repository,
    keys: &Keys,
    scope: ResignScope,
    reporter: &dyn Reporter,
) -> Result<(), RepositoryError> {
    let expiry = home.offline_expiries().await?.into_iter().find(|(role, ..)| *role == RoleKind::Targets);
    let Some((_, _, expires)) = expiry else { return Ok(()) };
    if scope == ResignScope::Everything || is_due(expires, LIFETIMES.targets, home.now()) {
        home.renew_targets(keys, |targets, expires| next_targets(Some(targets), expires), reporter).await?;
    }
    Ok(())
}

async fn resign_part(
    part: &Repository,
    keys: &Keys,
    scope: ResignScope,
    reporter: &dyn Reporter,
) -> Result<Vec<SignedRole>, RepositoryError> {
    let load = async || match scope {
        ResignScope::TimestampOnly => part.load().await,
        _ => part.load_all().await,
    };
    loop {
        let lock = part.lock(reporter).await?;
        let before = load().await?;
        let depth = depth(scope, &before, keys, part.now())?;
        let signers = match &depth {
            Depth::Timestamp => Signers::read_for_timestamp(keys, before.root())?,
            Depth::Snapshot | Depth::Lines(_) => Signers::read_for_products(keys, &before, [])?,
            Depth::Roles(roles) => {
                let products: BTreeSet<String> =
                    roles.iter().map(|role| product_of(role).to_owned()).collect();
                Signers::read_for_products(keys, &before, products)?
            }
        };
        match part.commit(&lock, &before, depth, &signers, reporter).await {
            Err(error) if error.is_conflict() => continue,
            committed => committed?,
        };
        return Ok(changed(part, &before, &load().await?));
    }
}

/// Signs again and again until `stop`: at once, and then every `every`, give or take a fifth, so that many publishers do
/// not wake at the same moment. What fails is logged with its code and tried again sooner; clients have what they had.
///
/// Signing may block (a passphrase is stretched, a token asks its person): give it a thread of its own.
pub async fn keep(
    repository: &Repository,
    keys: &Keys,
    scope: ResignScope,
    every: Duration,
    stop: impl Future<Output = ()>,
) {
    let mut stop = std::pin::pin!(stop);
    loop {
        let pause = match resign(repository, keys, scope, &()).await {
            Ok(report) => {
                for role in &report.roles {
                    let SignedRole { shard, role, version, expires } = role;
                    tracing::info!(shard, role, version, %expires, "signed again");
                }
                every
            }
            Err(error) => {
                tracing::error!(code = error.code(), "failed to sign again: {error}");
                every / RETRIES
            }
        };
        tokio::select! {
            () = tokio::time::sleep(jittered(pause)) => {}
            () = &mut stop => return,
        }
    }
}

/// How often a failure is tried again in the time of one round.
const RETRIES: u32 = 12;

/// Between four and six fifths of `pause`.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0_u8; 4];
    // Without randomness there is no jitter, which is no reason not to sign.
    let share = match getrandom::fill(&mut random) {
        Ok(()) => f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    };
    pause.mul_f64(0.8 + 0.4 * share)
}

fn depth(scope: ResignScope, state: &State, keys: &Keys, now: Timestamp) -> Result<Depth, RepositoryError> {
    let everything = match scope {
        ResignScope::TimestampOnly => return Ok(Depth::Timestamp),
        ResignScope::WhatIsDue => false,
        ResignScope::Everything => true,
    };
    let root = state.root();
    if !everything && !can_sign(keys, root, RoleKind::Snapshot)? {
        return Ok(Depth::Timestamp);
    }
    let mut roles = BTreeSet::new();
    for (name, role) in state.listing() {
        let is_here = || -> Result<bool, RepositoryError> {
            match Authorised::of(state.next_targets(), product_of(name)) {
                Some(signers) => Ok(keys.can_sign(signers.keys.values(), signers.threshold)?),
                None => Ok(false),
            }
        };
        if everything || (is_due(role.expires(), LIFETIMES.release, now) && is_here()?) {
            roles.insert(name.to_owned());
        }
    }
    let snapshot_due = is_due(state.expiry(RoleKind::Snapshot), LIFETIMES.snapshot, now);
    let has_incoming = state.next_targets().version() != state.targets().version();
    Ok(if !roles.is_empty() {
        Depth::Roles(roles)
    } else if everything || snapshot_due || has_incoming {
        Depth::Snapshot
    } else {
        Depth::Timestamp
    })
}

fn can_sign(keys: &Keys, root: &Root, role: RoleKind) -> Result<bool, RepositoryError> {
    let threshold = root.roles.get(&role).map_or(1, |role| role.threshold);
    let listed: Vec<&PublicKey> = root.keys_of(role).map(|(_, key)| key).collect();
    Ok(keys.can_sign(listed, threshold)?)
}

/// What has another version now: targets, delegated roles, snapshot, timestamp.
pub(crate) fn changed(part: &Repository, before: &State, after: &State) -> Vec<SignedRole> {
    let signed = |role: &str, version, expires| SignedRole {
        shard: part.folder().to_owned(),
        role: role.to_owned(),
        version,
        expires,
    };
    let top = |role: RoleKind| {
        let is_new = after.version(role) != before.version(role);
        is_new.then(|| signed(role.as_str(), after.version(role), after.expiry(role)))
    };
    let mut roles: Vec<SignedRole> = top(RoleKind::Targets).into_iter().collect();
    for (name, role) in after.listing() {
        if before.version_of(&RoleName::Delegated(name.to_owned())) != Some(role.version()) {
            roles.push(signed(name, role.version(), role.expires()));
        }
    }
    roles.extend(top(RoleKind::Snapshot));
    roles.extend(top(RoleKind::Timestamp));
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_is_never_more_than_a_fifth_off() {
        let hour = Duration::from_secs(3600);
        let pauses: Vec<Duration> = (0..1000).map(|_| jittered(hour)).collect();
        assert!(pauses.iter().all(|pause| (2880..=4320).contains(&pause.as_secs())));
        assert!(pauses.iter().max() > pauses.iter().min());
    }
}
