//! A run: all peers on one pair after the other, round by round, so that a noisy minute hits all of them alike.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use smidgen_delta::Digest;

use crate::document::{self, in_mib, with_commas};
use crate::peer::{Files, Peer, Verb};
use crate::plot;
use crate::probe::{self, Usage};
use crate::results::{Circumstances, Cost, Figures, Outcome, PairResult, PeerResult, Results};
use crate::verdict::{self, Finding};

/// Applying is short, and so is what it is judged by: it is repeated so often, unless that takes this many CPU seconds.
const APPLY_ROUNDS: usize = 15;
const APPLY_SECONDS: f64 = 10.0;
/// Rounds that peers of a judged ratio get in any case: one round can be unlucky.
const JUDGED_ROUNDS: usize = 2;

/// What to measure and where to write it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A pair: its id, what it is, the old file, the new file.
    #[arg(long = "pair", num_args = 4, value_names = ["ID", "ABOUT", "OLD", "NEW"], required = true)]
    pairs: Vec<String>,
    /// Measure only these pairs; the others keep what an earlier run found.
    #[arg(long, value_name = "ID", num_args = 1..)]
    only: Vec<String>,
    /// Measure only these peers. Shows what it finds and keeps nothing: a table is of one run.
    #[arg(long, value_enum, num_args = 1.., value_name = "PEER")]
    peers: Vec<Peer>,
    /// Measure nothing; write document and plot again from what is kept.
    #[arg(long, conflicts_with_all = ["only", "peers"])]
    render: bool,
    /// End with an error if one of our codecs misses what is demanded of it.
    #[arg(long)]
    judge: bool,
    /// Runs of each diff at most.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// CPU seconds after which a peer's diff is not repeated any more.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// A Python that has the package `hdiffpatch`.
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Where results are kept between runs.
    #[arg(long)]
    results: PathBuf,
    /// The document whose marked section is written.
    #[arg(long)]
    document: PathBuf,
    /// The plot.
    #[arg(long)]
    plot: PathBuf,
}

struct Pair<'a> {
    id: &'a str,
    about: &'a str,
    old: &'a Path,
    new: &'a Path,
}

/// Measures, keeps, writes and judges.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let pairs: Vec<Pair<'_>> = arguments
        .pairs
        .chunks_exact(4)
        .filter_map(|chunk| match chunk {
            [id, about, old, new] => Some(Pair { id, about, old: Path::new(old), new: Path::new(new) }),
            _ => None,
        })
        .collect();
    let ids: Vec<&str> = pairs.iter().map(|pair| pair.id).collect();
    if let Some(unknown) = arguments.only.iter().find(|only| !ids.contains(&only.as_str())) {
        bail!("no pair is called {unknown:?}; there are {}", ids.join(", "));
    }
    let keeps = arguments.peers.is_empty();
    let peers: BTreeSet<Peer> =
        if keeps { Peer::ALL.into() } else { arguments.peers.iter().copied().collect() };

    let mut results = if keeps { Results::load(&arguments.results)? } else { Results::default() };
    if !arguments.render {
        let bench = Bench::new(arguments, &peers)?;
        for pair in pairs {
            if arguments.only.is_empty() || arguments.only.iter().any(|only| only == pair.id) {
                results.replace(bench.measure(&pair)?, &ids);
                // After each pair: a run that is cut short leaves what it found.
                if keeps {
                    results.save(&arguments.results)?;
                }
            }
        }
    }
    if keeps {
        write(&results, arguments)?;
    }
    let verdicts = verdict::judge(&results);
    for verdict in &verdicts {
        say(&verdict.to_string());
    }
    let holds = verdicts.iter().all(|verdict| verdict.finding == Finding::Pass);
    Ok(if arguments.judge && !holds { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn write(results: &Results, arguments: &Arguments) -> Result<()> {
    let path = &arguments.document;
    let text = fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    let plot = arguments.plot.file_name().unwrap_or(arguments.plot.as_os_str()).to_string_lossy();
    let text = document::splice(&text, &document::section(results, &plot))
        .with_context(|| format!("failed to write into {}", path.display()))?;
    fs::write(&arguments.plot, plot::draw(results))
        .with_context(|| format!("failed to write {}", arguments.plot.display()))?;
    fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}

/// What is the same for all pairs of a run.
struct Bench<'a> {
    arguments: &'a Arguments,
    circumstances: Circumstances,
    /// With the version that runs, or the reason why none does.
    peers: Vec<(Peer, Result<String, String>)>,
    scratch: tempfile::TempDir,
}

/// One peer on one pair, while the rounds go on.
struct Trial<'a> {
    peer: Peer,
    version: &'a str,
    files: Files,
    patch_size: u64,
    patch_digest: Option<Digest>,
    diffs: Vec<Usage>,
    applies: Vec<Usage>,
    failure: Option<String>,
}

