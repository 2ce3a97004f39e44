//! The folder of secret keys, which is never inside the repository.
//!
//! | file | signs | belongs |
//! |---|---|---|
//! | `root-1.pem` `root-2.pem` `root-3.pem` | root, any two of the three | offline, in different places |
//! | `targets.pem` | which builds exist | with the release pipeline |
//! | `snapshot.pem` | which metadata belongs together | with the release pipeline |
//! | `timestamp.pem` | that this is still the newest state | wherever it is signed again every few hours |
//!
//! Each is an Ed25519 key as PKCS#8 PEM, readable by its owner only. A key is read when it is needed, so a machine
//! needs only the files for what it does; root keys are needed by `smidgen init` alone.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use smidgen_metadata::sign::SecretKey;

use crate::store::Store;

/// A key of the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyName {
    /// One of the three root keys, 1 to 3.
    Root(RootKey),
    /// Signs targets.
    Targets,
    /// Signs snapshot.
    Snapshot,
    /// Signs timestamp.
    Timestamp,
}

/// One of the three root keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum RootKey {
    First,
    Second,
    Third,
}

/// How many of the root keys must sign.
pub const ROOT_THRESHOLD: u64 = 2;

impl KeyName {
    /// All six.
    pub const ALL: [Self; 6] = [
        Self::Root(RootKey::First),
        Self::Root(RootKey::Second),
        Self::Root(RootKey::Third),
        Self::Targets,
        Self::Snapshot,
        Self::Timestamp,
    ];
    /// The root keys.
    pub const ROOTS: [Self; 3] =
        [Self::Root(RootKey::First), Self::Root(RootKey::Second), Self::Root(RootKey::Third)];

    /// Its file in the folder.
    pub fn file(self) -> &'static str {
        match self {
            Self::Root(RootKey::First) => "root-1.pem",
            Self::Root(RootKey::Second) => "root-2.pem",
            Self::Root(RootKey::Third) => "root-3.pem",
            Self::Targets => "targets.pem",
            Self::Snapshot => "snapshot.pem",
            Self::Timestamp => "timestamp.pem",
        }
    }
}

/// A keys folder outside the repository.
#[derive(Clone, Debug)]
pub struct Keys {
    folder: PathBuf,
    /// The repository's folder, when it is one: no key may be in it, by whatever name.
    repository: Option<PathBuf>,
}

/// Secret keys that cannot be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The keys would be served to the world.
    #[error(
        "{path} is inside the repository {repository}, which is what gets served: keep the keys elsewhere"
    )]
    InsideRepository {
        /// The folder or file, with symbolic links followed.
        path: String,
        /// The repository.
        repository: String,
    },
    /// A key file that is not there.
    #[error(
        "{path} is missing: give the folder that `smidgen init` made with --keys, or copy this key into it"
    )]
    Missing {
        /// The file.
        path: String,
    },
    /// Others can read a key.
    #[error("{path} can be read by others (mode {mode:03o}): chmod 600 {path}")]
    ReadableByOthers {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not a key.
    #[error("{path} is not an Ed25519 key in PKCS#8 PEM form ({reason}): restore it from a copy")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The operating system refuses.
    #[error("failed to {doing} {path}: {source}")]
    Failed {
        /// What was attempted.
        doing: &'static str,
        /// The file or folder.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl KeysError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InsideRepository { .. } => "key_in_repository",
            Self::Missing { .. } => "key_missing",
            Self::ReadableByOthers { .. } => "key_exposed",
            Self::Malformed { .. } => "key_malformed",
            Self::Failed { .. } => "key_unreadable",
        }
    }
}

impl Keys {
    /// Makes the keys that are missing in `folder` (and the folder), for the repository in `store`. None is ever
    /// overwritten, so that a crashed call can be repeated.
    pub fn create(folder: &Path, store: &Store) -> Result<Self, KeysError> {
        let keys = Self { folder: absolute(folder)?, repository: store.as_folder().map(Path::to_owned) };
        keys.refuse_inside(&keys.folder)?;
        private_folder(&keys.folder).map_err(|source| fail("make the folder", &keys.folder, source))?;
        // A symbolic link on the way may have led into the repository after all.
        keys.refuse_inside(&absolute(&keys.folder)?)?;
        for name in KeyName::ALL {
            let path = keys.path(name);
            let pem = || SecretKey::generate().and_then(|key| key.to_pem()).map_err(io::Error::other);
            write_new(&path, pem).map_err(|source| fail("make the key", &path, source))?;
        }
        Ok(keys)
    }

