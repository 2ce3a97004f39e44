//! Snapshot, targets and delegated roles: the roles whose version and digest another role lists.

use crate::envelope::{RawMetadata, Signers};
use crate::error::{Authority, VerifyError};
use crate::role::{MetaFile, Role, RoleKind, RoleName};
use crate::snapshot::Snapshot;
use crate::targets::Targets;
use crate::verified::Verified;

use super::{Held, Request, Stored, TrustedSet, check_no_rollback, signers};

impl TrustedSet {
    /// The snapshot that the timestamp lists.
    ///
    /// # Errors
    /// [`VerifyError::OutOfOrder`] before the timestamp is trusted.
    pub fn snapshot_request(&self) -> Result<Request, VerifyError> {
        let listed = self.listed_snapshot()?;
        Ok(self.request(RoleKind::Snapshot.into(), listed, self.limits.max_snapshot_len))
    }

    /// Takes the snapshot that the last refresh stored: either it is the one that the timestamp lists, or it remembers
    /// which versions of targets were seen.
    ///
    /// # Errors
    /// [`VerifyError`] if it is damaged, or of another repository.
    pub fn load_stored_snapshot(&mut self, raw: &[u8]) -> Result<Stored, VerifyError> {
        let listed = self.listed_snapshot()?.clone();
        let name = RoleName::from(RoleKind::Snapshot);
        if self.snapshot.is_some() {
            let needed = "the stored copy comes before the one from the repository";
            return Err(VerifyError::OutOfOrder { role: name, needed });
        }
        let signers = signers(&self.root, RoleKind::Snapshot, Authority::TrustedRoot);
        let Some(role) = self.verify_stored::<Snapshot>(raw, &name, &signers)? else {
            return Ok(Stored::Superseded);
        };
        // 5.3.11, as for the stored timestamp.
        if self.online_keys_rotated {
            return Ok(Stored::Superseded);
        }
        self.check_repository(RoleKind::Snapshot, &role.repository)?;
        let current = self.is_current(&*role, &name, &listed, raw);
        self.snapshot = Some(Held { role, current });
        Ok(if current { Stored::Current } else { Stored::Older })
    }

    /// Takes the repository's snapshot.
    ///
    /// # Errors
    /// [`VerifyError`] if it is not the one that the timestamp lists, is not signed for, belongs to another repository,
    /// goes back, or has expired.
    pub fn update_snapshot(&mut self, raw: &[u8]) -> Result<(), VerifyError> {
        let name = RoleName::from(RoleKind::Snapshot);
        let listed = self.listed_snapshot()?;
        // 5.5.2: the bytes are those that timestamp lists, as far as it lists digests; before the signatures, because
        // it is cheaper. The length, which bounds the download in 5.5.1, likewise.
        check_bytes(&name, raw, listed)?;
        // 5.5.3: enough signatures by the keys that root names.
        let parsed = RawMetadata::parse(raw, name.clone(), &self.limits)?;
        let role: Verified<Snapshot> =
            parsed.verify(&signers(&self.root, RoleKind::Snapshot, Authority::TrustedRoot))?;
        // Ours: a snapshot of another shard never belongs to this timestamp, whether digests are listed or not.
        self.check_repository(RoleKind::Snapshot, &role.repository)?;
        // 5.5.4: against mixed states: the version is the one that timestamp lists.
        check_version(&name, &*role, listed)?;
        if let Some(trusted) = &self.snapshot {
            // 5.5.5: every role that was listed before is listed still, and none with a lower version.
            for (file, seen) in &trusted.role.meta {
                let listed_role = role_of(file);
                let Some(now) = role.meta.get(file) else {
                    return Err(VerifyError::NotListed { role: listed_role });
                };
                check_no_rollback(&listed_role, now.version, seen.version)?;
            }
        }
        // 5.5.6: against a mirror that hides news: it must still be valid. 5.5.7, storing it, is the caller's.
        self.check_expiry(name, &*role)?;
        self.snapshot = Some(Held { role, current: true });
        Ok(())
    }

    /// The targets that the snapshot lists.
    ///
    /// # Errors
    /// [`VerifyError::OutOfOrder`] before the snapshot is trusted, [`VerifyError::NotListed`] if it lists no targets.
    pub fn targets_request(&self) -> Result<Request, VerifyError> {
        let name = RoleName::from(RoleKind::Targets);
        let listed = self.listed_targets(&name)?;
        Ok(self.request(name, listed, self.limits.max_targets_len))
    }

    /// Takes the targets that the last refresh stored, if they are what the snapshot lists.
    ///
    /// # Errors
    /// [`VerifyError`] if they are damaged.
    pub fn load_stored_targets(&mut self, raw: &[u8]) -> Result<Stored, VerifyError> {
        let signers = signers(&self.root, RoleKind::Targets, Authority::TrustedRoot);
        let (stored, role) = self.recall_targets(raw, &RoleKind::Targets.into(), &signers)?;
        self.targets = role.or_else(|| self.targets.take());
        Ok(stored)
    }

