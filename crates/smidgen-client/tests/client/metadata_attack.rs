//! Attacks on metadata on its way and at rest, by the names that the TUF papers give them.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use smidgen_client::{Client, Kind, Severity};
use smidgen_metadata::RoleKind;
use smidgen_testkit::{Damage, Fault, FaultyDisk, PowerCut, Repository};

use crate::site::{Site, own};

/// A site whose line is in a role that targets delegate to, with a newer release published.
async fn outdated() -> Site {
    let mut site = Site::new();
    site.repository.delegate("targets", "lines", "editor/*/*/*/*/*");
    site.repository.move_line(&site.line, "lines");
    site.mirror.serve(&site.repository);
    site.update().await.unwrap();
    site.publish("1.1.0", Severity::Routine);
    site.mirror.take_log();
    site
}

/// The metadata files that an update of `outdated` asks for.
async fn files_of_an_update() -> Vec<String> {
    let site = outdated().await;
    site.update().await.unwrap();
    let asked = site.mirror.take_log().into_iter();
    let names: Vec<String> = asked
        .filter(|asked| asked.status == 200 && asked.path.starts_with("metadata/"))
        .map(|asked| asked.path)
        .collect();
    assert_eq!(names.len(), 3, "timestamp, snapshot, the role: {names:?}");
    names
}

fn again(site: &Site) -> Site {
    Site {
        repository: site.repository.clone(),
        mirror: smidgen_testkit::Mirror::of(&site.repository),
        disk: site.disk.copy(),
        clock: site.clock.clone(),
        line: site.line.clone(),
        policy: site.policy,
        mode: site.mode,
        program: site.program.clone(),
    }
}

