//! A repository: its trusted state, and the one order in which that changes.
//!
//! Everything but `timestamp.json` is immutable, and `timestamp.json` is replaced in one step, last. So a reader sees
//! the old state or the new one, and a crash leaves the old one plus files that nothing lists. Numbers that such
//! leftovers have taken are skipped.
//!
//! The publisher trusts its own repository no more than a client does: what is read goes through the same
//! [`TrustedSet`], and what is signed goes through it before it is put in force.

mod commit;
mod error;

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use smidgen_metadata::sign::{Lifetimes, SecretKey, Signer as _};
use smidgen_metadata::{
    Header, Limits, Name, Role as _, RoleKind, Root, Sha256, Snapshot, Targets, Timestamp, TimestampRole,
    TrustedSet, VerifyError,
};

pub(crate) use commit::{CLOCK_SLACK_SECONDS, Depth, Signers};
pub use error::RepositoryError;

use crate::clock::{Clock, SystemClock};
use crate::keys::{KeyName, Keys, ROOT_THRESHOLD};
use crate::layout::{self, Versioned};
use crate::store::{LOCK_FILE, Lock, Seen, Store};
use crate::{Event, Reporter};

/// For how long a role is valid after it was signed: root a year, targets 90 days, snapshot 14, timestamp 3.
pub(crate) const LIFETIMES: Lifetimes =
    Lifetimes { root: 365 * 24, targets: 90 * 24, snapshot: 14 * 24, timestamp: 72 };

/// A repository in a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Repository {
    store: Store,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

/// What was made.
#[derive(Clone, Debug, Serialize)]
pub struct InitReport {
    /// The repository's signed name.
    pub name: Name,
    /// The file that clients start to trust from, below the repository. It has to reach them with the program.
    pub root: String,
    /// Its SHA-256, to compare after copying it.
    pub root_sha256: Sha256,
}

/// A repository's state that a client would accept, but for expiry: a publisher signs expired metadata again.
#[derive(Clone, Debug)]
pub struct State {
    trusted: TrustedSet,
    name: Name,
    timestamp: Seen,
    snapshot_bytes: Bytes,
    targets_bytes: Bytes,
    root: Root,
    timestamp_role: TimestampRole,
    snapshot: Snapshot,
    targets: Targets,
}

impl State {
    /// The repository's signed name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The newest root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// What `timestamp.json` says.
    pub fn timestamp(&self) -> &TimestampRole {
        &self.timestamp_role
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The targets in force.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// All of it as a client holds it, to ask for lines.
    pub fn trusted(&self) -> &TrustedSet {
        &self.trusted
    }

    /// When a role ends.
    pub fn expiry(&self, role: RoleKind) -> Timestamp {
        self.header(role).expires
    }

    /// The version of a role that is in force.
    pub fn version(&self, role: RoleKind) -> u64 {
        self.header(role).version
    }

    fn header(&self, role: RoleKind) -> &Header {
        match role {
            RoleKind::Root => self.root.header(),
            RoleKind::Timestamp => self.timestamp_role.header(),
            RoleKind::Snapshot => self.snapshot.header(),
            RoleKind::Targets => self.targets.header(),
        }
    }
}

impl Repository {
    /// The repository in `store`, with the clock of this machine.
    pub fn new(store: Store) -> Self {
        Self { store, clock: Arc::new(SystemClock), limits: Limits::default() }
    }

    /// With another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Where it is.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What the clock says.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Makes an empty signed repository. `name` is signed into it and tells its metadata from that of other
    /// repositories under the same root; `None`: a random one.
    ///
    /// A call that crashed can be repeated with the same keys.
    pub async fn init(
        &self,
        keys: &Keys,
        name: Option<Name>,
        reporter: &dyn Reporter,
    ) -> Result<InitReport, RepositoryError> {
        let name = match name {
            Some(name) => name,
            None => random_name()?,
        };
        self.refuse_foreign_files()?;
        let lock = self.lock(reporter).await?;
        if self.store.entry(layout::TIMESTAMP).await?.is_some() {
            let name = self.load().await?.name;
            return Err(RepositoryError::AlreadyInitialised { location: self.store.location().into(), name });
        }
        let first = Versioned::Root.key(1);
        if self.store.entry(&first).await?.is_none() {
            self.store.put_new(&first, self.sign_first_root(keys)?.into()).await?;
        }
        let (trusted, root) = self.load_root().await?;
        self.commit_first(&lock, &trusted, &name, keys, reporter).await?;
        let root_sha256 = Sha256::of(&self.store.read(&root, self.limits.max_root_len).await?);
        Ok(InitReport { name, root, root_sha256 })
    }

