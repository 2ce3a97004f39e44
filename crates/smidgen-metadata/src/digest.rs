//! Digests that metadata carries: SHA-256 for TUF's own fields, BLAKE3 (as bytes only) for builds and blobs.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sha2::Digest as _;

use crate::hex;

/// A string that is not the lower-case hexadecimal form of a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found:?}, expected {expected} hexadecimal digits")]
pub struct DigestError {
    found: String,
    expected: usize,
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// The digest with these bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes of the digest.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                hex::decode(text).map(Self).ok_or_else(|| DigestError {
                    found: text.chars().take(80).collect(),
                    expected: $len * 2,
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

digest! {
    /// SHA-256: what TUF's own `hashes` fields hold, and what names the raw file for foreign TUF clients.
    Sha256, 32
}

digest! {
    /// BLAKE3 of a build. Metadata only carries it: this crate never hashes with BLAKE3.
    Blake3, 32
}

digest! {
    /// The first sixteen bytes of the BLAKE3 of a blob. Nobody finds other bytes with the same ones (2^128 attempts),
    /// and half a digest is what six blobs an entry can afford: what a blob leads to is compared with the whole
    /// [`Blake3`] of the build anyway.
    BlobDigest, 16
}

digest! {
    /// The first four bytes of a build digest: enough to tell the few dozen builds of one line apart. What was found by
    /// it is still compared in full before it counts.
    BuildPrefix, 4
}

impl Sha256 {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }
}

impl Blake3 {
    /// The first four bytes, by which histories and patches name a build.
    pub fn prefix(&self) -> BuildPrefix {
        BuildPrefix(first(&self.0))
    }

    /// The first sixteen bytes, by which blobs are named.
    pub fn to_blob(&self) -> BlobDigest {
        BlobDigest(first(&self.0))
    }
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut first = [0_u8; N];
    for (to, from) in first.iter_mut().zip(bytes) {
        *to = *from;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_lower_case_hexadecimal() {
        let digest = Sha256::of(b"");
        assert_eq!(digest.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(digest.to_string().parse::<Sha256>().unwrap(), digest);
        assert_eq!(Blake3::from_bytes(*digest.as_bytes()).prefix().to_string(), "e3b0c442");
        assert_eq!(
            Blake3::from_bytes(*digest.as_bytes()).to_blob().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb924"
        );
        assert!("e3".parse::<Sha256>().is_err());
    }
}
