//! Verifying a repository: every signature, blob, patch and expiry, and what does not belong there.

use serde::Serialize;

/// Everything that is known about a repository after reading all of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VerifyReport {
    /// The repository's signed name, when its metadata could be verified.
    pub repository: Option<String>,
    /// Releases listed.
    pub releases: usize,
    /// Patches listed.
    pub patches: usize,
    /// Patches that were applied, and gave the build that they promise.
    pub applied: usize,
    /// Files read.
    pub files: usize,
    /// Bytes read.
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
    /// The file, below the repository.
    pub key: String,
    /// What was found, what was expected, what to do.
    pub message: String,
}