    /// Takes the repository's targets.
    ///
    /// # Errors
    /// [`VerifyError`] if they are not the ones that the snapshot lists, are not signed for, or have expired.
    pub fn update_targets(&mut self, raw: &[u8]) -> Result<(), VerifyError> {
        let signers = signers(&self.root, RoleKind::Targets, Authority::TrustedRoot);
        self.targets = Some(self.verify_targets(raw, &RoleKind::Targets.into(), &signers)?);
        Ok(())
    }

    /// The checks of targets and of each delegated role, which differ in nothing but in who names the signers.
    pub(crate) fn verify_targets(
        &self,
        raw: &[u8],
        name: &RoleName,
        signers: &Signers<'_>,
    ) -> Result<Verified<Targets>, VerifyError> {
        let listed = self.listed_targets(name)?;
        // 5.6.2: the bytes are those that snapshot lists, as far as it lists digests.
        check_bytes(name, raw, listed)?;
        // 5.6.3: enough signatures by the keys that root names for targets, and the delegator for a delegated role.
        let role: Verified<Targets> = RawMetadata::parse(raw, name.clone(), &self.limits)?.verify(signers)?;
        // 5.6.4: against mixed states: the version is the one that snapshot lists.
        check_version(name, &*role, listed)?;
        // 5.6.5: against a mirror that hides news: they must still be valid. 5.6.6, storing them, is the caller's.
        self.check_expiry(name.clone(), &*role)?;
        Ok(role)
    }

    /// The same for a stored copy, which may also be one of an earlier state. It is checked against the signers of today,
    /// whoever they were when it was stored.
    pub(crate) fn recall_targets(
        &self,
        raw: &[u8],
        name: &RoleName,
        signers: &Signers<'_>,
    ) -> Result<(Stored, Option<Verified<Targets>>), VerifyError> {
        let listed = self.listed_targets(name)?;
        let Some(role) = self.verify_stored::<Targets>(raw, name, signers)? else {
            return Ok((Stored::Superseded, None));
        };
        // That targets do not go back is the snapshot's to say (5.5.5): an older copy has nothing to add.
        if !self.is_current(&*role, name, listed, raw) {
            return Ok((Stored::Older, None));
        }
        Ok((Stored::Current, Some(role)))
    }

    fn listed_snapshot(&self) -> Result<&MetaFile, VerifyError> {
        let held = self.timestamp.as_ref().filter(|held| held.current);
        let needed = "the timestamp must be trusted before";
        let held = held.ok_or(VerifyError::OutOfOrder { role: RoleKind::Snapshot.into(), needed })?;
        Ok(&held.role.snapshot)
    }

    pub(crate) fn listed_targets(&self, name: &RoleName) -> Result<&MetaFile, VerifyError> {
        let needed = "the snapshot must be trusted before";
        let snapshot = self.snapshot().ok_or(VerifyError::OutOfOrder { role: name.clone(), needed })?;
        snapshot.listed(name).ok_or_else(|| VerifyError::NotListed { role: name.clone() })
    }

    pub(crate) fn request(&self, role: RoleName, listed: &MetaFile, max_len: u64) -> Request {
        // 5.3.12: whether file names carry versions is for root to say. 5.5.1 and 5.6.1: what is listed bounds the
        // download, or else the limit.
        let name = if self.root.consistent_snapshot {
            format!("{}.{}.json", listed.version, role.file_stem())
        } else {
            format!("{}.json", role.file_stem())
        };
        let max_len = listed.length.map_or(max_len, |length| length.min(max_len));
        Request { role, name, version: listed.version, max_len, sha256: listed.hashes.to_sha256() }
    }

    fn is_current<R: Role>(&self, role: &R, name: &RoleName, listed: &MetaFile, raw: &[u8]) -> bool {
        check_bytes(name, raw, listed).is_ok()
            && check_version(name, role, listed).is_ok()
            && self.check_expiry(name.clone(), role).is_ok()
    }
}

fn check_bytes(name: &RoleName, raw: &[u8], listed: &MetaFile) -> Result<(), VerifyError> {
    let found = u64::try_from(raw.len()).unwrap_or(u64::MAX);
    if let Some(length) = listed.length
        && length != found
    {
        return Err(VerifyError::DigestMismatch {
            role: name.clone(),
            property: "length",
            found: found.to_string(),
            listed: length.to_string(),
        });
    }
    match listed.hashes.mismatch(raw) {
        Some((property, found, listed)) => {
            Err(VerifyError::DigestMismatch { role: name.clone(), property, found, listed })
        }
        None => Ok(()),
    }
}

fn check_version<R: Role>(name: &RoleName, role: &R, listed: &MetaFile) -> Result<(), VerifyError> {
    if role.version() == listed.version {
        return Ok(());
    }
    Err(VerifyError::VersionMismatch { role: name.clone(), found: role.version(), listed: listed.version })
}

/// The role whose file is listed by this name.
fn role_of(file: &str) -> RoleName {
    match file.strip_suffix(".json").unwrap_or(file) {
        "targets" => RoleKind::Targets.into(),
        other => RoleName::Delegated(other.to_owned()),
    }
}
