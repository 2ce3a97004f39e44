//! Everything that may be wrong with a repository, a mirror, a clock or a folder: each has a stable code, a message that
//! says what to do, and leaves the installed build as it was.

use smidgen_client::{BuildLine, Error, Kind, Severity};
use smidgen_metadata::RoleKind;
use smidgen_testkit::{Damage, FaultyDisk, Mirror, Program, Repository};

use crate::site::{Site, installed, now, own};

/// The update fails like this, and nothing that is installed changes.
async fn assert_refused(site: &Site, code: &str, kind: Kind, remedy: &str) {
    let before = site.installed_file();
    let error = site.update().await.unwrap_err();
    assert_eq!((error.code(), error.kind()), (code, kind), "{error}");
    assert!(error.to_string().contains(remedy), "{error:#}\nhas no {remedy:?}");
    assert!(site.installed_file() == before);
}

#[tokio::test]
async fn a_wrong_root() {
    let other = Repository::new("test-1", 77, now());
    let site = Site::new();
    let mut config = site.config();
    config.root = other.trusted_root();
    let error = site.client_with(config.clone(), site.disk.clone()).update().await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("signature_threshold", Kind::Untrusted));
    assert!(error.to_string().contains("check that the root is this repository's own"), "{error}");
    assert_eq!(site.installed_file(), None);
    // Not a root at all.
    config.root = b"{}".to_vec();
    let error = site.client_with(config, site.disk.copy()).update().await.unwrap_err();
    assert_eq!(error.code(), "malformed_metadata");
    // The right one puts it right.
    assert_eq!(site.update().await.unwrap().code(), "installed");
}

#[tokio::test]
async fn a_wrong_key() {
    for role in [RoleKind::Timestamp, RoleKind::Snapshot, RoleKind::Targets] {
        let mut site = Site::installed().await;
        site.repository.lose_key(role);
        site.publish("1.1.0", Severity::Critical);
        assert_refused(&site, "signature_threshold", Kind::Untrusted, "check that the root").await;
    }
}

#[tokio::test]
async fn a_rotated_key_is_followed_and_the_old_one_counts_for_nothing() {
    for role in RoleKind::ALL {
        let mut site = Site::installed().await;
        site.repository.rotate(role, 0x42);
        site.publish("1.1.0", Severity::Routine);
        assert_eq!(site.update().await.unwrap().code(), "updated", "{role}");
        assert_eq!(site.update().await.unwrap().code(), "up_to_date", "{role}");
    }
    // Who has only the old timestamp key cannot go on from there.
    let mut site = Site::installed().await;
    let mut thief = site.repository.clone();
    site.repository.rotate(RoleKind::Timestamp, 0x42);
    site.mirror.serve(&site.repository);
    assert_eq!(site.update().await.unwrap().code(), "up_to_date");
    thief.publish(&site.line, "6.6.6", Severity::Critical, &Program::seeded(666, 50).link());
    site.mirror.serve(&thief);
    assert_refused(&site, "signature_threshold", Kind::Untrusted, "check that the root").await;
}

#[tokio::test]
async fn expired_metadata() {
    let site = Site::installed().await;
    site.clock.pass_hours(100);
    assert_refused(&site, "expired_metadata", Kind::Untrusted, "must sign it again").await;
    // Signed again, and all is well.
    let mut site = site;
    site.repository.now = site.repository.now.plus_hours(100);
    site.repository.resign();
    site.mirror.serve(&site.repository);
    assert_eq!(site.update().await.unwrap().code(), "up_to_date");
}

