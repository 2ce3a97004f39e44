//! Repositories that are cut up into shards: what is published where, and what clients of one shard notice of another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::builds::build;
use crate::program::smidgen;
use crate::server::Server;

fn publish(dir: &Path, version: u64, plugin: &str) -> serde_json::Value {
    std::fs::write(dir.join("hello"), build(version)).unwrap();
    let words = format!(
        "publish repo hello --keys keys --product hello --platform x86_64-linux --version 1.{version}.0 \
         --severity routine --plugin {plugin}@1 --codec classic --json"
    );
    smidgen(dir, &words).ends(0).json()
}

/// The lines of these plugins are in different shards of 16, the first two of them.
fn shard(report: &serde_json::Value) -> String {
    report["line_id"].as_str().unwrap()[..1].to_owned()
}

fn update(dir: &Path, url: &str, plugin: &str, app: &str) -> crate::program::Run {
    let words = format!(
        "update --url {url} --root repo/metadata/1.root.json --product hello --platform x86_64-linux \
         --plugin {plugin} --dir {app} --json"
    );
    smidgen(dir, &words)
}

/// Every file below a folder with its content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_new_line_touches_its_own_shard_and_clients_of_others_fetch_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let made = smidgen(dir, "init repo --keys keys --name acme --shards 16 --json").ends(0).json();
    assert_eq!((made["name"].as_str(), made["shards"].as_u64()), (Some("acme"), Some(16)));
    let first = publish(dir, 0, "a");
    let folder = dir.join("repo/shards").join(shard(&first));
    let server = Server::start(dir, "repo");
    update(dir, &server.url, "a", "app").ends(0);
    assert_eq!(std::fs::read(dir.join("app/hello")).unwrap(), build(0));
    let before = files(&folder);

    let others = ["b", "c", "d", "e", "f", "g"];
    let mut elsewhere = BTreeSet::new();
    for plugin in others {
        let report = publish(dir, 1, plugin);
        if shard(&report) != shard(&first) {
            elsewhere.insert(shard(&report));
            update(dir, &server.url, plugin, &format!("app-{plugin}")).ends(0);
            assert_eq!(std::fs::read(dir.join(format!("app-{plugin}/hello"))).unwrap(), build(1));
            let of_other = dir.join("repo/shards").join(shard(&report));
            // What is signed offline is the same everywhere.
            for name in ["metadata/1.root.json", "metadata/2.targets.json"] {
                let home = std::fs::read(dir.join("repo").join(name)).unwrap();
                assert_eq!(std::fs::read(of_other.join(name)).unwrap(), home, "{name}");
                assert_eq!(std::fs::read(folder.join(name)).unwrap(), home, "{name}");
            }
        }
    }
    assert!(elsewhere.len() >= 2);
    assert_eq!(files(&folder), before);
    let idle = update(dir, &server.url, "a", "app").ends(0).json();
    assert_eq!((idle["outcome"].as_str(), idle["requests"].as_u64()), (Some("up_to_date"), Some(1)));
    assert_eq!(idle["bytes_fetched"], 0);

    let report = smidgen(dir, "verify repo --json").ends(0).json();
    assert_eq!((report["lines"].as_u64(), report["repository"].as_str()), (Some(7), Some("acme")));
    assert_eq!(report["findings"].as_array().unwrap().len(), 0, "{report}");
    let signed = smidgen(dir, "resign repo --keys keys --json").ends(0).json();
    assert_eq!(
        signed["roles"].as_array().unwrap().len(),
        elsewhere.len() + 1,
        "a timestamp for each shard: {signed}"
    );
    smidgen(dir, "gc repo --grace 0s").ends(0);
    smidgen(dir, "verify repo").ends(0);
}

#[test]
fn a_client_that_changes_its_plugins_moves_to_their_shard_and_refuses_the_files_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    smidgen(dir, "init repo --keys keys --name acme --shards 256").ends(0);
    let (one, two) = (publish(dir, 0, "a"), publish(dir, 1, "b"));
    let id = |report: &serde_json::Value| report["line_id"].as_str().unwrap()[..2].to_owned();
    assert_ne!(id(&one), id(&two));
    let server = Server::start(dir, "repo");
    update(dir, &server.url, "a", "app").ends(0);
    update(dir, &server.url, "b", "app").ends(0);
    assert_eq!(std::fs::read(dir.join("app/hello")).unwrap(), build(1));
    update(dir, &server.url, "a", "app").ends(0);
    assert_eq!(std::fs::read(dir.join("app/hello")).unwrap(), build(0));

    // A mirror without any key serves one shard in the place of the other: genuine, and of another name.
    let shards = dir.join("repo/shards");
    std::fs::rename(shards.join(id(&one)), dir.join("kept")).unwrap();
    std::fs::create_dir(shards.join(id(&one))).unwrap();
    for (name, bytes) in files(&shards.join(id(&two))) {
        let path = shards.join(id(&one)).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    for app in ["app", "fresh"] {
        let refused = update(dir, &server.url, "a", app).ends(3);
        assert_eq!(refused.error_code(), "other_repository", "{app}");
    }
    // And what was refused has left nothing behind.
    std::fs::remove_dir_all(shards.join(id(&one))).unwrap();
    std::fs::rename(dir.join("kept"), shards.join(id(&one))).unwrap();
    update(dir, &server.url, "a", "app").ends(0);

    let unknown = update(dir, &server.url, "nobody-has-this", "none");
    assert_ne!(unknown.code, Some(0));
}

#[test]
fn a_product_needs_the_targets_key_once_and_its_releases_never() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    smidgen(dir, "init repo --keys keys --name acme --shards 4").ends(0);
    std::fs::create_dir(dir.join("offline")).unwrap();
    for file in ["targets.pem", "targets.pub"] {
        std::fs::rename(dir.join("keys").join(file), dir.join("offline").join(file)).unwrap();
    }
    std::fs::write(dir.join("hello"), build(0)).unwrap();
    let words = "publish repo hello --keys keys --product hello --platform x86_64-linux --version 1.0.0 --severity routine";
    let refused = smidgen(dir, &format!("{words} --json")).ends(1);
    assert_eq!(refused.error_code(), "product_needs_targets_key");
    assert!(
        refused.stdout.contains("smidgen product add repo --keys DIR --product hello"),
        "{}",
        refused.stdout
    );

    let added = smidgen(dir, "product add repo --keys offline --product hello --json").ends(0).json();
    assert_eq!((added["already"].as_bool(), added["targets"].as_u64()), (Some(false), Some(2)));
    let again = smidgen(dir, "product add repo --keys keys --product hello --json").ends(0).json();
    assert_eq!((again["already"].as_bool(), again["targets"].as_u64()), (Some(true), Some(2)));
    smidgen(dir, words).ends(0);
    let reserved = smidgen(dir, "product add repo --keys offline --product snapshot --json").ends(1);
    assert_eq!(reserved.error_code(), "reserved_product");
}
