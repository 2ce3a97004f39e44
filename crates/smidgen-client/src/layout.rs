//! Where things are below the folder that is kept up to date. `docs/client.md` describes it for people.

use std::path::{Path, PathBuf};

use smidgen_delta::Digest;

/// Paths below one folder.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    dir: PathBuf,
    own: PathBuf,
}

/// A file of the trust store, by the role it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TrustFile {
    Root,
    Timestamp,
    Snapshot,
    Targets,
}

impl TrustFile {
    /// The role's name.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
        }
    }
}

impl Layout {
    pub(crate) fn new(dir: PathBuf) -> Self {
        let own = dir.join(".smidgen");
        Self { dir, own }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Our own folder.
    pub(crate) fn own(&self) -> &Path {
        &self.own
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.own.join("lock")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.own.join("state.json")
    }

    pub(crate) fn poll(&self) -> PathBuf {
        self.own.join("poll.json")
    }

    pub(crate) fn trust(&self) -> PathBuf {
        self.own.join("trust")
    }

    pub(crate) fn trust_file(&self, file: TrustFile) -> PathBuf {
        self.trust().join(format!("{}.json", file.role()))
    }

    /// The name that the repository signs its metadata with.
    pub(crate) fn repository_name(&self) -> PathBuf {
        self.trust().join("repository")
    }

    pub(crate) fn builds(&self) -> PathBuf {
        self.own.join("builds")
    }

    /// A whole, verified build that is not the installed one: staged, or kept for going back.
    pub(crate) fn build(&self, digest: &Digest) -> PathBuf {
        self.builds().join(digest.to_string())
    }

    /// A build while it is written.
    pub(crate) fn unfinished_build(&self, digest: &Digest) -> PathBuf {
        self.builds().join(format!("{digest}.tmp"))
    }

    pub(crate) fn incoming(&self) -> PathBuf {
        self.own.join("incoming")
    }

    /// A blob while it is downloaded, by the digest it must have in the end.
    pub(crate) fn part(&self, blob: &Digest) -> PathBuf {
        self.incoming().join(format!("{blob}.part"))
    }

    /// The installed file. Names are validated with the metadata that carries them: no separators, no dots alone.
    pub(crate) fn installed(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The folders that have to be there before anything else is written, outermost first.
    pub(crate) fn folders(&self) -> [PathBuf; 4] {
        [self.own.clone(), self.trust(), self.builds(), self.incoming()]
    }
}
