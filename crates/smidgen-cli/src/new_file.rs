//! A result file that appears whole or not at all.

use std::fs::Permissions;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use smidgen_client::Disk;
use tempfile::NamedTempFile;

use crate::exit::Exit;
use crate::failure::Problem;

/// A file in the making, beside the place where it will appear.
pub(crate) struct NewFile {
    writer: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl NewFile {
    /// Starts a file that will appear at `path`, in place of a file that may be there, but never of one of the
    /// `inputs`: they are still needed, and a mistyped name must not cost the only copy.
    pub(crate) fn create(path: &Path, inputs: &[&Path]) -> Result<Self> {
        refuse_what_cannot_be_replaced(path, inputs)?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".smidgen-").suffix(".part");
        // Temporary files are private by default; a result gets what the user's mask allows.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder
            .tempfile_in(folder)
            .with_context(|| format!("failed to make a file in {}", folder.display()))?;
        Ok(Self { writer: BufWriter::with_capacity(1 << 16, file), path: path.to_owned() })
    }

    /// Sets room on the disk aside for the `len` bytes that will be written.
    pub(crate) fn reserve(&self, len: u64) -> Result<()> {
        let file = self.writer.get_ref().as_file();
        Disk::reserve(file, len)
            .with_context(|| format!("failed to make room for {len} bytes of {}", self.path.display()))
    }

    /// Makes the file appear, on the disk as well, with the permissions given or those of any file made anew.
    pub(crate) fn publish(mut self, permissions: Option<Permissions>) -> Result<()> {
        let context = || format!("failed to write {}", self.path.display());
        self.writer.flush().with_context(context)?;
        let file = self.writer.get_ref().as_file();
        if let Some(permissions) = permissions {
            file.set_permissions(permissions).with_context(context)?;
        }
        file.sync_all().with_context(context)?;
        let Self { writer, path } = self;
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error);
        file.and_then(|file| file.persist(&path).map_err(|error| error.error))
            .with_context(|| format!("failed to write {}", path.display()))?;
        Ok(())
    }
}

impl io::Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

fn refuse_what_cannot_be_replaced(path: &Path, inputs: &[&Path]) -> Result<()> {
    let refuse = |code, why: String| Err(Problem::new(Exit::Usage, code, why).into());
    // Whatever is written before the digest has been checked may be wrong, and a pipe cannot be taken back.
    if path == Path::new("-") {
        return refuse(
            "not_a_file",
            "a result cannot go to standard output: it must not be seen before it is proven; give the name of a file"
                .to_owned(),
        );
    }
    let Ok(there) = path.canonicalize() else { return Ok(()) };
    if !there.is_file() {
        return refuse(
            "not_a_file",
            format!("{} is not a regular file; give the name of a file to write", path.display()),
        );
    }
    for input in inputs {
        if input.canonicalize().is_ok_and(|input| input == there) {
            return refuse(
                "same_file",
                format!("{} is an input and would be overwritten; give another name", path.display()),
            );
        }
    }
    Ok(())
}
