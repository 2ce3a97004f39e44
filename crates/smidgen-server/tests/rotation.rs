//! Changes of keys: clients follow each of them at every moment, whoever dies on the way and whoever else is at work.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail loudly")]

mod scene;

use std::path::Path;
use std::sync::atomic::Ordering;

use scene::Scene;
use scene::copies::{assert_sound, copy_all};
use scene::crashing::{MOMENTS, Moment, crash_at};
use smidgen_metadata::{Limits, RoleKind, Timestamp, TrustedSet, VerifyError};
use smidgen_server::ceremony::{
    CeremonyError, Change, Draft, InstallReport, Installed, Surprise, install, propose, rotate_release,
};
use smidgen_server::doctor::{DoctorOptions, Level, doctor};
use smidgen_server::keys::{KeyName, Protection};
use smidgen_server::publish::publish;
use smidgen_server::repository::Repository;
use smidgen_server::resign::{ResignScope, resign};
use smidgen_server::store::Store;

const DAY: i64 = 24 * 3600;

/// A client with a memory: the newest root and timestamp that it has seen.
#[derive(Clone)]
struct Follower {
    root: Vec<u8>,
    timestamp: Option<Vec<u8>>,
}

impl Follower {
    /// One that came with the first root.
    fn new(folder: &Path) -> Self {
        Self { root: std::fs::read(folder.join("metadata/1.root.json")).unwrap(), timestamp: None }
    }

    /// The whole refresh in the order of the specification.
    fn refresh(&mut self, folder: &Path, now: Timestamp) -> Result<TrustedSet, VerifyError> {
        let read = |name: &str| std::fs::read(folder.join("metadata").join(name));
        let mut trusted = TrustedSet::open(&self.root, now, Limits::default())?;
        while let Some(bytes) = trusted.root_request().and_then(|request| read(&request.name).ok()) {
            trusted.update_root(&bytes)?;
            self.root = bytes;
        }
        if let Some(stored) = &self.timestamp {
            trusted.load_stored_timestamp(stored)?;
        }
        trusted.finish_root()?;
        let timestamp = read("timestamp.json").unwrap();
        trusted.update_timestamp(&timestamp)?;
        self.timestamp = Some(timestamp);
        trusted.update_snapshot(&read(&trusted.snapshot_request()?.name).unwrap())?;
        trusted.update_targets(&read(&trusted.targets_request()?.name).unwrap())?;
        Ok(trusted)
    }
}

/// A signed root in which these roles have a new key instead of their first.
async fn rotated(scene: &Scene, roles: &[RoleKind]) -> Draft {
    let root = scene.repository.root().await.unwrap();
    let changes: Vec<Change> = roles
        .iter()
        .map(|role| {
            let name = scene.keys.free_name(role.as_str()).unwrap();
            let new = scene.keys.generate(&name, &Protection::None).unwrap();
            Change::Replace { role: *role, old: root.keys_of(*role).next().unwrap().0.clone(), new }
        })
        .collect();
    signed(scene, &changes).await
}

async fn signed(scene: &Scene, changes: &[Change]) -> Draft {
    let root = scene.repository.root().await.unwrap();
    let now = scene.repository.now();
    let draft = Draft::unsigned(&propose(&root, changes, now).unwrap()).unwrap();
    let (draft, _) = draft.sign(&root, &scene.keys, &[], now).unwrap();
    assert!(draft.progress(&root).complete);
    draft
}

async fn put(scene: &Scene, draft: &Draft) -> Result<InstallReport, CeremonyError> {
    install(&scene.repository, &scene.keys, draft, &()).await
}

