//! The folder of secret keys, which is never inside the repository.
//!
//! | file | signs | belongs |
//! |---|---|---|
//! | `root-1` `root-2` `root-3` | root, any two of the three | offline, in different places |
//! | `targets` | which products there are, and who signs their releases | offline |
//! | `release` | which releases there are | with the release pipeline |
//! | `snapshot` | which metadata belongs together | with the release pipeline |
//! | `timestamp` | that this is still the newest state | wherever it is signed again every few hours |
//!
//! Each name stands for up to three files:
//!
//! | file | what |
//! |---|---|
//! | `NAME.pem` | an Ed25519 key as PKCS#8 PEM, plain or encrypted, readable by its owner only |
//! | `NAME.exec` | instead of it: the program that signs, for a token or a service ([`external`]) |
//! | `NAME.pub` | the public key, by which keys are told apart without opening any |
//!
//! Names are for people. Which key signs what is said by the repository's root, so a key is found by its public half,
//! and a rotated key may have any name. A key is opened when it is needed: a machine needs only the files for what it does.

mod entry;
mod error;
pub mod external;
mod file;
mod name;
mod passphrase;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smidgen_metadata::PublicKey;
use smidgen_metadata::sign::{SecretKey, SignError, Signer, public_key_to_pem};
use zeroize::Zeroizing;

pub use entry::{KeyEntry, KeyForm, read_public};
pub use error::KeysError;
pub use name::{KeyName, KeyNameError};
pub use passphrase::{Passphrase, Passphrases};

use crate::store::Store;
use entry::{PUBLIC, SECRET};
use external::ExternalSigner;
use file::{Private, Readers, fail};

/// How many of the root keys must sign.
pub const ROOT_THRESHOLD: u64 = 2;

/// The folder, below that of the keys, of those that nobody trusts any more.
pub const RETIRED: &str = "retired";

/// How a new secret is kept.
#[derive(Clone)]
pub enum Protection {
    /// As it is: whoever reads the file has the key.
    None,
    /// Encrypted under a passphrase.
    Passphrase(Zeroizing<String>),
}

/// A folder of keys outside the repository. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keys {
    folder: PathBuf,
    /// The repository's folder, when it is one: no key may be in it, by whatever name.
    repository: Option<PathBuf>,
    passphrases: Arc<dyn Passphrases>,
}

impl Keys {
    /// Makes the keys of a new repository that are missing in `folder` (and the folder), for the repository in `store`. None
    /// is ever overwritten, so that a crashed call can be repeated.
    pub fn create(folder: &Path, store: &Store) -> Result<Self, KeysError> {
        Self::create_protected(folder, store, &Protection::None)
    }

    /// As [`create`](Self::create); the keys that it makes are kept as `protection` says.
    pub fn create_protected(
        folder: &Path,
        store: &Store,
        protection: &Protection,
    ) -> Result<Self, KeysError> {
        let keys = Self::make_folder(folder, Some(store))?;
        for name in KeyName::of_new_repository() {
            keys.ensure(&name, protection)?;
        }
        Ok(keys)
    }

    /// Makes `folder` where it is missing, without any key; `store` is the repository that it may not be in.
    pub fn make_folder(folder: &Path, store: Option<&Store>) -> Result<Self, KeysError> {
        let keys = Self::of(file::absolute(folder)?, store);
        keys.refuse_inside(&keys.folder)?;
        file::make_private_folder(&keys.folder)
            .map_err(|source| fail("make the folder", &keys.folder, source))?;
        // A symbolic link on the way may have led into the repository after all.
        keys.refuse_inside(&file::absolute(&keys.folder)?)?;
        Ok(keys)
    }

    /// Opens `folder`, for the repository in `store`.
    pub fn open(folder: &Path, store: &Store) -> Result<Self, KeysError> {
        Self::open_for(folder, Some(store))
    }

    /// Opens `folder` on a machine without the repository.
    pub fn open_offline(folder: &Path) -> Result<Self, KeysError> {
        Self::open_for(folder, None)
    }

