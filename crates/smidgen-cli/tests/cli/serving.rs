//! `serve`: the address it prints, what it answers, how it stops.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::program::smidgen;
use crate::server::Server;

/// Enough of a repository to be served: `serve` verifies nothing, clients do.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("repo/metadata")).unwrap();
    for name in ["1.root.json", "timestamp.json"] {
        std::fs::write(dir.path().join("repo/metadata").join(name), "{}").unwrap();
    }
    dir
}

fn fetch(url: &str, path: &str) -> String {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn prints_the_bound_address_and_answers_there() {
    let dir = folder();
    let server = Server::start(dir.path(), "repo");
    let answer = fetch(&server.url, "/metadata/timestamp.json");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("{}"), "{answer}");
}

#[test]
fn stops_without_complaint_when_asked() {
    let dir = folder();
    for signal in ["TERM", "INT"] {
        assert_eq!(Server::start(dir.path(), "repo").stop(signal), Some(0), "{signal}");
    }
}

#[test]
fn refuses_a_folder_without_a_repository() {
    let dir = tempfile::tempdir().unwrap();
    let run = smidgen(dir.path(), "serve . --listen 127.0.0.1:0 --json").ends(1);
    assert_eq!(run.error_code(), "no_repository");
    let run = smidgen(dir.path(), "serve absent --listen 127.0.0.1:0 --json").ends(1);
    assert_eq!(run.error_code(), "bad_location");
}

#[test]
fn says_that_the_address_is_taken() {
    let dir = folder();
    let server = Server::start(dir.path(), "repo");
    let address = server.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let run = smidgen(dir.path(), &format!("serve repo --listen {address} --json")).ends(4);
    assert_eq!(run.error_code(), "address_in_use");
    let run = smidgen(dir.path(), "serve repo --listen nonsense --json").ends(2);
    assert_eq!(run.error_code(), "bad_address");
}
