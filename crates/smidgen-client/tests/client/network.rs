//! Answers that break off, stall, lie or do not come.

use std::time::Duration;

use smidgen_client::{Error, Kind, Outcome};
use smidgen_testkit::{Fault, Mirror, Repository};

use crate::site::{Site, own};

fn patch_of(site: &Site) -> (String, usize) {
    let path = site.repository.files.keys().filter(|path| path.starts_with("blobs/"));
    let path = path.min_by_key(|path| site.repository.files[*path].len()).unwrap().clone();
    let len = site.repository.files[&path].len();
    (path, len)
}

/// Faults that a client gets over within one run, and how many requests for the blob it then makes.
#[tokio::test(start_paused = true)]
async fn a_download_that_breaks_off_goes_on_where_it_stopped() {
    let cases = |len: usize| {
        vec![
            (Fault::BreakAfter(0), 0),
            (Fault::BreakAfter(1), 1),
            (Fault::BreakAfter(len / 2), len / 2),
            (Fault::BreakAfter(len - 1), len - 1),
            (Fault::EndAfter(0), 0),
            (Fault::EndAfter(len / 2), len / 2),
            (Fault::StallAfter(0), 0),
            (Fault::StallAfter(len / 2), len / 2),
            (Fault::NoHead, 0),
            (Fault::Unreachable, 0),
            (Fault::Status(500), 0),
            (Fault::Status(429), 0),
            (Fault::RetryAfter(Duration::from_secs(5)), 0),
        ]
    };
    let site = Site::outdated().await;
    let (path, len) = patch_of(&site);
    for (fault, here) in cases(len) {
        let site = Site { disk: site.disk.copy(), ..again(&site) };
        site.mirror.fail_path(&path, fault.clone(), 1);
        let outcome = site.update().await.unwrap();
        let Outcome::Updated(report) = &outcome else { panic!("{outcome:?}") };
        assert_eq!((report.way.name(), report.failed.len()), ("patch", 0), "{fault:?}");
        assert!(site.installed_file() == Some(site.newest()), "{fault:?}");
        let log: Vec<_> = site.mirror.take_log().into_iter().filter(|asked| asked.path == path).collect();
        assert_eq!(log.len(), 2, "{fault:?}");
        assert_eq!(log[1].from, (here > 0).then_some(here as u64), "{fault:?}");
        assert_eq!(log[1].body, len - here, "{fault:?}");
    }
}

