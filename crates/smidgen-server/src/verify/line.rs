//! The files of one build line: is each what the metadata promises, and does each lead to the right build?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use smidgen_delta::full::Expected;
use smidgen_delta::{Digest, Limits, Patch};
use smidgen_metadata::{Blake3, BlobDigest, HistoryEntry, Line, PatchEntry, Release, Role};

use super::{Finding, VerifyReport};
use crate::digests::{Digests, digest};
use crate::encode::{Build, blake3_of, blob_digest};
use crate::lines::ListedLine;
use crate::proof::Comparing;
use crate::publish::Older;
use crate::repository::{Repository, State};
use crate::store::{Store, StoreError};
use crate::{Event, Reporter};

/// Counts files as they are checked.
pub(super) struct Progress<'a> {
    reporter: &'a dyn Reporter,
    done: AtomicUsize,
    count: usize,
}

impl<'a> Progress<'a> {
    pub(super) fn new(reporter: &'a dyn Reporter, count: usize) -> Self {
        Self { reporter, done: AtomicUsize::new(0), count }
    }

    fn checking(&self, key: &str) {
        let index = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.reporter.event(&Event::Checking { key: key.to_owned(), index, count: self.count });
    }
}

/// How many files a line lists.
pub(super) fn count_files(line: &Line) -> usize {
    line.releases().iter().map(|release| 1 + usize::from(release.raw) + release.patches.len()).sum()
}

/// Checks every file of every release of the line.
pub(super) async fn check(
    part: &Repository,
    state: Option<&State>,
    listed: &ListedLine,
    progress: &Progress<'_>,
) -> VerifyReport {
    let mut check = LineCheck {
        store: part.store(),
        listed,
        progress,
        limits: Limits::default(),
        report: VerifyReport::default(),
    };
    let mut builds = Vec::new();
    for release in listed.line.releases() {
        check.report.releases += 1;
        let from_full = check.full(release).await;
        let from_raw = if release.raw { check.raw(release).await } else { None };
        builds.push(from_full.or(from_raw));
    }
    let unlisted = match state {
        Some(state) => check.unlisted(part, state).await,
        None => Vec::new(),
    };
    for (release, build) in listed.line.releases().iter().zip(&builds) {
        for entry in &release.patches {
            check.report.patches += 1;
            let old = builds
                .iter()
                .flatten()
                .chain(&unlisted)
                .find(|old| blake3_of(old.digest).prefix() == entry.old);
            check.patch(release, entry, old, build.as_ref()).await;
        }
    }
    check.report
}

struct LineCheck<'a> {
    store: &'a Store,
    listed: &'a ListedLine,
    progress: &'a Progress<'a>,
    limits: Limits,
    report: VerifyReport,
}

