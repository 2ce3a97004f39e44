//! Brings trusted metadata up to date: the edge poll, which is one request where nothing has changed, and the whole
//! procedure of the TUF specification.

use std::collections::BTreeSet;

use smidgen_metadata::{Changed, Request as Wanted, Role as _, Stored, Timestamp, TrustedSet};

use crate::blocking_work::off_loop;
use crate::client::Client;
use crate::error::{AnswerError, Error, TrustError};
use crate::folder::Folder;
use crate::intake::{self, Intake};
use crate::layout::TrustFile;
use crate::observer::Event;
use crate::plan::Traffic;
use crate::poll::Poll;
use crate::transport::{Request, ShownUrl};
use crate::trust::TrustStore;

/// How much is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// The next root only if something says that it may have changed.
    Edge,
    /// The specification's order: root first, always.
    Whole,
}

/// One refresh under way.
pub(crate) struct Refresh<'a> {
    client: &'a Client,
    pub(crate) folder: Folder,
    store: TrustStore,
    poll: &'a mut Poll,
    /// Fixed for the whole refresh.
    now: Timestamp,
    pub(crate) traffic: Traffic,
    pub(crate) requests: u32,
}

/// What the server has instead of the timestamp that we hold.
enum Newest {
    /// Nothing: 304, or the same bytes again.
    Same,
    Other {
        raw: Vec<u8>,
        etag: Option<String>,
    },
}

/// What the edge poll found.
enum Edge {
    Unchanged(Box<TrustedSet>),
    Changed(Newest),
    /// What we hold is not enough to tell.
    Unclear,
}

enum Answer {
    NotModified,
    Body { raw: Vec<u8>, etag: Option<String> },
}

impl<'a> Refresh<'a> {
    pub(crate) fn new(client: &'a Client, folder: Folder, store: TrustStore, poll: &'a mut Poll) -> Self {
        let now = client.clock.now();
        Self { client, folder, store, poll, now, traffic: Traffic::default(), requests: 0 }
    }

    /// Returns a set whose targets are trusted and current.
    pub(crate) async fn run(&mut self, effort: Effort) -> Result<TrustedSet, Error> {
        self.client.observer.event(&Event::Checking);
        self.leave_other_shard().await?;
        let mut set = match effort {
            Effort::Edge if !self.is_root_probe_due() => match self.poll_edge().await? {
                Edge::Unchanged(set) => *set,
                Edge::Changed(newest) => self.renew(Some(newest), false).await?,
                Edge::Unclear => self.renew(None, false).await?,
            },
            Effort::Edge => self.renew(None, true).await?,
            Effort::Whole => self.renew(None, false).await?,
        };
        self.bring_snapshot(&mut set).await?;
        self.bring_targets(&mut set).await?;
        self.remember_repository(&set).await?;
        Ok(set)
    }

    fn is_root_probe_due(&self) -> bool {
        let interval = i64::try_from(self.client.config.timeouts.root_probe.as_secs()).unwrap_or(i64::MAX);
        // A probe in the future was made by a clock that was wrong.
        self.poll
            .root_probed
            .is_none_or(|probed| !(0..interval).contains(&self.now.unix().saturating_sub(probed)))
    }

    /// Starts from the stored root, or from the configured one where nothing is stored. A program that was updated by
    /// other means may bring a root that this machine never got to see: it counts unless the stored one is newer.
    fn open(&mut self) -> Result<TrustedSet, Error> {
        let limits = self.client.config.limits.metadata;
        let configured = TrustedSet::open(&self.client.config.root, self.now, limits);
        let mut set = match &self.store.root {
            None => configured?,
            Some(stored) if *stored == self.client.config.root => configured?,
            Some(stored) => {
                let stored = TrustedSet::open(stored, self.now, limits)
                    .map_err(|source| TrustError::damaged(&self.folder, TrustFile::Root, source))?;
                let configured = configured?;
                if stored.root().version() > configured.root().version() {
                    stored
                } else {
                    self.store.root = None;
                    configured
                }
            }
        };
        let expected = self.client.repository.as_deref();
        if let Some(name) = expected.or(self.store.repository.as_deref()) {
            set.pin_repository(name)?;
        }
        Ok(set)
    }

