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
use smidgen_metadata::sign::next_targets;
use smidgen_metadata::{BuildLine, LineId, Name, PluginRelease, Role as _, Severity};

use artifact::Artifact;
pub(crate) use artifact::line_label;
pub use error::PublishError;
pub(crate) use old::Older;
use plan::{Plan, Planned};

use crate::budget::Budget;
use crate::keys::Keys;
use crate::proof::Prover;
use crate::repository::products::delegation;
use crate::repository::{Depth, LIFETIMES, Repository, Signers, State, is_due};
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
    /// So many of the newest releases of a line stay listed, of which clients take the newest. Every client of the line
    /// fetches the entries of all of them with each update. Patches need none: `gc` keeps builds to make them from.
    pub listed: usize,
    /// Which codec makes the patches; by default each is tried and the smallest result taken.
    pub codec: CodecChoice,
    /// Whether to store the raw file as well, for TUF clients that know nothing of full copies and patches.
    pub raw: bool,
    /// Processors and memory that encoding may use.
    pub budget: Budget,
    /// Where builds are copied while they are worked on; `None`: the system's folder for temporary files.
    pub scratch: Option<PathBuf>,
    /// Proves each patch in a process of its own, whose peak memory is then signed with the patch; `None`: patches are
    /// proven in this process, and no peak is signed.
    pub prover: Option<Prover>,
}

impl PublishOptions {
    /// Builds that a new one gets patches from, where nothing else is said.
    pub const PREVIOUS: usize = 5;
    /// Releases that a line lists, where nothing else is said.
    pub const LISTED: usize = 1;
}

