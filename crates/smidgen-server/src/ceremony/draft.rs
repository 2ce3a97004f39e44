//! A root on its way to its signatures.

use std::collections::BTreeMap;

use serde::Serialize;
use smidgen_metadata::sign::{Signer, countersign, unsigned, valid_signers};
use smidgen_metadata::{
    KeyId, Limits, PublicKey, RawMetadata, Role as _, RoleKind, Root, Timestamp, TrustedSet,
};

use super::change::threshold;
use super::compare::compare;
use super::{CeremonyError, Comparison};
use crate::keys::Keys;

/// A root with as many signatures as it has got so far.
#[derive(Clone, Debug)]
pub struct Draft {
    bytes: Vec<u8>,
    raw: RawMetadata<'static>,
    root: Root,
}

/// How far a draft is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Root keys of the trusted root that have signed.
    pub signed_by_old: Vec<KeyId>,
    /// How many of them must.
    pub needed_of_old: u64,
    /// Root keys of the new root that have signed.
    pub signed_by_new: Vec<KeyId>,
    /// How many of them must.
    pub needed_of_new: u64,
    /// Whether nothing is missing.
    pub complete: bool,
}

impl Draft {
    /// A draft that nobody has signed.
    pub fn unsigned(root: &Root) -> Result<Self, CeremonyError> {
        Self::parse(unsigned(root), "the draft")
    }

    /// Reads a draft, or a finished root; `path` is for messages. Nothing about it is trusted.
    pub fn parse(bytes: Vec<u8>, path: &str) -> Result<Self, CeremonyError> {
        let no_root = |source| CeremonyError::NoRoot { path: path.to_owned(), source };
        let raw = RawMetadata::parse(&bytes, RoleKind::Root, &Limits::default()).map_err(no_root)?;
        let root: Root = raw.read_unverified().map_err(no_root)?;
        let raw = raw.into_owned();
        Ok(Self { bytes, raw, root })
    }

    /// The file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The root that somebody trusts because it lies there: the right file at least, signed by its own keys.
    ///
    /// # Errors
    /// [`CeremonyError::Unacceptable`] if it is not: a draft is no root to compare drafts with.
    pub fn self_signed(&self) -> Result<Root, CeremonyError> {
        // Its expiry is nobody's concern here: an expired root can be replaced too.
        let now = Timestamp::from_unix(0);
        let trusted = TrustedSet::open(&self.bytes, now, Limits::default());
        let trusted = trusted.map_err(|source| CeremonyError::Unacceptable { source })?;
        Ok(trusted.root().clone().into_inner())
    }

    /// Whether another file says the same, whoever has signed it.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.raw.message() == other.raw.message()
    }

    /// What it changes against the root that is trusted here.
    pub fn compare(&self, trusted: &Root, now: Timestamp) -> Comparison {
        compare(trusted, &self.root, now)
    }

    /// Who has signed, and who is still needed.
    pub fn progress(&self, trusted: &Root) -> Progress {
        let signed =
            |root: &Root| valid_signers(&self.raw, root.keys_of(RoleKind::Root)).into_iter().collect();
        let (signed_by_old, signed_by_new): (Vec<KeyId>, Vec<KeyId>) = (signed(trusted), signed(&self.root));
        let needed_of_old = threshold(trusted, RoleKind::Root);
        let needed_of_new = threshold(&self.root, RoleKind::Root);
        let complete =
            signed_by_old.len() as u64 >= needed_of_old && signed_by_new.len() as u64 >= needed_of_new;
        Progress { signed_by_old, needed_of_old, signed_by_new, needed_of_new, complete }
    }

    /// Signs with every key of `keys` that may sign: root keys of the trusted root, and of the new one. The bytes are the same
    /// draft with more signatures, and the ids of those that were added.
    ///
    /// # Errors
    /// [`CeremonyError::Surprising`] unless the code of each surprise is in `accepted`; then no key was opened.
    pub fn sign(
        &self,
        trusted: &Root,
        keys: &Keys,
        accepted: &[String],
        now: Timestamp,
    ) -> Result<(Self, Vec<KeyId>), CeremonyError> {
        let mut surprises = self.compare(trusted, now).surprises;
        surprises.retain(|surprise| !accepted.iter().any(|code| code == surprise.code()));
        if !surprises.is_empty() {
            return Err(CeremonyError::Surprising { surprises });
        }
        let allowed: BTreeMap<&KeyId, &PublicKey> =
            trusted.keys_of(RoleKind::Root).chain(self.root.keys_of(RoleKind::Root)).collect();
        let signers = keys.all_signers(allowed.values().copied())?;
        if signers.is_empty() {
            let needed: Vec<String> = allowed.keys().map(ToString::to_string).collect();
            let folder = keys.folder().display().to_string();
            return Err(CeremonyError::NoRootKey { folder, needed: needed.join(", ") });
        }
        let ids = signers.iter().map(|signer| signer.public_key().id()).collect();
        let signers: Vec<&dyn Signer> = signers.iter().map(|signer| &**signer).collect();
        let bytes = countersign(&self.raw, &signers).map_err(|source| CeremonyError::Sign { source })?;
        Ok((Self::parse(bytes, "the signed draft")?, ids))
    }

    /// The draft's version.
    pub fn version(&self) -> u64 {
        self.root.version()
    }
}
