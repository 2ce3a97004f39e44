//! Every rule of serving, against the router, over a folder and over a store that is no file system.

use std::io::Read;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use proptest::prelude::*;
use smidgen_delta::Digest;
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::over;

/// What came back, read to the end.
struct Received {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

async fn request(router: &Router, method: Method, path: &str, fields: &[(&'static str, &str)]) -> Received {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap();
    for (name, value) in fields {
        request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Received { status: parts.status, headers: parts.headers, body: to_bytes(body, usize::MAX).await.unwrap() }
}

async fn receive(router: &Router, path: &str, fields: &[(&'static str, &str)]) -> Received {
    request(router, Method::GET, path, fields).await
}

const TIMESTAMP: &str = "/metadata/timestamp.json";
const TARGETS: &str = "/metadata/7.targets.json";

/// A repository's worth of files: metadata that packs well, a blob of 1000 bytes, an empty one, a raw target.
struct Repository {
    objects: Arc<dyn ObjectStore>,
    router: Router,
    blob: Bytes,
    _folder: Option<TempDir>,
}

impl Repository {
    async fn over(objects: Arc<dyn ObjectStore>, folder: Option<TempDir>) -> Self {
        let router = over(Arc::clone(&objects));
        let blob: Bytes = (0..1000_u32).map(|index| (index % 251) as u8).collect();
        let repository = Self { objects, router, blob, _folder: folder };
        repository.put("/metadata/1.root.json", b"{}".to_vec()).await;
        repository.put(TIMESTAMP, b"{\"signed\":{\"version\":1}}".to_vec()).await;
        repository.put(TARGETS, b"{\"signed\":{\"targets\":{}}}".repeat(50)).await;
        repository.put(&blob_path(&repository.blob), repository.blob.to_vec()).await;
        repository.put(&blob_path(b""), Vec::new()).await;
        repository.put(&raw_path(), b"raw".to_vec()).await;
        repository
    }

    async fn in_memory() -> Self {
        Self::over(Arc::new(InMemory::new()), None).await
    }

    async fn in_folder() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let objects = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
        Self::over(Arc::new(objects), Some(folder)).await
    }

    async fn both() -> [Self; 2] {
        [Self::in_memory().await, Self::in_folder().await]
    }

    async fn put(&self, url_path: &str, bytes: Vec<u8>) {
        let path = Path::parse(url_path.trim_start_matches('/')).unwrap();
        self.objects.put(&path, PutPayload::from(bytes)).await.unwrap();
    }
}

fn blob_path(bytes: &[u8]) -> String {
    let digest = Digest::of(bytes).to_string();
    let digest = digest.get(..32).unwrap();
    format!("/blobs/{}/{digest}", digest.get(..2).unwrap())
}

fn raw_path() -> String {
    format!("/targets/web/stable/x86_64-linux/k3/1/{}.web", "5e".repeat(32))
}

#[tokio::test]
async fn serves_each_kind_of_file_with_its_type_tag_and_caching() {
    for repository in Repository::both().await {
        let blob = blob_path(&repository.blob);
        let table = [
            (TIMESTAMP, "application/json", "public, no-cache, max-age=0", Some("accept-encoding")),
            (TARGETS, "application/json", "public, max-age=31536000, immutable", Some("accept-encoding")),
            (blob.as_str(), "application/octet-stream", "public, max-age=31536000, immutable", None),
            (&raw_path(), "application/octet-stream", "public, max-age=31536000, immutable", None),
        ];
        for (path, content_type, caching, vary) in table {
            let received = receive(&repository.router, path, &[]).await;
            assert_eq!(received.status, StatusCode::OK, "{path}");
            assert_eq!(received.header("content-type"), Some(content_type), "{path}");
            assert_eq!(received.header("cache-control"), Some(caching), "{path}");
            assert_eq!(received.header("vary"), vary, "{path}");
            assert_eq!(received.header("accept-ranges"), Some("bytes"), "{path}");
            assert_eq!(received.header("x-content-type-options"), Some("nosniff"), "{path}");
            assert_eq!(
                received.header("content-length"),
                Some(received.body.len().to_string().as_str()),
                "{path}"
            );
            assert!(received.header("last-modified").is_some(), "{path}");
            let tag = received.header("etag").unwrap();
            let again = receive(&repository.router, path, &[("if-none-match", tag)]).await;
            assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
            assert_eq!(again.header("etag"), Some(tag), "{path}");
            assert_eq!(again.header("cache-control"), Some(caching), "{path}");
            assert_eq!(again.header("vary"), vary, "{path}");
            assert_eq!(again.header("content-length"), None, "{path}");
            assert_eq!(again.header("content-type"), None, "{path}");
        }
    }
}

#[tokio::test]
async fn tags_are_made_of_content_and_equal_over_every_copy() {
    let [one, other] = Repository::both().await;
    for path in [TIMESTAMP, TARGETS, &blob_path(&one.blob), &raw_path()] {
        let tag = |received: Received| received.header("etag").unwrap().to_owned();
        assert_eq!(tag(receive(&one.router, path, &[]).await), tag(receive(&other.router, path, &[]).await));
    }
    let received = receive(&one.router, &blob_path(&one.blob), &[]).await;
    let name = Digest::of(&one.blob).to_string();
    assert_eq!(received.header("etag"), Some(format!("\"{}\"", &name[..32]).as_str()));
}

#[tokio::test]
async fn a_replaced_timestamp_is_served_at_once() {
    for repository in Repository::both().await {
        let old = receive(&repository.router, TIMESTAMP, &[]).await;
        repository.put(TIMESTAMP, b"{\"signed\":{\"version\":2}}".to_vec()).await;
        let fields = [("if-none-match", old.header("etag").unwrap())];
        let new = receive(&repository.router, TIMESTAMP, &fields).await;
        assert_eq!((new.status, new.body.as_ref()), (StatusCode::OK, &b"{\"signed\":{\"version\":2}}"[..]));
        assert_ne!(new.header("etag"), old.header("etag"));
    }
}

#[tokio::test]
async fn a_date_is_as_good_as_a_tag_where_no_tag_is_sent() {
    let repository = Repository::in_folder().await;
    let whole = receive(&repository.router, TARGETS, &[]).await;
    let date = whole.header("last-modified").unwrap();
    let again = receive(&repository.router, TARGETS, &[("if-modified-since", date)]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    let fields = [("if-modified-since", date), ("if-none-match", "\"other\"")];
    assert_eq!(receive(&repository.router, TARGETS, &fields).await.status, StatusCode::OK);
}

#[tokio::test]
async fn if_match_of_another_version_is_412_without_a_body() {
    let repository = Repository::in_memory().await;
    let received = receive(&repository.router, TARGETS, &[("if-match", "\"other\"")]).await;
    assert_eq!((received.status, received.body.len()), (StatusCode::PRECONDITION_FAILED, 0));
    assert_eq!(received.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn metadata_goes_under_gzip_with_a_weak_tag_and_still_answers_304() {
    for repository in Repository::both().await {
        let plain = receive(&repository.router, TARGETS, &[]).await;
        let packed = receive(&repository.router, TARGETS, &[("accept-encoding", "gzip, br")]).await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"));
        assert_eq!(packed.header("vary"), Some("accept-encoding"));
        assert!(packed.body.len() < plain.body.len());
        assert_eq!(packed.header("content-length"), Some(packed.body.len().to_string().as_str()));
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed.body.as_ref()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain.body);

        let (strong, weak) = (plain.header("etag").unwrap(), packed.header("etag").unwrap());
        assert_eq!(weak, format!("W/{strong}"));
        for tag in [strong, weak] {
            for encoding in ["gzip", "identity"] {
                let fields = [("if-none-match", tag), ("accept-encoding", encoding)];
                let again = receive(&repository.router, TARGETS, &fields).await;
                assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{tag} {encoding}");
                assert_eq!(again.header("content-encoding"), None);
                let expected = if encoding == "gzip" { weak } else { strong };
                assert_eq!(again.header("etag"), Some(expected));
            }
        }
    }
}

#[tokio::test]
async fn a_range_of_metadata_is_one_of_the_plain_form() {
    let repository = Repository::in_memory().await;
    let plain = receive(&repository.router, TARGETS, &[]).await;
    let fields = [("accept-encoding", "gzip"), ("range", "bytes=10-19")];
    let part = receive(&repository.router, TARGETS, &fields).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.body, plain.body.slice(10..20));
    assert_eq!(part.header("content-encoding"), None);
    assert_eq!(part.header("etag"), plain.header("etag"));
    // Whoever holds the packed form cannot continue it: its tag is weak.
    let weak = format!("W/{}", plain.header("etag").unwrap());
    let fields = [("range", "bytes=10-19"), ("if-range", weak.as_str())];
    assert_eq!(receive(&repository.router, TARGETS, &fields).await.status, StatusCode::OK);
}

#[tokio::test]
async fn blobs_are_never_packed() {
    let repository = Repository::in_folder().await;
    let received =
        receive(&repository.router, &blob_path(&repository.blob), &[("accept-encoding", "gzip")]).await;
    assert_eq!(received.header("content-encoding"), None);
    assert_eq!(received.body, repository.blob);
}

#[tokio::test]
async fn serves_one_range_and_answers_several_with_the_whole() {
    for repository in Repository::both().await {
        let path = blob_path(&repository.blob);
        let table: [(&str, Option<std::ops::Range<usize>>); 10] = [
            ("bytes=0-0", Some(0..1)),
            ("bytes=100-199", Some(100..200)),
            ("bytes=990-", Some(990..1000)),
            ("bytes=-10", Some(990..1000)),
            ("bytes=-5000", Some(0..1000)),
            ("bytes=0-5000", Some(0..1000)),
            ("bytes=0-1,5-6", None),
            ("bytes=0-1,-1", None),
            ("bytes=9-1", None),
            ("lines=0-1", None),
        ];
        for (range, part) in table {
            let received = receive(&repository.router, &path, &[("range", range)]).await;
            let Some(part) = part else {
                assert_eq!((received.status, &received.body), (StatusCode::OK, &repository.blob), "{range}");
                assert_eq!(received.header("content-range"), None, "{range}");
                continue;
            };
            assert_eq!(received.status, StatusCode::PARTIAL_CONTENT, "{range}");
            assert_eq!(received.body, repository.blob.slice(part.clone()), "{range}");
            let content_range = format!("bytes {}-{}/1000", part.start, part.end - 1);
            assert_eq!(received.header("content-range"), Some(content_range.as_str()), "{range}");
            assert_eq!(received.header("content-length"), Some(part.len().to_string().as_str()), "{range}");
        }
    }
}

#[tokio::test]
async fn a_range_beyond_the_end_is_416_and_says_the_size() {
    for repository in Repository::both().await {
        for (path, size) in [(blob_path(&repository.blob), 1000), (blob_path(b""), 0)] {
            for range in [format!("bytes={size}-"), "bytes=5000-6000".to_owned(), "bytes=-0".to_owned()] {
                let received = receive(&repository.router, &path, &[("range", &range)]).await;
                assert_eq!(received.status, StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
                assert_eq!(
                    received.header("content-range"),
                    Some(format!("bytes */{size}").as_str()),
                    "{range}"
                );
                assert!(received.body.is_empty(), "{range}");
            }
        }
    }
}

#[tokio::test]
async fn an_empty_file_is_served_whole() {
    for repository in Repository::both().await {
        for fields in [&[][..], &[("range", "bytes=-5")]] {
            let received = receive(&repository.router, &blob_path(b""), fields).await;
            assert_eq!((received.status, received.header("content-length")), (StatusCode::OK, Some("0")));
        }
    }
}

#[tokio::test]
async fn if_range_gives_a_part_of_the_same_bytes_only() {
    let repository = Repository::in_folder().await;
    let path = blob_path(&repository.blob);
    let whole = receive(&repository.router, &path, &[]).await;
    let (tag, date) = (whole.header("etag").unwrap(), whole.header("last-modified").unwrap());
    let weak = format!("W/{tag}");
    let table = [
        (tag, StatusCode::PARTIAL_CONTENT),
        (date, StatusCode::PARTIAL_CONTENT),
        ("\"other\"", StatusCode::OK),
        (weak.as_str(), StatusCode::OK),
        ("Sun, 06 Nov 1994 08:49:37 GMT", StatusCode::OK),
        ("Fri, 31 Dec 9999 23:59:59 GMT", StatusCode::OK),
        ("nonsense", StatusCode::OK),
    ];
    for (if_range, status) in table {
        let fields = [("range", "bytes=500-"), ("if-range", if_range)];
        assert_eq!(receive(&repository.router, &path, &fields).await.status, status, "{if_range}");
    }
    // An unsatisfiable range of another version is no error: the whole file answers it.
    let fields = [("range", "bytes=5000-"), ("if-range", "\"other\"")];
    assert_eq!(receive(&repository.router, &path, &fields).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_precondition_outranks_a_range() {
    let repository = Repository::in_memory().await;
    let path = blob_path(&repository.blob);
    let fields = [("range", "bytes=0-9"), ("if-none-match", "*")];
    assert_eq!(receive(&repository.router, &path, &fields).await.status, StatusCode::NOT_MODIFIED);
    let fields = [("range", "bytes=5000-"), ("if-none-match", "*")];
    assert_eq!(receive(&repository.router, &path, &fields).await.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn head_is_get_without_the_body_and_knows_no_ranges() {
    for repository in Repository::both().await {
        for path in [TIMESTAMP, TARGETS, &blob_path(&repository.blob), &blob_path(b""), &raw_path()] {
            for encoding in ["gzip", "identity"] {
                let fields = [("accept-encoding", encoding)];
                let get = receive(&repository.router, path, &fields).await;
                let head = request(&repository.router, Method::HEAD, path, &fields).await;
                assert_eq!((head.status, &head.headers), (get.status, &get.headers), "{path}");
                assert!(head.body.is_empty(), "{path}");
            }
            let head = request(&repository.router, Method::HEAD, path, &[("range", "bytes=0-0")]).await;
            assert_eq!((head.status, head.header("content-range")), (StatusCode::OK, None), "{path}");
        }
        let head = request(&repository.router, Method::HEAD, TIMESTAMP, &[("if-none-match", "*")]).await;
        assert_eq!(head.status, StatusCode::NOT_MODIFIED);
    }
}

#[tokio::test]
async fn other_methods_are_405_and_change_nothing() {
    let repository = Repository::in_memory().await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE] {
        let received = request(&repository.router, method.clone(), TIMESTAMP, &[]).await;
        assert_eq!(received.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(received.header("allow"), Some("GET, HEAD"), "{method}");
    }
}

#[tokio::test]
async fn an_error_is_not_kept_by_caches() {
    let repository = Repository::in_memory().await;
    for path in ["/metadata/2.root.json", "/nothing"] {
        let received = receive(&repository.router, path, &[("if-none-match", "*")]).await;
        assert_eq!(received.status, StatusCode::NOT_FOUND);
        assert_eq!(received.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn nothing_but_the_repository_is_served_whatever_lies_beside_it() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("repository");
    std::fs::create_dir_all(folder.join("metadata")).unwrap();
    std::fs::create_dir_all(folder.join("blobs/ab")).unwrap();
    let beside =
        ["secret.pem", "repository/.smidgen.lock", "repository/notes.txt", "repository/metadata/targets.pem"];
    let leftovers = ["repository/metadata/timestamp.json.next", "repository/blobs/ab/scratch#1"];
    for name in beside.iter().chain(&leftovers) {
        std::fs::write(outer.path().join(name), "private").unwrap();
    }
    let router = over(Arc::new(LocalFileSystem::new_with_prefix(&folder).unwrap()));
    let table = [
        "/",
        "/.smidgen.lock",
        "/notes.txt",
        "/metadata",
        "/metadata/",
        "/metadata/targets.pem",
        "/metadata/timestamp.json.next",
        "/blobs",
        "/blobs/ab",
        "/blobs/ab/",
        "/blobs/ab/scratch%231",
        "/../secret.pem",
        "/metadata/../../secret.pem",
        "/metadata/%2e%2e/%2e%2e/secret.pem",
        "/metadata/..%2f..%2fsecret.pem",
        "/%2e%2e/secret.pem",
        "//secret.pem",
        "/metadata/%00",
    ];
    for path in table {
        let received = receive(&router, path, &[]).await;
        assert_eq!(received.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(received.body, "404 Not Found\n", "{path}");
    }
}

#[tokio::test]
async fn health_says_whether_there_is_a_repository() {
    let repository = Repository::in_folder().await;
    let healthy = receive(&repository.router, "/healthz", &[]).await;
    assert_eq!((healthy.status, healthy.body.as_ref()), (StatusCode::OK, &b"ok\n"[..]));
    let empty = over(Arc::new(InMemory::new()));
    let unhealthy = receive(&empty, "/healthz", &[]).await;
    assert_eq!(unhealthy.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(unhealthy.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_download_holds_one_step_in_memory_not_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let objects = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let blob = vec![7; 1 << 20];
    let path = blob_path(&blob);
    objects.put(&Path::parse(path.trim_start_matches('/')).unwrap(), blob.into()).await.unwrap();
    let response =
        over(Arc::new(objects)).oneshot(Request::get(&path).body(Body::empty()).unwrap()).await.unwrap();
    let mut steps = response.into_body().into_data_stream();
    let mut total = 0;
    while let Some(step) = futures_util::StreamExt::next(&mut steps).await {
        let len = step.unwrap().len();
        assert!(len <= super::files::CHUNK_SIZE);
        total += len;
    }
    assert_eq!(total, 1 << 20);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_part_is_that_part_of_the_whole(
        size in 0_usize..5000,
        range in prop_oneof![
            (0_usize..6000, 0_usize..6000).prop_map(|(first, last)| format!("bytes={first}-{last}")),
            (0_usize..6000).prop_map(|first| format!("bytes={first}-")),
            (0_usize..6000).prop_map(|count| format!("bytes=-{count}")),
        ],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let blob: Vec<u8> = (0..size).map(|index| (index * 31 % 256) as u8).collect();
            let objects = InMemory::new();
            let path = blob_path(&blob);
            objects.put(&Path::parse(path.trim_start_matches('/')).unwrap(), blob.clone().into()).await.unwrap();
            let received = receive(&over(Arc::new(objects)), &path, &[("range", &range)]).await;
            match received.status {
                StatusCode::OK => assert_eq!(received.body, blob),
                StatusCode::RANGE_NOT_SATISFIABLE => {
                    assert!(received.body.is_empty());
                    assert_eq!(received.header("content-range"), Some(format!("bytes */{size}").as_str()));
                }
                StatusCode::PARTIAL_CONTENT => {
                    let told = received.header("content-range").unwrap();
                    let (part, total) = told.strip_prefix("bytes ").unwrap().split_once('/').unwrap();
                    let (first, last) = part.split_once('-').unwrap();
                    let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                    assert_eq!(total, size.to_string());
                    assert_eq!(received.body, &blob[first..=last]);
                }
                status => panic!("{status}"),
            }
        });
    }
}
