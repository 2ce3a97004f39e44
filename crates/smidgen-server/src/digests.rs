//! The two digests of a file in one pass: BLAKE3, by which we name things, and SHA-256, which TUF lists.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};
use smidgen_delta::{Digest, blake3};

/// Both digests of the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) blake3: Digest,
    pub(crate) sha256: [u8; 32],
}

/// Digests whatever is written to it.
#[derive(Default)]
pub(crate) struct Hashers {
    blake3: blake3::Hasher,
    sha256: Sha256,
}

impl Hashers {
    pub(crate) fn finish(self) -> Digests {
        Digests {
            blake3: Digest::from_bytes(*self.blake3.finalize().as_bytes()),
            sha256: self.sha256.finalize().into(),
        }
    }
}

impl Write for Hashers {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.blake3.update(buf);
        self.sha256.update(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads `source` to its end.
pub(crate) fn digest(source: &mut dyn Read) -> io::Result<Digests> {
    let mut hashers = Hashers::default();
    io::copy(source, &mut hashers)?;
    Ok(hashers.finish())
}
