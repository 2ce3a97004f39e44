//! What goes wrong in the world, as the program tells it: an exit code, a stable code, and an untouched build.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::builds::build;
use crate::program::{Run, command};
use crate::publisher::Publisher;

/// A client that has version 1.0.0 while 1.1.0 is served.
fn behind() -> (Publisher, crate::server::Server) {
    let publisher = Publisher::with(&["routine"]);
    let server = publisher.serve();
    publisher.update(&server.url, "").ends(0);
    publisher.publish(1, "routine").ends(0);
    (publisher, server)
}

#[test]
fn wrong_root() {
    let (publisher, server) = behind();
    publisher.run("init other --keys other-keys").ends(0);
    let words = publisher.update_words(&server.url, "").replace("repo/metadata", "other/metadata");
    // A folder that trusts somebody already keeps to that; this one begins.
    let words = words.replace("--dir app", "--dir fresh");
    let run = publisher.run(&words).ends(3);
    assert_eq!(run.error_code(), "signature_threshold");
    assert!(!publisher.dir().join("fresh/hello").exists());
}

#[test]
fn root_that_is_no_root() {
    let (publisher, server) = behind();
    let words = publisher.update_words(&server.url, "").replace("--dir app", "--dir fresh");
    let run = publisher.run(&words.replace("1.root.json", "timestamp.json")).ends(3);
    assert!(run.stderr.contains("root"), "{}", run.stderr);
    let run = publisher.run(&words.replace("1.root.json", "absent.json")).ends(1);
    assert_eq!(run.error_code(), "not_found");
}

#[test]
fn expired_metadata() {
    let (publisher, server) = behind();
    let Some(late) = at("+4 days", publisher.dir(), &publisher.update_words(&server.url, "")) else { return };
    assert_eq!(late.ends(3).error_code(), "expired_metadata");
    assert_eq!(publisher.installed(), build(0));
    let verified = at("+4 days", publisher.dir(), "verify repo --json").unwrap();
    assert!(verified.ends(7).stdout.contains("expired"));
    at("+4 days", publisher.dir(), "resign repo --keys keys").unwrap().ends(0);
    at("+4 days", publisher.dir(), &publisher.update_words(&server.url, "")).unwrap().ends(0);
    assert_eq!(publisher.installed(), build(1));
}

#[test]
fn wrong_clock() {
    let (publisher, server) = behind();
    // A clock that is behind must not make expired metadata valid again, and must not stop updates either: the newest
    // signed time is the floor.
    let Some(early) = at("-30 days", publisher.dir(), &publisher.update_words(&server.url, "")) else {
        return;
    };
    early.ends(0);
    assert_eq!(publisher.installed(), build(1));
    publisher.publish_words(2, "routine");
    let words = publisher.publish_words(2, "routine");
    let run = at("-30 days", publisher.dir(), &words).unwrap();
    assert_eq!(run.ends(1).error_code(), "clock_back");
}

#[test]
fn wrong_key() {
    let publisher = Publisher::with(&["routine"]);
    publisher.run("init other --keys other-keys").ends(0);
    let words = publisher.publish_words(1, "routine").replace("--keys keys", "--keys other-keys");
    assert_eq!(publisher.run(&words).ends(3).error_code(), "wrong_key");
    let words = publisher.publish_words(1, "routine").replace("--keys keys", "--keys absent");
    assert_eq!(publisher.run(&words).ends(1).error_code(), "key_missing");
    publisher.run("verify repo").ends(0);
}

#[test]
fn keys_inside_the_repository() {
    let dir = tempfile::tempdir().unwrap();
    let run = crate::program::smidgen(dir.path(), "init repo --keys repo/keys --json").ends(2);
    assert_eq!(run.error_code(), "key_in_repository");
    assert!(!dir.path().join("repo/keys").exists());
}

#[test]
fn damaged_blobs() {
    let (publisher, server) = behind();
    for blob in publisher.blobs() {
        let mut bytes = std::fs::read(&blob).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&blob, bytes).unwrap();
    }
    let run = publisher.update(&server.url, "").ends(3);
    assert_eq!(run.error_code(), "blob_damaged");
    assert_eq!(publisher.installed(), build(0));
    let report = publisher.run("verify repo --json").ends(7).json();
    assert!(!report["findings"].as_array().unwrap().is_empty());
}

#[test]
fn half_copied_repository() {
    let (publisher, server) = behind();
    for blob in publisher.blobs() {
        std::fs::remove_file(blob).unwrap();
    }
    let run = publisher.update(&server.url, "").ends(4);
    assert_eq!(run.error_code(), "repository_incomplete");
    assert_eq!(publisher.installed(), build(0));
    publisher.run("verify repo").ends(7);
}

