//! To whom a targets role delegates: roles, the keys that sign them, and what they may list.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;
use smidgen_metadata::{Delegated, DelegatedRole, Delegations, KeyId, Scope, SuccinctRoles};

use crate::quantity::table;

/// One delegated role, or the bins that share their keys.
#[derive(Serialize)]
pub(super) struct Delegation {
    /// Its name; of bins, what their names begin with.
    role: String,
    threshold: u64,
    keys: Vec<String>,
    /// Whether nobody after it has a say about what it may list.
    terminating: bool,
    #[serde(flatten)]
    scope: Listable,
}

/// What a delegated role may list.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Listable {
    Paths(Vec<String>),
    PathHashPrefixes(Vec<String>),
    /// So many bins, chosen by the leading bits of the path's digest.
    Bins(u64),
}

/// What a role says about others, in its own order, which is that of a search.
pub(super) fn of(delegations: Option<&Delegations>) -> Vec<Delegation> {
    match delegations.map(|delegations| &delegations.roles) {
        None => Vec::new(),
        Some(Delegated::Roles(roles)) => roles.iter().map(Delegation::of_role).collect(),
        Some(Delegated::Succinct(bins)) => vec![Delegation::of_bins(bins)],
    }
}

/// The same for people: roles that the same keys sign stand together.
pub(super) fn text(delegations: &[Delegation]) -> String {
    let mut text = String::new();
    for alike in delegations.chunk_by(Delegation::is_signed_like) {
        let Some(first) = alike.first() else { continue };
        let _ = writeln!(text, "delegates; {} of {} keys must sign", first.threshold, first.keys.len());
        for key in &first.keys {
            let _ = writeln!(text, "  key {key}");
        }
        let rows = alike.iter().map(|delegation| vec![format!("  {}", delegation.role), delegation.scope()]);
        text.push_str(&table(&rows.collect::<Vec<_>>()));
    }
    text
}

fn key_texts(keys: &BTreeSet<KeyId>) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

impl Delegation {
    fn of_role(role: &DelegatedRole) -> Self {
        Self {
            role: role.name.clone(),
            threshold: role.threshold,
            keys: key_texts(&role.keyids),
            terminating: role.terminating,
            scope: match &role.scope {
                Scope::Paths(patterns) => Listable::Paths(patterns.clone()),
                Scope::PathHashPrefixes(prefixes) => Listable::PathHashPrefixes(prefixes.clone()),
            },
        }
    }

    fn of_bins(bins: &SuccinctRoles) -> Self {
        Self {
            role: bins.name_prefix.clone(),
            threshold: bins.threshold,
            keys: key_texts(&bins.keyids),
            // TAP 15: bins are always terminating.
            terminating: true,
            scope: Listable::Bins(1_u64.checked_shl(bins.bit_length).unwrap_or_default()),
        }
    }

    fn is_signed_like(&self, other: &Self) -> bool {
        self.threshold == other.threshold && self.keys == other.keys
    }

    fn scope(&self) -> String {
        let goes_on = if self.terminating { "" } else { ", and others may as well" };
        match &self.scope {
            Listable::Paths(patterns) => format!("{}{goes_on}", patterns.join(" ")),
            Listable::PathHashPrefixes(prefixes) => {
                format!("paths whose SHA-256 begins with {}{goes_on}", prefixes.join(" "))
            }
            Listable::Bins(count) => format!("{count} bins by the SHA-256 of the path"),
        }
    }
}

#[cfg(test)]
mod tests {
    use smidgen_metadata::canonical::Object;
    use smidgen_metadata::sign::{SecretKey, Signer as _};

    use super::*;

    fn role(name: &str, seed: u8, terminating: bool, scope: Scope) -> DelegatedRole {
        let key = SecretKey::from_seed(&[seed; 32]).unwrap().public_key();
        let keyids = BTreeSet::from([key.id()]);
        DelegatedRole {
            name: name.to_owned(),
            keyids,
            threshold: 1,
            terminating,
            scope,
            unknown: Object::new(),
        }
    }

    #[test]
    fn lists_roles_under_the_keys_that_sign_them() {
        let paths = |pattern: &str| Scope::Paths(vec![pattern.to_owned()]);
        let prefixes = Scope::PathHashPrefixes(vec!["0a".to_owned(), "0b".to_owned()]);
        let roles = vec![
            role("editor", 1, true, paths("editor/*/*/*/*/*")),
            role("viewer-of-pictures", 1, true, paths("viewer-of-pictures/*/*/*/*/*")),
            role("plugins", 2, false, prefixes),
        ];
        let roles =
            Delegations { keys: Default::default(), roles: Delegated::Roles(roles), unknown: Object::new() };
        insta::assert_snapshot!(text(&of(Some(&roles))));
        insta::assert_snapshot!(serde_json::to_string_pretty(&of(Some(&roles))).unwrap());
    }

    #[test]
    fn counts_bins_instead_of_listing_them() {
        let bins = SuccinctRoles {
            keyids: BTreeSet::new(),
            threshold: 1,
            bit_length: 10,
            name_prefix: "bin".to_owned(),
            unknown: Object::new(),
        };
        let bins = Delegations {
            keys: Default::default(),
            roles: Delegated::Succinct(bins),
            unknown: Object::new(),
        };
        assert!(text(&of(Some(&bins))).contains("1024 bins"), "{}", text(&of(Some(&bins))));
    }
}
