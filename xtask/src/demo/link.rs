//! A link between one client and the server, over loopback: it counts every byte, and can be cut on purpose.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};

/// One request and its answer as they passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) path: String,
    /// The value of `Range`, when a download is resumed.
    pub(super) range: Option<String>,
    /// Nothing came back if it is absent.
    pub(super) status: Option<u16>,
    /// Bytes of HTTP from the client, head included.
    pub(super) sent: u64,
    /// Bytes of HTTP to the client, head included.
    pub(super) received: u64,
    /// Whether this answer was cut off on purpose.
    pub(super) cut: bool,
}

/// The link. Dropping it closes every connection and waits for its threads.
pub(super) struct Link {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    server: SocketAddr,
    closing: AtomicBool,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    exchanges: Vec<Exchange>,
    /// The answer to the next request for a blob ends half-way.
    cut_next: bool,
    streams: Vec<TcpStream>,
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    /// A link to the server at `server`, on a free port.
    pub(super) fn to(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("failed to listen on loopback")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { server, closing: AtomicBool::new(false), log: Mutex::default() });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        });
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// What the client is given as the repository's URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Cuts the connection once, half-way through the answer to the next request for a blob.
    pub(super) fn cut_next_blob(&self) {
        self.shared.log().cut_next = true;
    }

    /// What passed since the last call.
    pub(super) fn take_exchanges(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.shared.log().exchanges)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        for stream in self.shared.log().streams.drain(..) {
            // One that is closed already is fine.
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the acceptor, which then sees that it is to end.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut pumps = Vec::new();
    for client in listener.incoming() {
        if shared.closing.load(Ordering::Relaxed) {
            break;
        }
        // A connection that cannot be carried on is closed, which is what the client then sees.
        let Ok(client) = client else { continue };
        if let Ok(pair) = carry(client, shared) {
            pumps.extend(pair);
        }
    }
    for pump in pumps {
        let _ = pump.join();
    }
}

/// Starts the two threads that carry one connection.
fn carry(client: TcpStream, shared: &Arc<Shared>) -> Result<[JoinHandle<()>; 2]> {
    let server = TcpStream::connect(shared.server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    shared.log().streams.extend([client.try_clone()?, server.try_clone()?]);
    // Which exchange of the log the connection is at: HTTP/1.1 clients wait for an answer before they ask again.
    let current = Arc::new(Mutex::new(Current::default()));
    let up = {
        let (client, server) = (client.try_clone()?, server.try_clone()?);
        let (shared, current) = (Arc::clone(shared), Arc::clone(&current));
        thread::spawn(move || pump(&client, &server, |bytes| ask(&shared, &current, bytes)))
    };
    let shared = Arc::clone(shared);
    let down = thread::spawn(move || pump(&server, &client, |bytes| answer(&shared, &current, bytes)));
    Ok([up, down])
}

#[derive(Default)]
struct Current {
    /// The head of a request, as far as it has come.
    head: Vec<u8>,
    exchange: Option<usize>,
    cut: bool,
    /// Bytes of the answer that pass, once its head has said how many there are.
    cut_after: Option<u64>,
}

/// Carries bytes until one side closes or `watch` lets only a part of them through.
fn pump(mut from: &TcpStream, mut to: &TcpStream, mut watch: impl FnMut(&[u8]) -> usize) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(len) = from.read(&mut buffer) {
        if len == 0 {
            // The other direction may have something to carry yet.
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
        let bytes = buffer.get(..len).unwrap_or_default();
        let passes = watch(bytes);
        if to.write_all(bytes.get(..passes).unwrap_or(bytes)).is_err() || passes < len {
            break;
        }
    }
    for stream in [from, to] {
        // One that is closed already is fine.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// Notes bytes of a request; all of them pass.
fn ask(shared: &Shared, current: &Mutex<Current>, bytes: &[u8]) -> usize {
    let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
    current.head.extend_from_slice(bytes);
    if current.head.ends_with(b"\r\n\r\n") {
        let head = std::mem::take(&mut current.head);
        let exchange = parse(&String::from_utf8_lossy(&head));
        let mut log = shared.log();
        current.cut = exchange.path.starts_with("/blobs/") && std::mem::take(&mut log.cut_next);
        current.cut_after = None;
        current.exchange = Some(log.exchanges.len());
        log.exchanges.push(exchange);
    }
    bytes.len()
}

/// Notes bytes of an answer, and says how many of them pass.
fn answer(shared: &Shared, current: &Mutex<Current>, bytes: &[u8]) -> usize {
    let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
    let mut log = shared.log();
    // The log may have been taken while a connection idles; nothing of it is open then.
    let Some(exchange) = current.exchange.and_then(|index| log.exchanges.get_mut(index)) else {
        return bytes.len();
    };
    if exchange.status.is_none() {
        exchange.status = bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        if current.cut {
            current.cut_after = half(bytes);
        }
    }
    let len = bytes.len() as u64;
    let passes = current.cut_after.map_or(len, |limit| limit.saturating_sub(exchange.received).min(len));
    exchange.received = exchange.received.saturating_add(passes);
    exchange.cut |= passes < len;
    usize::try_from(passes).unwrap_or(bytes.len())
}

/// Length of the head and of half the body, of an answer that begins with these bytes.
fn half(bytes: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(bytes);
    let (head, _) = text.split_once("\r\n\r\n")?;
    let len: u64 = field(head, "content-length")?.parse().ok()?;
    Some(head.len() as u64 + 4 + len / 2)
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.into_iter().find_map(|(other, value)| other.eq_ignore_ascii_case(name).then(|| value.trim()))
}

fn parse(head: &str) -> Exchange {
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let range = field(head, "range").map(str::to_owned);
    Exchange { path, range, sent: head.len() as u64, ..Exchange::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each request on each connection with 1000 bytes, until it is dropped.
    fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        thread::spawn(move || {
            for stream in listener.incoming().take(2) {
                let mut stream = stream.expect("a connection");
                let mut request = [0; 1024];
                while stream.read(&mut request).is_ok_and(|len| len > 0) {
                    let answer =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}", "x".repeat(1000));
                    if stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            }
        });
        address
    }

    fn ask_for(link: &Link, head: &str) -> String {
        let mut stream = TcpStream::connect(link.address).expect("the link listens");
        stream.write_all(head.as_bytes()).expect("sent");
        stream.shutdown(Shutdown::Write).expect("open");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    #[test]
    fn counts_what_passes_and_cuts_one_blob_only() {
        let link = Link::to(server()).expect("a link");
        link.cut_next_blob();
        let head = "GET /metadata/timestamp.json HTTP/1.1\r\nhost: h\r\n\r\n";
        assert_eq!(ask_for(&link, head).len(), 1041);
        let head = "GET /blobs/ab/abcd HTTP/1.1\r\nhost: h\r\nRange: bytes=5-\r\n\r\n";
        assert_eq!(ask_for(&link, head).len(), 541);
        let [whole, cut] = link.take_exchanges().try_into().expect("two requests");
        assert_eq!((whole.status, whole.received, whole.cut), (Some(200), 1041, false));
        let path = "/blobs/ab/abcd".to_owned();
        let range = Some("bytes=5-".to_owned());
        let sent = head.len() as u64;
        assert_eq!(cut, Exchange { path, range, status: Some(200), sent, received: 541, cut: true });
    }
}
