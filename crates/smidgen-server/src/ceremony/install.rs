//! Putting a signed root in force, so that no client ever meets metadata that it cannot follow.
//!
//! Between two roots stands a bridge: before the new root appears, everything in force that other keys will sign from
//! then on is signed by the old and the new keys at once. Under the old root the old signatures count, under the new one
//! the new ones, so the moment at which `N.root.json` appears, in one atomic step, is the only one that matters, and a crash
//! before or after it leaves a repository that clients follow. After it, timestamp is signed once more: clients that probe
//! for a new root only when timestamp changes get to see it, and the old keys' signatures end.
//!
//! An old key that is lost builds no bridge. Then the new root comes first and the rest at once after it; a crash between
//! the two leaves clients with what they have, until the same call is made again.
//!
//! A repository that is not cut up is locked from the bridge to the end. Shards are locked one by one: a publisher who comes
//! between the bridge of a shard and the new root signs with the old keys alone, and clients of that shard wait until
//! its turn comes after the root.

use serde::Serialize;
use smidgen_metadata::{PublicKey, RoleKind, Root, TrustedSet, VerifyError};

use super::{CeremonyError, Draft};
use crate::Reporter;
use crate::keys::{KeyName, Keys, KeysError};
use crate::layout;
use crate::repository::{Depth, Repository, RepositoryError, Signers};
use crate::resign::{SignedRole, changed};
use crate::store::{Lock, StoreError};

/// What became of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Installed {
    /// It is in force now.
    InForce,
    /// It was there already, by a call that crashed or is repeated; whatever was left to do is done.
    Already,
}

/// What was done to put a root in force.
#[derive(Clone, Debug, Serialize)]
pub struct InstallReport {
    /// Whether it was new.
    pub outcome: Installed,
    /// The root's version.
    pub version: u64,
    /// What was signed anew.
    pub roles: Vec<SignedRole>,
    /// Whether old keys were at hand to sign too, so that there was no moment in which clients could not follow.
    pub bridged: bool,
    /// Keys that are not trusted any more and were moved aside.
    pub retired: Vec<KeyName>,
    /// Why keys that are not trusted any more could not be moved aside.
    pub not_retired: Option<String>,
}

/// Puts a signed root in force, in all shards. A call that crashed can be repeated.
///
/// # Errors
/// [`CeremonyError`]; unless the error comes from the store, what clients see has not changed.
pub async fn install(
    repository: &Repository,
    keys: &Keys,
    draft: &Draft,
    reporter: &dyn Reporter,
) -> Result<InstallReport, CeremonyError> {
    let lock = repository.lock(reporter).await?;
    let version = draft.version();
    let Some(old) = repository.roots_before(version).await? else {
        return Err(CeremonyError::NotNext { found: version, present: newest_root(repository).await? });
    };
    let outcome = outcome(repository, draft).await?;
    let mut new = old.clone();
    new.update_root(draft.bytes()).map_err(|source| CeremonyError::Unacceptable { source })?;
    let (expires, now) = (draft.root().header.expires, repository.now());
    if expires <= now {
        return Err(CeremonyError::Expired { expires, now });
    }
    let crossing = Crossing { repository, keys, draft, reporter, lock, old, new };
    let (roles, bridged) = match outcome {
        Installed::InForce => crossing.cross().await?,
        Installed::Already => crossing.finish().await?,
    };
    let (retired, not_retired) = crossing.retire();
    Ok(InstallReport { outcome, version, roles, bridged, retired, not_retired })
}

async fn newest_root(repository: &Repository) -> Result<u64, CeremonyError> {
    Ok(repository.root().await?.header.version)
}

/// Whether the root is in the repository already, it and no other of its number.
async fn outcome(repository: &Repository, draft: &Draft) -> Result<Installed, CeremonyError> {
    let (version, limit) = (draft.version(), repository.limits().max_root_len);
    let key = layout::role_key("root", version);
    let there = repository.store().see_if_there(&key, limit).await?;
    let Some(there) = there else { return Ok(Installed::InForce) };
    let same = Draft::parse(there.bytes.to_vec(), &key)?.says_the_same(draft);
    match newest_root(repository).await? {
        newest if newest > version => Err(CeremonyError::NotNext { found: version, present: newest }),
        _ if same => Ok(Installed::Already),
        _ => Err(CeremonyError::Taken { version }),
    }
}

/// From the old root to the new one: what all steps work with.
struct Crossing<'a> {
    repository: &'a Repository,
    keys: &'a Keys,
    draft: &'a Draft,
    reporter: &'a dyn Reporter,
    lock: Lock,
    /// The roots before the new one.
    old: TrustedSet,
    /// The same with the new one.
    new: TrustedSet,
}

/// What was signed anew, and whether old keys were at hand to sign too.
type Crossed = (Vec<SignedRole>, bool);

