//! Third step: brings the blob of a plan here, over as many answers as it takes, and proves it before anybody reads it.

use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use url::Url;

use crate::blocking_work::off_loop;
use crate::client::Client;
use crate::error::{AnswerError, BlobError, Error, SetupError, StorageError};
use crate::intake::{self, Intake};
use crate::observer::Event;
use crate::part::Part;
use crate::plan::{Blob, Plan, Traffic, Way};
use crate::transport::{Request, Response, Resume, TransportError};

/// Written at a time: pieces from the network are a few kilobytes, and each hand-over to another thread costs.
const WRITE_LEN: u64 = 256 * 1024;

/// A plan whose blob is here and has the signed size and digest.
#[derive(Debug)]
pub struct Fetched {
    pub(crate) plan: Plan,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

impl Fetched {
    /// The plan that it belongs to.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Bytes of the blob that came over the network in this run.
    #[must_use]
    pub fn bytes_fetched(&self) -> u64 {
        self.bytes
    }
}

impl Client {
    /// Fetches what the plan's first way needs. A broken download goes on where it stopped, within
    /// [`Limits::attempts`](crate::Limits::attempts), and across runs.
    ///
    /// # Errors
    /// Whatever stopped it; what is here already stays, unless it is damaged. [`Plan::fall_back`] has the next plan.
    pub async fn fetch(&self, plan: &Plan) -> Result<Fetched, Error> {
        let way = plan.way();
        let (path, bytes) = match way {
            Way::Kept => (self.prove_kept(plan).await?, 0),
            Way::Patch { blob, .. } | Way::Full { blob } => self.download(plan, way, *blob).await?,
        };
        Ok(Fetched { plan: plan.clone(), path, bytes })
    }

    async fn prove_kept(&self, plan: &Plan) -> Result<PathBuf, Error> {
        let (folder, expected) = (self.folder.clone(), plan.digest());
        off_loop("the digest of a kept build", move || {
            let path = folder.layout.build(&expected);
            let found = folder.digest(&path)?;
            if found != expected {
                folder.remove(&path)?;
                return Err(BlobError::KeptDamaged { path, found }.into());
            }
            Ok(path)
        })
        .await
    }

    async fn download(&self, plan: &Plan, way: &Way, blob: Blob) -> Result<(PathBuf, u64), Error> {
        let folder = self.folder.held(plan.target.lock.clone());
        let (new_size, spare) = (plan.size(), self.config.limits.spare_space);
        let part = off_loop("opening a download", move || {
            let part = Part::open(&folder, &blob.digest, blob.size)?;
            let rest = blob.size.saturating_sub(part.len());
            folder.require_space(rest.saturating_add(new_size).saturating_add(spare))?;
            Ok(part)
        })
        .await?;
        let url = self.blob_url(&blob)?;
        let mut download = Download {
            client: self,
            way,
            traffic: &plan.target.traffic,
            blob,
            url,
            earlier: part.len() > 0,
            part: Some(part),
            validator: None,
            bytes: 0,
        };
        download.run().await?;
        let path = download.part()?.path().clone();
        Ok((path, download.bytes))
    }
}

/// One blob on its way.
struct Download<'a> {
    client: &'a Client,
    way: &'a Way,
    traffic: &'a Traffic,
    blob: Blob,
    url: Url,
    /// `None` only while a thread has it, or after that thread failed.
    part: Option<Part>,
    /// Whether an earlier run's bytes are in it.
    earlier: bool,
    /// Strong entity tag of the answer that the part began with.
    validator: Option<String>,
    /// Taken from the network.
    bytes: u64,
}

