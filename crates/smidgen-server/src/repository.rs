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
mod home;
pub(crate) mod products;
mod rotation;
mod state;

use std::sync::Arc;

use serde::Serialize;
use smidgen_metadata::sign::{Lifetimes, SecretKey, Signer as _, next_targets};
use smidgen_metadata::{
    Header, Limits, Name, RoleKind, Root, Sha256, Shards, Timestamp, TrustedSet, VerifyError,
};

pub(crate) use commit::{CLOCK_SLACK_SECONDS, Depth, Signers, is_due};
pub use error::RepositoryError;
pub use home::ProductReport;
pub(crate) use products::is_line_role;
pub use state::State;
pub(crate) use state::read_unverified;

use crate::clock::{Clock, SystemClock};
use crate::keys::{KeyName, Keys, ROOT_THRESHOLD};
use crate::layout;
use crate::store::{LOCK_FILE, Lock, Store};
use crate::{Event, Reporter};
use products::Authorised;

/// For how long a role is valid after it was signed: root a year, targets (offline) half a year, releases 90 days,
/// snapshot 14, timestamp 3.
pub(crate) const LIFETIMES: Lifetimes =
    Lifetimes { root: 365 * 24, targets: 182 * 24, release: 90 * 24, snapshot: 14 * 24, timestamp: 72 };

/// A repository in a store: one that holds every build line, one that is cut up into shards, or one of the shards. Cheap
/// to clone.
#[derive(Clone, Debug)]
pub struct Repository {
    store: Store,
    /// Where the shard's roots and targets come from; `None` unless it is a shard.
    home: Option<Store>,
    /// The shard's folder below its home; empty unless it is a shard.
    folder: String,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

/// What was made.
#[derive(Clone, Debug, Serialize)]
pub struct InitReport {
    /// The repository's signed name.
    pub name: Name,
    /// How many shards it is cut up into; 1 if it is not.
    pub shards: u64,
    /// The file that clients start to trust from, below the repository. It has to reach them with the program.
    pub root: String,
    /// Its SHA-256, to compare after copying it.
    pub root_sha256: Sha256,
}

impl Repository {
    /// The repository in `store`, with the clock of this machine.
    pub fn new(store: Store) -> Self {
        let clock = Arc::new(SystemClock);
        Self { store, home: None, folder: String::new(), clock, limits: Limits::default() }
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

    /// Makes an empty signed repository, cut up into `shards` (a power of two; 1: not at all). `name` is signed into it and
    /// tells its metadata from that of other repositories under the same root; `None`: a random one.
    ///
    /// A call that crashed can be repeated with the same keys.
    pub async fn init(
        &self,
        keys: &Keys,
        name: Option<Name>,
        shards: u64,
        reporter: &dyn Reporter,
    ) -> Result<InitReport, RepositoryError> {
        let name = match name {
            Some(name) => name,
            None => random_name()?,
        };
        let shards = Shards::new(name, shards).map_err(|source| RepositoryError::ShardCount { source })?;
        self.refuse_foreign_files()?;
        let lock = self.lock(reporter).await?;
        let first = layout::role_key("root", 1);
        if self.store.entry(&first).await?.is_some() {
            self.refuse_initialised().await?;
        } else {
            self.store.put_new(&first, self.sign_first_root(keys, &shards)?.into()).await?;
        }
        let (trusted, root) = self.load_root().await?;
        if self.newest_targets(&trusted).await?.is_none() {
            let signers = commit::read(keys, RoleKind::Targets, trusted.root())?;
            let mut targets = next_targets(None, self.now().plus_hours(LIFETIMES.targets));
            let release = Authorised::one(keys.signer(&KeyName::RELEASE)?.public_key());
            targets.delegations = Some(products::delegations_to(&release));
            self.put_targets(targets, &signers).await?;
        }
        // A run that crashed after its root decides on name and shards.
        let shards = self.shards().await?.unwrap_or(shards);
        if shards.count() == 1 {
            self.found(&lock, keys, reporter).await?;
        }
        let root_sha256 = Sha256::of(&self.store.read(&root, self.limits.max_root_len).await?);
        Ok(InitReport { name: shards.name().clone(), shards: shards.count(), root, root_sha256 })
    }

    /// Whether nothing is left to do for `init`.
    async fn refuse_initialised(&self) -> Result<(), RepositoryError> {
        let (trusted, _) = self.load_root().await?;
        let Some(shards) = self.shards().await? else { return Ok(()) };
        let complete = match shards.count() {
            1 => self.store.entry(layout::TIMESTAMP).await?.is_some(),
            _ => self.newest_targets(&trusted).await?.is_some(),
        };
        if !complete {
            return Ok(());
        }
        let (location, name) = (self.store.location().into(), shards.name().clone());
        Err(RepositoryError::AlreadyInitialised { location, name })
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
        let (mut trusted, mut key) = self.open_chain().await?;
        for version in 2.. {
            let next = layout::role_key("root", version);
            let Some(raw) = self.home().see_if_there(&next, self.limits.max_root_len).await? else { break };
            trusted.update_root(&raw.bytes).map_err(|source| refused(&next, source))?;
            key = next;
        }
        trusted.finish_root().map_err(|source| refused(&key, source))?;
        if let Some(name) = self.name_of(&trusted)? {
            trusted.pin_repository(&name).map_err(|source| refused(&key, source))?;
        }
        Ok((trusted, key))
    }

    /// The first root and its key, open for more.
    async fn open_chain(&self) -> Result<(TrustedSet, String), RepositoryError> {
        let key = layout::role_key("root", 1);
        let first = self.home().see_if_there(&key, self.limits.max_root_len).await?;
        let Some(first) = first else {
            return Err(RepositoryError::NotARepository { location: self.store.location().into() });
        };
        // Nothing is expired in 1970, and the signed times that lift a client's clock never lift it over an expiry:
        // `commit` sees to that.
        let trusted = TrustedSet::open(&first.bytes, Timestamp::from_unix(0), self.limits)
            .map_err(|source| refused(&key, source))?;
        Ok((trusted, key))
    }

    fn sign_first_root(&self, keys: &Keys, shards: &Shards) -> Result<Vec<u8>, RepositoryError> {
        let mut root = Root::new(Header::new(1, self.now().plus_hours(LIFETIMES.root)));
        shards.write(&mut root);
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
        commit::sign(RoleKind::Root.into(), &root, &signers)
    }

    /// What lies in a folder gets served with the repository, so it has to be empty at first.
    fn refuse_foreign_files(&self) -> Result<(), RepositoryError> {
        let Some(folder) = self.store.as_folder() else { return Ok(()) };
        let unreadable = |error| crate::store::StoreError::from_io(self.store.location(), "list", &error);
        let own = [layout::METADATA, layout::BLOBS, layout::TARGETS, Shards::FOLDER, LOCK_FILE];
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
    RepositoryError::Verify { key: key.into(), source: Box::new(source) }
}

/// 64 bits of the id of a key that is thrown away: enough that no two repositories under one root share a name.
fn random_name() -> Result<Name, RepositoryError> {
    let failed = |source| RepositoryError::Sign { role: RoleKind::Timestamp.into(), source };
    let key = SecretKey::generate().map_err(failed)?.public_key();
    let name: String = key.id().as_str().chars().take(16).collect();
    name.parse().map_err(|_| RepositoryError::BadName { name })
}
