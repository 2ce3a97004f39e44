//! What is demanded of our codecs: each demand with whom it concerns and what it is held against.

use crate::comparison::Comparison;
use crate::peer::Peer;
use crate::results::{PairResult, Threads};

/// What a patch in sections may need more than a peer's: its container's header.
const HEADER_ALLOWANCE: u64 = 100;
/// Diffing may take this much of the peer's CPU.
const DIFF_TOLERANCE: f64 = 1.05;
/// Applying takes at most this part of `bspatch`'s CPU.
const APPLY_SPEED_UP: f64 = 5.0;
/// The first peak that is too much for a process that applies a patch for a file of up to [`EDGE_SIZE`].
const APPLY_PEAK: u64 = 24 << 20;
const EDGE_SIZE: u64 = 12_000_000;

/// Peak memory to diff by the reference codec, for each byte of both files.
const DIFF_PEAK_PER_BYTE: u64 = 8;
/// Peak memory to apply a patch of the reference codec: for new files of up to so many bytes, and for larger ones.
const REFERENCE_APPLY_PEAKS: [(u64, u64); 2] = [(12_000_000, 32 << 20), (64_000_000, 64 << 20)];
const REFERENCE_APPLY_PEAK: u64 = 160 << 20;

/// Where one thread takes so many seconds or less, two need not pay: what they save is less than what a clock tells.
const SHORT_DIFF: f64 = 0.5;

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
    ReferenceDiffPeak,
    ReferenceThreadsAgree,
    ReferenceThreadsPay,
    ReferenceApplyCpu,
    ReferenceApplyPeak,
    AutoSize,
}

impl Demand {
    /// In the order of the document.
    pub(crate) const ALL: [Self; 13] = [
        Self::PatchSize,
        Self::DiffCpu,
        Self::ApplyCpu,
        Self::ApplyPeak,
        Self::ReferenceMust,
        Self::ReferenceSize,
        Self::ReferenceDiffCpu,
        Self::ReferenceDiffPeak,
        Self::ReferenceThreadsAgree,
        Self::ReferenceThreadsPay,
        Self::ReferenceApplyCpu,
        Self::ReferenceApplyPeak,
        Self::AutoSize,
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
            Self::AutoSize => "patch not larger than that of classic, nor that of reference",
            Self::ReferenceApplyCpu => "apply CPU, digests included, at most that of bspatch",
            Self::ReferenceDiffPeak => {
                "peak memory to diff, beyond an empty process, at most 8 bytes for each byte of old plus new"
            }
            Self::ReferenceThreadsAgree => "two threads make the same patch as one",
            Self::ReferenceThreadsPay => {
                "two threads take less time on the clock where one takes more than half a second"
            }
            Self::ReferenceApplyPeak => {
                "peak memory to apply at most 32 MiB for a file of up to 12 MB, 64 MiB up to 64 MB, 160 MiB beyond"
            }
        }
    }

    /// The codecs that are held to it.
    pub(super) fn codecs(self) -> &'static [Peer] {
        match self {
            Self::PatchSize | Self::DiffCpu => &[Peer::OursClassic],
            Self::ApplyCpu | Self::ApplyPeak => &[Peer::OursBidiff, Peer::OursClassic],
            Self::ReferenceMust
            | Self::ReferenceSize
            | Self::ReferenceDiffCpu
            | Self::ReferenceDiffPeak
            | Self::ReferenceThreadsAgree
            | Self::ReferenceThreadsPay
            | Self::ReferenceApplyCpu
            | Self::ReferenceApplyPeak => &[Peer::OursReference],
            Self::AutoSize => &[Peer::OursAuto],
        }
    }

    /// Whether it is made on such a pair.
    pub(super) fn concerns(self, pair: &PairResult) -> bool {
        match self {
            Self::ApplyPeak => pair.new_size <= EDGE_SIZE,
            Self::ReferenceMust => pair.goals.is_some(),
            Self::ReferenceThreadsPay => pair.threads.is_none_or(|threads| threads.one > SHORT_DIFF),
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
            Self::AutoSize => {
                let (classic, reference) =
                    (pair.figures(Peer::OursClassic)?, pair.figures(Peer::OursReference)?);
                Comparison::bytes(ours.patch_size, classic.patch_size.min(reference.patch_size))
            }
            Self::ReferenceDiffPeak => diff_peak(pair, ours.diff.peak),
            Self::ReferenceThreadsAgree => same_patch(pair.threads?),
            Self::ReferenceThreadsPay => less_time(pair.threads?),
            Self::ReferenceApplyCpu => Comparison::milliseconds(ours.apply.cpu, bspatch()?),
            Self::ReferenceApplyPeak => {
                let tier = REFERENCE_APPLY_PEAKS.into_iter().find(|(size, _)| pair.new_size <= *size);
                Comparison::peak(ours.apply.peak, tier.map_or(REFERENCE_APPLY_PEAK, |(_, peak)| peak))
            }
        })
    }
}