#[test]
fn unknown_product() {
    let (publisher, server) = behind();
    let words = publisher.update_words(&server.url, "").replace("--product hello", "--product hullo");
    let run = publisher.run(&words.replace("--dir app", "--dir fresh")).ends(6);
    assert_eq!(run.error_code(), "unknown_product");
    let run = publisher.update(&server.url, "--plugin spell").ends(6);
    assert_eq!(run.error_code(), "unknown_product");
    assert_eq!(publisher.installed(), build(0));
}

#[test]
fn address_without_a_repository_or_without_a_server() {
    let (publisher, server) = behind();
    let url = server.url.clone();
    let run = publisher.update(&format!("{url}nowhere/"), "").ends(6);
    assert_eq!(run.error_code(), "no_repository");
    drop(server);
    let run = publisher.update(&url, "").ends(4);
    assert_eq!(run.error_code(), "unreachable");
    publisher.update("ftp://127.0.0.1/", "").ends(2);
    assert_eq!(publisher.installed(), build(0));
}

#[cfg(unix)]
#[test]
fn read_only_folder() {
    let (publisher, server) = behind();
    set_mode(publisher.dir(), 0o755);
    set_mode(&publisher.dir().join("app"), 0o555);
    let run = unprivileged(publisher.dir(), &publisher.update_words(&server.url, ""));
    let init = unprivileged(publisher.dir(), "init app/repo --keys app/keys --json");
    set_mode(&publisher.dir().join("app"), 0o755);
    let (Some(run), Some(init)) = (run, init) else { return };
    assert_eq!(run.ends(5).error_code(), "not_permitted");
    assert_eq!(publisher.installed(), build(0));
    assert_eq!(init.ends(5).error_code(), "not_permitted");
}

#[test]
fn file_changed_under_our_feet() {
    let (publisher, server) = behind();
    std::fs::write(publisher.dir().join("app/hello"), "tampered").unwrap();
    let status = publisher.run("status --dir app --json").ends(0).json();
    assert_eq!(status["file"], "changed");
    let run = publisher.update(&server.url, "").ends(0).json();
    assert_eq!(run["outcome"], "repaired");
    assert_eq!(publisher.installed(), build(1));
}

#[test]
fn build_that_differs_under_a_version_that_is_taken() {
    let publisher = Publisher::with(&["routine"]);
    let words = publisher.publish_words(1, "routine").replace("--version 1.1.0", "--version 1.0.0");
    assert_eq!(publisher.run(&words).ends(1).error_code(), "version_taken");
    let words = publisher.publish_words(1, "routine").replace("build-1/hello", "build-9/hello");
    assert_eq!(publisher.run(&words).ends(1).error_code(), "build_unreadable");
}

#[test]
fn folder_in_which_nothing_was_installed() {
    let dir = tempfile::tempdir().unwrap();
    let run = crate::program::smidgen(dir.path(), "status --dir . --json").ends(6);
    assert_eq!(run.error_code(), "not_installed");
}

/// Runs the program with another clock; `None`, loudly, where libfaketime is not installed. In CI it must be.
fn at(offset: &str, dir: &Path, words: &str) -> Option<Run> {
    let found =
        Command::new("faketime").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "CI has to install faketime");
        eprintln!("SKIPPED: install faketime to test what happens when clocks are wrong");
        return None;
    }
    let words: Vec<&str> = words.split_whitespace().collect();
    let program = command(&words, dir);
    let mut faked = Command::new("faketime");
    faked.arg("-f").arg(offset_in_seconds(offset)).arg(program.get_program()).args(program.get_args());
    // Only the date is wrong: timeouts are counted in time that passes.
    faked.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").current_dir(dir).stdin(Stdio::null());
    Some(Run::of(faked.output().unwrap()))
}

fn offset_in_seconds(offset: &str) -> String {
    let days: i64 = offset.trim_end_matches(" days").parse().unwrap();
    format!("{:+}", days * 24 * 60 * 60)
}

/// Runs the program as somebody whom permissions bind: root, as in containers, becomes nobody for it. `None`, loudly,
/// where that cannot be.
#[cfg(unix)]
fn unprivileged(dir: &Path, words: &str) -> Option<Run> {
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut program = command(&words, dir);
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout == b"0\n" {
        let mut nobody = Command::new("setpriv");
        nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
        nobody.arg(program.get_program());
        if !nobody.arg("--version").output().is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: permissions do not bind root, and nobody cannot run the program");
            return None;
        }
        nobody = Command::new("setpriv");
        nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
        nobody.arg(program.get_program()).args(program.get_args()).current_dir(dir).stdin(Stdio::null());
        program = nobody;
    }
    Some(Run::of(program.output().unwrap()))
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}
