//! The files that `diff`, `apply` and `inspect` read: only regular ones, and what is said of one that was not expected.

use std::path::Path;

use anyhow::{Context as _, Result};
use smidgen_client::storage::ReadFile;
use smidgen_client::{Disk, Storage as _};
use smidgen_server::mapped::Frozen;

use crate::exit::Exit;
use crate::failure::Problem;

/// Bytes by which a file is recognised, and that are shown of one that is not.
pub(crate) const START: usize = 8;

/// Opens a file for positioned reads, so that memory stays within what the patch promises.
pub(crate) fn open(path: &Path) -> Result<Box<dyn ReadFile>> {
    refuse_what_is_no_file(path)?;
    Disk.open(path).with_context(|| format!("failed to read {}", path.display()))
}

/// The bytes of a file, which nobody can change any more.
pub(crate) fn freeze(path: &Path) -> Result<Frozen> {
    refuse_what_is_no_file(path)?;
    Frozen::copy_of(path, None).with_context(|| format!("failed to read {}", path.display()))
}

/// Says of a file that begins with these bytes that it is not what was expected.
pub(crate) fn unknown(bytes: &[u8], expected: &str) -> anyhow::Error {
    let message = format!("found {}, expected {expected}; check which file was given", beginning(bytes));
    Problem::new(Exit::Failed, "unknown_file", message).into()
}

/// A pipe is read once, from its beginning to its end, and may never end.
fn refuse_what_is_no_file(path: &Path) -> Result<()> {
    let refuse = |message| Err(Problem::new(Exit::Usage, "not_a_file", message).into());
    if path == Path::new("-") {
        return refuse(
            "standard input cannot be read at any place, as files are; give the name of a file".to_owned(),
        );
    }
    let there = std::fs::metadata(path).with_context(|| format!("failed to read {}", path.display()))?;
    if !there.is_file() {
        return refuse(format!(
            "{} is not a regular file, and only such can be read at any place; give the name of a file",
            path.display()
        ));
    }
    Ok(())
}

/// The first bytes, as text where they are text.
fn beginning(bytes: &[u8]) -> String {
    let start = bytes.get(..START).unwrap_or(bytes);
    let is_text = start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    match std::str::from_utf8(start) {
        _ if start.is_empty() => "an empty file".to_owned(),
        Ok(text) if is_text => format!("a file that begins with {text:?}"),
        _ => {
            let digits: Vec<String> = start.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("a file that begins with the bytes {}", digits.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_text_as_text_and_bytes_as_bytes() {
        for (bytes, said) in [
            (&b""[..], "an empty file"),
            (b"sm", "a file that begins with \"sm\""),
            (b"#!/bin/sh\nexit", "a file that begins with \"#!/bin/s\""),
            (b"a \"b\"\n", "a file that begins with \"a \\\"b\\\"\\n\""),
            (b"\x7fELF\x02\x01\x01\0\0", "a file that begins with the bytes 7f 45 4c 46 02 01 01 00"),
            (b"\xc3\xa4", "a file that begins with the bytes c3 a4"),
        ] {
            assert_eq!(beginning(bytes), said);
        }
    }
}
