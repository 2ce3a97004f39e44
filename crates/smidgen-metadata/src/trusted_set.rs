//! The client's procedure of the TUF specification as a state machine: fed bytes, it answers with trust or an error.
//!
//! No I/O, no clock: the caller fetches what the `*_request` methods name, and gives the time once. Numbers are the steps
//! of section 5 of the specification 1.0.x, restated in our words.

mod listed;
#[cfg(feature = "sign")]
mod publisher;
mod search;

use std::collections::BTreeSet;

use crate::digest::Sha256;
use crate::envelope::{RawMetadata, Signers};
use crate::error::{Authority, VerifyError};
use crate::key::KeyId;
use crate::limits::Limits;
use crate::role::{Role, RoleKind, RoleName};
use crate::root::Root;
use crate::snapshot::Snapshot;
use crate::targets::Targets;
use crate::time::Timestamp;
use crate::timestamp::TimestampRole;
use crate::verified::Verified;

#[cfg(feature = "sign")]
pub use publisher::Delegation;
pub use search::{Search, Sought};

/// What a client trusts during one refresh.
///
/// The order of calls is that of the specification, with the stored copies from earlier refreshes put in as early as
/// they can be checked:
///
/// 1. [`open`](Self::open) with the root that came with the program or was stored, then
///    [`pin_repository`](Self::pin_repository) if the name is known;
/// 2. [`update_root`](Self::update_root) with each next root that exists;
/// 3. [`load_stored_timestamp`](Self::load_stored_timestamp), then [`finish_root`](Self::finish_root);
/// 4. [`update_timestamp`](Self::update_timestamp);
/// 5. [`load_stored_snapshot`](Self::load_stored_snapshot), and [`update_snapshot`](Self::update_snapshot) unless that
///    said [`Stored::Current`];
/// 6. the same for targets;
/// 7. [`search`](Self::search) for what is wanted, in targets and in delegated roles.
///
/// A step that fails changes nothing, so that another mirror can be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedSet {
    limits: Limits,
    given_now: Timestamp,
    root: Verified<Root>,
    root_finished: bool,
    rotations: u32,
    online_keys_rotated: bool,
    repository: Option<String>,
    clock_floor: Option<Timestamp>,
    timestamp: Option<Held<TimestampRole>>,
    snapshot: Option<Held<Snapshot>>,
    targets: Option<Verified<Targets>>,
}

/// A role as it was verified, and whether it may be built upon or only remembers what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held<R> {
    role: Verified<R>,
    /// From this refresh, unexpired, and what the role above it lists.
    current: bool,
}

/// What has become of a stored copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is what the repository has now: nothing needs to be fetched.
    Current,
    /// It is genuine and older, or expired: it protects against going back, and a newer one must be fetched.
    Older,
    /// The keys that signed it are not trusted any more. It counts for nothing: delete it.
    Superseded,
}

/// What a new timestamp brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The version that was trusted already.
    No,
    /// A newer version: store it.
    Yes,
}

/// A file to fetch, below the folder `metadata/` of the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The role.
    pub role: RoleName,
    /// The file's name: `7.targets.json`.
    pub name: String,
    /// The version that it must have; 0 for timestamp, whose version nobody knows before.
    pub version: u64,
    /// Bytes after which the download must stop.
    pub max_len: u64,
    /// Its digest, if it is listed.
    pub sha256: Option<Sha256>,
}

impl TrustedSet {
    /// Starts a refresh from the root that came with the program or was stored by the last refresh.
    ///
    /// `now` is fixed for the whole refresh (5.1). Signed times that were seen lift it,
    /// so that a clock which steps back neither bricks a client nor lets expired metadata live again.
    ///
    /// # Errors
    /// [`VerifyError`] if the root is not signed by its own keys. A damaged stored root must not be passed over in
    /// silence: fall back to the root that came with the program, or stop.
    pub fn open(trusted_root: &[u8], now: Timestamp, limits: Limits) -> Result<Self, VerifyError> {
        let raw = RawMetadata::parse(trusted_root, RoleKind::Root, &limits)?;
        // 5.2: the root that came with the program or was stored is believed, expired or not. Its own signatures are
        // checked all the same: a torn file or the wrong one would otherwise be found out only when the repository
        // seems to be hostile.
        let root = verify_by_itself(raw)?;
        Ok(Self {
            limits,
            given_now: now,
            root,
            root_finished: false,
            rotations: 0,
            online_keys_rotated: false,
            repository: None,
            clock_floor: None,
            timestamp: None,
            snapshot: None,
            targets: None,
        })
    }