/// A site with the same repository, and a mirror of its own.
fn again(site: &Site) -> Site {
    let fresh = Site::new();
    let repository: Repository = site.repository.clone();
    let (mirror, clock) = (Mirror::of(&repository), site.clock.clone());
    Site { repository, mirror, clock, disk: site.disk.copy(), program: site.program.clone(), ..fresh }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_go_on_is_asked_for_all_of_it() {
    let site = Site::outdated().await;
    let (path, len) = patch_of(&site);
    for fault in [Fault::IgnoreRange, Fault::WrongRange, Fault::Status(416)] {
        let site = Site { disk: site.disk.copy(), ..again(&site) };
        site.mirror.fail_path(&path, Fault::BreakAfter(len / 2), 1);
        site.mirror.fail_path(&path, fault.clone(), 1);
        let outcome = site.update().await.unwrap();
        let Outcome::Updated(report) = &outcome else { panic!("{outcome:?}") };
        assert_eq!((report.way.name(), report.failed.len()), ("patch", 0), "{fault:?}");
        assert!(site.installed_file() == Some(site.newest()), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_that_keeps_breaking_off_is_given_up_and_goes_on_in_the_next_run() {
    let site = Site::outdated().await;
    let (path, len) = patch_of(&site);
    let mut config = site.config();
    config.full_copies = smidgen_client::FullCopies::FirstInstall;
    site.mirror.fail_path(&path, Fault::BreakAfter(len / 2), 1);
    site.mirror.fail_path(&path, Fault::BreakAfter(0), 100);
    let error = site.client_with(config.clone(), site.disk.clone()).update().await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("connection_broken", Kind::Retry));
    let asked = site.mirror.take_log().iter().filter(|asked| asked.path == path).count();
    assert_eq!(asked, 4, "one that brought something, three that did not");
    site.mirror.heal();
    let outcome = site.client_with(config, site.disk.clone()).update().await.unwrap();
    let Outcome::Updated(report) = outcome else { panic!("{outcome:?}") };
    assert!(report.bytes_fetched < len as u64);
    assert!(site.installed_file() == Some(site.newest()));
}

#[tokio::test(start_paused = true)]
async fn any_failure_of_the_patch_leads_to_the_full_copy() {
    let site = Site::outdated().await;
    let (path, len) = patch_of(&site);
    let cases = [
        (Fault::Status(404), "repository_incomplete"),
        (Fault::Status(403), "server_refused"),
        (Fault::Status(500), "server_unavailable"),
        (Fault::RetryAfter(Duration::from_secs(600)), "server_unavailable"),
        (Fault::OtherBody, "blob_damaged"),
        (Fault::BitFlip, "blob_damaged"),
        (Fault::TooLong, "too_long"),
        (Fault::EndAfter(0), "truncated"),
        (Fault::StallAfter(0), "timed_out"),
        (Fault::Drip, "too_slow"),
        (Fault::NoHead, "timed_out"),
        (Fault::BreakAfter(0), "connection_broken"),
    ];
    for (fault, code) in cases {
        let site = Site { disk: site.disk.copy(), ..again(&site) };
        site.mirror.fail_path(&path, fault.clone(), 100);
        let outcome = site.update().await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        let Outcome::Updated(report) = &outcome else { panic!("{outcome:?}") };
        assert_eq!(report.way.name(), "full", "{fault:?}");
        assert_eq!(report.failed[0].code, code, "{fault:?}: {}", report.failed[0].message);
        assert!(site.installed_file() == Some(site.newest()), "{fault:?}");
    }
    // Whatever a mirror sends, no more than the signed size is ever written.
    let site = Site { disk: site.disk.copy(), ..again(&site) };
    site.mirror.fail_path(&path, Fault::TooLong, 100);
    site.disk.set_capacity(u64::MAX);
    let client = site.client();
    let check = client.check().await.unwrap();
    let plan = client.plan(&check).unwrap().unwrap();
    let error = client.fetch(&plan).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("too_long", Kind::Untrusted));
    assert!(error.to_string().contains(&len.to_string()), "{error}");
    let name = path.rsplit('/').next().unwrap();
    assert_eq!(site.disk.content(&own("incoming").join(format!("{name}.part"))), None);
}

#[tokio::test(start_paused = true)]
async fn metadata_that_does_not_come_is_an_error_that_says_when_to_try_again() {
    let site = Site::outdated().await;
    let cases = [
        (Fault::Unreachable, "unreachable", Kind::Retry),
        (Fault::NoHead, "timed_out", Kind::Retry),
        (Fault::StallAfter(10), "timed_out", Kind::Retry),
        (Fault::Drip, "too_slow", Kind::Retry),
        (Fault::BreakAfter(10), "connection_broken", Kind::Retry),
        (Fault::EndAfter(10), "malformed_metadata", Kind::Untrusted),
        (Fault::TooLong, "too_long", Kind::Untrusted),
        (Fault::Status(500), "server_unavailable", Kind::Retry),
        (Fault::Status(503), "server_unavailable", Kind::Retry),
        (Fault::Status(404), "no_repository", Kind::NotFound),
        (Fault::Status(302), "server_refused", Kind::Misconfigured),
        (Fault::Status(401), "server_refused", Kind::Misconfigured),
        (Fault::OtherBody, "malformed_metadata", Kind::Untrusted),
    ];
    for (fault, code, kind) in cases {
        let site = Site { disk: site.disk.copy(), ..again(&site) };
        let before = site.installed_file();
        site.mirror.fail_path("metadata/timestamp.json", fault.clone(), 100);
        let error = site.update().await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (code, kind), "{fault:?}: {error}");
        assert!(site.installed_file() == before, "{fault:?}");
        assert_eq!(site.client().status().unwrap().last_check.unwrap().code, code);
        site.mirror.heal();
        assert_eq!(site.update().await.unwrap().code(), "updated", "{fault:?}");
    }
    site.mirror.fail_path("metadata/timestamp.json", Fault::RetryAfter(Duration::from_secs(90)), 1);
    let error: Error = site.update().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(90)));
}

#[tokio::test(start_paused = true)]
async fn a_failure_at_any_request_is_healed_by_the_next_run() {
    let faults = |number: usize| {
        [
            Fault::Unreachable,
            Fault::Status(404),
            Fault::Status(500),
            Fault::OtherBody,
            Fault::BreakAfter(number),
        ]
    };
    let site = Site::outdated().await;
    for number in 0..5 {
        for fault in faults(number) {
            let site = Site { disk: site.disk.copy(), ..again(&site) };
            let before = site.installed_file();
            site.mirror.fail_request(number, fault.clone());
            if site.update().await.is_err() {
                assert!(site.installed_file() == before, "request {number}, {fault:?}");
            }
            site.update().await.unwrap_or_else(|error| panic!("request {number}, {fault:?}: {error}"));
            assert!(site.installed_file() == Some(site.newest()), "request {number}, {fault:?}");
        }
    }
}
