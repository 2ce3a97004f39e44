//! How our codecs stand to their aims, by aim.

use std::fmt::Write as _;

use crate::aim::{self, Aim, Standing};
use crate::results::Results;

/// The table; nothing if no aim can be told.
pub(super) fn write(results: &Results, out: &mut String) {
    let standings = aim::standings(results);
    if standings.is_empty() {
        return;
    }
    out.push_str(
        "\n### Aims\n\nOf smidgen reference, and the last of smidgen auto. They do not bind; they show where this is going.\n\n\
         | aim | reached | not yet | what is missing |\n|---|--:|--:|---|\n",
    );
    for aim in Aim::ALL {
        let these = standings.iter().filter(|standing| standing.aim == aim);
        let (reached, missing): (Vec<&Standing>, Vec<&Standing>) =
            these.partition(|standing| standing.comparison.holds);
        let note = |standing: &&Standing| {
            let comparison = &standing.comparison;
            format!("{}: {}, aimed at {}", standing.pair, comparison.found, comparison.allowed)
        };
        let notes: Vec<String> = missing.iter().map(note).collect();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} |",
            aim.words(),
            reached.len(),
            missing.len(),
            notes.join("; ")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Peer;
    use crate::results::samples;

    #[test]
    fn counts_pairs_and_says_what_is_missing() {
        let peers = [(Peer::BidiffZstd, 1, 3.0, 1), (Peer::OursReference, 1, 2.0, 1)];
        let mut out = String::new();
        write(&Results { pairs: vec![samples::pair("a", &peers)] }, &mut out);
        assert!(out.contains("HDiffPatch's | 0 | 1 | a: 2.00 s, aimed at 1.00 s |"), "{out}");
        out.clear();
        write(&Results::default(), &mut out);
        assert_eq!(out, "");
    }
}