impl<'a> Bench<'a> {
    fn new(arguments: &'a Arguments, peers: &BTreeSet<Peer>) -> Result<Self> {
        let folder = arguments.results.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
        let peers: Vec<_> = peers.iter().map(|peer| (*peer, peer.version(&arguments.python))).collect();
        for (peer, version) in &peers {
            if let Err(reason) = version {
                say(&format!("NOT RUN: {}: {reason}", peer.label()));
            }
        }
        let scratch = tempfile::Builder::new().prefix("run-").tempdir_in(folder)?;
        Ok(Self { arguments, circumstances: Circumstances::current(), peers, scratch })
    }

    fn measure(&self, pair: &Pair<'_>) -> Result<PairResult> {
        let size = |path: &Path| {
            let metadata = path.metadata();
            let metadata = metadata
                .with_context(|| format!("{} is not there; `cargo xtask corpus` fetches it", path.display()));
            Ok::<u64, anyhow::Error>(metadata?.len())
        };
        let (old_size, new_size) = (size(pair.old)?, size(pair.new)?);
        let mut trials: Vec<Trial<'_>> = Vec::new();
        for (peer, version) in &self.peers {
            if let Ok(version) = version {
                trials.push(Trial::new(*peer, version, self.files(*peer, pair)));
            }
        }
        for round in 0..usize::from(self.arguments.rounds) {
            for trial in &mut trials {
                trial.diff(round, self.arguments);
            }
        }
        for round in 0..APPLY_ROUNDS {
            for trial in &mut trials {
                trial.apply(round, self.arguments)?;
            }
        }
        let mut outcomes: Vec<PeerResult> = Vec::new();
        for (peer, version) in &self.peers {
            let outcome = match version {
                Err(reason) => Outcome::NotRun(reason.clone()),
                Ok(_) => match trials.iter().find(|trial| trial.peer == *peer) {
                    Some(trial) => trial.outcome(),
                    None => continue,
                },
            };
            say(&format!("{:<16} {:<18} {}", pair.id, peer.label(), told(&outcome)));
            outcomes.push(PeerResult { peer: peer.name().to_owned(), outcome });
        }
        Ok(PairResult {
            id: pair.id.to_owned(),
            about: pair.about.to_owned(),
            old_size,
            new_size,
            circumstances: self.circumstances.clone(),
            peers: outcomes,
        })
    }

    fn files(&self, peer: Peer, pair: &Pair<'_>) -> Files {
        let path = |what: &str| self.scratch.path().join(format!("{}.{what}", peer.name()));
        Files {
            old: pair.old.to_owned(),
            new: pair.new.to_owned(),
            patch: path("patch"),
            rebuilt: path("rebuilt"),
        }
    }
}

impl<'a> Trial<'a> {
    fn new(peer: Peer, version: &'a str, files: Files) -> Self {
        Self {
            peer,
            version,
            files,
            patch_size: 0,
            patch_digest: None,
            diffs: Vec::new(),
            applies: Vec::new(),
            failure: None,
        }
    }

    fn diff(&mut self, round: usize, arguments: &Arguments) {
        let judged = matches!(self.peer, Peer::OursClassic | Peer::OursReference | Peer::BidiffZstd);
        if self.failure.is_some() || !goes_on(&self.diffs, round, judged, arguments.seconds) {
            return;
        }
        let measured = self.peer.command(Verb::Diff, &self.files, &arguments.python).and_then(|command| {
            let usage = probe::measure(&command)?;
            let patch = fs::read(&self.files.patch).context("failed to read the patch")?;
            Ok((usage, patch.len() as u64, Digest::of(&patch)))
        });
        match measured {
            Err(error) => self.failure = Some(format!("diff: {error:#}")),
            Ok((_, _, digest)) if self.peer.is_ours() && self.patch_digest.is_some_and(|it| it != digest) => {
                self.failure = Some("diff: two runs made different patches".to_owned());
            }
            Ok((usage, size, digest)) => {
                self.diffs.push(usage);
                self.patch_size = size;
                self.patch_digest = Some(digest);
            }
        }
    }

