//! Publishing: one or more new builds become full copies, patches and signed metadata.
//!
//! Encoding happens without a lock; only the last step, which puts new metadata in force, holds the repository. If
//! somebody else published to the same line meanwhile, what is still missing (a patch from *their* build) is made, and
//! the last step is tried again. So two publishers at once cost each other little, and versions never fork.

mod artifact;
mod error;
mod old;
mod plan;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures_util::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use smidgen_delta::diff::CodecChoice;
use smidgen_metadata::{BuildLine, LineId, Name, PluginRelease, Severity};

use artifact::Artifact;
pub(crate) use artifact::line_label;
pub use error::PublishError;
use plan::{Plan, Planned};

use crate::budget::Budget;
use crate::keys::Keys;
use crate::repository::{Depth, Repository, Signers};
use crate::store::Store;
use crate::{Event, Reporter};

/// How often a run starts over because somebody else published meanwhile.
const ATTEMPTS: u32 = 32;

/// A new build to publish.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// The build: one file. It is copied before it is read a second time, so it may change afterwards.
    pub file: PathBuf,
    /// The name that clients install it under; `None`: the file's own.
    pub name: Option<Name>,
    /// Unix permission bits of the installed file; `None`: the file's own.
    pub mode: Option<u32>,
    /// What is shipped.
    pub product: Name,
    /// The named sequence of releases, such as `stable`.
    pub channel: Name,
    /// Architecture and operating system, such as `x86_64-linux`.
    pub platform: Name,
    /// What people call the release. It must not be in use for another build of the same line.
    pub version: Name,
    /// How much this release matters.
    pub severity: Severity,
    /// The plugins in this build. Their names (not versions) choose the build line.
    pub plugins: Vec<PluginRelease>,
    /// For people: what is new.
    pub notes: Option<String>,
}

impl PublishRequest {
    /// The build line that it belongs to.
    pub fn line(&self) -> BuildLine {
        BuildLine {
            product: self.product.clone(),
            channel: self.channel.clone(),
            platform: self.platform.clone(),
            plugins: self.plugins.iter().map(|plugin| plugin.name.clone()).collect(),
        }
    }
}

/// How to publish.
#[derive(Clone, Debug)]
pub struct PublishOptions {
    /// Patches are made from this many previous builds of the line, newest first.
    pub previous: usize,
    /// So many of the newest releases of a line stay listed, for clients that hold, pin or roll back.
    pub listed: usize,
    /// Which codec makes the patches; by default each is tried and the smallest result taken.
    pub codec: CodecChoice,
    /// Whether to store the raw file as well, for TUF clients that know nothing of full copies and patches.
    pub raw: bool,
    /// Processors and memory that encoding may use.
    pub budget: Budget,
    /// Where builds are copied while they are worked on; `None`: the system's folder for temporary files.
    pub scratch: Option<PathBuf>,
}

impl Default for PublishOptions {
    fn default() -> Self {
        Self {
            previous: 5,
            listed: 6,
            codec: CodecChoice::Smallest,
            raw: true,
            budget: Budget::default(),
            scratch: None,
        }
    }
}

/// What became of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Published {
    /// It is a new release.
    Added,
    /// The same build was published under the same version before; nothing was changed.
    Already,
    /// It was published before, and files that had been lost or damaged were restored.
    Restored,
}

/// What publishing one build did.
#[derive(Clone, Debug, Serialize)]
pub struct PublishReport {
    /// What became of it.
    pub outcome: Published,
    /// Path of the target in the signed metadata.
    pub target: String,
    /// The build line.
    pub line: BuildLine,
    /// Its short name.
    pub line_id: LineId,
    /// The release's integer within its line.
    pub sequence: u64,
    /// What people call it.
    pub version: Name,
    /// BLAKE3 of the build: its name.
    pub build: String,
    /// Bytes of the build.
    pub size: u64,
    /// Bytes of the full copy, which is what a first install fetches; `None`: the release is not listed any more.
    pub full_size: Option<u64>,
    /// The patches from previous builds, newest first, and why others were not listed.
    pub patches: Vec<PatchReport>,
}

/// What became of one pair of builds.
#[derive(Clone, Debug, Serialize)]
pub struct PatchReport {
    /// Version of the old build.
    pub old_version: String,
    /// Sequence of the old build.
    pub old_sequence: u64,
    /// Listed or not.
    #[serde(flatten)]
    pub outcome: PatchOutcome,
}

/// Whether there is a patch, and what it costs.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum PatchOutcome {
    /// Made, applied, compared and listed.
    Made {
        /// Bytes of the patch.
        size: u64,
        /// Bytes that it spares against the full copy.
        saved: u64,
        /// Which codec won.
        codec: String,
        /// Processor time of making and proving it, in seconds. Zero if it was made in an earlier run.
        cpu_seconds: f64,
        /// Upper bound of the memory, in bytes, that a client needs to apply it.
        apply_memory: u64,
    },
    /// Not listed.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// Publishes one build.
///
/// The same build under the same version again changes nothing, and restores files that have been lost or damaged.
///
/// # Errors
/// [`PublishError`]; what clients see was not changed.
pub async fn publish(
    repository: &Repository,
    keys: &Keys,
    request: PublishRequest,
    options: &PublishOptions,
    reporter: &dyn Reporter,
) -> Result<PublishReport, PublishError> {
    let reports = publish_all(repository, keys, vec![request], options, reporter).await?;
    let none = || PublishError::Worker { reason: "one build gave no report".into() };
    reports.into_iter().next().ok_or_else(none)
}