/// What an empty process holds is taken off, where it is known: two files of a hundred kilobytes could not be diffed by any
/// program otherwise.
fn diff_peak(pair: &PairResult, peak: u64) -> Comparison {
    let per_byte = |bytes: u64| bytes as f64 / pair.both_sizes() as f64;
    let beyond = peak.saturating_sub(pair.floor.unwrap_or(0));
    let found = match pair.floor {
        Some(_) => {
            format!(
                "{:.2} bytes per byte beyond an empty process, {:.2} with it",
                per_byte(beyond),
                per_byte(peak)
            )
        }
        None => format!("{:.2} bytes per byte", per_byte(peak)),
    };
    Comparison {
        holds: beyond <= DIFF_PEAK_PER_BYTE * pair.both_sizes(),
        found,
        allowed: DIFF_PEAK_PER_BYTE.to_string(),
    }
}

fn same_patch(threads: Threads) -> Comparison {
    let found = if threads.same_patch { "the same" } else { "another" };
    Comparison { holds: threads.same_patch, found: found.to_owned(), allowed: "the same".to_owned() }
}

/// Less, not as much: a second thread that saves nothing does not pay.
fn less_time(threads: Threads) -> Comparison {
    let Threads { one, two, .. } = threads;
    Comparison { holds: two < one, ..Comparison::seconds(two, one) }
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

    #[test]
    fn the_reference_codec_diffs_in_eight_bytes_for_each_byte_of_both_files() {
        let fails = |peak| {
            let mut pair = samples::pair("a", &[(Peer::OursReference, 1, 1.0, peak)]);
            (pair.old_size, pair.new_size) = (2_000_000, 1_000_000);
            failures(&pair)
        };
        assert_eq!(fails(24_000_000), []);
        assert_eq!(fails(24_000_001), [Demand::ReferenceDiffPeak]);
    }

    #[test]
    fn what_an_empty_process_holds_is_told_and_taken_off() {
        let mut pair = samples::pair("a", &[]);
        (pair.old_size, pair.new_size, pair.floor) = (500_000, 500_000, Some(3_000_000));
        let comparison = diff_peak(&pair, 11_000_000);
        assert!(comparison.holds);
        assert_eq!(comparison.found, "8.00 bytes per byte beyond an empty process, 11.00 with it");
        assert!(!diff_peak(&pair, 11_000_001).holds);
    }

    #[test]
    fn the_reference_codec_may_take_more_memory_to_apply_for_larger_files() {
        let fails = |new_size, peak| {
            let mut pair = samples::pair("a", &[(Peer::OursReference, 1, 1.0, peak)]);
            (pair.old_size, pair.new_size) = (100_000_000, new_size);
            failures(&pair) == [Demand::ReferenceApplyPeak]
        };
        for (new_size, mib) in
            [(12_000_000, 32), (12_000_001, 64), (64_000_000, 64), (64_000_001, 160), (170_000_000, 160)]
        {
            assert!(!fails(new_size, mib * MIB), "{new_size}");
            assert!(fails(new_size, mib * MIB + 1), "{new_size}");
        }
    }

    #[test]
    fn trying_all_codecs_is_worth_it() {
        let failures = |size| {
            let peers = [
                (Peer::BidiffZstd, 1000, 1.0, 1),
                (Peer::OursClassic, 500, 1.0, 1),
                (Peer::OursReference, 400, 1.0, 1),
                (Peer::OursAuto, size, 9.0, 1),
            ];
            failures(&samples::pair("a", &peers))
        };
        assert_eq!(failures(400), []);
        assert_eq!(failures(401), [Demand::AutoSize]);
    }

    #[test]
    fn a_second_thread_pays_and_changes_nothing() {
        let failures = |one, two, same_patch| {
            let mut pair = samples::pair("a", &[(Peer::OursReference, 1, 1.0, 1)]);
            pair.threads = Some(Threads { one, two, same_patch });
            failures(&pair)
        };
        assert_eq!(failures(0.51, 0.5, true), []);
        assert_eq!(failures(0.51, 0.51, true), [Demand::ReferenceThreadsPay]);
        // Too short to tell.
        assert_eq!(failures(0.5, 0.6, true), []);
        assert_eq!(failures(0.5, 0.4, false), [Demand::ReferenceThreadsAgree]);
    }
}
