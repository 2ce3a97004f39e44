//! The snapshot role: which versions of targets and delegated roles belong together.

use std::collections::BTreeMap;

use crate::canonical::{Object, Value};
use crate::fields::{Fields, Malformed};
use crate::role::{Header, MetaFile, Role, RoleKind, RoleName, sealed};
use crate::timestamp::REPOSITORY;

/// The snapshot role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Version and expiry.
    pub header: Header,
    /// The repository's signed name; it must be the one in timestamp.
    pub repository: Option<String>,
    /// Targets and every delegated role by the name of the file without version: `targets.json`.
    pub meta: BTreeMap<String, MetaFile>,
    /// Members that this version does not know.
    pub unknown: Object,
}

impl Snapshot {
    /// What is listed about a role.
    pub fn listed(&self, role: &RoleName) -> Option<&MetaFile> {
        self.meta.get(&format!("{}.json", role.as_str()))
    }
}

impl Role for Snapshot {
    const KIND: RoleKind = RoleKind::Snapshot;

    fn header(&self) -> &Header {
        &self.header
    }
}

impl sealed::Form for Snapshot {
    fn read(header: Header, mut fields: Fields<'_, '_>) -> Result<Self, Malformed> {
        let repository = fields.optional_string(REPOSITORY)?;
        let top = fields.place;
        let place = top.member("meta");
        let listed = fields.members("meta")?.into_iter().map(|(name, value)| {
            let file = MetaFile::read(value, place.member(&name))?;
            Ok((name.into_owned(), file))
        });
        let meta = listed.collect::<Result<BTreeMap<_, _>, Malformed>>()?;
        Ok(Self { header, repository, meta, unknown: fields.rest() })
    }

    fn write(&self) -> Object {
        let mut members = self.unknown.clone();
        if let Some(name) = &self.repository {
            members.insert(REPOSITORY.to_owned(), name.as_str().into());
        }
        let meta = self.meta.iter().map(|(name, file)| (name.clone(), file.write())).collect();
        members.insert("meta".to_owned(), Value::Object(meta));
        members
    }
}
