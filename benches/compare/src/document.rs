//! The measured section of the document: tables between two markers, the rest of the file untouched.

mod aims;
mod goals;
mod memory;
mod threads;

use std::fmt::Write as _;

use anyhow::{Result, bail};

use crate::peer::Peer;
use crate::results::{Circumstances, Figures, Outcome, PairResult, Results};
use crate::verdict::{self, Demand, Finding, Verdict};

const BEGIN: &str = "<!-- compare:begin -->";
const END: &str = "<!-- compare:end -->";

/// `text` with what stands between the markers replaced by `section`.
///
/// # Errors
/// Unless each marker stands there exactly once, in order.
pub(crate) fn splice(text: &str, section: &str) -> Result<String> {
    match (text.split_once(BEGIN), text.matches(BEGIN).count(), text.matches(END).count()) {
        (Some((before, rest)), 1, 1) => match rest.split_once(END) {
            Some((_, after)) => Ok(format!("{before}{BEGIN}\n{section}{END}{after}")),
            None => bail!("{END} stands before {BEGIN}"),
        },
        (_, begins, ends) => bail!("expected one {BEGIN} and one {END}, found {begins} and {ends}"),
    }
}

/// All tables, and the plot that lies beside the document.
pub(crate) fn section(results: &Results, plot: &str) -> String {
    let mut out = String::new();
    circumstances(results, &mut out);
    let _ = writeln!(out, "\n![Patch sizes, and what diffing and applying cost, by codec]({plot})");
    sizes(results, &mut out);
    goals::write(results, &mut out);
    costs(results, &mut out);
    verdicts(results, &mut out);
    aims::write(results, &mut out);
    peers(results, &mut out);
    out
}

/// An integer as people write it.
pub(crate) fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in MiB, with one decimal below 100.
pub(crate) fn in_mib(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 100.0 { format!("{mib:.1}") } else { format!("{mib:.0}") }
}

fn circumstances(results: &Results, out: &mut String) {
    let mut seen: Vec<(&Circumstances, Vec<&str>)> = Vec::new();
    for pair in &results.pairs {
        match seen.iter_mut().find(|(known, _)| *known == &pair.circumstances) {
            Some((_, ids)) => ids.push(&pair.id),
            None => seen.push((&pair.circumstances, vec![&pair.id])),
        }
    }
    if seen.is_empty() {
        out.push_str("Nothing has been measured yet.\n");
    }
    let one = seen.len() == 1;
    for (Circumstances { date, commit, machine }, ids) in &seen {
        let which = if one { "Measured".to_owned() } else { format!("{}: measured", ids.join(", ")) };
        let _ = writeln!(out, "{which} on {date} at `{commit}` with `cargo xtask compare` on {machine}.");
    }
}

/// A table with the pairs as rows and the peers as columns.
fn table(results: &Results, out: &mut String, cell: impl Fn(&PairResult, &Figures) -> String) {
    header(out, "pair");
    for pair in &results.pairs {
        let _ = write!(out, "| {} ", pair.id);
        for peer in Peer::ALL {
            let text = match pair.outcome(peer) {
                Some(Outcome::Measured(figures)) => cell(pair, figures),
                Some(Outcome::NotRun(_)) | None => "not run".to_owned(),
                Some(Outcome::Failed(_)) => "failed".to_owned(),
            };
            let _ = write!(out, "| {text} ");
        }
        out.push_str("|\n");
    }
}

fn header(out: &mut String, first: &str) {
    let _ = write!(out, "\n| {first} |");
    for peer in Peer::ALL {
        let _ = write!(out, " {} |", peer.label());
    }
    let _ = writeln!(out, "\n|---|{}", "--:|".repeat(Peer::ALL.len()));
}

/// The last row of a table: geometric means over the pairs on which both peers were measured.
fn means(results: &Results, out: &mut String, first: &str, value: impl Fn(&PairResult, Peer) -> Option<f64>) {
    let _ = write!(out, "| *{first}* ");
    for peer in Peer::ALL {
        let mean = results.geometric_mean(|pair| value(pair, peer));
        let _ = write!(out, "| *{}* ", mean.map_or_else(|| "-".to_owned(), |(mean, _)| format!("{mean:.3}")));
    }
    out.push_str("|\n");
}

fn sizes(results: &Results, out: &mut String) {
    out.push_str("\n### Patch size\n\nBytes; the smallest of each pair in bold.\n");
    table(results, out, |pair, figures| {
        let all = Peer::ALL.into_iter().filter_map(|peer| pair.figures(peer));
        let smallest = all.map(|figures| figures.patch_size).min();
        let size = with_commas(figures.patch_size);
        if Some(figures.patch_size) == smallest { format!("**{size}**") } else { size }
    });
    means(results, out, "geometric mean, bsdiff = 1", |pair, peer| {
        let bsdiff = pair.figures(Peer::Bsdiff)?;
        Some(pair.figures(peer)?.patch_size as f64 / bsdiff.patch_size as f64)
    });
}

