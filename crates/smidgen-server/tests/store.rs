//! The store keeps the same promises over a folder and over a bucket.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use object_store::memory::InMemory;
use smidgen_server::store::{LOCK_FILE, Seen, Store, StoreError};

fn folder() -> (tempfile::TempDir, Store) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::folder(home.path()).unwrap();
    (home, store)
}

fn stores() -> (tempfile::TempDir, [Store; 2]) {
    let (home, folder) = folder();
    (home, [folder, Store::over(Arc::new(InMemory::new()), "memory")])
}

async fn seen(store: &Store, key: &str) -> Seen {
    store.see_if_there(key, 1000).await.unwrap().unwrap()
}

#[tokio::test]
async fn lists_sorted_and_deletes_what_is_not_there() {
    let (_home, stores) = stores();
    for store in stores {
        assert_eq!(store.list("blobs").await.unwrap(), []);
        for key in ["blobs/b", "blobs/a/2", "blobs/a/1", "metadata/x+y.json", "blobs/a-"] {
            store.put(key, Bytes::from_static(b"12345")).await.unwrap();
        }
        let keys: Vec<_> = store.list("blobs").await.unwrap().into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys, ["blobs/a-", "blobs/a/1", "blobs/a/2", "blobs/b"]);
        assert_eq!(store.entry("metadata/x+y.json").await.unwrap().unwrap().size, 5);
        for _ in 0..2 {
            store.delete("blobs/a/1").await.unwrap();
        }
        assert_eq!(store.entry("blobs/a/1").await.unwrap(), None);
    }
}

#[tokio::test]
async fn never_overwrites_what_must_be_new() {
    let (_home, stores) = stores();
    for store in stores {
        store.put_new("metadata/1.root.json", Bytes::from_static(b"first")).await.unwrap();
        let error = store.put_new("metadata/1.root.json", Bytes::from_static(b"second")).await.unwrap_err();
        assert_eq!(error.code(), "file_exists");
        assert_eq!(store.read("metadata/1.root.json", 10).await.unwrap(), "first");
    }
}

#[tokio::test]
async fn replaces_only_what_was_seen() {
    let (_home, stores) = stores();
    for store in stores {
        let lock = store.lock(|| ()).await.unwrap();
        let put = |text: &'static str| Bytes::from_static(text.as_bytes());
        store.replace(&lock, "timestamp", put("one"), None).await.unwrap();
        let one = seen(&store, "timestamp").await;
        assert_eq!(
            store.replace(&lock, "timestamp", put("x"), None).await.unwrap_err().code(),
            "changed_meanwhile"
        );
        store.replace(&lock, "timestamp", put("two"), Some(&one)).await.unwrap();
        let error = store.replace(&lock, "timestamp", put("x"), Some(&one)).await.unwrap_err();
        assert_eq!(error.code(), "changed_meanwhile");
        let two = seen(&store, "timestamp").await;
        store.put("timestamp", put("a longer one")).await.unwrap();
        let error = store.replace(&lock, "timestamp", put("x"), Some(&two)).await.unwrap_err();
        assert_eq!(error.code(), "changed_meanwhile");
        store.delete("timestamp").await.unwrap();
        store.replace(&lock, "timestamp", put("x"), Some(&two)).await.unwrap_err();
        assert_eq!(store.list("").await.unwrap().iter().filter(|entry| entry.key != LOCK_FILE).count(), 0);
    }
}

#[tokio::test]
async fn replacing_moves_the_modification_second_forward() {
    let (home, store) = folder();
    let lock = store.lock(|| ()).await.unwrap();
    store.replace(&lock, "timestamp", Bytes::from_static(b"0"), None).await.unwrap();
    let path = home.path().join("timestamp");
    // As if the clock of the machine that wrote it had been ahead.
    let ahead = UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(ahead).unwrap();
    for round in 1..4 {
        let before = seen(&store, "timestamp").await;
        store.replace(&lock, "timestamp", Bytes::from(round.to_string()), Some(&before)).await.unwrap();
        let modified = path.metadata().unwrap().modified().unwrap();
        assert_eq!(modified, ahead + Duration::from_secs(round));
    }
}

#[tokio::test]
async fn refuses_files_above_the_limit_before_reading_them() {
    let (_home, stores) = stores();
    for store in stores {
        store.put("blob", Bytes::from(vec![7; 100])).await.unwrap();
        assert!(matches!(
            store.read("blob", 99).await.unwrap_err(),
            StoreError::TooLong { size: 100, limit: 99, .. }
        ));
        assert_eq!(store.read("blob", 100).await.unwrap().len(), 100);
        assert_eq!(store.consume("blob", 99, |_| ()).await.unwrap_err().code(), "length_exceeded");
        let copied = store.consume("blob", 100, |reader| std::io::copy(reader, &mut std::io::sink())).await;
        assert_eq!(copied.unwrap().unwrap(), 100);
    }
}

#[tokio::test]
async fn the_lock_keeps_others_out_until_it_is_dropped() {
    let (_home, store) = folder();
    let first = store.lock(|| panic!("nobody else has it")).await.unwrap();
    assert!(first.is_held());
    let (tell, told) = tokio::sync::oneshot::channel();
    let other = store.clone();
    let second = tokio::spawn(async move { other.lock(|| tell.send(()).unwrap()).await });
    told.await.unwrap();
    assert!(!second.is_finished());
    drop(first);
    assert!(second.await.unwrap().unwrap().is_held());
}

#[test]
fn says_what_is_wrong_with_a_location() {
    let (home, _) = folder();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let missing = home.path().join("missing");
    for (location, part) in [
        ("", "empty"),
        (file.to_str().unwrap(), "not a folder"),
        (missing.to_str().unwrap(), "smidgen init"),
        ("s3://bucket/prefix", "only folders"),
        ("file:relative", "no such folder"),
    ] {
        let error = Store::open(location).unwrap_err();
        assert_eq!(error.code(), "bad_location", "{location}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let url = format!("file://{}", missing.display());
    Store::create(&url).unwrap();
    assert!(missing.is_dir());
}
