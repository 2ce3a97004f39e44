//! Where things are below the folder that is kept up to date. `docs/client.md` describes it for people.

use std::path::{Path, PathBuf};

use smidgen_delta::Digest;
use smidgen_metadata::{BlobDigest, RoleName};

/// With the extension and the ending of an unfinished file it fits into the 255 bytes of a name.
const LONGEST_STEM: usize = 200;

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

    /// Delegated roles have a folder of their own, so that no name of theirs can be that of another file.
    pub(crate) fn delegated(&self) -> PathBuf {
        self.trust().join("delegated")
    }

    /// A delegated role, by its name as it is encoded for addresses: no separators and never a dot alone. Names that
    /// differ in case only may share a file; whose it is shows when it is verified.
    pub(crate) fn delegated_role(&self, role: &RoleName) -> PathBuf {
        self.delegated().join(Self::delegated_name(role))
    }

    /// The file's name. Longer ones than a file system may take are named by their digest, behind a character that no
    /// encoded name has.
    pub(crate) fn delegated_name(role: &RoleName) -> String {
        let stem = role.file_stem();
        if stem.len() > LONGEST_STEM {
            format!("+{}.json", Digest::of(stem.as_bytes()))
        } else {
            format!("{stem}.json")
        }
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
    pub(crate) fn part(&self, blob: &BlobDigest) -> PathBuf {
        self.incoming().join(format!("{blob}.part"))
    }

    /// The installed file. Names are validated with the metadata that carries them: no separators, no dots alone.
    pub(crate) fn installed(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The folders that have to be there before anything else is written, outermost first.
    pub(crate) fn folders(&self) -> [PathBuf; 5] {
        [self.own.clone(), self.trust(), self.delegated(), self.builds(), self.incoming()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_of_a_role_leads_out_of_its_folder() {
        let layout = Layout::new(PathBuf::from("/opt/editor"));
        let long = "é/".repeat(200);
        for name in ["..", ".", "/etc/passwd", "../../root", "a/b", "?", "#", "root", "", "+", "\0", &long] {
            let path = layout.delegated_role(&RoleName::Delegated(name.to_owned()));
            assert_eq!(path.parent(), Some(layout.delegated().as_path()), "{name:?}");
            let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            assert!(file.len() <= 255 - ".tmp".len() && file.ends_with(".json"), "{name:?}: {file}");
        }
        let file = |name: &str| Layout::delegated_name(&RoleName::Delegated(name.to_owned()));
        assert_eq!(file("../é"), "..%2F%C3%A9.json");
        assert_ne!(file(&long), file(&format!("{long}x")));
    }
}
