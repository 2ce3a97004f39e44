//! Fetches a target and proves it before anybody sees it (5.7).

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use smidgen_client::Url;
use smidgen_metadata::{Target, TargetCheck, TrustedSet, encode_name};

use crate::mirror::Mirror;
use crate::store::Unfinished;

/// Where targets come from and go to.
pub(crate) struct Destination {
    pub(crate) url: Url,
    pub(crate) dir: PathBuf,
}

impl Destination {
    /// Brings a target here, unless it is here already. Its path becomes one encoded name, so that no path leads out of
    /// the folder.
    pub(crate) async fn download(&self, set: &TrustedSet, path: &str, target: &Target) -> Result<()> {
        let (folder, name) =
            path.rsplit_once('/').map_or((None, path), |(folder, name)| (Some(folder), name));
        // 5.7.3: with consistent snapshots the file's name begins with one of its digests.
        let name = match digest_of(target) {
            Some(digest) if set.root().consistent_snapshot => format!("{digest}.{name}"),
            _ => name.to_owned(),
        };
        let place = self.dir.join(encode_name(path));
        if is_here(&place, target)? {
            return Ok(());
        }
        let segments: Vec<&str> =
            folder.into_iter().flat_map(|folder| folder.split('/')).chain([name.as_str()]).collect();
        let mirror = Mirror::new(&self.url)?;
        let (mut check, mut file) = (TargetCheck::new(target), Unfinished::new(&place)?);
        let fetched = mirror.pass_on(&segments, target.length, |piece| {
            check.update(piece)?;
            Ok(file.write_all(piece)?)
        });
        fetched.await.with_context(|| format!("failed to fetch {path:?}"))?;
        check.finish().with_context(|| format!("failed to fetch {path:?}"))?;
        file.finish()
    }
}

/// The digest that names the file: SHA-256 if it is listed, as everybody does.
fn digest_of(target: &Target) -> Option<&str> {
    let listed = || target.hashes.iter();
    listed().find(|(name, _)| *name == "sha256").or_else(|| listed().next()).map(|(_, digest)| digest)
}

/// Whether the file is here and is the target.
fn is_here(place: &Path, target: &Target) -> Result<bool> {
    let mut file = match File::open(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        file => file.with_context(|| format!("failed to open {}", place.display()))?,
    };
    let (mut check, mut piece) = (TargetCheck::new(target), vec![0; 1 << 16]);
    loop {
        let len = file.read(&mut piece).with_context(|| format!("failed to read {}", place.display()))?;
        let read = piece.get(..len).unwrap_or_default();
        if read.is_empty() {
            return Ok(check.finish().is_ok());
        }
        if check.update(read).is_err() {
            return Ok(false);
        }
    }
}
