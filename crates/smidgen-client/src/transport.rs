//! How bytes come from a repository: one small trait, so that tests and embedding programs can stand in for HTTP.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use url::Url;

/// A boxed future, so that [`Transport`] can be used as a trait object.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Fetches files of a repository with GET.
///
/// An implementation answers what the server said, whatever the status; it bounds connecting, and the client bounds
/// everything after that (waiting, speed, length), so that no implementation can forget to.
pub trait Transport: Send + Sync {
    /// Sends one request and returns once the head of the answer is there.
    ///
    /// # Errors
    /// A [`TransportError`] if there is no answer; any status that a server sends is an answer.
    fn get<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, TransportError>>;
}

/// One GET request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Request {
    /// What to fetch.
    pub url: Url,
    /// Entity tag of the copy that we hold: the server may answer 304 without a body.
    pub if_none_match: Option<String>,
    /// Ask for the rest only.
    pub resume: Option<Resume>,
    /// Whether the server may compress the answer. Never for blobs: they are compressed and have byte ranges.
    pub compressible: bool,
}

impl Request {
    /// A plain request for an incompressible file.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self { url, if_none_match: None, resume: None, compressible: false }
    }
}

/// The rest of a file whose beginning we hold.
#[derive(Debug, Clone)]
pub struct Resume {
    /// Bytes that we hold; the first wanted one has this offset.
    pub offset: u64,
    /// Strong entity tag of what we hold (`If-Range`): the server sends the whole file if it is another one now.
    pub validator: Option<String>,
}

/// The head of an answer, and its body to be read.
#[non_exhaustive]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// `ETag` as sent.
    pub etag: Option<String>,
    /// Bytes in the body, where the server says so.
    pub len: Option<u64>,
    /// Which bytes a 206 carries.
    pub range: Option<ContentRange>,
    /// `Retry-After`, as a span from now.
    pub retry_after: Option<Duration>,
    /// What follows.
    pub body: Box<dyn Body>,
}

impl Response {
    /// An answer with a status and a body, and nothing said about either.
    #[must_use]
    pub fn new(status: u16, body: Box<dyn Body>) -> Self {
        Self { status, etag: None, len: None, range: None, retry_after: None, body }
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("etag", &self.etag)
            .field("len", &self.len)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// The parsed `Content-Range` of a 206.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// Offset of the body's first byte.
    pub start: u64,
    /// Size of the whole file, where the server says so.
    pub size: Option<u64>,
}

impl ContentRange {
    /// Reads `bytes START-END/SIZE` (RFC 9110, section 14.4); `None` for anything else.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (span, size) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (start, end) = span.split_once('-')?;
        let (start, end) = (start.trim().parse::<u64>().ok()?, end.trim().parse::<u64>().ok()?);
        let size = match size.trim() {
            "*" => None,
            size => Some(size.parse::<u64>().ok()?),
        };
        (start <= end && size.is_none_or(|size| end < size)).then_some(Self { start, size })
    }
}

/// The body of an answer, piece by piece.
pub trait Body: Send {
    /// The next piece, never empty; `None` at the end.
    ///
    /// # Errors
    /// A [`TransportError`] if the body ends before what its head promised.
    fn chunk(&mut self) -> Pending<'_, Result<Option<Bytes>, TransportError>>;
}

/// An address as it may be shown: without the user name and password that it may carry, which are nobody's business in
/// a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownUrl(Box<str>);

impl From<&Url> for ShownUrl {
    fn from(url: &Url) -> Self {
        let mut url = url.clone();
        // Refused only for addresses that cannot have any.
        let _ = (url.set_username(""), url.set_password(None));
        Self(String::from(url).into_boxed_str())
    }
}

impl std::fmt::Display for ShownUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there is no answer, or not the whole of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection, no name, no TLS session.
    #[error("{url} cannot be reached: {reason}; check the address and the network, then try again")]
    Unreachable {
        /// What was asked for.
        url: ShownUrl,
        /// What the network said.
        reason: String,
    },
    /// The connection broke in the middle of an answer.
    #[error("the answer of {url} broke off: {reason}; try again, the download goes on where it stopped")]
    Broken {
        /// What was asked for.
        url: ShownUrl,
        /// What the network said.
        reason: String,
    },
    /// A redirect that is not followed: too many, or from https to http.
    #[error("the redirect of {url} is not followed: {reason}; use the final address as the repository's")]
    Redirect {
        /// What was asked for.
        url: ShownUrl,
        /// Why not.
        reason: String,
    },
    /// HTTP cannot be set up on this machine.
    #[error("HTTP cannot be set up: {reason}")]
    Setup {
        /// What is missing.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::{ContentRange, ShownUrl};

    #[test]
    fn shows_addresses_without_passwords() {
        let url = "https://joe:secret@example.org/a".parse().unwrap();
        assert_eq!(ShownUrl::from(&url).to_string(), "https://example.org/a");
    }

    #[test]
    fn reads_content_ranges_and_refuses_what_contradicts_itself() {
        assert_eq!(ContentRange::parse("bytes 5-9/10"), Some(ContentRange { start: 5, size: Some(10) }));
        assert_eq!(ContentRange::parse("bytes 0-0/*"), Some(ContentRange { start: 0, size: None }));
        for bad in ["", "bytes", "bytes */10", "bytes 9-5/10", "bytes 5-10/10", "bytes 5-/10", "lines 5-9/10"]
        {
            assert_eq!(ContentRange::parse(bad), None, "{bad}");
        }
    }
}
