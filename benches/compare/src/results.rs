//! What was measured, and how it is kept between runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::goals::Goals;
use crate::peer::Peer;
use crate::probe::Usage;

/// Everything that is known, in the order of the list of pairs.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) pairs: Vec<PairResult>,
}

/// All peers on one pair, measured in one run: only these may be compared with each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PairResult {
    pub(crate) id: String,
    /// Language and format.
    pub(crate) about: String,
    pub(crate) old_size: u64,
    pub(crate) new_size: u64,
    /// Peak memory in bytes of a process that does nothing; unknown in results that are older than this field.
    #[serde(default)]
    pub(crate) floor: Option<u64>,
    /// Where any are set. Not kept: they may change after measuring.
    #[serde(skip)]
    pub(crate) goals: Option<Goals>,
    pub(crate) circumstances: Circumstances,
    pub(crate) peers: Vec<PeerResult>,
    /// Not measured on a machine with one core; unknown in results that are older than this field.
    #[serde(default)]
    pub(crate) threads: Option<Threads>,
}

/// The reference codec's diff with one thread and with two: the least seconds on the clock of each, taken in turns.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Threads {
    pub(crate) one: f64,
    pub(crate) two: f64,
    /// Whether all runs of both made the same bytes.
    pub(crate) same_patch: bool,
}

/// When, where and on which state of the source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Circumstances {
    /// UTC, `YYYY-MM-DD`.
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) machine: String,
}

/// One peer on one pair.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PeerResult {
    /// [`Peer::name`].
    pub(crate) peer: String,
    pub(crate) outcome: Outcome,
}

/// How it went.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Measured(Figures),
    /// Not installed here.
    NotRun(String),
    /// Ended with an error, or did not rebuild the new file.
    Failed(String),
}

/// What a peer took and made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figures {
    pub(crate) version: String,
    pub(crate) patch_size: u64,
    pub(crate) diff: Cost,
    pub(crate) apply: Cost,
}

/// The cost of one job over several runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// Seconds: the least of all runs, because what a neighbour adds is noise.
    pub(crate) cpu: f64,
    /// Bytes: the most of all runs, because it has to be there.
    pub(crate) peak: u64,
    pub(crate) runs: usize,
}

impl Cost {
    /// `None` without a run.
    pub(crate) fn of(runs: &[Usage]) -> Option<Self> {
        let first = runs.first()?;
        let cpu = runs.iter().map(|usage| usage.cpu).fold(first.cpu, f64::min);
        let peak = runs.iter().map(|usage| usage.peak).fold(first.peak, u64::max);
        Some(Self { cpu, peak, runs: runs.len() })
    }
}

impl PairResult {
    /// Bytes of old and new.
    pub(crate) fn both_sizes(&self) -> u64 {
        self.old_size + self.new_size
    }

    /// The figures of a peer that was measured on this pair.
    pub(crate) fn figures(&self, peer: Peer) -> Option<&Figures> {
        match self.outcome(peer)? {
            Outcome::Measured(figures) => Some(figures),
            Outcome::NotRun(_) | Outcome::Failed(_) => None,
        }
    }

    /// The smallest patch that somebody else's codec made in this run, and whose it is.
    pub(crate) fn best_rival(&self) -> Option<(Peer, u64)> {
        let rivals = Peer::ALL.into_iter().filter(|peer| peer.is_rival());
        let sizes = rivals.filter_map(|peer| Some((peer, self.figures(peer)?.patch_size)));
        sizes.min_by_key(|(_, size)| *size)
    }

    /// How the peer fared, if it was asked.
    pub(crate) fn outcome(&self, peer: Peer) -> Option<&Outcome> {
        self.peers.iter().find(|result| result.peer == peer.name()).map(|result| &result.outcome)
    }
}

impl Results {
    /// What an earlier run left; nothing if there was none.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("failed to understand {}; delete it and measure again", path.display()))
    }

    /// Keeps the results.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
    }

    /// Takes over a newly measured pair; pairs keep the order of `ids`, and a pair that is not listed any more is dropped.
    pub(crate) fn replace(&mut self, pair: PairResult, ids: &[&str]) {
        self.pairs.retain(|known| known.id != pair.id);
        self.pairs.push(pair);
        self.pairs.retain(|known| ids.contains(&known.id.as_str()));
        self.pairs.sort_by_key(|known| ids.iter().position(|id| *id == known.id));
    }

    /// Geometric mean of `value` over the pairs where it is known, and how many those are.
    pub(crate) fn geometric_mean(&self, value: impl Fn(&PairResult) -> Option<f64>) -> Option<(f64, usize)> {
        let logs: Vec<f64> = self.pairs.iter().filter_map(value).map(f64::ln).collect();
        let count = logs.len();
        (count > 0).then(|| ((logs.iter().sum::<f64>() / count as f64).exp(), count))
    }
}

