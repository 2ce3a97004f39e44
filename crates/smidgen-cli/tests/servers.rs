//! The same repository behind `smidgen serve` and behind nginx: the same journey, the same bytes, the same outcome.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests may fail loudly"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const NGINX_CONF: &str = include_str!("../../../docs/nginx.conf");
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs `smidgen` with `--json` and returns its report; it has to succeed.
fn smidgen(arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smidgen"));
    let output = command.args(arguments).arg("--json").stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "smidgen {arguments:?} ended with {}: {text} {said}", output.status);
    serde_json::from_str(&text).unwrap()
}

/// A server that is killed and waited for when dropped.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn smidgen(repository: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smidgen"));
        command.arg("serve").arg(repository).args(["--listen", "127.0.0.1:0", "--json"]);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let report: Value = serde_json::from_str(&line).unwrap();
        server.address = report["address"].as_str().unwrap().parse().unwrap();
        server
    }

    /// nginx with the documented configuration, as one process in the foreground, with nothing outside of `scratch`.
    /// `None` if it is not installed.
    fn nginx(repository: &Path, scratch: &Path) -> Option<Self> {
        let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"].map(Path::new);
        let program = program.into_iter().find(|program| program.exists())?;
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let replace = |text: &str, old: &str, new: &str| {
            assert!(text.contains(old), "docs/nginx.conf is to hold {old:?}");
            text.replace(old, new)
        };
        let root = format!("root {};", repository.display());
        let configuration = replace(NGINX_CONF, "root /srv/repository;", &root);
        let configuration = replace(&configuration, "listen 127.0.0.1:8080;", &format!("listen {address};"));
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|what| format!("{what}_temp_path {}/{what};\n", scratch.display()))
            .collect();
        let configuration = replace(&configuration, "http {", &format!("http {{\n{temporary}"));
        let alone = format!("daemon off;\nmaster_process off;\npid {}/nginx.pid;\n", scratch.display());
        let path = scratch.join("nginx.conf");
        fs::write(&path, alone + &configuration).unwrap();
        let log = fs::File::create(scratch.join("nginx.log")).unwrap();
        let mut command = Command::new(program);
        command.arg("-p").arg(scratch).arg("-c").arg(&path).args(["-e", "stderr"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut server = Self { child, address };
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = server.child.try_wait().unwrap();
            let said = || fs::read_to_string(scratch.join("nginx.log")).unwrap();
            assert!(ended.is_none() && start.elapsed() < PATIENCE, "nginx does not listen: {}", said());
            sleep(Duration::from_millis(10));
        }
        Some(server)
    }

    /// Status, chosen header fields and body of one request.
    fn ask(&self, method: &str, path: &str, fields: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{fields}\r\n")
            .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        Answer { head, body: bytes[end + 4..].to_vec() }
    }
}

struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.into_iter().find_map(|(other, value)| other.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// Builds that share most of their bytes, as releases do, and hardly compress.
fn build(version: u32) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes: Vec<u8> = (0..60_000)
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .collect();
    for part in 0..version as usize * 2000 {
        let index = part * 11_003 % 480_000;
        bytes[index] = bytes[index + 1 - index % 2 * 2].wrapping_mul(31);
    }
    bytes
}

struct Repository {
    folder: TempDir,
}

impl Repository {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Self { folder };
        smidgen(&["init", &repository.at("repository"), "--keys", &repository.at("keys")]);
        repository
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn publish(&self, version: u32) {
        let (file, version) = (self.at("program"), (version, format!("{version}.0.0")));
        fs::write(&file, build(version.0)).unwrap();
        let (repository, keys) = (self.at("repository"), self.at("keys"));
        let mut arguments = vec!["publish", &repository, "--keys", &keys, "--product", "program"];
        arguments.extend(["--channel", "stable", "--platform", "x86_64-linux", "--severity", "routine"]);
        arguments.extend(["--version", &version.1, &file]);
        smidgen(&arguments);
    }

    fn update(&self, client: &str, server: &Server, more: &[&str]) -> Value {
        let (url, folder) = (format!("http://{}/", server.address), self.at(client));
        fs::create_dir_all(&folder).unwrap();
        let root = self.at("repository/metadata/1.root.json");
        let mut arguments =
            vec!["update", "--url", &url, "--root", &root, "--dir", &folder, "--product", "program"];
        arguments.extend(["--channel", "stable", "--platform", "x86_64-linux"]);
        arguments.extend(more);
        smidgen(&arguments)
    }

    fn installed(&self, client: &str) -> Vec<u8> {
        fs::read(PathBuf::from(self.at(client)).join("program")).unwrap()
    }
}

fn with_both(test: impl FnOnce(&Repository, &Server, &Server)) {
    let repository = Repository::new();
    repository.publish(1);
    let folder = PathBuf::from(repository.at("repository"));
    let scratch = tempfile::tempdir().unwrap();
    let Some(nginx) = Server::nginx(&folder, scratch.path()) else {
        let missing = "NOT TESTED: nginx is not installed (Debian: apt-get install nginx-light)";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        eprintln!("{missing}");
        return;
    };
    test(&repository, &Server::smidgen(&folder), &nginx);
}