#[tokio::test]
async fn a_clock_that_is_wrong() {
    // Far behind, as on a machine without a battery: the newest signed time that was seen is its floor.
    let mut site = Site::installed().await;
    site.clock.set("1970-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(site.update().await.unwrap().code(), "up_to_date");
    site.publish("1.1.0", Severity::Routine);
    assert_eq!(site.update().await.unwrap().code(), "updated");
    // Far ahead: nothing is believed, and the message names the clock.
    site.publish("1.2.0", Severity::Routine);
    site.clock.set("2060-01-01T00:00:00Z".parse().unwrap());
    assert_refused(&site, "expired_metadata", Kind::Untrusted, "the clock is wrong").await;
    site.clock.set(now());
    assert_eq!(site.update().await.unwrap().code(), "updated");
    // Behind on a first install: there is no floor yet.
    let site = Site::new();
    site.clock.set("1970-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(site.update().await.unwrap().code(), "installed");
}

#[tokio::test]
async fn an_old_state_played_back() {
    let mut site = Site::installed().await;
    let old = site.repository.clone();
    site.publish("1.1.0", Severity::Routine);
    site.update().await.unwrap();
    site.mirror.serve(&old);
    assert_refused(&site, "rollback", Kind::Untrusted, "use another one").await;
}

#[tokio::test]
async fn another_shards_metadata() {
    let site = Site::installed().await;
    let mut other = Repository::new("test-2", 1, now());
    for version in ["1", "2", "3"] {
        other.publish(&site.line, version, Severity::Critical, &Program::seeded(5, 50).link());
    }
    site.mirror.serve(&other);
    assert_refused(&site, "other_repository", Kind::Untrusted, "check the URL").await;
    site.mirror.serve(&site.repository);
    assert_eq!(site.update().await.unwrap().code(), "up_to_date");
}

#[tokio::test]
async fn a_damaged_blob() {
    let mut site = Site::installed().await;
    site.publish("1.1.0", Severity::Routine);
    let blobs: Vec<String> =
        site.repository.files.keys().filter(|path| path.starts_with("blobs/")).cloned().collect();
    for blob in blobs {
        site.repository.damage(&blob);
    }
    site.mirror.serve(&site.repository);
    assert_refused(&site, "blob_damaged", Kind::Untrusted, "was removed: try again").await;
    assert_eq!(site.disk.content(&own("incoming")), None);
}

#[tokio::test]
async fn a_patch_that_is_signed_but_wrong() {
    // A good patch, listed for a build that it does not lead to: the publisher's mistake.
    let mut site = Site::installed().await;
    let line = site.line.clone();
    let next = Program::seeded(1, 400).edited(9).link();
    let wrong = site.repository.publish(&line, "1.0.1", Severity::Routine, &next).patches[0].clone();
    let last = Program::seeded(1, 400).edited(10).link();
    site.repository.publish_with(&line, "1.1.0", Severity::Routine, &last, |release| {
        release.patches.retain(|patch| patch.old != wrong.old);
        release.patches.push(wrong);
    });
    site.mirror.serve(&site.repository);
    let outcome = site.update().await.unwrap();
    let smidgen_client::Outcome::Updated(report) = outcome else { panic!("{outcome:?}") };
    assert_eq!((report.way.name(), report.failed[0].code.as_str()), ("full", "patch_mislabelled"));
    assert!(site.installed_file() == Some(last));
}

#[tokio::test]
async fn a_build_that_is_not_what_was_signed() {
    // Sizes and digests of the entry are the publisher's word; whatever differs is not installed.
    let cases = [("result_differs", 0), ("full_copy_damaged", 1), ("full_copy_damaged", 2)];
    for (code, case) in cases {
        let mut site = Site::installed().await;
        let line = site.line.clone();
        site.repository.patches = false;
        let build = Program::seeded(3, 50).link();
        site.repository.publish_with(&line, "1.1.0", Severity::Routine, &build, |release| match case {
            0 => release.sha256 = smidgen_metadata::Sha256::of(b"another"),
            1 => release.blake3 = smidgen_metadata::Blake3::from_bytes([7; 32]),
            _ => release.size += 1,
        });
        site.mirror.serve(&site.repository);
        let error = site.update().await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (code, Kind::Untrusted), "{error}");
        assert!(site.installed_file() == Some(site.newest()));
    }
}

#[tokio::test]
async fn a_half_copied_repository() {
    let mut site = Site::outdated().await;
    let whole = site.repository.clone();
    for missing in ["metadata/3.snapshot.json", "metadata/3.targets.json"] {
        site.repository = whole.clone();
        site.repository.files.remove(missing).unwrap();
        site.mirror.serve(&site.repository);
        assert_refused(&site, "repository_incomplete", Kind::Retry, "timestamp.json last").await;
    }
    site.repository.files.retain(|path, _| !path.starts_with("blobs/"));
    site.repository
        .files
        .extend(whole.files.clone().into_iter().filter(|(path, _)| path.starts_with("metadata/")));
    site.mirror.serve(&site.repository);
    assert_refused(&site, "repository_incomplete", Kind::Retry, "copy blobs first").await;
    site.mirror.serve(&whole);
    assert_eq!(site.update().await.unwrap().code(), "updated");
}

#[tokio::test]
async fn an_unknown_product() {
    let mut site = Site::new();
    site.line = BuildLine::new("edtior", "stable", "x86_64-linux", ["spell"]).unwrap();
    assert_refused(&site, "unknown_product", Kind::NotFound, "edtior/stable/x86_64-linux with plugins spell")
        .await;
    site.mirror = Mirror::default();
    assert_refused(&site, "no_repository", Kind::NotFound, "check it").await;
}

#[tokio::test]
async fn everything_withdrawn() {
    let mut site = Site::installed().await;
    site.repository.withdraw(&site.line.clone(), 1);
    site.mirror.serve(&site.repository);
    assert_eq!(site.update().await.unwrap().code(), "up_to_date");
    let fresh = Site { repository: site.repository.clone(), mirror: site.mirror.clone(), ..Site::new() };
    assert_refused(&fresh, "nothing_released", Kind::NotFound, "wait for the next one").await;
}

#[tokio::test]
async fn a_file_that_is_not_ours() {
    let site = Site::new();
    site.disk.put(&installed(), b"somebody's own build", 0o755);
    assert_refused(&site, "unknown_build", Kind::Changed, "move it away").await;
}

#[tokio::test]
async fn a_file_changed_under_our_feet() {
    // Between two runs: the build that is proven comes back, and what was found there is kept.
    let site = Site::installed().await;
    site.disk.put(&installed(), b"patched by hand", 0o755);
    let outcome = site.update().await.unwrap();
    let smidgen_client::Outcome::Repaired(report) = outcome else { panic!("{outcome:?}") };
    assert!(site.installed_file() == Some(site.newest()));
    let kept = own("builds").join(report.previous.unwrap().digest.to_string());
    assert_eq!(site.disk.content(&kept).unwrap(), b"patched by hand");

    // In the middle of an update, before the patch is applied and before the switch.
    for late in [false, true] {
        let site = Site::outdated().await;
        let client = site.client();
        let check = client.check().await.unwrap();
        let plan = client.plan(&check).unwrap().unwrap();
        let fetched = client.fetch(&plan).await.unwrap();
        let change = || site.disk.put(&installed(), b"patched by hand", 0o755);
        let error: Error = if late {
            let staged = client.stage(fetched).await.unwrap();
            change();
            client.activate(staged).await.unwrap_err()
        } else {
            change();
            client.stage(fetched).await.unwrap_err()
        };
        assert_eq!((error.code(), error.kind()), ("installed_file_changed", Kind::Changed), "{error}");
        assert_eq!(site.installed_file().unwrap(), b"patched by hand");
    }
}

#[tokio::test]
async fn a_file_that_is_gone_is_installed_again() {
    use smidgen_client::storage::Storage as _;
    let site = Site::installed().await;
    site.disk.remove(&installed()).unwrap();
    assert_eq!(site.update().await.unwrap().code(), "installed");
    assert!(site.installed_file() == Some(site.newest()));
}

#[tokio::test]
async fn a_disk_that_is_full() {
    let site = Site::outdated().await;
    site.disk.set_capacity(100_000);
    assert_refused(&site, "disk_full", Kind::DiskFull, "bytes, then try again").await;
    // A disk that says there is room, and then has none, at any byte.
    for room in (0..90_000).step_by(7_001) {
        let disk = site.disk.copy();
        let roomy = FaultyDisk::new(disk.clone(), 0, Damage::ClaimSpace);
        disk.set_capacity(60_000 + room);
        match site.client_on(roomy).update().await {
            Ok(outcome) => assert_eq!(outcome.code(), "updated"),
            Err(error) => {
                assert_eq!((error.code(), error.kind()), ("disk_full", Kind::DiskFull), "{room}: {error}");
                assert!(disk.content(&installed()) == site.installed_file());
            }
        }
        disk.set_capacity(u64::MAX);
        assert!(site.client_on(disk.clone()).update().await.is_ok(), "{room}");
        assert!(disk.content(&installed()) == Some(site.newest()));
    }
    site.disk.set_capacity(u64::MAX);
    assert_eq!(site.update().await.unwrap().code(), "updated");
}

#[tokio::test]
async fn a_folder_that_may_not_be_written() {
    let site = Site::outdated().await;
    site.disk.set_read_only(true);
    assert_refused(&site, "not_permitted", Kind::NotPermitted, "mount it for writing").await;
    site.disk.set_read_only(false);
    assert_eq!(site.update().await.unwrap().code(), "updated");
}

#[tokio::test]
async fn a_trust_store_that_is_damaged_stops_everything_but_the_program() {
    for (file, fails) in [("root", true), ("timestamp", true), ("snapshot", true), ("targets", false)] {
        let site = Site::outdated().await;
        site.disk.put(&own(format!("trust/{file}.json")), b"{\"signed\":", 0o644);
        if fails {
            assert_refused(
                &site,
                "trust_store_damaged",
                Kind::Changed,
                "start over from the configured root",
            )
            .await;
        } else {
            // Only a copy of what the snapshot binds.
            assert_eq!(site.update().await.unwrap().code(), "updated");
        }
    }
}

#[tokio::test]
async fn an_address_that_is_none() {
    let site = Site::new();
    let mut config = site.config();
    config.url = "ftp://joe:secret@example.org/editor".parse().unwrap();
    let error = smidgen_client::Client::new(config).err().unwrap();
    assert_eq!((error.code(), error.kind()), ("bad_url", Kind::Misconfigured));
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn a_root_that_came_with_a_newer_program_replaces_the_stored_one() {
    // The machine slept through two rotations, and the mirror lost the root between.
    let mut site = Site::installed().await;
    site.repository.rotate(RoleKind::Root, 0x31);
    site.repository.rotate(RoleKind::Timestamp, 0x32);
    site.publish("1.1.0", Severity::Routine);
    site.repository.files.remove("metadata/2.root.json").unwrap();
    site.mirror.serve(&site.repository);
    assert_refused(&site, "signature_threshold", Kind::Untrusted, "check that the root").await;
    let mut config = site.config();
    config.root = site.repository.files["metadata/3.root.json"].clone();
    let outcome = site.client_with(config, site.disk.clone()).update().await.unwrap();
    assert_eq!(outcome.code(), "updated");
    // Stored: the program with the older root goes on from the newer one.
    assert_eq!(site.update().await.unwrap().code(), "up_to_date");
}
