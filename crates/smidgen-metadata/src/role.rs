//! What the four roles have in common: names, `_type`, version, expiry, and how they are read and written.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::canonical::{Members, Object, Value, View, integer};
use crate::digest::Sha256;
use crate::error::VerifyError;
use crate::fields::{Fields, Malformed, Place, into_string};
use crate::hex;
use crate::time::Timestamp;

/// The version of the TUF specification that we write.
pub const SPEC_VERSION: &str = "1.0.31";

/// The four top-level roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleKind {
    /// Says which keys sign which role.
    Root,
    /// The only file that changes in place: which snapshot is the newest.
    Timestamp,
    /// Which versions of targets and delegated roles belong together.
    Snapshot,
    /// The files, and who else may list files.
    Targets,
}

impl RoleKind {
    /// All four, in the order in which a client loads them.
    pub const ALL: [Self; 4] = [Self::Root, Self::Timestamp, Self::Snapshot, Self::Targets];

    /// The role's name, which is also its `_type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
        }
    }
}

impl fmt::Display for RoleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a role: one of the four, or a delegated targets role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleName {
    /// A top-level role.
    Top(RoleKind),
    /// A role that targets delegates to. Its name is any string and never a path.
    Delegated(String),
}

impl RoleName {
    /// The role's name as metadata spells it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Top(kind) => kind.as_str(),
            Self::Delegated(name) => name,
        }
    }

    /// The role's name as it stands in the names of files and in addresses, see [`encode_name`].
    pub fn file_stem(&self) -> String {
        encode_name(self.as_str())
    }
}

/// A name as one segment of an address, or as the name of a file: everything but letters, digits and `-._~` is
/// percent-encoded, as the reference client does. So it separates no folders and ends no path; `.` and `..` stay what
/// they are, and need something before or after them.
pub fn encode_name(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode(&[byte]).to_ascii_uppercase());
        }
    }
    encoded
}

impl From<RoleKind> for RoleName {
    fn from(kind: RoleKind) -> Self {
        Self::Top(kind)
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top(kind) => kind.fmt(f),
            Self::Delegated(name) => write!(f, "delegated role {name:?}"),
        }
    }
}

impl Serialize for RoleName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

pub(crate) mod sealed {
    use super::{Fields, Malformed, Object};

    /// How a role is read from its members after the common ones, and written without them.
    pub trait Form: Sized {
        #[doc(hidden)]
        fn read(header: super::Header, fields: Fields<'_, '_>) -> Result<Self, Malformed>;
        #[doc(hidden)]
        fn write(&self) -> Object;
    }
}

/// One of the four roles. Implemented by [`Root`](crate::Root), [`TimestampRole`](crate::TimestampRole),
/// [`Snapshot`](crate::Snapshot) and [`Targets`](crate::Targets) only.
pub trait Role: sealed::Form {
    /// Which role it is.
    const KIND: RoleKind;

    /// What all roles have.
    fn header(&self) -> &Header;

    /// The version, from 1.
    fn version(&self) -> u64 {
        self.header().version
    }

    /// The first moment at which the role is not valid any more.
    fn expires(&self) -> Timestamp {
        self.header().expires
    }

    /// The value that gets signed.
    fn to_signed(&self) -> Value {
        let mut members = self.write();
        let header = self.header();
        members.insert("_type".to_owned(), Self::KIND.as_str().into());
        members.insert("spec_version".to_owned(), header.spec_version.as_str().into());
        members.insert("version".to_owned(), integer(header.version));
        members.insert("expires".to_owned(), header.expires.to_string().into());
        Value::Object(members)
    }
}

/// What all roles have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version of the TUF specification that the signer followed.
    pub spec_version: String,
    /// The role's version, from 1.
    pub version: u64,
    /// The first moment at which the role is not valid any more.
    pub expires: Timestamp,
}

impl Header {
    /// The header of a role that we write.
    pub fn new(version: u64, expires: Timestamp) -> Self {
        Self { spec_version: SPEC_VERSION.to_owned(), version, expires }
    }
}

/// Reads a role from what is under `signed`. The caller has checked the signatures, or says that it has not.
pub(crate) fn read<R: Role>(signed: Members<'_>, name: &RoleName) -> Result<R, VerifyError> {
    let malformed = |fault| VerifyError::Malformed { role: name.clone(), fault };
    let mut fields = Fields::over(signed, Place::Top("signed"));
    let found = fields.text("_type").map_err(malformed)?;
    if found != R::KIND.as_str() {
        return Err(VerifyError::OtherRole { role: name.clone(), found: found.into_owned() });
    }
    let spec_version = fields.string("spec_version").map_err(malformed)?;
    if !is_known_spec_version(&spec_version) {
        return Err(VerifyError::UnknownSpecVersion { role: name.clone(), found: spec_version });
    }
    let version = fields.positive("version").map_err(malformed)?;
    let expires = fields.parsed("expires").map_err(malformed)?;
    R::read(Header { spec_version, version, expires }, fields).map_err(malformed)
}

