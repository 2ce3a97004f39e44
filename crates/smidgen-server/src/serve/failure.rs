//! Why a file could not be served, and what the client and the log are told.

use axum::http::StatusCode;
use axum::http::header::{ALLOW, CACHE_CONTROL, HeaderName};
use axum::response::{AppendHeaders, IntoResponse, Response};

/// No cache may keep an error: the next root version is probed for before it exists.
const NOT_KEPT: (HeaderName, &str) = (CACHE_CONTROL, "no-store");

/// A request that is answered without a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Nothing there that may be served; one answer for what is absent and for what is private.
    #[error("no such file")]
    Missing,
    /// Repositories are read only here.
    #[error("only GET and HEAD are served")]
    Method,
    /// A file larger than the server is ready to hold in memory.
    #[error(
        "metadata of {size} bytes, expected at most {limit}; the repository is damaged: run `smidgen verify`"
    )]
    TooLarge { size: u64, limit: u64 },
    /// A file named by its content had another size a moment later.
    #[error(
        "file of {found} bytes, a moment ago {expected}; something writes into the repository besides smidgen"
    )]
    Changed { found: u64, expected: u64 },
    /// The store cannot be read.
    #[error("failed to read the store: {0}; check that it is reachable and readable by this user")]
    Store(#[source] object_store::Error),
}

impl From<object_store::Error> for Failure {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Missing,
            error => Self::Store(error),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Store(object_store::Error::Generic { store: "folder", source: Box::new(error) })
    }
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::Missing => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } | Self::Changed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            // Clients and proxies may try again, or elsewhere.
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Failure {
    /// The client gets the status and its name; the reason may hold paths of this machine and goes to the log.
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(code = "serve_failed", status = status.as_u16(), error = %self, "failed to serve a file");
        }
        let text = format!("{status}\n");
        match self {
            Self::Method => (status, AppendHeaders([NOT_KEPT, (ALLOW, "GET, HEAD")]), text).into_response(),
            _ => (status, AppendHeaders([NOT_KEPT]), text).into_response(),
        }
    }
}
