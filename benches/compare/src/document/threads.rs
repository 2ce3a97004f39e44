//! What a second thread saves the reference codec.

use crate::results::{Results, Threads};

/// The table; nothing if it was not measured.
pub(super) fn write(results: &Results, out: &mut String) {
    let rows: Vec<String> = results
        .pairs
        .iter()
        .filter_map(|pair| {
            let Threads { one, two, same_patch } = pair.threads?;
            let same = if same_patch { "yes" } else { "no" };
            Some(format!("| {} | {one:.2} | {two:.2} | {:.2} | {same} |\n", pair.id, two / one))
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    out.push_str(
        "\n### Threads\n\nSeconds on the clock that smidgen reference takes to diff with one thread and with two, in turns, the least of \
         each. Unlike CPU, they are as much the machine's as ours: two threads need two cores that nobody else uses.\n\n\
         | pair | one thread | two | ratio | same patch |\n|---|--:|--:|--:|---|\n",
    );
    out.push_str(&rows.concat());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{PairResult, samples};

    #[test]
    fn shows_both_times_and_whether_the_patch_is_the_same() {
        let mut pair = samples::pair("a", &[]);
        let section = |pair: &PairResult| {
            let mut out = String::new();
            write(&Results { pairs: vec![pair.clone()] }, &mut out);
            out
        };
        assert_eq!(section(&pair), "");
        pair.threads = Some(Threads { one: 2.0, two: 1.5, same_patch: true });
        assert!(section(&pair).ends_with("| a | 2.00 | 1.50 | 0.75 | yes |\n"));
    }
}