/// Every file below `folder` with its content.
fn contents(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn clients_follow_the_rotation_of_each_role_and_of_all_at_once() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let (folder, old) = (scene.folder(), Follower::new(&scene.folder()));
    let mut steady = old.clone();
    steady.refresh(&folder, scene.clock_now()).unwrap();
    let all = RoleKind::ALL.map(|role| vec![role]).into_iter().chain([RoleKind::ALL.to_vec()]);
    for (index, roles) in all.enumerate() {
        scene.clock.pass(60);
        let before = scene.repository.load().await.unwrap();
        let draft = rotated(&scene, &roles).await;
        let report = put(&scene, &draft).await.unwrap();
        assert_eq!((report.outcome, report.version), (Installed::InForce, index as u64 + 2), "{roles:?}");
        assert!(report.bridged && report.not_retired.is_none(), "{report:?}");
        assert_eq!(report.retired.len(), roles.len(), "{report:?}");

        for follower in [&mut steady, &mut old.clone()] {
            let trusted = follower.refresh(&folder, scene.clock_now()).unwrap();
            assert_eq!(trusted.root().header.version, report.version);
            let timestamp = trusted.timestamp().unwrap().header.version;
            assert!(timestamp > before.timestamp().header.version, "a root changes the timestamp");
        }
        // The old keys sign nothing any more.
        let after = scene.repository.load().await.unwrap();
        for role in roles {
            let old_key = before.root().keys_of(role).next().unwrap().0;
            assert!(after.root().keys_of(role).all(|(id, _)| id != old_key));
        }
        assert_sound(&scene, "after the rotation").await;
        // Life goes on with the new keys.
        scene.publish(2 + index as u32).await.unwrap();
        steady.refresh(&folder, scene.clock_now()).unwrap();
    }
    let retired = std::fs::read_dir(scene.keys.folder().join("retired")).unwrap().count();
    assert_eq!(retired, 2 * 8, "eight old keys with both halves, and none was deleted");
}

#[tokio::test]
async fn a_rotation_can_die_at_any_step() {
    for roles in [&[RoleKind::Timestamp][..], &[RoleKind::Root], &RoleKind::ALL] {
        let scene = Scene::new().await;
        scene.publish(1).await.unwrap();
        let mut client = Follower::new(&scene.folder());
        client.refresh(&scene.folder(), scene.clock_now()).unwrap();
        let draft = rotated(&scene, roles).await;
        scene.clock.pass(60);
        let copy = scene.home.path().join("copy");
        let places = [scene.folder(), scene.keys.folder().to_owned()];
        for (index, place) in places.iter().enumerate() {
            copy_all(place, &copy.join(index.to_string()));
        }
        let mut steps = 0;
        for moment in MOMENTS {
            for step in 0.. {
                let what = format!("{roles:?} {moment:?} step {step}");
                let (store, left) = crash_at(scene.repository.store().clone(), step, moment);
                let dying = Repository::new(store).with_clock(scene.clock.clone());
                let result = install(&dying, &scene.keys, &draft, &()).await;
                if left.load(Ordering::SeqCst) >= 0 {
                    result.unwrap();
                    steps = step;
                } else {
                    assert!(result.is_err(), "{what}: nobody may report success after a crash");
                }
                // Whoever comes by now, with a memory or without, can follow.
                for follower in [&mut client.clone(), &mut Follower::new(&scene.folder())] {
                    let seen = follower.refresh(&scene.folder(), scene.clock_now());
                    let seen = seen.unwrap_or_else(|error| panic!("{what}: {error}"));
                    let version = seen.root().header.version;
                    assert!(version == 1 || version == 2, "{what}");
                }
                let again =
                    put(&scene, &draft).await.unwrap_or_else(|error| panic!("{what}, again: {error}"));
                assert_eq!(again.not_retired, None);
                let after = client.clone().refresh(&scene.folder(), scene.clock_now()).unwrap();
                assert_eq!(after.root().header.version, 2, "{what}");
                assert_sound(&scene, &what).await;
                for (index, place) in places.iter().enumerate() {
                    copy_all(&copy.join(index.to_string()), place);
                }
                if left.load(Ordering::SeqCst) >= 0 {
                    break;
                }
            }
        }
        assert!(steps >= 5, "two for the bridge, the root, and two for timestamp; {steps}");
    }
}

