//! Looking after a repository: withdrawing, signing again, cleaning up, and keys and clocks that are wrong.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod scene;

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use scene::{Scene, line, role};
use smidgen_metadata::RoleKind;
use smidgen_server::gc::{GcOptions, gc};
use smidgen_server::keys::{KeyName, Keys};
use smidgen_server::repository::Repository;
use smidgen_server::resign::{ResignScope, resign};
use smidgen_server::store::Store;
use smidgen_server::verify::verify;
use smidgen_server::withdraw::{Which, WithdrawRequest, withdraw};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

fn version(text: &str) -> WithdrawRequest {
    WithdrawRequest { line: line(), release: Which::Version(text.parse().unwrap()) }
}

#[tokio::test]
async fn a_withdrawn_release_is_not_offered_and_the_history_says_so() {
    let scene = Scene::new().await;
    for version in 1..=3 {
        scene.publish(version).await.unwrap();
    }
    let report = withdraw(&scene.repository, &scene.keys, &version("1.3"), &()).await.unwrap();
    assert!(!report.already);
    assert_eq!(report.newest.unwrap().version.as_str(), "1.2");
    let state = scene.client().line(&line()).unwrap();
    assert_eq!(state.newest().unwrap().sequence, 2);
    let marks: Vec<bool> = state.history().iter().map(|entry| entry.withdrawn).collect();
    assert_eq!(marks, [false, false, true]);

    assert!(withdraw(&scene.repository, &scene.keys, &version("1.3"), &()).await.unwrap().already);
    assert_eq!(scene.publish(3).await.unwrap_err().code(), "withdrawn");
    let report = scene.publish(4).await.unwrap();
    assert_eq!(report.sequence, 4);
    assert_eq!(scene.client().versions(), ["1.1", "1.2", "1.4"]);

    // Clients that run the withdrawn build get a patch away from it, made from older metadata.
    let olds: Vec<u64> = report.patches.iter().map(|patch| patch.old_sequence).collect();
    assert_eq!(olds, [3, 2, 1]);
    let withdrawn = scene::build(3);
    let digest = smidgen_delta::Digest::of(&withdrawn);
    let client = scene.client();
    let newest = client.line(&line()).unwrap().newest().unwrap().clone();
    let patch = newest.patches.iter().find(|patch| patch.old.as_bytes() == &digest.as_bytes()[..4]).unwrap();
    let patch = std::fs::read(scene.folder().join(patch.path())).unwrap();
    let patch = smidgen_delta::Patch::open(patch, &smidgen_delta::Limits::default()).unwrap();
    let mut made = Vec::new();
    patch.apply(&withdrawn, &mut made).unwrap();
    assert_eq!(made, scene::build(4));
}

#[tokio::test]
async fn the_only_release_can_be_withdrawn_and_a_new_one_follows() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let report = withdraw(&scene.repository, &scene.keys, &version("1.1"), &()).await.unwrap();
    assert_eq!(report.newest, None);
    assert_eq!(scene.client().versions(), Vec::<String>::new());
    assert_eq!(scene.publish(1).await.unwrap_err().code(), "withdrawn");
    assert_eq!(scene.publish(2).await.unwrap().sequence, 2);
    assert!(verify(&scene.repository, &()).await.is_sound());
}

#[tokio::test]
async fn an_unknown_line_or_version_is_named_with_those_that_there_are() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let error = withdraw(&scene.repository, &scene.keys, &version("9.9"), &()).await.unwrap_err();
    assert_eq!(error.code(), "unknown_release");
    assert!(error.to_string().ends_with("it has: 1.1"), "{error}");
    let mut request = version("1.1");
    request.line.product = "browser".parse().unwrap();
    let error = withdraw(&scene.repository, &scene.keys, &request, &()).await.unwrap_err();
    assert_eq!(error.code(), "unknown_line");
    assert!(error.to_string().contains("there is: editor stable x86_64-linux with spell"), "{error}");
}

