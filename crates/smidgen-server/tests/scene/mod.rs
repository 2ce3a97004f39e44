//! A repository in a temporary folder, seeded builds, a clock that tests set, and a client that knows only what is
//! public: the trusted root and the files.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail loudly")]

pub(crate) mod copies;
pub(crate) mod counting;
pub(crate) mod crashing;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use smidgen_delta::{Digest, Limits as DeltaLimits, Patch};
use smidgen_metadata::{
    Blake3, BlobDigest, BuildLine, Limits, Line, PluginRelease, Release, Severity, Timestamp, TrustedSet,
};
use smidgen_server::clock::Clock;
use smidgen_server::keys::Keys;
use smidgen_server::publish::{PublishError, PublishOptions, PublishReport, PublishRequest, publish};
use smidgen_server::repository::Repository;
use smidgen_server::store::Store;

/// 2026-01-01T00:00:00Z.
pub(crate) const START: i64 = 1_767_225_600;

#[derive(Debug)]
pub(crate) struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst))
    }
}

impl SetClock {
    pub(crate) fn at(seconds: i64) -> Self {
        Self(AtomicI64::new(seconds))
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }

    /// To the time of the machine, for tests in which the ages of files matter.
    pub(crate) fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

pub(crate) struct Scene {
    pub(crate) home: tempfile::TempDir,
    pub(crate) repository: Repository,
    pub(crate) keys: Keys,
    pub(crate) clock: Arc<SetClock>,
    pub(crate) options: PublishOptions,
}

impl Scene {
    /// An initialised, empty repository.
    pub(crate) async fn new() -> Self {
        let scene = Self::bare();
        scene.repository.init(&scene.keys, Some("test".parse().unwrap()), 1, &()).await.unwrap();
        scene
    }

    /// A folder and keys, without a repository.
    pub(crate) fn bare() -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("repository");
        std::fs::create_dir(&folder).unwrap();
        let store = Store::folder(&folder).unwrap();
        let keys = Keys::create(&home.path().join("keys"), &store).unwrap();
        let clock = Arc::new(SetClock(AtomicI64::new(START)));
        let repository = Repository::new(store).with_clock(clock.clone());
        Self { home, repository, keys, clock, options: several_listed() }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path().join("repository")
    }

    pub(crate) fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes a build to a file.
    pub(crate) fn build(&self, version: u32) -> PathBuf {
        let path = self.home.path().join(format!("editor-{version}"));
        std::fs::write(&path, build(version)).unwrap();
        path
    }

    pub(crate) async fn publish(&self, version: u32) -> Result<PublishReport, PublishError> {
        self.publish_to(&self.repository, version).await
    }

    pub(crate) async fn publish_to(
        &self,
        repository: &Repository,
        version: u32,
    ) -> Result<PublishReport, PublishError> {
        publish(repository, &self.keys, self.request(version), &self.options, &()).await
    }

    pub(crate) fn request(&self, version: u32) -> PublishRequest {
        request(&self.build(version), &format!("1.{version}"))
    }

    /// What a client with the first root sees.
    pub(crate) fn client(&self) -> Client {
        Client::read(&self.folder(), self.clock.now())
    }
}

/// Several releases of a line stay listed, so that tests can look at them.
fn several_listed() -> PublishOptions {
    PublishOptions { listed: 6, ..PublishOptions::default() }
}

pub(crate) fn request(file: &Path, version: &str) -> PublishRequest {
    PublishRequest {
        file: file.to_owned(),
        name: Some("editor".parse().unwrap()),
        mode: Some(0o755),
        product: "editor".parse().unwrap(),
        channel: "stable".parse().unwrap(),
        platform: "x86_64-linux".parse().unwrap(),
        version: version.parse().unwrap(),
        severity: Severity::Routine,
        plugins: vec![plugin("spell@1.0")],
        notes: None,
    }
}

pub(crate) fn plugin(text: &str) -> PluginRelease {
    text.parse().unwrap()
}

pub(crate) fn line() -> BuildLine {
    request(Path::new("editor"), "1").line()
}

/// The role that lists the releases of [`line()`].
pub(crate) fn role() -> String {
    let id = line().id().to_string();
    format!("editor~{}", &id[id.len() - 2..])
}