#[tokio::test]
async fn without_the_old_key_clients_miss_a_moment_at_most_and_a_crash_can_be_mended() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let mut client = Follower::new(&scene.folder());
    client.refresh(&scene.folder(), scene.clock_now()).unwrap();
    let draft = rotated(&scene, &[RoleKind::Timestamp, RoleKind::Snapshot]).await;
    for name in [KeyName::TIMESTAMP, KeyName::SNAPSHOT] {
        std::fs::remove_file(scene.keys.path(&name)).unwrap();
    }
    // Dies between the new root and the timestamp that goes with it.
    let (store, _) = crash_at(scene.repository.store().clone(), 1, Moment::Before);
    let dying = Repository::new(store).with_clock(scene.clock.clone());
    install(&dying, &scene.keys, &draft, &()).await.unwrap_err();
    let error = client.clone().refresh(&scene.folder(), scene.clock_now()).unwrap_err();
    assert_eq!(error.code(), "signature_threshold", "nobody can have both, and it is refused");
    let report = doctor(&scene.repository, None, &DoctorOptions::default()).await.unwrap();
    assert_eq!(report.level, Level::Critical);
    assert!(report.findings[0].message.contains("publish-root"), "{:?}", report.findings);

    let report = put(&scene, &draft).await.unwrap();
    assert_eq!((report.outcome, report.bridged), (Installed::Already, false));
    client.refresh(&scene.folder(), scene.clock_now()).unwrap();
    assert_sound(&scene, "after mending").await;
    scene.publish(2).await.unwrap();
}

#[tokio::test]
async fn whoever_lacks_a_new_key_changes_nothing() {
    let scene = Scene::new().await;
    let draft = rotated(&scene, &[RoleKind::Snapshot]).await;
    std::fs::remove_file(scene.keys.path(&"snapshot-2".parse().unwrap())).unwrap();
    let before = contents(&scene.folder());
    assert_eq!(put(&scene, &draft).await.unwrap_err().code(), "wrong_key");
    assert_eq!(contents(&scene.folder()), before);
}

#[tokio::test]
async fn a_root_with_too_few_signatures_changes_nothing() {
    let scene = Scene::new().await;
    let root = scene.repository.root().await.unwrap();
    let now = scene.repository.now();
    let draft = Draft::unsigned(&propose(&root, &[Change::Renew], now).unwrap()).unwrap();
    let before = contents(&scene.folder());
    assert_eq!(put(&scene, &draft).await.unwrap_err().code(), "signature_threshold");

    // One of two, in a place that has only one of the keys.
    let elsewhere = scene.home.path().join("usb");
    std::fs::create_dir(&elsewhere).unwrap();
    for ending in ["pem", "pub"] {
        let file = format!("root-2.{ending}");
        std::fs::copy(scene.keys.folder().join(&file), elsewhere.join(&file)).unwrap();
    }
    let usb = smidgen_server::keys::Keys::open_offline(&elsewhere).unwrap();
    let (once, signed) = draft.sign(&root, &usb, &[], now).unwrap();
    assert_eq!(signed.len(), 1);
    assert!(!once.progress(&root).complete);
    let (again, _) = once.sign(&root, &usb, &[], now).unwrap();
    assert_eq!(again.bytes(), once.bytes(), "the same key again is no second signature");
    assert_eq!(put(&scene, &once).await.unwrap_err().code(), "signature_threshold");
    assert_eq!(contents(&scene.folder()), before);
    let (twice, _) = once.sign(&root, &scene.keys, &[], now).unwrap();
    put(&scene, &twice).await.unwrap();
}

#[tokio::test]
async fn of_two_rotations_at_once_one_wins_and_the_other_is_told() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let one = rotated(&scene, &[RoleKind::Timestamp]).await;
    let other = rotated(&scene, &[RoleKind::Snapshot]).await;
    let other_store = Store::folder(&scene.folder()).unwrap();
    let other_repository = Repository::new(other_store).with_clock(scene.clock.clone());
    let (first, second) =
        tokio::join!(put(&scene, &one), install(&other_repository, &scene.keys, &other, &()));
    let (won, lost) = match (first, second) {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
        both => panic!("{both:?}"),
    };
    assert_eq!(won.version, 2);
    assert_eq!(lost.code(), "root_taken");
    Follower::new(&scene.folder()).refresh(&scene.folder(), scene.clock_now()).unwrap();
    assert_sound(&scene, "after both").await;
    assert!(!scene.folder().join("metadata/3.root.json").exists());

    let late = put(&scene, &signed(&scene, &[Change::Renew]).await).await.unwrap();
    assert_eq!(late.version, 3);
    for stale in [one, other] {
        let error = put(&scene, &stale).await.unwrap_err();
        assert_eq!(error.code(), "not_next_root");
        assert!(error.to_string().contains("has root 3"), "{error}");
    }
}

