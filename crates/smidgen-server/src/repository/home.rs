//! The home of a repository: where the files are that are signed offline, once for all its shards.
//!
//! A repository that is not cut up is its own home. Otherwise the shards lie below it, each a whole TUF repository with
//! copies of the home's roots and targets; a shard gets its copies when something is published there.

use serde::Serialize;
use smidgen_metadata::sign::next_targets;
use smidgen_metadata::{BuildLine, Name, Role as _, RoleKind, Shard, Shards, Targets, Timestamp, TrustedSet};

use super::commit::{self, Base, Depth, Signers};
use super::products::{self, Authorised};
use super::state::Held;
use super::{LIFETIMES, Repository, RepositoryError, refused};
use crate::Reporter;
use crate::keys::Keys;
use crate::layout::{self, METADATA};
use crate::store::{Lock, Store};

/// What adding a product did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProductReport {
    /// The product.
    pub product: Name,
    /// Whether targets delegated it before, so that nothing was signed.
    pub already: bool,
    /// The version of targets that delegates it. Each shard puts it in force with its next release.
    pub targets: u64,
}

impl Repository {
    /// Where roots and targets come from.
    pub(super) fn home(&self) -> &Store {
        self.home.as_ref().unwrap_or(&self.store)
    }

    /// Whether this is its own home.
    pub(super) fn is_home(&self) -> bool {
        self.home.is_none()
    }

    /// How it is cut up, as its newest root says; `None` for one whose root names no repository.
    pub async fn shards(&self) -> Result<Option<Shards>, RepositoryError> {
        let (trusted, key) = self.load_root().await?;
        Shards::of(trusted.root()).map_err(|fault| RepositoryError::Shards { key, fault })
    }

    /// The repository that holds `line`: this one, or one of its shards, which need not exist yet.
    pub async fn of_line(&self, line: &BuildLine) -> Result<Self, RepositoryError> {
        Ok(self.part(self.shards().await?.as_ref(), line))
    }

    /// The same, by shards that are known already.
    pub(crate) fn part(&self, shards: Option<&Shards>, line: &BuildLine) -> Self {
        shards.map_or_else(|| self.clone(), |shards| self.shard(&shards.of_line(line.id())))
    }

    /// All repositories under the root of this one that have metadata: this one itself, or its shards in the order of
    /// their folders.
    pub async fn parts(&self) -> Result<Vec<Self>, RepositoryError> {
        let Some(shards) = self.shards().await?.filter(|shards| shards.count() > 1) else {
            return Ok(vec![self.clone()]);
        };
        let mut parts = Vec::new();
        for folder in self.store.folders(Shards::FOLDER).await? {
            let Some(shard) = shards.in_folder(&folder) else { continue };
            let part = self.shard(&shard);
            if part.exists().await? {
                parts.push(part);
            }
        }
        Ok(parts)
    }

    /// Whether it has metadata; a shard has none before something is published to it.
    pub(crate) async fn exists(&self) -> Result<bool, RepositoryError> {
        Ok(self.store.entry(layout::TIMESTAMP).await?.is_some())
    }

    /// A key of this shard as it is called from home.
    pub(crate) fn full_key(&self, key: &str) -> String {
        if self.folder.is_empty() { key.to_owned() } else { format!("{}/{key}", self.folder) }
    }

