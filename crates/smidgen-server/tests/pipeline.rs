//! A whole release from a manifest: several lines at once, all or nothing, the same again changes nothing.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod scene;

use std::num::NonZeroUsize;
use std::sync::Mutex;

use scene::{Scene, build, line};
use smidgen_metadata::BuildLine;
use smidgen_server::Event;
use smidgen_server::budget::Budget;
use smidgen_server::pipeline::{Manifest, gen_deltas};
use smidgen_server::publish::{PublishOptions, Published};
use smidgen_server::verify::verify;

/// A manifest for two platforms, the first of them also with a second set of plugins.
fn manifest(scene: &Scene, version: u32) -> Manifest {
    let text = format!(
        r#"
        product = "editor"
        version = "1.{version}"
        [[artifact]]
        path = "x86/editor"
        platform = "x86_64-linux"
        plugins = ["spell@1.0"]
        mode = "755"
        [[artifact]]
        path = "x86/editor-full"
        name = "editor"
        platform = "x86_64-linux"
        plugins = ["spell@1.0", "markdown@{version}:feature"]
        [[artifact]]
        path = "arm/editor"
        platform = "aarch64-linux"
        "#
    );
    for (index, path) in ["x86/editor", "x86/editor-full", "arm/editor"].into_iter().enumerate() {
        let path = scene.home.path().join("dist").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = build(version);
        bytes.push(index.try_into().unwrap());
        std::fs::write(path, bytes).unwrap();
    }
    Manifest::parse(&text, &scene.home.path().join("dist"), "release.toml").unwrap()
}

#[tokio::test]
async fn publishes_all_artifacts_in_one_step_and_the_same_again_changes_nothing() {
    let scene = Scene::new().await;
    let options = PublishOptions {
        // Less memory than any job wants: one at a time, but all get done.
        budget: Budget { threads: NonZeroUsize::new(4).unwrap(), memory: 1 },
        listed: 2,
        ..PublishOptions::default()
    };
    for version in 1..=2 {
        let manifest = manifest(&scene, version);
        let events = Mutex::new(Vec::new());
        let record = |event: &Event| events.lock().unwrap().push(event.clone());
        let report = gen_deltas(&manifest, &scene.repository, &scene.keys, &options, &record).await.unwrap();
        assert_eq!(report.artifacts.len(), 3);
        assert!(report.artifacts.iter().all(|artifact| artifact.outcome == Published::Added));
        assert_eq!(report.rows.len(), 3);
        let committed = |event: &&Event| matches!(event, Event::Committed { .. });
        assert_eq!(events.lock().unwrap().iter().filter(committed).count(), 1, "one step for all");
        if version == 2 {
            assert!(report.rows.iter().all(|row| row.old_version.as_deref() == Some("1.1") && row.saved > 0));
            assert!(report.rows.iter().all(|row| row.cpu_seconds > 0.0 && row.apply_memory > 0));
            assert!(report.to_string().contains("1.1 -> 1.2"));
        } else {
            assert!(report.rows.iter().all(|row| row.patch_size.is_none()));
        }
    }
    let manifest = manifest(&scene, 2);
    let report = gen_deltas(&manifest, &scene.repository, &scene.keys, &options, &()).await.unwrap();
    assert!(report.artifacts.iter().all(|artifact| artifact.outcome == Published::Already));

    let client = scene.client();
    let lines = [
        line(),
        BuildLine::new("editor", "stable", "x86_64-linux", ["markdown", "spell"]).unwrap(),
        BuildLine::new("editor", "stable", "aarch64-linux", []).unwrap(),
    ];
    for line in &lines {
        assert_eq!(client.check_everything(line), 1);
    }
    assert_eq!(client.line(&lines[0]).unwrap().newest().unwrap().mode, 0o755);
    let report = verify(&scene.repository, &()).await;
    assert_eq!((report.lines, report.releases, report.applied), (3, 6, 3));
    assert_eq!(report.findings, []);
}

#[tokio::test]
async fn one_bad_artifact_leaves_clients_with_what_they_had() {
    let scene = Scene::new().await;
    let release = manifest(&scene, 1);
    gen_deltas(&release, &scene.repository, &scene.keys, &scene.options, &()).await.unwrap();
    let timestamp = std::fs::read(scene.folder().join("metadata/timestamp.json")).unwrap();

    let mut release = manifest(&scene, 2);
    release.artifacts[2].path = scene.home.path().join("dist/nothing");
    let error = gen_deltas(&release, &scene.repository, &scene.keys, &scene.options, &()).await.unwrap_err();
    assert_eq!(error.code(), "build_unreadable");
    assert!(error.to_string().contains("dist/nothing"), "{error}");

    let mut release = manifest(&scene, 2);
    release.artifacts[2].platform = "x86_64-linux".parse().unwrap();
    release.artifacts[2].plugins = release.artifacts[0].plugins.clone();
    let error = gen_deltas(&release, &scene.repository, &scene.keys, &scene.options, &()).await.unwrap_err();
    assert_eq!(error.code(), "same_line");

    // An artifact of a version that is taken spoils the whole release.
    let mut release = manifest(&scene, 2);
    release.version = "1.1".parse().unwrap();
    let error = gen_deltas(&release, &scene.repository, &scene.keys, &scene.options, &()).await.unwrap_err();
    assert_eq!(error.code(), "version_taken");
    assert_eq!(std::fs::read(scene.folder().join("metadata/timestamp.json")).unwrap(), timestamp);
}

#[tokio::test]
async fn without_raw_files_there_are_none_and_a_patch_that_does_not_pay_is_left_out() {
    let mut scene = Scene::new().await;
    scene.options.raw = false;
    scene.publish(1).await.unwrap();
    // Nothing in common with the build before.
    let unlike = scene.home.path().join("unlike");
    std::fs::write(&unlike, scene::random(99).take(20_000).collect::<Vec<_>>()).unwrap();
    let request = scene::request(&unlike, "2.0");
    let report =
        smidgen_server::publish::publish(&scene.repository, &scene.keys, request, &scene.options, &()).await;
    let report = report.unwrap();
    let smidgen_server::publish::PatchOutcome::Skipped { reason } = &report.patches[0].outcome else {
        panic!("{report:?}")
    };
    assert!(reason.contains("the full copy only"), "{reason}");
    assert!(!scene.folder().join("targets").exists());
    assert_eq!(scene.client().check_everything(&line()), 0);
    assert!(verify(&scene.repository, &()).await.is_sound());
}

#[tokio::test]
async fn empty_and_tiny_builds_can_be_published() {
    let scene = Scene::new().await;
    for (index, bytes) in [&b""[..], b"x", b"", b"xy"].into_iter().enumerate() {
        let path = scene.home.path().join("tiny");
        std::fs::write(&path, bytes).unwrap();
        let request = scene::request(&path, &format!("0.{index}"));
        let published =
            smidgen_server::publish::publish(&scene.repository, &scene.keys, request, &scene.options, &())
                .await;
        match published {
            Ok(report) => assert_eq!(report.size, bytes.len() as u64),
            Err(error) => assert_eq!((index, error.code()), (2, "build_taken")),
        }
    }
    assert_eq!(scene.client().versions(), ["0.0", "0.1", "0.3"]);
    assert!(verify(&scene.repository, &()).await.is_sound());
}