#[tokio::test]
async fn the_same_root_twice_is_no_error_and_a_root_too_far_is() {
    let scene = Scene::new().await;
    let draft = rotated(&scene, &[RoleKind::Timestamp]).await;
    put(&scene, &draft).await.unwrap();
    let again = put(&scene, &draft).await.unwrap();
    assert_eq!((again.outcome, again.retired.len()), (Installed::Already, 0));

    let root = scene.repository.root().await.unwrap();
    let now = scene.repository.now();
    let next = propose(&root, &[Change::Renew], now).unwrap();
    let after = propose(&next, &[Change::Renew], now).unwrap();
    let accepted = ["other-version".to_owned()];
    let (far, _) = Draft::unsigned(&after).unwrap().sign(&root, &scene.keys, &accepted, now).unwrap();
    let error = put(&scene, &far).await.unwrap_err();
    assert_eq!(error.code(), "not_next_root");
    assert!(error.to_string().contains("put those in between in force first"), "{error}");
}

#[tokio::test]
async fn a_repository_that_everybody_forgot_comes_back_with_a_new_root() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let mut client = Follower::new(&scene.folder());
    client.refresh(&scene.folder(), scene.clock_now()).unwrap();
    scene.clock.pass(400 * DAY);
    let error = client.refresh(&scene.folder(), scene.clock_now()).unwrap_err();
    assert_eq!(error.code(), "expired_metadata");
    let report = doctor(&scene.repository, None, &DoctorOptions::default()).await.unwrap();
    assert_eq!(report.level, Level::Critical);
    assert!(report.roles.iter().all(|role| role.level == Level::Critical && role.seconds_left < 0));

    let error = resign(&scene.repository, &scene.keys, ResignScope::Everything, &()).await.unwrap_err();
    assert_eq!(error.code(), "expired_metadata", "no key but the root's can help");
    put(&scene, &signed(&scene, &[Change::Renew]).await).await.unwrap();
    client.refresh(&scene.folder(), scene.clock_now()).unwrap();
    resign(&scene.repository, &scene.keys, ResignScope::WhatIsDue, &()).await.unwrap();
    assert_sound(&scene, "after the renewal").await;
}

#[tokio::test]
async fn a_thief_who_drove_versions_up_is_shaken_off_by_a_rotation() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let mut client = Follower::new(&scene.folder());
    client.refresh(&scene.folder(), scene.clock_now()).unwrap();
    // The thief of the online keys signs a timestamp and a snapshot of the far future.
    let state = scene.repository.load().await.unwrap();
    let stolen: Vec<_> =
        [KeyName::SNAPSHOT, KeyName::TIMESTAMP].map(|name| scene.keys.signer(&name).unwrap()).into();
    let metadata = scene.folder().join("metadata");
    let mut snapshot = state.snapshot().clone();
    snapshot.header.version = 1_000_000;
    let bytes = smidgen_metadata::sign::sign_role(&snapshot, &[&*stolen[0]]).unwrap();
    let mut timestamp = state.timestamp().clone();
    timestamp.header.version = 1_000_000;
    timestamp.snapshot = smidgen_metadata::MetaFile::of(1_000_000, &bytes);
    let honest = std::fs::read(metadata.join("timestamp.json")).unwrap();
    std::fs::write(metadata.join("1000000.snapshot.json"), bytes).unwrap();
    let forged = smidgen_metadata::sign::sign_role(&timestamp, &[&*stolen[1]]).unwrap();
    std::fs::write(metadata.join("timestamp.json"), forged).unwrap();
    client.refresh(&scene.folder(), scene.clock_now()).unwrap();
    std::fs::write(metadata.join("timestamp.json"), honest).unwrap();
    std::fs::remove_file(metadata.join("1000000.snapshot.json")).unwrap();
    let error = client.clone().refresh(&scene.folder(), scene.clock_now()).unwrap_err();
    assert_eq!(error.code(), "rollback", "the honest publisher is refused until the keys change");

    let draft = rotated(&scene, &[RoleKind::Timestamp, RoleKind::Snapshot]).await;
    put(&scene, &draft).await.unwrap();
    client.refresh(&scene.folder(), scene.clock_now()).unwrap();
}

