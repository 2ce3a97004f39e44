//! The files of keys: who may read them, how they appear, where they may not be.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::KeysError;

/// A key file is some hundred bytes; what is larger is another file.
const MAX_LEN: u64 = 64 * 1024;

pub(super) fn fail(doing: &'static str, path: &Path, source: io::Error) -> KeysError {
    KeysError::Failed { doing, path: path.display().to_string(), source }
}

/// `path` with the part of it that exists made canonical: so a link into the repository is seen before anything is made.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, KeysError> {
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
pub(super) fn make_private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
pub(super) fn make_private_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// What nobody but the owner may do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Private {
    /// Read it, or change it.
    Read,
    /// Change it: it names a program that is started.
    Write,
}

#[cfg(unix)]
pub(super) fn refuse_exposed(path: &Path, private: Private) -> Result<(), KeysError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = path.metadata().map_err(|source| fail("look at the key", path, source))?;
    let mode = metadata.permissions().mode() & 0o777;
    let (forbidden, how) = match private {
        Private::Read => (0o077, "read"),
        Private::Write => (0o022, "changed"),
    };
    if mode & forbidden == 0 {
        return Ok(());
    }
    Err(KeysError::Exposed { path: path.display().to_string(), how, mode })
}

#[cfg(not(unix))]
pub(super) fn refuse_exposed(_: &Path, _: Private) -> Result<(), KeysError> {
    Ok(())
}

/// Reads a small text file that may be a secret.
pub(super) fn read(path: &Path) -> io::Result<Zeroizing<String>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // Room for all of it at once: a buffer that grows leaves copies of a secret behind.
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MAX_LEN).unwrap_or(0) + 1));
    file.take(MAX_LEN + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_LEN {
        return Err(io::Error::other(format!("it has more than {MAX_LEN} bytes")));
    }
    Ok(text)
}

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    Owner,
    Everybody,
}

/// Writes `content` to `path` unless something is there: then `false`. Whole or not at all, and synced.
pub(super) fn write_new(path: &Path, content: &str, readers: Readers) -> io::Result<bool> {
    if path.try_exists()? {
        return Ok(false);
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".new-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(match readers {
        Readers::Owner => 0o600,
        Readers::Everybody => 0o644,
    }));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(content.as_bytes())?;
    file.as_file().sync_all()?;
    let made = match file.persist_noclobber(path) {
        Ok(_) => true,
        // Somebody else made the key meanwhile.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error.error),
    };
    sync_folder(folder)?;
    Ok(made)
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Moves a file to where nothing else may be, for good. Can be repeated after a crash in between.
pub(super) fn move_new(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && *read(from)? == *read(to)? => {}
        linked => linked?,
    }
    sync_folder(to.parent().unwrap_or(Path::new(".")))?;
    std::fs::remove_file(from)?;
    sync_folder(from.parent().unwrap_or(Path::new(".")))
}
