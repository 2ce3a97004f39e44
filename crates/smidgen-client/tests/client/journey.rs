//! From nothing to installed to updated, and what is decided on the way.

use smidgen_client::{BuildLine, FileStatus, FullCopies, Mode, Outcome, Policy, Reason, Severity, Way};
use smidgen_testkit::Program;

use crate::site::{Site, bytes_fetched, installed, own};

#[tokio::test]
async fn installs_into_an_empty_folder() {
    let site = Site::new();
    let outcome = site.update().await.unwrap();
    let Outcome::Installed(report) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(report.installed.version, "1.0.0");
    assert_eq!((report.reason, report.way.name()), (Reason::FirstInstall, "full"));
    assert!(site.installed_file() == Some(site.newest()));
    assert_eq!(site.disk.mode(&installed()), Some(0o755));
    // Root, then timestamp, snapshot and targets, then the full copy.
    let paths: Vec<String> = site.mirror.take_log().into_iter().map(|asked| asked.path).collect();
    assert_eq!(
        paths[..4],
        [
            "metadata/2.root.json",
            "metadata/timestamp.json",
            "metadata/2.snapshot.json",
            "metadata/2.targets.json"
        ]
    );
    assert!(paths[4].starts_with("blobs/") && paths.len() == 5, "{paths:?}");
}

#[tokio::test]
async fn updates_by_the_patch_and_keeps_the_build_before() {
    let site = Site::outdated().await;
    let before = site.installed_file().unwrap();
    let outcome = site.update().await.unwrap();
    let Outcome::Updated(report) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(report.reason, Reason::Newer { severity: Severity::Routine });
    assert!(matches!(report.way, Way::Patch { .. }), "{report:?}");
    assert!(report.bytes_saved > report.bytes_full / 2, "{report:?}");
    assert!(site.installed_file() == Some(site.newest()));
    let previous = report.previous.as_ref().unwrap();
    assert_eq!(previous.version, "1.0.0");
    assert_eq!(site.disk.content(&own("builds").join(previous.digest.to_string())), Some(before));
    // Nothing else is left behind.
    let status = site.client().status().unwrap();
    assert_eq!((status.file, status.previous.as_ref()), (FileStatus::Intact, Some(previous)));
    assert_eq!(status.known.unwrap().bytes_to_fetch, 0);
    assert_eq!(status.last_check.unwrap().code, "updated");
}

#[tokio::test]
async fn takes_the_full_copy_where_it_is_smaller_than_the_patch() {
    let mut site = Site::installed().await;
    let unrelated = Program::seeded(99, 40).link();
    site.repository.publish(&site.line.clone(), "2.0.0", Severity::Routine, &unrelated);
    site.mirror.serve(&site.repository);
    let outcome = site.update().await.unwrap();
    let Outcome::Updated(report) = outcome else { panic!("{outcome:?}") };
    assert_eq!(report.way.name(), "full");
    assert!(site.installed_file() == Some(unrelated));
}

#[tokio::test]
async fn bytes_that_are_here_already_make_a_plan_cheaper() {
    let site = Site::outdated().await;
    let client = site.client();
    let check = client.check().await.unwrap();
    let plan = client.plan(&check).unwrap().unwrap();
    assert_eq!(plan.way().name(), "patch");
    // Nearly all of the full copy is here from an earlier run.
    let full = site.repository.files[&plan.release().full.path()].clone();
    let part = own("incoming").join(format!("{}.part", plan.release().full.digest));
    site.disk.put(&part, &full[..full.len() - 10], 0o644);
    drop((check, plan));
    let outcome = client.update().await.unwrap();
    let Outcome::Updated(report) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(report.way.name(), "full");
    let log = site.mirror.take_log();
    assert_eq!(log.last().unwrap().from, Some(full.len() as u64 - 10));
    assert!(site.installed_file() == Some(site.newest()));
}

#[tokio::test]
async fn a_policy_counts_what_was_skipped_and_never_goes_back() {
    let mut site = Site::installed().await;
    site.publish("1.1.0", Severity::Routine);
    site.policy = Policy::Critical;
    let outcome = site.update().await.unwrap();
    let Outcome::BelowPolicy(report) = outcome else { panic!("{outcome:?}") };
    assert_eq!((report.newest.as_str(), report.severity), ("1.1.0", Severity::Routine));
    site.publish("1.2.0", Severity::Critical);
    site.publish("1.3.0", Severity::Routine);
    let outcome = site.update().await.unwrap();
    let Outcome::Updated(report) = outcome else { panic!("{outcome:?}") };
    assert_eq!(report.reason, Reason::Newer { severity: Severity::Critical });
    assert_eq!(report.installed.version, "1.3.0");
    // Taken back: stays where it is, and says so.
    site.repository.withdraw(&site.line.clone(), 4);
    site.mirror.serve(&site.repository);
    assert_eq!(site.update().await.unwrap().code(), "up_to_date");
    site.policy = Policy::None;
    site.publish("1.4.0", Severity::Critical);
    assert_eq!(site.update().await.unwrap().code(), "below_policy");
}

