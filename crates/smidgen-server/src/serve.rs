//! Serving a repository over HTTP: its files as any web server would, with tags and caching right by construction.
//!
//! A repository is static, and any web server can serve it; this one needs no configuration, and reads any [`Store`],
//! so that a bucket needs no public access. What it adds to a plain file server (`tower-http`'s `ServeDir` was judged
//! first): entity tags made of content instead of modification times, so that every copy of a repository gives the same
//! ones and a conditional poll is answered 304 whichever copy it meets; `If-Range`, without which resuming is a gamble;
//! caching rules per kind of file; stores that are not file systems; and a closed list of paths ([`router`]).

mod access_log;
mod address;
mod conditions;
mod connections;
mod encoding;
mod failure;
mod files;
mod range;
mod shelf;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::middleware::from_fn;
use axum::response::IntoResponse;
use axum::routing::get;
use object_store::ObjectStore;

pub use connections::serve;
use files::Files;

use crate::store::Store;

/// The routes over the repository in `store`:
///
/// | path | what |
/// |---|---|
/// | `/metadata/timestamp.json`, `/metadata/N.ROLE.json` | metadata, under gzip where the client takes it |
/// | `/blobs/HH/DIGEST`, `/targets/FOLDER../DIGEST.NAME` | full copies, patches, raw files |
/// | `/healthz` | 200 while the store holds a readable repository, else 503 |
///
/// Nothing else below the store can be named. GET and HEAD, preconditions, `If-Range` and single ranges follow
/// RFC 9110. Each request is logged at level `info` with the target `smidgen::access`.
pub fn router(store: &Store) -> Router {
    over(Arc::clone(store.objects()))
}

fn over(objects: Arc<dyn ObjectStore>) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .fallback(files::respond)
        .layer(from_fn(access_log::record))
        .with_state(Arc::new(Files::new(objects)))
}

async fn health(State(files): State<Arc<Files>>) -> impl IntoResponse {
    let (status, text) = match files.is_healthy().await {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "no readable repository\n"),
    };
    (status, [(CACHE_CONTROL, "no-store")], text)
}