    /// Another build line may be in another shard: what is stored of the one before it then counts for nothing. The
    /// shipped root says so, not the server.
    async fn leave_other_shard(&mut self) -> Result<(), Error> {
        let Some(expected) = self.client.repository.as_deref() else { return Ok(()) };
        if self.store.repository.as_deref().is_some_and(|known| known != expected) {
            self.forget(&[TrustFile::Timestamp, TrustFile::Snapshot]).await?;
            (self.store.timestamp, self.store.snapshot, self.store.repository) = (None, None, None);
            // A role of the same name and version says something else there.
            let folder = self.folder.clone();
            let forget = move || Ok(TrustStore::keep_roles(&folder, &BTreeSet::new())?);
            off_loop("clearing up metadata", forget).await?;
        }
        Ok(())
    }

    fn load_stored_timestamp(&self, set: &mut TrustedSet) -> Result<Option<Stored>, Error> {
        let Some(raw) = &self.store.timestamp else { return Ok(None) };
        let verdict = set.load_stored_timestamp(raw);
        TrustStore::verdict(&self.folder, TrustFile::Timestamp, verdict).map(Some)
    }

    /// One conditional request, which is all if nothing has changed.
    async fn poll_edge(&mut self) -> Result<Edge, Error> {
        let mut set = self.open()?;
        if self.store.root.is_none() {
            return Ok(Edge::Unclear);
        }
        match self.load_stored_timestamp(&mut set)? {
            Some(Stored::Current | Stored::Older) => {}
            Some(Stored::Superseded) | None => return Ok(Edge::Unclear),
        }
        if set.finish_root().is_err() {
            return Ok(Edge::Unclear);
        }
        match self.ask_for_timestamp(&set, true).await? {
            Newest::Same if set.keep_timestamp().is_ok() => Ok(Edge::Unchanged(Box::new(set))),
            // What we hold has expired, and the server (or a cache before it) has nothing newer: ask it for all.
            Newest::Same => Ok(Edge::Unclear),
            // The version that we hold, in other bytes: dropped like any repetition. A newer one, or one that the root of
            // the last refresh does not trust, may come with a new root: that is asked for first.
            Newest::Other { raw, etag } => Ok(match set.update_timestamp(&raw) {
                Ok(Changed::No) => Edge::Unchanged(Box::new(set)),
                Ok(Changed::Yes) | Err(_) => Edge::Changed(Newest::Other { raw, etag }),
            }),
        }
    }

    /// Steps 5.3 and 5.4 of the specification: every next root, then the timestamp, which may be here already.
    async fn renew(&mut self, newest: Option<Newest>, conditional: bool) -> Result<TrustedSet, Error> {
        let mut set = self.open()?;
        self.follow_roots(&mut set).await?;
        let stored = self.load_stored_timestamp(&mut set)?;
        if stored == Some(Stored::Superseded) {
            self.forget(&[TrustFile::Timestamp, TrustFile::Snapshot]).await?;
            (self.store.timestamp, self.store.snapshot) = (None, None);
        }
        set.finish_root()?;
        let newest = match newest {
            Some(newest) => newest,
            None => self.ask_for_timestamp(&set, conditional).await?,
        };
        let newest = match newest {
            Newest::Same if conditional && set.keep_timestamp().is_err() => {
                self.ask_for_timestamp(&set, false).await?
            }
            newest => newest,
        };
        match newest {
            Newest::Same => set.keep_timestamp()?,
            Newest::Other { raw, etag } => match set.update_timestamp(&raw)? {
                Changed::Yes => {
                    self.keep(TrustFile::Timestamp, &raw).await?;
                    self.poll.remember_tag(etag, &self.client.metadata_url("timestamp.json")?, &raw);
                    self.store.timestamp = Some(raw);
                }
                Changed::No => {}
            },
        }
        if self.store.root.is_none() {
            // Not before it has proven to be this repository's: a wrong one can then still be put right.
            self.keep(TrustFile::Root, &self.client.config.root).await?;
        }
        Ok(set)
    }

    async fn follow_roots(&mut self, set: &mut TrustedSet) -> Result<(), Error> {
        while let Some(wanted) = set.root_request() {
            let raw = match self.get(&wanted, None, |url, status| AnswerError::Missing { url, status }).await
            {
                Ok(Answer::Body { raw, .. }) => raw,
                // Buckets answer 403 for what is not there, unless they may be listed.
                Err(Error::Answer(
                    AnswerError::Missing { .. } | AnswerError::Refused { status: 403, .. },
                )) => break,
                Ok(Answer::NotModified) => break,
                Err(error) => return Err(error),
            };
            set.update_root(&raw)?;
            if set.must_forget_stored() {
                self.forget(&[TrustFile::Timestamp, TrustFile::Snapshot]).await?;
            }
            self.keep(TrustFile::Root, &raw).await?;
            self.store.root = Some(raw);
        }
        self.poll.root_probed = Some(self.now.unix());
        Ok(())
    }

