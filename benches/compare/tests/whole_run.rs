//! A whole run on a small pair: whichever peers are installed here, ours are measured, proven and written down.
#![allow(clippy::expect_used, reason = "a test that cannot go on ends")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Bytes that do not compress to nothing, and a later version with an insertion and a few changes.
fn builds() -> (Vec<u8>, Vec<u8>) {
    let mut state = 7_u32;
    let old: Vec<u8> = (0..60_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 27) as u8
        })
        .collect();
    let mut new = old.clone();
    new.splice(20_000..20_000, *b"something that was not there");
    for place in [5, 30_000, 59_000] {
        new[place] ^= 0xff;
    }
    (old, new)
}

fn compare(scratch: &Path, arguments: &[&str]) -> Output {
    let path = |name: &str| scratch.join(name).into_os_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_smidgen-compare"));
    command.args(["run", "--rounds", "1", "--pair", "small", "bytes"]).arg(path("old")).arg(path("new"));
    command.arg("--results").arg(path("kept/results.json"));
    command.arg("--document").arg(path("measurements.md")).arg("--plot").arg(path("compare.svg"));
    command.args(arguments).output().expect("the program starts")
}

fn prepared() -> tempfile::TempDir {
    let scratch = tempfile::tempdir().expect("a folder");
    let (old, new) = builds();
    let document = "# Title\n<!-- compare:begin -->\n<!-- compare:end -->\nThe end.\n";
    for (name, content) in [("old", &old[..]), ("new", &new), ("measurements.md", document.as_bytes())] {
        fs::write(scratch.path().join(name), content).expect("writable");
    }
    scratch
}

#[test]
fn measures_a_pair_and_writes_results_document_and_plot() {
    let scratch = prepared();
    let goals = ["--goals", "small", "40000", "1", "Zucchini", "50000"];
    let output = compare(scratch.path(), &goals);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("FAILED"), "{said}");
    assert!(said.contains("aim: not yet small smidgen reference: patch"), "{said}");

    let results = fs::read(scratch.path().join("kept/results.json")).expect("kept");
    let results: serde_json::Value = serde_json::from_slice(&results).expect("JSON");
    assert!(results["pairs"][0]["floor"].as_u64().expect("a number") > 1 << 19, "{results}");
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2) {
        assert_eq!(results["pairs"][0]["threads"]["same_patch"], true, "{results}");
    }
    let peers = results["pairs"][0]["peers"].as_array().expect("peers").clone();
    for ours in ["ours-classic", "ours-bidiff", "ours-reference", "ours-auto", "full"] {
        let peer = peers.iter().find(|peer| peer["peer"] == ours).expect("always runs");
        let measured = &peer["outcome"]["measured"];
        assert!(measured["patch_size"].as_u64().expect("a number") > 0, "{ours}: {peer}");
        // No process fits into less; one that seems to was not measured.
        assert!(measured["apply"]["peak"].as_u64().expect("a number") > 1 << 19, "{ours}: {peer}");
    }

    let document = fs::read_to_string(scratch.path().join("measurements.md")).expect("written");
    assert!(document.starts_with("# Title\n") && document.ends_with("\nThe end.\n"), "{document}");
    assert!(document.contains("| small |"), "{document}");
    assert!(document.contains("| 40,000 |") && document.contains("| 50,000 (Zucchini) | 1 |"), "{document}");
    let plot = fs::read_to_string(scratch.path().join("compare.svg")).expect("written");
    assert!(plot.starts_with("<svg") && plot.contains("smidgen classic"), "{plot}");

    // What is kept can be written down again without measuring.
    let again = compare(scratch.path(), &[&goals[..], &["--render"]].concat());
    assert!(again.status.success());
    assert_eq!(fs::read_to_string(scratch.path().join("measurements.md")).expect("written"), document);
}

#[test]
fn a_look_at_some_peers_keeps_nothing() {
    let scratch = prepared();
    let output = compare(scratch.path(), &["--peers", "ours-classic", "bidiff-zstd"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("smidgen classic") && said.contains("bidiff + zstd"), "{said}");
    assert!(!scratch.path().join("kept/results.json").exists());
    assert!(!scratch.path().join("compare.svg").exists());
}

#[test]
fn judging_fails_where_a_peer_of_a_demand_was_not_measured() {
    let scratch = prepared();
    let output = compare(scratch.path(), &["--peers", "ours-classic", "--judge"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("OPEN small smidgen classic"));
}

#[test]
fn names_the_known_pairs_when_one_is_unknown() {
    let scratch = prepared();
    let output = compare(scratch.path(), &["--only", "nonesuch"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("nonesuch") && said.contains("small"), "{said}");
}

#[test]
fn an_ablation_prints_a_row_for_each_idea() {
    let scratch = prepared();
    let path = |name: &str| scratch.path().join(name).into_os_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_smidgen-compare"));
    command.args(["ablate", "--pair", "small", "bytes"]).arg(path("old")).arg(path("new"));
    command.args(["--pair", "other", "bytes"]).arg(path("new")).arg(path("old"));
    let output = command.args(["--only", "small"]).output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.starts_with("| without | small |\n|---|--:|\n| nothing"), "{table}");
    // These bytes are no program.
    assert!(table.contains("| code as instructions | = |"), "{table}");
}
