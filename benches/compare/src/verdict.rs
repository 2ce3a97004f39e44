//! Judges our codecs by what is demanded of them.

mod demand;

use std::fmt;

pub(crate) use demand::Demand;

use crate::comparison::Comparison;
use crate::peer::Peer;
use crate::results::{PairResult, Results};

/// One demand on one codec and one pair.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) demand: Demand,
    pub(crate) peer: Peer,
    pub(crate) pair: String,
    /// `None` where something of it was not measured.
    pub(crate) comparison: Option<Comparison>,
}

/// Whether a demand holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Pass,
    Fail,
    /// Something of it was not measured.
    Open,
}

impl Verdict {
    pub(crate) fn finding(&self) -> Finding {
        match &self.comparison {
            Some(comparison) if comparison.holds => Finding::Pass,
            Some(_) => Finding::Fail,
            None => Finding::Open,
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
        let Self { demand, peer, pair, comparison } = self;
        write!(f, "{} {pair} {}: {}: ", self.finding(), peer.label(), demand.words())?;
        match comparison {
            Some(Comparison { found, allowed, .. }) => write!(f, "{found}, allowed {allowed}"),
            None => f.write_str("not measured"),
        }
    }
}

/// Judges every pair.
pub(crate) fn judge(results: &Results) -> Vec<Verdict> {
    results.pairs.iter().flat_map(judge_pair).collect()
}

fn judge_pair(pair: &PairResult) -> Vec<Verdict> {
    let demands = Demand::ALL.into_iter().filter(|demand| demand.concerns(pair));
    let judged = demands.flat_map(|demand| demand.codecs().iter().map(move |peer| (demand, *peer)));
    judged
        .map(|(demand, peer)| Verdict {
            demand,
            peer,
            pair: pair.id.clone(),
            comparison: demand.compare(pair, peer),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples;

    #[test]
    fn what_was_not_measured_stays_open() {
        let pair = samples::pair("a", &[(Peer::OursClassic, 1, 1.0, 1)]);
        let verdicts = judge_pair(&pair);
        let finding = |demand, peer| {
            let verdict = verdicts.iter().find(|verdict| verdict.demand == demand && verdict.peer == peer);
            verdict.expect("it is judged").finding()
        };
        assert_eq!(finding(Demand::PatchSize, Peer::OursClassic), Finding::Open);
        assert_eq!(finding(Demand::ApplyCpu, Peer::OursBidiff), Finding::Open);
        assert_eq!(finding(Demand::ApplyPeak, Peer::OursClassic), Finding::Pass);
    }
}
