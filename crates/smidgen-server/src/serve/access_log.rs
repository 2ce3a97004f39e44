//! The access log: one tracing event per request, when its last byte went out or its client went away.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// Logs each request as `smidgen::access` with method, path, status, body bytes sent, milliseconds, and whether the
/// answer was complete.
pub(super) async fn record(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status();
    let promised = match method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        true => 0,
        false => promised_len(&response),
    };
    let line = Line { start, method, path, status, promised, bytes: 0 };
    response.map(|body| Body::new(Metered { body, line }))
}

/// How long the body says that it is: bodies that are streamed say so in `Content-Length` only.
fn promised_len(response: &Response) -> u64 {
    let told = response.headers().get(CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
    told.or(response.body().size_hint().exact()).unwrap_or(0)
}

/// What is known of a request so far; told when dropped.
struct Line {
    start: Instant,
    method: Method,
    path: String,
    status: StatusCode,
    promised: u64,
    bytes: u64,
}

impl Drop for Line {
    fn drop(&mut self) {
        let ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            target: "smidgen::access",
            method = %self.method,
            path = %self.path,
            status = self.status.as_u16(),
            bytes = self.bytes,
            ms,
            complete = self.bytes >= self.promised,
        );
    }
}

/// A body that counts what is taken from it.
struct Metered {
    body: Body,
    line: Line,
}

impl HttpBody for Metered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let len = frame.data_ref().map_or(0, Bytes::len);
            self.line.bytes = self.line.bytes.saturating_add(len as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::to_bytes;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn logs_one_line_per_request_once_its_body_is_gone() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
        // Threads of other tests want these events too, or tracing may remember that nobody does.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        let _guard = tracing::subscriber::set_default(subscriber);
        let router = Router::new().route("/file", get(|| async { "0123456789" })).layer(from_fn(record));
        for (path, is_read) in [("/file", true), ("/file", false), ("/none", true)] {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.body().size_hint().exact(), Some(if path == "/file" { 10 } else { 0 }));
            if is_read {
                to_bytes(response.into_body(), 100).await.unwrap();
            }
        }
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: Vec<_> = lines
            .iter()
            .map(|line| {
                assert_eq!((&line["target"], &line["method"]), (&"smidgen::access".into(), &"GET".into()));
                assert!(line["ms"].is_u64());
                (
                    line["path"].as_str().unwrap(),
                    line["status"].as_u64(),
                    line["bytes"].as_u64(),
                    line["complete"].as_bool(),
                )
            })
            .collect();
        let expected = [
            ("/file", Some(200), Some(10), Some(true)),
            ("/file", Some(200), Some(0), Some(false)),
            ("/none", Some(404), Some(0), Some(true)),
        ];
        assert_eq!(told, expected);
    }
}