fn costs(results: &Results, out: &mut String) {
    out.push_str("\n### Diff\n\nSeconds of CPU, and peak memory of the process in MiB.\n");
    table(results, out, |_, figures| format!("{:.2} s, {}", figures.diff.cpu, in_mib(figures.diff.peak)));
    means(results, out, "CPU, geometric mean, bidiff + zstd = 1", |pair, peer| {
        Some(pair.figures(peer)?.diff.cpu / pair.figures(Peer::BidiffZstd)?.diff.cpu)
    });
    memory::write(results, out);
    threads::write(results, out);
    out.push_str("\n### Apply\n\nMilliseconds of CPU, and peak memory of the process in MiB.\n");
    table(results, out, |_, figures| {
        format!("{:.1} ms, {}", figures.apply.cpu * 1e3, in_mib(figures.apply.peak))
    });
    means(results, out, "CPU, geometric mean, bspatch = 1", |pair, peer| {
        Some(pair.figures(peer)?.apply.cpu / pair.figures(Peer::Bsdiff)?.apply.cpu)
    });
}

fn verdicts(results: &Results, out: &mut String) {
    let verdicts = verdict::judge(results);
    out.push_str(
        "\n### Demands\n\n| demand | codec | pass | fail | open | what fails |\n|---|---|--:|--:|--:|---|\n",
    );
    for demand in Demand::ALL {
        for peer in Peer::ALL {
            let these: Vec<_> =
                verdicts.iter().filter(|verdict| verdict.demand == demand && verdict.peer == peer).collect();
            if these.is_empty() {
                continue;
            }
            let count = |finding| these.iter().filter(|verdict| verdict.finding() == finding).count();
            let missed = |verdict: &&Verdict| {
                let comparison = verdict.comparison.as_ref().filter(|comparison| !comparison.holds)?;
                Some(format!("{}: {}, allowed {}", verdict.pair, comparison.found, comparison.allowed))
            };
            let notes: Vec<String> = these.iter().filter_map(missed).collect();
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} |",
                demand.words(),
                peer.label(),
                count(Finding::Pass),
                count(Finding::Fail),
                count(Finding::Open),
                notes.join("; "),
            );
        }
    }
}

fn peers(results: &Results, out: &mut String) {
    out.push_str("\n### What ran\n\n| codec | version | settings |\n|---|---|---|\n");
    for peer in Peer::ALL {
        let outcomes = || results.pairs.iter().filter_map(|pair| pair.outcome(peer));
        let mut versions: Vec<&str> = Vec::new();
        for outcome in outcomes() {
            let version = match outcome {
                Outcome::Measured(figures) => figures.version.as_str(),
                Outcome::NotRun(reason) | Outcome::Failed(reason) => reason.as_str(),
            };
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
        let _ = writeln!(out, "| {} | {} | {} |", peer.label(), versions.join("; "), peer.settings());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{PeerResult, samples};

    #[test]
    fn replaces_only_what_stands_between_the_markers() {
        let text = format!("before\n{BEGIN}\nold\n{END}\nafter <!-- codec:begin -->\n");
        let spliced = splice(&text, "new\n").expect("both markers are there");
        assert_eq!(spliced, format!("before\n{BEGIN}\nnew\n{END}\nafter <!-- codec:begin -->\n"));
        assert_eq!(splice(&spliced, "new\n").expect("still"), spliced);
    }

    #[test]
    fn refuses_a_document_whose_markers_are_not_a_pair() {
        for text in [
            String::new(),
            BEGIN.to_owned(),
            END.to_owned(),
            format!("{END}{BEGIN}"),
            format!("{BEGIN}{BEGIN}{END}"),
        ] {
            assert!(splice(&text, "new").is_err(), "{text:?}");
        }
    }

    #[test]
    fn writes_numbers_as_people_do() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(with_commas),
            ["0", "999", "1,000", "1,234,567"].map(str::to_owned)
        );
        assert_eq!(in_mib(24 << 20), "24.0");
        assert_eq!(in_mib(292 << 20), "292");
    }

    #[test]
    fn the_section_tells_sizes_costs_failures_and_what_is_missing() {
        let mut pair = samples::pair(
            "editor",
            &[
                (Peer::Bsdiff, 200_000, 1.0, 30 << 20),
                (Peer::BidiffZstd, 150_000, 1.0, 30 << 20),
                (Peer::OursClassic, 100_000, 2.0, 8 << 20),
            ],
        );
        pair.peers.push(PeerResult {
            peer: Peer::Xdelta3.name().into(),
            outcome: Outcome::NotRun("no `xdelta3` on the PATH: apt-get install xdelta3".into()),
        });
        let section = section(&Results { pairs: vec![pair] }, "compare.svg");
        for expected in [
            "Measured on 2026-01-02 at `abc`",
            "(compare.svg)",
            "| **100,000** |",
            "| not run |",
            "*0.500*",
            "2.00 s, 8.0",
            "2000.0 ms, 8.0",
            "apt-get install xdelta3",
            "editor: 2.00 s, allowed 1.05 s",
        ] {
            assert!(section.contains(expected), "{expected:?} is missing in\n{section}");
        }
    }
}
