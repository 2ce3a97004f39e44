//! Where the passphrase of an encrypted key comes from.

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use super::KeyName;

/// Gives the passphrases of encrypted keys. Never from the command line, where every user of the machine can read it.
pub trait Passphrases: fmt::Debug + Send + Sync {
    /// The passphrase of the key in the file `path`.
    ///
    /// # Errors
    /// Why there is none and how to give one, as the end of a sentence.
    fn passphrase(&self, name: &KeyName, path: &Path) -> Result<Zeroizing<String>, String>;
}

/// For keys that are not encrypted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nobody;

impl Passphrases for Nobody {
    fn passphrase(&self, _: &KeyName, _: &Path) -> Result<Zeroizing<String>, String> {
        Err("nobody is here to give its passphrase: use the command line, or a key that is not encrypted"
            .into())
    }
}

/// One passphrase for all keys: from a file, from the environment, from a caller.
#[derive(Clone)]
pub struct Passphrase(pub Zeroizing<String>);

impl Passphrases for Passphrase {
    fn passphrase(&self, _: &KeyName, _: &Path) -> Result<Zeroizing<String>, String> {
        Ok(self.0.clone())
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}
