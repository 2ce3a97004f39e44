//! What is demanded of our codecs, judged by the peers of the same run.

use std::fmt;

use crate::document::{in_mib, with_commas};
use crate::peer::Peer;
use crate::results::{Figures, PairResult, Results};

/// What a sectioned patch may need more than the peer's stream: its container's header.
const HEADER_ALLOWANCE: u64 = 100;
/// Diffing may take this much of the peer's CPU.
const DIFF_TOLERANCE: f64 = 1.05;
/// Applying takes at most this part of `bspatch`'s CPU.
const APPLY_SPEED_UP: f64 = 5.0;
/// Peak memory of a process that applies a patch for a file of up to [`EDGE_SIZE`].
const APPLY_PEAK: u64 = 24 << 20;
const EDGE_SIZE: u64 = 12_000_000;

/// One demand on one pair.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) demand: Demand,
    pub(crate) peer: Peer,
    pub(crate) pair: String,
    pub(crate) finding: Finding,
    /// What was measured, with its unit.
    pub(crate) found: String,
    /// What is allowed.
    pub(crate) allowed: String,
}

/// What is demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    PatchSize,
    DiffCpu,
    ApplyCpu,
    ApplyPeak,
    ReferenceSize,
    ReferenceDiffCpu,
    ReferenceApplyCpu,
}

/// Whether it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Pass,
    Fail,
    /// One of the two peers was not measured.
    Open,
}

impl Demand {
    /// In the order of the document.
    pub(crate) const ALL: [Self; 7] = [
        Self::PatchSize,
        Self::DiffCpu,
        Self::ApplyCpu,
        Self::ApplyPeak,
        Self::ReferenceSize,
        Self::ReferenceDiffCpu,
        Self::ReferenceApplyCpu,
    ];

    /// The demand in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::PatchSize => "patch not larger than bidiff + zstd by more than 100 bytes",
            Self::DiffCpu => "diff CPU at most 1.05 of bidiff + zstd",
            Self::ApplyCpu => "apply CPU, digests included, at most a fifth of bspatch",
            Self::ApplyPeak => "peak memory to apply under 24 MiB for a file of up to 12 MB",
            Self::ReferenceSize => "patch not larger than the best peer's by more than 100 bytes",
            Self::ReferenceDiffCpu => "diff CPU at most that of bidiff + zstd",
            Self::ReferenceApplyCpu => "apply CPU, digests included, at most that of bspatch",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Open => "OPEN",
        })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { demand, peer, pair, finding, found, allowed } = self;
        write!(f, "{finding} {pair} {}: {}: {found}, allowed {allowed}", peer.label(), demand.words())
    }
}

/// Judges every pair.
pub(crate) fn judge(results: &Results) -> Vec<Verdict> {
    results.pairs.iter().flat_map(judge_pair).collect()
}

fn judge_pair(pair: &PairResult) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    let mut add = |demand, peer, outcome: Option<(bool, String, String)>| {
        let (finding, found, allowed) = match outcome {
            Some((true, found, allowed)) => (Finding::Pass, found, allowed),
            Some((false, found, allowed)) => (Finding::Fail, found, allowed),
            None => (Finding::Open, "not measured".to_owned(), "unknown".to_owned()),
        };
        verdicts.push(Verdict { demand, peer, pair: pair.id.clone(), finding, found, allowed });
    };
    let in_ms = |seconds: f64| format!("{:.1} ms", seconds * 1e3);
    let sizes = |ours: &Figures, allowed: u64| {
        (ours.patch_size <= allowed, with_commas(ours.patch_size), with_commas(allowed))
    };
    let diffs = |(ours, theirs): (&Figures, &Figures), tolerance: f64| {
        let allowed = theirs.diff.cpu * tolerance;
        (ours.diff.cpu <= allowed, format!("{:.2} s", ours.diff.cpu), format!("{allowed:.2} s"))
    };
    let applies = |(ours, theirs): (&Figures, &Figures), speed_up: f64| {
        let allowed = theirs.apply.cpu / speed_up;
        (ours.apply.cpu <= allowed, in_ms(ours.apply.cpu), in_ms(allowed))
    };

    let classic = Peer::OursClassic;
    let twin = both(pair, classic, Peer::BidiffZstd);
    let size = twin.map(|(ours, theirs)| sizes(ours, theirs.patch_size + HEADER_ALLOWANCE));
    add(Demand::PatchSize, classic, size);
    add(Demand::DiffCpu, classic, twin.map(|twin| diffs(twin, DIFF_TOLERANCE)));
    for peer in [classic, Peer::OursBidiff] {
        let outcome = both(pair, peer, Peer::Bsdiff).map(|two| applies(two, APPLY_SPEED_UP));
        add(Demand::ApplyCpu, peer, outcome);
    }
    let reference = Peer::OursReference;
    if pair.new_size <= EDGE_SIZE {
        for peer in [classic, Peer::OursBidiff, reference] {
            let in_mib = |bytes| format!("{} MiB", in_mib(bytes));
            let outcome = pair
                .figures(peer)
                .map(|ours| (ours.apply.peak < APPLY_PEAK, in_mib(ours.apply.peak), in_mib(APPLY_PEAK)));
            add(Demand::ApplyPeak, peer, outcome);
        }
    }
    let rivals = Peer::ALL.into_iter().filter(|peer| peer.is_rival());
    let best = rivals.filter_map(|peer| pair.figures(peer)).map(|figures| figures.patch_size).min();
    let size = pair.figures(reference).zip(best).map(|(ours, best)| sizes(ours, best + HEADER_ALLOWANCE));
    add(Demand::ReferenceSize, reference, size);
    let outcome = both(pair, reference, Peer::BidiffZstd).map(|two| diffs(two, 1.0));
    add(Demand::ReferenceDiffCpu, reference, outcome);
    let outcome = both(pair, reference, Peer::Bsdiff).map(|two| applies(two, 1.0));
    add(Demand::ReferenceApplyCpu, reference, outcome);
    verdicts
}

