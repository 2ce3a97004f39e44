//! Keys: are there enough of them, in the right place, and are they safe there?

use std::collections::BTreeMap;

use smidgen_metadata::{KeyId, PublicKey, RoleKind, Root, Targets};

use super::{Finding, Level};
use crate::keys::{KeyEntry, KeyForm, Keys, KeysError};

/// What can be told from the root alone.
pub(super) fn check_root(root: &Root, findings: &mut Vec<Finding>) {
    for role in RoleKind::ALL {
        let threshold = root.roles.get(&role).map_or(0, |role| role.threshold);
        let listed = root.roles.get(&role).map_or(0, |role| role.keyids.len());
        let usable = root.keys_of(role).filter(|(_, key)| key.as_bytes().is_some()).count();
        if (usable as u64) < threshold {
            findings.push(Finding {
                level: Level::Critical,
                code: "threshold_out_of_reach",
                subject: role.to_string(),
                message: format!(
                    "{threshold} signatures are needed, and {usable} of {listed} keys can be used"
                ),
            });
        }
        if role == RoleKind::Root && usable as u64 == threshold {
            findings.push(Finding {
                level: Level::Warning,
                code: "no_spare_root_key",
                subject: role.to_string(),
                message: format!(
                    "all {usable} root keys must sign: losing one makes every change of keys impossible; add another \
                     (`smidgen key rotate REPO root --add FILE`)"
                ),
            });
        }
    }
    for (id, key) in root.keys_of(RoleKind::Root) {
        let same = |other: &PublicKey| other.as_bytes() == key.as_bytes();
        let others = [RoleKind::Targets, RoleKind::Snapshot, RoleKind::Timestamp];
        let shared = others.into_iter().filter(|role| root.keys_of(*role).any(|(_, other)| same(other)));
        for role in shared {
            findings.push(Finding {
                level: Level::Warning,
                code: "shared_root_key",
                subject: id.to_string(),
                message: format!("this root key signs {role} too: whoever has it there has the root"),
            });
        }
    }
}

/// What the folder of keys tells.
pub(super) fn check(
    root: &Root,
    targets: Option<&Targets>,
    keys: &Keys,
    findings: &mut Vec<Finding>,
) -> Result<(), KeysError> {
    let entries = keys.list()?;
    let known = known_keys(root, targets);
    for role in [RoleKind::Snapshot, RoleKind::Timestamp] {
        let threshold = root.roles.get(&role).map_or(1, |role| role.threshold);
        if !keys.can_sign(root.keys_of(role).map(|(_, key)| key), threshold)? {
            findings.push(Finding {
                level: Level::Warning,
                code: "online_key_missing",
                subject: role.to_string(),
                message: format!(
                    "{} has not the {threshold} keys that sign it again, so nothing here can",
                    keys.folder().display()
                ),
            });
        }
    }
    for entry in &entries {
        if let Err(error) = keys.check(entry) {
            findings.push(Finding {
                level: Level::Critical,
                code: error.code(),
                subject: entry.name.to_string(),
                message: error.to_string(),
            });
        }
        let Ok(public) = &entry.public else {
            let reason = entry.public.as_ref().err().map(ToString::to_string).unwrap_or_default();
            findings.push(finding(entry, Level::Warning, "key_unreadable", reason));
            continue;
        };
        let id = public.id();
        if !known.contains_key(&id) && entry.can_sign() {
            let message = "it signs nothing in this repository: it waits for its root, or can be moved away";
            findings.push(finding(entry, Level::Warning, "key_unknown", message.to_owned()));
        }
        let is_root = root.keys_of(RoleKind::Root).any(|(other, _)| *other == id);
        if is_root && matches!(entry.form, KeyForm::Plain | KeyForm::Encrypted) {
            let message =
                "a root key is on this machine: take it to where it is safe, and keep its .pub at most";
            findings.push(finding(entry, Level::Warning, "root_key_online", message.to_owned()));
        }
    }
    Ok(())
}

fn finding(entry: &KeyEntry, level: Level, code: &'static str, message: String) -> Finding {
    Finding { level, code, subject: entry.name.to_string(), message }
}

/// All keys that anything in force names.
fn known_keys<'a>(root: &'a Root, targets: Option<&'a Targets>) -> BTreeMap<&'a KeyId, &'a PublicKey> {
    let delegations = targets.and_then(|targets| targets.delegations.as_ref());
    root.keys.iter().chain(delegations.into_iter().flat_map(|delegations| &delegations.keys)).collect()
}