    /// Fixes the name of the repository, from the program's configuration or from the state of an earlier refresh. Without
    /// it the name in the stored timestamp counts, and without that the first one seen.
    ///
    /// # Errors
    /// [`VerifyError::OtherRepository`] if another name is fixed already.
    pub fn pin_repository(&mut self, name: &str) -> Result<(), VerifyError> {
        if let Some(pinned) = &self.repository
            && pinned != name
        {
            return Err(VerifyError::OtherRepository {
                role: RoleKind::Timestamp.into(),
                found: Some(name.to_owned()),
                expected: Some(pinned.clone()),
            });
        }
        self.repository = Some(name.to_owned());
        Ok(())
    }

    /// The next root; a repository answers "not found" when the chain ends. `None` once as many roots came as one refresh
    /// takes: go on with the last one.
    pub fn root_request(&self) -> Option<Request> {
        // 5.3.3: roots are fetched one by one until there is none, or as many came as a client takes; either way the
        // refresh goes on with the last. A chain without end would otherwise be an endless-data attack.
        if self.rotations >= self.limits.max_root_rotations {
            return None;
        }
        let version = self.root.version().saturating_add(1);
        let name = format!("{version}.root.json");
        Some(Request {
            role: RoleKind::Root.into(),
            name,
            version,
            max_len: self.limits.max_root_len,
            sha256: None,
        })
    }

    /// Takes the next root.
    ///
    /// # Errors
    /// [`VerifyError`] unless it is exactly the next version, signed by a threshold of the keys of the root before it and
    /// of its own.
    pub fn update_root(&mut self, raw: &[u8]) -> Result<(), VerifyError> {
        let name = RoleName::from(RoleKind::Root);
        if self.root_finished || self.timestamp.is_some() {
            return Err(VerifyError::OutOfOrder { role: name, needed: "roots come before every other role" });
        }
        if self.rotations >= self.limits.max_root_rotations {
            return Err(VerifyError::TooManyRotations { max: self.limits.max_root_rotations });
        }
        let raw = RawMetadata::parse(raw, name, &self.limits)?;
        // 5.3.4: the next root needs enough signatures twice: by the keys of the root that is trusted, and by its
        // own, or nobody could ever replace it.
        raw.check_signatures(&signers(&self.root, RoleKind::Root, Authority::TrustedRoot))?;
        let root = verify_by_itself(raw)?;
        // 5.3.5: no step back, no repetition and no jump: the number is the next one.
        let expected = self.root.version().saturating_add(1);
        if root.version() != expected {
            return Err(VerifyError::RootVersion { found: root.version(), expected });
        }
        // 5.3.6: whether a root on the way has expired does not matter; only the last one is asked, in 5.3.10.
        self.online_keys_rotated |= [RoleKind::Timestamp, RoleKind::Snapshot]
            .into_iter()
            .any(|kind| self.root.roles.get(&kind) != root.roles.get(&kind));
        self.rotations = self.rotations.saturating_add(1);
        // 5.3.7: from here on the new root is the trusted one.
        self.root = root;
        Ok(())
    }

    /// Whether the keys of timestamp or snapshot changed in this refresh. The stored copies of both must then be deleted
    /// before the new root is stored, so that a crash in between cannot bring them back.
    pub fn must_forget_stored(&self) -> bool {
        self.online_keys_rotated
    }

    /// Ends the chain of roots.
    ///
    /// # Errors
    /// [`VerifyError::Expired`] if the last root has ended.
    pub fn finish_root(&mut self) -> Result<(), VerifyError> {
        // 5.3.10: against a mirror that hides newer roots: the last root must still be valid.
        self.check_expiry(RoleKind::Root.into(), &*self.root)?;
        self.root_finished = true;
        Ok(())
    }

