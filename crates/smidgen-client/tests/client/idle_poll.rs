//! What an hour costs in which nothing happened: one request, over a real socket.

use smidgen_client::{Client, Outcome, blocking};
use smidgen_metadata::RoleKind;
use smidgen_testkit::Loopback;

use crate::site::{Site, own};

#[tokio::test]
async fn an_idle_poll_is_one_request_without_a_body() {
    let site = Site::new();
    let server = Loopback::serve(&site.mirror);
    let mut config = site.config();
    config.url = server.url();
    let client = Client::new(config).unwrap().with_storage(site.disk.clone()).with_clock(site.clock.clone());
    assert_eq!(client.update().await.unwrap().code(), "installed");
    server.take_log();
    for _ in 0..3 {
        site.clock.pass_hours(1);
        let outcome = client.update().await.unwrap();
        let Outcome::UpToDate(report) = outcome else { panic!("{outcome:?}") };
        assert_eq!((report.requests, report.bytes_fetched), (1, 0));
        let log = server.take_log();
        assert_eq!(log.len(), 1);
        assert_eq!((log[0].status, log[0].body_len), (304, 0));
        // Request line, Host, If-None-Match, Accept, Accept-Encoding: nothing that tells who asks.
        assert!(log[0].request.starts_with("GET /repository/metadata/timestamp.json HTTP/1.1\r\n"));
        assert!(log[0].request.lines().filter(|line| !line.is_empty()).count() <= 5, "{}", log[0].request);
        assert!(log[0].request.len() < 220, "{} bytes: {}", log[0].request.len(), log[0].request);
    }
}

#[tokio::test]
async fn a_new_timestamp_costs_one_look_for_a_new_root_and_no_more_than_what_changed() {
    let mut site = Site::installed().await;
    site.clock.pass_hours(12);
    site.repository.now = site.repository.now.plus_hours(12);
    site.repository.resign_timestamp();
    site.mirror.serve(&site.repository);
    assert_eq!(site.update().await.unwrap().code(), "up_to_date");
    let asked: Vec<(String, u16)> =
        site.mirror.take_log().into_iter().map(|asked| (asked.path, asked.status)).collect();
    let expected = [("metadata/timestamp.json", 200), ("metadata/2.root.json", 404)];
    assert_eq!(asked, expected.map(|(path, status)| (path.to_owned(), status)));
}

#[tokio::test]
async fn the_same_version_in_other_bytes_is_one_request_and_changes_nothing() {
    let mut site = Site::installed().await;
    let stored = site.disk.content(&own("trust/timestamp.json")).unwrap();
    site.repository.files.get_mut("metadata/timestamp.json").unwrap().extend(b" \n");
    site.mirror.serve(&site.repository);
    for _ in 0..2 {
        assert_eq!(site.update().await.unwrap().code(), "up_to_date");
        let asked: Vec<String> = site.mirror.take_log().into_iter().map(|asked| asked.path).collect();
        assert_eq!(asked, ["metadata/timestamp.json"]);
        assert_eq!(site.disk.content(&own("trust/timestamp.json")), Some(stored.clone()));
    }
}

#[tokio::test]
async fn a_timestamp_that_does_not_verify_is_reason_to_look_for_a_new_root() {
    let mut site = Site::installed().await;
    site.repository.rotate(RoleKind::Timestamp, 0x44);
    site.mirror.serve(&site.repository);
    assert_eq!(site.update().await.unwrap().code(), "up_to_date");
    let asked: Vec<String> = site.mirror.take_log().into_iter().map(|asked| asked.path).take(3).collect();
    assert_eq!(asked, ["metadata/timestamp.json", "metadata/2.root.json", "metadata/3.root.json"]);
    // Forged, and no root explains it: an error, and the stored one stays.
    site.repository.lose_key(RoleKind::Timestamp);
    site.repository.resign_timestamp();
    site.mirror.serve(&site.repository);
    let stored = site.disk.content(&own("trust/timestamp.json"));
    assert_eq!(site.update().await.unwrap_err().code(), "signature_threshold");
    let asked: Vec<String> = site.mirror.take_log().into_iter().map(|asked| asked.path).collect();
    assert_eq!(asked, ["metadata/timestamp.json", "metadata/3.root.json"]);
    assert_eq!(site.disk.content(&own("trust/timestamp.json")), stored);
}

#[tokio::test]
async fn not_modified_for_ever_ends_with_the_timestamp() {
    let site = Site::installed().await;
    for _ in 0..71 {
        site.clock.pass_hours(1);
        assert_eq!(site.update().await.unwrap().code(), "up_to_date");
    }
    site.clock.pass_hours(1);
    site.mirror.take_log();
    assert_eq!(site.update().await.unwrap_err().code(), "expired_metadata");
}

#[tokio::test]
async fn the_next_root_is_looked_for_once_a_day() {
    let site = Site::installed().await;
    let mut probes = 0;
    for hour in 1..=60 {
        site.clock.pass_hours(1);
        assert_eq!(site.update().await.unwrap().code(), "up_to_date", "hour {hour}");
        probes += site.mirror.take_log().iter().filter(|asked| asked.path.ends_with("root.json")).count();
    }
    assert_eq!(probes, 2);
}

#[tokio::test]
async fn the_whole_refresh_asks_for_the_root_first() {
    let site = Site::installed().await;
    let check = site.client().refresh().await.unwrap();
    assert_eq!(check.installed().unwrap().version, "1.0.0");
    let paths: Vec<String> = site.mirror.take_log().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, ["metadata/2.root.json", "metadata/timestamp.json"]);
}

#[tokio::test]
async fn another_mirror_is_not_asked_with_this_ones_tag() {
    let site = Site::installed().await;
    let server = Loopback::serve(&site.mirror);
    let mut config = site.config();
    config.url = server.url();
    let client = Client::new(config).unwrap().with_storage(site.disk.clone()).with_clock(site.clock.clone());
    assert_eq!(client.update().await.unwrap().code(), "up_to_date");
    assert!(!site.mirror.take_log()[0].conditional);
    assert_eq!(client.update().await.unwrap().code(), "up_to_date");
    assert!(site.mirror.take_log()[0].conditional);
}

#[test]
fn the_blocking_client_does_the_same_and_refuses_to_block_an_event_loop() {
    let site = Site::new();
    let server = Loopback::serve(&site.mirror);
    let dir = tempfile::tempdir().unwrap();
    let mut config = site.config();
    (config.url, config.dir) = (server.url(), dir.path().join("editor"));
    let client = blocking::Client::new(config).unwrap().with_clock(site.clock.clone());
    assert_eq!(client.update().unwrap().code(), "installed");
    assert_eq!(client.update().unwrap().code(), "up_to_date");
    assert!(std::fs::read(dir.path().join("editor/editor")).unwrap() == site.newest());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(async { client.update() }).unwrap_err();
    assert_eq!(error.code(), "blocking_in_async");
    // Dropping it there is no panic either.
    runtime.block_on(async { drop(client) });
}

#[tokio::test]
async fn an_https_address_is_spoken_to_in_tls_and_in_nothing_else() {
    use std::io::Read as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new();
    let mut config = site.config();
    config.url = format!("https://{}/repository", listener.local_addr().unwrap()).parse().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut first = [0];
        stream.read_exact(&mut first).unwrap();
        first[0]
    });
    let client = Client::new(config).unwrap().with_storage(site.disk.clone()).with_clock(site.clock.clone());
    let error = client.update().await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("unreachable", smidgen_client::Kind::Retry), "{error}");
    // A handshake record: nothing was sent in the clear.
    assert_eq!(server.join().unwrap(), 0x16);
}
