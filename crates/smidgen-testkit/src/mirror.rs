//! A web server in memory, as the client's transport: ETag, 304, Range, If-Range, a log, and faults on command.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use smidgen_client::transport::{Body, ContentRange, Pending, Request, Response, Transport, TransportError};
use smidgen_delta::Digest;
use url::Url;

use crate::repository::Repository;

/// Bytes in one piece of a body.
const PIECE: usize = 1000;

/// Serves a repository. Clones serve the same and share the log.
#[derive(Debug, Clone, Default)]
pub struct Mirror(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<String, Vec<u8>>,
    log: Vec<Asked>,
    faults: Vec<Planned>,
}

#[derive(Debug)]
struct Planned {
    when: When,
    fault: Fault,
    times: u32,
}

#[derive(Debug)]
enum When {
    Request(usize),
    Path(String),
}

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Path below the repository.
    pub path: String,
    /// Whether it had an entity tag to compare with.
    pub conditional: bool,
    /// First byte that was asked for, where it was for the rest.
    pub from: Option<u64>,
    /// The status of the answer.
    pub status: u16,
    /// Bytes of body that were meant to be sent.
    pub body: usize,
}

/// What goes wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nobody there.
    Unreachable,
    /// Another status, without a body.
    Status(u16),
    /// 503 with `Retry-After`.
    RetryAfter(Duration),
    /// The head never comes.
    NoHead,
    /// So many bytes, then the connection breaks.
    BreakAfter(usize),
    /// So many bytes, then a proper end.
    EndAfter(usize),
    /// So many bytes, then nothing for ever.
    StallAfter(usize),
    /// One byte every ten seconds.
    Drip,
    /// The whole file, whatever part was asked for.
    IgnoreRange,
    /// A 206 that starts one byte early.
    WrongRange,
    /// Bytes of the right length, and none of them right.
    OtherBody,
    /// The right bytes, and more of them than there may be; the head does not tell.
    TooLong,
    /// One bit is wrong in the middle.
    BitFlip,
}

/// A request, whatever carried it.
pub(crate) struct Wanted<'a> {
    pub(crate) path: &'a str,
    pub(crate) if_none_match: Option<&'a str>,
    pub(crate) from: Option<u64>,
    pub(crate) if_range: Option<&'a str>,
}

/// An answer, whatever carries it.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) range: Option<ContentRange>,
    pub(crate) body: Vec<u8>,
    pub(crate) fault: Option<Fault>,
}

impl Mirror {
    /// Serves a repository as it is now.
    #[must_use]
    pub fn of(repository: &Repository) -> Self {
        let mirror = Self::default();
        mirror.serve(repository);
        mirror
    }

    /// Serves another state of a repository, or another one.
    pub fn serve(&self, repository: &Repository) {
        self.inner().files = repository.files.clone();
    }

    /// Where it is, for a client's configuration.
    #[must_use]
    pub fn url(&self) -> Url {
        "http://mirror.test/repository".parse().expect("an address")
    }

    /// Lets the request with this number fail, counted from 0 since the log was last cleared.
    pub fn fail_request(&self, number: usize, fault: Fault) {
        self.inner().faults.push(Planned { when: When::Request(number), fault, times: 1 });
    }

    /// Lets requests for a path fail, so many times.
    pub fn fail_path(&self, path: &str, fault: Fault, times: u32) {
        self.inner().faults.push(Planned { when: When::Path(path.to_owned()), fault, times });
    }

    /// Heals everything.
    pub fn heal(&self) {
        self.inner().faults.clear();
    }

    /// What was asked since the log was last cleared; clears it.
    pub fn take_log(&self) -> Vec<Asked> {
        std::mem::take(&mut self.inner().log)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no panic in the mirror")
    }

    pub(crate) fn reply(&self, wanted: &Wanted<'_>) -> Reply {
        let mut inner = self.inner();
        let number = inner.log.len();
        let fault = inner.take_fault(number, wanted.path);
        let reply = match inner.files.get(wanted.path) {
            Some(file) => answer(file, wanted, fault.as_ref()),
            None => Reply { status: 404, etag: None, range: None, body: b"not here".to_vec(), fault },
        };
        inner.log.push(Asked {
            path: wanted.path.to_owned(),
            conditional: wanted.if_none_match.is_some(),
            from: wanted.from,
            status: reply.status,
            body: reply.body.len(),
        });
        reply
    }
}

