//! What the reference codec holds in memory while it diffs, for each byte of both files.

use std::fmt::Write as _;

use super::{in_mib, with_commas};
use crate::peer::Peer;
use crate::results::{PairResult, Results};

/// The table; nothing if the codec was not measured.
pub(super) fn write(results: &Results, out: &mut String) {
    let rows: Vec<String> = results.pairs.iter().filter_map(row).collect();
    if rows.is_empty() {
        return;
    }
    out.push_str(
        "\n### Memory to diff\n\nOf smidgen reference: the peak of the process, both files included, and for each byte of old plus new. \
         The floor is the peak of a process that does nothing, which weighs on small files; what is beyond it is judged.\n\n\
         | pair | old plus new | peak, MiB | bytes per byte | floor, MiB | bytes per byte beyond it |\n|---|--:|--:|--:|--:|--:|\n",
    );
    out.push_str(&rows.concat());
}

fn row(pair: &PairResult) -> Option<String> {
    let peak = pair.figures(Peer::OursReference)?.diff.peak;
    let per_byte = |bytes: u64| format!("{:.1}", bytes as f64 / pair.both_sizes() as f64);
    let unknown = || "not run".to_owned();
    let mut row = String::new();
    let _ = writeln!(
        row,
        "| {} | {} | {} | {} | {} | {} |",
        pair.id,
        with_commas(pair.both_sizes()),
        in_mib(peak),
        per_byte(peak),
        pair.floor.map_or_else(unknown, in_mib),
        pair.floor.map_or_else(unknown, |floor| per_byte(peak.saturating_sub(floor))),
    );
    Some(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples;

    #[test]
    fn shows_bytes_per_byte_as_they_are_and_beyond_the_floor() {
        let peers = [(Peer::OursReference, 1, 1.0, 44_000_000)];
        let mut pair = samples::pair("a", &peers);
        let section = |pair: &PairResult| {
            let mut out = String::new();
            write(&Results { pairs: vec![pair.clone()] }, &mut out);
            out
        };
        let found = section(&pair);
        assert!(found.contains("| a | 22,000,000 | 42.0 | 2.0 | not run | not run |"), "{found}");
        pair.floor = Some(4_400_000);
        let found = section(&pair);
        assert!(found.contains("| a | 22,000,000 | 42.0 | 2.0 | 4.2 | 1.8 |"), "{found}");
        assert_eq!(section(&samples::pair("a", &[])), "");
    }
}
