//! An Ed25519 secret key in memory.

use std::fmt;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

use super::{SignError, Signer};
use crate::key::{PublicKey, Signature};

/// An Ed25519 secret key. Its bytes are wiped when it is dropped, and it never prints them.
pub struct SecretKey {
    key: SigningKey,
    public: PublicKey,
}

impl SecretKey {
    /// A new key from the randomness of the operating system.
    ///
    /// # Errors
    /// [`SignError::Randomness`] if there is none.
    pub fn generate() -> Result<Self, SignError> {
        let mut seed = Zeroizing::new([0_u8; 32]);
        getrandom::fill(seed.as_mut()).map_err(|error| SignError::Randomness(error.to_string()))?;
        Self::of(SigningKey::from_bytes(&seed))
            .ok_or_else(|| SignError::Randomness("the key is weak".to_owned()))
    }

    /// The key with this seed, for tests and for keys that are derived elsewhere. A seed is as secret as the key.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, SignError> {
        Self::of(SigningKey::from_bytes(seed)).ok_or_else(|| SignError::Pem("the key is weak".to_owned()))
    }

    /// Reads PKCS#8 in PEM, as `openssl genpkey -algorithm ed25519` writes it; with or without the public key in it.
    ///
    /// # Errors
    /// [`SignError::Pem`] if it is anything else.
    pub fn from_pem(pem: &str) -> Result<Self, SignError> {
        let key = SigningKey::from_pkcs8_pem(pem).map_err(|error| SignError::Pem(error.to_string()))?;
        Self::of(key).ok_or_else(|| SignError::Pem("the key is weak".to_owned()))
    }

    /// Writes PKCS#8 (version 1, without the public key: the form that every program reads) in PEM with line feeds.
    ///
    /// # Errors
    /// [`SignError::Pem`] if the encoder fails, which it has no reason to.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, SignError> {
        let bytes = KeypairBytes { secret_key: self.key.to_bytes(), public_key: None };
        bytes.to_pkcs8_pem(LineEnding::LF).map_err(|error| SignError::Pem(error.to_string()))
    }

    fn of(key: SigningKey) -> Option<Self> {
        let public = PublicKey::ed25519(key.verifying_key().as_bytes())?;
        Some(Self { key, public })
    }
}

impl Signer for SecretKey {
    fn public_key(&self) -> PublicKey {
        self.public.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature::from_bytes(self.key.sign(message).to_bytes()))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_comes_back_and_is_what_openssl_writes() {
        // openssl genpkey -algorithm ed25519
        let pem = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                   -----END PRIVATE KEY-----\n";
        // The secret key of the first vector of RFC 8032.
        let key = SecretKey::from_pem(pem).unwrap();
        assert_eq!(*key.to_pem().unwrap(), pem);
        assert_eq!(
            key.public_key().as_bytes().map(|bytes| crate::hex::encode(bytes)).unwrap(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
    }

    #[test]
    fn refuses_what_is_no_key_without_repeating_it() {
        let error = SecretKey::from_pem("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
            .unwrap_err();
        assert!(!error.to_string().contains("secret") && !error.to_string().contains("c2VjcmV0"), "{error}");
    }

    #[test]
    fn never_prints_the_secret() {
        let key = SecretKey::from_seed(&[7; 32]).unwrap();
        assert_eq!(format!("{key:?}"), format!("SecretKey(of {})", key.public_key().id()));
    }

    #[test]
    fn new_keys_differ() {
        assert_ne!(SecretKey::generate().unwrap().public_key(), SecretKey::generate().unwrap().public_key());
    }
}