#[tokio::test]
async fn resigning_renews_what_is_due_and_changes_nothing_else() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let before = scene.repository.load_all().await.unwrap();
    let roles = async |scope| -> Vec<String> {
        let report = resign(&scene.repository, &scene.keys, scope, &()).await.unwrap();
        report.roles.into_iter().map(|role| role.role).collect()
    };
    assert_eq!(roles(ResignScope::WhatIsDue).await, ["timestamp"]);
    scene.clock.pass(8 * DAY);
    // The timestamp has expired meanwhile: that is what signing again is for.
    assert_eq!(roles(ResignScope::TimestampOnly).await, ["timestamp"]);
    assert_eq!(roles(ResignScope::WhatIsDue).await, ["snapshot", "timestamp"]);
    scene.clock.pass(50 * DAY);
    assert_eq!(roles(ResignScope::WhatIsDue).await, ["editor", &role(), "snapshot", "timestamp"]);
    scene.clock.pass(50 * DAY);
    let all = ["targets", "editor", &role(), "snapshot", "timestamp"];
    assert_eq!(roles(ResignScope::WhatIsDue).await, all);
    let after = scene.repository.load_all().await.unwrap();
    assert_eq!(before.targets().delegations, after.targets().delegations);
    assert_eq!(before.line(&line()), after.line(&line()));
    assert_eq!(roles(ResignScope::Everything).await, all);
    assert_eq!(scene.client().versions(), ["1.1"]);
}

#[tokio::test]
async fn a_timestamp_is_not_signed_over_what_has_expired() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    scene.clock.pass(15 * DAY);
    let error = resign(&scene.repository, &scene.keys, ResignScope::TimestampOnly, &()).await.unwrap_err();
    assert_eq!(error.code(), "expired_metadata");
    assert!(error.to_string().contains("snapshot expired at 2026-01-15T00:00:00Z"), "{error}");
    resign(&scene.repository, &scene.keys, ResignScope::WhatIsDue, &()).await.unwrap();
    scene.clock.pass(400 * DAY);
    let error = scene.publish(2).await.unwrap_err();
    assert_eq!(error.code(), "expired_metadata");
    assert!(error.to_string().starts_with("root expired"), "{error}");
}

#[tokio::test]
async fn a_publisher_can_come_back_after_months() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    scene.clock.pass(200 * DAY);
    scene.publish(2).await.unwrap();
    assert_eq!(scene.client().versions(), ["1.1", "1.2"]);
}

#[tokio::test]
async fn a_clock_that_went_back_is_refused_unless_by_minutes() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    scene.clock.pass(-HOUR);
    let error = scene.publish(2).await.unwrap_err();
    assert_eq!(error.code(), "clock_back");
    assert!(error.to_string().contains("the clock says 2025-12-31T23:00:00Z"), "{error}");
    scene.clock.pass(HOUR - 60);
    scene.publish(2).await.unwrap();
    let signed = scene.repository.load().await.unwrap().timestamp().signed_at.unwrap();
    assert_eq!(signed.unix(), scene::START);
}

#[tokio::test]
async fn keys_of_another_repository_are_refused_before_any_work() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let other = Keys::create(&scene.home.path().join("other-keys"), scene.repository.store()).unwrap();
    let request = scene.request(2);
    let error =
        smidgen_server::publish::publish(&scene.repository, &other, request, &scene.options, &()).await;
    let error = error.unwrap_err();
    assert_eq!(error.code(), "wrong_key");
    assert!(error.to_string().contains("other-keys/snapshot.pem"), "{error}");

    std::fs::remove_file(scene.keys.path(&KeyName::RELEASE)).unwrap();
    let error = scene.publish(2).await.unwrap_err();
    assert_eq!(error.code(), "key_missing");
    resign(&scene.repository, &scene.keys, ResignScope::TimestampOnly, &()).await.unwrap();
}

#[tokio::test]
async fn says_that_a_folder_is_no_repository_or_is_one_already() {
    let scene = Scene::bare();
    assert_eq!(scene.publish(1).await.unwrap_err().code(), "not_a_repository");
    scene.repository.init(&scene.keys, None, 1, &()).await.unwrap();
    let error = scene.repository.init(&scene.keys, None, 1, &()).await.unwrap_err();
    assert_eq!(error.code(), "already_initialised");

    let full = scene.home.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("thesis.tex"), "").unwrap();
    let repository = Repository::new(Store::folder(&full).unwrap());
    let error = repository.init(&scene.keys, None, 1, &()).await.unwrap_err();
    assert_eq!(error.code(), "folder_not_empty");
    assert!(error.to_string().contains("thesis.tex"), "{error}");
}

#[tokio::test]
async fn two_repositories_get_different_names() {
    let (one, two) = (Scene::bare(), Scene::bare());
    let one = one.repository.init(&one.keys, None, 1, &()).await.unwrap();
    let two = two.repository.init(&two.keys, None, 1, &()).await.unwrap();
    assert_ne!(one.name, two.name);
    assert_eq!(one.root, "metadata/1.root.json");
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_secs().try_into().unwrap()
}

