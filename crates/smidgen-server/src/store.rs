//! The store of a repository: one folder or bucket, with the same promises whatever lies below.
//!
//! It stands on [`object_store`] and hides what differs between its backends:
//!
//! - a put is atomic and, on a folder, synced to the disk (file and folder) before it returns;
//! - a listing is sorted and complete; taking away what is not there is no error;
//! - [`Store::replace`] changes a file only if it still is what the caller read: a conditional put in a bucket, a
//!   comparison under the [`Lock`] in a folder, whose file system has no such operation;
//! - on a folder, a replaced file always gets a later modification second than the one before it. Web servers make
//!   entity tags of that second and the size: without this, a client would be told that nothing changed.

mod error;
mod lock;
mod torn;

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use tokio_util::io::{StreamReader, SyncIoBridge};
use url::Url;

pub use error::StoreError;
pub use lock::Lock;

/// The lock file of a folder, beside `metadata/` and `blobs/`. It is empty and stays behind.
pub const LOCK_FILE: &str = ".smidgen.lock";

/// What [`Store::replace`] adds to a key while the new content waits for its rename.
pub(crate) const NEXT: &str = ".next";

/// A folder or bucket that holds a repository. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    /// Set when the store is a folder, where locks and modification times are.
    folder: Option<PathBuf>,
    location: Arc<str>,
}

/// One stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path below the store, separated by `/`.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// When it was last written, in seconds since 1970 (UTC).
    pub modified: i64,
}

impl Entry {
    fn of(meta: &ObjectMeta) -> Self {
        Self { key: meta.location.to_string(), size: meta.size, modified: meta.last_modified.timestamp() }
    }
}

/// A file as it was read, which [`Store::replace`] compares with what is there.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its content.
    pub bytes: Bytes,
    version: UpdateVersion,
}

impl Store {
    /// Opens the store at `location`: the path of a folder that exists, or `file:///..`. For buckets see
    /// [`Store::over`].
    pub fn open(location: &str) -> Result<Self, StoreError> {
        match folder_of(location)? {
            Some(folder) => Self::folder(&folder),
            None => Err(StoreError::BadLocation {
                location: location.into(),
                reason: "only folders can be opened: give a path or file:///path".into(),
            }),
        }
    }

    /// As [`Store::open`], and makes the folder where it is missing.
    pub fn create(location: &str) -> Result<Self, StoreError> {
        if let Some(folder) = folder_of(location)? {
            std::fs::create_dir_all(&folder)
                .map_err(|error| StoreError::from_io(location, "make the folder", &error))?;
        }
        Self::open(location)
    }

    /// Opens the folder at `path`.
    pub fn folder(path: &FilePath) -> Result<Self, StoreError> {
        let location = path.display().to_string();
        let folder =
            path.canonicalize().map_err(|error| StoreError::from_io(&location, "open the folder", &error))?;
        if !folder.is_dir() {
            return Err(StoreError::BadLocation { location, reason: "it is a file, not a folder".into() });
        }
        let objects = LocalFileSystem::new_with_prefix(&folder)
            .map_err(|error| StoreError::from_object(&location, "open the folder", error))?
            .with_fsync(true)
            .with_automatic_cleanup(true);
        Ok(Self { objects: Arc::new(objects), folder: Some(folder), location: location.into() })
    }

    /// A store over any bucket that `object_store` can speak to, and that has conditional puts.
    pub fn over(objects: Arc<dyn ObjectStore>, location: &str) -> Self {
        Self { objects, folder: None, location: location.into() }
    }

