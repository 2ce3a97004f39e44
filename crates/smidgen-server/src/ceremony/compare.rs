//! What a new root changes, in words, and what of it a signer may not have expected.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use smidgen_metadata::{KeyId, RoleKind, Root, Timestamp};

use super::change::threshold;
use crate::repository::LIFETIMES;

/// What a new root changes.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Each change as one line.
    pub changes: Vec<String>,
    /// What a signer has to say yes to.
    pub surprises: Vec<Surprise>,
}

/// A change that is seldom meant, and that is what somebody would try who wants a signature by deceit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Surprise {
    /// The version is not the next one after the trusted root.
    OtherVersion {
        /// The draft's.
        found: u64,
        /// The next one.
        expected: u64,
    },
    /// Fewer signatures are enough for a role.
    ThresholdLowered {
        /// The role.
        role: &'static str,
        /// Before.
        old: u64,
        /// After.
        new: u64,
    },
    /// So few root keys stay that those who hold them could not sign for the root before: it gets new masters.
    RootKeysReplaced {
        /// Old keys that stay.
        kept: usize,
        /// What the old root needs.
        needed: u64,
    },
    /// Losing one more root key makes every further change impossible.
    NoSpareRootKey {
        /// Root keys, all of which must sign.
        keys: usize,
    },
    /// One key for two roles: whoever steals it has both.
    SharedKey {
        /// The key.
        key: KeyId,
    },
    /// A key of a kind that this version cannot check.
    UnusableKey {
        /// The key.
        key: KeyId,
    },
    /// It ends before it can be useful, or lives longer than a root should.
    OddExpiry {
        /// When it ends.
        expires: Timestamp,
    },
    /// File names without versions: mirrors could mix states.
    ConsistencyLost,
    /// Members that this version does not know came, went or changed.
    UnknownMembers,
}

impl Surprise {
    /// Every code, as `--accept` takes them.
    pub const CODES: [&'static str; 9] = [
        "other-version",
        "threshold-lowered",
        "root-keys-replaced",
        "no-spare-root-key",
        "shared-key",
        "unusable-key",
        "odd-expiry",
        "consistency-lost",
        "unknown-members",
    ];

    /// The stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::OtherVersion { .. } => "other-version",
            Self::ThresholdLowered { .. } => "threshold-lowered",
            Self::RootKeysReplaced { .. } => "root-keys-replaced",
            Self::NoSpareRootKey { .. } => "no-spare-root-key",
            Self::SharedKey { .. } => "shared-key",
            Self::UnusableKey { .. } => "unusable-key",
            Self::OddExpiry { .. } => "odd-expiry",
            Self::ConsistencyLost => "consistency-lost",
            Self::UnknownMembers => "unknown-members",
        }
    }
}

impl fmt::Display for Surprise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherVersion { found, expected } => {
                write!(f, "it is root {found}, and the next one is {expected}")
            }
            Self::ThresholdLowered { role, old, new } => {
                write!(f, "{new} signatures would be enough for {role}, not {old}")
            }
            Self::RootKeysReplaced { kept, needed } => {
                write!(f, "only {kept} of the root keys stay, fewer than the {needed} that must sign")
            }
            Self::NoSpareRootKey { keys } => {
                write!(f, "all {keys} root keys must sign, so losing one loses the repository")
            }
            Self::SharedKey { key } => write!(f, "the key {} signs for more than one role", short(key)),
            Self::UnusableKey { key } => write!(f, "the key {} is of no usable kind", short(key)),
            Self::OddExpiry { expires } => write!(f, "it expires at {expires}"),
            Self::ConsistencyLost => f.write_str("file names would lose their versions"),
            Self::UnknownMembers => f.write_str("members that are not known here would change"),
        }
    }
}

/// Compares a new root with the trusted one before it.
pub(super) fn compare(old: &Root, new: &Root, now: Timestamp) -> Comparison {
    let mut changes = vec![format!(
        "root {} follows root {}, and expires at {} instead of {}",
        new.header.version, old.header.version, new.header.expires, old.header.expires
    )];
    let mut surprises = Vec::new();
    let expected = old.header.version.saturating_add(1);
    if new.header.version != expected {
        surprises.push(Surprise::OtherVersion { found: new.header.version, expected });
    }
    for role in RoleKind::ALL {
        let (had, has) = (ids(old, role), ids(new, role));
        changes.extend(had.difference(&has).map(|id| format!("{role}: the key {} goes", short(id))));
        changes.extend(has.difference(&had).map(|id| format!("{role}: the key {} comes", short(id))));
        let (before, after) = (threshold(old, role), threshold(new, role));
        if before != after {
            changes.push(format!("{role}: {after} of {} keys must sign, not {before}", has.len()));
        }
        if after < before {
            surprises.push(Surprise::ThresholdLowered { role: role.as_str(), old: before, new: after });
        }
    }
    let (had, has) = (ids(old, RoleKind::Root), ids(new, RoleKind::Root));
    let (kept, needed) = (had.intersection(&has).count(), threshold(old, RoleKind::Root));
    if (kept as u64) < needed {
        surprises.push(Surprise::RootKeysReplaced { kept, needed });
    }
    let had_spare = had.len() as u64 > needed;
    if has.len() as u64 <= threshold(new, RoleKind::Root) && had_spare {
        surprises.push(Surprise::NoSpareRootKey { keys: has.len() });
    }
    let users = |root: &Root, id: &KeyId| {
        RoleKind::ALL.into_iter().filter(|role| ids(root, *role).contains(id)).count()
    };
    for (id, key) in &new.keys {
        if users(new, id) > 1 && users(new, id) > users(old, id) {
            surprises.push(Surprise::SharedKey { key: id.clone() });
        }
        if key.as_bytes().is_none() && !old.keys.contains_key(id) {
            surprises.push(Surprise::UnusableKey { key: id.clone() });
        }
    }
    let expires = new.header.expires;
    if expires <= now || expires > now.plus_hours(LIFETIMES.root.saturating_mul(2)) {
        surprises.push(Surprise::OddExpiry { expires });
    }
    if old.consistent_snapshot && !new.consistent_snapshot {
        surprises.push(Surprise::ConsistencyLost);
    }
    if old.unknown != new.unknown || old.unknown_roles != new.unknown_roles {
        surprises.push(Surprise::UnknownMembers);
    }
    Comparison { changes, surprises }
}

fn ids(root: &Root, role: RoleKind) -> BTreeSet<KeyId> {
    root.roles.get(&role).map(|role| role.keyids.clone()).unwrap_or_default()
}

/// The first 16 digits: enough for people to compare with what somebody else has on paper.
fn short(id: &KeyId) -> &str {
    id.as_str().get(..16).unwrap_or(id.as_str())
}
