//! What is installed: told by the installed file itself, with the state file as a shortcut.

use std::path::PathBuf;

use smidgen_delta::Digest;
use smidgen_metadata::{Blake3, Line};

use crate::error::{Error, InstalledError};
use crate::folder::Folder;
use crate::state::{Build, State};
use crate::storage::Facts;

/// The installed file as it was found at the beginning of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) path: PathBuf,
    pub(crate) standing: Standing,
}

/// How the installed file stands to what we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is no file.
    Absent,
    /// A build of the line.
    Known { build: Build, facts: Facts },
    /// We installed `was`, and somebody changed the file since.
    Changed { was: Build, found: Digest, facts: Facts },
}

impl Installed {
    /// Looks at the installed file, and brings `state` up to date with it. The digest is computed only where the file
    /// was touched since the last time.
    pub(crate) fn look(folder: &Folder, state: &mut State, line: &Line, name: &str) -> Result<Self, Error> {
        let name = state.installed.as_ref().map_or(name, |build| &build.name).to_owned();
        let path = folder.layout.installed(&name);
        let Some(facts) = folder.file_facts(&path)? else {
            return Ok(Self { path, standing: Standing::Absent });
        };
        let remembered = state.installed.clone();
        if let Some(build) = &remembered
            && state.stamp == facts.stamp
            && build.size == facts.size
        {
            return Ok(Self { path, standing: Standing::Known { build: build.clone(), facts } });
        }
        let found = folder.digest(&path)?;
        let standing = match (recognise(line, &name, found, &facts), remembered) {
            // Touched, not changed: copied back from a backup, or its mode was set.
            (_, Some(build)) if build.digest == found => Standing::Known { build, facts },
            // Another build of the line: a switch whose last step was cut off, or one that somebody made by hand.
            (Some(build), was) => {
                tracing::info!(code = "build_recognised", version = %build.version, digest = %found, "installed build recognised");
                state.previous = was.or_else(|| state.previous.take());
                Standing::Known { build, facts }
            }
            (None, Some(was)) => {
                tracing::warn!(code = "installed_file_changed", path = %path.display(), %found, expected = %was.digest, "installed file was changed");
                Standing::Changed { was, found, facts }
            }
            (None, None) => return Err(InstalledError::Unknown { path, found }.into()),
        };
        if let Standing::Known { build, facts } = &standing {
            (state.installed, state.stamp) = (Some(build.clone()), facts.stamp);
        }
        Ok(Self { path, standing })
    }

    /// Digest of the file; `None` if there is none.
    pub(crate) fn digest(&self) -> Option<Digest> {
        match &self.standing {
            Standing::Absent => None,
            Standing::Known { build, .. } => Some(build.digest),
            Standing::Changed { found, .. } => Some(*found),
        }
    }

    pub(crate) fn facts(&self) -> Option<&Facts> {
        match &self.standing {
            Standing::Absent => None,
            Standing::Known { facts, .. } | Standing::Changed { facts, .. } => Some(facts),
        }
    }
}

/// The build of the line with this digest, listed or in its signed history.
fn recognise(line: &Line, name: &str, digest: Digest, facts: &Facts) -> Option<Build> {
    let blake3 = Blake3::from_bytes(*digest.as_bytes());
    let listed = line.releases().iter().find(|release| release.blake3 == blake3);
    if let Some(release) = listed {
        return Some(Build {
            name: name.to_owned(),
            version: release.version.to_string(),
            sequence: release.sequence,
            digest,
            size: facts.size,
            mode: release.mode,
        });
    }
    // History has the beginning of the digest only. That is no proof, and none is needed: a patch compares the whole
    // digest of the old file, and all that follows otherwise is an update to a build that is proven.
    let entry = line.find_build(&blake3)?;
    Some(Build {
        name: name.to_owned(),
        version: entry.version.to_string(),
        sequence: entry.sequence,
        digest,
        size: facts.size,
        mode: facts.access.mode,
    })
}
