//! Verifying a repository: every signature, blob, patch and expiry, and what does not belong there.

mod line;
mod metadata;
mod strays;

use futures_util::StreamExt as _;
use serde::Serialize;
use smidgen_metadata::Name;

use crate::Reporter;
use crate::lines;
use crate::repository::Repository;

/// Everything that is known about a repository after reading all of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VerifyReport {
    /// The repository's signed name, when its metadata could be verified.
    pub repository: Option<Name>,
    /// Build lines.
    pub lines: usize,
    /// Releases listed.
    pub releases: usize,
    /// Patches listed.
    pub patches: usize,
    /// Patches that were applied, and gave the build that they promise.
    pub applied: usize,
    /// Blobs and raw files read.
    pub files: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// All that is wrong or odd, in the order in which it was found.
    pub findings: Vec<Finding>,
}

impl VerifyReport {
    /// Whether clients can be served from it: nothing but notes was found.
    pub fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.weight == Weight::Note)
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Harmless: a leftover that `gc` will remove, a date that comes near.
    Note,
    /// Some client cannot be served.
    Fault,
}

/// One thing that is wrong or odd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub weight: Weight,
    /// The stable name of what was found.
    pub code: &'static str,
    /// The file below the repository, or the path of a target.
    pub key: String,
    /// What was found, what was expected, what to do.
    pub message: String,
}

impl Finding {
    fn fault(code: &'static str, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { weight: Weight::Fault, code, key: key.into(), message: message.into() }
    }

    fn note(code: &'static str, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { weight: Weight::Note, code, key: key.into(), message: message.into() }
    }
}

/// How many build lines are checked at once.
const LINES_AT_ONCE: usize = 4;

/// Reads and checks everything: signatures and expiry of the metadata; digest of every blob and raw file; that every full
/// copy gives its build, and every patch too, applied with the client's code; and that nothing else lies around.
///
/// It goes on after whatever it finds, and returns all of it. Where the metadata itself cannot be trusted, the files
/// are held against the newest targets metadata that can be read.
pub async fn verify(repository: &Repository, reporter: &dyn Reporter) -> VerifyReport {
    let mut report = VerifyReport::default();
    let (state, targets) = metadata::check(repository, &mut report).await;
    report.repository = state.map(|state| state.name().clone());
    let Some(targets) = targets else {
        strays::check(repository, None, &mut report).await;
        return report;
    };
    let (listed, others) = lines::read(&targets);
    for other in others {
        let message = format!("this is no release that our clients understand: {}", other.reason);
        report.findings.push(Finding::note("foreign_target", other.path, message));
    }
    report.lines = listed.len();
    let count = listed.iter().map(|listed| line::count_files(&listed.line)).sum();
    let progress = line::Progress::new(reporter, count);
    let checks = listed.iter().map(|listed| line::check(repository.store(), listed, &progress));
    let mut checks = futures_util::stream::iter(checks).buffered(LINES_AT_ONCE);
    while let Some(checked) = checks.next().await {
        report.add(checked);
    }
    drop(checks);
    strays::check(repository, Some(&targets), &mut report).await;
    report
}

impl VerifyReport {
    fn add(&mut self, other: Self) {
        self.releases += other.releases;
        self.patches += other.patches;
        self.applied += other.applied;
        self.files += other.files;
        self.bytes += other.bytes;
        self.findings.extend(other.findings);
    }
}