#[tokio::test]
async fn root_keys_can_all_be_replaced_one_root_after_another() {
    let scene = Scene::new().await;
    let first = scene.repository.root().await.unwrap();
    let mut late = Follower::new(&scene.folder());
    for _ in 0..3 {
        let root = scene.repository.root().await.unwrap();
        let old = root.keys_of(RoleKind::Root).map(|(id, _)| id).find(|id| first.keys.contains_key(*id));
        let name = scene.keys.free_name("root").unwrap();
        let new = scene.keys.generate(&name, &Protection::None).unwrap();
        let change = Change::Replace { role: RoleKind::Root, old: old.unwrap().clone(), new };
        put(&scene, &signed(&scene, &[change]).await).await.unwrap();
    }
    let trusted = late.refresh(&scene.folder(), scene.clock_now()).unwrap();
    assert_eq!(trusted.root().header.version, 4);
    assert!(trusted.root().keys_of(RoleKind::Root).all(|(id, _)| !first.keys.contains_key(id)));
}

#[tokio::test]
async fn roles_with_thresholds_are_signed_by_as_many_keys_as_they_need() {
    let scene = Scene::new().await;
    let new = scene.keys.generate(&"token".parse().unwrap(), &Protection::None).unwrap();
    let role = RoleKind::Snapshot;
    let changes = [Change::Add { role, new }, Change::Threshold { role, threshold: 2 }];
    put(&scene, &signed(&scene, &changes).await).await.unwrap();
    scene.publish(1).await.unwrap();
    let mut client = Follower::new(&scene.folder());
    client.refresh(&scene.folder(), scene.clock_now()).unwrap();
    let report = doctor(&scene.repository, Some(&scene.keys), &DoctorOptions::default()).await.unwrap();
    assert!(report.findings.iter().all(|finding| finding.code == "root_key_online"), "{report:?}");

    std::fs::remove_file(scene.keys.path(&"token".parse().unwrap())).unwrap();
    assert_eq!(scene.publish(2).await.unwrap_err().code(), "signature_threshold");
    resign(&scene.repository, &scene.keys, ResignScope::TimestampOnly, &()).await.unwrap();
    let report = doctor(&scene.repository, Some(&scene.keys), &DoctorOptions::default()).await.unwrap();
    assert!(report.findings.iter().any(|finding| finding.code == "online_key_missing"), "{report:?}");
}

#[tokio::test]
async fn clients_of_every_shard_follow_every_rotation() {
    let scene = Scene::bare();
    scene.repository.init(&scene.keys, Some("test".parse().unwrap()), 2, &()).await.unwrap();
    let first = std::fs::read(scene.folder().join("metadata/1.root.json")).unwrap();
    // Lines of other plugin sets, until both shards have one.
    for number in 0.. {
        let mut request = scene.request(1);
        request.plugins = vec![scene::plugin(&format!("spell{number}@1.0"))];
        publish(&scene.repository, &scene.keys, request, &scene.options, &()).await.unwrap();
        if scene.repository.parts().await.unwrap().len() == 2 {
            break;
        }
    }
    let parts = scene.repository.parts().await.unwrap();
    let mut followers: Vec<(std::path::PathBuf, Follower)> = parts
        .iter()
        .map(|part| (scene.folder().join(part.folder()), Follower { root: first.clone(), timestamp: None }))
        .collect();
    for (folder, follower) in &mut followers {
        follower.refresh(folder, scene.clock_now()).unwrap();
    }
    let all = RoleKind::ALL.map(|role| vec![role]).into_iter().chain([RoleKind::ALL.to_vec()]);
    for roles in all {
        scene.clock.pass(60);
        let draft = rotated(&scene, &roles).await;
        let report = put(&scene, &draft).await.unwrap();
        assert!(report.bridged, "{report:?}");
        for (folder, follower) in &mut followers {
            for follower in [&mut Follower { root: first.clone(), timestamp: None }, follower] {
                let trusted = follower.refresh(folder, scene.clock_now()).unwrap();
                assert_eq!(trusted.root().header.version, report.version, "{roles:?}");
            }
        }
        assert_sound(&scene, "after the rotation").await;
    }
    let report = doctor(&scene.repository, Some(&scene.keys), &DoctorOptions::default()).await.unwrap();
    assert_eq!(report.roles.iter().filter(|role| role.role == "timestamp").count(), 2);
    assert!(report.findings.iter().all(|finding| finding.code == "root_key_online"), "{report:?}");
}

