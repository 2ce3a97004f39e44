//! Several publishers at once, in one process and in many, some of which are killed.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod scene;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use object_store::memory::InMemory;
use scene::{Client, Scene, line};
use smidgen_server::clock::{Clock, SystemClock};
use smidgen_server::keys::Keys;
use smidgen_server::publish::{PublishOptions, publish};
use smidgen_server::repository::Repository;
use smidgen_server::store::Store;
use smidgen_server::verify::verify;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn publishers_of_one_line_at_once_all_get_listed_with_patches_between_them() {
    let scene = std::sync::Arc::new(Scene::new().await);
    scene.publish(1).await.unwrap();
    let publishers = (2..=5).map(|version| {
        let scene = std::sync::Arc::clone(&scene);
        tokio::spawn(async move { scene.publish(version).await.unwrap().sequence })
    });
    let sequences = futures_util::future::join_all(publishers).await;
    let sequences: BTreeSet<u64> = sequences.into_iter().map(Result::unwrap).collect();
    assert_eq!(sequences, BTreeSet::from([2, 3, 4, 5]));
    let client = scene.client();
    assert_eq!(client.sequences(), [1, 2, 3, 4, 5]);
    assert_eq!(
        client.check_everything(&line()),
        1 + 2 + 3 + 4,
        "each has a patch from every build before it"
    );
    // Each commit took one version of each role: none was forked, none left over.
    assert_eq!(scene.repository.load().await.unwrap().version(smidgen_metadata::RoleKind::Timestamp), 6);
    assert!(verify(&scene.repository, &()).await.findings.iter().all(|finding| finding.code == "orphan"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bucket_without_locks_lists_everybody_too() {
    // Nobody added the product before: all four do, and three of them come too late.
    let scene = Scene::bare();
    let bucket = std::sync::Arc::new(InMemory::new());
    let repository =
        Repository::new(Store::over(bucket, "memory")).with_clock(std::sync::Arc::new(SystemClock));
    repository.init(&scene.keys, None, 1, &()).await.unwrap();
    let publishers = (1..=4).map(|version| {
        let (repository, keys, options) = (repository.clone(), scene.keys.clone(), scene.options.clone());
        let request = scene.request(version);
        tokio::spawn(
            async move { publish(&repository, &keys, request, &options, &()).await.unwrap().sequence },
        )
    });
    let sequences = futures_util::future::join_all(publishers).await;
    let sequences: BTreeSet<u64> = sequences.into_iter().map(Result::unwrap).collect();
    assert_eq!(sequences, BTreeSet::from([1, 2, 3, 4]));
    let report = verify(&repository, &()).await;
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.releases, report.applied), (4, 6));
}

/// Set in processes that this test starts: the folder of the scene, and the version to publish.
const CHILD: &str = "SMIDGEN_TEST_PUBLISH";

fn child(scene: &Scene, version: u32) -> std::process::Child {
    scene.build(version);
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "publishers_in_processes_that_are_killed_leave_a_sound_repository", "--nocapture"])
        .env(CHILD, format!("{}#{version}", scene.home.path().display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

async fn publish_as_child(argument: &str) {
    let (home, version) = argument.rsplit_once('#').unwrap();
    let home = std::path::Path::new(home);
    let store = Store::folder(&home.join("repository")).unwrap();
    let keys = Keys::open(&home.join("keys"), &store).unwrap();
    let request = scene::request(&home.join(format!("editor-{version}")), &format!("1.{version}"));
    let options = PublishOptions::default();
    publish(&Repository::new(store), &keys, request, &options, &()).await.unwrap();
}

#[tokio::test]
async fn publishers_in_processes_that_are_killed_leave_a_sound_repository() {
    if let Ok(argument) = std::env::var(CHILD) {
        return publish_as_child(&argument).await;
    }
    let scene = Scene::bare();
    // Files get the times of this machine, and so does what is signed.
    scene.clock.set(SystemClock.now().unix());
    scene.repository.init(&scene.keys, None, 1, &()).await.unwrap();
    let mut seen: Vec<u64> = Vec::new();
    for round in 0..8_u32 {
        // Two at once; the first is killed a little later each time, the second always finishes.
        let mut killed = child(&scene, 2 * round + 1);
        let mut finishing = child(&scene, 2 * round + 2);
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 40)).await;
        killed.kill().unwrap();
        killed.wait().unwrap();
        assert!(finishing.wait().unwrap().success());

        let client = Client::read(&scene.folder(), SystemClock.now());
        client.check_everything(&line());
        let sequences: Vec<u64> =
            client.line(&line()).unwrap().history().iter().map(|entry| entry.sequence).collect();
        assert!(sequences.starts_with(&seen) && sequences.len() > seen.len(), "{seen:?}, then {sequences:?}");
        assert!(
            client
                .line(&line())
                .unwrap()
                .history()
                .iter()
                .any(|entry| *entry.version == *format!("1.{}", 2 * round + 2))
        );
        seen = sequences;
    }
    assert!(verify(&scene.repository, &()).await.is_sound());
}
