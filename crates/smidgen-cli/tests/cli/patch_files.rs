//! `diff`, `apply` and `inspect` on files.

use std::path::Path;

use tempfile::TempDir;

use crate::builds::build;
use crate::program::{command, smidgen};

fn folder_with_builds() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("old"), build(0)).unwrap();
    std::fs::write(dir.path().join("new"), build(1)).unwrap();
    dir
}

/// Everything in a folder, hidden files included.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn applies_what_diff_made() {
    let dir = folder_with_builds();
    for codec in ["auto", "classic", "bidiff", "reference"] {
        let made = smidgen(dir.path(), &format!("diff old new patch --codec {codec} --json")).ends(0).json();
        let patch_size = std::fs::metadata(dir.path().join("patch")).unwrap().len();
        assert_eq!(made["patch_size"], patch_size);
        let applied = smidgen(dir.path(), "apply old patch made --json").ends(0).json();
        assert_eq!(applied["new_digest"], made["new_digest"]);
        assert_eq!(std::fs::read(dir.path().join("made")).unwrap(), build(1));
    }
    assert_eq!(names(dir.path()), ["made", "new", "old", "patch"]);
}

/// Nothing was seen of it where no terminal is, however long it took.
#[test]
fn writes_a_line_for_each_step_of_diff() {
    let dir = folder_with_builds();
    let run = smidgen(dir.path(), "diff old new patch --codec classic").ends(0);
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("made a patch: ") && lines[1].starts_with("applied "), "{lines:?}");
    let run = smidgen(dir.path(), "diff old new patch --codec classic --quiet").ends(0);
    assert_eq!(run.stderr, "");
}

#[cfg(unix)]
#[test]
fn keeps_the_permissions_of_the_old_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = folder_with_builds();
    let old = dir.path().join("old");
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o750)).unwrap();
    smidgen(dir.path(), "diff old new patch").ends(0);
    smidgen(dir.path(), "apply old patch made").ends(0);
    let mode = std::fs::metadata(dir.path().join("made")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o750);
}

#[test]
fn refuses_to_overwrite_an_input() {
    let dir = folder_with_builds();
    smidgen(dir.path(), "diff old new patch").ends(0);
    for words in ["apply old patch old", "apply old patch ./patch", "diff old new ./old", "diff old new new"]
    {
        let run = smidgen(dir.path(), &format!("{words} --json")).ends(2);
        assert_eq!(run.error_code(), "same_file", "{words}");
    }
    for words in ["apply old patch -", "apply old patch .", "diff old new -"] {
        let run = smidgen(dir.path(), &format!("{words} --json")).ends(2);
        assert_eq!(run.error_code(), "not_a_file", "{words}");
    }
    assert_eq!(std::fs::read(dir.path().join("old")).unwrap(), build(0));
}

#[test]
fn leaves_nothing_behind_when_the_patch_is_damaged() {
    let dir = folder_with_builds();
    smidgen(dir.path(), "diff old new patch").ends(0);
    let path = dir.path().join("patch");
    let good = std::fs::read(&path).unwrap();
    let middle = good.len() / 2;
    for damaged in [
        good[..good.len() - 1].to_vec(),
        [&good[..middle], &[good[middle] ^ 1], &good[middle + 1..]].concat(),
    ] {
        std::fs::write(&path, damaged).unwrap();
        let run = smidgen(dir.path(), "apply old patch made --json").ends(3);
        assert_eq!(run.error_code(), "patch_damaged");
        assert_eq!(names(dir.path()), ["new", "old", "patch"]);
    }
}

/// It once advised to raise a limit, for which no command has an option.
#[test]
fn advises_what_can_be_done_when_the_number_of_sections_is_damaged() {
    let dir = folder_with_builds();
    smidgen(dir.path(), "diff old new patch --codec reference").ends(0);
    let path = dir.path().join("patch");
    let mut bytes = std::fs::read(&path).unwrap();
    // Magic, version, codec and window, two sizes of three bytes, two digests.
    let at = 4 + 3 + 2 * 3 + 2 * 32;
    assert!((1..=4).contains(&bytes[at]), "{bytes:02x?}");
    bytes[at] = 100;
    std::fs::write(&path, bytes).unwrap();
    for words in ["apply old patch made --json", "inspect patch --json"] {
        let run = smidgen(dir.path(), words).ends(1);
        assert_eq!(run.error_code(), "limit_exceeded", "{words}");
        let told = run.json()["error"]["causes"][0].as_str().unwrap().to_owned();
        assert!(told.contains("section count is 100") && told.contains("fetch the patch again"), "{told}");
        assert!(!told.contains("raise"), "{told}");
    }
}

#[test]
fn names_the_old_file_that_the_patch_is_not_for() {
    let dir = folder_with_builds();
    smidgen(dir.path(), "diff old new patch").ends(0);
    std::fs::write(dir.path().join("other"), build(2)).unwrap();
    let run = smidgen(dir.path(), "apply other patch made --json").ends(6);
    assert_eq!(run.error_code(), "old_differs");
    assert_eq!(names(dir.path()), ["new", "old", "other", "patch"]);
}

