//! What publishing still has to do, worked out from the state of the repository and from what was made so far.
//!
//! A pure function, asked again whenever either has changed. That is how a run follows others who publish at the same
//! time, and how it finishes what a crashed run began.

use bytes::Bytes;
use smidgen_metadata::{
    BuildLine, BuildPrefix, HistoryEntry, Line, PatchEntry, PluginRelease, Release, Role,
};

use super::artifact::Artifact;
use super::{PatchOutcome, PatchReport, PublishError, PublishOptions, Published};
use crate::encode::{Attempt, Cost, MadeFull, MadePatch};
use crate::repository::State;

/// What has to be done next.
#[derive(Debug)]
pub(super) enum Plan {
    /// Something has to be made or looked at first.
    Work(Vec<Work>),
    /// Everything is there: one answer for each artifact, in their order.
    Ready(Vec<Planned>),
}

/// One independent piece of work. `artifact` is an index.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Read the stored files of a release that is listed already.
    Inspect { artifact: usize, release: Box<Release> },
    /// Look for old releases that are not listed any more, in older versions of the line's role.
    Recall { artifact: usize, role: String, before: u64, entries: Vec<HistoryEntry> },
    /// Make the full copy.
    Full { artifact: usize },
    /// Make the patch from an old release.
    Patch { artifact: usize, old: Box<Release> },
}

/// How an artifact will be listed.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) outcome: Published,
    pub(super) sequence: u64,
    /// The release as it will be; `None` when it is no longer listed.
    pub(super) release: Option<Release>,
    /// Whether targets metadata says so already.
    pub(super) listed: bool,
    /// Files that must be in the store before it is listed.
    pub(super) files: Vec<(String, Bytes)>,
    pub(super) patches: Vec<PatchReport>,
}

/// Plans all artifacts over one state.
pub(super) fn plan(
    state: &State,
    artifacts: &[Artifact],
    options: &PublishOptions,
) -> Result<Plan, PublishError> {
    let mut work = Vec::new();
    let mut planned = Vec::new();
    for (index, artifact) in artifacts.iter().enumerate() {
        let line = read_line(state, artifact)?;
        match judge(&line, artifact)? {
            Verdict::New => match plan_new(index, artifact, state, &line, options) {
                Ok(plan) => planned.push(plan),
                Err(more) => work.extend(more),
            },
            Verdict::Listed(release) => match plan_listed(index, artifact, state, &line, release) {
                Ok(plan) => planned.push(plan),
                Err(more) => work.extend(more),
            },
            Verdict::Unlisted(entry) => planned.push(Planned {
                outcome: Published::Already,
                sequence: entry.sequence,
                release: None,
                listed: true,
                files: Vec::new(),
                patches: Vec::new(),
            }),
        }
    }
    Ok(if work.is_empty() { Plan::Ready(planned) } else { Plan::Work(work) })
}

/// The lines that change, as they will be.
pub(super) fn changed_lines(
    state: &State,
    artifacts: &[Artifact],
    planned: &[Planned],
    options: &PublishOptions,
) -> Result<Vec<(BuildLine, Line)>, PublishError> {
    let mut changed = Vec::new();
    for (artifact, planned) in artifacts.iter().zip(planned) {
        let Some(release) = planned.release.as_ref().filter(|_| !planned.listed) else { continue };
        let mut line = read_line(state, artifact)?;
        if let Some(listed) = line.releases_mut().find(|listed| listed.sequence == release.sequence) {
            listed.clone_from(release);
        } else {
            let unlistable = |source| PublishError::Unlistable { line: artifact.line_label(), source };
            line.push(release.clone(), &artifact.line).map_err(unlistable)?;
        }
        line.keep_newest(options.listed);
        changed.push((artifact.line.clone(), line));
    }
    Ok(changed)
}

fn read_line(state: &State, artifact: &Artifact) -> Result<Line, PublishError> {
    let line = state
        .line(&artifact.line)
        .map_err(|fault| PublishError::LineMalformed { line: artifact.line_label(), fault })?;
    Ok(line.unwrap_or_default())
}

