//! Delegations: other roles that may list files, by path pattern, by digest prefix, or in numbered bins.

mod paths;

use std::collections::{BTreeMap, BTreeSet};

use crate::canonical::{Object, Value, View, integer};
use crate::fields::{Fields, Malformed, Place, into_array, into_string};
use crate::key::{KeyId, PublicKey};
use crate::role::RoleKind;
use crate::root::{RoleKeys, read_keys, write_keyids, write_keys};

pub(crate) use paths::Subject;

/// The delegations of a targets role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegations {
    /// All keys that the delegated roles use.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// To whom.
    pub roles: Delegated,
    /// Members that this version does not know.
    pub unknown: Object,
}

/// The two ways to delegate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delegated {
    /// Named roles in the order of their priority.
    Roles(Vec<DelegatedRole>),
    /// As many roles as a digest prefix of some bits has values (TAP 15).
    Succinct(SuccinctRoles),
}

/// A named delegated role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelegatedRole {
    /// Its name: any string but those of the top-level roles.
    pub name: String,
    /// Who may sign it.
    pub keyids: BTreeSet<KeyId>,
    /// Distinct keys that must have signed, from 1.
    pub threshold: u64,
    /// Whether the search ends here if the role does not list the file.
    pub terminating: bool,
    /// Which files it may list.
    pub scope: Scope,
    /// Members that this version does not know.
    pub unknown: Object,
}

/// Which target paths a delegated role may list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Shell-style patterns; `*` and `?` do not match `/`.
    Paths(Vec<String>),
    /// Prefixes of the hexadecimal SHA-256 of the path.
    PathHashPrefixes(Vec<String>),
}

/// Numbered bins that share their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuccinctRoles {
    /// Who may sign them.
    pub keyids: BTreeSet<KeyId>,
    /// Distinct keys that must have signed, from 1.
    pub threshold: u64,
    /// Leading bits of the SHA-256 of the path that choose the bin, 1 to 32.
    pub bit_length: u32,
    /// Bins are named `<prefix>-<number in hexadecimal>`.
    pub name_prefix: String,
    /// Members that this version does not know.
    pub unknown: Object,
}

impl Delegations {
    pub(crate) fn read(value: View<'_>, place: Place<'_>) -> Result<Self, Malformed> {
        let mut fields = Fields::of(value, place)?;
        let keys = read_keys(fields.members("keys")?, place.member("keys"))?;
        let roles = match (fields.optional("roles"), fields.optional("succinct_roles")) {
            (Some(roles), None) => read_roles(roles, place.member("roles"))?,
            (None, Some(bins)) => {
                Delegated::Succinct(SuccinctRoles::read(bins, place.member("succinct_roles"))?)
            }
            (Some(_), Some(_)) => {
                return Err(fields.fault("roles", "succinct_roles beside it", "one of the two"));
            }
            (None, None) => return Err(fields.fault("roles", "nothing", "roles or succinct_roles")),
        };
        Ok(Self { keys, roles, unknown: fields.rest() })
    }

    pub(crate) fn write(&self) -> Value {
        let mut members = self.unknown.clone();
        members.insert("keys".to_owned(), write_keys(&self.keys));
        match &self.roles {
            Delegated::Roles(roles) => {
                let roles = roles.iter().map(DelegatedRole::write).collect();
                members.insert("roles".to_owned(), Value::Array(roles));
            }
            Delegated::Succinct(roles) => {
                members.insert("succinct_roles".to_owned(), roles.write());
            }
        }
        Value::Object(members)
    }
}

fn read_roles(value: View<'_>, place: Place<'_>) -> Result<Delegated, Malformed> {
    let mut roles = Vec::new();
    for (index, item) in into_array(value, place)?.into_iter().enumerate() {
        roles.push(DelegatedRole::read(item, place.item(index))?);
    }
    let mut names: Vec<&str> = roles.iter().map(|role| role.name.as_str()).collect();
    names.sort_unstable();
    if let Some([name, _]) = names.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
        return Err(Malformed::new(place, format!("the role {name:?} twice"), "distinct names"));
    }
    Ok(Delegated::Roles(roles))
}

impl DelegatedRole {
    fn read(value: View<'_>, place: Place<'_>) -> Result<Self, Malformed> {
        let mut fields = Fields::of(value, place)?;
        let name = fields.string("name")?;
        if name.is_empty() || RoleKind::ALL.iter().any(|kind| kind.as_str() == name) {
            return Err(fields.fault("name", format!("{name:?}"), "a name that is no top-level role's"));
        }
        let (keyids, threshold) = RoleKeys::read(&mut fields)?;
        let terminating = fields.bool("terminating")?;
        let scope = match (fields.optional("paths"), fields.optional("path_hash_prefixes")) {
            (Some(paths), None) => Scope::Paths(read_strings(paths, place.member("paths"))?),
            (None, Some(prefixes)) => {
                Scope::PathHashPrefixes(read_strings(prefixes, place.member("path_hash_prefixes"))?)
            }
            (Some(_), Some(_)) => {
                return Err(fields.fault("paths", "path_hash_prefixes beside it", "one of the two"));
            }
            (None, None) => return Err(fields.fault("paths", "nothing", "paths or path_hash_prefixes")),
        };
        Ok(Self { name, keyids, threshold, terminating, scope, unknown: fields.rest() })
    }

    fn write(&self) -> Value {
        let mut members = self.unknown.clone();
        members.insert("name".to_owned(), self.name.as_str().into());
        write_keyids(&mut members, &self.keyids, self.threshold);
        members.insert("terminating".to_owned(), self.terminating.into());
        let (name, patterns) = match &self.scope {
            Scope::Paths(patterns) => ("paths", patterns),
            Scope::PathHashPrefixes(prefixes) => ("path_hash_prefixes", prefixes),
        };
        let patterns = patterns.iter().map(|pattern| Value::from(pattern.as_str())).collect();
        members.insert(name.to_owned(), Value::Array(patterns));
        Value::Object(members)
    }
}

fn read_strings(value: View<'_>, place: Place<'_>) -> Result<Vec<String>, Malformed> {
    into_array(value, place)?.into_iter().map(|item| into_string(item, place)).collect()
}

impl SuccinctRoles {
    fn read(value: View<'_>, place: Place<'_>) -> Result<Self, Malformed> {
        let mut fields = Fields::of(value, place)?;
        let (keyids, threshold) = RoleKeys::read(&mut fields)?;
        let found = fields.natural("bit_length")?;
        let bit_length = u32::try_from(found).ok().filter(|bits| (1..=32).contains(bits));
        let bit_length =
            bit_length.ok_or_else(|| fields.fault("bit_length", found.to_string(), "1 to 32"))?;
        let name_prefix = fields.string("name_prefix")?;
        Ok(Self { keyids, threshold, bit_length, name_prefix, unknown: fields.rest() })
    }

    fn write(&self) -> Value {
        let mut members = self.unknown.clone();
        write_keyids(&mut members, &self.keyids, self.threshold);
        members.insert("bit_length".to_owned(), integer(u64::from(self.bit_length)));
        members.insert("name_prefix".to_owned(), self.name_prefix.as_str().into());
        Value::Object(members)
    }
}