impl Default for PublishOptions {
    fn default() -> Self {
        Self {
            previous: Self::PREVIOUS,
            listed: Self::LISTED,
            codec: CodecChoice::Smallest,
            raw: true,
            budget: Budget::default(),
            scratch: None,
            prover: None,
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
        /// Bytes that the process which proved it had resident at most, in whole mebibytes; `None`: not measured.
        apply_peak: Option<u64>,
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
    reports.into_iter().next().ok_or_else(no_report)
}

/// Publishes several builds, of different lines. Those of one repository, or of one shard, appear in one step: clients see
/// all of them or none. Shards are independent of each other, and so are the clients of one of the other.
///
/// # Errors
/// [`PublishError`]; what clients of the shard that failed, and of those after it, see was not changed. The same call
/// again finishes the job.
pub async fn publish_all(
    repository: &Repository,
    keys: &Keys,
    requests: Vec<PublishRequest>,
    options: &PublishOptions,
    reporter: &dyn Reporter,
) -> Result<Vec<PublishReport>, PublishError> {
    reporter.event(&Event::Started { artifacts: requests.len() });
    refuse_same_line(&requests)?;
    let shards = repository.shards().await?;
    let count = requests.len();
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for (place, request) in requests.into_iter().enumerate() {
        let part = repository.part(shards.as_ref(), &request.line());
        let group = groups.entry(part.folder().to_owned()).or_insert_with(|| Group::new(part));
        group.places.push(place);
        group.requests.push(request);
    }
    let mut reports: BTreeMap<usize, PublishReport> = BTreeMap::new();
    for Group { part, places, requests } in groups.into_values() {
        let published = publish_group(repository, &part, keys, requests, options, reporter).await?;
        reports.extend(places.into_iter().zip(published));
    }
    if reports.len() == count { Ok(reports.into_values().collect()) } else { Err(no_report()) }
}

/// What goes to one shard.
struct Group {
    part: Repository,
    /// Which of all requests these are.
    places: Vec<usize>,
    requests: Vec<PublishRequest>,
}

impl Group {
    fn new(part: Repository) -> Self {
        Self { part, places: Vec::new(), requests: Vec::new() }
    }
}

async fn publish_group(
    home: &Repository,
    part: &Repository,
    keys: &Keys,
    requests: Vec<PublishRequest>,
    options: &PublishOptions,
    reporter: &dyn Reporter,
) -> Result<Vec<PublishReport>, PublishError> {
    let lines: BTreeSet<BuildLine> = requests.iter().map(PublishRequest::line).collect();
    // Before any work: a run that cannot sign in the end should say so now.
    let state = prepare(home, part, keys, &lines, reporter).await?;
    let products: BTreeSet<String> = lines.iter().map(|line| line.product.to_string()).collect();
    let mut signers = Signers::read_for_products(keys, &state, products.clone())?;
    let mut signed_for = state.next_targets().version();
    let mut artifacts = read_builds(requests, options, reporter).await?;
    let mut stored = BTreeSet::new();
    for _ in 0..ATTEMPTS {
        let lock = part.lock(reporter).await?;
        let state = part.load_lines(&lines).await?;
        let planned = match plan::plan(&state, &artifacts, options)? {
            Plan::Ready(planned) => planned,
            Plan::Work(work) => {
                drop(lock);
                work::run(part, &mut artifacts, work, options, reporter).await?;
                continue;
            }
        };
        // Long uploads come before the lock, but what was uploaded must still be there under it.
        if !are_stored(part.store(), &planned, &mut stored).await? {
            drop(lock);
            store_files(part.store(), &planned, &mut stored, reporter).await?;
            continue;
        }
        if planned.iter().any(|planned| !planned.listed) {
            if state.next_targets().version() != signed_for {
                signers = Signers::read_for_products(keys, &state, products.clone())?;
                signed_for = state.next_targets().version();
            }
            let depth = Depth::Lines(plan::changed_lines(&state, &artifacts, &planned, options)?);
            match part.commit(&lock, &state, depth, &signers, reporter).await {
                Err(error) if error.is_conflict() => continue,
                committed => committed?,
            };
        }
        drop(lock);
        return Ok(report(&artifacts, planned, reporter));
    }
    Err(PublishError::Outrun { attempts: ATTEMPTS })
}

/// Makes sure that the repository or shard exists and that targets delegate the products.
///
/// In a store without locks, another publisher may do the same at once and be first; this one then reads again and finds it
/// done.
async fn prepare(
    home: &Repository,
    part: &Repository,
    keys: &Keys,
    lines: &BTreeSet<BuildLine>,
    reporter: &dyn Reporter,
) -> Result<State, PublishError> {
    for _ in 0..ATTEMPTS {
        match prepare_once(home, part, keys, lines, reporter).await {
            Err(PublishError::Repository(error)) if error.is_conflict() => {}
            prepared => return prepared,
        }
    }
    Err(PublishError::Outrun { attempts: ATTEMPTS })
}

async fn prepare_once(
    home: &Repository,
    part: &Repository,
    keys: &Keys,
    lines: &BTreeSet<BuildLine>,
    reporter: &dyn Reporter,
) -> Result<State, PublishError> {
    let is_shard = !part.folder().is_empty();
    if is_shard && !part.exists().await? {
        let lock = part.lock(reporter).await?;
        if !part.exists().await? {
            match part.found(&lock, keys, reporter).await {
                Err(error) if !error.is_conflict() => return Err(error.into()),
                _ => {}
            }
        }
    }
    let state = part.load_lines(lines).await?;
    let products: BTreeSet<&Name> = lines.iter().map(|line| &line.product).collect();
    if is_due(state.next_targets().expires(), LIFETIMES.targets, home.now()) {
        // Where the targets key is at hand, nobody has to remember it.
        home.renew_targets(keys, |targets, expires| next_targets(Some(targets), expires), reporter).await?;
    }
    let unknown = |product: &&&Name| delegation(state.next_targets(), product.as_str()).is_none();
    let unknown: Vec<Name> = products.iter().filter(unknown).map(|product| (**product).clone()).collect();
    for product in unknown {
        home.add_product(keys, product, reporter).await?;
    }
    Ok(part.load_lines(lines).await?)
}

fn no_report() -> PublishError {
    PublishError::Worker { reason: "one build gave no report".into() }
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
