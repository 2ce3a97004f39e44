//! python-tuf, the reference client, downloads whole files from what `smidgen` publishes and serves.

use std::path::Path;
use std::process::Command;

use smidgen_metadata::Sha256;

use crate::builds::build;
use crate::judge::python;
use crate::program::smidgen;
use crate::server::Server;

/// Publishes a build of a product and returns the path of its target and the digits of its line.
fn publish(dir: &Path, product: &str, platform: &str, version: u64) -> (String, String) {
    std::fs::write(dir.join("hello"), build(version)).unwrap();
    let words = format!(
        "publish repo hello --keys keys --product {product} --platform {platform} --version 1.{version}.0 \
         --severity routine --codec classic --json"
    );
    let report = smidgen(dir, &words).ends(0).json();
    (report["target"].as_str().unwrap().to_owned(), report["line_id"].as_str().unwrap().to_owned())
}

/// Lets the reference client with its own `folder` fetch `target`, and compares what it got with the build.
#[track_caller]
fn fetches(python: &Path, dir: &Path, folder: &str, url: &str, target: &str, version: u64) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/client.py");
    let mut command = Command::new(python);
    command.current_dir(dir).arg(script).args([folder, url, "root.json", target]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{target}: {}", String::from_utf8_lossy(&output.stderr));
    let found = String::from_utf8(output.stdout).unwrap();
    assert_eq!(found.trim(), Sha256::of(&build(version)).to_string(), "{target}");
}

/// What ships with the program.
fn keep_root(dir: &Path) {
    std::fs::copy(dir.join("repo/metadata/1.root.json"), dir.join("root.json")).unwrap();
}

#[test]
fn python_tuf_follows_products_and_lines_through_their_delegations() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    smidgen(dir, "init repo --keys keys --name acme").ends(0);
    keep_root(dir);
    let (target, _) = publish(dir, "hello", "x86_64-linux", 0);
    let server = Server::start(dir, "repo");
    fetches(&python, dir, "client", &server.url, &target, 0);
    // The next release of the line, another line, another product: the client that is there follows.
    let (target, _) = publish(dir, "hello", "x86_64-linux", 1);
    fetches(&python, dir, "client", &server.url, &target, 1);
    let (target, _) = publish(dir, "hello", "aarch64-linux", 2);
    fetches(&python, dir, "client", &server.url, &target, 2);
    smidgen(dir, "product add repo --keys keys --product viewer").ends(0);
    let (target, _) = publish(dir, "viewer", "x86_64-linux", 3);
    fetches(&python, dir, "client", &server.url, &target, 3);
    smidgen(dir, "resign repo --keys keys --everything").ends(0);
    fetches(&python, dir, "client", &server.url, &target, 3);
}

#[test]
fn python_tuf_follows_each_shard_before_and_after_another_is_added() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    smidgen(dir, "init repo --keys keys --name acme --shards 4096").ends(0);
    keep_root(dir);
    let server = Server::start(dir, "repo");
    let (first, id) = publish(dir, "hello", "x86_64-linux", 0);
    let url = |id: &str| format!("{}shards/{}/", server.url, &id[..3]);
    fetches(&python, dir, "one", &url(&id), &first, 0);
    let (second, other) = publish(dir, "hello", "aarch64-linux", 1);
    assert_ne!(id[..3], other[..3]);
    fetches(&python, dir, "two", &url(&other), &second, 1);
    fetches(&python, dir, "one", &url(&id), &first, 0);
    let (first, _) = publish(dir, "hello", "x86_64-linux", 2);
    fetches(&python, dir, "one", &url(&id), &first, 2);
}
