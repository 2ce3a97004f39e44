//! What is demanded of our codecs: each demand with whom it concerns and what it is held against.

use crate::comparison::Comparison;
use crate::peer::Peer;
use crate::results::PairResult;

/// What a patch in sections may need more than a peer's: its container's header.
const HEADER_ALLOWANCE: u64 = 100;
/// Diffing may take this much of the peer's CPU.
const DIFF_TOLERANCE: f64 = 1.05;
/// Applying takes at most this part of `bspatch`'s CPU.
const APPLY_SPEED_UP: f64 = 5.0;
/// The first peak that is too much for a process that applies a patch for a file of up to [`EDGE_SIZE`].
const APPLY_PEAK: u64 = 24 << 20;
const EDGE_SIZE: u64 = 12_000_000;

/// What is demanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    PatchSize,
    DiffCpu,
    ApplyCpu,
    ApplyPeak,
    ReferenceMust,
    ReferenceSize,
    ReferenceDiffCpu,
    ReferenceApplyCpu,
}

impl Demand {
    /// In the order of the document.
    pub(crate) const ALL: [Self; 8] = [
        Self::PatchSize,
        Self::DiffCpu,
        Self::ApplyCpu,
        Self::ApplyPeak,
        Self::ReferenceMust,
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
            Self::ReferenceMust => "patch at most the bytes that the pair must not exceed",
            Self::ReferenceSize => {
                "patch not larger than the best peer's, quoted ones included, by more than 100 bytes"
            }
            Self::ReferenceDiffCpu => "diff CPU at most that of bidiff + zstd",
            Self::ReferenceApplyCpu => "apply CPU, digests included, at most that of bspatch",
        }
    }

    /// The codecs that are held to it.
    pub(super) fn codecs(self) -> &'static [Peer] {
        match self {
            Self::PatchSize | Self::DiffCpu => &[Peer::OursClassic],
            Self::ApplyCpu => &[Peer::OursBidiff, Peer::OursClassic],
            Self::ApplyPeak => &[Peer::OursBidiff, Peer::OursClassic, Peer::OursReference],
            Self::ReferenceMust | Self::ReferenceSize | Self::ReferenceDiffCpu | Self::ReferenceApplyCpu => {
                &[Peer::OursReference]
            }
        }
    }

    /// Whether it is made on such a pair.
    pub(super) fn concerns(self, pair: &PairResult) -> bool {
        match self {
            Self::ApplyPeak => pair.new_size <= EDGE_SIZE,
            Self::ReferenceMust => pair.goals.is_some(),
            _ => true,
        }
    }

    /// What was found beside what is allowed; `None` where something of it was not measured.
    pub(super) fn compare(self, pair: &PairResult, codec: Peer) -> Option<Comparison> {
        let ours = pair.figures(codec)?;
        let bidiff = || pair.figures(Peer::BidiffZstd);
        let bspatch = || Some(pair.figures(Peer::Bsdiff)?.apply.cpu);
        Some(match self {
            Self::PatchSize => Comparison::bytes(ours.patch_size, bidiff()?.patch_size + HEADER_ALLOWANCE),
            Self::DiffCpu => Comparison::seconds(ours.diff.cpu, bidiff()?.diff.cpu * DIFF_TOLERANCE),
            Self::ApplyCpu => Comparison::milliseconds(ours.apply.cpu, bspatch()? / APPLY_SPEED_UP),
            Self::ApplyPeak => Comparison::peak(ours.apply.peak, APPLY_PEAK - 1),
            Self::ReferenceMust => Comparison::bytes(ours.patch_size, pair.goals.as_ref()?.must),
            Self::ReferenceSize => {
                let quoted = pair.goals.as_ref().map(|goals| goals.quoted.size);
                let best = pair.best_rival()?.1.min(quoted.unwrap_or(u64::MAX));
                Comparison::bytes(ours.patch_size, best + HEADER_ALLOWANCE)
            }
            Self::ReferenceDiffCpu => Comparison::seconds(ours.diff.cpu, bidiff()?.diff.cpu),
            Self::ReferenceApplyCpu => Comparison::milliseconds(ours.apply.cpu, bspatch()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples;

    const MIB: u64 = 1 << 20;

    /// What fails on a pair: of what was not measured nothing is said.
    fn failures(pair: &PairResult) -> Vec<Demand> {
        let fails = |demand: &Demand| {
            demand.concerns(pair)
                && demand
                    .codecs()
                    .iter()
                    .any(|codec| demand.compare(pair, *codec).is_some_and(|comparison| !comparison.holds))
        };
        Demand::ALL.into_iter().filter(fails).collect()
    }

    #[test]
    fn the_classic_codec_is_judged_at_each_edge() {
        let failures = |size, cpu, peak| {
            let peers = [
                (Peer::Bsdiff, 1, 5.0, MIB),
                (Peer::BidiffZstd, 1000, 1.0, MIB),
                (Peer::OursBidiff, 1, 1.0, MIB),
                (Peer::OursClassic, size, cpu, peak),
                (Peer::OursReference, 101, 1.0, MIB),
            ];
            failures(&samples::pair("a", &peers))
        };
        assert_eq!(failures(1100, 1.0, 24 * MIB - 1), []);
        assert_eq!(failures(1101, 1.0, MIB), [Demand::PatchSize]);
        assert_eq!(failures(1, 1.06, MIB), [Demand::DiffCpu, Demand::ApplyCpu]);
        assert_eq!(failures(1, 1.0, 24 * MIB), [Demand::ApplyPeak]);
    }

    #[test]
    fn the_reference_codec_is_held_against_the_best_peer() {
        let failures = |size, cpu| {
            let peers = [
                (Peer::Full, 1, 0.1, 1),
                (Peer::Bsdiff, 1000, 2.0, 1),
                (Peer::Zstd, 500, 9.0, 1),
                (Peer::BidiffZstd, 900, 1.0, 1),
                (Peer::OursReference, size, cpu, 1),
            ];
            failures(&samples::pair("a", &peers))
        };
        assert_eq!(failures(600, 1.0), []);
        assert_eq!(failures(601, 1.0), [Demand::ReferenceSize]);
        assert_eq!(failures(1, 1.5), [Demand::ReferenceDiffCpu]);
        assert_eq!(failures(1, 2.5), [Demand::ReferenceDiffCpu, Demand::ReferenceApplyCpu]);
    }

    #[test]
    fn the_reference_codec_is_held_against_what_the_pair_asks_and_peers_that_are_quoted() {
        let failures = |size, must, quoted| {
            let peers = [(Peer::Bsdiff, 900, 1.0, 1), (Peer::OursReference, size, 1.0, 1)];
            let mut pair = samples::pair("a", &peers);
            pair.goals = Some(samples::goals(must, 1, quoted));
            failures(&pair)
        };
        assert_eq!(failures(600, 600, 500), []);
        assert_eq!(failures(600, 599, 500), [Demand::ReferenceMust]);
        assert_eq!(failures(600, 600, 499), [Demand::ReferenceSize]);
        // A quoted peer that is beaten by one that ran says nothing.
        assert_eq!(failures(1001, 2000, 5000), [Demand::ReferenceSize]);
        assert!(!Demand::ReferenceMust.concerns(&samples::pair("without goals", &[])));
    }
}
