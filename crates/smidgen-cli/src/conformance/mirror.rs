//! Files below an address, each within its bounds.

use anyhow::{Context as _, Result, bail};
use smidgen_client::intake::{self, Intake};
use smidgen_client::transport::{Request, Response};
use smidgen_client::{HttpTransport, Timeouts, Url};

/// A folder on a web server.
pub(crate) struct Mirror {
    base: Url,
    transport: HttpTransport,
    timeouts: Timeouts,
}

impl Mirror {
    pub(crate) fn new(base: &Url) -> Result<Self> {
        let timeouts = Timeouts::default();
        let transport = HttpTransport::new(timeouts.connect)?;
        Ok(Self { base: base.clone(), transport, timeouts })
    }

    /// A file in memory; `None` if the server says that it is not there. Buckets answer 403 for that, unless they may be
    /// listed.
    pub(crate) async fn fetch_if_there(&self, name: &str, max_len: u64) -> Result<Option<Vec<u8>>> {
        // The name is encoded already, as one segment.
        let url = self.folder()?.join(name)?;
        let response = self.send(&url).await?;
        match response.status {
            200 => Ok(Some(Intake::new(response, &url, max_len, &self.timeouts)?.collect().await?)),
            403 | 404 => Ok(None),
            status => bail!("{url} answered {status}"),
        }
    }

    pub(crate) async fn fetch(&self, name: &str, max_len: u64) -> Result<Vec<u8>> {
        let raw = self.fetch_if_there(name, max_len).await?;
        raw.with_context(|| format!("the repository has no file {name}"))
    }

    /// A file in pieces.
    pub(crate) async fn pass_on(
        &self,
        segments: &[&str],
        max_len: u64,
        mut take: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let url = self.url_of(segments)?;
        let response = self.send(&url).await?;
        if response.status != 200 {
            bail!("{url} answered {}", response.status);
        }
        let mut body = Intake::new(response, &url, max_len, &self.timeouts)?;
        while let Some(piece) = body.next().await? {
            take(&piece)?;
        }
        Ok(())
    }

    async fn send(&self, url: &Url) -> Result<Response> {
        Ok(intake::send(&self.transport, &Request::new(url.clone()), &self.timeouts).await?)
    }

    /// Segments are names, never parts of a path: what could leave the folder is refused.
    fn url_of(&self, segments: &[&str]) -> Result<Url> {
        if let Some(segment) = segments.iter().find(|segment| matches!(**segment, "." | "..")) {
            bail!("found the segment {segment:?} in a path, expected a name");
        }
        let mut url = self.base.clone();
        let mut path = url.path_segments_mut().ok().context("the address has no path")?;
        path.pop_if_empty().extend(segments);
        drop(path);
        Ok(url)
    }

    /// The address with a slash at its end, so that names are joined below it and not beside it.
    fn folder(&self) -> Result<Url> {
        self.url_of(&[""])
    }
}
