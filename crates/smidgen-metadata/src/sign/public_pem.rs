//! Public keys as files, to carry them from the machine of a key to the machine of a root.

use ed25519_dalek::VerifyingKey;
use pkcs8::der::pem::LineEnding;
use pkcs8::{DecodePublicKey as _, EncodePublicKey as _};

use super::SignError;
use crate::key::PublicKey;

/// Writes a public key as SubjectPublicKeyInfo in PEM, as `openssl pkey -pubout` does; `None` for a key of a type that
/// this version cannot use.
pub fn public_key_to_pem(key: &PublicKey) -> Option<String> {
    let key = VerifyingKey::from_bytes(key.as_bytes()?).ok()?;
    key.to_public_key_pem(LineEnding::LF).ok()
}

/// Reads what [`public_key_to_pem`] and `openssl pkey -pubout` write.
///
/// # Errors
/// [`SignError::PublicPem`] if it is anything else, or one of the few weak keys.
pub fn public_key_from_pem(pem: &str) -> Result<PublicKey, SignError> {
    let key = VerifyingKey::from_public_key_pem(pem);
    let key = key.map_err(|error| SignError::PublicPem(error.to_string()))?;
    PublicKey::ed25519(key.as_bytes()).ok_or_else(|| SignError::PublicPem("the key is weak".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::SecretKey;

    #[test]
    fn pem_comes_back_and_is_what_openssl_writes() {
        // openssl pkey -pubout, of the first key of RFC 8032.
        let pem = "-----BEGIN PUBLIC KEY-----\n\
                   MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
                   -----END PUBLIC KEY-----\n";
        let key = public_key_from_pem(pem).unwrap();
        assert_eq!(public_key_to_pem(&key).as_deref(), Some(pem));
        let secret = SecretKey::from_seed(&[7; 32]).unwrap();
        assert_eq!(public_key_from_pem(&secret.to_pem().unwrap()).unwrap_err().code(), "bad_public_key_file");
    }
}
