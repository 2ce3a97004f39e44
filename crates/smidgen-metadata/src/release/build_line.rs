//! A build line: what a client follows, and the short name under which its releases are listed.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use super::{Name, NameError};
use crate::canonical::{Object, Value};
use crate::digest::Sha256;

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

/// The short name of a build line: 80 bits of the SHA-256 of its canonical form, in lower-case base32.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineId(String);

/// A string that is not a [`LineId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found the line id {found:?}, expected 16 of a-z 2-7")]
pub struct LineIdError {
    found: String,
}

/// RFC 4648, lower case: one file system's case must not matter.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const LINE_ID_LEN: usize = 16;

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
        let bits = digest.as_bytes().iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
        let mut id = String::with_capacity(LINE_ID_LEN);
        let mut quintet = 0_u8;
        for (index, bit) in bits.enumerate().take(LINE_ID_LEN.saturating_mul(5)) {
            quintet = quintet << 1 | bit;
            if index % 5 == 4 {
                id.extend(BASE32.get(usize::from(quintet & 31)).map(|byte| char::from(*byte)));
            }
        }
        LineId(id)
    }

    /// The folder of the line's targets, with a slash at its end: `editor/stable/x86_64-linux/<line id>/`.
    pub fn target_prefix(&self) -> String {
        format!("{}/{}/{}/{}/", self.product, self.channel, self.platform, self.id())
    }
}

impl LineId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for LineId {
    type Err = LineIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() == LINE_ID_LEN && text.bytes().all(|byte| BASE32.contains(&byte)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(LineIdError { found: text.chars().take(32).collect() })
        }
    }
}

impl Serialize for LineId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_id_is_the_base32_of_the_digest_of_the_canonical_form() {
        let line = BuildLine::new("editor", "stable", "x86_64-linux", ["tls", "metrics"]).unwrap();
        let canonical = br#"{"channel":"stable","platform":"x86_64-linux","plugins":["metrics","tls"],"product":"editor"}"#;
        // python3: base64.b32encode(hashlib.sha256(canonical).digest()[:10]).decode().lower()
        assert_eq!(Sha256::of(canonical).as_bytes()[..3], [103, 244, 170]);
        assert_eq!(line.id().as_str(), "m72kvo2kpf46i4z3");
        assert_eq!(line.target_prefix(), "editor/stable/x86_64-linux/m72kvo2kpf46i4z3/");
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
        assert_eq!(base.as_str().parse(), Ok(base));
        assert!("ABCDEFGHIJKLMNOP".parse::<LineId>().is_err());
    }
}
