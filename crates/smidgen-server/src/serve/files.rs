//! A repository's files as HTTP resources: which bytes of which form are sent, with which headers.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderName, LAST_MODIFIED, RANGE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{AppendHeaders, IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, GetResultPayload, ObjectStore, ObjectStoreExt as _};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::address::{self, Kind};
use super::conditions::{self, EntityTag, Validators, Verdict};
use super::encoding;
use super::failure::Failure;
use super::range::{self, Extent};
use super::shelf::Shelf;

/// What a name that holds a version or a digest allows caches to do.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// `timestamp.json` may be kept, but is asked for anew before each use: that is what makes an idle poll a 304.
const REVALIDATE: &str = "public, no-cache, max-age=0";
/// How much of a file is read at a time, and so held in memory per download.
pub(super) const CHUNK_SIZE: usize = 64 << 10;

/// The files below a store, read only.
#[derive(Debug)]
pub(super) struct Files {
    objects: Arc<dyn ObjectStore>,
    shelf: Shelf,
}

/// One form of a file, as it would be sent whole.
struct Form {
    size: u64,
    validators: Validators,
    content_type: &'static str,
    gzipped: bool,
    /// Whether another `Accept-Encoding` could get another form.
    negotiated: bool,
}

/// What is sent of a form.
enum Answer {
    NotModified,
    Failed,
    Unsatisfiable,
    Whole,
    Part(Range<u64>),
}

/// Answers a request for a file of the repository.
pub(super) async fn respond(
    State(files): State<Arc<Files>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if method != Method::GET && method != Method::HEAD {
        return Err(Failure::Method);
    }
    let address = address::locate(uri.path()).ok_or(Failure::Missing)?;
    match address.kind {
        Kind::Timestamp => files.metadata(&address.path, false, &method, &headers).await,
        Kind::Metadata => files.metadata(&address.path, true, &method, &headers).await,
        Kind::Content { digest } => files.content(&address.path, digest, &method, &headers).await,
    }
}