    /// Puts a layer between this store and its files: to meter, to cache, to fail on purpose.
    #[must_use]
    pub fn wrap(self, layer: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> Self {
        Self { objects: layer(self.objects), ..self }
    }

    /// The canonical path, when the store is a folder.
    pub fn as_folder(&self) -> Option<&FilePath> {
        self.folder.as_deref()
    }

    /// The files themselves, for serving them.
    pub(crate) fn objects(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// The store of the folder `prefix` of this one, which need not exist yet.
    pub(crate) fn below(&self, prefix: &str) -> Self {
        let objects: Arc<dyn ObjectStore> =
            Arc::new(PrefixStore::new(Arc::clone(&self.objects), Path::from(prefix)));
        Self {
            objects,
            folder: self.folder.as_ref().map(|folder| folder.join(prefix)),
            location: format!("{}/{prefix}", self.location.trim_end_matches('/')).into(),
        }
    }

    /// Names of the folders, and the files, that are not in any folder. Sorted.
    pub(crate) async fn top(&self) -> Result<(Vec<String>, Vec<Entry>), StoreError> {
        let found =
            self.objects.list_with_delimiter(None).await.map_err(|error| self.fail("", "list", error))?;
        let mut folders: Vec<String> =
            found.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect();
        folders.sort();
        let mut files: Vec<Entry> = found.objects.iter().map(Entry::of).collect();
        files.sort_by(|one, other| one.key.cmp(&other.key));
        Ok((folders, files))
    }

    /// Names of the folders in the folder `prefix`, sorted. One that does not exist has none.
    pub(crate) async fn folders(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let path = self.path(prefix)?;
        let found = match self.objects.list_with_delimiter(Some(&path)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(Vec::new()),
            found => found.map_err(|error| self.fail(prefix, "list", error))?,
        };
        let mut names: Vec<String> =
            found.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    /// What the caller opened, for messages.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The whole of `key`, at most `limit` bytes of it: a larger file is an error before it is read.
    pub async fn read(&self, key: &str, limit: u64) -> Result<Bytes, StoreError> {
        self.see(key, limit).await.map(|seen| seen.bytes)
    }

    /// As [`Store::read`], keeping what [`Store::replace`] needs. `key` may be absent.
    pub async fn see_if_there(&self, key: &str, limit: u64) -> Result<Option<Seen>, StoreError> {
        match self.see(key, limit).await {
            Ok(seen) => Ok(Some(seen)),
            Err(StoreError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn see(&self, key: &str, limit: u64) -> Result<Seen, StoreError> {
        let fail = |error| self.fail(key, "read", error);
        let result = self.objects.get(&self.path(key)?).await.map_err(fail)?;
        if result.meta.size > limit {
            return Err(StoreError::TooLong { key: key.into(), size: result.meta.size, limit });
        }
        let version =
            UpdateVersion { e_tag: result.meta.e_tag.clone(), version: result.meta.version.clone() };
        let bytes = result.bytes().await.map_err(fail)?;
        Ok(Seen { bytes, version })
    }

    /// Gives `work` the content of `key` to read, on a thread that may block; at most `limit` bytes of it.
    ///
    /// A disk or network that fails on the way shows as an error of the reader.
    pub async fn consume<T: Send + 'static>(
        &self,
        key: &str,
        limit: u64,
        work: impl FnOnce(&mut dyn std::io::Read) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let result =
            self.objects.get(&self.path(key)?).await.map_err(|error| self.fail(key, "read", error))?;
        let size = result.meta.size;
        if size > limit {
            return Err(StoreError::TooLong { key: key.into(), size, limit });
        }
        let stream = result.into_stream().map_err(std::io::Error::from);
        let mut reader = SyncIoBridge::new(StreamReader::new(stream));
        tokio::task::spawn_blocking(move || work(&mut reader)).await.map_err(|join| StoreError::Failed {
            key: key.into(),
            doing: "read",
            reason: join.to_string(),
        })
    }

    /// Size and age of `key`, if it is there.
    pub async fn entry(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        match self.objects.head(&self.path(key)?).await {
            Ok(meta) => {
                Ok(Some(Entry { key: key.into(), size: meta.size, modified: meta.last_modified.timestamp() }))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.fail(key, "look at", error)),
        }
    }

    /// Writes `key`, over whatever is there.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        let payload = PutPayload::from_bytes(bytes);
        self.objects.put(&self.path(key)?, payload).await.map_err(|error| self.fail(key, "write", error))?;
        Ok(())
    }

    /// Writes `key` if nothing is there yet; else [`StoreError::Exists`].
    pub async fn put_new(&self, key: &str, bytes: Bytes) -> Result<(), StoreError> {
        let payload = PutPayload::from_bytes(bytes);
        let options = PutOptions::from(PutMode::Create);
        self.objects
            .put_opts(&self.path(key)?, payload, options)
            .await
            .map_err(|error| self.fail(key, "write", error))?;
        Ok(())
    }

    /// Writes `key` if it still is what `expected` saw (`None`: absent); else [`StoreError::Changed`].
    ///
    /// The `lock` shows that the caller holds the repository: in a folder it is what makes the comparison and the
    /// change one step.
    pub async fn replace(
        &self,
        _lock: &Lock,
        key: &str,
        bytes: Bytes,
        expected: Option<&Seen>,
    ) -> Result<(), StoreError> {
        let Some(folder) = &self.folder else {
            let mode = match expected {
                Some(seen) => PutMode::Update(seen.version.clone()),
                None => PutMode::Create,
            };
            let put =
                self.objects.put_opts(&self.path(key)?, PutPayload::from_bytes(bytes), mode.into()).await;
            return match put.map_err(|error| self.fail(key, "replace", error)) {
                Ok(_) => Ok(()),
                Err(StoreError::Exists { key }) => Err(StoreError::Changed { key }),
                Err(error) => Err(error),
            };
        };
        let limit = expected.map_or(0, |seen| seen.bytes.len() as u64);
        let unchanged = match self.see_if_there(key, limit).await {
            Ok(current) => current.as_ref().map(|seen| &seen.bytes) == expected.map(|seen| &seen.bytes),
            Err(StoreError::TooLong { .. }) => false,
            Err(error) => return Err(error),
        };
        if !unchanged {
            return Err(StoreError::Changed { key: key.into() });
        }
        let next = format!("{key}{NEXT}");
        self.put(&next, bytes).await?;
        postdate(&folder.join(&next), &folder.join(key))
            .map_err(|error| StoreError::from_io(&next, "set the time of", &error))?;
        self.objects
            .rename(&self.path(&next)?, &self.path(key)?)
            .await
            .map_err(|error| self.fail(key, "replace", error))
    }

    /// Takes `key` away. That it is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        match self.objects.delete(&self.path(key)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.fail(key, "delete", error)),
        }
    }

    /// All files below the folder `prefix`, sorted by key. A folder that does not exist is empty.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StoreError> {
        let path = self.path(prefix)?;
        let found: Vec<_> = match self.objects.list(Some(&path)).try_collect().await {
            Err(object_store::Error::NotFound { .. }) => Vec::new(),
            found => found.map_err(|error| self.fail(prefix, "list", error))?,
        };
        let mut entries: Vec<Entry> = found.iter().map(Entry::of).collect();
        entries.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(entries)
    }

    /// Files that a crashed put left half written in a folder (a bucket shows none); no listing names them. Sorted.
    pub(crate) async fn torn(&self) -> Result<Vec<Entry>, StoreError> {
        let Some(folder) = self.folder.clone() else { return Ok(Vec::new()) };
        let location = self.location.clone();
        let failed = move |error| StoreError::from_io(&location, "list", &error);
        let walked = tokio::task::spawn_blocking(move || torn::find(&folder)).await;
        walked.unwrap_or_else(|join| Err(std::io::Error::other(join))).map_err(failed)
    }

    /// Takes a file away that [`Store::torn`] found.
    pub(crate) fn delete_torn(&self, entry: &Entry) -> Result<(), StoreError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        match std::fs::remove_file(folder.join(&entry.key)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::from_io(&entry.key, "delete", &error))
            }
            _ => Ok(()),
        }
    }

    /// Takes the lock of the repository, waiting while somebody else has it; `waiting` is called once before that.
    ///
    /// A folder is locked by the operating system (`flock` on `.smidgen.lock`), which lets go when the process ends,
    /// however it ends. A bucket has no lock and needs none: there, [`Store::replace`] is the arbiter.
    pub async fn lock(&self, waiting: impl FnOnce()) -> Result<Lock, StoreError> {
        match &self.folder {
            Some(folder) => Lock::take(folder.join(LOCK_FILE), waiting).await,
            None => Ok(Lock::none()),
        }
    }

    fn path(&self, key: &str) -> Result<Path, StoreError> {
        Path::parse(key)
            .map_err(|error| StoreError::BadLocation { location: key.into(), reason: error.to_string() })
    }

    fn fail(&self, key: &str, doing: &'static str, error: object_store::Error) -> StoreError {
        match error {
            object_store::Error::NotFound { .. } => {
                StoreError::Missing { key: key.into(), location: self.location.to_string() }
            }
            error => StoreError::from_object(key, doing, error),
        }
    }
}