#[tokio::test]
async fn another_release_key_takes_over_every_line_and_the_old_one_signs_nothing_more() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let old = scene.keys.signer(&KeyName::RELEASE).unwrap();
    let new = scene.keys.generate(&"release-2".parse().unwrap(), &Protection::None).unwrap();
    let report = rotate_release(&scene.repository, &scene.keys, &new, &()).await.unwrap();
    assert_eq!(report.retired, [KeyName::RELEASE]);
    let signed: Vec<&str> = report.roles.iter().map(|role| role.role.as_str()).collect();
    assert_eq!(signed, ["targets", "editor", &scene::role(), "snapshot", "timestamp"]);
    assert_eq!(scene.client().sequences(), [1]);
    scene.publish(2).await.unwrap();
    assert_eq!(scene.client().sequences(), [1, 2]);
    assert_sound(&scene, "with the new key").await;

    // What the old key signs is refused, however new it is.
    let state = scene.repository.load_all().await.unwrap();
    let role = state.delegated(&scene::role()).unwrap();
    let name = format!("{}.{}.json", role.header.version, scene::role());
    let forged = smidgen_metadata::sign::sign_role(role, &[&*old]).unwrap();
    std::fs::write(scene.folder().join("metadata").join(name), forged).unwrap();
    let error = scene.repository.load_all().await.unwrap_err();
    assert_eq!(error.code(), "signature_threshold");
}

