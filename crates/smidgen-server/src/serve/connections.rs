//! Accepting connections, each with limits on time and number, and letting them finish at a shutdown.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

/// How long a connection may take over the head of a request, or idle between two.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// How long downloads under way may go on after a shutdown was asked for. Clients resume what is cut off.
const GRACE: Duration = Duration::from_secs(20);
/// Connections at once; further ones wait in the listener's queue.
const MAX_CONNECTIONS: usize = 8192;
/// Rest after a failed accept, which mostly means that the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Serves `router` over HTTP/1.1 on `listener` until `shutdown` resolves. Then it accepts nothing more, closes what is
/// idle, and gives what is under way 20 seconds.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let (stream, place) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => match accepted {
                Some(accepted) => accepted,
                None => continue,
            },
        };
        let service = TowerToHyperService::new(router.clone());
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    let open = graceful.count();
    tracing::info!(open, "shutting down");
    if timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!(code = "shutdown_cut_off", "downloads were cut off; clients resume them");
    }
}

/// The next connection, with its place among [`MAX_CONNECTIONS`]; nothing if this one failed.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Answers of a few packets would wait for acknowledgements otherwise.
            let _ = stream.set_nodelay(true);
            Some((stream, place))
        }
        Err(error) => {
            tracing::warn!(code = "accept_failed", %error, "failed to accept a connection");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::ObjectStoreExt as _;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;

    struct Server {
        stream: TcpStream,
        stop: oneshot::Sender<()>,
        task: JoinHandle<()>,
    }

    /// A server with a timestamp and a blob of 32 MiB (more than sockets buffer), and a connection to it.
    async fn server() -> Server {
        let objects = InMemory::new();
        objects.put(&Path::from("metadata/timestamp.json"), "{}".into()).await.unwrap();
        objects.put(&Path::from(blob()), vec![7; BLOB_SIZE].into()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        let task = tokio::spawn(serve(listener, super::super::over(Arc::new(objects)), shutdown));
        Server { stream: TcpStream::connect(address).await.unwrap(), stop, task }
    }

    const BLOB_SIZE: usize = 32 << 20;

    fn blob() -> String {
        format!("blobs/5e/{}", "5e".repeat(16))
    }

    impl Server {
        async fn ask(&mut self, text: &str) -> String {
            self.stream.write_all(text.as_bytes()).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.stream.read_u8().await.unwrap());
            }
            String::from_utf8(head).unwrap().to_ascii_lowercase()
        }
    }

    #[tokio::test]
    async fn a_poll_costs_one_small_answer_on_a_connection_that_stays_open() {
        let mut server = server().await;
        let first = server.ask("GET /metadata/timestamp.json HTTP/1.1\r\nhost: h\r\n\r\n").await;
        assert!(first.starts_with("http/1.1 200 ok"), "{first}");
        assert_eq!(server.stream.read_u16().await.unwrap().to_be_bytes(), *b"{}");
        let tag = first.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        for _ in 0..3 {
            let poll =
                format!("GET /metadata/timestamp.json HTTP/1.1\r\nhost: h\r\nif-none-match: {tag}\r\n\r\n");
            let again = server.ask(&poll).await;
            assert!(again.starts_with("http/1.1 304 not modified"), "{again}");
            assert!(!again.contains("content-length") && !again.contains("transfer-encoding"), "{again}");
            assert!(again.len() < 300, "{} bytes: {again}", again.len());
        }
        let head = server.ask("HEAD /metadata/timestamp.json HTTP/1.1\r\nhost: h\r\n\r\n").await;
        assert!(head.contains("content-length: 2\r\n"), "{head}");
        server.stop.send(()).unwrap();
        // The open connection is idle, so the shutdown does not wait for it.
        server.task.await.unwrap();
        assert_eq!(server.stream.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_download_under_way_outlives_the_shutdown() {
        let mut server = server().await;
        let head = server.ask(&format!("GET /{} HTTP/1.1\r\nhost: h\r\n\r\n", blob())).await;
        assert!(head.contains(&format!("content-length: {BLOB_SIZE}\r\n")), "{head}");
        let address = server.stream.peer_addr().unwrap();
        server.stop.send(()).unwrap();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        let mut rest = Vec::new();
        server.stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest.len(), BLOB_SIZE);
        server.task.await.unwrap();
    }

    #[tokio::test]
    async fn a_part_asked_for_over_the_wire_has_its_length() {
        let mut server = server().await;
        let ask = format!("GET /{} HTTP/1.1\r\nhost: h\r\nrange: bytes=-3\r\n\r\n", blob());
        let head = server.ask(&ask).await;
        assert!(head.starts_with("http/1.1 206 partial content"), "{head}");
        assert!(head.contains("content-length: 3\r\n"), "{head}");
        let mut part = [0; 3];
        server.stream.read_exact(&mut part).await.unwrap();
        assert_eq!(part, [7; 3]);
        server.stop.send(()).unwrap();
        server.task.await.unwrap();
    }
}
