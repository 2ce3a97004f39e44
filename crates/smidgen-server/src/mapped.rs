//! Whole builds as byte slices for the encoder: small ones in memory, larger ones mapped from private files.
//!
//! A mapped file that somebody cuts short turns the next read into SIGBUS, which no program can answer sensibly. So
//! nothing that has a name is ever mapped: the bytes are first copied into a scratch file which is removed from its
//! folder before it is written, so that no other process can open, change or shorten it. The copy costs one pass
//! over the file, in which it is digested anyway, and gives the encoder a build that cannot change under its feet.
//!
//! This is the only module with `unsafe` in the workspace.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read, Seek as _, Write};
use std::ops::Deref;
use std::path::Path;

use bytes::Bytes;
use memmap2::Mmap;

/// Builds up to this size are kept in memory: below it, a map saves less than it costs in page faults.
pub const SMALL: u64 = 1 << 20;

/// A private file to write a build into. It has no name, and is gone when it is dropped, even in a crash.
#[derive(Debug)]
pub struct Scratch(File);

impl Scratch {
    /// Makes one in `folder`, or in the system's folder for temporary files. The disk there needs room for it.
    pub fn new(folder: Option<&Path>) -> io::Result<Self> {
        Ok(Self(match folder {
            Some(folder) => tempfile::tempfile_in(folder)?,
            None => tempfile::tempfile()?,
        }))
    }

    /// Ends the writing.
    pub fn freeze(mut self) -> io::Result<Frozen> {
        let size = self.0.metadata()?.len();
        if size <= SMALL {
            let mut bytes = Vec::new();
            self.0.rewind()?;
            self.0.take(size).read_to_end(&mut bytes)?;
            return Ok(Frozen(Memory::Small(bytes)));
        }
        // SAFETY: the file was created by `tempfile` without a name, so nobody can reach it through the file system;
        // the only handle was private to `Scratch`, which is consumed here and closes it. So nobody can write to the
        // file or shorten it while it is mapped. It is not empty.
        let map = unsafe { Mmap::map(&self.0)? };
        Ok(Frozen(Memory::Mapped(map)))
    }
}

impl Write for Scratch {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A build that nobody can change any more, as a slice.
#[derive(Debug)]
pub struct Frozen(Memory);

#[derive(Debug)]
enum Memory {
    Small(Vec<u8>),
    Mapped(Mmap),
}

impl Frozen {
    /// A frozen copy of the file at `path`, by way of a [`Scratch`] in `folder` when it is not small.
    pub fn copy_of(path: &Path, folder: Option<&Path>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let mut bytes = Vec::new();
        (&mut file).take(SMALL + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 <= SMALL {
            return Ok(Self(Memory::Small(bytes)));
        }
        let mut scratch = Scratch::new(folder)?;
        scratch.write_all(&bytes)?;
        io::copy(&mut file, &mut scratch)?;
        scratch.freeze()
    }

    /// The same bytes as a cheap handle that keeps them alive.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Deref for Frozen {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Memory::Small(bytes) => bytes,
            Memory::Mapped(map) => map,
        }
    }
}

impl AsRef<[u8]> for Frozen {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Vec<u8>> for Frozen {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Memory::Small(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freezes_files_of_all_sizes() {
        for size in [0, 1, SMALL as usize, SMALL as usize + 1, 3 * SMALL as usize] {
            let bytes: Vec<u8> = (0..size).map(|index| (index * 7 + index / 251) as u8).collect();
            let named = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(named.path(), &bytes).unwrap();
            let frozen = Frozen::copy_of(named.path(), None).unwrap();
            assert_eq!(*frozen, bytes[..], "{size}");
            assert_eq!(matches!(frozen.0, Memory::Mapped(_)), size as u64 > SMALL);
        }
    }

    #[test]
    fn keeps_its_bytes_when_the_file_is_cut_short() {
        let named = tempfile::NamedTempFile::new().unwrap();
        named.as_file().set_len(2 * SMALL).unwrap();
        let frozen = Frozen::copy_of(named.path(), None).unwrap();
        named.as_file().set_len(0).unwrap();
        assert_eq!(frozen.iter().filter(|byte| **byte == 0).count() as u64, 2 * SMALL);
    }
}
