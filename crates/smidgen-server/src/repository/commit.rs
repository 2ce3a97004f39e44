//! Putting new metadata in force: sign, prove, write, and only then replace the timestamp.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use smidgen_metadata::sign::{Signer, next_snapshot, next_targets, next_timestamp, sign_role, signing_time};
use smidgen_metadata::{
    BuildLine, Line, MetaFile, Name, Role, RoleKind, RoleName, Root, Targets, Timestamp, TrustedSet,
};

use super::products::{self, Authorised};
use super::state::{Held, verify_delegated};
use super::{LIFETIMES, Repository, RepositoryError, State};
use crate::keys::Keys;
use crate::layout;
use crate::publish::line_label;
use crate::store::Lock;
use crate::{Event, Reporter};

/// How far a clock may be behind the newest signature before that is an error: clocks of two machines in one pipeline
/// differ by this much without harm, and the signed time never goes back anyway.
pub(crate) const CLOCK_SLACK_SECONDS: i64 = 600;

/// How much is signed anew. Targets that were signed offline meanwhile are put in force by all but the first.
#[derive(Clone, Debug)]
pub(crate) enum Depth {
    /// Timestamp only.
    Timestamp,
    /// Snapshot and timestamp.
    Snapshot,
    /// The roles of these lines with these releases, and with them snapshot and timestamp.
    Lines(Vec<(BuildLine, Line)>),
    /// These delegated roles with nothing changed, and with them snapshot and timestamp. They must be loaded.
    Roles(BTreeSet<String>),
}

/// Those who sign one role, as many as its threshold asks for.
pub(crate) type RoleSigners = Vec<Box<dyn Signer>>;

/// The keys for a depth, checked against metadata before any work is done.
pub(crate) struct Signers {
    /// By product.
    pub(super) products: BTreeMap<String, RoleSigners>,
    pub(super) snapshot: Option<RoleSigners>,
    pub(super) timestamp: RoleSigners,
}

/// The versions in force after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) targets: u64,
    pub(crate) snapshot: u64,
    pub(crate) timestamp: u64,
}

impl Signers {
    /// Finds the keys that sign the releases of these products, of those that changed hands, and everything above them.
    pub(crate) fn read_for_products(
        keys: &Keys,
        state: &State,
        products: impl IntoIterator<Item = String>,
    ) -> Result<Self, RepositoryError> {
        let mut signers = Self::read_for_snapshot(keys, state.root())?;
        for product in products.into_iter().chain(state.rekeyed()) {
            let allowed = Authorised::of(state.next_targets(), &product);
            let allowed =
                allowed.ok_or_else(|| RepositoryError::UnknownProduct { product: product.clone() })?;
            let found = keys.signers("release", allowed.keys.values(), allowed.threshold)?;
            signers.products.insert(product, found);
        }
        Ok(signers)
    }

    /// Finds the keys that sign snapshot and timestamp.
    pub(crate) fn read_for_snapshot(keys: &Keys, root: &Root) -> Result<Self, RepositoryError> {
        Ok(Self {
            snapshot: Some(read(keys, RoleKind::Snapshot, root)?),
            ..Self::read_for_timestamp(keys, root)?
        })
    }

    /// Finds the keys that sign timestamp.
    pub(crate) fn read_for_timestamp(keys: &Keys, root: &Root) -> Result<Self, RepositoryError> {
        let timestamp = read(keys, RoleKind::Timestamp, root)?;
        Ok(Self { products: BTreeMap::new(), snapshot: None, timestamp })
    }
}

/// Finds as many keys as the root wants for the role.
pub(super) fn read(keys: &Keys, role: RoleKind, root: &Root) -> Result<RoleSigners, RepositoryError> {
    let threshold = root.roles.get(&role).map_or(1, |role| role.threshold);
    Ok(keys.signers(role.as_str(), root.keys_of(role).map(|(_, key)| key), threshold)?)
}

pub(super) fn sign<R: Role>(
    name: RoleName,
    role: &R,
    signers: &[Box<dyn Signer>],
) -> Result<Vec<u8>, RepositoryError> {
    let signers: Vec<&dyn Signer> = signers.iter().map(|signer| &**signer).collect();
    sign_role(role, &signers).map_err(|source| RepositoryError::Sign { role: name, source })
}

/// What a commit builds upon.
pub(super) struct Base<'a> {
    pub(super) trusted: &'a TrustedSet,
    pub(super) name: &'a Name,
    pub(super) state: Option<&'a State>,
}

