//! A release: one target with what its `custom` says.

use serde::Serialize;

use super::history::HistoryEntry;
use super::{BuildLine, Name, PluginRelease, Severity};
use crate::canonical::{Object, Value, View, integer};
use crate::digest::{Blake3, BlobDigest, BuildPrefix, Sha256};
use crate::fields::{Fields, Malformed, Place, into_array, into_natural, parse};
use crate::role::Hashes;
use crate::targets::Target;

/// A listed release of a build line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Its number in the line, from 1 and growing.
    pub sequence: u64,
    /// Its version, for people.
    pub version: Name,
    /// What changed in the core since the line's release before.
    pub severity: Severity,
    /// Every plugin of the line, by name.
    pub plugins: Vec<PluginRelease>,
    /// The name of the file.
    pub name: Name,
    /// The size of the file in bytes.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: Sha256,
    /// BLAKE3 of the file: the build digest.
    pub blake3: Blake3,
    /// Permission bits of the file, at most 0o777: a release never sets the user id.
    pub mode: u32,
    /// The compressed full copy.
    pub full: Blob,
    /// Patches that lead to this release.
    pub patches: Vec<PatchEntry>,
    /// Whether the raw file is stored for other TUF clients.
    pub raw: bool,
    /// What the publisher tells people; no control characters but line feed and tab, at most 4,096 bytes.
    pub notes: Option<String>,
    /// Members of `custom` that this version does not know.
    #[serde(skip)]
    pub unknown: Object,
}

/// A stored file, named by its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Blob {
    /// Its size in bytes.
    pub size: u64,
    /// The first sixteen bytes of the BLAKE3 of its bytes.
    pub digest: BlobDigest,
}

/// A patch that leads to a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PatchEntry {
    /// The first four bytes of the digest of the build that it starts from.
    pub old: BuildPrefix,
    /// The codec that wrote it. A client skips patches of codecs that it does not know.
    pub codec: Name,
    /// Its size in bytes.
    pub size: u64,
    /// The first sixteen bytes of the BLAKE3 of its bytes.
    pub digest: BlobDigest,
    /// Mebibytes of memory that applying it takes at most: the bound that a decoder is held to.
    pub memory_mib: u32,
    /// Mebibytes that a process which applied it had resident at most, program and all, as the publisher measured;
    /// `None`: it was not measured.
    pub peak_mib: Option<u32>,
}

/// Permission bits for everybody, nothing beyond.
pub(super) const MAX_MODE: u32 = 0o777;
/// What nearly every program has, and what is not written therefore.
const USUAL_MODE: u32 = 0o755;
const MAX_NOTES: usize = 4096;
const MEBIBYTE: u64 = 1 << 20;

impl Blob {
    /// Where it is stored below the repository: `blobs/<first two digits>/<digest>`.
    pub fn path(&self) -> String {
        blob_path(&self.digest)
    }
}

impl PatchEntry {
    /// Bytes of memory that applying it takes at most.
    pub fn memory(&self) -> u64 {
        u64::from(self.memory_mib).saturating_mul(MEBIBYTE)
    }

    /// Bytes that a process which applied it had resident at most, if that was measured.
    pub fn peak(&self) -> Option<u64> {
        self.peak_mib.map(|mebibytes| u64::from(mebibytes) * MEBIBYTE)
    }

    /// As [`memory_mib`](Self::memory_mib) and [`peak_mib`](Self::peak_mib) list `bytes`: rounded up.
    pub fn mebibytes(bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(MEBIBYTE)).unwrap_or(u32::MAX)
    }

    /// Where it is stored below the repository: `blobs/<first two digits>/<digest>`.
    pub fn path(&self) -> String {
        blob_path(&self.digest)
    }
}

fn blob_path(digest: &BlobDigest) -> String {
    let name = digest.to_string();
    format!("blobs/{}/{name}", name.get(..2).unwrap_or_default())
}

impl Release {
    /// The target path, a name in signed metadata: `editor/stable/x86_64-linux/<line id>/37/editor`.
    pub fn target_path(&self, line: &BuildLine) -> String {
        format!("{}{}/{}", line.target_prefix(), self.sequence, self.name)
    }

    /// Where the raw file is stored below the repository if it is: `targets/<folder of the target path>/<sha256>.<name>`,
    /// which is where TUF clients look with consistent snapshots.
    pub fn raw_path(&self, line: &BuildLine) -> String {
        format!("targets/{}{}/{}.{}", line.target_prefix(), self.sequence, self.sha256, self.name)
    }

    /// What stays in the history when the release is not listed any more.
    pub fn to_history(&self) -> HistoryEntry {
        HistoryEntry {
            sequence: self.sequence,
            version: self.version.clone(),
            severity: self.severity,
            plugins: self.plugins.clone(),
            build: self.blake3.prefix(),
            withdrawn: false,
        }
    }