impl Circumstances {
    /// Here and now.
    pub(crate) fn current() -> Self {
        let commit = Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10"]).output();
        let commit = commit.ok().filter(|output| output.status.success());
        Self {
            date: Timestamp::now().strftime("%Y-%m-%d").to_string(),
            commit: commit.map_or_else(
                || "an unknown commit".to_owned(),
                |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
            ),
            machine: machine(),
        }
    }
}

/// Processor, cores and memory as Linux tells them; elsewhere the platform's name.
fn machine() -> String {
    let field = |path: &str, name: &str| {
        let text = fs::read_to_string(path).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|total| total.trim_end_matches(" kB").parse::<u64>().ok())
        .map_or_else(String::new, |kib| format!(", {} GiB", (kib + (1 << 19)) >> 20));
    format!("{processor}, {cores} cores{memory}, {}", std::env::consts::OS)
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;
    use crate::goals::Quoted;

    /// With a figure of Zucchini quoted.
    pub(crate) fn goals(must: u64, aim: u64, quoted: u64) -> Goals {
        Goals { must, aim, quoted: Quoted { peer: "Zucchini".into(), size: quoted } }
    }

    /// A pair on which each named peer took `cpu` seconds and `peak` bytes for both jobs.
    pub(crate) fn pair(id: &str, peers: &[(Peer, u64, f64, u64)]) -> PairResult {
        let peers = peers
            .iter()
            .map(|(peer, patch_size, cpu, peak)| {
                let cost = Cost { cpu: *cpu, peak: *peak, runs: 1 };
                let figures =
                    Figures { version: "1".into(), patch_size: *patch_size, diff: cost, apply: cost };
                PeerResult { peer: peer.name().into(), outcome: Outcome::Measured(figures) }
            })
            .collect();
        PairResult {
            id: id.into(),
            about: "C++, ELF/x86-64".into(),
            old_size: 11_000_000,
            new_size: 11_000_000,
            floor: None,
            goals: None,
            circumstances: Circumstances {
                date: "2026-01-02".into(),
                commit: "abc".into(),
                machine: "abacus".into(),
            },
            peers,
            threads: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_least_cpu_and_the_most_memory() {
        let runs = [Usage { cpu: 2.0, wall: 2.0, peak: 5 }, Usage { cpu: 1.0, wall: 3.0, peak: 4 }];
        assert_eq!(Cost::of(&runs), Some(Cost { cpu: 1.0, peak: 5, runs: 2 }));
        assert_eq!(Cost::of(&[]), None);
    }

    #[test]
    fn a_new_measurement_replaces_the_pair_and_keeps_the_order_of_the_list() {
        let mut results = Results::default();
        for (id, size) in [("b", 1), ("gone", 1), ("a", 1), ("b", 2)] {
            let ids = ["a", "b", if id == "gone" { "gone" } else { "c" }];
            results.replace(samples::pair(id, &[(Peer::Bsdiff, size, 1.0, 1)]), &ids);
        }
        let sizes: Vec<(&str, u64)> = results
            .pairs
            .iter()
            .map(|pair| {
                (pair.id.as_str(), pair.figures(Peer::Bsdiff).map_or(0, |figures| figures.patch_size))
            })
            .collect();
        assert_eq!(sizes, [("a", 1), ("b", 2)]);
    }

    #[test]
    fn results_survive_being_kept() {
        let scratch = tempfile::tempdir().expect("a folder");
        let path = scratch.path().join("results.json");
        assert!(Results::load(&path).expect("nothing is fine").pairs.is_empty());
        let mut results = Results::default();
        let mut pair = samples::pair("a", &[(Peer::Zstd, 7, 0.5, 9)]);
        pair.peers.push(PeerResult { peer: "bsdiff".into(), outcome: Outcome::NotRun("no bsdiff".into()) });
        results.replace(pair, &["a"]);
        results.save(&path).expect("writable");
        let loaded = Results::load(&path).expect("readable");
        assert_eq!(format!("{loaded:?}"), format!("{results:?}"));
        fs::write(&path, "{").expect("writable");
        assert!(Results::load(&path).expect_err("cut short").to_string().contains("measure again"));
    }
}
