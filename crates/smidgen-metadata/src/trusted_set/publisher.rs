//! What a publisher needs beside a client's procedure: roles one by one, and targets that nobody lists yet.

use std::collections::{BTreeMap, BTreeSet};

use super::{TrustedSet, signers};
use crate::envelope::{RawMetadata, Signers};
use crate::error::{Authority, VerifyError};
use crate::key::{KeyId, PublicKey};
use crate::role::{RoleKind, RoleName};
use crate::targets::Targets;
use crate::verified::Verified;

/// Who may sign a delegated role, and who says so.
#[derive(Clone, Debug)]
pub struct Delegation<'a> {
    /// The role.
    pub role: RoleName,
    /// The role that delegates to it.
    pub delegator: RoleName,
    /// Keys by their ids.
    pub keys: &'a BTreeMap<KeyId, PublicKey>,
    /// Whose signatures count.
    pub keyids: &'a BTreeSet<KeyId>,
    /// Distinct keys that must have signed.
    pub threshold: u64,
}

impl TrustedSet {
    /// Verifies a delegated role against the snapshot and the delegation by which the caller came to it. Clients
    /// [search](Self::search) instead.
    ///
    /// # Errors
    /// [`VerifyError`] as for [`Search::update`](super::Search::update).
    pub fn verify_delegated(
        &self,
        delegation: &Delegation<'_>,
        raw: &[u8],
    ) -> Result<Verified<Targets>, VerifyError> {
        let authority = Authority::Delegator(delegation.delegator.clone());
        let Delegation { keys, keyids, threshold, .. } = *delegation;
        self.verify_targets(raw, &delegation.role, &Signers { authority, keys, keyids, threshold })
    }

    /// Verifies targets that no snapshot lists yet: whether the keys that root names have signed them. They are worth
    /// nothing to a client before a snapshot lists them.
    ///
    /// # Errors
    /// [`VerifyError`] if they are not signed for, or are no targets.
    pub fn verify_unlisted_targets(&self, raw: &[u8]) -> Result<Verified<Targets>, VerifyError> {
        let raw = RawMetadata::parse(raw, RoleKind::Targets, &self.limits)?;
        raw.verify(&signers(&self.root, RoleKind::Targets, Authority::TrustedRoot))
    }
}
