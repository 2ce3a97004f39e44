//! A process that dies at any step leaves the repository as it was or complete, and running it again finishes the job.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail loudly")]

mod scene;

use std::path::Path;
use std::time::Duration;

use scene::copies::{assert_sound, copy_all};
use scene::crashing::{MOMENTS, crash_at};
use scene::{Scene, line, role};
use smidgen_server::gc::{GcOptions, gc};
use smidgen_server::publish::publish;
use smidgen_server::repository::Repository;
use smidgen_server::resign::{ResignScope, resign};
use smidgen_server::withdraw::{Which, WithdrawRequest, withdraw};

/// Puts the repository back to what `copy` of it holds.
fn restore(scene: &Scene, copy: &Path) {
    copy_all(copy, &scene.folder());
}

/// What a client sees: the listed sequences, after checking that everything listed is there and right.
fn view(scene: &Scene) -> Vec<u64> {
    let client = scene.client();
    client.check_everything(&line());
    client.sequences()
}

/// Lets `action` die at each of its steps in each moment; `before` and `after` are what clients may see then, and `after`
/// is what they see once it has been run again. Returns how many steps there were.
async fn sweep(
    scene: &Scene,
    before: &[u64],
    after: &[u64],
    action: impl AsyncFn(&Repository) -> Result<(), String>,
) -> i64 {
    let copy = scene.home.path().join("copy");
    copy_all(&scene.folder(), &copy);
    let mut steps = 0;
    for moment in MOMENTS {
        for step in 0.. {
            let what = format!("{moment:?} step {step}");
            let (store, left) = crash_at(scene.repository.store().clone(), step, moment);
            let dying = Repository::new(store).with_clock(scene.clock.clone());
            let result = action(&dying).await;
            if left.load(std::sync::atomic::Ordering::SeqCst) >= 0 {
                result.unwrap();
                steps = step;
                break;
            }
            assert!(result.is_err(), "{what}: nobody may report success after a crash");

            let seen = view(scene);
            assert!(seen == before || seen == after, "{what}: clients see {seen:?}");
            assert_sound(scene, &what).await;

            action(&scene.repository).await.unwrap_or_else(|error| panic!("{what}, again: {error}"));
            assert_eq!(view(scene), after, "{what}, again");
            assert_sound(scene, &what).await;
            restore(scene, &copy);
        }
        restore(scene, &copy);
    }
    std::fs::remove_dir_all(&copy).unwrap();
    steps
}

#[tokio::test]
async fn init_can_die_at_any_step() {
    for moment in MOMENTS {
        for step in 0.. {
            let scene = Scene::bare();
            let (store, left) = crash_at(scene.repository.store().clone(), step, moment);
            let dying = Repository::new(store).with_clock(scene.clock.clone());
            let result = dying.init(&scene.keys, None, 1, &()).await;
            if left.load(std::sync::atomic::Ordering::SeqCst) >= 0 {
                result.unwrap();
                assert_eq!(step, 5, "root, targets, snapshot, and two for timestamp");
                break;
            }
            result.unwrap_err();
            match scene.repository.init(&scene.keys, None, 1, &()).await {
                Ok(_) => {}
                Err(error) => assert_eq!(error.code(), "already_initialised", "{moment:?} step {step}"),
            }
            assert_eq!(view(&scene), Vec::<u64>::new());
            assert_sound(&scene, &format!("{moment:?} step {step}")).await;
            scene.publish(1).await.unwrap();
            assert_eq!(view(&scene), [1]);
        }
    }
}

#[tokio::test]
async fn publish_can_die_at_any_step() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let steps = sweep(&scene, &[1], &[1, 2], async |repository| {
        scene.publish_to(repository, 2).await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(steps, 7, "full copy, raw file, patch, role of the line, snapshot, and two for timestamp");
}

#[tokio::test]
async fn the_first_release_of_a_product_can_die_at_any_step() {
    let scene = Scene::new().await;
    let steps = sweep(&scene, &[], &[1], async |repository| {
        scene.publish_to(repository, 1).await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(
        steps, 8,
        "targets, full copy, raw file, roles of product and line, snapshot, and two for timestamp"
    );
}

#[tokio::test]
async fn a_release_of_another_line_can_die_at_any_step() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let mut request = scene.request(2);
    request.plugins.clear();
    let steps = sweep(&scene, &[1], &[1], async |repository| {
        let published = publish(repository, &scene.keys, request.clone(), &scene.options, &()).await;
        published.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(steps, 7, "full copy, raw file, roles of product and line, snapshot, and two for timestamp");
}

#[tokio::test]
async fn withdraw_can_die_at_any_step() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    scene.publish(2).await.unwrap();
    let request = WithdrawRequest { line: line(), release: Which::Sequence(2) };
    sweep(&scene, &[1, 2], &[1], async |repository| {
        withdraw(repository, &scene.keys, &request, &()).await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
}

#[tokio::test]
async fn resign_can_die_at_any_step() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    scene.clock.pass(2 * 24 * 3600);
    sweep(&scene, &[1], &[1], async |repository| {
        let resigned = resign(repository, &scene.keys, ResignScope::Everything, &()).await;
        resigned.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
}

#[tokio::test]
async fn gc_can_die_at_any_step() {
    let mut scene = Scene::new().await;
    scene.options.listed = 2;
    for version in 1..=4 {
        scene.publish(version).await.unwrap();
    }
    // The ages of files come from the disk, so the clock has to be in the same century.
    scene.clock.set(now());
    scene.clock.pass(2);
    resign(&scene.repository, &scene.keys, ResignScope::Everything, &()).await.unwrap();
    scene.clock.pass(3600);
    let options = GcOptions { grace: Duration::from_secs(60), dry_run: false };
    let steps = sweep(&scene, &[3, 4], &[3, 4], async |repository| {
        gc(repository, &options, &()).await.map(|_| ()).map_err(|error| error.to_string())
    })
    .await;
    assert!(steps > 8, "{steps}");
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_secs().try_into().unwrap()
}

#[tokio::test]
async fn leftovers_of_a_crashed_version_are_skipped_and_never_overwritten() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let leftovers = [
        format!("metadata/2.{}.json", role()),
        "metadata/3.snapshot.json".to_owned(),
        "metadata/3.targets.json".to_owned(),
        "metadata/2.editor.json".to_owned(),
    ];
    for leftover in &leftovers {
        std::fs::write(scene.folder().join(leftover), "torn").unwrap();
    }
    scene.publish(2).await.unwrap();
    // A new product and a new line need the numbers of targets and of the product, too.
    let mut request = scene.request(3);
    request.plugins.clear();
    publish(&scene.repository, &scene.keys, request, &scene.options, &()).await.unwrap();
    let mut request = scene.request(4);
    request.product = "browser".parse().unwrap();
    publish(&scene.repository, &scene.keys, request, &scene.options, &()).await.unwrap();
    for leftover in &leftovers {
        assert_eq!(std::fs::read(scene.folder().join(leftover)).unwrap(), b"torn", "{leftover}");
    }
    let listed = scene.repository.load().await.unwrap().snapshot().meta.clone();
    let version = |role: &str| listed[&format!("{role}.json")].version;
    assert_eq!((version("targets"), version("editor"), version(&role()), version("browser")), (4, 3, 3, 1));
    assert_eq!(view(&scene), [1, 2]);
}
