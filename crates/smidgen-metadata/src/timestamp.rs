//! The timestamp role: which snapshot is the newest, of which repository, signed when.

use crate::canonical::{Object, Value};
use crate::fields::{Fields, Malformed};
use crate::role::{Header, MetaFile, Role, RoleKind, sealed};
use crate::time::Timestamp;

/// The signed name of the repository, in timestamp and snapshot. Other TUF clients ignore it.
pub(crate) const REPOSITORY: &str = "x-smidgen-repository";
/// The time of signing, in timestamp. Other TUF clients ignore it.
const SIGNED_AT: &str = "x-smidgen-signed-at";

/// The timestamp role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampRole {
    /// Version and expiry.
    pub header: Header,
    /// The repository's signed name; repositories of other publishers have none.
    pub repository: Option<String>,
    /// When it was signed: the floor of a client's clock.
    pub signed_at: Option<Timestamp>,
    /// The newest snapshot.
    pub snapshot: MetaFile,
    /// Members that this version does not know.
    pub unknown: Object,
}

impl Role for TimestampRole {
    const KIND: RoleKind = RoleKind::Timestamp;

    fn header(&self) -> &Header {
        &self.header
    }
}

impl sealed::Form for TimestampRole {
    fn read(header: Header, mut fields: Fields<'_, '_>) -> Result<Self, Malformed> {
        let repository = fields.optional_string(REPOSITORY)?;
        let signed_at = fields.optional_parsed::<Timestamp>(SIGNED_AT)?;
        // A publisher that signs what has ended already would lift every client's clock over it.
        if signed_at.is_some_and(|signed_at| signed_at >= header.expires) {
            return Err(fields.fault(SIGNED_AT, "a time of signing after the expiry", "one before it"));
        }
        let top = fields.place;
        let place = top.member("meta");
        let mut meta = Fields::of(fields.required("meta", "an object")?, place)?;
        let listed = meta.required("snapshot.json", "the newest snapshot")?;
        let snapshot = MetaFile::read(listed, place.member("snapshot.json"))?;
        Ok(Self { header, repository, signed_at, snapshot, unknown: fields.rest() })
    }

    fn write(&self) -> Object {
        let mut members = self.unknown.clone();
        if let Some(name) = &self.repository {
            members.insert(REPOSITORY.to_owned(), name.as_str().into());
        }
        if let Some(time) = self.signed_at {
            members.insert(SIGNED_AT.to_owned(), time.to_string().into());
        }
        let meta = Object::from([("snapshot.json".to_owned(), self.snapshot.write())]);
        members.insert("meta".to_owned(), Value::Object(meta));
        members
    }
}