/// Every file in the repository.
async fn files(scene: &Scene) -> BTreeSet<String> {
    scene.repository.store().list("").await.unwrap().into_iter().map(|entry| entry.key).collect()
}

#[tokio::test]
async fn gc_removes_only_after_the_grace_period_and_says_what() {
    let mut scene = Scene::new().await;
    scene.clock.set(now() + 5);
    scene.options.listed = 1;
    scene.publish(1).await.unwrap();
    let first = scene.client().line(&line()).unwrap().newest().unwrap().clone();
    let (old, built_upon) = (first.raw_path(&line()), first.full.path());
    scene.publish(2).await.unwrap();
    let options = GcOptions { grace: Duration::from_secs(7 * 24 * 3600), dry_run: false };
    let report = gc(&scene.repository, &options, &()).await.unwrap();
    assert_eq!(report.removed, []);
    assert!(report.kept > 5);

    scene.clock.pass(8 * DAY);
    // In force until a moment ago counts as within the grace period, however old the files are.
    resign(&scene.repository, &scene.keys, ResignScope::Everything, &()).await.unwrap();
    let before = files(&scene).await;
    let report = gc(&scene.repository, &GcOptions { dry_run: true, ..options }, &()).await.unwrap();
    assert_eq!(files(&scene).await, before);
    assert!(report.removed.iter().any(|file| file.key == old), "{report:?}");
    assert!(
        !report.removed.iter().any(|file| file.key == built_upon),
        "the next patch is made from it: {report:?}"
    );
    let removed = gc(&scene.repository, &options, &()).await.unwrap();
    assert_eq!(removed.removed, report.removed);
    let gone: BTreeSet<String> = report.removed.into_iter().map(|file| file.key).collect();
    assert_eq!(files(&scene).await, &before - &gone);
    assert!(verify(&scene.repository, &()).await.is_sound());
    assert_eq!(scene.client().check_everything(&line()), 1);
}

/// What an operator may do next.
#[derive(Clone, Debug)]
enum Step {
    Publish,
    Withdraw(u64),
    Resign,
    /// Days pass, and everything on the disk grows older by as much.
    Wait(i64),
    Leave,
    Gc(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Publish),
        1 => (1..6_u64).prop_map(Step::Withdraw),
        1 => Just(Step::Resign),
        2 => (1..5_i64).prop_map(Step::Wait),
        1 => Just(Step::Leave),
        2 => (0..6_u64).prop_map(Step::Gc),
    ];
    prop::collection::vec(step, 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gc_never_removes_what_is_listed(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(live(steps));
    }
}

async fn live(steps: Vec<Step>) {
    let mut scene = Scene::new().await;
    scene.options.listed = 2;
    scene.options.previous = 1;
    scene.clock.set(now() + 5);
    let mut version = 0;
    for step in steps {
        match step {
            Step::Publish => {
                version += 1;
                scene.publish(version).await.unwrap();
            }
            Step::Withdraw(sequence) => {
                let request = WithdrawRequest { line: line(), release: Which::Sequence(sequence) };
                let _ = withdraw(&scene.repository, &scene.keys, &request, &()).await;
            }
            Step::Resign => {
                resign(&scene.repository, &scene.keys, ResignScope::Everything, &()).await.unwrap();
            }
            Step::Wait(days) => scene.clock.pass(days * DAY),
            Step::Leave => {
                let bytes = format!("left over {version}").into_bytes();
                let digest = smidgen_delta::Digest::of(&bytes).to_string();
                let key = format!("blobs/{}/{}", &digest[..2], &digest[..32]);
                scene.repository.store().put(&key, bytes.into()).await.unwrap();
            }
            Step::Gc(days) => {
                let options = GcOptions { grace: Duration::from_secs(days * 24 * 3600), dry_run: false };
                gc(&scene.repository, &options, &()).await.unwrap();
            }
        }
        let report = verify(&scene.repository, &()).await;
        let listed = |code: &str| !["expired_metadata", "expires_soon", "orphan"].contains(&code);
        let wrong: Vec<_> = report.findings.iter().filter(|finding| listed(finding.code)).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        let version = scene.repository.load().await.unwrap().version(RoleKind::Root);
        assert!(scene.folder().join(format!("metadata/{version}.root.json")).exists());
    }
}