/// The folder that `location` names, or `None` when it is the URL of a bucket.
fn folder_of(location: &str) -> Result<Option<PathBuf>, StoreError> {
    let bad = |reason: &str| StoreError::BadLocation { location: location.into(), reason: reason.into() };
    if !location.contains("://") {
        return if location.is_empty() { Err(bad("it is empty")) } else { Ok(Some(PathBuf::from(location))) };
    }
    let url = Url::parse(location).map_err(|error| bad(&error.to_string()))?;
    if url.scheme() != "file" {
        return Ok(None);
    }
    url.to_file_path()
        .map(Some)
        .map_err(|()| bad("a file URL needs an absolute path: file:///srv/repository"))
}

/// Gives `next` a modification second after that of `current`, if there is one.
fn postdate(next: &FilePath, current: &FilePath) -> std::io::Result<()> {
    use std::time::{Duration, UNIX_EPOCH};
    let current = match current.metadata() {
        Ok(metadata) => metadata.modified()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let second = |time: std::time::SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let file = std::fs::File::options().write(true).open(next)?;
    let earliest = second(current) + 1;
    if second(file.metadata()?.modified()?) < earliest {
        file.set_modified(UNIX_EPOCH + Duration::from_secs(earliest))?;
        file.sync_all()?;
    }
    Ok(())
}