/// Signed metadata that nobody has seen yet.
#[derive(Default)]
struct Draft {
    /// Roots and targets that were signed offline, as they come from the home of the repository.
    from_home: Vec<File>,
    /// By name; those of lines after those of their products.
    delegated: BTreeMap<String, Signed>,
    targets: Option<Held>,
    snapshot: Option<File>,
    snapshot_version: u64,
    timestamp: Vec<u8>,
    timestamp_version: u64,
}

struct Signed {
    file: File,
    role: Targets,
}

struct File {
    key: String,
    bytes: Bytes,
}

impl File {
    fn sign<R: Role>(name: RoleName, role: &R, signers: &[Box<dyn Signer>]) -> Result<Self, RepositoryError> {
        let key = layout::role_key(name.as_str(), role.version());
        Ok(Self { key, bytes: sign(name, role, signers)?.into() })
    }
}

impl Draft {
    /// Files in the order in which they are written: whatever lists another comes after it.
    fn files(&self) -> impl Iterator<Item = &File> {
        let of = |lines: bool| {
            let chosen = self.delegated.iter().filter(move |(name, _)| products::is_line_role(name) == lines);
            chosen.map(|(_, signed)| &signed.file)
        };
        of(true).chain(of(false)).chain(&self.from_home).chain(&self.snapshot)
    }

    fn targets<'a>(&'a self, base: &Base<'a>) -> Option<&'a Held> {
        self.targets.as_ref().or(base.state.map(|state| &state.targets))
    }

    fn delegated<'a>(&'a self, base: &Base<'a>, name: &str) -> Option<&'a Targets> {
        let in_force = || base.state.and_then(|state| state.delegated(name));
        self.delegated.get(name).map(|signed| &signed.role).or_else(in_force)
    }

    /// Goes through the new files as a client would that knows the state before.
    fn prove(&self, base: &Base<'_>) -> Result<(), RepositoryError> {
        let refuse =
            |role: RoleName| move |source| RepositoryError::Unacceptable { role, source: Box::new(source) };
        let mut client = base.trusted.clone();
        client.update_timestamp(&self.timestamp).map_err(refuse(RoleKind::Timestamp.into()))?;
        let kept = base.state.map(|state| &state.snapshot_bytes);
        let snapshot = self.snapshot.as_ref().map(|file| &file.bytes).or(kept);
        client
            .update_snapshot(snapshot.map_or(&[][..], |bytes| bytes))
            .map_err(refuse(RoleKind::Snapshot.into()))?;
        let targets = self.targets(base);
        client
            .update_targets(targets.map_or(&[][..], |held| &held.bytes))
            .map_err(refuse(RoleKind::Targets.into()))?;
        for (name, signed) in &self.delegated {
            let role = RoleName::Delegated(name.clone());
            let product = products::product_of(name);
            let (delegator, delegating) = match products::is_line_role(name) {
                true => (RoleName::Delegated(product.to_owned()), self.delegated(base, product)),
                false => (RoleKind::Targets.into(), targets.map(|held| &held.role)),
            };
            let signers = delegating.and_then(|delegating| Authorised::of(delegating, name));
            let Some(signers) = signers else {
                let source = smidgen_metadata::VerifyError::NotListed { role: role.clone() };
                return Err(RepositoryError::Unacceptable { role, source: Box::new(source) });
            };
            verify_delegated(&client, &role, delegator, &signers, &signed.file.bytes)
                .map_err(refuse(role))?;
        }
        Ok(())
    }
}

fn refuse_expired(role: RoleName, expires: Timestamp, now: Timestamp) -> Result<(), RepositoryError> {
    if expires <= now { Err(RepositoryError::Expired { role, expires, now }) } else { Ok(()) }
}

/// Whether more than half of its time is used up. The other half is left for whoever has the key to notice that nobody
/// signs any more.
pub(crate) fn is_due(expires: Timestamp, lifetime: u32, now: Timestamp) -> bool {
    expires <= now.plus_hours(lifetime / 2)
}

impl Repository {
    /// Puts new metadata in force. The caller holds the lock and has loaded `state` under it.
    ///
    /// Fails with a conflict (see [`RepositoryError::is_conflict`]) if somebody else was faster, which only a store
    /// without locks allows.
    pub(crate) async fn commit(
        &self,
        lock: &Lock,
        state: &State,
        depth: Depth,
        signers: &Signers,
        reporter: &dyn Reporter,
    ) -> Result<Committed, RepositoryError> {
        let mut state = state.clone();
        for product in state.rekeyed() {
            self.load_product(&mut state, &product).await?;
        }
        let base = Base { trusted: state.trusted(), name: &state.name, state: Some(&state) };
        self.commit_upon(lock, &base, depth, signers, reporter).await
    }