/// An attack on one answer fails with the code, changes nothing that is stored before that file, and heals.
async fn assert_repelled(fault: Fault, code: &str) {
    let site = outdated().await;
    for path in files_of_an_update().await {
        let site = again(&site);
        let before = site.installed_file();
        site.mirror.fail_path(&path, fault.clone(), 100);
        let error = site.update().await.unwrap_err();
        assert_eq!(error.code(), code, "{path}: {error}");
        assert!(site.installed_file() == before, "{path}");
        site.mirror.heal();
        assert_eq!(site.update().await.unwrap().code(), "updated", "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn endless_data_is_cut_off_at_the_signed_length() {
    assert_repelled(Fault::TooLong, "too_long").await;
}

#[tokio::test(start_paused = true)]
async fn slow_retrieval_is_given_up() {
    assert_repelled(Fault::Drip, "too_slow").await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_ends_is_given_up() {
    assert_repelled(Fault::StallAfter(100), "timed_out").await;
}

#[tokio::test(start_paused = true)]
async fn a_server_in_trouble_is_asked_again_later() {
    assert_repelled(Fault::Status(500), "server_unavailable").await;
}

#[tokio::test]
async fn a_forbidden_file_stops_the_update_and_a_forbidden_next_root_does_not() {
    assert_repelled(Fault::Status(403), "server_refused").await;
    let site = outdated().await;
    site.mirror.fail_path("metadata/2.root.json", Fault::Status(403), 100);
    assert_eq!(site.update().await.unwrap().code(), "updated");
}

#[tokio::test]
async fn a_torn_or_truncated_store_never_lets_an_old_state_back() {
    let mut site = outdated().await;
    let old = site.repository.clone();
    site.publish("1.2.0", Severity::Routine);
    site.update().await.unwrap();
    let files = [
        "root.json",
        "timestamp.json",
        "snapshot.json",
        "targets.json",
        "delegated/lines.json",
        "repository",
    ];
    for file in files {
        let path = own("trust").join(file);
        let good = site.disk.content(&path).unwrap();
        let half = good.len() / 2;
        let torn: Vec<u8> =
            good[..half].iter().copied().chain(std::iter::repeat_n(0, good.len() - half)).collect();
        for damaged in [good[..half].to_vec(), Vec::new(), torn] {
            let site = again(&site);
            site.disk.put(&path, &damaged, 0o644);
            // An old state is never taken, whatever the store has lost but the copies that snapshot binds.
            site.mirror.serve(&old);
            let before = site.installed_file();
            let played_back = site.update().await;
            assert!(played_back.is_err(), "{file}: {played_back:?}");
            assert!(site.installed_file() == before, "{file}");
            // The newest state is, or the error says what to repair.
            site.mirror.serve(&site.repository);
            match site.update().await {
                Ok(outcome) => assert_eq!(outcome.code(), "up_to_date", "{file}"),
                // Half a name is another name.
                Err(error) if file == "repository" => assert_eq!(error.code(), "other_repository"),
                Err(error) => {
                    assert_eq!(
                        (error.code(), error.kind()),
                        ("trust_store_damaged", Kind::Changed),
                        "{file}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_kill_at_any_step_of_a_refresh_loses_no_protection() {
    let mut site = outdated().await;
    let old = site.repository.clone();
    site.repository.rotate(RoleKind::Timestamp, 0x33);
    site.publish("1.2.0", Severity::Routine);
    let mut steps = 0;
    for at in 0.. {
        let disk = site.disk.copy();
        let faulty = FaultyDisk::new(disk.clone(), at, Damage::Kill);
        let checked = site.client_on(faulty.clone()).check().await;
        if !faulty.has_struck() {
            checked.unwrap();
            steps = at;
            break;
        }
        for cut in [PowerCut::ProcessOnly, PowerCut::LosesUnsynced, PowerCut::KeepsNames] {
            let disk = disk.after(cut);
            let stored = disk.content(&own("trust/timestamp.json"));
            site.mirror.serve(&site.repository);
            let check = site.client_on(disk.clone()).check().await;
            let check = check.unwrap_or_else(|error| panic!("step {at}, {cut:?}: {}: {error}", error.code()));
            assert_eq!(check.newest().unwrap().version.to_string(), "1.2.0", "step {at}, {cut:?}");
            // And from then on the state before is refused, by what was stored.
            site.mirror.serve(&old);
            let replayed = site.client_on(disk).check().await;
            assert!(
                replayed.is_err(),
                "step {at}, {cut:?}, after {} stored bytes",
                stored.map_or(0, |raw| raw.len())
            );
        }
        site.mirror.serve(&site.repository);
    }
    assert!(steps > 20, "only {steps} steps");
}

#[tokio::test]
async fn two_clients_on_one_store_take_turns() {
    let site = outdated().await;
    let (first, second) = (site.client(), site.client());
    let check = first.check().await.unwrap();
    let busy = second.check().await.unwrap_err();
    assert_eq!((busy.code(), busy.kind()), ("busy", Kind::Busy));
    drop(check);
    assert_eq!(second.check().await.unwrap().newest().unwrap().version.to_string(), "1.1.0");
    // Both see the same afterwards, and what the one stored the other one need not fetch.
    site.mirror.take_log();
    first.check().await.unwrap();
    assert_eq!(site.mirror.take_log().len(), 1);
}

#[tokio::test]
async fn a_clock_that_jumps_by_years_neither_bricks_a_client_nor_lets_an_old_state_back() {
    let mut site = outdated().await;
    site.update().await.unwrap();
    let old = site.repository.clone();
    site.publish("1.2.0", Severity::Routine);
    let right = crate::site::now();
    for years in [-50_i64, -10, -1, 1, 10, 100] {
        let site = again(&site);
        site.clock.set(smidgen_client::Timestamp::from_unix(right.unix() + years * 365 * 24 * 3600));
        let outcome = site.update().await;
        match years {
            // The newest signed time is a floor.
            ..0 => assert_eq!(outcome.unwrap().code(), "updated", "{years}"),
            // Everything seems to have expired: nothing is done, and nothing is lost.
            _ => assert_eq!(outcome.unwrap_err().code(), "expired_metadata", "{years}"),
        }
        site.clock.set(right);
        let outcome = site.update().await.unwrap();
        assert_eq!(outcome.code(), if years < 0 { "up_to_date" } else { "updated" }, "{years}");
        site.mirror.serve(&old);
        assert_eq!(site.client().refresh().await.unwrap_err().code(), "rollback", "{years}");
    }
    site.clock.set(right);
}

/// A server that answers each request with a redirect to the same path elsewhere, and counts.
fn redirecting(to: impl Fn(&str) -> String + Send + 'static) -> (SocketAddr, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(0)));
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 2048];
            let len = stream.read(&mut request).unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..len]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
            *counter.lock().unwrap() += 1;
            let head = format!(
                "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                to(&path)
            );
            let _ = stream.write_all(head.as_bytes());
        }
    });
    (address, count)
}

fn client_at(site: &Site, address: SocketAddr) -> Client {
    let mut config = site.config();
    config.url = format!("http://{address}/repository/").parse().unwrap();
    Client::new(config).unwrap().with_storage(site.disk.clone()).with_clock(site.clock.clone())
}

#[tokio::test]
async fn redirects_are_followed_to_another_server_and_not_for_ever() {
    let site = outdated().await;
    let real = smidgen_testkit::Loopback::serve(&site.mirror).url();
    let base = real.as_str().trim_end_matches("/repository/").to_owned();
    let (address, _) = redirecting(move |path| format!("{base}{path}"));
    assert_eq!(client_at(&site, address).update().await.unwrap().code(), "updated");

    let (address, count) = redirecting(str::to_owned);
    let error = client_at(&site, address).check().await.unwrap_err();
    assert_eq!(error.code(), "redirect_refused", "{error}");
    assert!(*count.lock().unwrap() <= 6, "{} requests", count.lock().unwrap());

    // Where a redirect leads, signatures count as everywhere.
    let mut hostile = Repository::new("test-1", 0x66, crate::site::now());
    hostile.publish(&site.line, "9.9.9", Severity::Critical, b"hostile");
    let elsewhere = smidgen_testkit::Loopback::serve(&smidgen_testkit::Mirror::of(&hostile)).url();
    let base = elsewhere.as_str().trim_end_matches("/repository/").to_owned();
    let (address, _) = redirecting(move |path| format!("{base}{path}"));
    let error = client_at(&site, address).check().await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("signature_threshold", Kind::Untrusted), "{error}");
}