    fn apply(&mut self, round: usize, arguments: &Arguments) -> Result<()> {
        // What is judged here is short: all peers get the same rounds.
        if self.failure.is_some() || !goes_on(&self.applies, round, true, APPLY_SECONDS) {
            return Ok(());
        }
        let command = self.peer.command(Verb::Apply, &self.files, &arguments.python)?;
        match probe::measure(&command) {
            Err(error) => self.failure = Some(format!("apply: {error:#}")),
            Ok(usage) => {
                if same(&self.files.rebuilt, &self.files.new)? {
                    self.applies.push(usage);
                } else {
                    self.failure = Some("apply: the rebuilt file is not the new file".to_owned());
                }
                // Each run creates its file; none is spared by what another one left.
                fs::remove_file(&self.files.rebuilt)?;
            }
        }
        Ok(())
    }

    fn outcome(&self) -> Outcome {
        match (&self.failure, Cost::of(&self.diffs), Cost::of(&self.applies)) {
            (None, Some(diff), Some(apply)) => Outcome::Measured(Figures {
                version: self.version.to_owned(),
                patch_size: self.patch_size,
                diff,
                apply,
            }),
            (failure, _, _) => Outcome::Failed(failure.clone().unwrap_or_else(|| "never run".to_owned())),
        }
    }
}

/// Whether a job that has been run so often gets another round.
fn goes_on(runs: &[Usage], round: usize, judged: bool, seconds: f64) -> bool {
    let spent: f64 = runs.iter().map(|usage| usage.cpu).sum();
    round == 0 || (judged && round < JUDGED_ROUNDS) || spent < seconds
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Measured(figures) => format!(
            "{:>11} bytes   diff {:>8.3} s {:>6} MiB   apply {:>7.1} ms {:>6} MiB",
            with_commas(figures.patch_size),
            figures.diff.cpu,
            in_mib(figures.diff.peak),
            figures.apply.cpu * 1e3,
            in_mib(figures.apply.peak),
        ),
        Outcome::NotRun(reason) => format!("not run: {reason}"),
        Outcome::Failed(reason) => format!("FAILED: {reason}"),
    }
}

/// Whether two files hold the same bytes.
fn same(one: &Path, other: &Path) -> Result<bool> {
    let open = |path: &Path| {
        let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        Ok::<_, anyhow::Error>((file.metadata()?.len(), BufReader::new(file)))
    };
    let ((one_size, mut one), (other_size, mut other)) = (open(one)?, open(other)?);
    if one_size != other_size {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut remaining = one_size;
    while remaining > 0 {
        let len = left.len().min(usize::try_from(remaining).unwrap_or(usize::MAX));
        let (Some(left), Some(right)) = (left.get_mut(..len), right.get_mut(..len)) else { break };
        read_both(&mut one, left, &mut other, right)?;
        if left != right {
            return Ok(false);
        }
        remaining -= len as u64;
    }
    Ok(true)
}

fn read_both(
    one: &mut impl Read,
    left: &mut [u8],
    other: &mut impl Read,
    right: &mut [u8],
) -> io::Result<()> {
    one.read_exact(left)?;
    other.read_exact(right)
}

#[allow(clippy::print_stderr, reason = "progress of a developer's command")]
fn say(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_equal_files_from_different_ones() {
        let scratch = tempfile::tempdir().expect("a folder");
        let file = |name: &str, content: &[u8]| {
            let path = scratch.path().join(name);
            fs::write(&path, content).expect("writable");
            path
        };
        let long = vec![3; 200_000];
        let mut changed = long.clone();
        changed[150_000] = 4;
        let (a, b) = (file("a", &long), file("b", &long));
        assert!(same(&a, &b).expect("readable"));
        assert!(!same(&a, &file("c", &changed)).expect("readable"));
        assert!(!same(&a, &file("d", &long[1..])).expect("readable"));
        assert!(same(&file("e", b""), &file("f", b"")).expect("readable"));
    }

    #[test]
    fn repeats_what_is_short_or_judged() {
        let slow = [Usage { cpu: 30.0, peak: 1 }];
        assert!(goes_on(&[], 0, false, 20.0));
        assert!(!goes_on(&slow, 1, false, 20.0));
        assert!(goes_on(&slow, 1, true, 20.0));
        assert!(!goes_on(&slow, 2, true, 20.0));
        assert!(goes_on(&[Usage { cpu: 0.1, peak: 1 }], 4, false, 20.0));
    }
}