#[tokio::test]
async fn a_change_of_the_release_key_can_die_at_any_step() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let new = scene.keys.generate(&"release-2".parse().unwrap(), &Protection::None).unwrap();
    let copy = scene.home.path().join("copy");
    let places = [scene.folder(), scene.keys.folder().to_owned()];
    for (index, place) in places.iter().enumerate() {
        copy_all(place, &copy.join(index.to_string()));
    }
    for moment in MOMENTS {
        for step in 0.. {
            let what = format!("{moment:?} step {step}");
            let (store, left) = crash_at(scene.repository.store().clone(), step, moment);
            let dying = Repository::new(store).with_clock(scene.clock.clone());
            let result = rotate_release(&dying, &scene.keys, &new, &()).await;
            let done = left.load(Ordering::SeqCst) >= 0;
            assert_eq!(result.is_ok(), done, "{what}");
            assert_eq!(scene.client().sequences(), [1], "{what}");
            assert_sound(&scene, &what).await;
            rotate_release(&scene.repository, &scene.keys, &new, &()).await.unwrap();
            assert_eq!(scene.client().sequences(), [1], "{what}");
            assert_sound(&scene, &what).await;
            for (index, place) in places.iter().enumerate() {
                copy_all(&copy.join(index.to_string()), place);
            }
            if done {
                assert!(step >= 5, "targets, two roles, snapshot, timestamp: {step}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn without_the_targets_key_no_other_key_can_sign_releases() {
    let scene = Scene::new().await;
    scene.publish(1).await.unwrap();
    let new = scene.keys.generate(&"release-2".parse().unwrap(), &Protection::None).unwrap();
    std::fs::remove_file(scene.keys.path(&KeyName::TARGETS)).unwrap();
    let before = contents(&scene.folder());
    let error = rotate_release(&scene.repository, &scene.keys, &new, &()).await.unwrap_err();
    assert_eq!(error.code(), "key_missing");
    assert_eq!(contents(&scene.folder()), before);
}

#[tokio::test]
async fn refuses_a_root_that_nobody_could_sign_for() {
    let scene = Scene::new().await;
    let root = scene.repository.root().await.unwrap();
    let now = scene.repository.now();
    let refused = |change: Change| propose(&root, &[change], now).unwrap_err().code();
    let role = RoleKind::Timestamp;
    let (id, key) = root.keys_of(role).next().map(|(id, key)| (id.clone(), key.clone())).unwrap();
    assert_eq!(refused(Change::Remove { role, old: id }), "nobody_left");
    assert_eq!(refused(Change::Threshold { role, threshold: 2 }), "nobody_left");
    assert_eq!(refused(Change::Threshold { role, threshold: 0 }), "nobody_left");
    assert_eq!(refused(Change::Add { role, new: key }), "key_twice");
    let other = root.keys_of(RoleKind::Root).next().unwrap().0.clone();
    assert_eq!(refused(Change::Remove { role, old: other }), "unknown_key");
    assert_eq!(propose(&root, &[], now).unwrap_err().code(), "nothing_to_do");
}

#[tokio::test]
async fn a_signer_is_told_of_what_is_seldom_meant_and_signs_only_what_is_accepted_by_name() {
    let scene = Scene::new().await;
    let root = scene.repository.root().await.unwrap();
    let now = scene.repository.now();
    let key = |name: &str| scene.keys.generate(&name.parse().unwrap(), &Protection::None).unwrap();
    let ids: Vec<_> = root.keys_of(RoleKind::Root).map(|(id, _)| id.clone()).collect();
    let base = propose(&root, &[Change::Renew], now).unwrap();
    let changed = |change: Change| propose(&root, &[change], now).unwrap();
    let role = RoleKind::Root;
    let cases = [
        ("other-version", {
            let mut root = base.clone();
            root.header.version = 7;
            root
        }),
        ("threshold-lowered", changed(Change::Threshold { role, threshold: 1 })),
        ("root-keys-replaced", {
            let replace = |old: usize, name| Change::Replace { role, old: ids[old].clone(), new: key(name) };
            propose(&root, &[replace(0, "a"), replace(1, "b")], now).unwrap()
        }),
        ("no-spare-root-key", changed(Change::Remove { role, old: ids[0].clone() })),
        ("shared-key", {
            let new = root.keys_of(RoleKind::Timestamp).next().unwrap().1.clone();
            changed(Change::Add { role: RoleKind::Targets, new })
        }),
        ("odd-expiry", {
            let mut root = base.clone();
            root.header.expires = now;
            root
        }),
        ("consistency-lost", {
            let mut root = base.clone();
            root.consistent_snapshot = false;
            root
        }),
        ("unknown-members", {
            let mut root = base.clone();
            root.unknown.insert("x".to_owned(), "y".into());
            root
        }),
    ];
    for (code, next) in cases {
        let draft = Draft::unsigned(&next).unwrap();
        let comparison = draft.compare(&root, now);
        let found: Vec<&str> = comparison.surprises.iter().map(Surprise::code).collect();
        assert_eq!(found, [code]);
        let error = draft.sign(&root, &scene.keys, &[], now).unwrap_err();
        assert_eq!(error.code(), "surprising_root");
        assert!(error.to_string().contains(&format!("--accept {code}")), "{error}");
        let others: Vec<String> =
            Surprise::CODES.iter().filter(|other| **other != code).map(ToString::to_string).collect();
        draft.sign(&root, &scene.keys, &others, now).unwrap_err();
        draft.sign(&root, &scene.keys, &[code.to_owned()], now).unwrap();
    }
    let plain = Draft::unsigned(&base).unwrap();
    assert!(plain.compare(&root, now).surprises.is_empty());
    let empty = scene.home.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let nobody = smidgen_server::keys::Keys::open_offline(&empty).unwrap();
    assert_eq!(plain.sign(&root, &nobody, &[], now).unwrap_err().code(), "no_root_key");
}

#[tokio::test]
async fn a_bound_is_for_all_roles_or_for_one() {
    use smidgen_server::doctor::Bound;
    let scene = Scene::new().await;
    let look = async |options: DoctorOptions| {
        let report = doctor(&scene.repository, None, &options).await.unwrap();
        let of = |name: &str| report.roles.iter().find(|role| role.role == name).unwrap().level;
        (of("root"), of("snapshot"), of("timestamp"), report.level)
    };
    let day =
        |role: Option<&str>, days: u64| Bound { role: role.map(str::to_owned), seconds: days * 24 * 3600 };
    assert_eq!(look(DoctorOptions::default()).await, (Level::Ok, Level::Ok, Level::Ok, Level::Ok));
    let warn = vec![day(None, 1), day(Some("snapshot"), 20)];
    let seen = look(DoctorOptions { warn, critical: vec![day(Some("timestamp"), 3)] }).await;
    assert_eq!(seen, (Level::Ok, Level::Warning, Level::Critical, Level::Critical));

    scene.clock.pass(2 * DAY);
    assert_eq!(look(DoctorOptions::default()).await.2, Level::Warning);
    scene.clock.pass(DAY - 1);
    assert_eq!(look(DoctorOptions::default()).await.2, Level::Critical);
}
