//! What the last poll left behind: the entity tag that makes the next one cheap, and when and how it went.

use serde::{Deserialize, Serialize};
use smidgen_delta::Digest;
use smidgen_metadata::BuildLine;
use url::Url;

use crate::error::StorageError;
use crate::folder::{Durability, Folder};

const MAX_POLL_LEN: u64 = 16 * 1024;
/// A tag is sent back with every poll; a longer one is not worth it.
const MAX_TAG_LEN: usize = 256;

/// The poll file. Written without a sync, for it is written every hour: losing it costs one unconditional poll.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Poll {
    /// Time of the last check that reached a verdict, in UTC.
    pub(crate) checked: Option<String>,
    /// Its code: an outcome's or an error's.
    pub(crate) code: Option<String>,
    /// What was followed: the folder alone can then say what is known of its line.
    pub(crate) line: Option<BuildLine>,
    /// When the next root was last asked for, in seconds since 1970.
    pub(crate) root_probed: Option<i64>,
    tag: Option<Tag>,
}

/// An entity tag holds for the bytes it was sent with at the address it was sent from, and for nothing else. Bound to
/// both, it can never make us take another mirror's 304, or one for a file that we failed to store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Tag {
    etag: String,
    url: String,
    #[serde(with = "crate::state::digest_text")]
    content: Digest,
}

impl Poll {
    /// Reads the last poll; an unreadable one is as good as none.
    pub(crate) fn load(folder: &Folder) -> Self {
        let bytes = folder.read(&folder.layout.poll(), MAX_POLL_LEN).ok().flatten();
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    pub(crate) fn store(&self, folder: &Folder) -> Result<(), StorageError> {
        let bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        folder.replace(&folder.layout.poll(), &bytes, Durability::Lossy)
    }

    /// The tag of the stored timestamp metadata, if it is for these bytes at this address.
    pub(crate) fn tag_for(&self, url: &Url, content: &[u8]) -> Option<String> {
        let tag =
            self.tag.as_ref().filter(|tag| tag.url == url.as_str() && tag.content == Digest::of(content))?;
        Some(tag.etag.clone())
    }

    /// Remembers the tag that came with timestamp metadata.
    pub(crate) fn remember_tag(&mut self, etag: Option<String>, url: &Url, content: &[u8]) {
        self.tag = etag.filter(|etag| etag.len() <= MAX_TAG_LEN).map(|etag| Tag {
            etag,
            url: url.as_str().to_owned(),
            content: Digest::of(content),
        });
    }
}