impl Download<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        let limits = &self.client.config.limits;
        let (mut attempts, mut fruitless) = (0_u32, 0_u32);
        loop {
            if self.part()?.len() >= self.blob.size {
                if self.is_proven().await? {
                    return Ok(());
                }
                continue;
            }
            let (before, error) = (
                self.bytes,
                match self.attempt().await {
                    Ok(()) => continue,
                    Err(error) => error,
                },
            );
            attempts = attempts.saturating_add(1);
            fruitless = if self.bytes > before { 0 } else { fruitless.saturating_add(1) };
            let Some(pause) = self.pause_after(&error, fruitless) else { return Err(error) };
            if attempts >= limits.attempts || fruitless >= limits.fruitless_attempts {
                return Err(error);
            }
            let done = self.part()?.len();
            tracing::debug!(code = error.code(), done, size = self.blob.size, "download broke off: {error}");
            self.client.observer.event(&Event::Resuming { done, size: self.blob.size, code: error.code() });
            tokio::time::sleep(pause).await;
        }
    }

    /// Compares the digest of a complete part. If it is wrong and an earlier run's bytes are in it, those may be to
    /// blame (a power cut): then it begins anew, once.
    async fn is_proven(&mut self) -> Result<bool, Error> {
        let found = self.part()?.digest();
        if found == self.blob.digest {
            return Ok(true);
        }
        if std::mem::take(&mut self.earlier) {
            self.restart().await?;
            return Ok(false);
        }
        self.discard().await?;
        Err(BlobError::Damaged { url: (&self.url).into(), found, expected: self.blob.digest }.into())
    }

    /// One request, and as much of its answer as comes.
    async fn attempt(&mut self) -> Result<(), Error> {
        let timeouts = &self.client.config.timeouts;
        let offset = self.part()?.len();
        let mut request = Request::new(self.url.clone());
        request.resume = (offset > 0).then(|| Resume { offset, validator: self.validator.clone() });
        let response = intake::send(&*self.client.transport, &request, timeouts).await?;
        match response.status {
            200 => {
                if offset > 0 {
                    // The server knows no ranges, or the file is another one now.
                    self.restart().await?;
                }
                self.validator = response.etag.clone().filter(|etag| !etag.starts_with("W/"));
            }
            206 if self.continues(&response, offset) => {}
            // Neither can be gone on from; what we hold may be at fault, so the next request is for all of it.
            206 | 416 => {
                self.restart().await?;
                return Err(AnswerError::Truncated {
                    url: (&self.url).into(),
                    found: 0,
                    expected: self.blob.size,
                }
                .into());
            }
            _ => {
                let missing = |url, status| AnswerError::Missing { url, status };
                return Err(intake::refuse(&response, &self.url, missing).into());
            }
        }
        self.take(response).await
    }

    fn continues(&self, response: &Response, offset: u64) -> bool {
        offset > 0
            && response.range.is_some_and(|range| {
                range.start == offset && range.size.is_none_or(|size| size == self.blob.size)
            })
    }

    async fn take(&mut self, response: Response) -> Result<(), Error> {
        let (url, size, timeouts) = (self.url.clone(), self.blob.size, &self.client.config.timeouts);
        let mut done = self.part()?.len();
        let limit = size.saturating_sub(done);
        let mut pieces = Pieces::default();
        let ended = match Intake::new(response, &url, limit, timeouts) {
            Err(error) => Err(error.into()),
            Ok(mut intake) => loop {
                match intake.next().await {
                    Ok(Some(piece)) => {
                        done = done.saturating_add(piece.len() as u64);
                        self.traffic.add(piece.len() as u64);
                        pieces.push(piece);
                        if pieces.len >= WRITE_LEN {
                            self.write(&mut pieces).await?;
                        }
                        self.client.observer.event(&Event::Fetching { way: self.way, done, size });
                    }
                    Ok(None) if done < size => {
                        break Err(AnswerError::Truncated {
                            url: (&url).into(),
                            found: done,
                            expected: size,
                        }
                        .into());
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
            },
        };
        if let Err(error @ Error::Answer(AnswerError::TooLong { .. })) = ended {
            // Whoever sends too much sent nothing that is worth keeping.
            self.discard().await?;
            return Err(error);
        }
        self.write(&mut pieces).await?;
        ended
    }

    async fn write(&mut self, pieces: &mut Pieces) -> Result<(), Error> {
        if pieces.len == 0 {
            return Ok(());
        }
        let Pieces { list, len } = std::mem::take(pieces);
        self.bytes = self.bytes.saturating_add(len);
        self.with_part(move |mut part| {
            part.write(&list)?;
            Ok(Some(part))
        })
        .await
    }

    async fn restart(&mut self) -> Result<(), Error> {
        (self.earlier, self.validator) = (false, None);
        self.with_part(|part| part.restart().map(Some)).await
    }

    async fn discard(&mut self) -> Result<(), Error> {
        self.with_part(|part| part.discard().map(|()| None)).await
    }

    async fn with_part(
        &mut self,
        work: impl FnOnce(Part) -> Result<Option<Part>, StorageError> + Send + 'static,
    ) -> Result<(), Error> {
        if let Some(part) = self.part.take() {
            self.part = off_loop("a download", move || Ok(work(part)?)).await?;
        }
        Ok(())
    }

    fn part(&self) -> Result<&Part, Error> {
        // Missing only after a failed write, whose error has ended the download already.
        self.part.as_ref().ok_or_else(|| SetupError::Stopped { step: "a download" }.into())
    }

    /// How long to wait before the next request, or `None` if there is to be none.
    fn pause_after(&self, error: &Error, fruitless: u32) -> Option<Duration> {
        let timeouts = &self.client.config.timeouts;
        let backoff = timeouts.retry_pause.saturating_mul(1 << fruitless.saturating_sub(1).min(10));
        match error {
            Error::Transport(TransportError::Unreachable { .. } | TransportError::Broken { .. }) => {}
            Error::Answer(AnswerError::Unavailable { retry_after: Some(wait), .. }) => {
                return (*wait <= timeouts.max_pause).then_some(*wait);
            }
            Error::Answer(
                AnswerError::Unavailable { .. }
                | AnswerError::TimedOut { .. }
                | AnswerError::TooSlow { .. }
                | AnswerError::Truncated { .. },
            ) => {}
            _ => return None,
        }
        Some(jittered(backoff.min(timeouts.max_pause)))
    }
}

/// Half of a pause to all of it: clients that lost the same server at the same time must not come back together.
fn jittered(pause: Duration) -> Duration {
    // The standard library's hasher is seeded at random; that is random enough for this.
    let thousandths = u32::try_from(RandomState::new().hash_one(pause) % 500).unwrap_or_default();
    pause.saturating_mul(thousandths.saturating_add(500)) / 1000
}

/// Pieces that wait for being written together.
#[derive(Default)]
struct Pieces {
    list: Vec<Bytes>,
    len: u64,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        self.len = self.len.saturating_add(piece.len() as u64);
        self.list.push(piece);
    }
}