impl Crossing<'_> {
    /// The lock of a shard; none where the repository is not cut up, which is locked already.
    async fn lock(&self, part: &Repository) -> Result<Option<Lock>, CeremonyError> {
        if part.folder().is_empty() { Ok(None) } else { Ok(Some(part.lock(self.reporter).await?)) }
    }

    fn old_root(&self) -> &Root {
        self.old.root()
    }

    async fn cross(&self) -> Result<Crossed, CeremonyError> {
        let parts = self.repository.parts().await?;
        let bridged = self.bridge(&parts).await?;
        let version = self.draft.version();
        let key = layout::role_key("root", version);
        match self.repository.store().put_new(&key, self.draft.bytes().to_vec().into()).await {
            Err(StoreError::Exists { .. }) => return Err(CeremonyError::Taken { version }),
            put => put?,
        }
        let (roles, _) = self.arrive(&parts).await?;
        Ok((roles, bridged))
    }

    /// The end of a call that got as far as the new root.
    async fn finish(&self) -> Result<Crossed, CeremonyError> {
        let parts = self.repository.parts().await?;
        self.arrive(&parts).await
    }

    /// Signs by the old and the new keys at once, in every shard; `false` if there are no old keys, or no client to follow
    /// because the old root has expired. Whoever lacks a new key finds out here.
    async fn bridge(&self, parts: &[Repository]) -> Result<bool, CeremonyError> {
        let (root, now) = (self.draft.root(), self.repository.now());
        let wants_targets = self.repository.wants_targets(&self.old, &self.new).await?;
        if wants_targets {
            keys_for(self.keys, RoleKind::Targets, root)?;
        }
        let both = [self.old_root(), root];
        let mut possible = self.old_root().header.expires > now;
        for part in parts {
            let state = part.load_under(self.old.clone()).await?;
            // New targets come in force with a snapshot.
            let depth = if wants_targets { Depth::Snapshot } else { state.depth_for(root, now) };
            Signers::read_for_roots(self.keys, &state, &[root], &depth)?;
            possible &= available(Signers::read_for_roots(self.keys, &state, &both, &depth))?.is_some();
        }
        if wants_targets {
            possible &= available(keys_for(self.keys, RoleKind::Targets, self.old_root()))?.is_some();
        }
        if !possible {
            return Ok(false);
        }
        if wants_targets {
            self.repository.bridge_targets(self.keys, &self.old, &both).await?;
        }
        for part in parts {
            let own = self.lock(part).await?;
            let state = part.load_under(self.old.clone()).await?;
            let depth = state.depth_for(root, now);
            let signers = Signers::read_for_roots(self.keys, &state, &both, &depth)?;
            let lock = own.as_ref().unwrap_or(&self.lock);
            part.commit(lock, &state, depth, &signers, self.reporter).await?;
            // As a client that has the new root sees it, before there is one.
            part.load_under(self.new.clone()).await?;
        }
        Ok(true)
    }

    /// Signs timestamp once more, and whatever the bridge did not, by the new keys alone, under the new root.
    async fn arrive(&self, parts: &[Repository]) -> Result<Crossed, CeremonyError> {
        let (root, now) = (self.draft.root(), self.repository.now());
        if self.repository.wants_targets(&self.old, &self.new).await? {
            self.repository.bridge_targets(self.keys, &self.old, &[root]).await?;
        }
        let (mut roles, mut bridged) = (Vec::new(), true);
        for part in parts {
            let own = self.lock(part).await?;
            let (before, base) = match part.load_under(self.new.clone()).await {
                Ok(standing) => (standing.clone(), standing),
                Err(RepositoryError::Verify { source, .. })
                    if matches!(*source, VerifyError::SignatureThreshold { .. }) =>
                {
                    bridged = false;
                    let before = part.load_under(self.old.clone()).await?;
                    (before.clone(), part.under(before, self.new.clone()).await?)
                }
                Err(error) => return Err(error.into()),
            };
            let depth = match (before.depth_for(root, now), base.depth_for(root, now)) {
                (Depth::Timestamp, Depth::Timestamp) => Depth::Timestamp,
                _ => Depth::Snapshot,
            };
            let signers = Signers::read_for_roots(self.keys, &base, &[root], &depth)?;
            part.commit(own.as_ref().unwrap_or(&self.lock), &base, depth, &signers, self.reporter).await?;
            roles.extend(changed(part, &before, &part.load_under(self.new.clone()).await?));
        }
        Ok((roles, bridged))
    }

    /// The root is in force: what is left can fail without harm, and is told.
    fn retire(&self) -> (Vec<KeyName>, Option<String>) {
        let stays = |key: &&PublicKey| !self.draft.root().keys.contains_key(&key.id());
        match self.keys.retire(self.old_root().keys.values().filter(stays)) {
            Ok(names) => (names, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        }
    }
}

fn keys_for(keys: &Keys, role: RoleKind, root: &Root) -> Result<(), RepositoryError> {
    let threshold = root.roles.get(&role).map_or(1, |role| role.threshold);
    keys.signers(role.as_str(), root.keys_of(role).map(|(_, key)| key), threshold)?;
    Ok(())
}

/// Signers, unless keys are not here; a key that is here and cannot be used is an error.
fn available<T>(signers: Result<T, RepositoryError>) -> Result<Option<T>, RepositoryError> {
    match signers {
        Ok(signers) => Ok(Some(signers)),
        Err(RepositoryError::Keys(
            KeysError::Missing { .. } | KeysError::WrongKey { .. } | KeysError::TooFew { .. },
        )) => Ok(None),
        Err(error) => Err(error),
    }
}
