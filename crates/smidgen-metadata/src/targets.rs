//! The targets role: files by path, and who else may list files.

use std::collections::BTreeMap;

use crate::canonical::{Members, Object, Value, View, integer};
use crate::delegations::Delegations;
use crate::fields::{Fields, Malformed, Place};
use crate::role::{Hashes, Header, Role, RoleKind, sealed};

/// The targets role, top-level or delegated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Version and expiry.
    pub header: Header,
    /// Files by target path. A path is a name and never used as a path of a file system as it is.
    pub targets: BTreeMap<String, Target>,
    /// Who else may list files.
    pub delegations: Option<Delegations>,
    /// Members that this version does not know.
    pub unknown: Object,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its size in bytes.
    pub length: u64,
    /// Its digests.
    pub hashes: Hashes,
    /// What the publisher says beside it; ours is a release.
    pub custom: Option<Object>,
    /// Members that this version does not know.
    pub unknown: Object,
}

impl Targets {
    /// A role that lists nothing yet.
    pub fn new(header: Header) -> Self {
        Self { header, targets: BTreeMap::new(), delegations: None, unknown: Object::new() }
    }
}

impl Target {
    fn read(value: View<'_>, place: Place<'_>) -> Result<Self, Malformed> {
        let mut fields = Fields::of(value, place)?;
        let length = fields.natural("length")?;
        let hashes = Hashes::read(fields.members("hashes")?, place.member("hashes"))?;
        let custom = fields.optional_members("custom")?.map(Members::into_object);
        Ok(Self { length, hashes, custom, unknown: fields.rest() })
    }

    fn write(&self) -> Value {
        let mut members = self.unknown.clone();
        members.insert("length".to_owned(), integer(self.length));
        members.insert("hashes".to_owned(), self.hashes.write());
        if let Some(custom) = &self.custom {
            members.insert("custom".to_owned(), Value::Object(custom.clone()));
        }
        Value::Object(members)
    }
}

impl Role for Targets {
    const KIND: RoleKind = RoleKind::Targets;

    fn header(&self) -> &Header {
        &self.header
    }
}

impl sealed::Form for Targets {
    fn read(header: Header, mut fields: Fields<'_, '_>) -> Result<Self, Malformed> {
        let top = fields.place;
        let place = top.member("targets");
        let listed = fields.members("targets")?.into_iter().map(|(path, value)| {
            let target = Target::read(value, place.member(&path))?;
            Ok((path.into_owned(), target))
        });
        let targets = listed.collect::<Result<BTreeMap<_, _>, Malformed>>()?;
        let place = top.member("delegations");
        let delegations =
            fields.optional("delegations").map(|value| Delegations::read(value, place)).transpose()?;
        Ok(Self { header, targets, delegations, unknown: fields.rest() })
    }

    fn write(&self) -> Object {
        let mut members = self.unknown.clone();
        let targets = self.targets.iter().map(|(path, target)| (path.clone(), target.write())).collect();
        members.insert("targets".to_owned(), Value::Object(targets));
        if let Some(delegations) = &self.delegations {
            members.insert("delegations".to_owned(), delegations.write());
        }
        members
    }
}
