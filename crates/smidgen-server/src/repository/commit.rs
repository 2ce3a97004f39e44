//! Putting new metadata in force: sign, prove, write, and only then replace the timestamp.

use std::collections::BTreeMap;

use bytes::Bytes;
use smidgen_metadata::sign::{Signer, next_snapshot, next_targets, next_timestamp, sign_role, signing_time};
use smidgen_metadata::{MetaFile, Name, Role, RoleKind, Root, Target, Timestamp, TrustedSet};

use super::{LIFETIMES, Repository, RepositoryError, State};
use crate::keys::Keys;
use crate::layout::{self, METADATA, Versioned};
use crate::store::Lock;
use crate::{Event, Reporter};

/// How far a clock may be behind the newest signature before that is an error: clocks of two machines in one pipeline
/// differ by this much without harm, and the signed time never goes back anyway.
pub(crate) const CLOCK_SLACK_SECONDS: i64 = 600;

/// How much is signed anew.
#[derive(Clone, Debug)]
pub(crate) enum Depth {
    /// Timestamp only.
    Timestamp,
    /// Snapshot and timestamp.
    Snapshot,
    /// All three, with these files listed.
    Targets(BTreeMap<String, Target>),
}

/// Those who sign one role, as many as its threshold asks for.
pub(crate) type RoleSigners = Vec<Box<dyn Signer>>;

/// The keys for a depth, checked against the root before any work is done.
pub(crate) struct Signers {
    targets: Option<RoleSigners>,
    snapshot: Option<RoleSigners>,
    timestamp: RoleSigners,
}

/// The versions in force after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) targets: u64,
    pub(crate) snapshot: u64,
    pub(crate) timestamp: u64,
}

impl Signers {
    /// Finds the keys that sign all three roles.
    pub(crate) fn read(keys: &Keys, root: &Root) -> Result<Self, RepositoryError> {
        Ok(Self {
            targets: Some(read(keys, RoleKind::Targets, root)?),
            ..Self::read_for_snapshot(keys, root)?
        })
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
        Ok(Self { targets: None, snapshot: None, timestamp })
    }
}

/// Finds as many keys as the root wants for the role.
pub(super) fn read(keys: &Keys, role: RoleKind, root: &Root) -> Result<RoleSigners, RepositoryError> {
    let threshold = root.roles.get(&role).map_or(1, |role| role.threshold);
    Ok(keys.signers(role.as_str(), root.keys_of(role).map(|(_, key)| key), threshold)?)
}

pub(super) fn sign<R: Role>(role: &R, signers: &[Box<dyn Signer>]) -> Result<Vec<u8>, RepositoryError> {
    let signers: Vec<&dyn Signer> = signers.iter().map(|signer| &**signer).collect();
    sign_role(role, &signers).map_err(|source| RepositoryError::Sign { role: R::KIND, source })
}

/// Signed metadata that nobody has seen yet.
struct Draft {
    versions: Committed,
    /// Absent where the file in force stays.
    targets: Option<File>,
    snapshot: Option<File>,
    timestamp: Vec<u8>,
}

struct File {
    key: String,
    bytes: Vec<u8>,
}

impl File {
    fn sign<R: Role>(
        kind: Versioned,
        role: &R,
        signers: &[Box<dyn Signer>],
    ) -> Result<Self, RepositoryError> {
        Ok(Self { key: kind.key(role.version()), bytes: sign(role, signers)? })
    }
}

/// Versions that have a file.
#[derive(Clone, Copy, Default)]
struct Taken {
    targets: u64,
    snapshot: u64,
}

impl Draft {
    /// Goes through the new files as a client would that knows the state before.
    fn prove(&self, base: &Base<'_>) -> Result<(), RepositoryError> {
        fn bytes<'a>(file: &'a Option<File>, kept: Option<&'a Bytes>) -> &'a [u8] {
            file.as_ref().map(|file| &*file.bytes).or(kept.map(|bytes| &**bytes)).unwrap_or_default()
        }
        let refuse = |role| move |source| RepositoryError::Unacceptable { role, source };
        let mut client = base.trusted.clone();
        client.update_timestamp(&self.timestamp).map_err(refuse(RoleKind::Timestamp))?;
        let snapshot = bytes(&self.snapshot, base.state.map(|state| &state.snapshot_bytes));
        client.update_snapshot(snapshot).map_err(refuse(RoleKind::Snapshot))?;
        let targets = bytes(&self.targets, base.state.map(|state| &state.targets_bytes));
        client.update_targets(targets).map_err(refuse(RoleKind::Targets))
    }
}

