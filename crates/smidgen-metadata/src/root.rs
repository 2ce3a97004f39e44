//! The root role: which keys sign which role.

use std::collections::{BTreeMap, BTreeSet};

use crate::canonical::{Members, Object, Value, integer};
use crate::fields::{Fields, Malformed, Place};
use crate::key::{KeyId, PublicKey};
use crate::role::{Header, Role, RoleKind, sealed};

/// The root role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Version and expiry.
    pub header: Header,
    /// Whether metadata files carry their version, and targets their digest, in the file name. Ours always do.
    pub consistent_snapshot: bool,
    /// All keys that any role uses.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// Who signs each of the four roles.
    pub roles: BTreeMap<RoleKind, RoleKeys>,
    /// Roles that this version does not know.
    pub unknown_roles: Object,
    /// Members that this version does not know.
    pub unknown: Object,
}

/// Who may sign a role, and how many of them must.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleKeys {
    /// Ids of keys; none stands twice.
    pub keyids: BTreeSet<KeyId>,
    /// Distinct keys that must have signed, from 1.
    pub threshold: u64,
    /// Members that this version does not know.
    pub unknown: Object,
}

impl Root {
    /// A first root: version 1, consistent snapshots, no keys yet.
    pub fn new(header: Header) -> Self {
        Self {
            header,
            consistent_snapshot: true,
            keys: BTreeMap::new(),
            roles: BTreeMap::new(),
            unknown_roles: Object::new(),
            unknown: Object::new(),
        }
    }

    /// Lets exactly these keys sign a role. Keys that no role uses any more are dropped.
    pub fn assign(&mut self, role: RoleKind, threshold: u64, keys: impl IntoIterator<Item = PublicKey>) {
        let mut keyids = BTreeSet::new();
        for key in keys {
            keyids.insert(key.id());
            self.keys.insert(key.id(), key);
        }
        self.roles.insert(role, RoleKeys { keyids, threshold, unknown: Object::new() });
        let roles = &self.roles;
        self.keys.retain(|id, _| roles.values().any(|role| role.keyids.contains(id)));
    }

    /// The keys that may sign a role, as far as this root holds them.
    pub fn keys_of(&self, role: RoleKind) -> impl Iterator<Item = (&KeyId, &PublicKey)> {
        let keyids = self.roles.get(&role).into_iter().flat_map(|role| &role.keyids);
        keyids.filter_map(|id| self.keys.get_key_value(id))
    }
}

impl RoleKeys {
    pub(crate) fn read(fields: &mut Fields<'_, '_>) -> Result<(BTreeSet<KeyId>, u64), Malformed> {
        let keyids = fields.distinct("keyids", KeyId::from_text)?;
        Ok((keyids, fields.positive("threshold")?))
    }

    fn write(&self) -> Value {
        let mut members = self.unknown.clone();
        write_keyids(&mut members, &self.keyids, self.threshold);
        Value::Object(members)
    }
}

pub(crate) fn write_keyids(members: &mut Object, keyids: &BTreeSet<KeyId>, threshold: u64) {
    let ids = keyids.iter().map(|id| Value::from(id.as_str())).collect();
    members.insert("keyids".to_owned(), Value::Array(ids));
    members.insert("threshold".to_owned(), integer(threshold));
}

/// Reads keys by id.
///
/// TUF, section 4.3: a client computes each key id itself, so that one id can never stand for two keys. Other publishers
/// compute ids over more members than the three that define a key, or not at all (TAP 12); `tuf-compat` takes their word
/// for it, which a threshold does not rest on: it counts keys.
pub(crate) fn read_keys(
    members: Members<'_>,
    place: Place<'_>,
) -> Result<BTreeMap<KeyId, PublicKey>, Malformed> {
    let mut keys = BTreeMap::new();
    for (id, value) in members {
        let place = place.member(&id);
        let key = PublicKey::read(value, place)?;
        // Keys of types that we cannot use are not ours to judge: they verify nothing.
        if cfg!(not(feature = "tuf-compat")) && key.identity().is_some() {
            let computed = key.id();
            if computed.as_str() != id {
                return Err(Malformed::new(
                    place,
                    format!("the key with the id {computed}"),
                    format!("the key with the id {id}"),
                ));
            }
        }
        keys.insert(KeyId::from_text(id.into_owned()), key);
    }
    Ok(keys)
}

pub(crate) fn write_keys(keys: &BTreeMap<KeyId, PublicKey>) -> Value {
    Value::Object(keys.iter().map(|(id, key)| (id.as_str().to_owned(), key.write())).collect())
}

impl Role for Root {
    const KIND: RoleKind = RoleKind::Root;

    fn header(&self) -> &Header {
        &self.header
    }
}

impl sealed::Form for Root {
    fn read(header: Header, mut fields: Fields<'_, '_>) -> Result<Self, Malformed> {
        let consistent_snapshot = fields.optional_bool("consistent_snapshot")?.unwrap_or(false);
        let top = fields.place;
        let keys = read_keys(fields.members("keys")?, top.member("keys"))?;
        let place = top.member("roles");
        let mut listed = fields.members("roles")?;
        let mut roles = BTreeMap::new();
        for kind in RoleKind::ALL {
            let place = place.member(kind.as_str());
            let value = listed.remove(kind.as_str());
            let value = value.ok_or_else(|| Malformed::new(place, "nothing", "the keys of the role"))?;
            let mut role = Fields::of(value, place)?;
            let (keyids, threshold) = RoleKeys::read(&mut role)?;
            roles.insert(kind, RoleKeys { keyids, threshold, unknown: role.rest() });
        }
        let unknown_roles = listed.into_object();
        Ok(Self { header, consistent_snapshot, keys, roles, unknown_roles, unknown: fields.rest() })
    }

    fn write(&self) -> Object {
        let mut members = self.unknown.clone();
        members.insert("consistent_snapshot".to_owned(), self.consistent_snapshot.into());
        members.insert("keys".to_owned(), write_keys(&self.keys));
        let mut roles = self.unknown_roles.clone();
        roles.extend(self.roles.iter().map(|(kind, role)| (kind.as_str().to_owned(), role.write())));
        members.insert("roles".to_owned(), Value::Object(roles));
        members
    }
}
