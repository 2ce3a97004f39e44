//! Doing what a plan asks for, in parallel, within the budget.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use smidgen_delta::Limits;
use smidgen_metadata::{BlobDigest, BuildLine, Release};

use super::artifact::{Artifact, Health};
use super::old::{OldBuild, Older};
use super::plan::Work;
use super::{PublishError, PublishOptions};
use crate::budget::{Gate, full_memory, patch_memory};
use crate::digests::digest;
use crate::encode::{self, Attempt, EncodeError, MadeFull, blob_digest};
use crate::repository::Repository;
use crate::store::Store;
use crate::{Event, Reporter};

/// What a piece of work gave.
enum Done {
    Inspected { artifact: usize, health: Health },
    Recalled { artifact: usize, releases: BTreeMap<u64, Option<Release>> },
    Full { artifact: usize, made: MadeFull },
    Patch { artifact: usize, old_sequence: u64, attempt: Attempt },
}

/// What all workers share.
struct Workshop<'a> {
    repository: &'a Repository,
    artifacts: &'a [Artifact],
    options: &'a PublishOptions,
    limits: Limits,
    gate: Gate,
    reporter: &'a dyn Reporter,
}

/// Does all of `work`, and gives the results to their artifacts.
pub(super) async fn run(
    repository: &Repository,
    artifacts: &mut [Artifact],
    mut work: Vec<Work>,
    options: &PublishOptions,
    reporter: &dyn Reporter,
) -> Result<(), PublishError> {
    let patches = work.iter().filter(|work| matches!(work, Work::Patch { .. })).count();
    if patches > 0 {
        reporter.event(&Event::PatchesPlanned { count: patches });
    }
    let shop = Workshop {
        repository,
        artifacts,
        options,
        limits: Limits::default(),
        gate: Gate::new(options.budget),
        reporter,
    };
    // The largest first, so that no long job is left over when the short ones are done.
    work.sort_by_key(|work| std::cmp::Reverse(shop.memory(work)));
    let mut olds: BTreeMap<(BuildLine, u64), Arc<OldBuild>> = BTreeMap::new();
    let mut jobs = FuturesUnordered::new();
    for work in work {
        let old = match &work {
            Work::Patch { artifact, old } => shop.artifacts.get(*artifact).map(|artifact| {
                let line = &artifact.line;
                let new = || Arc::new(OldBuild::new(line.clone(), (**old).clone()));
                Arc::clone(olds.entry((line.clone(), old.sequence)).or_insert_with(new))
            }),
            _ => None,
        };
        jobs.push(shop.perform(work, old));
    }
    drop(olds);
    let mut all = Vec::new();
    while let Some(done) = jobs.next().await {
        all.extend(done?);
    }
    drop(jobs);
    for done in all {
        match done {
            Done::Inspected { artifact, health } => {
                give(artifacts, artifact, |artifact| artifact.health = Some(health));
            }
            Done::Recalled { artifact, releases } => {
                give(artifacts, artifact, |artifact| artifact.recalled.extend(releases));
            }
            Done::Full { artifact, made } => give(artifacts, artifact, |artifact| artifact.full = Some(made)),
            Done::Patch { artifact, old_sequence, attempt } => {
                give(artifacts, artifact, |artifact| _ = artifact.attempts.insert(old_sequence, attempt));
            }
        }
    }
    Ok(())
}

fn give(artifacts: &mut [Artifact], index: usize, take: impl FnOnce(&mut Artifact)) {
    if let Some(artifact) = artifacts.get_mut(index) {
        take(artifact);
    }
}

