//! A package of a registry: fetched by its ordinary client, the build taken out of it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;

use super::{Pair, Registry, Side, ustar};
use crate::workspace;

/// No program of the list comes near; a package that claims more is not the one that was meant.
const MAX_SIZE: u64 = 1 << 30;

/// Downloads the package of one build into an empty folder of its own below `scratch` and returns the archive's path.
pub(super) fn download(pair: &Pair, side: Side, scratch: &Path) -> Result<PathBuf> {
    let folder = scratch.join("package");
    fs::create_dir(&folder)?;
    let version = &pair.build(side).version;
    let mut command;
    match pair.registry {
        Registry::Npm => {
            command = Command::new("npm");
            command.args(["pack", "--silent", "--pack-destination"]).arg(&folder);
            command.arg(format!("{}@{version}", pair.package));
        }
        Registry::Pypi => {
            command = Command::new("pip");
            command.args(["download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
            command.arg("--only-binary=:all:");
            for platform in &pair.platforms {
                command.args(["--platform", platform]);
            }
            command.arg("--dest").arg(&folder).arg(format!("{}=={version}", pair.package));
        }
    }
    // npm reads a `package.json` where it stands: let it stand where there is none.
    workspace::output(command.current_dir(&folder))?;
    let mut entries = fs::read_dir(&folder)?;
    let archive = entries.next().transpose()?.map(|entry| entry.path());
    match (archive, entries.next()) {
        (Some(archive), None) => Ok(archive),
        _ => bail!("{command:?} did not leave exactly one file"),
    }
}

/// Bytes written at once: as many as the client writes. The kernel keeps a file in pieces of the size in which it was written, and
/// one that came in 8 KiB at a time takes half as long again to read.
const WRITE_LEN: usize = 256 * 1024;

/// Writes the build that the archive holds to `path`: its largest file, or all of it as a deterministic tar.
pub(super) fn extract(pair: &Pair, archive: &Path, path: &Path) -> Result<()> {
    let mut out = BufWriter::with_capacity(WRITE_LEN, File::create_new(path)?);
    let result = match (pair.registry, pair.format.as_str()) {
        (Registry::Npm, "tar") => repack(archive, &mut out),
        (Registry::Npm, _) => largest_of_tgz(archive, &mut out),
        (Registry::Pypi, _) => largest_of_wheel(archive, &mut out),
    };
    result.and_then(|()| Ok(out.flush()?)).with_context(|| format!("failed to unpack {}", archive.display()))
}

/// A wheel is a zip file.
fn largest_of_wheel(archive: &Path, out: &mut impl Write) -> Result<()> {
    let mut wheel = zip::ZipArchive::new(BufReader::new(File::open(archive)?))?;
    let mut largest: Option<(u64, usize)> = None;
    for index in 0..wheel.len() {
        let size = wheel.by_index(index)?.size();
        if largest.is_none_or(|(most, _)| size > most) {
            largest = Some((size, index));
        }
    }
    let Some((_, index)) = largest else { bail!("the wheel is empty") };
    copy(&mut wheel.by_index(index)?, out)
}

/// The archive is read twice, so that the largest file never has to be held in memory.
fn largest_of_tgz(archive: &Path, out: &mut impl Write) -> Result<()> {
    let mut largest: Option<(u64, usize)> = None;
    for (index, entry) in open_tgz(archive)?.entries()?.enumerate() {
        let entry = entry?;
        if entry.header().entry_type().is_file() && largest.is_none_or(|(most, _)| entry.size() > most) {
            largest = Some((entry.size(), index));
        }
    }
    let Some((_, index)) = largest else { bail!("the package holds no file") };
    let mut tgz = open_tgz(archive)?;
    let Some(entry) = tgz.entries()?.nth(index) else { bail!("the package changed while it was read") };
    copy(&mut entry?, out)
}

fn repack(archive: &Path, out: &mut impl Write) -> Result<()> {
    let mut files = Vec::new();
    for entry in open_tgz(archive)?.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let name = entry.path_bytes().into_owned();
            let mut content = Vec::new();
            copy(&mut entry, &mut content)?;
            files.push(ustar::File { name, content });
        }
    }
    Ok(ustar::write(files, out)?)
}

fn open_tgz(archive: &Path) -> Result<tar::Archive<GzDecoder<BufReader<File>>>> {
    Ok(tar::Archive::new(GzDecoder::new(BufReader::new(File::open(archive)?))))
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<()> {
    let len = io::copy(&mut from.take(MAX_SIZE), to)?;
    if len == MAX_SIZE {
        bail!("a file of the package is larger than {MAX_SIZE} bytes");
    }
    Ok(())
}