    /// Takes the timestamp that the last refresh stored: it remembers the newest version, the repository's name and the
    /// newest signed time, however old it is. Best called before [`finish_root`](Self::finish_root), so that its signed
    /// time counts there too.
    ///
    /// # Errors
    /// [`VerifyError`] if it is damaged. A store that does not parse must not switch off the protection that it gives:
    /// stop, or let a person decide.
    pub fn load_stored_timestamp(&mut self, raw: &[u8]) -> Result<Stored, VerifyError> {
        if self.timestamp.is_some() {
            let needed = "the stored copy comes before the one from the repository";
            return Err(VerifyError::OutOfOrder { role: RoleKind::Timestamp.into(), needed });
        }
        let (name, signers) = (
            RoleName::from(RoleKind::Timestamp),
            signers(&self.root, RoleKind::Timestamp, Authority::TrustedRoot),
        );
        let Some(role) = self.verify_stored::<TimestampRole>(raw, &name, &signers)? else {
            return Ok(Stored::Superseded);
        };
        self.check_repository(RoleKind::Timestamp, &role.repository)?;
        self.repository.clone_from(&role.repository);
        // 5.3.11: after a change of the online keys the old timestamp and snapshot are forgotten, so that a thief of
        // those keys who drove versions up cannot make every later one a rollback. The name of the repository
        // survives.
        if self.online_keys_rotated {
            return Ok(Stored::Superseded);
        }
        self.clock_floor = self.clock_floor.max(role.signed_at);
        self.timestamp = Some(Held { role, current: false });
        Ok(Stored::Older)
    }

    /// The timestamp.
    pub fn timestamp_request(&self) -> Request {
        let name = "timestamp.json".to_owned();
        let max_len = self.limits.max_timestamp_len;
        Request { role: RoleKind::Timestamp.into(), name, version: 0, max_len, sha256: None }
    }

    /// Takes the repository's timestamp. One with the version that is trusted already changes nothing.
    ///
    /// # Errors
    /// [`VerifyError`] if it is not signed for, belongs to another repository, goes back, or has expired.
    pub fn update_timestamp(&mut self, raw: &[u8]) -> Result<Changed, VerifyError> {
        let name = RoleName::from(RoleKind::Timestamp);
        self.must_have_finished_root(&name)?;
        let raw = RawMetadata::parse(raw, name.clone(), &self.limits)?;
        // 5.4.2: against forged files: enough signatures by the keys that root names.
        let role: Verified<TimestampRole> =
            raw.verify(&signers(&self.root, RoleKind::Timestamp, Authority::TrustedRoot))?;
        // Ours, before anything is compared: shards share their root, so the timestamp of another shard is genuine, and
        // its higher version would make this repository's own a rollback for ever.
        self.check_repository(RoleKind::Timestamp, &role.repository)?;
        if let Some(trusted) = self.timestamp.as_ref().map(|held| &held.role) {
            // 5.4.3.1: no step back. The version that is trusted already is the usual answer and no error: the file
            // is dropped, whatever is in it, and the one that we have goes on.
            check_no_rollback(&name, role.version(), trusted.version())?;
            if role.version() == trusted.version() {
                self.keep_timestamp()?;
                return Ok(Changed::No);
            }
            // 5.4.3.2: nor may the snapshot that it lists be older than the one listed before.
            check_no_rollback(&RoleKind::Snapshot.into(), role.snapshot.version, trusted.snapshot.version)?;
        }
        // 5.4.4: against a mirror that hides news: it must still be valid. 5.4.5, storing it, is the caller's.
        self.check_expiry(name, &*role)?;
        self.repository.clone_from(&role.repository);
        self.clock_floor = self.clock_floor.max(role.signed_at);
        self.timestamp = Some(Held { role, current: true });
        Ok(Changed::Yes)
    }

    /// The repository answered that timestamp has not changed (304): goes on with the stored one.
    ///
    /// # Errors
    /// [`VerifyError::Expired`] if it has ended: 5.4.4 holds for it as well, or a mirror could freeze a client by never
    /// having anything new. [`VerifyError::OutOfOrder`] if none is stored.
    pub fn keep_timestamp(&mut self) -> Result<(), VerifyError> {
        let name = RoleName::from(RoleKind::Timestamp);
        self.must_have_finished_root(&name)?;
        let needed = "a stored timestamp must be loaded before it can be kept";
        let held = self.timestamp.as_ref().ok_or(VerifyError::OutOfOrder { role: name.clone(), needed })?;
        self.check_expiry(name, &*held.role)?;
        if let Some(held) = &mut self.timestamp {
            held.current = true;
        }
        Ok(())
    }