    /// Reads a target whose `custom` is in `fields`. `path` is what follows the line's prefix: `37/editor`.
    pub(super) fn read(path: &str, target: &Target, mut fields: Fields<'_, '_>) -> Result<Self, Malformed> {
        let wrong = || fields.fault("the path", path, "a sequence from 1, a slash and a file name");
        let (folder, name) = path.split_once('/').ok_or_else(wrong)?;
        let sequence =
            folder.parse().ok().filter(|sequence: &u64| *sequence >= 1 && sequence.to_string() == folder);
        let (sequence, name): (u64, Name) = (sequence.ok_or_else(wrong)?, name.parse().map_err(|_| wrong())?);
        Ok(Self {
            sequence,
            version: fields.parsed("version")?,
            severity: fields.parsed("severity")?,
            plugins: read_plugins(&mut fields)?,
            name,
            size: target.length,
            sha256: target
                .hashes
                .to_sha256()
                .ok_or_else(|| fields.fault("blake3", "no sha256 in hashes", "one"))?,
            blake3: fields.parsed("blake3")?,
            mode: read_mode(&mut fields)?,
            full: read_full(&mut fields)?,
            patches: read_patches(&mut fields)?,
            raw: fields.optional_bool("raw")?.unwrap_or(true),
            notes: read_notes(&mut fields)?,
            unknown: fields.rest(),
        })
    }

    /// The target, without the history that the newest one carries.
    pub(super) fn write(&self) -> Target {
        let mut custom = self.unknown.clone();
        let mut put = |name: &str, value: Value| custom.insert(name.to_owned(), value);
        put("version", self.version.as_str().into());
        put("severity", self.severity.as_str().into());
        put(
            "plugins",
            self.plugins.iter().map(|plugin| Value::String(plugin.to_string())).collect::<Vec<_>>().into(),
        );
        put("blake3", self.blake3.to_string().into());
        if self.mode != USUAL_MODE {
            put("mode", self.mode.into());
        }
        put("full", vec![integer(self.full.size), self.full.digest.to_string().into()].into());
        put("patches", self.patches.iter().map(PatchEntry::write).collect::<Vec<_>>().into());
        if !self.raw {
            put("raw", false.into());
        }
        if let Some(notes) = &self.notes {
            put("notes", notes.as_str().into());
        }
        Target {
            length: self.size,
            hashes: Hashes::sha256(self.sha256),
            custom: Some(custom),
            unknown: Object::new(),
        }
    }
}

fn read_plugins(fields: &mut Fields<'_, '_>) -> Result<Vec<PluginRelease>, Malformed> {
    let items = fields.array("plugins")?.into_iter();
    let place = fields.place.member("plugins");
    let mut plugins = items.map(|item| parse(item, place)).collect::<Result<Vec<PluginRelease>, _>>()?;
    plugins.sort();
    Ok(plugins)
}

fn read_mode(fields: &mut Fields<'_, '_>) -> Result<u32, Malformed> {
    let Some(mode) = fields.optional_natural("mode")? else { return Ok(USUAL_MODE) };
    let allowed = u32::try_from(mode).ok().filter(|mode| *mode <= MAX_MODE);
    allowed.ok_or_else(|| fields.fault("mode", mode.to_string(), "permission bits, at most 511 (0o777)"))
}

fn read_notes(fields: &mut Fields<'_, '_>) -> Result<Option<String>, Malformed> {
    let notes = fields.optional_string("notes")?;
    if notes.as_deref().is_none_or(are_notes) {
        return Ok(notes);
    }
    Err(fields.fault(
        "notes",
        "control characters, or more than that",
        format!("at most {MAX_NOTES} bytes of text"),
    ))
}

/// Notes reach terminals and web pages of people: text only.
pub(super) fn are_notes(text: &str) -> bool {
    text.len() <= MAX_NOTES
        && !text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t'))
}

fn read_full(fields: &mut Fields<'_, '_>) -> Result<Blob, Malformed> {
    let items: Result<[View<'_>; 2], _> = fields.array("full")?.try_into();
    let place = fields.place.member("full");
    let Ok([size, digest]) = items else {
        return Err(Malformed::new(place, "an array of another length", "[size, digest]"));
    };
    Ok(Blob { size: into_natural(size, place)?, digest: parse(digest, place)? })
}

fn read_patches(fields: &mut Fields<'_, '_>) -> Result<Vec<PatchEntry>, Malformed> {
    let items = fields.array("patches")?.into_iter().enumerate();
    let place = fields.place.member("patches");
    items.map(|(index, item)| PatchEntry::read(item, place.item(index))).collect()
}

impl PatchEntry {
    fn read(value: View<'_>, place: Place<'_>) -> Result<Self, Malformed> {
        let mut items = into_array(value, place)?.into_iter();
        let mut next = || items.next();
        let (Some(old), Some(codec), Some(size), Some(digest), Some(memory), peak, None) =
            (next(), next(), next(), next(), next(), next(), next())
        else {
            return Err(Malformed::new(
                place,
                "an array of another length",
                "[old, codec, size, digest, memory] and perhaps peak",
            ));
        };
        // More than anybody has is refused by every client's limit, however it is spelled.
        let mebibytes =
            |value| into_natural(value, place).map(|mebibytes| u32::try_from(mebibytes).unwrap_or(u32::MAX));
        Ok(Self {
            old: parse(old, place)?,
            codec: parse(codec, place)?,
            size: into_natural(size, place)?,
            digest: parse(digest, place)?,
            memory_mib: mebibytes(memory)?,
            peak_mib: peak.map(mebibytes).transpose()?,
        })
    }

    fn write(&self) -> Value {
        let mut items = vec![
            self.old.to_string().into(),
            self.codec.as_str().into(),
            integer(self.size),
            self.digest.to_string().into(),
            self.memory_mib.into(),
        ];
        items.extend(self.peak_mib.map(Value::from));
        Value::Array(items)
    }
}