    /// Opens `folder`, for the repository in `store`.
    pub fn open(folder: &Path, store: &Store) -> Result<Self, KeysError> {
        let canonical = folder.canonicalize().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeysError::Missing { path: folder.display().to_string() },
            _ => fail("open the folder", folder, source),
        })?;
        let keys = Self { folder: canonical, repository: store.as_folder().map(Path::to_owned) };
        keys.refuse_inside(&keys.folder)?;
        Ok(keys)
    }

    /// Reads one key. Fails when others can read it too, or when it really lies in the repository.
    pub fn read(&self, name: KeyName) -> Result<SecretKey, KeysError> {
        let path = self.path(name);
        let shown = || path.display().to_string();
        let canonical = path.canonicalize().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => KeysError::Missing { path: shown() },
            _ => fail("read the key", &path, source),
        })?;
        self.refuse_inside(&canonical)?;
        refuse_exposed(&canonical)?;
        let pem =
            std::fs::read_to_string(&canonical).map_err(|source| fail("read the key", &path, source))?;
        SecretKey::from_pem(&pem)
            .map_err(|error| KeysError::Malformed { path: shown(), reason: error.to_string() })
    }

    /// Where a key is.
    pub fn path(&self, name: KeyName) -> PathBuf {
        self.folder.join(name.file())
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

fn fail(doing: &'static str, path: &Path, source: io::Error) -> KeysError {
    KeysError::Failed { doing, path: path.display().to_string(), source }
}

/// `path` with the part of it that exists made canonical: so a link into the repository is seen before anything is made.
fn absolute(path: &Path) -> Result<PathBuf, KeysError> {
    let path = std::path::absolute(path).map_err(|source| fail("find the folder", path, source))?;
    for ancestor in path.ancestors() {
        if let Ok(canonical) = ancestor.canonicalize() {
            let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return Ok(canonical.join(rest));
        }
    }
    Ok(path)
}

#[cfg(unix)]
fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn private_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

#[cfg(unix)]
fn refuse_exposed(path: &Path) -> Result<(), KeysError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = path.metadata().map_err(|source| fail("look at the key", path, source))?;
    match metadata.permissions().mode() & 0o777 {
        mode if mode & 0o077 == 0 => Ok(()),
        mode => Err(KeysError::ReadableByOthers { path: path.display().to_string(), mode }),
    }
}

#[cfg(not(unix))]
fn refuse_exposed(_: &Path) -> Result<(), KeysError> {
    Ok(())
}

/// Writes `content` to `path` unless something is there. Whole or not at all, and synced.
fn write_new<C: Deref<Target = String>>(
    path: &Path,
    content: impl FnOnce() -> io::Result<C>,
) -> io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(part);
    let written = (|| {
        let mut file = options.open(&part)?;
        file.write_all(content()?.as_bytes())?;
        file.sync_all()?;
        // A link, unlike a rename, fails when somebody else made the key meanwhile.
        match std::fs::hard_link(&part, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    })();
    let removed = std::fs::remove_file(&part);
    written.and(removed)?;
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> (tempfile::TempDir, Store, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let repository = home.path().join("repository");
        std::fs::create_dir(&repository).unwrap();
        let store = Store::folder(&repository).unwrap();
        let keys = home.path().join("keys");
        (home, store, keys)
    }

    #[test]
    fn makes_six_private_keys_once() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_home, store, folder) = scene();
        let keys = Keys::create(&folder, &store).unwrap();
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let first = std::fs::read(keys.path(KeyName::Targets)).unwrap();
        for name in KeyName::ALL {
            assert_eq!(keys.path(name).metadata().unwrap().permissions().mode() & 0o777, 0o600);
            keys.read(name).unwrap();
        }
        Keys::create(&folder, &store).unwrap();
        assert_eq!(std::fs::read(keys.path(KeyName::Targets)).unwrap(), first);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 6);
    }

    #[test]
    fn refuses_a_folder_inside_the_repository() {
        let (home, store, _) = scene();
        let repository = home.path().join("repository");
        let error = Keys::create(&repository.join("keys"), &store).unwrap_err();
        assert_eq!(error.code(), "key_in_repository");
        assert!(!repository.join("keys").exists());

        std::os::unix::fs::symlink(&repository, home.path().join("elsewhere")).unwrap();
        let error = Keys::create(&home.path().join("elsewhere/deep/keys"), &store).unwrap_err();
        assert_eq!(error.code(), "key_in_repository");
        assert_eq!(std::fs::read_dir(&repository).unwrap().count(), 0);
    }

    #[test]
    fn refuses_a_key_that_is_a_link_into_the_repository() {
        let (home, store, folder) = scene();
        let keys = Keys::create(&folder, &store).unwrap();
        let inside = home.path().join("repository/targets.pem");
        std::fs::rename(keys.path(KeyName::Targets), &inside).unwrap();
        std::os::unix::fs::symlink(&inside, keys.path(KeyName::Targets)).unwrap();
        assert_eq!(keys.read(KeyName::Targets).unwrap_err().code(), "key_in_repository");
    }

    #[test]
    fn refuses_a_key_that_others_can_read_and_says_chmod() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_home, store, folder) = scene();
        let keys = Keys::create(&folder, &store).unwrap();
        let path = keys.path(KeyName::Snapshot);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = keys.read(KeyName::Snapshot).unwrap_err();
        assert_eq!(error.code(), "key_exposed");
        assert!(error.to_string().contains(&format!("chmod 600 {}", path.display())), "{error}");
    }

    #[test]
    fn tells_a_missing_key_from_a_damaged_one() {
        let (_home, store, folder) = scene();
        assert_eq!(Keys::open(&folder, &store).unwrap_err().code(), "key_missing");
        let keys = Keys::create(&folder, &store).unwrap();
        std::fs::write(keys.path(KeyName::Targets), "-----BEGIN NONSENSE-----").unwrap();
        assert_eq!(keys.read(KeyName::Targets).unwrap_err().code(), "key_malformed");
        std::fs::remove_file(keys.path(KeyName::Targets)).unwrap();
        assert_eq!(keys.read(KeyName::Targets).unwrap_err().code(), "key_missing");
    }
}
