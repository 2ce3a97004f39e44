//! A repository with releases, made through the program, and the client's side of it.

use std::path::Path;

use tempfile::TempDir;

use crate::builds::build;
use crate::program::{Run, smidgen};
use crate::server::Server;

/// Which line the tests publish and follow.
pub(crate) const LINE: &str = "--product hello --channel stable --platform x86_64-linux";

/// A folder with a repository in `repo`, its keys in `keys`, and the builds that were published.
pub(crate) struct Publisher {
    dir: TempDir,
}

impl Publisher {
    /// With an empty repository named `tests`.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        smidgen(dir.path(), "init repo --keys keys --name tests").ends(0);
        Self { dir }
    }

    /// With versions 1.0.0, 1.1.0, .. of these severities.
    pub(crate) fn with(severities: &[&str]) -> Self {
        let publisher = Self::new();
        for (index, severity) in severities.iter().enumerate() {
            publisher.publish(index as u64, severity).ends(0);
        }
        publisher
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn run(&self, words: &str) -> Run {
        smidgen(self.dir(), words)
    }

    /// Publishes build `number` as version 1.`number`.0.
    pub(crate) fn publish(&self, number: u64, severity: &str) -> Run {
        self.run(&self.publish_words(number, severity))
    }

    /// The command line of [`Publisher::publish`], with its build in place.
    pub(crate) fn publish_words(&self, number: u64, severity: &str) -> String {
        let folder = self.dir().join(format!("build-{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("hello");
        std::fs::write(&file, build(number)).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        format!(
            "publish repo --keys keys {LINE} --version 1.{number}.0 --severity {severity} --json \
             build-{number}/hello"
        )
    }

    pub(crate) fn serve(&self) -> Server {
        Server::start(self.dir(), "repo")
    }

    /// Runs `smidgen update` into `app` against `url`, with more words.
    pub(crate) fn update(&self, url: &str, more: &str) -> Run {
        self.run(&self.update_words(url, more))
    }

    /// The command line of [`Publisher::update`].
    pub(crate) fn update_words(&self, url: &str, more: &str) -> String {
        format!("update --url {url} --root repo/metadata/1.root.json {LINE} --dir app --json {more}")
    }

    /// What is installed in `app`.
    pub(crate) fn installed(&self) -> Vec<u8> {
        std::fs::read(self.dir().join("app/hello")).unwrap_or_default()
    }

    /// Every file below `repo/blobs`.
    pub(crate) fn blobs(&self) -> Vec<std::path::PathBuf> {
        let mut blobs = Vec::new();
        for folder in std::fs::read_dir(self.dir().join("repo/blobs")).unwrap() {
            blobs.extend(
                std::fs::read_dir(folder.unwrap().path()).unwrap().map(|entry| entry.unwrap().path()),
            );
        }
        blobs.sort();
        blobs
    }
}
