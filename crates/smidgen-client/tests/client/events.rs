//! What an operator sees: one event for each run, with a code that alerts can be built on.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, Once};

use smidgen_client::{Mode, Observer, Policy, Severity};
use smidgen_testkit::Fault;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};

use crate::site::{Site, installed};

/// Keeps level and code of every event, from debug up.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<(Level, String)>>>);

struct Code(Option<String>);

impl Visit for Code {
    fn record_debug(&mut self, _field: &Field, _value: &dyn Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "code" {
            self.0 = Some(value.to_owned());
        }
    }
}

impl Subscriber for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("smidgen") && *metadata.level() <= Level::DEBUG
    }
    fn event(&self, event: &tracing::Event<'_>) {
        let mut code = Code(None);
        event.record(&mut code);
        let code = code.0.unwrap_or_else(|| panic!("an event without a code: {event:?}"));
        self.0.lock().unwrap().push((*event.metadata().level(), code));
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A journal that nobody reads, for all threads. Without it an event whose place is reached first by a thread without a
/// journal can be cached as wanted by nobody, and is then missed by the thread that has one.
fn listen_everywhere() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| tracing::subscriber::set_global_default(Journal::default()).unwrap());
}

/// The events of one run.
async fn events_of(site: &Site) -> Vec<(Level, String)> {
    listen_everywhere();
    let journal = Journal::default();
    let guard = tracing::subscriber::set_default(journal.clone());
    let _ = site.update().await;
    drop(guard);
    journal.0.lock().unwrap().clone()
}

#[tokio::test]
async fn each_run_ends_in_one_event_with_its_code() {
    let mut site = Site::new();
    let only = |level, code: &str| vec![(level, code.to_owned())];
    assert_eq!(events_of(&site).await, only(Level::INFO, "installed"));
    assert_eq!(events_of(&site).await, only(Level::DEBUG, "up_to_date"));
    site.publish("1.1.0", Severity::Important);
    site.policy = Policy::Critical;
    assert_eq!(events_of(&site).await, only(Level::INFO, "below_policy"));
    (site.policy, site.mode) = (Policy::Important, Mode::Notify);
    assert_eq!(events_of(&site).await, only(Level::INFO, "update_available"));
    site.mode = Mode::Install;
    site.mirror.fail_path("metadata/timestamp.json", Fault::Status(500), 1);
    assert_eq!(events_of(&site).await, only(Level::WARN, "server_unavailable"));
    assert_eq!(events_of(&site).await, only(Level::INFO, "updated"));
}

#[tokio::test]
async fn a_plan_that_fails_is_an_event_of_its_own() {
    let site = Site::outdated().await;
    let patch = site.repository.files.iter().filter(|(path, _)| path.starts_with("blobs/"));
    let patch = patch.min_by_key(|(_, bytes)| bytes.len()).unwrap().0.clone();
    site.mirror.fail_path(&patch, Fault::BitFlip, 9);
    let events = events_of(&site).await;
    assert_eq!(events, [(Level::INFO, "blob_damaged".to_owned()), (Level::INFO, "updated".to_owned())]);
}

#[derive(Clone, Default)]
struct Watched(Arc<Mutex<Vec<String>>>);

impl Observer for Watched {
    fn event(&self, event: &smidgen_client::Event<'_>) {
        let name = format!("{event:?}");
        let name = name.split([' ', '{']).next().unwrap_or_default().to_owned();
        let mut seen = self.0.lock().unwrap();
        if seen.last() != Some(&name) {
            seen.push(name);
        }
    }
}

#[tokio::test]
async fn an_observer_sees_the_steps_in_their_order() {
    let site = Site::outdated().await;
    let watched = Watched::default();
    site.client().with_observer(watched.clone()).update().await.unwrap();
    let seen = watched.0.lock().unwrap().clone();
    assert_eq!(seen, ["Checking", "MetadataFetched", "Planned", "Fetching", "Staging", "Activated"]);
    assert!(site.disk.content(&installed()) == Some(site.newest()));
}

#[tokio::test]
async fn reports_read_well_as_json() {
    let mut site = Site::outdated().await;
    site.mode = Mode::Notify;
    let available = serde_json::to_value(site.update().await.unwrap()).unwrap();
    assert_eq!(available["outcome"], "update_available");
    assert_eq!(available["reason"], "newer");
    assert_eq!(available["severity"], "routine");
    assert_eq!(available["ways"][0]["way"], "patch");
    assert_eq!(available["ways"][1]["way"], "full");
    assert_eq!(available["installed"]["version"], "1.0.0");
    site.mode = Mode::Install;
    let updated = serde_json::to_value(site.update().await.unwrap()).unwrap();
    assert_eq!(updated["outcome"], "updated");
    assert_eq!(updated["way"]["way"], "patch");
    let saved = updated["bytes_full"].as_u64().unwrap() - updated["bytes_fetched"].as_u64().unwrap();
    assert_eq!(updated["bytes_saved"], saved);
    let status = serde_json::to_value(site.client().status().unwrap()).unwrap();
    assert_eq!(status["file"], "intact");
    assert_eq!(status["known"]["repository"], "test-1");
    assert_eq!(status["last_check"]["code"], "updated");
}