/// Its digest is known only when it has been read to its end, and by then much of the new file is made.
#[test]
fn leaves_nothing_behind_when_the_old_file_is_another_one_of_the_same_size() {
    let dir = folder_with_builds();
    for codec in ["classic", "bidiff", "reference"] {
        smidgen(dir.path(), &format!("diff old new patch --codec {codec}")).ends(0);
        let size = build(0).len();
        for changed in [0, size / 2, size - 1] {
            let mut other = build(0);
            other[changed] ^= 1;
            std::fs::write(dir.path().join("other"), other).unwrap();
            let run = smidgen(dir.path(), "apply other patch made --json").ends(6);
            assert_eq!(run.error_code(), "old_differs", "{codec}, byte {changed}");
            assert_eq!(names(dir.path()), ["new", "old", "other", "patch"], "{codec}, byte {changed}");
            // What lay there before stays as it was.
            std::fs::write(dir.path().join("made"), "before").unwrap();
            smidgen(dir.path(), "apply other patch made").ends(6);
            assert_eq!(std::fs::read(dir.path().join("made")).unwrap(), b"before");
            std::fs::remove_file(dir.path().join("made")).unwrap();
        }
    }
}

/// What publishers have done to each patch: bytes on one stream, what it took on the other.
#[test]
fn proves_a_patch_and_says_what_that_took() {
    let dir = folder_with_builds();
    smidgen(dir.path(), "diff old new patch").ends(0);
    let proven = command(&["prove", "old", "patch"], dir.path()).output().unwrap();
    assert_eq!(proven.status.code(), Some(0));
    assert_eq!(proven.stdout, build(1));
    let effort: serde_json::Value = serde_json::from_slice(&proven.stderr).unwrap();
    assert!(effort["cpu_seconds"].as_f64().unwrap() > 0.0, "{effort}");
    if cfg!(target_os = "linux") {
        assert!(effort["peak_memory"].as_u64().unwrap() > 1 << 20, "{effort}");
    }
    let wrong = command(&["prove", "new", "patch"], dir.path()).output().unwrap();
    assert_eq!(wrong.status.code(), Some(6));
}

#[test]
fn inspects_a_patch() {
    let dir = folder_with_builds();
    smidgen(dir.path(), "diff old new patch --codec classic").ends(0);
    let text = smidgen(dir.path(), "inspect patch").ends(0).stdout;
    assert!(text.starts_with("patch: container version 1, codec classic, "), "{text}");
    let report = smidgen(dir.path(), "inspect patch --json").ends(0).json();
    assert_eq!(report["kind"], "patch");
    assert_eq!(report["codec"], "classic");
    assert_eq!(report["new_size"], build(1).len());
    assert_eq!(
        report["add"].as_u64(),
        Some(report["add_zero"].as_u64().unwrap() + report["add_non_zero"].as_u64().unwrap())
    );
}

/// Bytes that are corrected were said to be taken over as they were, and none to be changed.
#[test]
fn does_not_say_of_a_reference_patch_that_no_byte_changes() {
    let dir = folder_with_builds();
    smidgen(dir.path(), "diff old new patch --codec reference").ends(0);
    let text = smidgen(dir.path(), "inspect patch").ends(0).stdout;
    assert!(text.contains("= taken over, corrected where it differs"), "{text}");
    assert!(!text.contains("as it was") && !text.contains("byte changed"), "{text}");
    for words in ["inspect patch --json", "inspect patch --old old --json"] {
        let report = smidgen(dir.path(), words).ends(0).json();
        assert!(report["add_zero"].is_null() && report["add_non_zero"].is_null(), "{report}");
        let sum = report["add"].as_u64().unwrap() + report["extra"].as_u64().unwrap();
        assert_eq!(report["new_size"], sum);
    }
}

#[test]
fn says_what_a_file_is_not() {
    let dir = folder_with_builds();
    let run = smidgen(dir.path(), "inspect absent --json").ends(1);
    assert_eq!(run.error_code(), "not_found");
    std::fs::write(dir.path().join("timestamp.json"), "{}").unwrap();
    let run = smidgen(dir.path(), "inspect timestamp.json --old old --json").ends(2);
    assert_eq!(run.error_code(), "not_a_patch");
}

/// Applying called it a damaged patch, and `--old` said that it was metadata.
#[test]
fn says_the_same_of_a_file_that_is_no_patch_wherever_one_is_expected() {
    let dir = folder_with_builds();
    for (content, said) in [
        (&b"#!/bin/sh\nexit 1\n"[..], "begins with \"#!/bin/s\""),
        (b"\x7fELF\x02\x01\x01\0", "begins with the bytes 7f 45 4c 46 02 01 01 00"),
        (b"smd", "begins with \"smd\""),
        (b"", "an empty file"),
    ] {
        std::fs::write(dir.path().join("odd"), content).unwrap();
        for words in ["apply old odd made", "inspect odd", "inspect odd --old old"] {
            let run = smidgen(dir.path(), &format!("{words} --json")).ends(1);
            assert_eq!(run.error_code(), "unknown_file", "{words}: {said}");
            assert!(run.stderr.contains(said), "{words}: {}", run.stderr);
        }
    }
    // What begins as a patch is one that was cut short.
    std::fs::write(dir.path().join("odd"), "smdg").unwrap();
    for words in ["apply old odd made", "inspect odd", "inspect odd --old old"] {
        let run = smidgen(dir.path(), &format!("{words} --json")).ends(3);
        assert_eq!(run.error_code(), "patch_damaged", "{words}");
    }
}

