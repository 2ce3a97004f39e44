//! Signing by another program: for a hardware token, a key service, a machine that asks a person.
//!
//! The protocol is one run for one signature. The bytes to sign are on standard input; the program writes the signature
//! to standard output, as 64 bytes or as 128 hexadecimal digits with or without a line feed, and ends with 0. What it
//! writes to standard error is quoted when it fails. It is started without a shell, finds `SMIDGEN_KEY_ID` and
//! `SMIDGEN_KEY_NAME` in its environment, and keeps the terminal, so that it may ask for a PIN.
//!
//! Whatever it answers is verified against the public key before it is used; `seal` in `smidgen-metadata` does that for
//! every signer.

use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use smidgen_metadata::sign::{SignError, Signer};
use smidgen_metadata::{PublicKey, Signature};

use super::file;
use super::{KeyName, KeysError};

/// More than any form of a signature; what is longer is no signature.
const MAX_OUTPUT: u64 = 4096;
/// What is quoted of a program's complaint.
const MAX_COMPLAINT: usize = 500;
const DEFAULT_TIMEOUT_SECONDS: u64 = 30;
/// A person who has to fetch a token needs no longer than this.
const MAX_TIMEOUT_SECONDS: u64 = 3600;
/// How often it is looked whether a program has ended.
const GLANCE: Duration = Duration::from_millis(5);

/// `NAME.exec`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// The program and its arguments. A program with a `/` in it is found from the folder of keys, one without in `PATH`.
    command: Vec<String>,
    #[serde(default = "default_timeout")]
    timeout_seconds: u64,
}

const fn default_timeout() -> u64 {
    DEFAULT_TIMEOUT_SECONDS
}

/// A program that signs with one key.
#[derive(Clone, Debug)]
pub struct ExternalSigner {
    name: KeyName,
    public: PublicKey,
    program: PathBuf,
    arguments: Vec<String>,
    timeout: Duration,
}

impl ExternalSigner {
    /// Reads the description `NAME.exec`.
    pub(super) fn read(name: KeyName, public: PublicKey, path: &Path) -> Result<Self, KeysError> {
        let text = file::read(path).map_err(|source| file::fail("read", path, source))?;
        let bad = |reason: String| KeysError::BadExternal { path: path.display().to_string(), reason };
        let description: Description =
            toml::from_str(&text).map_err(|error| bad(error.message().to_owned()))?;
        let mut words = description.command.into_iter();
        let program = words
            .next()
            .filter(|program| !program.is_empty())
            .ok_or_else(|| bad("command is empty".into()))?;
        let seconds = description.timeout_seconds;
        if !(1..=MAX_TIMEOUT_SECONDS).contains(&seconds) {
            return Err(bad(format!("timeout_seconds is {seconds}, not 1 to {MAX_TIMEOUT_SECONDS}")));
        }
        let program = match path.parent() {
            Some(folder) if program.contains('/') => folder.join(program),
            _ => PathBuf::from(program),
        };
        let timeout = Duration::from_secs(seconds);
        Ok(Self { name, public, program, arguments: words.collect(), timeout })
    }

    fn start(&self) -> io::Result<Child> {
        Command::new(&self.program)
            .args(&self.arguments)
            .env("SMIDGEN_KEY_ID", self.public.id().as_str())
            .env("SMIDGEN_KEY_NAME", self.name.as_str())
            // The passphrase of other keys is none of its business.
            .env_remove("SMIDGEN_PASSPHRASE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }

    /// One run. The reason of a failure is the end of a sentence that begins with the program's name.
    fn ask(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let deadline = Instant::now() + self.timeout;
        let mut child = self.start().map_err(|error| format!("did not start: {error}"))?;
        let late = || format!("gave no signature within {} seconds and was ended", self.timeout.as_secs());
        // Each pipe has a thread of its own, so that none can fill up and stop the program. They end with the pipes; one that
        // outlives a killed program (because a child of it keeps a pipe) is left to itself.
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            end(&mut child);
            return Err("has no pipes".into());
        };
        let bytes = message.to_vec();
        // A program that does not read what it signs fails by its signature, not here.
        thread::spawn(move || _ = stdin.write_all(&bytes));
        let answer = collect(stdout);
        let complaint = collect(stderr);
        let answer = match answer.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                end(&mut child);
                return Err(late());
            }
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("its pipe broke")),
        };
        if let Ok(answer) = &answer
            && answer.len() as u64 > MAX_OUTPUT
        {
            end(&mut child);
            return Err(format!(
                "printed more than {MAX_OUTPUT} bytes, which is no signature, and was ended"
            ));
        }
        let status = wait(&mut child, deadline).map_err(|error| format!("was lost: {error}"))?;
        let Some(status) = status else {
            end(&mut child);
            return Err(late());
        };
        if !status.success() {
            let complaint = complaint.recv_timeout(Duration::from_secs(1)).ok().and_then(Result::ok);
            return Err(format!("ended with {status}{}", quote(&complaint.unwrap_or_default())));
        }
        answer.map_err(|error| format!("could not be heard: {error}"))
    }
}

impl Signer for ExternalSigner {
    fn public_key(&self) -> PublicKey {
        self.public.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        let refused = |reason: String| SignError::Refused {
            id: self.public.id(),
            reason: format!("{} {reason}", self.program.display()),
        };
        let answer = self.ask(message).map_err(refused)?;
        parse(&answer).ok_or_else(|| {
            refused(format!(
                "printed {} bytes; expected a signature of 64 bytes, or its 128 hexadecimal digits",
                answer.len()
            ))
        })
    }
}

/// Reads a pipe to its end on a thread; keeps the first bytes and lets the rest go by until there is too much.
fn collect(pipe: impl Read + Send + 'static) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.take(MAX_OUTPUT + 1).read_to_end(&mut bytes);
        // Nobody listens any more after a timeout.
        let _ = sender.send(read.map(|_| bytes));
    });
    receiver
}

fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(GLANCE);
    }
}

/// Ends a program and takes its exit status, so that no zombie stays. It may have ended by itself.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn parse(answer: &[u8]) -> Option<Signature> {
    if let Ok(bytes) = <[u8; 64]>::try_from(answer) {
        return Some(Signature::from_bytes(bytes));
    }
    let text = std::str::from_utf8(answer).ok()?.trim_end();
    let mut bytes = [0_u8; 64];
    if text.len() != 2 * bytes.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(Signature::from_bytes(bytes))
}

/// A complaint in one line, without what could drive a terminal.
fn quote(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let plain: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    let short: String = words.join(" ").chars().take(MAX_COMPLAINT).collect();
    if short.is_empty() { short } else { format!(": {short}") }
}
