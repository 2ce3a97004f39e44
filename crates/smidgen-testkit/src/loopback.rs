//! The same mirror behind a real socket, for what only real HTTP can show: headers, connections, bytes on the wire.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use smidgen_client::Url;

use crate::mirror::{Mirror, Reply, Wanted};

/// A small HTTP/1.1 server on 127.0.0.1. Its threads end with the test's process.
#[derive(Debug)]
pub struct Loopback {
    address: SocketAddr,
    served: Arc<Mutex<Vec<Served>>>,
}

/// One request as it came, and what went back.
#[derive(Debug, Clone)]
pub struct Served {
    /// The head of the request: request line and headers.
    pub request: String,
    /// Status of the answer.
    pub status: u16,
    /// Bytes of the answer's head.
    pub head_len: usize,
    /// Bytes of the answer's body.
    pub body_len: usize,
}

impl Loopback {
    /// Serves what a mirror has.
    #[must_use]
    pub fn serve(mirror: &Mirror) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let served = Arc::new(Mutex::new(Vec::new()));
        let (mirror, log) = (mirror.clone(), Arc::clone(&served));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (mirror, log) = (mirror.clone(), Arc::clone(&log));
                // A client may hang up whenever it likes.
                thread::spawn(move || drop(converse(&stream, &mirror, &log)));
            }
        });
        Self { address, served }
    }

    /// The repository's address.
    #[must_use]
    pub fn url(&self) -> Url {
        format!("http://{}/repository/", self.address).parse().expect("an address")
    }

    /// What was asked since it was last looked at.
    pub fn take_log(&self) -> Vec<Served> {
        std::mem::take(&mut *self.served.lock().expect("no panic in the server"))
    }
}

fn converse(stream: &TcpStream, mirror: &Mirror, log: &Mutex<Vec<Served>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            if reader.read_line(&mut request)? == 0 {
                return Ok(());
            }
        }
        let header = |name: &str| {
            request
                .lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        };
        let path =
            request.split(' ').nth(1).and_then(|path| path.strip_prefix("/repository/")).unwrap_or_default();
        let from =
            header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let reply = mirror.reply(&Wanted {
            path,
            if_none_match: header("if-none-match"),
            from,
            if_range: header("if-range"),
        });
        let head = head_of(&reply);
        log.lock().expect("no panic in the server").push(Served {
            status: reply.status,
            head_len: head.len(),
            body_len: reply.body.len(),
            request,
        });
        let mut stream = stream;
        stream.write_all(&[head.as_bytes(), &reply.body].concat())?;
    }
}

fn head_of(reply: &Reply) -> String {
    let mut head = format!("HTTP/1.1 {} Status\r\n", reply.status);
    if let Some(etag) = &reply.etag {
        head += &format!("ETag: {etag}\r\n");
    }
    if let Some(range) = reply.range {
        let size = range.size.expect("a size");
        head += &format!("Content-Range: bytes {}-{}/{size}\r\n", range.start, size - 1);
    }
    if reply.status != 304 {
        head += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    head + "\r\n"
}