impl Files {
    pub(super) fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, shelf: Shelf::default() }
    }

    /// Whether the store can be read and holds a repository.
    pub(super) async fn is_healthy(&self) -> bool {
        self.shelf.read(&*self.objects, &Path::from("metadata/1.root.json")).await.is_ok()
    }

    /// Metadata: small, sent from memory, under gzip to whoever takes it.
    ///
    /// A range is always one of the plain form, which alone has a strong tag.
    async fn metadata(
        &self,
        path: &Path,
        immutable: bool,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, Failure> {
        let document = self.shelf.read(&*self.objects, path).await?;
        let ranged = method == Method::GET && headers.contains_key(RANGE);
        let packed = match encoding::accepts_gzip(headers) && !ranged {
            true => document.packed().await,
            false => None,
        };
        let gzipped = packed.is_some();
        let tag = if gzipped { document.tag.weakened() } else { document.tag.clone() };
        let bytes = packed.unwrap_or_else(|| document.plain.clone());
        let form = Form {
            size: bytes.len() as u64,
            validators: Validators { tag, modified: document.modified, immutable },
            content_type: "application/json",
            gzipped,
            negotiated: true,
        };
        let answer = form.answer(method, headers);
        let body = match &answer {
            Answer::Whole => Body::from(bytes),
            Answer::Part(part) => Body::from(slice(&bytes, part)),
            Answer::NotModified | Answer::Failed | Answer::Unsatisfiable => unsized_empty(),
        };
        Ok(form.respond(&answer, if method == Method::HEAD { unsized_empty() } else { body }))
    }

    /// Blobs and raw targets: large, compressed already, streamed from the store. The name is the tag.
    async fn content(
        &self,
        path: &Path,
        digest: String,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<Response, Failure> {
        let meta = self.objects.head(path).await?;
        let form = Form {
            size: meta.size,
            validators: Validators {
                tag: EntityTag::strong(digest),
                modified: meta.last_modified.into(),
                immutable: true,
            },
            content_type: "application/octet-stream",
            gzipped: false,
            negotiated: false,
        };
        let answer = form.answer(method, headers);
        let body = match &answer {
            _ if method == Method::HEAD => unsized_empty(),
            Answer::Whole => self.stream(path, None, form.size).await?,
            Answer::Part(part) => self.stream(path, Some(part.clone()), form.size).await?,
            Answer::NotModified | Answer::Failed | Answer::Unsatisfiable => unsized_empty(),
        };
        Ok(form.respond(&answer, body))
    }

    /// A body that reads the file, or a part of it, as the client takes it. A file that turns out shorter than
    /// promised ends the connection, so that nobody takes it for whole.
    async fn stream(&self, path: &Path, part: Option<Range<u64>>, size: u64) -> Result<Body, Failure> {
        let options = GetOptions::new().with_range(part.map(GetRange::Bounded));
        let found = self.objects.get_opts(path, options).await?;
        if found.meta.size != size {
            return Err(Failure::Changed { found: found.meta.size, expected: size });
        }
        let Range { start, end } = found.range;
        match found {
            // The store's own stream of a file goes in steps of 8 KiB, each a task of its own.
            GetResult { payload: GetResultPayload::File(file, _), .. } => {
                let mut file = tokio::fs::File::from_std(file);
                file.seek(std::io::SeekFrom::Start(start)).await?;
                let part = file.take(end.saturating_sub(start));
                Ok(Body::from_stream(ReaderStream::with_capacity(part, CHUNK_SIZE)))
            }
            found => Ok(Body::from_stream(found.into_stream())),
        }
    }
}

impl Form {
    /// Preconditions first, then the range, which only a GET can have (RFC 9110, sections 13.2.2 and 14.2).
    fn answer(&self, method: &Method, headers: &HeaderMap) -> Answer {
        match conditions::evaluate(headers, &self.validators) {
            Verdict::NotModified => return Answer::NotModified,
            Verdict::Failed => return Answer::Failed,
            Verdict::Proceed => {}
        }
        if method != Method::GET || !conditions::range_applies(headers, &self.validators) {
            return Answer::Whole;
        }
        match range::requested(headers, self.size) {
            Extent::Whole => Answer::Whole,
            Extent::Part(part) => Answer::Part(part),
            Extent::Unsatisfiable => Answer::Unsatisfiable,
        }
    }

    fn respond(&self, answer: &Answer, body: Body) -> Response {
        let (status, part_size) = match answer {
            Answer::NotModified => (StatusCode::NOT_MODIFIED, None),
            Answer::Failed => (StatusCode::PRECONDITION_FAILED, None),
            Answer::Unsatisfiable => (StatusCode::RANGE_NOT_SATISFIABLE, None),
            Answer::Whole => (StatusCode::OK, Some(self.size)),
            Answer::Part(part) => (StatusCode::PARTIAL_CONTENT, Some(part.end.saturating_sub(part.start))),
        };
        let mut fields: Vec<(HeaderName, String)> = Vec::with_capacity(10);
        let mut add = |name, value: &str| fields.push((name, value.to_owned()));
        if matches!(status, StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE) {
            add(CACHE_CONTROL, "no-store");
        } else {
            add(CACHE_CONTROL, if self.validators.immutable { IMMUTABLE } else { REVALIDATE });
            add(LAST_MODIFIED, &conditions::http_date(self.validators.modified.min(SystemTime::now())));
        }
        add(ETAG, &self.validators.tag.to_text());
        if self.negotiated {
            add(VARY, "accept-encoding");
        }
        if let Some(part_size) = part_size {
            add(CONTENT_LENGTH, &part_size.to_string());
            add(CONTENT_TYPE, self.content_type);
            add(X_CONTENT_TYPE_OPTIONS, "nosniff");
            add(ACCEPT_RANGES, "bytes");
            if self.gzipped {
                add(CONTENT_ENCODING, "gzip");
            }
        }
        match answer {
            Answer::Part(part) => {
                let last = part.end.saturating_sub(1);
                add(CONTENT_RANGE, &format!("bytes {}-{last}/{}", part.start, self.size));
            }
            Answer::Unsatisfiable => add(CONTENT_RANGE, &format!("bytes */{}", self.size)),
            Answer::NotModified | Answer::Failed | Answer::Whole => {}
        }
        (status, AppendHeaders(fields), body).into_response()
    }
}

/// A part that lies within `bytes`, which [`range::requested`] promises; what does not is cut off.
fn slice(bytes: &Bytes, part: &Range<u64>) -> Bytes {
    let bound = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(bound(part.start)..bound(part.end))
}

/// No bytes, and no claim about how many there would be: a length of 0 on a 304 or on the answer to a HEAD would
/// speak of the file, and be wrong.
fn unsized_empty() -> Body {
    Body::from_stream(stream::empty::<Result<Bytes, std::convert::Infallible>>())
}
