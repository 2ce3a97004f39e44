//! An Ed25519 secret key in memory.

use std::fmt;

use ed25519_dalek::pkcs8::KeypairBytes;
use ed25519_dalek::{Signer as _, SigningKey};
use pkcs8::der::pem::{LineEnding, PemLabel as _};
use pkcs8::pkcs5::{EncryptionScheme, pbes2, scrypt};
use pkcs8::{
    DecodePrivateKey as _, EncodePrivateKey as _, EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef,
    SecretDocument,
};
use zeroize::Zeroizing;

use super::{SignError, Signer};
use crate::key::{PublicKey, Signature};

/// What stretches a passphrase: scrypt with N = 2^14, r = 8, p = 5. As much work as OWASP asks for, in the 16 MiB that
/// OpenSSL 3 is willing to spend: its own limit of 32 MiB would refuse a higher N.
const STRETCHING: (u8, u32, u32) = (14, 8, 5);

/// What reading a key file may cost, whatever it asks for: 1 GiB.
const MAX_STRETCHING_MEMORY: u64 = 1 << 30;

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
        self.keypair().to_pkcs8_pem(LineEnding::LF).map_err(|error| SignError::Pem(error.to_string()))
    }

    /// Whether a file is an encrypted key, judged by its label alone.
    pub fn is_encrypted(pem: &str) -> bool {
        pem.contains(concat!("-----BEGIN ", "ENCRYPTED PRIVATE KEY-----"))
    }

    /// Reads encrypted PKCS#8 (PBES2) in PEM, as [`to_encrypted_pem`](Self::to_encrypted_pem) and OpenSSL write it.
    ///
    /// # Errors
    /// [`SignError::Passphrase`] if the passphrase does not open it, [`SignError::Pem`] if it is anything else.
    pub fn from_encrypted_pem(pem: &str, passphrase: &[u8]) -> Result<Self, SignError> {
        let malformed = |error: &dyn fmt::Display| SignError::Pem(error.to_string());
        let (label, document) = SecretDocument::from_pem(pem).map_err(|error| malformed(&error))?;
        EncryptedPrivateKeyInfoRef::validate_pem_label(label).map_err(|error| malformed(&error))?;
        let encrypted: EncryptedPrivateKeyInfoRef<'_> =
            document.as_bytes().try_into().map_err(|error: pkcs8::Error| malformed(&error))?;
        refuse_greedy(&encrypted.encryption_algorithm)?;
        // A wrong passphrase shows as bad padding, or once in 256 times as something that is no key.
        let opened = encrypted.decrypt(passphrase).map_err(|_| SignError::Passphrase)?;
        let key = SigningKey::from_pkcs8_der(opened.as_bytes()).map_err(|_| SignError::Passphrase)?;
        Self::of(key).ok_or_else(|| SignError::Pem("the key is weak".to_owned()))
    }

    /// Writes PKCS#8 encrypted with AES-256-CBC under a passphrase that scrypt stretches (PBES2, RFC 8018 and RFC 7914),
    /// in PEM: what `openssl pkey -in FILE` asks a passphrase for.
    ///
    /// # Errors
    /// [`SignError::Randomness`] if there is none for the salt.
    pub fn to_encrypted_pem(&self, passphrase: &[u8]) -> Result<Zeroizing<String>, SignError> {
        let malformed = |error: &dyn fmt::Display| SignError::Pem(error.to_string());
        let mut salt = [0_u8; 16];
        let mut vector = [0_u8; 16];
        for bytes in [&mut salt, &mut vector] {
            getrandom::fill(bytes).map_err(|error| SignError::Randomness(error.to_string()))?;
        }
        let (log_n, r, p) = STRETCHING;
        let stretching = scrypt::Params::new(log_n, r, p).map_err(|error| malformed(&error))?;
        let scheme = pbes2::Parameters::generate_scrypt_aes256cbc(stretching, &salt, vector)
            .map_err(|error| malformed(&error))?;
        let plain = self.keypair().to_pkcs8_der().map_err(|error| malformed(&error))?;
        let plain: PrivateKeyInfoRef<'_> =
            plain.as_bytes().try_into().map_err(|error: pkcs8::Error| malformed(&error))?;
        let encrypted = plain.encrypt_with_params(scheme, passphrase).map_err(|error| malformed(&error))?;
        encrypted
            .to_pem(EncryptedPrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)
            .map_err(|error| malformed(&error))
    }

    fn keypair(&self) -> KeypairBytes {
        KeypairBytes { secret_key: self.key.to_bytes(), public_key: None }
    }

    fn of(key: SigningKey) -> Option<Self> {
        let public = PublicKey::ed25519(key.verifying_key().as_bytes())?;
        Some(Self { key, public })
    }
}

/// A key file is the owner's own, but a damaged or planted one must not take all memory.
fn refuse_greedy(scheme: &EncryptionScheme) -> Result<(), SignError> {
    let EncryptionScheme::Pbes2(scheme) = scheme else { return Ok(()) };
    let Some(stretching) = scheme.kdf.scrypt() else { return Ok(()) };
    let block = 128_u64.saturating_mul(stretching.block_size.into());
    let memory = stretching.cost_parameter.saturating_mul(block);
    if memory > MAX_STRETCHING_MEMORY {
        return Err(SignError::Pem(format!(
            "its scrypt parameters ask for {memory} bytes of memory, at most {MAX_STRETCHING_MEMORY} are given"
        )));
    }
    Ok(())
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
    fn an_encrypted_key_opens_with_its_passphrase_only() {
        let key = SecretKey::from_seed(&[7; 32]).unwrap();
        let pem = key.to_encrypted_pem("correct horse".as_bytes()).unwrap();
        assert!(SecretKey::is_encrypted(&pem) && !SecretKey::is_encrypted(&key.to_pem().unwrap()));
        let opened = SecretKey::from_encrypted_pem(&pem, b"correct horse").unwrap();
        assert_eq!(opened.public_key(), key.public_key());
        for wrong in ["", "correct horse ", "Correct horse"] {
            let error = SecretKey::from_encrypted_pem(&pem, wrong.as_bytes()).unwrap_err();
            assert_eq!(error, SignError::Passphrase, "{wrong:?}");
        }
        assert_eq!(SecretKey::from_pem(&pem).unwrap_err().code(), "bad_key_file");
        assert_ne!(*pem, *key.to_encrypted_pem(b"correct horse").unwrap(), "each time another salt");
    }

    #[test]
    fn refuses_a_key_file_that_asks_for_endless_memory() {
        let asking = |log_n| {
            let stretching = scrypt::Params::new(log_n, 8, 1).unwrap();
            pbes2::Parameters::generate_scrypt_aes256cbc(stretching, &[1; 16], [2; 16]).unwrap().into()
        };
        refuse_greedy(&asking(20)).unwrap();
        let error = refuse_greedy(&asking(21)).unwrap_err();
        assert!(error.to_string().contains("2147483648 bytes"), "{error}");
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
