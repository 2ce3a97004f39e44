//! The reference codec's patch sizes beside what they must not exceed, what they aim at and the best of the peers.

use std::fmt::Write as _;

use super::with_commas;
use crate::peer::Peer;
use crate::results::{PairResult, Results};

/// The table; nothing if no pair has goals.
pub(super) fn write(results: &Results, out: &mut String) {
    if results.pairs.iter().all(|pair| pair.goals.is_none()) {
        return;
    }
    out.push_str(
        "\n### Patch size and its goals\n\nBytes of the whole patch. The best peer is the smallest of this run; quoted figures were \
         measured elsewhere (`fixtures/pairs.toml` says how). Aims do not bind.\n\n\
         | pair | smidgen reference | must | best peer | best quoted peer | aim | aim reached |\n\
         |---|--:|--:|--:|--:|--:|---|\n",
    );
    for pair in &results.pairs {
        row(pair, out);
    }
}

fn row(pair: &PairResult, out: &mut String) {
    let Some(goals) = &pair.goals else { return };
    let unknown = || "not run".to_owned();
    let named = |size: u64, peer: &str| format!("{} ({peer})", with_commas(size));
    let ours = pair.figures(Peer::OursReference).map(|figures| figures.patch_size);
    let reached =
        ours.map_or_else(unknown, |ours| if ours <= goals.aim { "yes" } else { "not yet" }.to_owned());
    let _ = writeln!(
        out,
        "| {} | {} | {} | {} | {} | {} | {reached} |",
        pair.id,
        ours.map_or_else(unknown, with_commas),
        with_commas(goals.must),
        pair.best_rival().map_or_else(unknown, |(peer, size)| named(size, peer.label())),
        named(goals.quoted.size, &goals.quoted.peer),
        with_commas(goals.aim),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples;

    #[test]
    fn a_pair_without_goals_has_no_row() {
        let peers = [(Peer::Bsdiff, 2000, 1.0, 1), (Peer::OursReference, 1000, 1.0, 1)];
        let plain = samples::pair("plain", &peers);
        let mut out = String::new();
        write(&Results { pairs: vec![plain.clone()] }, &mut out);
        assert_eq!(out, "");
        let mut meant = samples::pair("meant", &peers);
        meant.goals = Some(samples::goals(1500, 999, 3000));
        write(&Results { pairs: vec![plain, meant] }, &mut out);
        let row = "| meant | 1,000 | 1,500 | 2,000 (bsdiff) | 3,000 (Zucchini) | 999 | not yet |";
        assert!(out.ends_with(&format!("{row}\n")) && !out.contains("| plain"), "{out}");
    }
}
