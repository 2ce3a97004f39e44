//! Second step: decides whether an update is wanted, and orders the ways to it, cheapest bytes first.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use smidgen_delta::{Codec, Digest};
use smidgen_metadata::{Blake3, BlobDigest, Policy, Release, Severity};

use crate::check::Check;
use crate::client::Client;
use crate::config::FullCopies;
use crate::error::{Error, InstalledError, PlanError};
use crate::folder::Lock;
use crate::installed::{Installed, Standing};
use crate::observer::Event;
use crate::report::PlanReport;
use crate::state::{Build, State};
use crate::storage::Access;

/// A wanted release and the ways to it. Holds the lock of the folder: nobody else changes it while this is alive.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) target: Arc<Target>,
    way: Way,
    /// Those after it, dearest first, so that the next one is popped.
    others: Vec<Way>,
}

/// What all plans of one update share.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) lock: Lock,
    pub(crate) line_id: String,
    pub(crate) installed: Installed,
    pub(crate) state: State,
    pub(crate) release: Release,
    pub(crate) reason: Reason,
    pub(crate) traffic: Traffic,
}

/// Why an update is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
#[non_exhaustive]
pub enum Reason {
    /// Nothing is installed yet.
    FirstInstall,
    /// There is a newer release, and this is the highest severity among all that were skipped, core and plugins.
    Newer {
        /// The highest severity skipped.
        severity: Severity,
    },
    /// What is installed belongs to another line: the plugin set, the channel or the product was changed.
    OtherLine,
    /// The installed file is not the build that we installed.
    Repair,
}

/// One way to the wanted build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "way")]
#[non_exhaustive]
pub enum Way {
    /// It is here already: staged by a run that was cut off, or kept for going back.
    Kept,
    /// By a patch from the installed build.
    Patch {
        /// How the patch is coded.
        codec: String,
        /// What to fetch.
        blob: Blob,
        /// Most bytes of memory that applying it takes.
        memory: u64,
    },
    /// By the full copy.
    Full {
        /// What to fetch.
        blob: Blob,
    },
}

/// A file of the repository, named by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Blob {
    /// Size in bytes.
    pub size: u64,
    /// The first sixteen bytes of the BLAKE3 of its bytes.
    pub digest: BlobDigest,
    /// Bytes of it that an earlier run left here.
    pub here: u64,
}

impl Blob {
    /// Bytes still to be fetched.
    #[must_use]
    pub fn rest(&self) -> u64 {
        self.size.saturating_sub(self.here)
    }
}

impl Way {
    /// Bytes still to be fetched.
    #[must_use]
    pub fn rest(&self) -> u64 {
        match self {
            Self::Kept => 0,
            Self::Patch { blob, .. } | Self::Full { blob } => blob.rest(),
        }
    }

    /// Its name in logs and reports: `kept`, `patch` or `full`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Patch { .. } => "patch",
            Self::Full { .. } => "full",
        }
    }
}

/// Bytes taken from the network for one update, by whichever of its steps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic(Arc<AtomicU64>);

impl Traffic {
    pub(crate) fn add(&self, len: u64) {
        self.0.fetch_add(len, Ordering::Relaxed);
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a policy says to a check.
pub(crate) enum Decision<'a> {
    UpToDate {
        installed: &'a Build,
    },
    /// There is a newer release, below what the policy asks for.
    BelowPolicy {
        installed: &'a Build,
        newest: &'a Release,
        severity: Severity,
    },
    Wanted {
        release: &'a Release,
        reason: Reason,
    },
}

impl Check {
    /// What `policy` makes of it.
    pub(crate) fn decide(&self, policy: Policy) -> Result<Decision<'_>, PlanError> {
        Ok(match (&self.installed.standing, &self.newest) {
            // A policy speaks of updates; a first install was asked for.
            (Standing::Absent, Some(newest)) => {
                Decision::Wanted { release: newest, reason: Reason::FirstInstall }
            }
            // So was another line.
            (Standing::OtherLine { .. }, Some(newest)) => {
                Decision::Wanted { release: newest, reason: Reason::OtherLine }
            }
            // Never backwards: a withdrawn release stays installed until something newer comes.
            (Standing::Known { build, .. }, None) => Decision::UpToDate { installed: build },
            (Standing::Absent | Standing::OtherLine { .. } | Standing::Changed { .. }, None) => {
                return Err(PlanError::NothingReleased { line: self.described.clone() });
            }
            (Standing::Known { build, .. }, Some(newest)) if newest.sequence <= build.sequence => {
                Decision::UpToDate { installed: build }
            }
            (Standing::Known { build, .. }, Some(newest)) => {
                let severity = self.line.highest_severity_skipped(build.sequence, newest.sequence);
                if policy.admits(severity) {
                    Decision::Wanted { release: newest, reason: Reason::Newer { severity } }
                } else {
                    Decision::BelowPolicy { installed: build, newest, severity }
                }
            }
            (Standing::Changed { was, .. }, Some(newest)) => {
                let severity = self.line.highest_severity_skipped(was.sequence, newest.sequence);
                // A repair is no update: it brings back what was there, if that is still to be had.
                let same = self.line.releases().iter().find(|release| release.sequence == was.sequence);
                let release = if policy.admits(severity) { newest } else { same.unwrap_or(newest) };
                Decision::Wanted { release, reason: Reason::Repair }
            }
        })
    }
}

