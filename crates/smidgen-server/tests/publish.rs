//! Publishing as release engineers see it: what is listed, what is refused, what happens the second time.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod scene;

use scene::{Scene, line};
use smidgen_server::Event;
use smidgen_server::publish::{PatchOutcome, Published, publish};

#[tokio::test]
async fn a_release_comes_with_patches_from_the_five_builds_before_it() {
    let scene = Scene::new().await;
    for version in 1..=7 {
        let report = scene.publish(version).await.unwrap();
        assert_eq!(report.outcome, Published::Added);
        assert_eq!(report.sequence, u64::from(version));
        assert_eq!(report.patches.len(), (version as usize - 1).min(5));
        for patch in &report.patches {
            let PatchOutcome::Made { size, saved, .. } = &patch.outcome else { panic!("{patch:?}") };
            assert_eq!(Some(size + saved), report.full_size);
        }
    }
    let client = scene.client();
    assert_eq!(client.versions(), ["1.2", "1.3", "1.4", "1.5", "1.6", "1.7"]);
    assert_eq!(client.check_everything(&line()), 1 + 2 + 3 + 4 + 5 + 5);
    let history = client.line(&line()).unwrap();
    assert_eq!(history.history().len(), 7);
}

#[tokio::test]
async fn publishing_the_same_again_changes_nothing() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    scene.publish(2).await.unwrap();
    let timestamp = std::fs::read(scene.folder().join("metadata/timestamp.json")).unwrap();
    let report = scene.publish(2).await.unwrap();
    assert_eq!(report.outcome, Published::Already);
    assert_eq!(report.sequence, 2);
    assert_eq!(report.patches.len(), 1);
    assert_eq!(scene.publish(1).await.unwrap().outcome, Published::Already);
    assert_eq!(std::fs::read(scene.folder().join("metadata/timestamp.json")).unwrap(), timestamp);
}

#[tokio::test]
async fn refuses_a_version_with_other_bytes_and_a_build_with_another_version() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let refused = async |request| {
        publish(&scene.repository, &scene.keys, request, &scene.options, &()).await.unwrap_err()
    };
    let mut other = scene.request(2);
    other.version = "1.1".parse().unwrap();
    let error = refused(other).await;
    assert_eq!(error.code(), "version_taken");
    assert!(error.to_string().contains("version 1.1 was published as another build (sequence 1"), "{error}");

    let mut same_build = scene.request(1);
    same_build.version = "1.2".parse().unwrap();
    assert_eq!(refused(same_build).await.code(), "build_taken");

    let mut louder = scene.request(1);
    louder.severity = smidgen_metadata::Severity::Critical;
    let error = refused(louder).await;
    assert_eq!(error.code(), "release_differs");
    assert!(error.to_string().contains("severity routine, not critical"), "{error}");
    assert_eq!(scene.client().versions(), ["1.1"]);
}

#[tokio::test]
async fn a_file_that_is_taken_away_before_the_last_step_is_written_again() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let taken = std::sync::atomic::AtomicBool::new(false);
    // As if a `gc` in another process had found an old file of the same content and removed it.
    let take_away = |event: &Event| {
        if let Event::Stored { key, .. } = event
            && !taken.swap(true, std::sync::atomic::Ordering::SeqCst)
        {
            std::fs::remove_file(scene.folder().join(key)).unwrap();
        }
    };
    let request = scene.request(2);
    publish(&scene.repository, &scene.keys, request, &scene.options, &take_away).await.unwrap();
    assert!(taken.into_inner());
    assert_eq!(scene.client().check_everything(&line()), 1);
}