enum Verdict<'a> {
    /// Neither its version nor its build is known.
    New,
    /// Published and listed.
    Listed(&'a Release),
    /// Published, but newer releases have pushed it out of the list.
    Unlisted(&'a HistoryEntry),
}

fn judge<'a>(line: &'a Line, artifact: &Artifact) -> Result<Verdict<'a>, PublishError> {
    let request = &artifact.request;
    let build = artifact.blake3();
    let label = || artifact.line_label();
    let Some(entry) = line.history().iter().rev().find(|entry| entry.version == request.version) else {
        return match line.find_build(&build) {
            None => Ok(Verdict::New),
            Some(entry) => Err(PublishError::BuildTaken {
                line: label(),
                version: entry.version.to_string(),
                sequence: entry.sequence,
            }),
        };
    };
    let (version, sequence) = (entry.version.to_string(), entry.sequence);
    if entry.build != build.prefix() {
        return Err(PublishError::VersionTaken {
            line: label(),
            version,
            sequence,
            build: entry.build.to_string(),
        });
    }
    if entry.withdrawn {
        return Err(PublishError::Withdrawn { line: label(), version, sequence });
    }
    let differs = |what, found: String, given: String| {
        Err(PublishError::ReleaseDiffers { line: label(), version: version.clone(), what, found, given })
    };
    if entry.severity != request.severity {
        return differs("severity", entry.severity.to_string(), request.severity.to_string());
    }
    let given = sorted(&request.plugins);
    if sorted(&entry.plugins) != given {
        return differs("plugins", spell(&entry.plugins), spell(&given));
    }
    let Some(release) = line.release(sequence) else { return Ok(Verdict::Unlisted(entry)) };
    if release.name != artifact.name {
        return differs("name", release.name.to_string(), artifact.name.to_string());
    }
    if release.mode != artifact.mode {
        return differs("mode", format!("{:03o}", release.mode), format!("{:03o}", artifact.mode));
    }
    if release.notes != request.notes {
        return differs("notes", quote(release.notes.as_ref()), quote(request.notes.as_ref()));
    }
    Ok(Verdict::Listed(release))
}

fn sorted(plugins: &[PluginRelease]) -> Vec<PluginRelease> {
    let mut plugins = plugins.to_vec();
    plugins.sort();
    plugins
}