impl LineCheck<'_> {
    /// Builds that patches start from and that are not listed any more, as far as `gc` has kept them.
    async fn unlisted(&self, part: &Repository, state: &State) -> Vec<Arc<Build>> {
        let line = &self.listed.line;
        let is_needed = |entry: &&HistoryEntry| {
            let mut patches = line.releases().iter().flat_map(|release| &release.patches);
            line.release(entry.sequence).is_none() && patches.any(|patch| patch.old == entry.build)
        };
        let needed: Vec<HistoryEntry> = line.history().iter().filter(is_needed).cloned().collect();
        let Some(role) = state.role_of(&self.listed.id).filter(|_| !needed.is_empty()) else {
            return Vec::new();
        };
        let before = state.delegated(role).map_or(0, Role::version);
        let older = Older { repository: part, line: &self.listed.id, role, before };
        let mut builds = Vec::new();
        for release in older.recall(&needed).await.into_values().flatten() {
            let digest = Digest::from_bytes(*release.blake3.as_bytes());
            let expected = Expected { size: release.size, digest };
            let limits = self.limits.clone();
            let expand = move |packed: &mut dyn std::io::Read| Build::expand(packed, expected, &limits, None);
            // What is gone or damaged here is not promised to anybody.
            if let Ok(Ok(build)) = self.store.consume(&release.full.path(), release.full.size, expand).await {
                builds.push(Arc::new(build));
            }
        }
        builds
    }

    /// The full copy: its own digest, and the build that it gives.
    async fn full(&mut self, release: &Release) -> Option<Arc<Build>> {
        let key = release.full.path();
        self.digest(&key, release.full.size, release.full.digest, release).await?;
        let expected =
            Expected { size: release.size, digest: Digest::from_bytes(*release.blake3.as_bytes()) };
        let limits = self.limits.clone();
        let expand = move |packed: &mut dyn std::io::Read| Build::expand(packed, expected, &limits, None);
        let build = match self.store.consume(&key, release.full.size, expand).await {
            Ok(Ok(build)) => build,
            Ok(Err(error)) => {
                let message =
                    format!("the full copy of version {} does not give its build: {error}", release.version);
                self.fault("full_copy_wrong", &key, message);
                return None;
            }
            Err(error) => {
                self.unreadable(&key, &error, release);
                return None;
            }
        };
        if build.sha256 != *release.sha256.as_bytes() {
            let message =
                format!("the build of version {} has another SHA-256 than is signed", release.version);
            self.fault("digest_mismatch", &key, message);
        }
        Some(Arc::new(build))
    }

    /// The raw file.
    async fn raw(&mut self, release: &Release) -> Option<Arc<Build>> {
        let key = release.raw_path(&self.listed.id);
        self.progress.checking(&key);
        let read = |raw: &mut dyn std::io::Read| Build::read(raw, None);
        let build = match self.store.consume(&key, release.size, read).await {
            Ok(Ok(build)) => build,
            Ok(Err(error)) => {
                self.fault("store_failed", &key, format!("failed to read it: {error}"));
                return None;
            }
            Err(error) => {
                self.unreadable(&key, &error, release);
                return None;
            }
        };
        self.report.files += 1;
        self.report.bytes += build.size();
        if build.sha256 == *release.sha256.as_bytes() && blake3_of(build.digest) == release.blake3 {
            return Some(Arc::new(build));
        }
        let found = Found { size: build.size(), digest: build.digest.to_string() };
        self.damaged(&key, &found, release.size, &release.blake3.to_string(), release);
        None
    }

    /// A patch: its own digest, what its header promises, and what it gives. An old build that is not listed any more
    /// cannot be had; everything else is checked then.
    async fn patch(
        &mut self,
        release: &Release,
        entry: &PatchEntry,
        old: Option<&Arc<Build>>,
        new: Option<&Arc<Build>>,
    ) {
        let key = entry.path();
        let Some(()) = self.digest(&key, entry.size, entry.digest, release).await else { return };
        let (old, new) = (old.cloned(), new.cloned());
        let (entry, limits, expected) = (entry.clone(), self.limits.clone(), release.blake3);
        let prove = move |raw: &mut dyn std::io::Read| {
            let mut bytes = Vec::new();
            raw.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
            prove(&bytes, &entry, expected, &limits, old.as_deref(), new.as_deref())
        };
        match self.store.consume(&key, u64::MAX, prove).await {
            Ok(Ok(applied)) => self.report.applied += usize::from(applied),
            Ok(Err(reason)) => {
                let message = format!(
                    "this patch to version {} is wrong: {reason}; {}",
                    release.version,
                    restore(release)
                );
                self.fault("patch_wrong", &key, message);
            }
            Err(error) => self.unreadable(&key, &error, release),
        }
    }

    /// Compares a blob with its name and its signed size.
    async fn digest(&mut self, key: &str, size: u64, expected: BlobDigest, release: &Release) -> Option<()> {
        self.progress.checking(key);
        let read = |blob: &mut dyn std::io::Read| {
            let mut counting = Counting { inner: blob, size: 0 };
            digest(&mut counting).map(|Digests { blake3, .. }| (blake3, counting.size))
        };
        let (found, found_size) = match self.store.consume(key, u64::MAX, read).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                self.fault("store_failed", key, format!("failed to read it: {error}"));
                return None;
            }
            Err(error) => {
                self.unreadable(key, &error, release);
                return None;
            }
        };
        self.report.files += 1;
        self.report.bytes += found_size;
        if found_size == size && blob_digest(found) == expected {
            return Some(());
        }
        let found = Found { size: found_size, digest: found.to_string() };
        self.damaged(key, &found, size, &expected.to_string(), release);
        None
    }

    fn damaged(&mut self, key: &str, found: &Found, size: u64, digest: &str, release: &Release) {
        let message = if found.size == size {
            format!("it has BLAKE3 {}, {digest} is signed: it is damaged; {}", found.digest, restore(release))
        } else {
            format!(
                "it has {} bytes, {size} are signed: it is cut short or damaged; {}",
                found.size,
                restore(release)
            )
        };
        self.fault("digest_mismatch", key, message);
    }

    fn unreadable(&mut self, key: &str, error: &StoreError, release: &Release) {
        let message = match error {
            StoreError::Missing { .. } => format!("it is listed but not there; {}", restore(release)),
            error => error.to_string(),
        };
        self.fault(error.code(), key, message);
    }

    fn fault(&mut self, code: &'static str, key: &str, message: String) {
        self.report.findings.push(Finding::fault(code, key, message));
    }
}

struct Found {
    size: u64,
    digest: String,
}

fn restore(release: &Release) -> String {
    format!("publish the file of version {} again, as that version, to restore it", release.version)
}

/// Whether the patch was applied; or what is wrong with it.
fn prove(
    bytes: &[u8],
    entry: &PatchEntry,
    expected: Blake3,
    limits: &Limits,
    old: Option<&Build>,
    new: Option<&Build>,
) -> Result<bool, String> {
    let patch = Patch::open(bytes, limits).map_err(|error| error.to_string())?;
    let header = patch.header();
    if blake3_of(header.old_digest).prefix() != entry.old {
        return Err(format!("it starts from build {}, {} is signed", header.old_digest, entry.old));
    }
    if blake3_of(header.new_digest) != expected {
        return Err(format!("it leads to build {}, {expected} is signed", header.new_digest));
    }
    if header.apply_memory() > entry.memory() {
        return Err(format!(
            "applying it takes {} bytes of memory, {} are signed",
            header.apply_memory(),
            entry.memory()
        ));
    }
    let Some(old) = old else { return Ok(false) };
    let old: &[u8] = &old.bytes;
    let applied = match new {
        Some(new) => patch.apply(&old, &mut Comparing::new(&new.bytes)),
        None => patch.apply(&old, &mut std::io::sink()),
    };
    applied.map(|_| true).map_err(|error| error.to_string())
}

struct Counting<'a> {
    inner: &'a mut dyn std::io::Read,
    size: u64,
}

impl std::io::Read for Counting<'_> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let len = self.inner.read(buf)?;
        self.size += len as u64;
        Ok(len)
    }
}
