//! Public keys, their ids, and the one way in which a signature is checked.

use std::fmt;

use ed25519_dalek::VerifyingKey;
#[cfg(feature = "tuf-compat")]
use p256::ecdsa;
use serde::{Serialize, Serializer};

use crate::canonical::{Members, Object, Value, View};
use crate::digest::Sha256;
use crate::fields::{Fields, Malformed, Place};
use crate::hex;

/// The id of a key: the lower-case SHA-256 of the canonical JSON of its type, scheme and value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    pub(crate) fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The id as it stands in metadata.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// The signature with these bytes (R, then S).
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The bytes of the signature.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A public key of metadata.
///
/// A key of a type that this version does not know is kept, so that signing again loses nothing, but it never verifies
/// anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    keytype: String,
    scheme: String,
    keyval: Object,
    unknown: Object,
    /// Present if this version can check signatures of the key.
    usable: Option<Usable>,
}

/// A key whose signatures can be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Usable {
    /// The bytes as they stand there. Whether they are a point, and no weak one, is asked when a signature is checked:
    /// finding the point costs a twelfth of a verification, and not every key of a root checks one.
    Ed25519([u8; 32]),
    #[cfg(feature = "tuf-compat")]
    EcdsaP256(ecdsa::VerifyingKey),
}

const ED25519: &str = "ed25519";
/// What the canonical form of an Ed25519 key takes.
const ID_FORM_LEN: usize = 160;

impl PublicKey {
    /// The Ed25519 key with these bytes; `None` if they are not a point of the curve, or one of the few weak points for
    /// which anybody can make signatures.
    pub fn ed25519(bytes: &[u8; 32]) -> Option<Self> {
        strong(bytes)?;
        Some(Self {
            keytype: ED25519.to_owned(),
            scheme: ED25519.to_owned(),
            keyval: Object::from([("public".to_owned(), Value::String(hex::encode(bytes)))]),
            unknown: Object::new(),
            usable: Some(Usable::Ed25519(*bytes)),
        })
    }

    /// The key's id, computed from its content.
    pub fn id(&self) -> KeyId {
        let identity = Members::from_sorted([
            ("keytype", View::text(&self.keytype)),
            ("keyval", View::Object(Members::of(&self.keyval))),
            ("scheme", View::text(&self.scheme)),
        ]);
        KeyId(Sha256::of(&identity.to_canonical(ID_FORM_LEN)).to_string())
    }

    /// The scheme of its signatures, for people.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// The 32 bytes of an Ed25519 key; `None` for any other one, and for a weak one.
    pub fn as_bytes(&self) -> Option<&[u8; 32]> {
        match &self.usable {
            Some(Usable::Ed25519(bytes)) => strong(bytes).map(|_| bytes),
            _ => None,
        }
    }

    /// What keys are told apart by, whatever their ids; `None` if the key is of a type that this version does not know.
    pub(crate) fn identity(&self) -> Option<Vec<u8>> {
        match self.usable.as_ref()? {
            Usable::Ed25519(bytes) => Some(bytes.to_vec()),
            // A point of 33 bytes, never as long as an Ed25519 key.
            #[cfg(feature = "tuf-compat")]
            Usable::EcdsaP256(key) => Some(key.to_sec1_point(true).as_bytes().to_vec()),
        }
    }

    /// Whether `signature` (as it stands in the envelope) is this key's over `message`. Strict: no signature of one
    /// message can be changed into another valid one, and weak keys verify nothing.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        match &self.usable {
            Some(Usable::Ed25519(key)) => hex::decode::<64>(signature).is_some_and(|signature| {
                // That the key is not weak is a part of the strict verification.
                let signature = ed25519_dalek::Signature::from_bytes(&signature);
                VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
            }),
            #[cfg(feature = "tuf-compat")]
            Some(Usable::EcdsaP256(key)) => verifies_ecdsa(key, message, signature),
            None => false,
        }
    }

    pub(crate) fn read(value: View<'_>, place: Place<'_>) -> Result<Self, Malformed> {
        let mut fields = Fields::of(value, place)?;
        let keytype = fields.string("keytype")?;
        let scheme = fields.string("scheme")?;
        let keyval = fields.members("keyval")?.into_object();
        let usable = match keyval.get("public") {
            Some(Value::String(public)) => usable(&keytype, &scheme, public),
            _ => None,
        };
        Ok(Self { keytype, scheme, keyval, unknown: fields.rest(), usable })
    }

    pub(crate) fn write(&self) -> Value {
        let mut members = self.unknown.clone();
        members.insert("keytype".to_owned(), Value::String(self.keytype.clone()));
        members.insert("scheme".to_owned(), Value::String(self.scheme.clone()));
        members.insert("keyval".to_owned(), Value::Object(self.keyval.clone()));
        Value::Object(members)
    }
}

