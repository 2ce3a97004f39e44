//! What is wished for, and the root that comes of it.

use smidgen_metadata::sign::next_root;
use smidgen_metadata::{KeyId, PublicKey, RoleKind, Root, Timestamp};

use super::CeremonyError;
use crate::keys::Keys;
use crate::repository::LIFETIMES;

/// One change to a root.
#[derive(Clone, Debug)]
pub enum Change {
    /// Another key in the place of one.
    Replace {
        /// The role.
        role: RoleKind,
        /// The key that goes.
        old: KeyId,
        /// The key that comes.
        new: PublicKey,
    },
    /// One more key.
    Add {
        /// The role.
        role: RoleKind,
        /// The key.
        new: PublicKey,
    },
    /// One key less.
    Remove {
        /// The role.
        role: RoleKind,
        /// The key.
        old: KeyId,
    },
    /// How many must sign.
    Threshold {
        /// The role.
        role: RoleKind,
        /// Signatures needed.
        threshold: u64,
    },
    /// Nothing but a later expiry.
    Renew,
}

/// The root after `last`, with these changes.
///
/// # Errors
/// [`CeremonyError`] if a role would be left with fewer keys than it needs, or a change makes no sense.
pub fn propose(last: &Root, changes: &[Change], now: Timestamp) -> Result<Root, CeremonyError> {
    if changes.is_empty() {
        return Err(CeremonyError::NothingToDo);
    }
    let mut root = next_root(last, now.plus_hours(LIFETIMES.root));
    for change in changes {
        apply(&mut root, change)?;
    }
    for role in RoleKind::ALL {
        let threshold = threshold(&root, role);
        let keys = root.keys_of(role).count();
        if threshold == 0 || (keys as u64) < threshold {
            return Err(CeremonyError::NobodyLeft { role, keys, threshold });
        }
    }
    Ok(root)
}

fn apply(root: &mut Root, change: &Change) -> Result<(), CeremonyError> {
    match change {
        Change::Replace { role, old, new } => {
            without(root, *role, old)?;
            with(root, *role, new)
        }
        Change::Add { role, new } => with(root, *role, new),
        Change::Remove { role, old } => without(root, *role, old),
        Change::Threshold { role, threshold } => {
            let keys = keys(root, *role);
            root.assign(*role, *threshold, keys);
            Ok(())
        }
        Change::Renew => Ok(()),
    }
}

fn with(root: &mut Root, role: RoleKind, new: &PublicKey) -> Result<(), CeremonyError> {
    let mut keys = keys(root, role);
    if keys.iter().any(|key| key.id() == new.id()) {
        return Err(CeremonyError::KeyTwice { role, key: new.id().to_string() });
    }
    keys.push(new.clone());
    root.assign(role, threshold(root, role), keys);
    Ok(())
}

fn without(root: &mut Root, role: RoleKind, old: &KeyId) -> Result<(), CeremonyError> {
    let mut keys = keys(root, role);
    let before = keys.len();
    keys.retain(|key| key.id() != *old);
    if keys.len() == before {
        let present = present(root.keys_of(role).map(|(id, _)| id));
        return Err(CeremonyError::NoSuchKey { role: role.to_string(), key: old.to_string(), present });
    }
    root.assign(role, threshold(root, role), keys);
    Ok(())
}

fn keys(root: &Root, role: RoleKind) -> Vec<PublicKey> {
    root.keys_of(role).map(|(_, key)| key.clone()).collect()
}

/// Signatures that a role needs.
pub(super) fn threshold(root: &Root, role: RoleKind) -> u64 {
    root.roles.get(&role).map_or(0, |role| role.threshold)
}

fn present<'a>(ids: impl Iterator<Item = &'a KeyId>) -> String {
    ids.map(|id| id.as_str().get(..16).unwrap_or(id.as_str())).collect::<Vec<_>>().join(", ")
}

/// The key of `root` that `text` means: the beginning of its id (8 digits at least), or its name in `keys`.
///
/// # Errors
/// [`CeremonyError::NoSuchKey`], [`CeremonyError::AmbiguousKey`].
pub fn find_key(root: &Root, keys: Option<&Keys>, text: &str) -> Result<KeyId, CeremonyError> {
    let named = match keys {
        Some(keys) => keys.list()?.into_iter().find(|entry| entry.name.as_str() == text),
        None => None,
    };
    if let Some(id) = named.and_then(|entry| entry.public.ok()).map(|key| key.id())
        && root.keys.contains_key(&id)
    {
        return Ok(id);
    }
    let begins = |id: &&KeyId| text.len() >= 8 && id.as_str().starts_with(text);
    let mut found = root.keys.keys().filter(begins);
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id.clone()),
        (Some(_), Some(_)) => Err(CeremonyError::AmbiguousKey { key: text.to_owned() }),
        (None, _) => Err(CeremonyError::NoSuchKey {
            role: "the root".to_owned(),
            key: text.to_owned(),
            present: present(root.keys.keys()),
        }),
    }
}
