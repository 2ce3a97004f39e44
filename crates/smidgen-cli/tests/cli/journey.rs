//! The main job, end to end: publish, serve, install, update by patch, take back, verify, clean up.

use crate::builds::build;
use crate::publisher::{LINE, Publisher};

#[test]
fn a_client_goes_from_nothing_to_the_newest_release_by_patches() {
    let publisher = Publisher::with(&["routine"]);
    let server = publisher.serve();

    let planned = publisher.update(&server.url, "--dry-run").ends(0).json();
    assert_eq!(planned["outcome"], "update_available");
    assert_eq!(planned["dry_run"], true);
    assert!(publisher.installed().is_empty());

    let installed = publisher.update(&server.url, "").ends(0).json();
    assert_eq!(installed["outcome"], "installed");
    assert_eq!(publisher.installed(), build(0));

    let published = publisher.publish(1, "feature").ends(0).json();
    assert_eq!(published["outcome"], "added");
    assert_eq!(published["sequence"], 2);
    let patch_size = published["patches"][0]["size"].as_u64().unwrap();
    assert!(patch_size < published["full_size"].as_u64().unwrap() / 10);
    if cfg!(target_os = "linux") {
        let peak = published["patches"][0]["apply_peak"].as_u64().unwrap();
        assert!((1 << 20..32 << 20).contains(&peak), "measured {peak} bytes");
    }
    publisher.publish(2, "routine").ends(0);

    let noticed = publisher.update(&server.url, "--notify").ends(0).json();
    assert_eq!(noticed["outcome"], "update_available");
    assert_eq!(noticed["severity"], "feature");
    assert_eq!(publisher.installed(), build(0));

    let below = publisher.update(&server.url, "--policy critical").ends(0).json();
    assert_eq!(below["outcome"], "below_policy");

    let updated = publisher.update(&server.url, "").ends(0).json();
    assert_eq!(updated["outcome"], "updated");
    assert_eq!(updated["way"]["way"], "patch");
    assert!(updated["bytes_saved"].as_u64() > updated["bytes_fetched"].as_u64());
    assert_eq!(publisher.installed(), build(2));

    let idle = publisher.update(&server.url, "").ends(0).json();
    assert_eq!(idle["outcome"], "up_to_date");
    assert_eq!(idle["requests"], 1);
    assert_eq!(idle["bytes_fetched"], 0);

    let status = publisher.run("status --dir app --json").ends(0).json();
    assert_eq!(status["installed"]["version"], "1.2.0");
    assert_eq!(status["file"], "intact");
    assert_eq!(status["previous"]["version"], "1.0.0");
    assert_eq!(status["follows"]["product"], "hello");
    assert_eq!(status["known"]["newest"], "1.2.0");

    publisher.publish(3, "critical").ends(0);
    publisher.update(&server.url, "--notify").ends(0);
    let text = publisher.run("status --dir app").ends(0).stdout;
    insta::assert_snapshot!(stable(&text));
}

/// The text without what differs from run to run: times, and sizes that depend on how well things compress.
fn stable(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let words = line.split_inclusive(' ').map(|word| {
            let is_time = word.contains('T') && word.trim_end_matches([' ', ':']).ends_with('Z');
            if is_time { "TIME ".to_owned() } else { word.to_owned() }
        });
        let line: String = words.collect();
        let line = match line.split_once(" to fetch") {
            Some((before, after)) => {
                format!("{} BYTES to fetch{after}", before.rsplitn(3, ' ').nth(2).unwrap())
            }
            None => line,
        };
        lines.push(line);
    }
    lines.join("\n")
}

#[cfg(unix)]
#[test]
fn the_mode_of_the_build_travels_with_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let publisher = Publisher::with(&["routine"]);
    let server = publisher.serve();
    publisher.update(&server.url, "").ends(0);
    let mode = publisher.dir().join("app/hello").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}

#[test]
fn a_withdrawn_release_is_not_offered_any_more() {
    let publisher = Publisher::with(&["routine", "routine", "routine"]);
    let server = publisher.serve();
    let report =
        publisher.run(&format!("withdraw repo --keys keys {LINE} --version 1.2.0 --json")).ends(0).json();
    assert_eq!(report["already"], false);
    assert_eq!(report["newest"]["version"], "1.1.0");
    publisher.update(&server.url, "").ends(0);
    assert_eq!(publisher.installed(), build(1));

    let again =
        publisher.run(&format!("withdraw repo --keys keys {LINE} --sequence 3 --json")).ends(0).json();
    assert_eq!(again["already"], true);
    let unknown = publisher.run(&format!("withdraw repo --keys keys {LINE} --version 9.9.9 --json")).ends(6);
    assert_eq!(unknown.error_code(), "unknown_release");
    let unknown = publisher
        .run("withdraw repo --keys keys --product other --platform x86_64-linux --version 1.0.0 --json");
    assert_eq!(unknown.ends(6).error_code(), "unknown_line");
}

