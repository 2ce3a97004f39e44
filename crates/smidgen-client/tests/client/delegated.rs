//! Lines that are delegated to roles of their own: found, stored, and never believed for longer than they may be.

use smidgen_client::{BuildLine, Severity};
use smidgen_testkit::{Asked, Fault};

use crate::site::{Site, own};

/// Names of the metadata files that were asked for.
fn asked(log: Vec<Asked>) -> Vec<String> {
    log.into_iter().filter_map(|asked| asked.path.strip_prefix("metadata/").map(str::to_owned)).collect()
}

/// The line is in the role `lines`, which targets delegate to through `product`.
async fn delegated() -> Site {
    let mut site = Site::new();
    site.repository.delegate("targets", "product", "editor/*/*/*/*/*");
    site.repository.delegate("product", "lines", "editor/*/*/*/*/*");
    site.repository.move_line(&site.line, "lines");
    site.mirror.serve(&site.repository);
    assert_eq!(site.update().await.unwrap().code(), "installed");
    site
}

#[tokio::test]
async fn a_delegated_line_is_found_and_an_idle_poll_is_still_one_request() {
    let site = delegated().await;
    let first = asked(site.mirror.take_log());
    assert!(first.iter().any(|name| name.ends_with(".product.json")), "{first:?}");
    assert!(first.iter().any(|name| name.ends_with(".lines.json")), "{first:?}");
    for name in ["product.json", "lines.json"] {
        assert!(site.disk.content(&own("trust/delegated").join(name)).is_some(), "{name}");
    }
    site.clock.pass_hours(1);
    assert_eq!(site.update().await.unwrap().code(), "up_to_date");
    assert_eq!(asked(site.mirror.take_log()), ["timestamp.json"]);
    // The whole refresh adds the probe for the next root, and nothing else.
    site.client().refresh().await.unwrap();
    assert_eq!(asked(site.mirror.take_log()), ["2.root.json", "timestamp.json"]);
}

#[tokio::test]
async fn a_new_release_of_a_delegated_line_changes_its_role_alone() {
    let mut site = delegated().await;
    site.mirror.take_log();
    site.publish("1.1.0", Severity::Routine);
    assert_eq!(site.update().await.unwrap().code(), "updated");
    let names = asked(site.mirror.take_log());
    let roles: Vec<&str> = names.iter().filter_map(|name| name.split('.').nth(1)).collect();
    // timestamp.json, 2.root.json (which is not there), snapshot, and the role of the line.
    assert_eq!(roles, ["json", "root", "snapshot", "lines"], "{names:?}");
}

#[tokio::test]
async fn a_release_of_another_line_costs_the_snapshot_and_no_role() {
    let mut site = delegated().await;
    let other = BuildLine::new("viewer", "stable", "x86_64-linux", []).unwrap();
    site.repository.publish(&other, "1.0.0", Severity::Routine, b"viewer");
    site.repository.delegate("targets", "viewer", "viewer/*/*/*/*/*");
    site.repository.move_line(&other, "viewer");
    site.mirror.serve(&site.repository);
    site.update().await.unwrap();
    site.mirror.take_log();
    site.repository.publish(&other, "1.0.1", Severity::Routine, b"viewer, the second");
    site.mirror.serve(&site.repository);
    assert_eq!(site.update().await.unwrap().code(), "up_to_date");
    let names = asked(site.mirror.take_log());
    assert!(!names.iter().any(|name| name.contains("viewer") || name.contains("lines")), "{names:?}");
}

#[tokio::test]
async fn a_damaged_stored_role_is_fetched_again_and_a_stale_one_is_removed() {
    let site = delegated().await;
    let (path, stale) = (own("trust/delegated/lines.json"), own("trust/delegated/gone.json"));
    let good = site.disk.content(&path).unwrap();
    for damaged in [Vec::new(), good[..good.len() / 2].to_vec(), vec![b'x'; good.len()], b"{}".to_vec()] {
        site.mirror.take_log();
        site.disk.put(&path, &damaged, 0o644);
        site.disk.put(&stale, &good, 0o644);
        assert_eq!(site.update().await.unwrap().code(), "up_to_date");
        let names = asked(site.mirror.take_log());
        assert_eq!(names.len(), 2, "{names:?}");
        assert_eq!(site.disk.content(&path), Some(good.clone()));
        assert_eq!(site.disk.content(&stale), None);
    }
}

#[tokio::test]
async fn a_role_that_is_missing_damaged_or_endless_is_an_error_and_heals() {
    let mut site = delegated().await;
    site.publish("1.1.0", Severity::Routine);
    let versions = site.repository.files.keys().filter(|name| name.ends_with(".lines.json"));
    // One digit each, so the last in order is the newest.
    let role = versions.max().unwrap().clone();
    for (fault, code) in [
        (Fault::Status(404), "repository_incomplete"),
        (Fault::Status(500), "server_unavailable"),
        (Fault::Status(403), "server_refused"),
        (Fault::BitFlip, "digest_mismatch"),
        (Fault::OtherBody, "digest_mismatch"),
        (Fault::TooLong, "too_long"),
        (Fault::EndAfter(100), "digest_mismatch"),
    ] {
        site.mirror.fail_path(&role, fault.clone(), 1);
        let error = site.client().check().await.unwrap_err();
        assert_eq!(error.code(), code, "{fault:?}: {error}");
        site.mirror.heal();
    }
    assert_eq!(site.update().await.unwrap().code(), "updated");
}

#[tokio::test]
async fn what_is_known_of_a_delegated_line_needs_no_network() {
    let site = delegated().await;
    site.mirror.take_log();
    let status = site.client().status().unwrap();
    assert_eq!(status.known.unwrap().newest, "1.0.0");
    assert!(site.mirror.take_log().is_empty());
}