/// A build of some 40 kB: mostly the same from version to version, and hard to compress.
pub(crate) fn build(version: u32) -> Vec<u8> {
    let mut bytes: Vec<u8> = random(7).take(40_000).collect();
    let edits: Vec<u8> = random(u64::from(version) + 100).take(600).collect();
    for (index, edit) in edits.chunks(3).enumerate() {
        let place = (index * 199 + usize::from(edit[0])) % bytes.len();
        bytes[place] = edit[1];
    }
    let place = 1000 * (version as usize % 30);
    bytes.splice(place..place, edits.iter().copied().take(300));
    bytes
}

/// Seeded bytes (xorshift64*).
pub(crate) fn random(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8
    })
}

/// A client that verifies everything and applies every patch, from files alone.
pub(crate) struct Client {
    pub(crate) folder: PathBuf,
    pub(crate) trusted: TrustedSet,
}

impl Client {
    pub(crate) fn read(folder: &Path, now: Timestamp) -> Self {
        let metadata = folder.join("metadata");
        let read = |name: &str| std::fs::read(metadata.join(name)).unwrap();
        let mut trusted = TrustedSet::open(&read("1.root.json"), now, Limits::default()).unwrap();
        trusted.finish_root().unwrap();
        trusted.update_timestamp(&read("timestamp.json")).unwrap();
        let name = trusted.snapshot_request().unwrap().name;
        trusted.update_snapshot(&read(&name)).unwrap();
        let name = trusted.targets_request().unwrap().name;
        trusted.update_targets(&read(&name)).unwrap();
        Self { folder: folder.to_owned(), trusted }
    }

    pub(crate) fn line(&self, line: &BuildLine) -> Option<Line> {
        let mut search = self.trusted.search(line).unwrap();
        while let Some(wanted) = search.request().unwrap() {
            search.update(&std::fs::read(self.folder.join("metadata").join(wanted.name)).unwrap()).unwrap();
        }
        search.finish().unwrap().map(smidgen_metadata::Verified::into_inner)
    }

    /// Versions that are listed, the oldest first.
    pub(crate) fn versions(&self) -> Vec<String> {
        let line = self.line(&line());
        line.map(|line| line.releases().iter().map(|release| release.version.to_string()).collect())
            .unwrap_or_default()
    }

    pub(crate) fn sequences(&self) -> Vec<u64> {
        let line = self.line(&line());
        line.map(|line| line.releases().iter().map(|release| release.sequence).collect()).unwrap_or_default()
    }

    /// Installs a release from its full copy.
    pub(crate) fn install(&self, release: &Release) -> Vec<u8> {
        let packed = self.blob(&release.full.path(), release.full.size, release.full.digest);
        let digest = Digest::from_bytes(*release.blake3.as_bytes());
        let expected = smidgen_delta::full::Expected { size: release.size, digest };
        let mut new = Vec::new();
        smidgen_delta::full::expand(&*packed, &mut new, expected, &DeltaLimits::default()).unwrap();
        new
    }

    /// Checks that everything that is listed is there and gives what it promises; returns how many patches there were.
    pub(crate) fn check_everything(&self, line: &BuildLine) -> usize {
        let Some(line_state) = self.line(line) else { return 0 };
        let mut patches = 0;
        let builds: Vec<(Blake3, Vec<u8>)> =
            line_state.releases().iter().map(|release| (release.blake3, self.install(release))).collect();
        for (release, (_, new)) in line_state.releases().iter().zip(&builds) {
            if release.raw {
                assert_eq!(&std::fs::read(self.folder.join(release.raw_path(line))).unwrap(), new);
            }
            for entry in &release.patches {
                patches += 1;
                let bytes = self.blob(&entry.path(), entry.size, entry.digest);
                let patch = Patch::open(bytes, &DeltaLimits::default()).unwrap();
                if let Some((_, old)) = builds.iter().find(|(digest, _)| digest.prefix() == entry.old) {
                    let mut made = Vec::new();
                    patch.apply(old, &mut made).unwrap();
                    assert_eq!(&made, new);
                    assert!(patch.header().apply_memory() <= entry.memory());
                }
            }
        }
        patches
    }

    fn blob(&self, path: &str, size: u64, digest: BlobDigest) -> Vec<u8> {
        let bytes = std::fs::read(self.folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(bytes.len() as u64, size);
        assert_eq!(Blake3::from_bytes(*Digest::of(&bytes).as_bytes()).to_blob(), digest);
        bytes
    }
}