impl Client {
    /// Decides by the configured policy. `None` if nothing is to be done: the installed build is the newest, or what is
    /// newer is below the policy. The mode does not matter here: a plan can be looked at without being carried out.
    ///
    /// # Errors
    /// [`PlanError::FullCopyNotAllowed`], or [`InstalledError::Renamed`].
    pub fn plan(&self, check: &Check) -> Result<Option<Plan>, Error> {
        match check.decide(self.config.policy)? {
            Decision::Wanted { release, reason } => self.plan_for(check, release, reason).map(Some),
            Decision::UpToDate { .. } | Decision::BelowPolicy { .. } => Ok(None),
        }
    }

    pub(crate) fn plan_for(&self, check: &Check, release: &Release, reason: Reason) -> Result<Plan, Error> {
        let expected = check.installed.path.file_name().unwrap_or_default().to_string_lossy();
        if release.name.as_str() != expected {
            let found = release.name.to_string();
            return Err(InstalledError::Renamed { found, expected: expected.into_owned() }.into());
        }
        let mut ways = self.ways(check, release)?;
        // Stable: where bytes are equal, what was pushed first stays first.
        ways.sort_by_key(Way::rest);
        ways.reverse();
        let way = match (ways.pop(), check.installed.digest()) {
            (Some(way), _) => way,
            (None, installed) => {
                let installed = installed.unwrap_or_else(|| digest_of(release.blake3));
                return Err(PlanError::FullCopyNotAllowed {
                    installed,
                    version: release.version.to_string(),
                }
                .into());
            }
        };
        let full_size = release.full.size;
        self.observer.event(&Event::Planned { version: &release.version, way: &way, full_size });
        let target = Target {
            lock: check.lock.clone(),
            line_id: self.config.line.id().to_string(),
            installed: check.installed.clone(),
            state: check.state.clone(),
            release: release.clone(),
            reason,
            traffic: check.traffic.clone(),
        };
        Ok(Plan { target: Arc::new(target), way, others: ways })
    }

    /// Every way to a release that this client can take, in no order but that of preference at equal cost.
    fn ways(&self, check: &Check, release: &Release) -> Result<Vec<Way>, Error> {
        let mut ways = Vec::new();
        let layout = &self.folder.layout;
        let kept = self.folder.facts(&layout.build(&digest_of(release.blake3)))?;
        if kept.is_some_and(|facts| facts.is_file && facts.size == release.size) {
            ways.push(Way::Kept);
        }
        let installed = check.installed.digest();
        let limits = &self.config.limits.delta;
        for patch in &release.patches {
            let fits = installed.is_some_and(|digest| digest.as_bytes().starts_with(patch.old.as_bytes()))
                && patch.memory() <= limits.max_memory
                && patch.codec.parse::<Codec>().is_ok();
            if fits {
                let blob = self.blob(patch.size, patch.digest)?;
                ways.push(Way::Patch { codec: patch.codec.to_string(), blob, memory: patch.memory() });
            }
        }
        if installed.is_none() || self.config.full_copies == FullCopies::Allowed {
            ways.push(Way::Full { blob: self.blob(release.full.size, release.full.digest)? });
        }
        Ok(ways)
    }

    fn blob(&self, size: u64, digest: BlobDigest) -> Result<Blob, Error> {
        let facts = self.folder.facts(&self.folder.layout.part(&digest))?;
        let here = facts.map_or(0, |facts| facts.size);
        Ok(Blob { size, digest, here: if here <= size { here } else { 0 } })
    }
}

impl Plan {
    /// The cheapest way that has not been given up.
    #[must_use]
    pub fn way(&self) -> &Way {
        &self.way
    }

    /// The plan with the next way, after this one has failed; `None` if there is no other.
    #[must_use]
    pub fn fall_back(mut self) -> Option<Self> {
        self.way = self.others.pop()?;
        Some(self)
    }

    /// The wanted release, as signed.
    #[must_use]
    pub fn release(&self) -> &Release {
        &self.target.release
    }

    /// Why it is wanted.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.target.reason
    }

    /// What it would do and cost, for people and for JSON.
    #[must_use]
    pub fn report(&self) -> PlanReport {
        let others = self.others.iter().rev();
        PlanReport::of(&self.target, std::iter::once(&self.way).chain(others).cloned().collect())
    }

    /// Digest of the new build.
    pub(crate) fn digest(&self) -> Digest {
        digest_of(self.release().blake3)
    }

    /// Size of the new build.
    pub(crate) fn size(&self) -> u64 {
        self.release().size
    }

    pub(crate) fn installed_path(&self) -> &Path {
        &self.target.installed.path
    }

    /// Mode and owner of the new build. What an administrator has set on the installed file stays; a mode that is as it
    /// was signed follows the signed one.
    pub(crate) fn access(&self) -> Access {
        let signed = self.release().mode & 0o777;
        let Some((was, facts)) = self.target.installed.build() else {
            return Access { mode: signed, owner: None };
        };
        let mode = if facts.access.mode == was.mode { signed } else { facts.access.mode };
        Access { mode, owner: facts.access.owner }
    }

    /// The state entry of the new build.
    pub(crate) fn build(&self) -> Build {
        let release = self.release();
        Build {
            line: self.target.line_id.clone(),
            name: release.name.to_string(),
            version: release.version.to_string(),
            sequence: release.sequence,
            digest: self.digest(),
            size: release.size,
            mode: release.mode & 0o777,
        }
    }
}

/// The codec's type for a digest that metadata carries.
pub(crate) fn digest_of(blake3: Blake3) -> Digest {
    Digest::from_bytes(*blake3.as_bytes())
}
