//! What a change of root keys needs of a repository: to look at it as clients of an older or a coming root do.

use std::collections::BTreeMap;

use smidgen_metadata::sign::next_targets;
use smidgen_metadata::{PublicKey, RoleKind, Root, Targets, Timestamp, TrustedSet};

use super::commit::{self, RoleSigners};
use super::products::{self, Authorised};
use super::{Depth, LIFETIMES, Repository, RepositoryError, Signers, State, refused};
use crate::Reporter;
use crate::keys::Keys;
use crate::layout;

impl Repository {
    /// The newest root, which is the same for all shards.
    pub async fn root(&self) -> Result<Root, RepositoryError> {
        Ok(self.load_root().await?.0.root().clone().into_inner())
    }

    /// The newest targets that were signed offline, whether a shard has them in force yet or not.
    pub async fn offline_targets(&self) -> Result<Option<Targets>, RepositoryError> {
        let (trusted, _) = self.load_root().await?;
        Ok(self.newest_targets(&trusted).await?.map(|held| held.role))
    }

    /// Signs targets in which `new` alone signs the releases of every product.
    pub(crate) async fn entrust_releases(
        &self,
        keys: &Keys,
        new: &PublicKey,
        reporter: &dyn Reporter,
    ) -> Result<(), RepositoryError> {
        let change = |targets: &Targets, expires| {
            let mut next = next_targets(Some(targets), expires);
            products::authorise(&mut next, &Authorised::one(new.clone()));
            next
        };
        self.renew_targets(keys, change, reporter).await
    }

    /// The chain of roots up to the one before `version`, open for more; `None` if it ends earlier.
    pub(crate) async fn roots_before(&self, version: u64) -> Result<Option<TrustedSet>, RepositoryError> {
        let (mut chain, _) = self.open_chain().await?;
        while chain.root().header.version.saturating_add(1) < version {
            let key = layout::role_key("root", chain.root().header.version.saturating_add(1));
            let Some(raw) = self.home().see_if_there(&key, self.limits.max_root_len).await? else {
                return Ok(None);
            };
            chain.update_root(&raw.bytes).map_err(|source| refused(&key, source))?;
        }
        Ok(Some(chain))
    }

    /// The state in force, as clients see it whose newest root is that of `chain`.
    pub(crate) async fn load_under(&self, chain: TrustedSet) -> Result<State, RepositoryError> {
        self.load_top(self.close_chain(chain)?).await
    }

    /// A state, for a commit under the next root: the files as they are, and the trust of `chain`.
    pub(crate) async fn under(&self, state: State, chain: TrustedSet) -> Result<State, RepositoryError> {
        let trusted = self.close_chain(chain)?;
        let incoming = self.newer_targets(&trusted, state.version(RoleKind::Targets)).await?;
        Ok(State { root: trusted.root().clone().into_inner(), trusted, incoming, ..state })
    }

    fn close_chain(&self, mut chain: TrustedSet) -> Result<TrustedSet, RepositoryError> {
        chain.finish_root().map_err(|source| refused("root", source))?;
        if let Some(name) = self.name_of(&chain)? {
            chain.pin_repository(name.as_str()).map_err(|source| refused("root", source))?;
        }
        Ok(chain)
    }

    /// Whether targets have to be signed again before the last root of `new` can be in force: other keys sign them then, or
    /// they have expired.
    pub(crate) async fn wants_targets(
        &self,
        old: &TrustedSet,
        new: &TrustedSet,
    ) -> Result<bool, RepositoryError> {
        let newest = async |chain: &TrustedSet| -> Result<Option<(u64, Timestamp)>, RepositoryError> {
            let held = self.newest_targets(&self.close_chain(chain.clone())?).await?;
            Ok(held.map(|held| (held.role.header.version, held.role.header.expires)))
        };
        let present = newest(old).await?.map_or(0, |(version, _)| version);
        Ok(newest(new).await?.is_none_or(|(version, expires)| version < present || expires <= self.now()))
    }

    /// Signs targets again by the keys of all these roots at once, the first of which is that of `chain`.
    pub(crate) async fn bridge_targets(
        &self,
        keys: &Keys,
        chain: &TrustedSet,
        roots: &[&Root],
    ) -> Result<(), RepositoryError> {
        let trusted = self.close_chain(chain.clone())?;
        let newest = self.newest_targets(&trusted).await?.ok_or_else(|| self.missing(layout::METADATA))?;
        let signers = of_roots(keys, RoleKind::Targets, roots)?;
        let next = next_targets(Some(&newest.role), self.now().plus_hours(LIFETIMES.targets));
        self.put_targets(next, &signers).await?;
        Ok(())
    }
}

impl State {
    /// How much has to be signed anew for the next root: what other keys sign, and what has expired.
    pub(crate) fn depth_for(&self, next: &Root, now: Timestamp) -> Depth {
        let rekeyed = self.root.roles.get(&RoleKind::Snapshot) != next.roles.get(&RoleKind::Snapshot);
        let expired = self.expiry(RoleKind::Snapshot) <= now;
        if rekeyed || expired || self.incoming.is_some() { Depth::Snapshot } else { Depth::Timestamp }
    }
}

impl Signers {
    /// Finds the keys that sign everything of `depth` for all of these roots at once.
    pub(crate) fn read_for_roots(
        keys: &Keys,
        state: &State,
        roots: &[&Root],
        depth: &Depth,
    ) -> Result<Self, RepositoryError> {
        let mut products = BTreeMap::new();
        let anew = !matches!(depth, Depth::Timestamp);
        for product in state.rekeyed().into_iter().filter(|_| anew) {
            let unknown = || RepositoryError::UnknownProduct { product: product.clone() };
            let allowed = Authorised::of(state.next_targets(), &product).ok_or_else(unknown)?;
            let found = keys.signers("release", allowed.keys.values(), allowed.threshold)?;
            products.insert(product, found);
        }
        Ok(Self {
            products,
            snapshot: anew.then(|| of_roots(keys, RoleKind::Snapshot, roots)).transpose()?,
            timestamp: of_roots(keys, RoleKind::Timestamp, roots)?,
        })
    }
}

/// As many keys as each of the roots wants for a role, each key once.
fn of_roots(keys: &Keys, role: RoleKind, roots: &[&Root]) -> Result<RoleSigners, RepositoryError> {
    let mut all = RoleSigners::new();
    for root in roots {
        for signer in commit::read(keys, role, root)? {
            let id = signer.public_key().id();
            if !all.iter().any(|known| known.public_key().id() == id) {
                all.push(signer);
            }
        }
    }
    Ok(all)
}
