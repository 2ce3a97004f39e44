//! What we remember of a folder between runs: which build we installed last, and which one we kept.

use serde::{Deserialize, Serialize};
use smidgen_delta::Digest;

use crate::error::StorageError;
use crate::folder::{Durability, Folder};
use crate::storage::Stamp;

/// Far above what the two builds need.
const MAX_STATE_LEN: u64 = 64 * 1024;
/// Of `state.json`. A file with another one is from another time, and is made anew from what is installed.
const FORMAT: u32 = 1;

/// A build that is or was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Build {
    /// The id of the build line that it was released in: sequences of different lines do not compare.
    pub line: String,
    /// The file's name.
    pub name: String,
    /// The release's version, for people.
    pub version: String,
    /// The release's place in its line.
    pub sequence: u64,
    /// The build digest: BLAKE3 of the file.
    #[serde(with = "digest_text")]
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
    /// Mode that the release was signed with.
    pub mode: u32,
}

/// The state file. A cache of the truth, which is the installed file itself and signed history: losing it costs
/// digesting that file once and the way back to the previous build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    format: u32,
    pub(crate) installed: Option<Build>,
    /// Of the installed file when its digest was last computed.
    pub(crate) stamp: Stamp,
    pub(crate) previous: Option<Build>,
}

impl State {
    /// Reads the state; an unreadable one is as good as none.
    pub(crate) fn load(folder: &Folder) -> Result<Self, StorageError> {
        let path = folder.layout.state();
        let Some(bytes) = folder.read(&path, MAX_STATE_LEN)? else { return Ok(Self::default()) };
        match serde_json::from_slice::<Self>(&bytes) {
            Ok(state) if state.format == FORMAT => Ok(state),
            _ => {
                tracing::warn!(code = "state_damaged", path = %path.display(), "state is made anew from what is installed");
                Ok(Self::default())
            }
        }
    }

    /// Writes the state, durably and as a whole.
    pub(crate) fn store(&self, folder: &Folder) -> Result<(), StorageError> {
        let state = Self { format: FORMAT, ..self.clone() };
        let bytes = serde_json::to_vec_pretty(&state).unwrap_or_default();
        folder.replace(&folder.layout.state(), &bytes, Durability::Synced)
    }
}

/// Digests as lower-case hex in JSON.
pub(crate) mod digest_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use smidgen_delta::Digest;

    pub(crate) fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(digest)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
