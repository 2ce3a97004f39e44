//! What is installed: told by the installed file itself, with the state file as a shortcut.

use std::path::PathBuf;

use smidgen_delta::Digest;
use smidgen_metadata::{Blake3, Line, Name};

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
    /// We installed `was` from another line: the plugin set, the channel or the product was changed since.
    OtherLine { was: Build, found: Digest, facts: Facts },
    /// We installed `was`, and somebody changed the file since.
    Changed { was: Build, found: Digest, facts: Facts },
}

/// The line that is followed, as far as it is known.
pub(crate) struct Followed<'a> {
    pub(crate) line: &'a Line,
    pub(crate) id: &'a str,
    /// What the newest release calls the program.
    pub(crate) name: &'a str,
}

impl Installed {
    /// Looks at the installed file, and brings `state` up to date with it. The digest is computed only where the file
    /// was touched since the last time.
    pub(crate) fn look(folder: &Folder, state: &mut State, followed: &Followed<'_>) -> Result<Self, Error> {
        let remembered = state.installed.clone();
        let names = remembered.iter().map(|build| build.name.as_str()).chain([followed.name]);
        let mut at = None;
        for name in names {
            let path = folder.layout.installed(name);
            if let Some(facts) = folder.file_facts(&path)? {
                at = Some((name, path, facts));
                break;
            }
        }
        let Some((name, path, facts)) = at else {
            return Ok(Self { path: folder.layout.installed(followed.name), standing: Standing::Absent });
        };
        let untouched = |build: &&Build| state.stamp == facts.stamp && build.size == facts.size;
        let found = match remembered.as_ref().filter(untouched) {
            Some(build) => build.digest,
            None => folder.digest(&path)?,
        };
        let standing = match (recognise(followed, name, found, &facts), remembered.clone()) {
            (Some(build), Some(was)) if was.digest == found => {
                Standing::Known { build: Build { mode: was.mode, ..build }, facts }
            }
            // A switch whose last step was cut off, or a build that somebody copied here.
            (Some(build), was) => {
                tracing::info!(code = "build_recognised", version = %build.version, digest = %found, "installed build recognised");
                state.previous = was.or_else(|| state.previous.take());
                Standing::Known { build, facts }
            }
            (None, Some(was)) if was.line != followed.id => Standing::OtherLine { was, found, facts },
            // So old that history has forgotten it.
            (None, Some(was)) if was.digest == found => Standing::Known { build: was, facts },
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
            Standing::OtherLine { found, .. } | Standing::Changed { found, .. } => Some(*found),
        }
    }

    /// What was found there, as something to keep; `None` if nothing was.
    pub(crate) fn build(&self) -> Option<(Build, &Facts)> {
        match &self.standing {
            Standing::Absent => None,
            Standing::Known { build, facts } => Some((build.clone(), facts)),
            // Under what it is now: no build to go back to by itself, but a person may want to look at it.
            Standing::OtherLine { was, found, facts } | Standing::Changed { was, found, facts } => {
                Some((Build { digest: *found, size: facts.size, ..was.clone() }, facts))
            }
        }
    }
}

/// The build of the line with this digest, listed or in its signed history; the newest release of it, if there are
/// several.
fn recognise(followed: &Followed<'_>, name: &str, digest: Digest, facts: &Facts) -> Option<Build> {
    let blake3 = Blake3::from_bytes(*digest.as_bytes());
    let build = |version: &Name, sequence, mode| Build {
        line: followed.id.to_owned(),
        name: name.to_owned(),
        version: version.to_string(),
        sequence,
        digest,
        size: facts.size,
        mode,
    };
    let listed = followed.line.releases().iter().rev().find(|release| release.blake3 == blake3);
    if let Some(release) = listed {
        return Some(build(&release.version, release.sequence, release.mode));
    }
    // History has the beginning of the digest only. That is no proof, and none is needed: a patch compares the whole
    // digest of the old file, and all that follows otherwise is an update to a build that is proven.
    let entry = followed.line.find_build(&blake3)?;
    Some(build(&entry.version, entry.sequence, facts.access.mode))
}