fn both(pair: &PairResult, ours: Peer, theirs: Peer) -> Option<(&Figures, &Figures)> {
    Some((pair.figures(ours)?, pair.figures(theirs)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples;

    const MIB: u64 = 1 << 20;

    fn findings(peers: &[(Peer, u64, f64, u64)]) -> Vec<(Demand, Peer, Finding)> {
        let results = Results { pairs: vec![samples::pair("a", peers)] };
        judge(&results).iter().map(|verdict| (verdict.demand, verdict.peer, verdict.finding)).collect()
    }

    #[test]
    fn judges_each_demand_at_its_edge() {
        let peers = |size, cpu, peak| {
            [
                (Peer::Bsdiff, 1, 5.0, MIB),
                (Peer::BidiffZstd, 1000, 1.0, MIB),
                (Peer::OursBidiff, 1, 1.0, MIB),
                (Peer::OursClassic, size, cpu, peak),
                (Peer::OursReference, 101, 1.0, MIB),
            ]
        };
        assert!(
            findings(&peers(1100, 1.0, 24 * MIB - 1)).iter().all(|(_, _, finding)| *finding == Finding::Pass)
        );
        let failed = |peers: &[(Peer, u64, f64, u64)]| -> Vec<Demand> {
            let failed = findings(peers).into_iter().filter(|(_, _, finding)| *finding == Finding::Fail);
            failed.map(|(demand, _, _)| demand).collect()
        };
        assert_eq!(failed(&peers(1101, 1.0, MIB)), [Demand::PatchSize]);
        assert_eq!(failed(&peers(1, 1.06, MIB)), [Demand::DiffCpu, Demand::ApplyCpu]);
        assert_eq!(failed(&peers(1, 1.0, 24 * MIB)), [Demand::ApplyPeak]);
    }

    #[test]
    fn the_reference_codec_is_held_against_the_best_peer() {
        let failed = |reference: (u64, f64)| -> Vec<Demand> {
            let peers = [
                (Peer::Full, 1, 0.1, 1),
                (Peer::Bsdiff, 1000, 2.0, 1),
                (Peer::Zstd, 500, 9.0, 1),
                (Peer::BidiffZstd, 900, 1.0, 1),
                (Peer::OursReference, reference.0, reference.1, 1),
            ];
            let failed = findings(&peers).into_iter().filter(|(_, _, finding)| *finding == Finding::Fail);
            failed.map(|(demand, _, _)| demand).collect()
        };
        assert_eq!(failed((600, 1.0)), []);
        assert_eq!(failed((601, 1.0)), [Demand::ReferenceSize]);
        assert_eq!(failed((1, 1.5)), [Demand::ReferenceDiffCpu]);
        assert_eq!(failed((1, 2.5)), [Demand::ReferenceDiffCpu, Demand::ReferenceApplyCpu]);
    }

    #[test]
    fn what_was_not_measured_stays_open() {
        let found = findings(&[(Peer::OursClassic, 1, 1.0, 1)]);
        assert!(found.contains(&(Demand::PatchSize, Peer::OursClassic, Finding::Open)));
        assert!(found.contains(&(Demand::ApplyCpu, Peer::OursBidiff, Finding::Open)));
        assert!(found.contains(&(Demand::ApplyPeak, Peer::OursClassic, Finding::Pass)));
    }
}
