//! A build line: what a client follows, and the short name under which its releases are listed.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use super::{Name, NameError};
use crate::canonical::{Object, Value};
use crate::digest::Sha256;
use crate::hex;

/// Product, channel, platform and set of plugins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BuildLine {
    /// What is shipped: `editor`.
    pub product: Name,
    /// A named sequence of releases: `stable`.
    pub channel: Name,
    /// Architecture and system: `x86_64-linux`.
    pub platform: Name,
    /// The plugins that are built in, without versions.
    pub plugins: BTreeSet<Name>,
}

/// The short name of a build line: the first 64 bits of the SHA-256 of its canonical form, in hexadecimal. Its leading
/// bits choose the [shard](crate::Shards).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId([u8; LINE_ID_BYTES]);

/// A string that is not a [`LineId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found the line id {found:?}, expected 16 hexadecimal digits")]
pub struct LineIdError {
    found: String,
}

const LINE_ID_BYTES: usize = 8;

impl BuildLine {
    /// Reads all parts.
    ///
    /// # Errors
    /// [`NameError`] names the first part that is not a name.
    pub fn new<'a>(
        product: &str,
        channel: &str,
        platform: &str,
        plugins: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, NameError> {
        Ok(Self {
            product: product.parse()?,
            channel: channel.parse()?,
            platform: platform.parse()?,
            plugins: plugins.into_iter().map(str::parse).collect::<Result<_, _>>()?,
        })
    }

    /// The line's short name. It depends on nothing but the four parts; the order in which plugins were given does not
    /// matter.
    pub fn id(&self) -> LineId {
        let plugins = self.plugins.iter().map(|name| Value::from(name.as_str())).collect();
        let form = Object::from([
            ("channel".to_owned(), self.channel.as_str().into()),
            ("platform".to_owned(), self.platform.as_str().into()),
            ("plugins".to_owned(), Value::Array(plugins)),
            ("product".to_owned(), self.product.as_str().into()),
        ]);
        let digest = Sha256::of(&Value::Object(form).to_canonical());
        let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
        LineId([a, b, c, d, e, f, g, h])
    }

    /// The folder of the line's targets, with a slash at its end: `editor/stable/x86_64-linux/<line id>/`.
    pub fn target_prefix(&self) -> String {
        format!("{}/{}/{}/{}/", self.product, self.channel, self.platform, self.id())
    }
}

impl LineId {
    /// All 64 bits, the first one the most significant.
    pub fn to_bits(self) -> u64 {
        u64::from_be_bytes(self.0)
    }
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex::encode(&self.0))
    }
}

impl FromStr for LineId {
    type Err = LineIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // One spelling only: the id is a part of paths.
        let id = hex::decode(text).map(Self).filter(|id| id.to_string() == text);
        id.ok_or_else(|| LineIdError { found: text.chars().take(32).collect() })
    }
}

impl Serialize for LineId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_id_is_the_beginning_of_the_digest_of_the_canonical_form() {
        let line = BuildLine::new("editor", "stable", "x86_64-linux", ["tls", "metrics"]).unwrap();
        let canonical = br#"{"channel":"stable","platform":"x86_64-linux","plugins":["metrics","tls"],"product":"editor"}"#;
        // python3: hashlib.sha256(canonical).hexdigest()[:16]
        assert_eq!(Sha256::of(canonical).as_bytes()[..3], [103, 244, 170]);
        assert_eq!(line.id().to_string(), "67f4aabb4a7979e4");
        assert_eq!(line.id().to_bits() >> 60, 6);
        assert_eq!(line.target_prefix(), "editor/stable/x86_64-linux/67f4aabb4a7979e4/");
    }

    #[test]
    fn every_part_changes_the_id_and_the_order_of_plugins_does_not() {
        let id = |product, channel, platform, plugins: &[&str]| {
            BuildLine::new(product, channel, platform, plugins.iter().copied()).unwrap().id()
        };
        let base = id("a", "b", "c", &["d", "e"]);
        assert_eq!(base, id("a", "b", "c", &["e", "d", "d"]));
        for other in
            [id("b", "b", "c", &["d", "e"]), id("a", "c", "c", &["d", "e"]), id("a", "b", "d", &["d", "e"])]
        {
            assert_ne!(base, other);
        }
        assert_ne!(base, id("a", "b", "c", &["d"]));
        assert_ne!(base, id("a", "b", "c", &["de"]));
        assert_eq!(base.to_string().parse(), Ok(base));
        assert!("ABCDEF0123456789".parse::<LineId>().is_err());
    }
}
