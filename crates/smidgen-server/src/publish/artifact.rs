//! One new build on its way into the repository, and everything that was made for it so far.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use smidgen_metadata::{Blake3, BuildLine, BuildPrefix, Name, Release, Sha256};

use super::{PublishError, PublishRequest};
use crate::encode::{Attempt, Build, MadeFull, blake3_of};
use crate::reporter::Pair;

/// A build with what it is called, and what was made for it.
#[derive(Debug)]
pub(super) struct Artifact {
    pub(super) request: PublishRequest,
    pub(super) line: BuildLine,
    pub(super) name: Name,
    pub(super) mode: u32,
    pub(super) build: Arc<Build>,
    pub(super) full: Option<MadeFull>,
    /// Old releases that are not listed any more, by sequence; `None`: nothing is left of them.
    pub(super) recalled: BTreeMap<u64, Option<Release>>,
    /// By the sequence of the old build.
    pub(super) attempts: BTreeMap<u64, Attempt>,
    /// Of a release that is listed already: which of its files are as they should be.
    pub(super) health: Option<Health>,
}

/// Which stored files of a listed release are as the metadata says.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    pub(super) full: bool,
    pub(super) raw: bool,
    /// Patches that are sound, by the old build.
    pub(super) patches: BTreeSet<BuildPrefix>,
}

impl Artifact {
    /// Reads the build. Blocks.
    pub(super) fn read(request: PublishRequest, scratch: Option<&Path>) -> Result<Self, PublishError> {
        let unreadable =
            |source| PublishError::Unreadable { path: request.file.display().to_string(), source };
        let name = match &request.name {
            Some(name) => name.clone(),
            None => file_name(&request.file)?,
        };
        let mut file = std::fs::File::open(&request.file).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
        }
        let mode = request.mode.unwrap_or_else(|| own_mode(&metadata));
        let build = Build::read(&mut file, scratch).map_err(unreadable)?;
        let line = request.line();
        Ok(Self {
            line,
            name,
            mode,
            build: Arc::new(build),
            full: None,
            recalled: BTreeMap::new(),
            attempts: BTreeMap::new(),
            health: None,
            request,
        })
    }

    /// Name and platform, for progress.
    pub(super) fn label(&self) -> String {
        format!("{} {}", self.name, self.line.platform)
    }

    /// The pair with an old release, for progress.
    pub(super) fn pair(&self, old_version: &str, old_sequence: u64) -> Pair {
        Pair {
            artifact: self.label(),
            old_version: old_version.to_owned(),
            old_sequence,
            new_version: self.request.version.to_string(),
        }
    }

    /// Product, channel, platform and plugins, for messages.
    pub(super) fn line_label(&self) -> String {
        line_label(&self.line)
    }

    pub(super) fn blake3(&self) -> Blake3 {
        blake3_of(self.build.digest)
    }

    /// The raw file, as a cheap handle.
    pub(super) fn raw_bytes(&self) -> Bytes {
        Bytes::from_owner(SharedBuild(Arc::clone(&self.build)))
    }

    pub(super) fn sha256(&self) -> Sha256 {
        Sha256::from_bytes(self.build.sha256)
    }
}

/// Keeps a build alive as long as somebody writes it.
struct SharedBuild(Arc<Build>);

impl AsRef<[u8]> for SharedBuild {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

pub(crate) fn line_label(line: &BuildLine) -> String {
    let plugins: Vec<&str> = line.plugins.iter().map(Name::as_str).collect();
    let plugins = if plugins.is_empty() { String::new() } else { format!(" with {}", plugins.join(", ")) };
    format!("{} {} {}{plugins}", line.product, line.channel, line.platform)
}

fn file_name(path: &Path) -> Result<Name, PublishError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.parse().map_err(|error: smidgen_metadata::NameError| PublishError::BadFileName {
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}

#[cfg(unix)]
fn own_mode(metadata: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o777
}

#[cfg(not(unix))]
fn own_mode(_: &std::fs::Metadata) -> u32 {
    0o755
}