#[test]
fn gc_removes_only_what_nothing_lists() {
    let publisher = Publisher::with(&["routine", "routine"]);
    publisher.run(&format!("withdraw repo --keys keys {LINE} --version 1.1.0")).ends(0);
    let before = publisher.blobs().len();

    let waiting = publisher.run("gc repo --json").ends(0).json();
    assert_eq!(waiting["removed"].as_array().unwrap().len(), 0);
    let dry = publisher.run("gc repo --grace 0s --dry-run --json").ends(0).json();
    assert_eq!(publisher.blobs().len(), before);
    let removed = publisher.run("gc repo --grace 0s --json").ends(0).json();
    assert_eq!(removed["removed"], dry["removed"]);
    assert!(publisher.blobs().len() < before);

    let verified = publisher.run("verify repo --json").ends(0).json();
    assert_eq!(verified["releases"], 1);
    let server = publisher.serve();
    publisher.update(&server.url, "").ends(0);
    assert_eq!(publisher.installed(), build(0));
}

#[test]
fn verify_applies_every_patch() {
    let publisher = Publisher::with(&["routine", "critical", "routine"]);
    let report = publisher.run("verify repo --json").ends(0).json();
    assert_eq!(report["repository"], "tests");
    assert_eq!(report["releases"], 1);
    assert_eq!(report["patches"], 2);
    assert_eq!(report["applied"], 2, "the builds before it are kept for that");
}

#[test]
fn publishing_again_changes_nothing_and_restores_what_was_lost() {
    let publisher = Publisher::with(&["routine", "routine"]);
    let timestamp = || std::fs::read(publisher.dir().join("repo/metadata/timestamp.json")).unwrap();
    let before = timestamp();
    assert_eq!(publisher.publish(1, "routine").ends(0).json()["outcome"], "already");
    assert_eq!(timestamp(), before);

    std::fs::remove_file(&publisher.blobs()[0]).unwrap();
    publisher.run("verify repo").ends(7);
    assert_eq!(publisher.publish(1, "routine").ends(0).json()["outcome"], "restored");
    publisher.publish(0, "routine").ends(0);
    publisher.run("verify repo").ends(0);
}

#[test]
fn resign_makes_a_new_timestamp() {
    let publisher = Publisher::with(&["routine"]);
    let report = publisher.run("resign repo --keys keys --timestamp-only --json").ends(0).json();
    assert_eq!(report["roles"][0]["role"], "timestamp");
    let inspected = publisher.run("inspect repo/metadata/timestamp.json --json").ends(0).json();
    assert_eq!(inspected["version"], report["roles"][0]["version"]);
    assert_eq!(inspected["repository"], "tests");
    publisher.run("verify repo").ends(0);
}

#[test]
fn plugins_choose_the_line() {
    let publisher = Publisher::with(&["routine"]);
    let server = publisher.serve();
    let words =
        publisher.publish_words(1, "routine").replace("--version", "--plugin spell@2.0.0:critical --version");
    let published = publisher.run(&words).ends(0).json();
    assert_eq!(published["sequence"], 1);
    publisher.update(&server.url, "--plugin spell").ends(0);
    assert_eq!(publisher.installed(), build(1));
}

#[test]
fn a_manifest_publishes_what_publish_does() {
    let publisher = Publisher::with(&["routine"]);
    publisher.publish_words(1, "feature");
    let manifest = "product = \"hello\"\nversion = \"1.1.0\"\nseverity = \"feature\"\n\
                    [[artifact]]\npath = \"build-1/hello\"\nplatform = \"x86_64-linux\"\n";
    std::fs::write(publisher.dir().join("release.toml"), manifest).unwrap();
    publisher.run("gen-deltas release.toml repo --keys keys --json").ends(0);
    publisher.run("gen-deltas release.toml repo --keys keys --json").ends(0);
    assert_eq!(publisher.publish(1, "feature").ends(0).json()["outcome"], "already");
    publisher.run("verify repo").ends(0);
}