/// TUF's versioning is semantic: within major version 1 old clients can read what new publishers write. Two or three
/// numbers, as the reference client allows.
fn is_known_spec_version(text: &str) -> bool {
    let numbers: Vec<&str> = text.split('.').collect();
    let all_digits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    matches!(numbers.as_slice(), ["1", _] | ["1", _, _]) && numbers.iter().all(all_digits)
}

/// Digests of a file by the name of the algorithm, in hexadecimal. Names that this version does not know are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashes(BTreeMap<String, String>);

impl Hashes {
    /// SHA-256 alone, which is what we write.
    pub fn sha256(digest: Sha256) -> Self {
        Self(BTreeMap::from([("sha256".to_owned(), digest.to_string())]))
    }

    /// The SHA-256, if it is listed and well-formed.
    pub fn to_sha256(&self) -> Option<Sha256> {
        self.0.get("sha256").and_then(|text| text.parse().ok())
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names of algorithms and digests as they stand in metadata.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, digest)| (name.as_str(), digest.as_str()))
    }

    /// Compares `bytes` with every listed digest of an algorithm that we have; at least one of those must be listed.
    /// Returns the algorithm, what was found, and what was listed.
    pub(crate) fn mismatch(&self, bytes: &[u8]) -> Option<(&'static str, String, String)> {
        use sha2::Digest as _;
        if self.is_empty() {
            return None;
        }
        self.mismatch_of(
            || hex::encode(&sha2::Sha256::digest(bytes)),
            || hex::encode(&sha2::Sha512::digest(bytes)),
        )
    }

    /// The same with digests that are computed already, or when they are asked for.
    pub(crate) fn mismatch_of(
        &self,
        sha256: impl Fn() -> String,
        sha512: impl Fn() -> String,
    ) -> Option<(&'static str, String, String)> {
        let mut known = false;
        for (name, listed) in self.iter() {
            let (name, found) = match name {
                "sha256" => ("sha256", sha256()),
                "sha512" => ("sha512", sha512()),
                _ => continue,
            };
            known = true;
            if !listed.eq_ignore_ascii_case(&found) {
                return Some((name, found, listed.to_owned()));
            }
        }
        (!known).then(|| ("sha256", sha256(), "no algorithm that is known here".to_owned()))
    }

    pub(crate) fn read(members: Members<'_>, place: Place<'_>) -> Result<Self, Malformed> {
        let mut hashes = BTreeMap::new();
        for (name, value) in members {
            let digest = into_string(value, place.member(&name))?;
            hashes.insert(name.into_owned(), digest);
        }
        if hashes.is_empty() {
            return Err(Malformed::new(place, "no digest", "at least one digest"));
        }
        Ok(Self(hashes))
    }

    pub(crate) fn write(&self) -> Value {
        Value::Object(self.0.iter().map(|(name, digest)| (name.clone(), digest.as_str().into())).collect())
    }
}

/// What timestamp and snapshot say about another metadata file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaFile {
    /// Its version, from 1.
    pub version: u64,
    /// Its size in bytes, if listed.
    pub length: Option<u64>,
    /// Its digests, if listed.
    pub hashes: Hashes,
    /// Members that this version does not know.
    pub unknown: Object,
}

impl MetaFile {
    /// Version alone, as snapshot lists targets.
    pub fn new(version: u64) -> Self {
        Self { version, length: None, hashes: Hashes::default(), unknown: Object::new() }
    }

    /// Version, length and SHA-256 of the file's bytes, as timestamp lists snapshot.
    pub fn of(version: u64, bytes: &[u8]) -> Self {
        Self {
            length: u64::try_from(bytes.len()).ok(),
            hashes: Hashes::sha256(Sha256::of(bytes)),
            ..Self::new(version)
        }
    }

    pub(crate) fn read(value: View<'_>, place: Place<'_>) -> Result<Self, Malformed> {
        let mut fields = Fields::of(value, place)?;
        let version = fields.positive("version")?;
        let length = fields.optional_natural("length")?;
        let listed = fields.optional_members("hashes")?;
        let hashes = listed.map(|members| Hashes::read(members, place.member("hashes"))).transpose()?;
        Ok(Self { version, length, hashes: hashes.unwrap_or_default(), unknown: fields.rest() })
    }

    pub(crate) fn write(&self) -> Value {
        let mut members = self.unknown.clone();
        members.insert("version".to_owned(), integer(self.version));
        if let Some(length) = self.length {
            members.insert("length".to_owned(), integer(length));
        }
        if !self.hashes.is_empty() {
            members.insert("hashes".to_owned(), self.hashes.write());
        }
        Value::Object(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_every_version_of_the_specification_before_2() {
        for known in ["1.0", "1.0.0", "1.0.31", "1.0.99", "1.7.0"] {
            assert!(is_known_spec_version(known), "{known}");
        }
        for unknown in [
            "", "1", "2.0.0", "0.9", "1.0.0.0", "1.x.0", "1.", "1..0", "01.0.0", "v1.0.0", "1.0.0-rc", "10.0",
        ] {
            assert!(!is_known_spec_version(unknown), "{unknown}");
        }
    }
}
