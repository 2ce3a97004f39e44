//! A run: all peers on one pair after the other, round by round, so that a noisy minute hits all of them alike.

mod trial;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use trial::{APPLY_ROUNDS, Trial};

use crate::aim;
use crate::document::{self, in_mib, with_commas};
use crate::goals::Goals;
use crate::pair::{Pair, Pairs};
use crate::peer::{self, Files, Peer};
use crate::plot;
use crate::probe;
use crate::results::{Circumstances, Outcome, PairResult, PeerResult, Results, Threads};
use crate::verdict::{self, Finding};

/// Runs of a process that does nothing.
const FLOOR_ROUNDS: usize = 3;

/// What to measure and where to write it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pairs: Pairs,
    /// What is demanded of the reference-aware patch of a pair, in bytes: not to exceed, to aim at, and a peer's that is quoted.
    #[arg(long, num_args = Goals::WORDS.len(), value_names = Goals::WORDS)]
    goals: Vec<String>,
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

/// Measures, keeps, writes and judges.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let pairs = arguments.pairs.chosen()?;
    let ids = arguments.pairs.ids();
    let goals = Goals::parse(&arguments.goals)?;
    let keeps = arguments.peers.is_empty();
    let peers: BTreeSet<Peer> =
        if keeps { Peer::ALL.into() } else { arguments.peers.iter().copied().collect() };

    let mut results = if keeps { Results::load(&arguments.results)? } else { Results::default() };
    if !arguments.render {
        let bench = Bench::new(arguments, &peers)?;
        for pair in pairs {
            results.replace(bench.measure(&pair)?, &ids);
            // After each pair: a run that is cut short leaves what it found.
            if keeps {
                results.save(&arguments.results)?;
            }
        }
    }
    for pair in &mut results.pairs {
        pair.goals = goals.get(&pair.id).cloned();
    }
    if keeps {
        write(&results, arguments)?;
    }
    let verdicts = verdict::judge(&results);
    for verdict in &verdicts {
        say(&verdict.to_string());
    }
    for standing in aim::standings(&results) {
        say(&standing.to_string());
    }
    let holds = verdicts.iter().all(|verdict| verdict.finding() == Finding::Pass);
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
                trials.push(Trial::new(*peer, version, self.files(peer.name(), pair)));
            }
        }
        let mut two_threads = self.two_threads(pair);
        for round in 0..usize::from(self.arguments.rounds) {
            for trial in trials.iter_mut().chain(&mut two_threads) {
                trial.diff(round, self.arguments);
            }
        }
        for round in 0..APPLY_ROUNDS {
            for trial in &mut trials {
                trial.apply(round, self.arguments)?;
            }
        }
        let threads = two_threads.and_then(|two| {
            if let Some(failure) = &two.failure {
                say(&format!("{:<16} FAILED with two threads: {failure}", pair.id));
            }
            let one = trials.iter().find(|trial| trial.peer == two.peer)?;
            one.beside(&two)
        });
        if let Some(Threads { one, two, .. }) = threads {
            say(&format!("{:<16} on the clock: one thread {one:.2} s, two {two:.2} s", pair.id));
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
            floor: Some(floor()?),
            goals: None,
            circumstances: self.circumstances.clone(),
            peers: outcomes,
            threads,
        })
    }

    /// The reference codec with two threads, where there is a second core for them.
    fn two_threads(&self, pair: &Pair<'_>) -> Option<Trial<'_>> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (peer, version) = self.peers.iter().find(|(peer, _)| *peer == Peer::OursReference)?;
        let version = version.as_ref().ok().filter(|_| cores >= 2)?;
        Some(Trial::new(*peer, version, self.files("two-threads", pair)).with_threads(2))
    }

    fn files(&self, name: &str, pair: &Pair<'_>) -> Files {
        let path = |what: &str| self.scratch.path().join(format!("{name}.{what}"));
        Files {
            old: pair.old.to_owned(),
            new: pair.new.to_owned(),
            patch: path("patch"),
            rebuilt: path("rebuilt"),
        }
    }
}

/// Peak memory of a process that does nothing: the least of a few, since it is what all the others have at any rate.
fn floor() -> Result<u64> {
    let mut least = u64::MAX;
    for _ in 0..FLOOR_ROUNDS {
        least = least.min(probe::measure(&peer::nothing()?)?.peak);
    }
    Ok(least)
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

#[allow(clippy::print_stderr, reason = "progress of a developer's command")]
fn say(line: &str) {
    eprintln!("{line}");
}
