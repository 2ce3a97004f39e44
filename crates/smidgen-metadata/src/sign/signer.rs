//! Who can sign, and the envelope that comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::canonical::{Object, Value};
use crate::envelope::RawMetadata;
use crate::key::{KeyId, PublicKey, Signature};
use crate::role::Role;

/// Something that signs with one key: a key in memory, a hardware token, a service, another program.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The key.
    fn public_key(&self) -> PublicKey;

    /// Signs the canonical bytes of a role with plain Ed25519 (RFC 8032, no prehashing, no context).
    ///
    /// # Errors
    /// [`SignError::Refused`] with the reason of a token or service.
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError>;
}

/// Why something was not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// Nobody to sign.
    #[error("found no key to sign with, expected at least one; nobody would trust the file")]
    NoSigner,
    /// One key twice, which counts once.
    #[error("the key {id} was given twice, but counts once towards a threshold; give another key")]
    SameKeyTwice {
        /// The key.
        id: KeyId,
    },
    /// The signer would not sign.
    #[error("the signer of key {id} refused: {reason}")]
    Refused {
        /// The key.
        id: KeyId,
        /// What the signer said.
        reason: String,
    },
    /// The signature does not fit the key.
    #[error(
        "the signer of key {id} made a signature that does not verify; check that it uses plain Ed25519 and this key"
    )]
    WrongSignature {
        /// The key.
        id: KeyId,
    },
    /// The operating system gave no randomness for a new key.
    #[error("the operating system gave no randomness for a new key: {0}")]
    Randomness(String),
    /// A file that is no key.
    #[error(
        "found no Ed25519 key in PKCS#8 PEM form ({0}); expected a file that starts with -----BEGIN PRIVATE KEY-----"
    )]
    Pem(String),
    /// A file that is no public key.
    #[error(
        "found no Ed25519 public key in PEM form ({0}); expected a file that starts with -----BEGIN PUBLIC KEY-----"
    )]
    PublicPem(String),
    /// A passphrase that does not open an encrypted key.
    #[error("the passphrase does not open the key: try another one, or restore the file from a copy")]
    Passphrase,
}

impl SignError {
    /// A short name that never changes its meaning; the table is in `docs/metadata.md`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoSigner => "no_signer",
            Self::SameKeyTwice { .. } => "same_key_twice",
            Self::Refused { .. } => "signer_refused",
            Self::WrongSignature { .. } => "wrong_signature",
            Self::Randomness(..) => "no_randomness",
            Self::Pem(..) => "bad_key_file",
            Self::PublicPem(..) => "bad_public_key_file",
            Self::Passphrase => "wrong_passphrase",
        }
    }
}

/// Signs a role with all signers: the bytes of the file to store.
///
/// The form is compact JSON with sorted keys, signatures sorted by key id: the smallest that is stable, so that the same
/// role and keys give the same bytes on any machine.
///
/// # Errors
/// [`SignError`] without any signature being given away.
pub fn sign_role<R: Role>(role: &R, signers: &[&dyn Signer]) -> Result<Vec<u8>, SignError> {
    seal(BTreeMap::new(), role.to_signed(), signers)
}

/// Adds signatures to a file that carries some already, for instance a root that several people sign one after another.
/// Signatures of the same keys are replaced.
///
/// # Errors
/// [`SignError`] as for [`sign_role`].
pub fn countersign(raw: &RawMetadata<'_>, signers: &[&dyn Signer]) -> Result<Vec<u8>, SignError> {
    seal(raw.signatures().clone(), Value::Object(raw.signed().clone().into_object()), signers)
}

/// The keys among `keys` whose signatures on a file hold: to show how far a file is that several people sign one after
/// another. Whether it can be trusted is decided by [`TrustedSet`](crate::TrustedSet).
pub fn valid_signers<'a>(
    raw: &RawMetadata<'_>,
    keys: impl IntoIterator<Item = (&'a KeyId, &'a PublicKey)>,
) -> BTreeSet<KeyId> {
    let holds = |(id, key): &(&KeyId, &PublicKey)| {
        raw.signatures().get(*id).is_some_and(|signature| key.verifies(raw.message(), signature))
    };
    keys.into_iter().filter(holds).map(|(id, _)| id.clone()).collect()
}

/// A file that nobody has signed yet, to be carried to those who do.
pub fn unsigned<R: Role>(role: &R) -> Vec<u8> {
    envelope(BTreeMap::new(), role.to_signed())
}

fn seal(
    mut signatures: BTreeMap<KeyId, String>,
    signed: Value,
    signers: &[&dyn Signer],
) -> Result<Vec<u8>, SignError> {
    let message = signed.to_canonical();
    let mut added = BTreeMap::new();
    for signer in signers {
        let key = signer.public_key();
        let signature = signer.sign(&message)?.to_string();
        // A token that prehashes, or that holds another key, is found out here and not by every client.
        if !key.verifies(&message, &signature) {
            return Err(SignError::WrongSignature { id: key.id() });
        }
        if added.insert(key.id(), signature).is_some() {
            return Err(SignError::SameKeyTwice { id: key.id() });
        }
    }
    if added.is_empty() {
        return Err(SignError::NoSigner);
    }
    signatures.append(&mut added);
    Ok(envelope(signatures, signed))
}

fn envelope(signatures: BTreeMap<KeyId, String>, signed: Value) -> Vec<u8> {
    let signatures = signatures.into_iter().map(|(id, signature)| {
        Value::Object(Object::from([
            ("keyid".to_owned(), id.as_str().into()),
            ("sig".to_owned(), signature.into()),
        ]))
    });
    let envelope = Object::from([
        ("signatures".to_owned(), Value::Array(signatures.collect())),
        ("signed".to_owned(), signed),
    ]);
    Value::Object(envelope).to_json()
}