/// Folders were errors of reading, `-` was not found, and a pipe was waited for.
#[cfg(unix)]
#[test]
fn reads_only_regular_files() {
    let dir = folder_with_builds();
    smidgen(dir.path(), "diff old new patch --codec reference").ends(0);
    let made = std::process::Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap();
    assert!(made.success());
    for odd in [".", "-", "pipe", "/dev/null"] {
        for words in [
            format!("diff {odd} new made"),
            format!("diff old {odd} made"),
            format!("apply {odd} patch made"),
            format!("apply old {odd} made"),
            format!("inspect {odd}"),
            format!("inspect patch --old {odd}"),
            format!("inspect patch --old old --new {odd}"),
        ] {
            let run = smidgen(dir.path(), &format!("{words} --json")).ends(2);
            assert_eq!(run.error_code(), "not_a_file", "{words}");
        }
    }
    assert_eq!(names(dir.path()), ["new", "old", "patch", "pipe"]);
}

/// What a column of the table below `title` adds up to, after making sure that its line "all" says the same.
fn added_up(text: &str, title: &str, column: &str) -> i64 {
    let mut lines = text.lines().skip_while(|line| !line.starts_with(title));
    let titles = lines.next().unwrap();
    let end = titles.find(column).unwrap() + column.trim_end().len();
    let number = |line: &str| -> i64 {
        line[..end].split_whitespace().last().unwrap().replace(',', "").parse().unwrap()
    };
    let mut sum = 0;
    for line in lines {
        if line.starts_with("  all ") {
            assert_eq!(number(line), sum, "{text}");
            return sum;
        }
        sum += number(line);
    }
    panic!("no line \"all\": {text}");
}

/// Every byte of the patch is somebody's; what a section costs stands in the text, the document and the picture.
#[test]
fn says_where_the_bytes_of_a_patch_go() {
    let dir = folder_with_builds();
    smidgen(dir.path(), "diff old new patch --codec reference").ends(0);
    let report = smidgen(dir.path(), "inspect patch --old old --picture picture.svg --json").ends(0).json();
    let account = &report["account"];
    let sections = account["sections"].as_array().unwrap();
    assert_eq!(sections.len(), 1, "{account}");
    assert_eq!(sections[0]["name"], "(whole file)");
    assert_eq!(sections[0]["size"], build(1).len());
    let bytes = |value: &serde_json::Value| value.as_f64().unwrap();
    let parts = ["controls", "predicted", "mispredicted", "differing", "extra"];
    let sum: f64 = parts.map(|part| bytes(&sections[0][part]["bytes"])).iter().sum();
    assert!((sum - bytes(&sections[0]["bytes"])).abs() < 0.1, "{account}");
    let around = ["header", "layout", "rounding"].map(|part| bytes(&account[part]));
    assert!(around[2].abs() < 8.0, "{account}");
    let all = sum + around.iter().sum::<f64>();
    assert!((all - bytes(&report["patch_size"])).abs() < 0.1, "{all}: {report}");
    let svg = std::fs::read_to_string(dir.path().join("picture.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.contains("(whole file)"), "{svg}");
    assert_eq!(report["picture"], "picture.svg");

    // What is drawn again replaces it.
    std::fs::write(dir.path().join("picture.svg"), "before").unwrap();
    let words = "inspect patch --old old --new new --picture picture.svg";
    let text = smidgen(dir.path(), words).ends(0).stdout;
    assert!(text.ends_with("\npicture: picture.svg\n"), "{text}");
    assert_eq!(std::fs::read_to_string(dir.path().join("picture.svg")).unwrap(), svg);
    assert!(text.contains("where the bytes of the patch go"), "{text}");
    let patch_size = report["patch_size"].as_i64().unwrap();
    assert_eq!(added_up(&text, "  new file ", " all "), patch_size, "{text}");
    assert_eq!(added_up(&text, "  stream ", " packed "), patch_size, "{text}");
    for (words, exit, code) in [
        ("inspect patch --old new", 6, "old_differs"),
        ("inspect patch --old old --new old", 6, "new_differs"),
        ("inspect patch --old old --picture old", 2, "same_file"),
        ("inspect patch --picture picture.svg", 2, "usage"),
    ] {
        assert_eq!(smidgen(dir.path(), &format!("{words} --json")).ends(exit).error_code(), code, "{words}");
    }
    smidgen(dir.path(), "diff old new patch --codec classic").ends(0);
    let run = smidgen(dir.path(), "inspect patch --old old --json").ends(1);
    assert_eq!(run.error_code(), "not_by_place");
}