    fn open_for(folder: &Path, store: Option<&Store>) -> Result<Self, KeysError> {
        let canonical = folder.canonicalize().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeysError::Missing { path: folder.display().to_string() },
            _ => fail("open the folder", folder, source),
        })?;
        let keys = Self::of(canonical, store);
        keys.refuse_inside(&keys.folder)?;
        Ok(keys)
    }

    fn of(folder: PathBuf, store: Option<&Store>) -> Self {
        let repository = store.and_then(Store::as_folder).map(Path::to_owned);
        Self { folder, repository, passphrases: Arc::new(passphrase::Nobody) }
    }

    /// With somebody who knows the passphrases of encrypted keys.
    #[must_use]
    pub fn with_passphrases(self, passphrases: Arc<dyn Passphrases>) -> Self {
        Self { passphrases, ..self }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the secret of a key is, or would be.
    pub fn path(&self, name: &KeyName) -> PathBuf {
        self.folder.join(format!("{name}.{SECRET}"))
    }

    /// All keys of the folder, sorted by name. No encrypted key is opened.
    pub fn list(&self) -> Result<Vec<KeyEntry>, KeysError> {
        entry::list(&self.folder)
    }

    /// Makes a new key.
    ///
    /// # Errors
    /// [`KeysError::Exists`] if the name is taken: a key is never overwritten.
    pub fn generate(&self, name: &KeyName, protection: &Protection) -> Result<PublicKey, KeysError> {
        if let Some(taken) = self.list()?.into_iter().find(|entry| entry.name == *name) {
            return Err(KeysError::Exists { path: taken.path.display().to_string() });
        }
        self.ensure(name, protection)
    }

    /// Makes a key unless it is there.
    pub fn ensure(&self, name: &KeyName, protection: &Protection) -> Result<PublicKey, KeysError> {
        let path = self.path(name);
        let failed = |source| fail("make the key", &path, source);
        if !path.exists() && !path.with_extension(entry::EXTERNAL).exists() {
            let made = (|| {
                let key = SecretKey::generate()?;
                match protection {
                    Protection::None => key.to_pem(),
                    Protection::Passphrase(passphrase) => key.to_encrypted_pem(passphrase.as_bytes()),
                }
            })();
            let pem = made.map_err(|error: SignError| failed(io::Error::other(error)))?;
            file::write_new(&path, &pem, Readers::Owner).map_err(failed)?;
        }
        // The secret comes first: a crash in between leaves a key without its public file, and that can be made from it.
        let public = path.with_extension(PUBLIC);
        if !public.exists() {
            let key = match protection {
                Protection::None => self.open_secret(name, &path)?,
                Protection::Passphrase(given) => {
                    let known = self.clone().with_passphrases(Arc::new(Passphrase(given.clone())));
                    known.open_secret(name, &path)?
                }
            };
            let pem = public_key_to_pem(&key.public_key()).unwrap_or_default();
            file::write_new(&public, &pem, Readers::Everybody)
                .map_err(|source| fail("write the public key", &public, source))?;
        }
        read_public(&public)
    }

    /// The signer with one key, by name.
    pub fn signer(&self, name: &KeyName) -> Result<Box<dyn Signer>, KeysError> {
        match self.list()?.into_iter().find(|entry| entry.name == *name) {
            Some(entry) if entry.can_sign() => self.open_entry(entry),
            _ => Err(KeysError::Missing { path: self.path(name).display().to_string() }),
        }
    }

    /// As many signers as `role` needs, among the keys that `listed` allows. Fails when others can read one of them, or when
    /// it really lies in the repository.
    pub fn signers<'a>(
        &self,
        role: &str,
        listed: impl IntoIterator<Item = &'a PublicKey>,
        threshold: u64,
    ) -> Result<Vec<Box<dyn Signer>>, KeysError> {
        let listed: Vec<&PublicKey> = listed.into_iter().collect();
        let mut signers: Vec<Box<dyn Signer>> = Vec::new();
        let mut misfit = None;
        for entry in self.list()? {
            if signers.len() as u64 >= threshold {
                break;
            }
            if !entry.can_sign() {
                continue;
            }
            let suggested = entry.name.suggests(role);
            let Ok(public) = &entry.public else {
                misfit = entry.public.err().filter(|_| suggested).or(misfit);
                continue;
            };
            if listed.iter().any(|other| same(other, public)) {
                let twice = signers.iter().any(|signer| same(&signer.public_key(), public));
                if !twice {
                    signers.push(self.open_entry(entry)?);
                }
            } else if suggested {
                let path = entry.path.display().to_string();
                misfit.get_or_insert(KeysError::WrongKey { role: role.to_owned(), path });
            }
        }
        if signers.len() as u64 >= threshold {
            return Ok(signers);
        }
        Err(misfit.unwrap_or_else(|| match signers.len() {
            0 if threshold == 1 => {
                let path = self.folder.join(format!("{role}.{SECRET}"));
                KeysError::Missing { path: path.display().to_string() }
            }
            found => KeysError::TooFew {
                role: role.to_owned(),
                folder: self.folder.display().to_string(),
                found,
                threshold,
            },
        }))
    }

    /// A signer for each key of the folder that `listed` allows.
    pub fn all_signers<'a>(
        &self,
        listed: impl IntoIterator<Item = &'a PublicKey>,
    ) -> Result<Vec<Box<dyn Signer>>, KeysError> {
        let listed: Vec<&PublicKey> = listed.into_iter().collect();
        let mut signers: Vec<Box<dyn Signer>> = Vec::new();
        for entry in self.list()?.into_iter().filter(KeyEntry::can_sign) {
            let Ok(public) = &entry.public else { continue };
            let twice = signers.iter().any(|signer| same(&signer.public_key(), public));
            if !twice && listed.iter().any(|listed| same(listed, public)) {
                signers.push(self.open_entry(entry)?);
            }
        }
        Ok(signers)
    }

    /// A name for another key of a role that no file has: `timestamp-2`, if `timestamp` is the first.
    pub fn free_name(&self, role: &str) -> Result<KeyName, KeysError> {
        let mut taken: Vec<String> = Vec::new();
        for folder in [&self.folder, &self.folder.join(RETIRED)] {
            let Ok(files) = std::fs::read_dir(folder) else { continue };
            taken.extend(files.flatten().map(|file| file.file_name().to_string_lossy().into_owned()));
        }
        let mut number: u64 = 2;
        loop {
            let name: KeyName = format!("{role}-{number}").parse()?;
            // In `retired/` a key's id follows upon its name.
            let begins = |file: &String| {
                file.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with(['.', '-']))
            };
            if !taken.iter().any(begins) {
                return Ok(name);
            }
            number = number.saturating_add(1);
        }
    }

    /// Moves the files of keys that nobody trusts any more to `retired/` in the folder: they sign nothing from there, and are
    /// there if they are needed after all. Can be repeated after a crash.
    pub fn retire<'a>(
        &self,
        gone: impl IntoIterator<Item = &'a PublicKey>,
    ) -> Result<Vec<KeyName>, KeysError> {
        let gone: Vec<&PublicKey> = gone.into_iter().collect();
        let retired = self.folder.join(RETIRED);
        let mut moved = Vec::new();
        for entry in self.list()? {
            let Ok(public) = &entry.public else { continue };
            if !gone.iter().any(|key| same(key, public)) {
                continue;
            }
            file::make_private_folder(&retired)
                .map_err(|source| fail("make the folder", &retired, source))?;
            // The public file goes last: until then a crashed call finds what is left by it.
            for ending in [SECRET, entry::EXTERNAL, PUBLIC] {
                let path = self.folder.join(format!("{}.{ending}", entry.name));
                if path.exists() {
                    let id = public.id();
                    let id = id.as_str().get(..16).unwrap_or_default();
                    file::move_new(&path, &retired.join(format!("{}-{id}.{ending}", entry.name)))
                        .map_err(|source| fail("move aside", &path, source))?;
                }
            }
            moved.push(entry.name);
        }
        Ok(moved)
    }

    /// Whether the folder has enough keys for a role. None is opened.
    pub fn can_sign<'a>(
        &self,
        listed: impl IntoIterator<Item = &'a PublicKey>,
        threshold: u64,
    ) -> Result<bool, KeysError> {
        let here: Vec<PublicKey> = self
            .list()?
            .into_iter()
            .filter(KeyEntry::can_sign)
            .filter_map(|entry| entry.public.ok())
            .collect();
        let found = listed.into_iter().filter(|listed| here.iter().any(|key| same(key, listed))).count();
        Ok(found as u64 >= threshold)
    }

    /// Whether nobody else can read or change a key, and it is not in the repository. It is not opened.
    pub fn check(&self, entry: &KeyEntry) -> Result<(), KeysError> {
        let canonical = self.resolve(&entry.path)?;
        match entry.form {
            KeyForm::Plain | KeyForm::Encrypted => file::refuse_exposed(&canonical, Private::Read),
            KeyForm::External | KeyForm::PublicOnly => file::refuse_exposed(&canonical, Private::Write),
        }
    }

    fn open_entry(&self, entry: KeyEntry) -> Result<Box<dyn Signer>, KeysError> {
        if entry.form != KeyForm::External {
            let secret = self.open_secret(&entry.name, &entry.path)?;
            // The public file was only believed for finding the key.
            return match entry.public {
                Ok(public) if !same(&public, &secret.public_key()) => {
                    Err(KeysError::HalvesDiffer { path: entry.path.display().to_string() })
                }
                _ => Ok(Box::new(secret)),
            };
        }
        let canonical = self.resolve(&entry.path)?;
        file::refuse_exposed(&canonical, Private::Write)?;
        Ok(Box::new(ExternalSigner::read(entry.name, entry.public?, &entry.path)?))
    }

    fn open_secret(&self, name: &KeyName, path: &Path) -> Result<SecretKey, KeysError> {
        let canonical = self.resolve(path)?;
        file::refuse_exposed(&canonical, Private::Read)?;
        let shown = || path.display().to_string();
        let pem = file::read(&canonical).map_err(|source| fail("read the key", path, source))?;
        let opened = if SecretKey::is_encrypted(&pem) {
            let passphrase = self.passphrases.passphrase(name, path);
            let passphrase = passphrase.map_err(|reason| KeysError::Locked { path: shown(), reason })?;
            SecretKey::from_encrypted_pem(&pem, passphrase.as_bytes())
        } else {
            SecretKey::from_pem(&pem)
        };
        opened.map_err(|error| match error {
            SignError::Passphrase => KeysError::WrongPassphrase { path: shown() },
            error => KeysError::Malformed { path: shown(), reason: error.to_string() },
        })
    }

    fn resolve(&self, path: &Path) -> Result<PathBuf, KeysError> {
        let canonical = path.canonicalize().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeysError::Missing { path: path.display().to_string() },
            _ => fail("read the key", path, source),
        })?;
        self.refuse_inside(&canonical)?;
        Ok(canonical)
    }

    fn refuse_inside(&self, path: &Path) -> Result<(), KeysError> {
        match &self.repository {
            Some(repository) if path.starts_with(repository) => Err(KeysError::InsideRepository {
                path: path.display().to_string(),
                repository: repository.display().to_string(),
            }),
            _ => Ok(()),
        }
    }
}

/// Keys are told apart by their bytes. Ids say the same for keys that this version can use.
fn same(one: &PublicKey, other: &PublicKey) -> bool {
    one.as_bytes().is_some() && one.as_bytes() == other.as_bytes()
}

#[cfg(test)]
mod tests;