    /// Reads and verifies root, timestamp, snapshot and targets, as a client does on its first contact, except that
    /// expired metadata is accepted: it is the publisher who can do something about it.
    pub async fn load(&self) -> Result<State, RepositoryError> {
        let (mut trusted, _) = self.load_root().await?;
        let missing = || self.missing(layout::TIMESTAMP);
        let timestamp = self.store.see_if_there(layout::TIMESTAMP, self.limits.max_timestamp_len).await?;
        let timestamp = timestamp.ok_or_else(missing)?;
        trusted.update_timestamp(&timestamp.bytes).map_err(|source| refused(layout::TIMESTAMP, source))?;

        let request = trusted.snapshot_request().map_err(|source| refused(layout::TIMESTAMP, source))?;
        let key = format!("{}/{}", layout::METADATA, request.name);
        let snapshot_bytes = self.store.read(&key, request.max_len).await?;
        trusted.update_snapshot(&snapshot_bytes).map_err(|source| refused(&key, source))?;

        let request = trusted.targets_request().map_err(|source| refused(&key, source))?;
        let key = format!("{}/{}", layout::METADATA, request.name);
        let targets_bytes = self.store.read(&key, request.max_len).await?;
        trusted.update_targets(&targets_bytes).map_err(|source| refused(&key, source))?;

        let parts = (
            trusted.root().clone().into_inner(),
            trusted.timestamp().map(|role| role.clone().into_inner()),
            trusted.snapshot().map(|role| role.clone().into_inner()),
            trusted.targets().map(|role| role.clone().into_inner()),
        );
        // Our own repositories always have a name; without one, two shards could be mixed up.
        let name = trusted.repository().and_then(|name| name.parse().ok());
        let name =
            name.ok_or_else(|| RepositoryError::Nameless { location: self.store.location().into() })?;
        match parts {
            (root, Some(timestamp_role), Some(snapshot), Some(targets)) => Ok(State {
                trusted,
                name,
                timestamp,
                snapshot_bytes,
                targets_bytes,
                root,
                timestamp_role,
                snapshot,
                targets,
            }),
            _ => Err(missing()),
        }
    }

    /// Takes the repository's lock, and says so if that has to wait.
    pub(crate) async fn lock(&self, reporter: &dyn Reporter) -> Result<Lock, RepositoryError> {
        let waiting = || reporter.event(&Event::Waiting { location: self.store.location().into() });
        Ok(self.store.lock(waiting).await?)
    }

    /// What is read of metadata at most.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// The chain of roots from the first one on; also the key of the last one.
    async fn load_root(&self) -> Result<(TrustedSet, String), RepositoryError> {
        let mut key = Versioned::Root.key(1);
        let first = self.store.see_if_there(&key, self.limits.max_root_len).await?;
        let Some(first) = first else {
            return Err(RepositoryError::NotARepository { location: self.store.location().into() });
        };
        // Nothing is expired in 1970, and the signed times that lift a client's clock never lift it over an expiry:
        // `commit` sees to that.
        let mut trusted = TrustedSet::open(&first.bytes, Timestamp::from_unix(0), self.limits)
            .map_err(|source| refused(&key, source))?;
        for version in 2.. {
            let next = Versioned::Root.key(version);
            let Some(raw) = self.store.see_if_there(&next, self.limits.max_root_len).await? else { break };
            trusted.update_root(&raw.bytes).map_err(|source| refused(&next, source))?;
            key = next;
        }
        trusted.finish_root().map_err(|source| refused(&key, source))?;
        Ok((trusted, key))
    }

    fn sign_first_root(&self, keys: &Keys) -> Result<Vec<u8>, RepositoryError> {
        let mut root = Root::new(Header::new(1, self.now().plus_hours(LIFETIMES.root)));
        let [first, second, third] = KeyName::ROOTS.map(|name| keys.signer(&name));
        let signers = [first?, second?, third?];
        root.assign(RoleKind::Root, ROOT_THRESHOLD, signers.iter().map(|signer| signer.public_key()));
        for (role, name) in [
            (RoleKind::Targets, KeyName::TARGETS),
            (RoleKind::Snapshot, KeyName::SNAPSHOT),
            (RoleKind::Timestamp, KeyName::TIMESTAMP),
        ] {
            root.assign(role, 1, [keys.signer(&name)?.public_key()]);
        }
        commit::sign(&root, &signers)
    }

    /// What lies in a folder gets served with the repository, so it has to be empty at first.
    fn refuse_foreign_files(&self) -> Result<(), RepositoryError> {
        let Some(folder) = self.store.as_folder() else { return Ok(()) };
        let unreadable = |error| crate::store::StoreError::from_io(self.store.location(), "list", &error);
        let own = [layout::METADATA, layout::BLOBS, layout::TARGETS, LOCK_FILE];
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let found = entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned();
            if !own.contains(&found.as_str()) {
                return Err(RepositoryError::NotEmpty { location: self.store.location().into(), found });
            }
        }
        Ok(())
    }

    fn missing(&self, key: &str) -> RepositoryError {
        let location = self.store.location().to_owned();
        crate::store::StoreError::Missing { key: key.into(), location }.into()
    }
}

fn refused(key: &str, source: VerifyError) -> RepositoryError {
    RepositoryError::Verify { key: key.into(), source }
}

/// 64 bits of the id of a key that is thrown away: enough that no two repositories under one root share a name.
fn random_name() -> Result<Name, RepositoryError> {
    let failed = |source| RepositoryError::Sign { role: RoleKind::Timestamp, source };
    let key = SecretKey::generate().map_err(failed)?.public_key();
    let name: String = key.id().as_str().chars().take(16).collect();
    name.parse().map_err(|_| RepositoryError::BadName { name })
}