#[test]
fn a_client_makes_the_same_journey_behind_either_server() {
    with_both(|repository, ours, nginx| {
        let both = |more: &[&str]| {
            let one = repository.update("ours", ours, more);
            let other = repository.update("nginx", nginx, more);
            assert_eq!(one, other, "the reports are to be the same");
            assert_eq!(repository.installed("ours"), repository.installed("nginx"));
            one
        };
        assert_eq!(both(&[])["outcome"], "installed");
        assert_eq!(repository.installed("ours"), build(1));

        let idle = both(&[]);
        assert_eq!((&idle["outcome"], &idle["requests"]), (&"up_to_date".into(), &1.into()), "{idle}");
        assert_eq!(idle["bytes_fetched"], 0, "{idle}");

        repository.publish(2);
        let update = both(&[]);
        assert_eq!(
            (&update["outcome"], &update["way"]["way"]),
            (&"updated".into(), &"patch".into()),
            "{update}"
        );
        assert_eq!(repository.installed("ours"), build(2));

        // The first half of the next patch is there already: both servers are asked for the rest of it only.
        repository.publish(3);
        let plan = both(&["--dry-run"]);
        let blob = &plan["ways"][0]["blob"];
        let (digest, size) = (blob["digest"].as_str().unwrap(), blob["size"].as_u64().unwrap());
        let bytes = fs::read(repository.at(&format!("repository/blobs/{}/{digest}", &digest[..2]))).unwrap();
        for client in ["ours", "nginx"] {
            let part = repository.at(&format!("{client}/.smidgen/incoming/{digest}.part"));
            fs::write(part, &bytes[..bytes.len() / 2]).unwrap();
        }
        let resumed = both(&[]);
        assert_eq!(resumed["way"]["blob"]["here"], size / 2, "{resumed}");
        assert!(resumed["failed"].as_array().unwrap().is_empty(), "{resumed}");
        assert_eq!(repository.installed("ours"), build(3));
    });
}

#[test]
fn both_servers_answer_alike() {
    with_both(|repository, ours, nginx| {
        let blobs = fs::read_dir(repository.at("repository/blobs")).unwrap();
        let blob =
            blobs.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap()).next().unwrap().unwrap();
        let name = blob.file_name().into_string().unwrap();
        let blob = format!("/blobs/{}/{name}", &name[..2]);
        for path in [blob.as_str(), "/metadata/timestamp.json", "/metadata/1.root.json"] {
            let whole = ours.ask("GET", path, "");
            let size = whole.body.len();
            let table = [
                ("GET", String::new()),
                ("HEAD", String::new()),
                ("GET", "accept-encoding: identity\r\n".to_owned()),
                ("GET", "range: bytes=0-9\r\n".to_owned()),
                ("GET", format!("range: bytes={}-\r\n", size / 2)),
                ("GET", "range: bytes=-7\r\n".to_owned()),
                ("GET", format!("range: bytes=0-{}\r\n", size * 2)),
                ("GET", format!("range: bytes={size}-\r\n")),
                ("GET", "range: bytes=0-9\r\nif-range: \"other\"\r\n".to_owned()),
                ("GET", "if-none-match: \"other\"\r\n".to_owned()),
                ("GET", "if-none-match: *\r\n".to_owned()),
                ("GET", "if-match: \"other\"\r\n".to_owned()),
                ("GET", "if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned()),
            ];
            for (method, fields) in table {
                let (one, other) = (ours.ask(method, path, &fields), nginx.ask(method, path, &fields));
                let what = format!("{method} {path} {fields:?}\n{}\n{}", one.head, other.head);
                assert_eq!(one.status(), other.status(), "{what}");
                assert_eq!(one.field("content-range"), other.field("content-range"), "{what}");
                if one.status() < 400 {
                    assert_eq!(one.body, other.body, "{what}");
                    assert_eq!(one.field("content-type"), other.field("content-type"), "{what}");
                    assert_eq!(one.field("cache-control"), other.field("cache-control"), "{what}");
                    if one.status() != 304 {
                        assert_eq!(one.field("content-length"), other.field("content-length"), "{what}");
                    }
                }
            }
            for server in [ours, nginx] {
                let tag = server.ask("GET", path, "").field("etag").unwrap().to_owned();
                assert_eq!(
                    server.ask("GET", path, &format!("if-none-match: {tag}\r\n")).status(),
                    304,
                    "{path}"
                );
                let part = server.ask("GET", path, &format!("range: bytes=5-\r\nif-range: {tag}\r\n"));
                assert_eq!((part.status(), part.body.as_slice()), (206, &whole.body[5..]), "{path}");
            }
        }
    });
}

#[test]
fn neither_server_gives_away_what_is_no_part_of_the_repository() {
    with_both(|repository, ours, nginx| {
        fs::write(repository.at("repository/.hidden"), "private").unwrap();
        fs::write(repository.at("repository/notes.txt"), "private").unwrap();
        fs::write(repository.at("secret"), "private").unwrap();
        let table =
            ["/", "/.hidden", "/notes.txt", "/metadata/", "/blobs/", "/..%2fsecret", "/metadata/2.root.json"];
        for path in table {
            for server in [ours, nginx] {
                let answer = server.ask("GET", path, "");
                // nginx refuses to list folders with 403, and some spellings with 400.
                assert!(matches!(answer.status(), 400 | 403 | 404), "{path}: {}", answer.head);
                assert!(!answer.body.windows(7).any(|part| part == b"private"), "{path}");
            }
        }
    });
}