    /// The folder of a shard below its home; empty for a repository that is not cut up.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    fn shard(&self, shard: &Shard) -> Self {
        if shard.folder.is_empty() {
            return self.clone();
        }
        Self {
            store: self.store.below(&shard.folder),
            home: Some(self.store.clone()),
            folder: shard.folder.clone(),
            ..self.clone()
        }
    }

    /// Makes the first metadata of a shard that nothing was published to yet. The caller holds its lock.
    pub(crate) async fn found(
        &self,
        lock: &Lock,
        keys: &Keys,
        reporter: &dyn Reporter,
    ) -> Result<(), RepositoryError> {
        let (trusted, _) = self.load_root().await?;
        let Some(name) = self.name_of(&trusted)? else {
            return Err(RepositoryError::Nameless { location: self.store.location().into() });
        };
        let signers = Signers::read_for_snapshot(keys, trusted.root())?;
        let base = Base { trusted: &trusted, name: &name, state: None };
        self.commit_upon(lock, &base, Depth::Snapshot, &signers, reporter).await?;
        Ok(())
    }

    /// The name that root gives to this repository.
    pub(super) fn name_of(&self, trusted: &TrustedSet) -> Result<Option<Name>, RepositoryError> {
        let key = layout::role_key("root", trusted.root().version());
        let shards = Shards::of(trusted.root()).map_err(|fault| RepositoryError::Shards { key, fault })?;
        let Some(shards) = shards else { return Ok(None) };
        match self.folder.rsplit_once('/') {
            None => Ok(Some(shards.name().clone())),
            Some((_, folder)) => Ok(shards.in_folder(folder).map(|shard| shard.name)),
        }
    }

    /// The newest targets above version `after` that the targets key signed, whether anybody lists them or not.
    ///
    /// What is there under such a number and is not genuine is the leftover of a crash: it takes the number and nothing
    /// else.
    pub(super) async fn newer_targets(
        &self,
        trusted: &TrustedSet,
        after: u64,
    ) -> Result<Option<Held>, RepositoryError> {
        let mut newest = None;
        for version in after.saturating_add(1).. {
            let key = layout::role_key("targets", version);
            let Some(seen) = self.home().see_if_there(&key, self.limits.max_targets_len).await? else {
                break;
            };
            if let Ok(role) = trusted.verify_unlisted_targets(&seen.bytes)
                && role.version() == version
            {
                newest = Some(Held { bytes: seen.bytes, role: role.into_inner() });
            }
        }
        Ok(newest)
    }

    /// Lets the release key sign a product: the one thing about a product that takes the targets key. Existing products
    /// say who that is; before the first one, targets remember the key from `init`.
    ///
    /// Nothing changes for clients until something of the product is published.
    pub async fn add_product(
        &self,
        keys: &Keys,
        product: Name,
        reporter: &dyn Reporter,
    ) -> Result<ProductReport, RepositoryError> {
        if !products::may_be_product(&product) {
            return Err(RepositoryError::ReservedProduct { product });
        }
        let _lock = self.lock(reporter).await?;
        let (trusted, _) = self.load_root().await?;
        let newest = self.newest_targets(&trusted).await?.ok_or_else(|| self.missing(METADATA))?;
        let version = newest.role.version();
        if products::delegation(&newest.role, product.as_str()).is_some() {
            return Ok(ProductReport { product, already: true, targets: version });
        }
        let signers = release_signers(&newest.role).ok_or(RepositoryError::NoReleaseKey)?;
        let keys = commit::read(keys, RoleKind::Targets, trusted.root()).map_err(|error| match error {
            RepositoryError::Keys(source) => RepositoryError::ProductNeedsTargetsKey {
                product: product.clone(),
                location: self.store.location().into(),
                source: Box::new(source),
            },
            error => error,
        })?;
        let mut next = next_targets(Some(&newest.role), self.now().plus_hours(LIFETIMES.targets));
        products::add_product(&mut next, &product, &signers);
        let version = self.put_targets(next, &keys).await?;
        Ok(ProductReport { product, already: false, targets: version })
    }

    /// What is signed offline: root and targets, with their files and the times at which they end.
    pub(crate) async fn offline_expiries(
        &self,
    ) -> Result<Vec<(RoleKind, String, Timestamp)>, RepositoryError> {
        let (trusted, key) = self.load_root().await?;
        let mut expiries = vec![(RoleKind::Root, key, trusted.root().expires())];
        if let Some(held) = self.newest_targets(&trusted).await? {
            let key = layout::role_key("targets", held.role.version());
            expiries.push((RoleKind::Targets, key, held.role.expires()));
        }
        Ok(expiries)
    }

    /// Signs targets anew if their key is here, after `change`, which is given the newest ones and the time at which the next
    /// are to end.
    pub(crate) async fn renew_targets(
        &self,
        keys: &Keys,
        change: impl FnOnce(&Targets, Timestamp) -> Targets,
        reporter: &dyn Reporter,
    ) -> Result<(), RepositoryError> {
        let _lock = self.lock(reporter).await?;
        let (trusted, _) = self.load_root().await?;
        let Ok(signers) = commit::read(keys, RoleKind::Targets, trusted.root()) else { return Ok(()) };
        let Some(newest) = self.newest_targets(&trusted).await? else { return Ok(()) };
        let expires = self.now().plus_hours(LIFETIMES.targets);
        self.put_targets(change(&newest.role, expires), &signers).await?;
        Ok(())
    }

    /// The newest genuine targets at home.
    pub(super) async fn newest_targets(&self, trusted: &TrustedSet) -> Result<Option<Held>, RepositoryError> {
        let files = self.home().list(METADATA).await?;
        let mut versions: Vec<u64> =
            files.iter().filter_map(|file| layout::role_of(&file.key)).filter_map(targets_version).collect();
        versions.sort_unstable();
        for version in versions.into_iter().rev() {
            let key = layout::role_key("targets", version);
            let bytes = self.home().read(&key, self.limits.max_targets_len).await?;
            if let Ok(role) = trusted.verify_unlisted_targets(&bytes)
                && role.version() == version
            {
                return Ok(Some(Held { bytes, role: role.into_inner() }));
            }
        }
        Ok(None)
    }

    /// Signs targets under a number that no file has, and proves them before they are written.
    pub(super) async fn put_targets(
        &self,
        mut role: Targets,
        signers: &commit::RoleSigners,
    ) -> Result<u64, RepositoryError> {
        role.header.version = self.free_version("targets", role.header.version).await?;
        let key = layout::role_key("targets", role.version());
        let bytes = commit::sign(RoleKind::Targets.into(), &role, signers)?;
        let (trusted, _) = self.load_root().await?;
        trusted.verify_unlisted_targets(&bytes).map_err(|source| refused(&key, source))?;
        self.home().put_new(&key, bytes.into()).await?;
        Ok(role.version())
    }
}

fn targets_version((role, version): (&str, u64)) -> Option<u64> {
    (role == "targets").then_some(version)
}

/// Who signs releases.
fn release_signers(targets: &Targets) -> Option<Authorised> {
    if let Some(first) = products::delegated_by(targets).first() {
        return Authorised::of(targets, &first.name);
    }
    let keys = &targets.delegations.as_ref()?.keys;
    keys.values().next().cloned().map(Authorised::one)
}
