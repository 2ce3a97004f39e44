//! What we are going for: told as it stands, never a failure.

use std::fmt;

use crate::comparison::Comparison;
use crate::peer::Peer;
use crate::results::{PairResult, Results};

/// The part of bidiff's CPU to diff that HDiffPatch takes, and of `bspatch`'s to apply that is aimed at.
const PART: f64 = 1.0 / 3.0;

/// What is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    Size,
    DiffCpu,
    ApplyCpu,
    /// Where two codecs come close, both patches are made.
    AutoDiffCpu,
}

/// How far one pair is.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) aim: Aim,
    pub(crate) pair: String,
    pub(crate) comparison: Comparison,
}

impl Aim {
    pub(crate) const ALL: [Self; 4] = [Self::Size, Self::DiffCpu, Self::ApplyCpu, Self::AutoDiffCpu];

    /// The aim in words.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Size => "patch at most the bytes that the pair aims at",
            Self::DiffCpu => "diff CPU a third of bidiff + zstd, which is HDiffPatch's",
            Self::ApplyCpu => "apply CPU, digests included, a third of bspatch",
            Self::AutoDiffCpu => "diff CPU of trying all codecs at most that of bidiff + zstd",
        }
    }

    /// The codec that is to reach it.
    fn codec(self) -> Peer {
        match self {
            Self::Size | Self::DiffCpu | Self::ApplyCpu => Peer::OursReference,
            Self::AutoDiffCpu => Peer::OursAuto,
        }
    }

    /// What was found beside what is aimed at; `None` where something of it is not known.
    fn compare(self, pair: &PairResult) -> Option<Comparison> {
        let ours = pair.figures(self.codec())?;
        let theirs = |peer| pair.figures(peer);
        Some(match self {
            Self::Size => Comparison::bytes(ours.patch_size, pair.goals.as_ref()?.aim),
            Self::DiffCpu => Comparison::seconds(ours.diff.cpu, theirs(Peer::BidiffZstd)?.diff.cpu * PART),
            Self::ApplyCpu => {
                Comparison::milliseconds(ours.apply.cpu, theirs(Peer::Bsdiff)?.apply.cpu * PART)
            }
            Self::AutoDiffCpu => Comparison::seconds(ours.diff.cpu, theirs(Peer::BidiffZstd)?.diff.cpu),
        })
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { aim, pair, comparison: Comparison { holds, found, allowed } } = self;
        let reached = if *holds { "reached" } else { "not yet" };
        write!(
            f,
            "aim: {reached} {pair} {}: {}: {found}, aimed at {allowed}",
            aim.codec().label(),
            aim.words()
        )
    }
}

/// Every aim on every pair where both sides are known.
pub(crate) fn standings(results: &Results) -> Vec<Standing> {
    let pairs = results.pairs.iter();
    let all = pairs.flat_map(|pair| Aim::ALL.into_iter().map(move |aim| (aim, pair)));
    all.filter_map(|(aim, pair)| {
        Some(Standing { aim, pair: pair.id.clone(), comparison: aim.compare(pair)? })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples;

    /// The aims that are not reached, of those that are known.
    fn missing(size: u64, cpu: f64) -> Vec<Aim> {
        let peers = [
            (Peer::Bsdiff, 1, 9.0, 1),
            (Peer::BidiffZstd, 1, 3.0, 1),
            (Peer::OursReference, size, cpu, 1),
            (Peer::OursAuto, size, 2.0 * cpu, 1),
        ];
        let mut pair = samples::pair("a", &peers);
        pair.goals = Some(samples::goals(200, 100, 300));
        let standings = standings(&Results { pairs: vec![pair] });
        assert_eq!(standings.len(), Aim::ALL.len());
        standings.iter().filter(|standing| !standing.comparison.holds).map(|standing| standing.aim).collect()
    }

    #[test]
    fn each_aim_is_reached_at_its_edge() {
        assert_eq!(missing(100, 1.0), []);
        assert_eq!(missing(101, 1.0), [Aim::Size]);
        assert_eq!(missing(100, 1.01), [Aim::DiffCpu]);
        assert_eq!(missing(100, 1.51), [Aim::DiffCpu, Aim::AutoDiffCpu]);
        assert_eq!(missing(100, 3.01), [Aim::DiffCpu, Aim::ApplyCpu, Aim::AutoDiffCpu]);
    }

    #[test]
    fn says_how_it_stands_and_nothing_of_what_is_not_known() {
        let mut pair = samples::pair("a", &[(Peer::OursReference, 101, 1.0, 1)]);
        assert!(standings(&Results { pairs: vec![pair.clone()] }).is_empty());
        pair.goals = Some(samples::goals(200, 100, 300));
        let standings = standings(&Results { pairs: vec![pair] });
        let told: Vec<String> = standings.iter().map(ToString::to_string).collect();
        let words = "patch at most the bytes that the pair aims at: 101, aimed at 100";
        assert_eq!(told, [format!("aim: not yet a smidgen reference: {words}")]);
    }
}