    pub(super) async fn commit_upon(
        &self,
        lock: &Lock,
        base: &Base<'_>,
        depth: Depth,
        signers: &Signers,
        reporter: &dyn Reporter,
    ) -> Result<Committed, RepositoryError> {
        let now = self.signing_time(base)?;
        let draft = self.draft(base, depth, signers, now).await?;
        draft.prove(base)?;

        for file in draft.files() {
            match self.store().put_new(&file.key, file.bytes.clone()).await {
                // What comes from home may have been copied by a run that crashed; roots and targets are signed, and
                // `prove` has seen that these are the right ones.
                Err(crate::store::StoreError::Exists { .. }) if is_from_home(&draft, file) => {}
                put => put?,
            }
        }
        let seen = base.state.map(|state| &state.timestamp);
        let targets = draft.targets(base).map_or(0, |held| held.role.version());
        let (snapshot, timestamp) = (draft.snapshot_version, draft.timestamp_version);
        self.store().replace(lock, layout::TIMESTAMP, draft.timestamp.into(), seen).await?;
        reporter.event(&Event::Committed { timestamp, targets });
        Ok(Committed { targets, snapshot, timestamp })
    }

    /// Now, or the newest signed time if that is a little later.
    fn signing_time(&self, base: &Base<'_>) -> Result<Timestamp, RepositoryError> {
        let now = self.now();
        let last = base.state.map(State::timestamp);
        match last.and_then(|last| last.signed_at) {
            Some(signed) if now.unix().saturating_add(CLOCK_SLACK_SECONDS) < signed.unix() => {
                Err(RepositoryError::ClockBack { now, signed })
            }
            _ => Ok(signing_time(now, last)),
        }
    }

    /// Signs what `depth` asks for, above what stays as it is.
    async fn draft(
        &self,
        base: &Base<'_>,
        depth: Depth,
        signers: &Signers,
        now: Timestamp,
    ) -> Result<Draft, RepositoryError> {
        refuse_expired(RoleKind::Root.into(), base.trusted.root().expires(), now)?;
        let mut draft = Draft::default();
        let anew = !matches!(depth, Depth::Timestamp);
        self.fetch_from_home(base, anew, &mut draft).await?;
        let targets = draft.targets(base).ok_or_else(|| self.missing(layout::TIMESTAMP))?.role.clone();
        refuse_expired(RoleKind::Targets.into(), targets.expires(), now)?;
        if let Some(state) = base.state.filter(|_| anew) {
            self.draft_roles(base, &targets, &state.roles_of(&state.rekeyed()), signers, now, &mut draft)
                .await?;
        }
        match &depth {
            Depth::Timestamp | Depth::Snapshot => {}
            Depth::Lines(lines) => self.draft_lines(base, &targets, lines, signers, now, &mut draft).await?,
            Depth::Roles(names) => self.draft_roles(base, &targets, names, signers, now, &mut draft).await?,
        }

        let listed = match (&signers.snapshot, base.state) {
            (Some(signers), _) if anew => {
                let last = base.state.map(State::snapshot);
                // Versions are all that it lists: each role is signed, no version has two contents, and a digest would
                // cost every client of the shard 32 bytes for each role that it does not want.
                let mut meta = vec![(RoleKind::Targets.into(), MetaFile::new(targets.version()))];
                meta.extend(draft.delegated.iter().map(|(name, signed)| {
                    (RoleName::Delegated(name.clone()), MetaFile::new(signed.role.version()))
                }));
                let expires = now.plus_hours(LIFETIMES.snapshot);
                let mut role = next_snapshot(last, base.name, meta, expires);
                role.header.version = self.free_version("snapshot", role.header.version).await?;
                let file = File::sign(RoleKind::Snapshot.into(), &role, signers)?;
                draft.snapshot = Some(file);
                // Its version is enough: snapshots are signed, and no version ever has two contents.
                MetaFile::new(role.version())
            }
            (_, Some(state)) => {
                refuse_expired(RoleKind::Snapshot.into(), state.snapshot.expires(), now)?;
                state.timestamp_role.snapshot.clone()
            }
            (_, None) => return Err(self.missing(layout::TIMESTAMP)),
        };
        draft.snapshot_version = listed.version;

        let last = base.state.map(State::timestamp);
        let expires = now.plus_hours(LIFETIMES.timestamp);
        let role = next_timestamp(last, base.name, listed, now, expires);
        draft.timestamp = sign(RoleKind::Timestamp.into(), &role, &signers.timestamp)?;
        draft.timestamp_version = role.version();
        Ok(draft)
    }

