//! A tar whose bytes depend on names and contents alone, so that everybody measures the same file.
//!
//! POSIX.1-1988 "ustar": names sorted bytewise, no folders, owner 0 without a name, time 0, mode 0644, and the record
//! of 10,240 bytes filled up with zeros. Numbers are written as GNU tar and Python write them (the checksum as six
//! digits, NUL, space), which the `tar` crate does not, so the header is laid out here.

use std::io::{self, Write};

const BLOCK: usize = 512;
const RECORD: usize = 10_240;

/// A file to be packed.
pub(super) struct File {
    /// Whole path inside the tar; at most 100 bytes.
    pub(super) name: Vec<u8>,
    pub(super) content: Vec<u8>,
}

/// Writes the files as one tar.
///
/// # Errors
/// `InvalidInput` for a name over 100 bytes or a content of 8 GiB and more, which the header has no room for.
pub(super) fn write(mut files: Vec<File>, mut out: impl Write) -> io::Result<()> {
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let mut written = 0;
    for file in &files {
        out.write_all(&header(file)?)?;
        out.write_all(&file.content)?;
        let padding = file.content.len().next_multiple_of(BLOCK) - file.content.len();
        out.write_all(&[0; BLOCK][..padding])?;
        written += BLOCK + file.content.len() + padding;
    }
    // Two empty blocks end the tar.
    let end = (written + 2 * BLOCK).next_multiple_of(RECORD);
    out.write_all(&vec![0; end - written])?;
    out.flush()
}

fn header(file: &File) -> io::Result<[u8; BLOCK]> {
    let refuse = |what| io::Error::new(io::ErrorKind::InvalidInput, format!("{what} in a ustar header"));
    let mut header = [0; BLOCK];
    if file.name.is_empty() || file.name.len() > 100 {
        return Err(refuse(format!("no room for the name {:?}", String::from_utf8_lossy(&file.name))));
    }
    if file.content.len() >= 1 << 33 {
        return Err(refuse(format!("no room for a size of {}", file.content.len())));
    }
    header[..file.name.len()].copy_from_slice(&file.name);
    header[100..108].copy_from_slice(b"0000644\0"); // mode
    header[108..116].copy_from_slice(b"0000000\0"); // uid
    header[116..124].copy_from_slice(b"0000000\0"); // gid
    header[124..136].copy_from_slice(format!("{:011o}\0", file.content.len()).as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0"); // mtime
    header[148..156].copy_from_slice(b"        "); // the checksum counts itself as spaces
    header[156] = b'0'; // a regular file
    header[257..265].copy_from_slice(b"ustar\x0000");
    let checksum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..155].copy_from_slice(format!("{checksum:06o}\0").as_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &[u8]) -> File {
        File { name: name.as_bytes().to_vec(), content: content.to_vec() }
    }

    fn packed(files: Vec<File>) -> Vec<u8> {
        let mut out = Vec::new();
        write(files, &mut out).expect("fits");
        out
    }

    #[test]
    fn order_of_arrival_does_not_change_a_byte() {
        let one = packed(vec![file("package/b", b"two"), file("package/a", b"one"), file("package/B", b"")]);
        let other =
            packed(vec![file("package/B", b""), file("package/a", b"one"), file("package/b", b"two")]);
        assert_eq!(one, other);
        assert_eq!(one.len() % RECORD, 0);
        assert!(one.starts_with(b"package/B\0"));
    }

    #[test]
    fn a_foreign_reader_finds_what_was_packed() {
        let long = vec![7; 3 * BLOCK];
        let bytes = packed(vec![file("z", b"last"), file("a", &long)]);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let found: Vec<(Vec<u8>, u64, u32)> = archive
            .entries()
            .expect("a tar")
            .map(|entry| {
                let entry = entry.expect("checksum holds");
                (entry.path_bytes().into_owned(), entry.size(), entry.header().mode().expect("a number"))
            })
            .collect();
        assert_eq!(found, [(b"a".to_vec(), 3 * BLOCK as u64, 0o644), (b"z".to_vec(), 4, 0o644)]);
    }

    #[test]
    fn refuses_a_name_that_does_not_fit() {
        assert!(write(vec![file(&"n".repeat(101), b"")], io::sink()).is_err());
        assert!(write(vec![file(&"n".repeat(100), b"")], io::sink()).is_ok());
    }
}