impl Workshop<'_> {
    /// How many bytes a job will need.
    fn memory(&self, work: &Work) -> u64 {
        let new_size = |index: &usize| self.artifacts.get(*index).map_or(0, |artifact| artifact.build.size());
        match work {
            Work::Inspect { .. } | Work::Recall { .. } => 0,
            Work::Full { artifact } => full_memory(new_size(artifact)),
            Work::Patch { artifact, old } => patch_memory(old.size, new_size(artifact)),
        }
    }

    async fn perform(&self, work: Work, old: Option<Arc<OldBuild>>) -> Result<Option<Done>, PublishError> {
        let _share = self.gate.enter(self.memory(&work)).await;
        let (Work::Inspect { artifact: index, .. }
        | Work::Recall { artifact: index, .. }
        | Work::Full { artifact: index }
        | Work::Patch { artifact: index, .. }) = &work;
        let Some(artifact) = self.artifacts.get(*index) else { return Ok(None) };
        let index = *index;
        let done = match (work, old) {
            (Work::Inspect { release, .. }, _) => {
                let health = inspect(self.repository.store(), &artifact.line, &release).await;
                Done::Inspected { artifact: index, health }
            }
            (Work::Recall { role, before, entries, .. }, _) => {
                let older = Older { repository: self.repository, line: &artifact.line, role: &role, before };
                Done::Recalled { artifact: index, releases: older.recall(&entries).await }
            }
            (Work::Full { .. }, _) => Done::Full { artifact: index, made: self.full(artifact).await? },
            (Work::Patch { old: release, .. }, old) => {
                let old =
                    old.unwrap_or_else(|| Arc::new(OldBuild::new(artifact.line.clone(), (*release).clone())));
                let attempt = self.patch(artifact, &release, &old).await?;
                Done::Patch { artifact: index, old_sequence: release.sequence, attempt }
            }
        };
        Ok(Some(done))
    }

    async fn full(&self, artifact: &Artifact) -> Result<MadeFull, PublishError> {
        let (build, limits) = (Arc::clone(&artifact.build), self.limits.clone());
        let made = encode(artifact, move || encode::full_copy(&build, &limits)).await?;
        self.reporter.event(&Event::FullMade {
            artifact: artifact.label(),
            size: artifact.build.size(),
            full_size: made.blob.size,
        });
        Ok(made)
    }

    async fn patch(
        &self,
        artifact: &Artifact,
        release: &Release,
        old: &OldBuild,
    ) -> Result<Attempt, PublishError> {
        let pair = artifact.pair(&release.version, release.sequence);
        self.reporter.event(&Event::PatchStarted { pair: pair.clone() });
        let old = match old.read(self.repository.store(), &self.limits, self.options.scratch.as_ref()).await {
            Ok(old) => old,
            Err(reason) => return Ok(Attempt::Skipped { reason }),
        };
        let (new, codec, limits) = (Arc::clone(&artifact.build), self.options.codec, self.limits.clone());
        let (prover, scratch) = (self.options.prover.clone(), self.options.scratch.clone());
        let make = move || encode::patch(&old, &new, codec, &limits, prover.as_ref(), scratch.as_deref());
        let attempt = encode(artifact, make).await?;
        if let Attempt::Made(made) = &attempt {
            let (size, new_size) = (made.entry.size, artifact.build.size());
            self.reporter.event(&Event::PatchMade { pair, size, new_size });
        }
        Ok(attempt)
    }
}

/// Runs an encoder on a thread that may block.
async fn encode<T: Send + 'static>(
    artifact: &Artifact,
    work: impl FnOnce() -> Result<T, EncodeError> + Send + 'static,
) -> Result<T, PublishError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|join| PublishError::Worker { reason: join.to_string() })?;
    done.map_err(|source| PublishError::Encode { artifact: artifact.label(), source })
}

/// Reads the stored files of a release and says which are as they should be. Whatever keeps one from being read, the
/// answer is to write it again.
async fn inspect(store: &Store, line: &BuildLine, release: &Release) -> Health {
    let mut health = Health {
        full: is_blob(store, &release.full.path(), release.full.size, release.full.digest).await,
        raw: !release.raw,
        patches: BTreeSet::new(),
    };
    if release.raw {
        let found = store.consume(&release.raw_path(line), release.size, |raw| digest(raw)).await;
        health.raw = matches!(found, Ok(Ok(found)) if found.sha256 == *release.sha256.as_bytes());
    }
    for entry in &release.patches {
        if is_blob(store, &entry.path(), entry.size, entry.digest).await {
            health.patches.insert(entry.old);
        }
    }
    health
}

async fn is_blob(store: &Store, key: &str, size: u64, expected: BlobDigest) -> bool {
    let found = store.consume(key, size, |blob| digest(blob)).await;
    matches!(found, Ok(Ok(found)) if blob_digest(found.blake3) == expected)
}