/// The first version from `next` on that no file has, the leftovers of crashed commits included.
fn free(role: RoleKind, next: u64, taken: u64) -> Result<u64, RepositoryError> {
    let after = taken.checked_add(1).ok_or(RepositoryError::VersionsExhausted { role, version: taken })?;
    Ok(next.max(after))
}

fn refuse_expired(role: RoleKind, expires: Timestamp, now: Timestamp) -> Result<(), RepositoryError> {
    if expires <= now { Err(RepositoryError::Expired { role, expires, now }) } else { Ok(()) }
}

/// What a commit builds upon.
struct Base<'a> {
    trusted: &'a TrustedSet,
    name: &'a Name,
    state: Option<&'a State>,
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
        let base = Base { trusted: state.trusted(), name: &state.name, state: Some(state) };
        self.commit_upon(lock, &base, depth, signers, reporter).await
    }

    /// The first commit of a repository, which lists nothing.
    pub(super) async fn commit_first(
        &self,
        lock: &Lock,
        trusted: &TrustedSet,
        name: &Name,
        keys: &Keys,
        reporter: &dyn Reporter,
    ) -> Result<Committed, RepositoryError> {
        let signers = Signers::read(keys, trusted.root())?;
        let base = Base { trusted, name, state: None };
        self.commit_upon(lock, &base, Depth::Targets(BTreeMap::new()), &signers, reporter).await
    }

    async fn commit_upon(
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

        for file in [&draft.targets, &draft.snapshot].into_iter().flatten() {
            self.store().put_new(&file.key, file.bytes.clone().into()).await?;
        }
        let seen = base.state.map(|state| &state.timestamp);
        self.store().replace(lock, layout::TIMESTAMP, draft.timestamp.into(), seen).await?;
        let Committed { timestamp, targets, .. } = draft.versions;
        reporter.event(&Event::Committed { timestamp, targets });
        Ok(draft.versions)
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
        refuse_expired(RoleKind::Root, base.trusted.root().expires(), now)?;
        let taken = self.taken_versions().await?;
        let in_force = || base.state.ok_or_else(|| self.missing(layout::TIMESTAMP));
        let anew = !matches!(depth, Depth::Timestamp);

        let (targets, targets_meta) = match (depth, &signers.targets) {
            (Depth::Targets(listed), Some(signers)) => {
                let mut role =
                    next_targets(base.state.map(State::targets), now.plus_hours(LIFETIMES.targets));
                role.header.version = free(RoleKind::Targets, role.header.version, taken.targets)?;
                role.targets = listed;
                let file = File::sign(Versioned::Targets, &role, signers)?;
                let meta = MetaFile::of(role.version(), &file.bytes);
                (Some(file), meta)
            }
            _ => {
                let state = in_force()?;
                refuse_expired(RoleKind::Targets, state.targets.expires(), now)?;
                let listed = state.snapshot.listed(&RoleKind::Targets.into());
                (None, listed.cloned().unwrap_or_else(|| MetaFile::new(state.targets.version())))
            }
        };
        let versions = Committed { targets: targets_meta.version, snapshot: 0, timestamp: 0 };

        let (snapshot, snapshot_meta) = match &signers.snapshot {
            Some(signers) if anew => {
                let last = base.state.map(State::snapshot);
                let expires = now.plus_hours(LIFETIMES.snapshot);
                let mut role = next_snapshot(last, base.name, targets_meta, expires);
                role.header.version = free(RoleKind::Snapshot, role.header.version, taken.snapshot)?;
                let file = File::sign(Versioned::Snapshot, &role, signers)?;
                let meta = MetaFile::of(role.version(), &file.bytes);
                (Some(file), meta)
            }
            _ => {
                let state = in_force()?;
                refuse_expired(RoleKind::Snapshot, state.snapshot.expires(), now)?;
                (None, state.timestamp_role.snapshot.clone())
            }
        };
        let versions = Committed { snapshot: snapshot_meta.version, ..versions };

        let last = base.state.map(State::timestamp);
        let expires = now.plus_hours(LIFETIMES.timestamp);
        let role = next_timestamp(last, base.name, snapshot_meta, now, expires);
        let timestamp = sign(&role, &signers.timestamp)?;
        Ok(Draft {
            versions: Committed { timestamp: role.version(), ..versions },
            targets,
            snapshot,
            timestamp,
        })
    }

    /// The highest version of each role that has a file, whether it was ever in force or not.
    async fn taken_versions(&self) -> Result<Taken, RepositoryError> {
        let mut taken = Taken::default();
        for entry in self.store().list(METADATA).await? {
            taken.targets = taken.targets.max(Versioned::Targets.version(&entry.key).unwrap_or(0));
            taken.snapshot = taken.snapshot.max(Versioned::Snapshot.version(&entry.key).unwrap_or(0));
        }
        Ok(taken)
    }
}
