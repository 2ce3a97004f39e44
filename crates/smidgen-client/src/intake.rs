//! Reading an answer within bounds: never longer than allowed, never silent for long, never slower than a minimum.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::config::Timeouts;
use crate::error::{AnswerError, Error};
use crate::transport::{Body, Request, Response, ShownUrl, Transport};

/// Longest `Retry-After` that is passed on; a longer one is no promise that anybody would keep.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Sends a request and waits for the head of the answer.
///
/// # Errors
/// [`AnswerError::TimedOut`], or what the transport says. Any status is an answer.
pub async fn send(
    transport: &dyn Transport,
    request: &Request,
    timeouts: &Timeouts,
) -> Result<Response, Error> {
    // The transport bounds connecting; a head that is late all the same is bounded here.
    let waited = timeouts.connect.saturating_add(timeouts.idle);
    match timeout(waited, transport.get(request)).await {
        Ok(response) => Ok(response?),
        Err(_) => Err(AnswerError::TimedOut { url: (&request.url).into(), waited }.into()),
    }
}

/// The error for an answer that is not the wanted one, by its status. `missing` says what a 404 means.
pub(crate) fn refuse(
    response: &Response,
    url: &Url,
    missing: fn(ShownUrl, u16) -> AnswerError,
) -> AnswerError {
    let (url, status) = (url.into(), response.status);
    match status {
        404 | 410 => missing(url, status),
        408 | 425 | 429 | 500.. => {
            let retry_after = response.retry_after.map(|wait| wait.min(MAX_RETRY_AFTER));
            AnswerError::Unavailable { url, status, retry_after }
        }
        _ => AnswerError::Refused { url, status },
    }
}

/// The body of an answer that may have `limit` bytes.
pub struct Intake<'a> {
    body: Box<dyn Body>,
    url: &'a Url,
    timeouts: &'a Timeouts,
    limit: u64,
    taken: u64,
    window: Instant,
    taken_in_window: u64,
}

impl<'a> Intake<'a> {
    /// Refuses at once what is announced as too long.
    ///
    /// # Errors
    /// [`AnswerError::TooLong`].
    pub fn new(
        response: Response,
        url: &'a Url,
        limit: u64,
        timeouts: &'a Timeouts,
    ) -> Result<Self, AnswerError> {
        if response.len.is_some_and(|len| len > limit) {
            return Err(AnswerError::TooLong { url: url.into(), limit });
        }
        let (window, body) = (Instant::now(), response.body);
        Ok(Self { body, url, timeouts, limit, taken: 0, window, taken_in_window: 0 })
    }

    /// The next piece; `None` at the end. Pieces add up to `limit` bytes at most.
    ///
    /// # Errors
    /// [`AnswerError`] if it is too long, too late or too slow, or what the transport says.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let waited = self.timeouts.idle;
        let piece = match timeout(waited, self.body.chunk()).await {
            Ok(piece) => piece?,
            Err(_) => return Err(AnswerError::TimedOut { url: self.url.into(), waited }.into()),
        };
        let Some(piece) = piece else { return Ok(None) };
        let len = piece.len() as u64;
        self.taken = self.taken.saturating_add(len);
        if self.taken > self.limit {
            return Err(AnswerError::TooLong { url: self.url.into(), limit: self.limit }.into());
        }
        self.keep_pace(len)?;
        Ok(Some(piece))
    }

    fn keep_pace(&mut self, len: u64) -> Result<(), AnswerError> {
        self.taken_in_window = self.taken_in_window.saturating_add(len);
        let span = self.window.elapsed();
        if span < self.timeouts.pace_window {
            return Ok(());
        }
        let found = self.taken_in_window / span.as_secs().max(1);
        if found < self.timeouts.min_speed {
            let (url, expected) = (self.url.into(), self.timeouts.min_speed);
            return Err(AnswerError::TooSlow { url, found, expected });
        }
        (self.window, self.taken_in_window) = (Instant::now(), 0);
        Ok(())
    }

    /// All of it, in memory.
    ///
    /// # Errors
    /// As for [`next`](Self::next).
    pub async fn collect(mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}
