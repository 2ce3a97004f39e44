//! HTTP over reqwest and rustls: one connection, resumed sessions, few headers, no global state.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderValue};
use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use url::Url;

use crate::transport::{Body, ContentRange, Pending, Request, Response, Transport, TransportError};

/// A content delivery network sends one redirect, a download page two.
const MAX_REDIRECTS: usize = 5;
/// One server, two names of it at most: no need to keep the default of 256 TLS sessions.
const KEPT_TLS_SESSIONS: usize = 4;

/// The transport that ships.
///
/// TLS is rustls with ring, configured here and not through a process-wide default, with the platform's certificate
/// store. Plain `http` is allowed: everything that counts is signed. Honours `http_proxy`, `https_proxy`, `no_proxy`.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    client: reqwest::Client,
}

impl HttpTransport {
    /// Sets HTTP up; connects to nobody yet.
    ///
    /// # Errors
    /// [`TransportError::Setup`] if TLS cannot be configured. A machine without trusted certificates is no error here:
    /// it can still use plain `http`, and an `https` address then fails when it is asked for.
    pub fn new(connect_timeout: Duration) -> Result<Self, TransportError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls_config()?)
            .connect_timeout(connect_timeout)
            .pool_max_idle_per_host(1)
            .referer(false)
            .redirect(reqwest::redirect::Policy::custom(follow))
            .build()
            .map_err(|error| TransportError::Setup { reason: reason(&error) })?;
        Ok(Self { client })
    }
}

fn tls_config() -> Result<ClientConfig, TransportError> {
    let setup = |error: &rustls::Error| TransportError::Setup { reason: error.to_string() };
    let provider = Arc::new(ring::default_provider());
    let builder = || {
        ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| setup(&error))
    };
    let mut config = match builder()?.with_platform_verifier() {
        Ok(builder) => builder.with_no_client_auth(),
        // No certificate store at all (a minimal container): trust nobody, which leaves plain http usable.
        Err(_) => builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth(),
    };
    config.resumption = Resumption::in_memory_sessions(KEPT_TLS_SESSIONS);
    Ok(config)
}

fn follow(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let downgrade = attempt.url().scheme() == "http"
        && attempt.previous().last().is_some_and(|previous| previous.scheme() == "https");
    if downgrade {
        attempt.error("it leads from https to http")
    } else if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("there are more than 5 in a row")
    } else {
        attempt.follow()
    }
}

impl Transport for HttpTransport {
    fn get<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, TransportError>> {
        Box::pin(async move {
            let response = self
                .client
                .get(request.url.clone())
                .headers(headers_of(request))
                .send()
                .await
                .map_err(|error| classify(error, &request.url))?;
            Ok(answer(response, request.url.clone()))
        })
    }
}

fn headers_of(request: &Request) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if !request.compressible {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    // A tag that is no header value came from a server that never sent it: then the whole file is asked for.
    let tag = |tag: &Option<String>| tag.as_deref().and_then(|tag| HeaderValue::from_str(tag).ok());
    if let Some(tag) = tag(&request.if_none_match) {
        headers.insert(header::IF_NONE_MATCH, tag);
    }
    if let Some(resume) = &request.resume {
        if let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", resume.offset)) {
            headers.insert(header::RANGE, range);
        }
        if let Some(tag) = tag(&resume.validator) {
            headers.insert(header::IF_RANGE, tag);
        }
    }
    headers
}

fn answer(response: reqwest::Response, url: Url) -> Response {
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let etag = text(header::ETAG).map(str::to_owned);
    let range = text(header::CONTENT_RANGE).and_then(ContentRange::parse);
    // Only the form in seconds: a date would have to be believed against a clock that may be wrong.
    let retry_after = text(header::RETRY_AFTER).and_then(|value| value.trim().parse().ok());
    let (status, len) = (response.status().as_u16(), response.content_length());
    Response {
        etag,
        len,
        range,
        retry_after: retry_after.map(Duration::from_secs),
        ..Response::new(status, Box::new(HttpBody { response, url }))
    }
}

struct HttpBody {
    response: reqwest::Response,
    url: Url,
}

impl Body for HttpBody {
    fn chunk(&mut self) -> Pending<'_, Result<Option<Bytes>, TransportError>> {
        Box::pin(async move {
            loop {
                match self.response.chunk().await {
                    Ok(Some(bytes)) if bytes.is_empty() => {}
                    Ok(bytes) => return Ok(bytes),
                    Err(error) => {
                        return Err(TransportError::Broken {
                            url: (&self.url).into(),
                            reason: reason(&error.without_url()),
                        });
                    }
                }
            }
        })
    }
}

fn classify(error: reqwest::Error, url: &Url) -> TransportError {
    let (redirect, error) = (error.is_redirect(), error.without_url());
    let (url, reason) = (url.into(), reason(&error));
    if redirect {
        TransportError::Redirect { url, reason }
    } else {
        TransportError::Unreachable { url, reason }
    }
}

/// The innermost cause: the outer ones say no more than "error sending request".
fn reason(error: &dyn StdError) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