    /// Asks for the timestamp, by its entity tag where `conditional` and the one that we hold has one.
    async fn ask_for_timestamp(&mut self, set: &TrustedSet, conditional: bool) -> Result<Newest, Error> {
        let wanted = set.timestamp_request();
        let url = self.client.metadata_url(&wanted.name)?;
        let tag = match &self.store.timestamp {
            Some(held) if conditional => self.poll.tag_for(&url, held),
            _ => None,
        };
        let answer = self.get(&wanted, tag, |url, status| AnswerError::NoRepository { url, status }).await?;
        let Answer::Body { raw, etag } = answer else { return Ok(Newest::Same) };
        if set.timestamp().is_some() && self.store.timestamp.as_ref() == Some(&raw) {
            self.poll.remember_tag(etag, &url, &raw);
            return Ok(Newest::Same);
        }
        Ok(Newest::Other { raw, etag })
    }

    /// Step 5.5.
    async fn bring_snapshot(&mut self, set: &mut TrustedSet) -> Result<(), Error> {
        if let Some(raw) = self.store.snapshot.take() {
            let verdict = set.load_stored_snapshot(&raw);
            if TrustStore::verdict(&self.folder, TrustFile::Snapshot, verdict)? == Stored::Current {
                return Ok(());
            }
        }
        let raw = self.get_listed(&set.snapshot_request()?).await?;
        set.update_snapshot(&raw)?;
        self.keep(TrustFile::Snapshot, &raw).await
    }

    /// Step 5.6.
    async fn bring_targets(&mut self, set: &mut TrustedSet) -> Result<(), Error> {
        if let Some(raw) = self.store.targets.take()
            // A copy only: what it lists is bound by the snapshot, so a damaged one is fetched again.
            && let Ok(Stored::Current) = set.load_stored_targets(&raw)
        {
            return Ok(());
        }
        let raw = self.get_listed(&set.targets_request()?).await?;
        set.update_targets(&raw)?;
        self.keep(TrustFile::Targets, &raw).await
    }

    async fn remember_repository(&mut self, set: &TrustedSet) -> Result<(), Error> {
        let Some(name) = set.repository().filter(|name| self.store.repository.as_deref() != Some(*name))
        else {
            return Ok(());
        };
        let (folder, name) = (self.folder.clone(), name.to_owned());
        off_loop("storing metadata", move || Ok(TrustStore::store_repository(&folder, &name)?)).await
    }

    pub(crate) async fn get_listed(&mut self, wanted: &Wanted) -> Result<Vec<u8>, Error> {
        let missing = |url, status| AnswerError::Missing { url, status };
        match self.get(wanted, None, missing).await? {
            Answer::Body { raw, .. } => Ok(raw),
            // Never: nothing conditional was asked.
            Answer::NotModified => {
                let url = (&self.client.metadata_url(&wanted.name)?).into();
                Err(AnswerError::Refused { url, status: 304 }.into())
            }
        }
    }

    async fn get(
        &mut self,
        wanted: &Wanted,
        if_none_match: Option<String>,
        missing: fn(ShownUrl, u16) -> AnswerError,
    ) -> Result<Answer, Error> {
        let (client, timeouts) = (self.client, &self.client.config.timeouts);
        let mut request = Request::new(client.metadata_url(&wanted.name)?);
        (request.if_none_match, request.compressible) = (if_none_match, true);
        self.requests = self.requests.saturating_add(1);
        let mut response = intake::send(&*client.transport, &request, timeouts).await?;
        match response.status {
            200 => {}
            304 if request.if_none_match.is_some() => return Ok(Answer::NotModified),
            _ => return Err(intake::refuse(&response, &request.url, missing).into()),
        }
        let etag = response.etag.take();
        let raw = Intake::new(response, &request.url, wanted.max_len, timeouts)?.collect().await?;
        let len = raw.len() as u64;
        self.traffic.add(len);
        client.observer.event(&Event::MetadataFetched { role: wanted.role.as_str(), len });
        Ok(Answer::Body { raw, etag })
    }

    async fn keep(&self, file: TrustFile, raw: &[u8]) -> Result<(), Error> {
        let (folder, raw) = (self.folder.clone(), raw.to_vec());
        off_loop("storing metadata", move || Ok(TrustStore::store(&folder, file, &raw)?)).await
    }

    async fn forget(&self, files: &'static [TrustFile]) -> Result<(), Error> {
        let folder = self.folder.clone();
        off_loop("storing metadata", move || Ok(TrustStore::forget(&folder, files)?)).await
    }
}
