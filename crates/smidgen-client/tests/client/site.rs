//! One product, its repository, a mirror of it, and a machine that follows it.

use std::path::{Path, PathBuf};

use smidgen_client::storage::Storage;
use smidgen_client::{BuildLine, Client, Config, Error, Mode, Outcome, Policy, Severity, Timestamp};
use smidgen_testkit::{MemoryDisk, Mirror, Program, Repository, SetClock};

/// A machine, and everything that it talks to.
pub(crate) struct Site {
    pub(crate) repository: Repository,
    pub(crate) mirror: Mirror,
    pub(crate) disk: MemoryDisk,
    pub(crate) clock: SetClock,
    pub(crate) line: BuildLine,
    pub(crate) policy: Policy,
    pub(crate) mode: Mode,
    pub(crate) program: Program,
}

pub(crate) fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn line() -> BuildLine {
    BuildLine::new("editor", "stable", "x86_64-linux", ["spell"]).unwrap()
}

impl Site {
    /// A repository with one release, and nothing installed.
    pub(crate) fn new() -> Self {
        let program = Program::seeded(1, 400);
        let mut repository = Repository::new("test-1", 1, now());
        repository.publish(&line(), "1.0.0", Severity::Feature, &program.link());
        let mirror = Mirror::of(&repository);
        let (disk, clock) = (MemoryDisk::default(), SetClock::at(now()));
        let (policy, mode) = (Policy::All, Mode::Install);
        Self { repository, mirror, disk, clock, line: line(), policy, mode, program }
    }

    /// The same, with the release installed.
    pub(crate) async fn installed() -> Self {
        let site = Self::new();
        site.update().await.unwrap();
        site.mirror.take_log();
        site
    }

    /// The same, with a newer release published.
    pub(crate) async fn outdated() -> Self {
        let mut site = Self::installed().await;
        site.publish("1.1.0", Severity::Routine);
        site
    }

    /// Publishes the next build. Returns it.
    pub(crate) fn publish(&mut self, version: &str, severity: Severity) -> Vec<u8> {
        self.program = self.program.edited(self.repository.files.len() as u64);
        let build = self.program.link();
        self.repository.publish(&self.line, version, severity, &build);
        self.mirror.serve(&self.repository);
        build
    }

    pub(crate) fn config(&self) -> Config {
        Config::new(self.mirror.url(), self.repository.trusted_root(), self.line.clone(), dir())
            .policy(self.policy)
            .mode(self.mode)
    }

    pub(crate) fn client(&self) -> Client {
        self.client_on(self.disk.clone())
    }

    pub(crate) fn client_on(&self, storage: impl Storage + 'static) -> Client {
        self.client_with(self.config(), storage)
    }

    pub(crate) fn client_with(&self, config: Config, storage: impl Storage + 'static) -> Client {
        Client::with_transport(config, self.mirror.clone())
            .unwrap()
            .with_storage(storage)
            .with_clock(self.clock.clone())
    }

    pub(crate) async fn update(&self) -> Result<Outcome, Error> {
        self.client().update().await
    }

    /// Content of the installed file.
    pub(crate) fn installed_file(&self) -> Option<Vec<u8>> {
        self.disk.content(&installed())
    }

    /// The newest release's build, as published.
    pub(crate) fn newest(&self) -> Vec<u8> {
        self.program.link()
    }
}

pub(crate) fn dir() -> PathBuf {
    PathBuf::from("/opt/editor")
}

pub(crate) fn installed() -> PathBuf {
    dir().join("editor")
}

pub(crate) fn own(path: impl AsRef<Path>) -> PathBuf {
    dir().join(".smidgen").join(path)
}

/// The bytes that a switch took, by the report.
pub(crate) fn bytes_fetched(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Installed(report) | Outcome::Updated(report) | Outcome::Repaired(report) => {
            report.bytes_fetched
        }
        other => panic!("no switch: {other:?}"),
    }
}
