//! Whatever is wrong with a repository, `verify` finds it, all of it, and says what to do.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod scene;

use std::path::PathBuf;

use scene::{Scene, line, role};
use smidgen_metadata::Release;
use smidgen_server::publish::Published;
use smidgen_server::verify::{VerifyReport, Weight, verify};

async fn published() -> Scene {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    scene.publish(2).await.unwrap();
    scene
}

/// Codes and keys of what is wrong.
fn faults(report: &VerifyReport) -> Vec<(&str, &str)> {
    let faults = report.findings.iter().filter(|finding| finding.weight == Weight::Fault);
    faults.map(|finding| (finding.code, finding.key.as_str())).collect()
}

fn notes(report: &VerifyReport) -> Vec<(&str, &str)> {
    let notes = report.findings.iter().filter(|finding| finding.weight == Weight::Note);
    notes.map(|finding| (finding.code, finding.key.as_str())).collect()
}

fn release(scene: &Scene, sequence: u64) -> Release {
    scene.client().line(&line()).unwrap().release(sequence).unwrap().clone()
}

fn damage(path: PathBuf) {
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_sound_repository_has_no_findings() {
    let scene = published().await;
    let report = verify(&scene.repository, &()).await;
    assert_eq!(report.findings, []);
    assert!(report.is_sound());
    assert_eq!((report.releases, report.patches, report.applied, report.files), (2, 1, 1, 5));
    assert_eq!(report.repository.unwrap().as_str(), "test");
}

#[tokio::test]
async fn finds_every_damaged_missing_and_cut_file_and_publishing_again_restores_them() {
    let scene = published().await;
    let (first, second) = (release(&scene, 1), release(&scene, 2));
    let folder = scene.folder();
    let patch = second.patches[0].path();
    damage(folder.join(&patch));
    std::fs::remove_file(folder.join(second.full.path())).unwrap();
    let raw = second.raw_path(&line());
    let bytes = std::fs::read(folder.join(&raw)).unwrap();
    std::fs::write(folder.join(&raw), &bytes[..100]).unwrap();
    damage(folder.join(first.full.path()));

    let report = verify(&scene.repository, &()).await;
    let mut found = faults(&report);
    found.sort_unstable();
    let mut expected = [
        ("digest_mismatch", first.full.path()),
        ("digest_mismatch", patch),
        ("digest_mismatch", raw),
        ("missing_file", second.full.path()),
    ];
    expected.sort();
    assert_eq!(found, expected.each_ref().map(|(code, key)| (*code, key.as_str())));
    for finding in &report.findings {
        assert!(finding.message.contains("publish the file of version 1."), "{}", finding.message);
    }

    assert_eq!(scene.publish(1).await.unwrap().outcome, Published::Restored);
    assert_eq!(scene.publish(2).await.unwrap().outcome, Published::Restored);
    assert!(verify(&scene.repository, &()).await.is_sound());
    assert_eq!(scene.publish(2).await.unwrap().outcome, Published::Already);
    assert_eq!(scene.client().check_everything(&line()), 1);
}

#[tokio::test]
async fn a_damaged_patch_from_a_build_that_is_not_listed_any_more_is_made_again() {
    let mut scene = Scene::new().await;
    scene.options.listed = 1;
    scene.publish(1).await.unwrap();
    let first = release(&scene, 1).full.path();
    for version in 2..=3 {
        scene.publish(version).await.unwrap();
    }
    for patch in &release(&scene, 3).patches {
        damage(scene.folder().join(patch.path()));
    }
    assert_eq!(faults(&verify(&scene.repository, &()).await).len(), 2);
    assert_eq!(scene.publish(3).await.unwrap().outcome, Published::Restored);
    let report = verify(&scene.repository, &()).await;
    assert!(report.is_sound());
    assert!(!notes(&report).iter().any(|(_, key)| *key == first), "kept for the next patch: {report:?}");
    assert_eq!((report.releases, report.patches, report.applied), (1, 2, 2));
}

#[tokio::test]
async fn names_leftovers_foreign_files_and_keys_that_are_served() {
    let scene = published().await;
    let orphan = format!("blobs/ab/{}", "ab".repeat(16));
    for (key, content) in [
        (orphan.as_str(), "left"),
        ("blobs/ab/torn#1", "half"),
        ("metadata/9.targets.json", "{}"),
        ("metadata/timestamp.json.next", "{}"),
        ("index.html", "hello"),
        ("old/keys/targets.pem", "secret"),
    ] {
        let path = scene.folder().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let report = verify(&scene.repository, &()).await;
    assert_eq!(faults(&report), [("key_in_repository", "old/keys/targets.pem")]);
    let expected = [
        ("orphan", orphan.as_str()),
        ("foreign_file", "index.html"),
        ("orphan", "metadata/9.targets.json"),
        ("orphan", "metadata/timestamp.json.next"),
        ("orphan", "blobs/ab/torn#1"),
    ];
    assert_eq!(notes(&report), expected);
}

#[tokio::test]
async fn a_half_copied_repository_names_what_is_missing() {
    let scene = published().await;
    std::fs::remove_file(scene.folder().join("metadata/3.snapshot.json")).unwrap();
    let gone = release_paths(&scene, 1);
    std::fs::remove_file(scene.folder().join(&gone)).unwrap();
    let report = verify(&scene.repository, &()).await;
    let found = faults(&report);
    assert!(found.contains(&("missing_file", "metadata/3.snapshot.json")), "{found:?}");
    assert!(
        found.contains(&("missing_file", gone.as_str())),
        "without trust, files are still looked for: {found:?}"
    );
    assert!(!report.is_sound());

    let error = scene.publish(3).await.unwrap_err();
    assert_eq!(error.code(), "missing_file");
    assert!(error.to_string().contains("copy the repository again completely"), "{error}");
}

/// The full copy of a release, read from its role alone.
fn release_paths(scene: &Scene, sequence: u64) -> String {
    let bytes = std::fs::read(scene.folder().join(format!("metadata/2.{}.json", role()))).unwrap();
    let limits = smidgen_metadata::Limits::default();
    let raw =
        smidgen_metadata::RawMetadata::parse(&bytes, smidgen_metadata::RoleKind::Targets, &limits).unwrap();
    let targets: smidgen_metadata::Targets = raw.read_unverified().unwrap();
    let line = smidgen_metadata::Line::read(&targets, &line()).unwrap().unwrap();
    line.release(sequence).unwrap().full.path()
}

#[tokio::test]
async fn tampered_metadata_is_found_and_refused() {
    let scene = published().await;
    let role = format!("2.{}.json", role());
    let names =
        ["timestamp.json", "3.snapshot.json", "2.targets.json", "1.editor.json", &role, "1.root.json"];
    for name in names {
        let path = scene.folder().join("metadata").join(name);
        let genuine = std::fs::read(&path).unwrap();
        let text = String::from_utf8(genuine.clone()).unwrap();
        // Still strict JSON of the same length, but not what was signed.
        std::fs::write(&path, text.replacen("expires\":\"20", "expires\":\"21", 1)).unwrap();
        let report = verify(&scene.repository, &()).await;
        let key = format!("metadata/{name}");
        assert!(faults(&report).iter().any(|(_, found)| *found == key), "{name}: {:?}", report.findings);
        let code = scene.publish(3).await.unwrap_err().code();
        assert!(["signature_threshold", "digest_mismatch"].contains(&code), "{name}: {code}");
        std::fs::write(&path, genuine).unwrap();
    }
    assert!(verify(&scene.repository, &()).await.is_sound());
}

#[tokio::test]
async fn tells_when_metadata_expires() {
    let scene = published().await;
    scene.clock.pass(60 * 3600);
    let report = verify(&scene.repository, &()).await;
    assert_eq!(notes(&report), [("expires_soon", "metadata/timestamp.json")]);
    scene.clock.pass(24 * 3600);
    let report = verify(&scene.repository, &()).await;
    assert_eq!(faults(&report), [("expired_metadata", "metadata/timestamp.json")]);
    assert!(report.findings[0].message.contains("smidgen resign"), "{:?}", report.findings);
    scene.clock.pass(-30 * 24 * 3600);
    let report = verify(&scene.repository, &()).await;
    assert_eq!(faults(&report), [("clock_back", "metadata/timestamp.json")]);
}
