//! What came of it: plain values for logs, for people and for JSON.

use serde::Serialize;
use smidgen_metadata::{Policy, Severity};

use crate::check::Check;
use crate::plan::{Reason, Target, Way};
use crate::state::Build;

/// What a whole run did. In JSON, `outcome` holds the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The newest release is installed.
    UpToDate(UpToDate),
    /// There is a newer release, but nothing in it that the policy asks for.
    BelowPolicy(BelowPolicy),
    /// An update is wanted, and the mode is `notify`.
    UpdateAvailable(PlanReport),
    /// A build was installed where there was none.
    Installed(Activated),
    /// A newer build was installed, or one of another line.
    Updated(Activated),
    /// The installed file had been changed, and a build that is proven is there again.
    Repaired(Activated),
}

impl Outcome {
    /// The stable name, for logs and alerts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UpToDate(_) => "up_to_date",
            Self::BelowPolicy(_) => "below_policy",
            Self::UpdateAvailable(_) => "update_available",
            Self::Installed(_) => "installed",
            Self::Updated(_) => "updated",
            Self::Repaired(_) => "repaired",
        }
    }

    /// Whether another build is installed than before.
    #[must_use]
    pub fn has_switched(&self) -> bool {
        matches!(self, Self::Installed(_) | Self::Updated(_) | Self::Repaired(_))
    }

    /// Says what happened in one structured event.
    pub(crate) fn log(&self) {
        let code = self.code();
        match self {
            Self::UpToDate(report) => {
                tracing::debug!(code, version = %report.installed.version, requests = report.requests, bytes = report.bytes_fetched, "up to date");
            }
            Self::BelowPolicy(report) => {
                tracing::info!(code, installed = %report.installed.version, newest = %report.newest, severity = ?report.severity, policy = ?report.policy, "newer release is below the policy");
            }
            Self::UpdateAvailable(plan) => {
                tracing::info!(code, installed = plan.installed_version(), version = %plan.version, reason = ?plan.reason, bytes = plan.bytes_to_fetch(), "update available");
            }
            Self::Installed(report) | Self::Updated(report) | Self::Repaired(report) => {
                tracing::info!(code, version = %report.installed.version, previous = report.previous_version(), way = report.way.name(), bytes = report.bytes_fetched, saved = report.bytes_saved, "{code} {}", report.installed.version);
            }
        }
    }
}

/// Nothing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UpToDate {
    /// What is installed.
    pub installed: Build,
    /// Requests that it took to know.
    pub requests: u32,
    /// Bytes of bodies that it took.
    pub bytes_fetched: u64,
}

/// Nothing to do that the policy asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BelowPolicy {
    /// What is installed.
    pub installed: Build,
    /// The newest version.
    pub newest: String,
    /// The highest severity among what was skipped, core and plugins.
    pub severity: Severity,
    /// The policy.
    pub policy: Policy,
}

/// What a plan would do and cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlanReport {
    /// The wanted version.
    pub version: String,
    /// Its place in its line.
    pub sequence: u64,
    /// Why it is wanted.
    #[serde(flatten)]
    pub reason: Reason,
    /// What is installed, as far as it is a known build.
    pub installed: Option<Build>,
    /// The ways to it, in the order in which they would be tried.
    pub ways: Vec<Way>,
    /// Size of the full copy in bytes, for comparison.
    pub bytes_full: u64,
    /// Size of the new build in bytes.
    pub size: u64,
    /// What the publisher says about the release.
    pub notes: Option<String>,
}

impl PlanReport {
    pub(crate) fn of(target: &Target, ways: Vec<Way>) -> Self {
        Self {
            version: target.release.version.to_string(),
            sequence: target.release.sequence,
            reason: target.reason,
            installed: target.state.installed.clone(),
            ways,
            bytes_full: target.release.full.size,
            size: target.release.size,
            notes: target.release.notes.clone(),
        }
    }

    /// Bytes that the first way still has to fetch.
    #[must_use]
    pub fn bytes_to_fetch(&self) -> u64 {
        self.ways.first().map_or(0, Way::rest)
    }

    fn installed_version(&self) -> &str {
        self.installed.as_ref().map_or("none", |build| &build.version)
    }
}

/// A switch that has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Activated {
    /// What is installed now.
    pub installed: Build,
    /// What was installed before, and is kept.
    pub previous: Option<Build>,
    /// Why.
    #[serde(flatten)]
    pub reason: Reason,
    /// The way that led there.
    pub way: Way,
    /// Ways that failed before it.
    pub failed: Vec<FailedWay>,
    /// Bytes of bodies that this run fetched: metadata, blobs, and what failed.
    pub bytes_fetched: u64,
    /// Size of the full copy in bytes, for comparison.
    pub bytes_full: u64,
    /// What was not fetched, compared with the full copy; 0 if the patch was no gain.
    pub bytes_saved: u64,
}

impl Activated {
    pub(crate) fn of(target: &Target, installed: Build, way: &Way, previous: Option<Build>) -> Self {
        let (bytes_fetched, bytes_full) = (target.traffic.bytes(), target.release.full.size);
        Self {
            installed,
            previous,
            reason: target.reason,
            way: way.clone(),
            failed: Vec::new(),
            bytes_fetched,
            bytes_full,
            bytes_saved: bytes_full.saturating_sub(bytes_fetched),
        }
    }

    fn previous_version(&self) -> &str {
        self.previous.as_ref().map_or("none", |build| &build.version)
    }

    pub(crate) fn into_outcome(self) -> Outcome {
        match self.reason {
            Reason::FirstInstall => Outcome::Installed(self),
            Reason::Newer { .. } | Reason::OtherLine => Outcome::Updated(self),
            Reason::Repair => Outcome::Repaired(self),
        }
    }
}

/// A way that was tried and failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FailedWay {
    /// The way.
    pub way: Way,
    /// The code of its error.
    pub code: String,
    /// Its error.
    pub message: String,
}

impl UpToDate {
    pub(crate) fn of(check: &Check, installed: Build) -> Self {
        Self { installed, requests: check.requests, bytes_fetched: check.traffic.bytes() }
    }
}