    /// Signs the roles of lines with new releases, and the roles of their products where those change.
    async fn draft_lines(
        &self,
        base: &Base<'_>,
        targets: &Targets,
        lines: &[(BuildLine, Line)],
        signers: &Signers,
        now: Timestamp,
        draft: &mut Draft,
    ) -> Result<(), RepositoryError> {
        for (line, content) in lines {
            let name = line.product.as_str();
            let unknown = || RepositoryError::UnknownProduct { product: name.to_owned() };
            let authorised = Authorised::of(targets, name).ok_or_else(unknown)?;
            let keys = signers.products.get(name).ok_or_else(unknown)?;
            let expires = now.plus_hours(LIFETIMES.release);
            let known = draft.delegated(base, name);
            let role = known.and_then(|product| products::role_of_line(product, line));
            let role = match role.map(|role| role.name.clone()) {
                Some(role) => role,
                None => {
                    let next = next_targets(known, expires);
                    let mut product = draft.delegated.remove(name).map_or(next, |signed| signed.role);
                    let role = products::add_line(&mut product, line, &authorised);
                    self.sign_delegated(name, product, keys, draft).await?;
                    role
                }
            };
            // A product's role that few releases change would else expire under them.
            if let Some(product) = draft.delegated(base, name)
                && is_due(product.expires(), LIFETIMES.release, now)
            {
                let renewed = next_targets(Some(product), expires);
                self.sign_delegated(name, renewed, keys, draft).await?;
            }
            let mut listing = next_targets(draft.delegated(base, &role), expires);
            content.write(&mut listing, line);
            self.sign_delegated(&role, listing, keys, draft).await?;
            tracing::debug!(role, line = line_label(line), "signed a line");
        }
        Ok(())
    }

    /// Signs delegated roles again, with whatever keys targets now want for them.
    async fn draft_roles(
        &self,
        base: &Base<'_>,
        targets: &Targets,
        names: &BTreeSet<String>,
        signers: &Signers,
        now: Timestamp,
        draft: &mut Draft,
    ) -> Result<(), RepositoryError> {
        for name in names {
            let product = products::product_of(name);
            let unknown = || RepositoryError::UnknownProduct { product: product.to_owned() };
            let authorised = Authorised::of(targets, product).ok_or_else(unknown)?;
            let keys = signers.products.get(product).ok_or_else(unknown)?;
            let Some(role) = draft.delegated(base, name) else { continue };
            let mut role = next_targets(Some(role), now.plus_hours(LIFETIMES.release));
            if !products::is_line_role(name) {
                products::authorise(&mut role, &authorised);
            }
            self.sign_delegated(name, role, keys, draft).await?;
        }
        Ok(())
    }

    async fn sign_delegated(
        &self,
        name: &str,
        mut role: Targets,
        signers: &RoleSigners,
        draft: &mut Draft,
    ) -> Result<(), RepositoryError> {
        role.header.version = self.free_version(name, role.header.version).await?;
        let file = File::sign(RoleName::Delegated(name.to_owned()), &role, signers)?;
        draft.delegated.insert(name.to_owned(), Signed { file, role });
        Ok(())
    }

    /// The first version from `next` on that no file has, the leftovers of crashed commits included.
    ///
    /// They are looked for one by one: a listing would cost more with every line of the shard.
    pub(super) async fn free_version(&self, role: &str, next: u64) -> Result<u64, RepositoryError> {
        let mut version = next;
        while self.store().entry(&layout::role_key(role, version)).await?.is_some() {
            let exhausted = || RepositoryError::VersionsExhausted { role: role.to_owned(), version };
            version = version.checked_add(1).ok_or_else(exhausted)?;
        }
        Ok(version)
    }

    /// Finds what was signed offline since the last commit: newer roots that this shard has no copy of, newer targets.
    async fn fetch_from_home(
        &self,
        base: &Base<'_>,
        anew: bool,
        draft: &mut Draft,
    ) -> Result<(), RepositoryError> {
        let incoming = match base.state {
            Some(state) => state.incoming.clone().filter(|_| anew),
            None => self.newer_targets(base.trusted, 0).await?,
        };
        if let Some(held) = incoming {
            let key = layout::role_key("targets", held.role.version());
            draft.from_home.push(File { key, bytes: held.bytes.clone() });
            draft.targets = Some(held);
        }
        if self.is_home() {
            // Whatever is there is where it has to be.
            draft.from_home.clear();
            return Ok(());
        }
        let mut version = base.trusted.root().version();
        while version > 0 {
            let key = layout::role_key("root", version);
            if self.store().entry(&key).await?.is_some() {
                break;
            }
            let bytes = self.home().read(&key, self.limits().max_root_len).await?;
            // The first one first, so that a chain that was cut off is short and never has a hole.
            draft.from_home.insert(0, File { key, bytes });
            version -= 1;
        }
        Ok(())
    }
}

fn is_from_home(draft: &Draft, file: &File) -> bool {
    draft.from_home.iter().any(|copied| copied.key == file.key)
}