#[tokio::test]
async fn notify_mode_fetches_nothing() {
    let mut site = Site::outdated().await;
    site.mode = Mode::Notify;
    let before = site.installed_file();
    let outcome = site.update().await.unwrap();
    let Outcome::UpdateAvailable(plan) = &outcome else { panic!("{outcome:?}") };
    assert_eq!((plan.version.as_str(), plan.ways.len()), ("1.1.0", 2));
    assert!(plan.bytes_to_fetch() < plan.bytes_full);
    assert!(site.mirror.take_log().iter().all(|asked| !asked.path.starts_with("blobs/")));
    assert!(site.installed_file() == before);
}

#[tokio::test]
async fn a_metered_link_waits_for_a_patch() {
    let mut site = Site::installed().await;
    site.repository.patches = false;
    site.publish("1.1.0", Severity::Routine);
    let config = site.config().full_copies(FullCopies::FirstInstall);
    let error = site.client_with(config, site.disk.clone()).update().await.unwrap_err();
    assert_eq!(error.code(), "full_copy_not_allowed");
    assert!(site.update().await.unwrap().has_switched());
}

#[tokio::test]
async fn the_mode_that_an_administrator_set_stays() {
    let mut site = Site::outdated().await;
    let build = site.installed_file().unwrap();
    site.disk.put(&installed(), &build, 0o750);
    assert_eq!(site.update().await.unwrap().code(), "updated");
    assert_eq!(site.disk.mode(&installed()), Some(0o750));
    // And it is not taken for the signed one later.
    site.publish("1.2.0", Severity::Routine);
    site.update().await.unwrap();
    assert_eq!(site.disk.mode(&installed()), Some(0o750));
}

#[tokio::test]
async fn a_build_that_was_copied_in_by_hand_is_recognised() {
    let mut site = Site::new();
    let first = site.newest();
    site.publish("1.1.0", Severity::Routine);
    site.disk.put(&installed(), &first, 0o755);
    let outcome = site.update().await.unwrap();
    let Outcome::Updated(report) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(report.way.name(), "patch");
    assert!(bytes_fetched(&outcome) < report.bytes_full);
}

#[tokio::test]
async fn lost_state_costs_nothing_but_a_digest() {
    let site = Site::outdated().await;
    site.disk.put(&own("state.json"), b"{\"format\":", 0o644);
    site.disk.put(&own("poll.json"), b"garbage", 0o644);
    let outcome = site.update().await.unwrap();
    assert_eq!(outcome.code(), "updated");
    assert!(site.installed_file() == Some(site.newest()));
}

#[tokio::test]
async fn a_build_that_was_staged_before_is_not_fetched_again() {
    let site = Site::outdated().await;
    let client = site.client();
    let check = client.check().await.unwrap();
    let plan = client.plan(&check).unwrap().unwrap();
    let fetched = client.fetch(&plan).await.unwrap();
    let staged = client.stage(fetched).await.unwrap();
    drop((check, plan, staged));
    site.mirror.take_log();
    let outcome = client.update().await.unwrap();
    let Outcome::Updated(report) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(report.way, Way::Kept);
    assert_eq!(site.mirror.take_log().len(), 1);
    assert!(site.installed_file() == Some(site.newest()));
}

#[tokio::test]
async fn only_one_process_updates_a_folder() {
    let site = Site::outdated().await;
    let client = site.client();
    let check = client.check().await.unwrap();
    let error = site.update().await.unwrap_err();
    assert_eq!(error.code(), "busy");
    // Status needs no lock.
    assert_eq!(client.status().unwrap().known.unwrap().newest, "1.1.0");
    drop(check);
    assert_eq!(site.update().await.unwrap().code(), "updated");
}

#[tokio::test]
async fn another_plugin_set_is_another_line_whose_sequences_do_not_compare() {
    let mut site = Site::outdated().await;
    site.update().await.unwrap();
    let (with, old) = (site.line.clone(), site.newest());
    // Its first release, sequence 1, although sequence 2 of the other line is installed.
    let without = BuildLine::new("editor", "stable", "x86_64-linux", []).unwrap();
    let plain = Program::seeded(7, 300).link();
    site.repository.publish(&without, "1.1.0", Severity::Routine, &plain);
    site.mirror.serve(&site.repository);
    site.line = without;
    site.policy = Policy::Critical;
    let outcome = site.update().await.unwrap();
    let Outcome::Updated(report) = outcome else { panic!("{outcome:?}") };
    assert_eq!((report.reason, report.installed.sequence), (Reason::OtherLine, 1));
    assert!(site.installed_file() == Some(plain));
    assert_eq!(site.update().await.unwrap().code(), "up_to_date");
    // And back: the build before is still here.
    site.line = with;
    let outcome = site.update().await.unwrap();
    let Outcome::Updated(report) = outcome else { panic!("{outcome:?}") };
    assert_eq!((report.reason, report.way), (Reason::OtherLine, Way::Kept));
    assert!(site.installed_file() == Some(old));
}

#[tokio::test]
async fn a_build_that_is_released_again_is_not_fetched_again() {
    let mut site = Site::installed().await;
    let (line, build) = (site.line.clone(), site.newest());
    site.repository.publish(&line, "1.0.0-again", Severity::Critical, &build);
    site.mirror.serve(&site.repository);
    let outcome = site.update().await.unwrap();
    let Outcome::UpToDate(report) = outcome else { panic!("{outcome:?}") };
    assert_eq!((report.installed.sequence, report.installed.version.as_str()), (2, "1.0.0-again"));
}