    /// The time that expiry is compared with: the given one, or the newest signed time seen if that is later.
    pub fn now(&self) -> Timestamp {
        self.clock_floor.map_or(self.given_now, |floor| floor.max(self.given_now))
    }

    /// The newest signed time seen, stored or in this refresh.
    pub fn clock_floor(&self) -> Option<Timestamp> {
        self.clock_floor
    }

    /// The name of the repository, once it is known. Keep it with the stored copies and pin it in the next refresh: it
    /// then survives even a rotation of the timestamp key.
    pub fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
    }

    /// The trusted root.
    pub fn root(&self) -> &Verified<Root> {
        &self.root
    }

    /// The trusted timestamp; from the store alone until [`update_timestamp`](Self::update_timestamp) has succeeded.
    pub fn timestamp(&self) -> Option<&Verified<TimestampRole>> {
        self.timestamp.as_ref().map(|held| &held.role)
    }

    /// The snapshot that the timestamp lists, once it is here.
    pub fn snapshot(&self) -> Option<&Verified<Snapshot>> {
        self.snapshot.as_ref().filter(|held| held.current).map(|held| &held.role)
    }

    /// The targets that the snapshot lists, once they are here.
    pub fn targets(&self) -> Option<&Verified<Targets>> {
        self.targets.as_ref()
    }

    /// Begins the search for a target (`set.search("folder/file")`) or for the releases of a build line
    /// (`set.search(&line)`), in targets and in the roles that it delegates to.
    ///
    /// # Errors
    /// [`VerifyError::OutOfOrder`] before targets are trusted, [`VerifyError::Malformed`] if they list the build line in
    /// a form that it cannot have.
    pub fn search<S: Sought>(&self, sought: S) -> Result<Search<'_, S>, VerifyError> {
        Search::begin(self, sought)
    }

    fn must_have_finished_root(&self, role: &RoleName) -> Result<(), VerifyError> {
        let needed = "the chain of roots must be finished before";
        if self.root_finished { Ok(()) } else { Err(VerifyError::OutOfOrder { role: role.clone(), needed }) }
    }

    /// Verifies a stored copy against the signers of today, whatever it was verified against when it was stored. `None`
    /// if they did not sign it.
    fn verify_stored<R: Role>(
        &self,
        raw: &[u8],
        name: &RoleName,
        signers: &Signers<'_>,
    ) -> Result<Option<Verified<R>>, VerifyError> {
        match RawMetadata::parse(raw, name.clone(), &self.limits)?.verify(signers) {
            Ok(role) => Ok(Some(role)),
            Err(VerifyError::SignatureThreshold { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn check_repository(&self, role: RoleKind, found: &Option<String>) -> Result<(), VerifyError> {
        match &self.repository {
            Some(expected) if found.as_ref() != Some(expected) => Err(VerifyError::OtherRepository {
                role: role.into(),
                found: found.clone(),
                expected: self.repository.clone(),
            }),
            _ => Ok(()),
        }
    }

    fn check_expiry<R: Role>(&self, name: RoleName, role: &R) -> Result<(), VerifyError> {
        let (expires, now) = (role.expires(), self.now());
        if expires <= now { Err(VerifyError::Expired { role: name, expires, now }) } else { Ok(()) }
    }
}

fn check_no_rollback(role: &RoleName, found: u64, trusted: u64) -> Result<(), VerifyError> {
    if found < trusted { Err(VerifyError::Rollback { role: role.clone(), found, trusted }) } else { Ok(()) }
}

/// The signers of a top-level role. A root always has all four; without one the role could not be signed for.
fn signers(root: &Root, kind: RoleKind, authority: Authority) -> Signers<'_> {
    static NOBODY: BTreeSet<KeyId> = BTreeSet::new();
    let (keyids, threshold) =
        root.roles.get(&kind).map_or((&NOBODY, u64::MAX), |role| (&role.keyids, role.threshold));
    Signers { authority, keys: &root.keys, keyids, threshold }
}

fn verify_by_itself(raw: RawMetadata<'_>) -> Result<Verified<Root>, VerifyError> {
    raw.verify_by_itself(|claimed| signers(claimed, RoleKind::Root, Authority::NewRoot))
}