fn spell(plugins: &[PluginRelease]) -> String {
    plugins.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn quote(notes: Option<&String>) -> String {
    notes.map_or_else(|| "none".into(), |notes| format!("{notes:?}"))
}

/// A new release: its full copy and a patch from each of the builds before it, as far as they pay. Withdrawn builds too:
/// whoever has one needs the way out most.
fn plan_new(
    index: usize,
    artifact: &Artifact,
    state: &State,
    line: &Line,
    options: &PublishOptions,
) -> Result<Planned, Vec<Work>> {
    let mut olds: Vec<(&HistoryEntry, Option<&Release>)> = Vec::new();
    let mut work = Vec::new();
    let mut forgotten = Vec::new();
    for entry in line.history().iter().rev().take(options.previous) {
        let old = match (line.release(entry.sequence), artifact.recalled.get(&entry.sequence)) {
            (Some(listed), _) => Some(listed),
            (None, Some(recalled)) => recalled.as_ref(),
            (None, None) => {
                forgotten.push(entry.clone());
                continue;
            }
        };
        if let Some(old) = old.filter(|old| !artifact.attempts.contains_key(&old.sequence)) {
            work.push(Work::Patch { artifact: index, old: Box::new(old.clone()) });
        }
        olds.push((entry, old));
    }
    work.extend(recall(index, artifact, state, forgotten));
    let Some(full) = artifact.full.as_ref() else {
        work.push(Work::Full { artifact: index });
        return Err(work);
    };
    if !work.is_empty() {
        return Err(work);
    }
    let mut release = Release {
        sequence: line.next_sequence(),
        version: artifact.request.version.clone(),
        severity: artifact.request.severity,
        plugins: sorted(&artifact.request.plugins),
        name: artifact.name.clone(),
        size: artifact.build.size(),
        sha256: artifact.sha256(),
        blake3: artifact.blake3(),
        mode: artifact.mode,
        full: full.blob,
        patches: Vec::new(),
        raw: options.raw,
        notes: artifact.request.notes.clone(),
        unknown: Default::default(),
    };
    let mut files = vec![(release.full.path(), full.bytes.clone())];
    if options.raw {
        files.push((release.raw_path(&artifact.line), artifact.raw_bytes()));
    }
    let mut patches = Vec::new();
    for (entry, old) in olds {
        let attempt = old.and_then(|old| artifact.attempts.get(&old.sequence));
        let outcome = match attempt.map(|attempt| decide(attempt, full)) {
            None => PatchOutcome::Skipped {
                reason: "the old build is not listed any more, and its files are gone".into(),
            },
            Some(Err(reason)) => PatchOutcome::Skipped { reason },
            Some(Ok(made)) => {
                files.push((made.entry.path(), made.bytes.clone()));
                release.patches.push(made.entry.clone());
                outcome_of(made, full.blob.size)
            }
        };
        let (old_version, old_sequence) = (entry.version.to_string(), entry.sequence);
        patches.push(PatchReport { old_version, old_sequence, outcome });
    }
    let (outcome, sequence) = (Published::Added, release.sequence);
    Ok(Planned { outcome, sequence, release: Some(release), listed: false, files, patches })
}

/// A release that is listed already: whatever of its files is lost or damaged is made again.
fn plan_listed(
    index: usize,
    artifact: &Artifact,
    state: &State,
    line: &Line,
    listed: &Release,
) -> Result<Planned, Vec<Work>> {
    let Some(health) = &artifact.health else {
        return Err(vec![Work::Inspect { artifact: index, release: Box::new(listed.clone()) }]);
    };
    let remembered = |old: BuildPrefix| line.history().iter().find(|known| known.build == old);
    let recalled = |old: BuildPrefix| artifact.recalled.get(&remembered(old)?.sequence);
    let old_release = |old: BuildPrefix| {
        let listed = line.releases().iter().find(|release| release.blake3.prefix() == old);
        listed.or_else(|| recalled(old)?.as_ref())
    };
    let damaged = |entry: &&PatchEntry| !health.patches.contains(&entry.old);
    let mut work = Vec::new();
    let unasked = |entry: &&PatchEntry| old_release(entry.old).is_none() && recalled(entry.old).is_none();
    let forgotten = listed.patches.iter().filter(damaged).filter(unasked);
    let forgotten: Vec<HistoryEntry> = forgotten.filter_map(|entry| remembered(entry.old)).cloned().collect();
    work.extend(recall(index, artifact, state, forgotten));
    for entry in listed.patches.iter().filter(damaged) {
        if let Some(old) = old_release(entry.old)
            && !artifact.attempts.contains_key(&old.sequence)
        {
            work.push(Work::Patch { artifact: index, old: Box::new(old.clone()) });
        }
    }
    let full_size = match (&artifact.full, health.full) {
        (_, true) => listed.full.size,
        (Some(full), false) => full.blob.size,
        (None, false) => {
            work.push(Work::Full { artifact: index });
            0
        }
    };
    if !work.is_empty() {
        return Err(work);
    }

    let mut release = listed.clone();
    let mut files = Vec::new();
    if let Some(full) = artifact.full.as_ref().filter(|_| !health.full) {
        release.full = full.blob;
        files.push((release.full.path(), full.bytes.clone()));
    }
    if listed.raw && !health.raw {
        files.push((release.raw_path(&artifact.line), artifact.raw_bytes()));
    }
    let mut patches = Vec::new();
    release.patches.clear();
    for entry in &listed.patches {
        let remembered = remembered(entry.old);
        let report = |outcome| PatchReport {
            old_version: remembered.map_or_else(String::new, |known| known.version.to_string()),
            old_sequence: remembered.map_or(0, |known| known.sequence),
            outcome,
        };
        if health.patches.contains(&entry.old) {
            release.patches.push(entry.clone());
            patches.push(report(outcome(entry, Cost::default(), full_size)));
            continue;
        }
        let attempt = old_release(entry.old).and_then(|old| artifact.attempts.get(&old.sequence));
        let made = match attempt {
            Some(Attempt::Made(made)) => made,
            Some(Attempt::Skipped { reason, .. }) => {
                patches.push(report(PatchOutcome::Skipped { reason: reason.clone() }));
                continue;
            }
            None => {
                let reason = "it was damaged, and the files of its old build are gone".into();
                patches.push(report(PatchOutcome::Skipped { reason }));
                continue;
            }
        };
        files.push((made.entry.path(), made.bytes.clone()));
        patches.push(report(outcome_of(made, full_size)));
        release.patches.push(made.entry.clone());
    }
    let outcome =
        if files.is_empty() && release == *listed { Published::Already } else { Published::Restored };
    let unchanged = release == *listed;
    Ok(Planned {
        outcome,
        sequence: listed.sequence,
        release: Some(release),
        listed: unchanged,
        files,
        patches,
    })
}

/// The work of looking for releases that are not listed any more, if there are any.
fn recall(index: usize, artifact: &Artifact, state: &State, entries: Vec<HistoryEntry>) -> Option<Work> {
    let role = state.role_of(&artifact.line).filter(|_| !entries.is_empty())?.to_owned();
    let before = state.delegated(&role).map_or(0, Role::version);
    Some(Work::Recall { artifact: index, role, before, entries })
}

/// Whether an attempt is worth listing beside the full copy; if not, why.
fn decide<'a>(attempt: &'a Attempt, full: &MadeFull) -> Result<&'a MadePatch, String> {
    match attempt {
        Attempt::Skipped { reason } => Err(reason.clone()),
        Attempt::Made(made) if made.entry.size >= full.blob.size => {
            Err(format!("the patch has {} bytes, the full copy only {}", made.entry.size, full.blob.size))
        }
        Attempt::Made(made) => Ok(made),
    }
}

fn outcome_of(made: &MadePatch, full_size: u64) -> PatchOutcome {
    outcome(&made.entry, made.cost, full_size)
}

fn outcome(entry: &PatchEntry, cost: Cost, full_size: u64) -> PatchOutcome {
    PatchOutcome::Made {
        size: entry.size,
        saved: full_size.saturating_sub(entry.size),
        codec: entry.codec.to_string(),
        cpu_seconds: cost.cpu.as_secs_f64(),
        apply_memory: entry.memory(),
        apply_peak: entry.peak(),
    }
}
