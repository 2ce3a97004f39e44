//! What lies in the folder, told from the names of its files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use smidgen_metadata::PublicKey;
use smidgen_metadata::sign::{SecretKey, Signer as _, public_key_from_pem};

use super::file::{self, Private};
use super::{KeyName, KeysError};

pub(super) const SECRET: &str = "pem";
pub(super) const PUBLIC: &str = "pub";
pub(super) const EXTERNAL: &str = "exec";

/// How a key can be used from this folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyForm {
    /// `NAME.pem`, readable by whoever can read the file.
    Plain,
    /// `NAME.pem`, which a passphrase opens.
    Encrypted,
    /// `NAME.exec`: another program signs, for a token or a service.
    External,
    /// `NAME.pub` alone: the secret is elsewhere.
    PublicOnly,
}

/// One key of the folder.
#[derive(Debug)]
pub struct KeyEntry {
    /// Its name.
    pub name: KeyName,
    /// How it can be used.
    pub form: KeyForm,
    /// The file of the secret, of the program, or of the public key where that is all there is.
    pub path: PathBuf,
    /// Its public half.
    pub public: Result<PublicKey, KeysError>,
}

impl KeyEntry {
    /// Whether it can sign here.
    pub fn can_sign(&self) -> bool {
        self.form != KeyForm::PublicOnly
    }
}

#[derive(Default)]
struct Files {
    secret: Option<PathBuf>,
    public: Option<PathBuf>,
    external: Option<PathBuf>,
}

/// Finds all keys of `folder`, sorted by name. Files with other names are none of ours.
pub(super) fn list(folder: &Path) -> Result<Vec<KeyEntry>, KeysError> {
    let unreadable = |source| file::fail("list", folder, source);
    let mut found: BTreeMap<KeyName, Files> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        let Some(name) = stem else { continue };
        let ending = path.extension().and_then(|ending| ending.to_str());
        if !matches!(ending, Some(SECRET | PUBLIC | EXTERNAL)) || path.is_dir() {
            continue;
        }
        let files: &mut Files = found.entry(name).or_default();
        match ending {
            Some(SECRET) => files.secret = Some(path),
            Some(PUBLIC) => files.public = Some(path),
            _ => files.external = Some(path),
        }
    }
    found.into_iter().map(|(name, files)| entry(name, files)).collect()
}

fn entry(name: KeyName, files: Files) -> Result<KeyEntry, KeysError> {
    let shown = |path: &Path| path.display().to_string();
    let public = files.public.as_deref().map(read_public);
    let (form, path) = match (files.secret, files.external, files.public) {
        (Some(secret), Some(external), _) => {
            return Err(KeysError::Ambiguous { one: shown(&secret), other: shown(&external) });
        }
        (Some(secret), None, _) => {
            // What cannot be read is told when it is needed.
            let text = file::read(&secret).unwrap_or_default();
            let form = if SecretKey::is_encrypted(&text) { KeyForm::Encrypted } else { KeyForm::Plain };
            (form, secret)
        }
        (None, Some(external), _) => (KeyForm::External, external),
        (None, None, public) => (KeyForm::PublicOnly, public.unwrap_or_default()),
    };
    let public = public.unwrap_or_else(|| match form {
        KeyForm::Plain => read_plain(&path).map(|key| key.public_key()),
        _ => Err(KeysError::PublicMissing { path: shown(&path.with_extension(PUBLIC)) }),
    });
    Ok(KeyEntry { name, form, path, public })
}

/// Reads a public key from a file.
pub fn read_public(path: &Path) -> Result<PublicKey, KeysError> {
    let text = file::read(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => KeysError::PublicMissing { path: path.display().to_string() },
        _ => file::fail("read the public key", path, source),
    })?;
    public_key_from_pem(&text).map_err(|error| KeysError::PublicMalformed {
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}

fn read_plain(path: &Path) -> Result<SecretKey, KeysError> {
    file::refuse_exposed(path, Private::Read)?;
    let text = file::read(path).map_err(|source| file::fail("read the key", path, source))?;
    SecretKey::from_pem(&text)
        .map_err(|error| KeysError::Malformed { path: path.display().to_string(), reason: error.to_string() })
}