/// Publishes several builds, of different lines, in one step: clients see all of them or none.
///
/// # Errors
/// [`PublishError`]; what clients see was not changed.
pub async fn publish_all(
    repository: &Repository,
    keys: &Keys,
    requests: Vec<PublishRequest>,
    options: &PublishOptions,
    reporter: &dyn Reporter,
) -> Result<Vec<PublishReport>, PublishError> {
    reporter.event(&Event::Started { artifacts: requests.len() });
    refuse_same_line(&requests)?;
    // Before any work: a run that cannot sign in the end should say so now.
    let signers = Signers::read(keys, repository.load().await?.root())?;
    let mut artifacts = read_builds(requests, options, reporter).await?;
    let mut stored = BTreeSet::new();
    for _ in 0..ATTEMPTS {
        let lock = repository.lock(reporter).await?;
        let state = repository.load().await?;
        let planned = match plan::plan(state.targets(), &artifacts, options)? {
            Plan::Ready(planned) => planned,
            Plan::Work(work) => {
                drop(lock);
                work::run(repository, &mut artifacts, work, options, reporter).await?;
                continue;
            }
        };
        // Long uploads come before the lock, but what was uploaded must still be there under it.
        if !are_stored(repository.store(), &planned, &mut stored).await? {
            drop(lock);
            store_files(repository.store(), &planned, &mut stored, reporter).await?;
            continue;
        }
        if planned.iter().any(|planned| !planned.listed) {
            let mut targets = state.targets().clone();
            plan::write(&mut targets, &artifacts, &planned, options)?;
            let depth = Depth::Targets(targets.targets);
            match repository.commit(&lock, &state, depth, &signers, reporter).await {
                Err(error) if error.is_conflict() => continue,
                committed => committed?,
            };
        }
        drop(lock);
        return Ok(report(&artifacts, planned, reporter));
    }
    Err(PublishError::Outrun { attempts: ATTEMPTS })
}

fn refuse_same_line(requests: &[PublishRequest]) -> Result<(), PublishError> {
    let mut seen = BTreeMap::new();
    for request in requests {
        let line = request.line();
        if let Some(first) = seen.insert(line.clone(), &request.file) {
            return Err(PublishError::SameLine {
                first: first.display().to_string(),
                second: request.file.display().to_string(),
                line: line_label(&line),
            });
        }
    }
    Ok(())
}

/// Freezes and digests all builds, a few at a time.
async fn read_builds(
    requests: Vec<PublishRequest>,
    options: &PublishOptions,
    reporter: &dyn Reporter,
) -> Result<Vec<Artifact>, PublishError> {
    let read = |request: PublishRequest| {
        let scratch = options.scratch.clone();
        async move {
            let read = tokio::task::spawn_blocking(move || Artifact::read(request, scratch.as_deref()));
            let artifact = read.await.map_err(|join| PublishError::Worker { reason: join.to_string() })??;
            reporter.event(&Event::BuildRead { artifact: artifact.label(), size: artifact.build.size() });
            Ok(artifact)
        }
    };
    futures_util::stream::iter(requests).map(read).buffered(options.budget.threads.get()).try_collect().await
}

/// Whether every planned file is in the store. `stored` forgets those that somebody took away.
async fn are_stored(
    store: &Store,
    planned: &[Planned],
    stored: &mut BTreeSet<String>,
) -> Result<bool, PublishError> {
    let mut all = true;
    for (key, bytes) in planned.iter().flat_map(|planned| &planned.files) {
        let there = stored.contains(key)
            && store.entry(key).await?.is_some_and(|entry| entry.size == bytes.len() as u64);
        if !there {
            stored.remove(key);
            all = false;
        }
    }
    Ok(all)
}

/// Writes the files that are not in `stored` yet, over whatever is there: a file from a crashed run may be about to be
/// removed as a leftover, and writing it again makes it young; a damaged one is repaired.
async fn store_files(
    store: &Store,
    planned: &[Planned],
    stored: &mut BTreeSet<String>,
    reporter: &dyn Reporter,
) -> Result<(), PublishError> {
    for (key, bytes) in planned.iter().flat_map(|planned| &planned.files) {
        if stored.contains(key) {
            continue;
        }
        store.put(key, bytes.clone()).await?;
        stored.insert(key.clone());
        reporter.event(&Event::Stored { key: key.clone(), size: bytes.len() as u64 });
    }
    Ok(())
}

fn report(artifacts: &[Artifact], planned: Vec<Planned>, reporter: &dyn Reporter) -> Vec<PublishReport> {
    let report = |(artifact, planned): (&Artifact, Planned)| {
        for patch in &planned.patches {
            if let PatchOutcome::Skipped { reason } = &patch.outcome {
                let pair = artifact.pair(&patch.old_version, patch.old_sequence);
                reporter.event(&Event::PatchSkipped { pair, reason: reason.clone() });
            }
        }
        let prefix = artifact.line.target_prefix();
        PublishReport {
            outcome: planned.outcome,
            target: format!("{prefix}{}/{}", planned.sequence, artifact.name),
            line_id: artifact.line.id(),
            line: artifact.line.clone(),
            sequence: planned.sequence,
            version: artifact.request.version.clone(),
            build: artifact.build.digest.to_string(),
            size: artifact.build.size(),
            full_size: planned.release.map(|release| release.full.size),
            patches: planned.patches,
        }
    };
    artifacts.iter().zip(planned).map(report).collect()
}
