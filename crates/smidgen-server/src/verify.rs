//! Verifying a repository: every signature, blob, patch and expiry, and what does not belong there.

mod line;
mod metadata;
mod strays;

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use serde::Serialize;
use smidgen_metadata::Name;

use crate::lines;
use crate::repository::Repository;
use crate::{Reporter, gc};

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

/// Reads and checks everything, in all shards: signatures and expiry of the metadata; digest of every blob and raw file; that
/// every full copy gives its build, and every patch too, applied with the client's code; and that nothing else lies around.
///
/// It goes on after whatever it finds, and returns all of it. Where the metadata itself cannot be trusted, the files
/// are held against the newest metadata that can be read.
pub async fn verify(repository: &Repository, reporter: &dyn Reporter) -> VerifyReport {
    let mut report = VerifyReport::default();
    match repository.parts().await {
        Ok(parts) => {
            report.repository = repository.shards().await.ok().flatten().map(|shards| shards.name().clone());
            for part in &parts {
                let checked = verify_part(part, reporter).await;
                report.repository = report.repository.or(checked.repository.clone());
                report.add(checked, Some(part));
            }
            if parts.iter().all(|part| !part.folder().is_empty()) {
                metadata::check_home(repository, &mut report).await;
                strays::check_home(repository, &mut report).await;
            }
        }
        // Without a root nobody knows of shards.
        Err(_) => {
            let checked = verify_part(repository, reporter).await;
            report.add(checked, None);
        }
    }
    report
}

async fn verify_part(part: &Repository, reporter: &dyn Reporter) -> VerifyReport {
    let mut report = VerifyReport::default();
    let (state, roles) = metadata::check(part, &mut report).await;
    report.repository = state.as_ref().map(|state| state.name().clone());
    if roles.is_empty() {
        strays::check(part, None, state.as_ref(), &mut report).await;
        return report;
    }
    let (mut listed, mut others) = (Vec::new(), Vec::new());
    for role in &roles {
        let (lines, strange) = lines::read_role(role);
        listed.extend(lines);
        others.extend(strange);
    }
    for other in others {
        let message = format!("this is no release that our clients understand: {}", other.reason);
        report.findings.push(Finding::note("foreign_target", other.path, message));
    }
    report.lines = listed.len();
    let count = listed.iter().map(|listed| line::count_files(&listed.line)).sum();
    let progress = line::Progress::new(reporter, count);
    let checks = listed.iter().map(|listed| line::check(part, state.as_ref(), listed, &progress));
    let mut checks = futures_util::stream::iter(checks).buffered(LINES_AT_ONCE);
    while let Some(checked) = checks.next().await {
        report.add(checked, None);
    }
    drop(checks);
    let mut files: BTreeSet<String> = roles.iter().flat_map(lines::files).collect();
    if let Some(state) = &state {
        files.extend(gc::kept_for_patches(part, state).await.unwrap_or_default());
    }
    strays::check(part, Some(&files), state.as_ref(), &mut report).await;
    report
}

impl VerifyReport {
    /// Adds what was found elsewhere; in a shard, whose keys become those from home.
    fn add(&mut self, other: Self, shard: Option<&Repository>) {
        self.lines += other.lines;
        self.releases += other.releases;
        self.patches += other.patches;
        self.applied += other.applied;
        self.files += other.files;
        self.bytes += other.bytes;
        let of_home = |finding: Finding| match shard {
            Some(shard) => Finding { key: shard.full_key(&finding.key), ..finding },
            None => finding,
        };
        self.findings.extend(other.findings.into_iter().map(of_home));
    }
}