impl Inner {
    fn take_fault(&mut self, number: usize, path: &str) -> Option<Fault> {
        let planned = self.faults.iter_mut().find(|planned| {
            planned.times > 0
                && match &planned.when {
                    When::Request(wanted) => *wanted == number,
                    When::Path(wanted) => wanted == path,
                }
        })?;
        planned.times -= 1;
        Some(planned.fault.clone())
    }
}

fn answer(file: &[u8], wanted: &Wanted<'_>, fault: Option<&Fault>) -> Reply {
    let etag = format!("\"{}\"", &Digest::of(file).to_string()[..16]);
    let plain = |status, body: &[u8]| Reply {
        status,
        etag: Some(etag.clone()),
        range: None,
        body: body.to_vec(),
        fault: fault.cloned(),
    };
    match fault {
        Some(Fault::Status(status)) => return plain(*status, b""),
        Some(Fault::RetryAfter(_)) => return plain(503, b""),
        Some(Fault::OtherBody) => return plain(200, &vec![0x55; file.len()]),
        Some(Fault::TooLong) => return plain(200, &[file, &[0x55; 100_000]].concat()),
        Some(Fault::BitFlip) => {
            let mut file = file.to_vec();
            let middle = file.len() / 2;
            file[middle] ^= 1;
            return plain(200, &file);
        }
        _ => {}
    }
    if wanted.if_none_match == Some(&etag) {
        return plain(304, b"");
    }
    let size = file.len() as u64;
    match wanted.from {
        Some(from) if fault != Some(&Fault::IgnoreRange) && wanted.if_range.is_none_or(|tag| tag == etag) => {
            let start = if fault == Some(&Fault::WrongRange) { from.saturating_sub(1) } else { from };
            match file.get(usize::try_from(start).expect("an offset")..) {
                Some(rest) if !rest.is_empty() => {
                    Reply { range: Some(ContentRange { start, size: Some(size) }), ..plain(206, rest) }
                }
                _ => plain(416, b""),
            }
        }
        _ => plain(200, file),
    }
}

impl Transport for Mirror {
    fn get<'a>(&'a self, request: &'a Request) -> Pending<'a, Result<Response, TransportError>> {
        Box::pin(async move {
            let path = request.url.path().strip_prefix("/repository/").expect("a path below the repository");
            let resume = request.resume.as_ref();
            let reply = self.reply(&Wanted {
                path,
                if_none_match: request.if_none_match.as_deref(),
                from: resume.map(|resume| resume.offset),
                if_range: resume.and_then(|resume| resume.validator.as_deref()),
            });
            match reply.fault {
                Some(Fault::Unreachable) => {
                    return Err(TransportError::Unreachable {
                        url: (&request.url).into(),
                        reason: "connection refused".to_owned(),
                    });
                }
                Some(Fault::NoHead) => std::future::pending::<()>().await,
                _ => {}
            }
            let announced = !matches!(reply.fault, Some(Fault::TooLong | Fault::EndAfter(_)));
            let len = announced.then_some(reply.body.len() as u64);
            let retry_after = match reply.fault {
                Some(Fault::RetryAfter(wait)) => Some(wait),
                _ => None,
            };
            let (status, etag, range) = (reply.status, reply.etag.clone(), reply.range);
            let mut response =
                Response::new(status, Box::new(MirrorBody { reply, sent: 0, url: request.url.clone() }));
            (response.etag, response.range, response.len, response.retry_after) =
                (etag, range, len, retry_after);
            Ok(response)
        })
    }
}

struct MirrorBody {
    reply: Reply,
    sent: usize,
    url: Url,
}

impl Body for MirrorBody {
    fn chunk(&mut self) -> Pending<'_, Result<Option<Bytes>, TransportError>> {
        Box::pin(async move {
            let (piece, end) = match self.reply.fault {
                Some(Fault::Drip) => (1, usize::MAX),
                Some(Fault::BreakAfter(end) | Fault::EndAfter(end) | Fault::StallAfter(end)) => (PIECE, end),
                _ => (PIECE, usize::MAX),
            };
            let stop = (self.sent + piece).min(end).min(self.reply.body.len());
            if self.reply.fault == Some(Fault::Drip) {
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
            if stop > self.sent {
                let bytes = Bytes::copy_from_slice(&self.reply.body[self.sent..stop]);
                self.sent = stop;
                return Ok(Some(bytes));
            }
            match self.reply.fault {
                Some(Fault::BreakAfter(_)) => Err(TransportError::Broken {
                    url: (&self.url).into(),
                    reason: "connection reset by peer".to_owned(),
                }),
                Some(Fault::StallAfter(_)) => std::future::pending().await,
                _ => Ok(None),
            }
        })
    }
}