fn usable(keytype: &str, scheme: &str, public: &str) -> Option<Usable> {
    match (keytype, scheme) {
        (ED25519, ED25519) => hex::decode(public).map(Usable::Ed25519),
        // The scheme's name stood for the type of the key as well in older metadata.
        #[cfg(feature = "tuf-compat")]
        ("ecdsa" | ECDSA_P256, ECDSA_P256) => {
            use p256::pkcs8::DecodePublicKey as _;
            ecdsa::VerifyingKey::from_public_key_pem(public).ok().map(Usable::EcdsaP256)
        }
        _ => None,
    }
}

fn strong(bytes: &[u8; 32]) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak())
}

#[cfg(feature = "tuf-compat")]
const ECDSA_P256: &str = "ecdsa-sha2-nistp256";

/// The signature is DER in hexadecimal. Both of the two values that fit one message are taken, as other clients do: what
/// counts is the key, which counts once.
#[cfg(feature = "tuf-compat")]
fn verifies_ecdsa(key: &ecdsa::VerifyingKey, message: &[u8], signature: &str) -> bool {
    use p256::ecdsa::signature::Verifier as _;
    let bytes = hex::decode_all(signature).and_then(|bytes| ecdsa::Signature::from_der(&bytes).ok());
    bytes.is_some_and(|signature| key.verify(message, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_id_is_the_digest_of_the_canonical_key() {
        let bytes = hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap();
        let key = PublicKey::ed25519(&bytes).unwrap();
        let canonical = br#"{"keytype":"ed25519","keyval":{"public":"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},"scheme":"ed25519"}"#;
        assert_eq!(key.write().to_canonical(), canonical);
        assert_eq!(key.id().as_str(), Sha256::of(canonical).to_string());
    }

    #[test]
    fn verifies_the_first_vector_of_rfc_8032() {
        let bytes = hex::decode("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap();
        let key = PublicKey::ed25519(&bytes).unwrap();
        let signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
                         d25bf5f0595bbe24655141438e7a100b";
        assert!(key.verifies(b"", signature));
        assert!(!key.verifies(b"x", signature));
        assert!(!key.verifies(b"", ""));
        assert!(!key.verifies(b"", &signature[..126]));
    }

    #[test]
    fn rejects_weak_keys() {
        // The neutral element and another point of small order.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(PublicKey::ed25519(&neutral), None);
        assert_eq!(PublicKey::ed25519(&[0; 32]), None);
    }

    #[cfg(feature = "tuf-compat")]
    #[test]
    fn verifies_the_p_256_vector_of_rfc_6979_with_either_s() {
        let pem = "-----BEGIN PUBLIC KEY-----\n\
                   MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7\n\
                   Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n\
                   -----END PUBLIC KEY-----\n";
        let read = |keytype: &str, scheme: &str, pem: &str| {
            let keyval = Object::from([("public".to_owned(), pem.into())]);
            let members = Object::from([
                ("keytype".to_owned(), keytype.into()),
                ("scheme".to_owned(), scheme.into()),
                ("keyval".to_owned(), Value::Object(keyval)),
            ]);
            PublicKey::read(View::of(&Value::Object(members)), Place::Top("key")).unwrap()
        };
        let high = "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d657c41d436\
                    c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
        let low = "3045022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf371602200834e36ad29a83bf2bc938\
                   5e491d6099c8fdf9d1ed67aa7ea5f51f93782857a9";
        for keytype in ["ecdsa", ECDSA_P256] {
            let key = read(keytype, ECDSA_P256, pem);
            assert!(key.verifies(b"sample", high) && key.verifies(b"sample", low));
            assert!(!key.verifies(b"simple", high));
            for broken in ["", "00", &high[2..], &format!("{high}00"), &"g".repeat(142)] {
                assert!(!key.verifies(b"sample", broken), "{broken}");
            }
        }
        // One key, whatever it is called.
        let identity = |keytype| read(keytype, ECDSA_P256, pem).identity().unwrap();
        assert_eq!(identity("ecdsa"), identity(ECDSA_P256));
        for other in [
            read("rsa", ECDSA_P256, pem),
            read("ecdsa", "ecdsa-sha2-nistp384", pem),
            read("ecdsa", ECDSA_P256, "pem"),
        ] {
            assert!(other.identity().is_none() && !other.verifies(b"sample", high));
        }
    }
}
