//! The client: what it is made of, and the whole journey in one call.

use std::sync::Arc;

use smidgen_metadata::{Name, RawMetadata, RoleKind, Root, Shard, Shards};
use url::Url;

use crate::blocking_work::off_loop;
use crate::check::Check;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Mode};
use crate::disk::Disk;
use crate::error::{Error, SetupError};
use crate::folder::Folder;
use crate::http::HttpTransport;
use crate::leftovers;
use crate::observer::{Event, NoObserver, Observer};
use crate::plan::{Blob, Decision, Plan};
use crate::refresh::Effort;
use crate::report::{Activated, BelowPolicy, FailedWay, Outcome, UpToDate};
use crate::storage::Storage;
use crate::transport::Transport;

/// Keeps one folder up to date. Cheap to keep for the life of a program: connections and TLS sessions are used again.
///
/// Needs a tokio runtime with time and I/O enabled; [`blocking::Client`](crate::blocking::Client) brings its own.
pub struct Client {
    pub(crate) config: Config,
    pub(crate) base: Url,
    /// The name that the repository of this line must carry, where the shipped root says it.
    pub(crate) repository: Option<Name>,
    pub(crate) folder: Folder,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Client {
    /// A client over HTTP and the local file system. Touches neither yet.
    ///
    /// # Errors
    /// [`SetupError::Url`], or if TLS cannot be set up.
    pub fn new(config: Config) -> Result<Self, Error> {
        let transport = HttpTransport::new(config.timeouts.connect)?;
        Self::with_transport(config, transport)
    }

    /// A client over a transport of the embedding program's.
    ///
    /// # Errors
    /// [`SetupError::Url`].
    pub fn with_transport(config: Config, transport: impl Transport + 'static) -> Result<Self, Error> {
        let (base, repository) = match shard_of(&config) {
            Some(shard) => (shard_url(folder_url(&config.url)?, &shard.folder)?, Some(shard.name)),
            None => (folder_url(&config.url)?, None),
        };
        Ok(Self {
            base,
            repository,
            folder: Folder::new(Arc::new(Disk), config.dir.clone()),
            transport: Arc::new(transport),
            clock: Arc::new(SystemClock),
            observer: Arc::new(NoObserver),
            config,
        })
    }

    /// Works on another storage.
    #[must_use]
    pub fn with_storage(mut self, storage: impl Storage + 'static) -> Self {
        self.folder = Folder::new(Arc::new(storage), self.config.dir.clone());
        self
    }

    /// Takes the time from another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Tells an observer what happens.
    #[must_use]
    pub fn with_observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// How it was set up.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The whole journey: check, plan, fetch, stage, activate, with the next plan after each failure. Ends in one
    /// structured event with a stable code, whatever happens.
    ///
    /// # Errors
    /// [`Error`] if no plan succeeded: that of the last one tried. The installed build is as it was.
    pub async fn update(&self) -> Result<Outcome, Error> {
        let result = self.update_unlogged().await;
        match &result {
            Ok(outcome) => outcome.log(),
            Err(error) => {
                let (code, kind) = (error.code(), error.kind());
                tracing::warn!(code, ?kind, retry_after = ?error.retry_after(), "update failed: {error}");
            }
        }
        result
    }

    async fn update_unlogged(&self) -> Result<Outcome, Error> {
        let lock = self.lock().await?;
        let mut poll = self.load_poll().await?;
        let result = match self.check_locked(Effort::Edge, lock, &mut poll).await {
            Ok(check) => self.follow(&check).await,
            Err(error) => Err(error),
        };
        let code = result.as_ref().map_or_else(Error::code, Outcome::code);
        self.store_poll(poll, code).await;
        result
    }

    async fn follow(&self, check: &Check) -> Result<Outcome, Error> {
        match check.decide(self.config.policy)? {
            Decision::UpToDate { installed } => {
                self.clear_leftovers(check).await?;
                Ok(Outcome::UpToDate(UpToDate::of(check, installed.clone())))
            }
            Decision::BelowPolicy { installed, newest, severity } => Ok(Outcome::BelowPolicy(BelowPolicy {
                installed: installed.clone(),
                newest: newest.version.to_string(),
                severity,
                policy: self.config.policy,
            })),
            Decision::Wanted { release, reason } => {
                let plan = self.plan_for(check, release, reason)?;
                match self.config.mode {
                    Mode::Notify => Ok(Outcome::UpdateAvailable(plan.report())),
                    Mode::Install => Ok(self.carry_out(plan).await?.into_outcome()),
                }
            }
        }
    }

    /// Of an update that was cut off after its switch.
    async fn clear_leftovers(&self, check: &Check) -> Result<(), Error> {
        let (folder, state) = (self.folder.clone(), check.state.clone());
        off_loop("clearing up", move || {
            leftovers::clear(&folder, &state);
            Ok(())
        })
        .await
    }

    /// Fetches, stages and activates, with the next plan after each failure that leaves one.
    async fn carry_out(&self, plan: Plan) -> Result<Activated, Error> {
        let mut failed = Vec::new();
        let mut plan = plan;
        loop {
            let error = match self.try_plan(&plan).await {
                Ok(activated) => return Ok(Activated { failed, ..activated }),
                Err(error) => error,
            };
            if !error.leaves_other_plans() {
                return Err(error);
            }
            let (way, code) = (plan.way().clone(), error.code());
            let Some(next) = plan.fall_back() else { return Err(error) };
            tracing::info!(
                code,
                way = way.name(),
                next = next.way().name(),
                "falling back to the next plan: {error}"
            );
            self.observer.event(&Event::FellBack { way: &way, code });
            failed.push(FailedWay { way, code: code.to_owned(), message: error.to_string() });
            plan = next;
        }
    }

    async fn try_plan(&self, plan: &Plan) -> Result<Activated, Error> {
        let fetched = self.fetch(plan).await?;
        let staged = self.stage(fetched).await?;
        self.activate(staged).await
    }

    pub(crate) fn metadata_url(&self, name: &str) -> Result<Url, Error> {
        self.join(&format!("metadata/{name}"))
    }

    pub(crate) fn blob_url(&self, blob: &Blob) -> Result<Url, Error> {
        self.join(&smidgen_metadata::Blob { size: blob.size, digest: blob.digest }.path())
    }

    fn join(&self, path: &str) -> Result<Url, Error> {
        self.base.join(path).map_err(|_| SetupError::Url { url: (&self.base).into() }.into())
    }

    pub(crate) fn describe_line(&self) -> String {
        let line = &self.config.line;
        let plugins: Vec<&str> = line.plugins.iter().map(Name::as_str).collect();
        let plugins = if plugins.is_empty() {
            "no plugins".to_owned()
        } else {
            format!("plugins {}", plugins.join(", "))
        };
        format!("{}/{}/{} with {plugins}", line.product, line.channel, line.platform)
    }
}

/// Where the line is among the shards under the root that ships with the program; `None` if that root names none.
///
/// The root is believed because it ships with the program. One that cannot be read is no matter here: the first refresh
/// says what is wrong with it.
fn shard_of(config: &Config) -> Option<Shard> {
    let limits = &config.limits.metadata;
    let raw = RawMetadata::parse(&config.root, RoleKind::Root, limits).ok()?;
    let root: Root = raw.read_unverified().ok()?;
    Some(Shards::of(&root).ok()??.of_line(config.line.id()))
}

/// A shard's folder below the address of the whole.
fn shard_url(base: Url, folder: &str) -> Result<Url, Error> {
    if folder.is_empty() {
        return Ok(base);
    }
    base.join(&format!("{folder}/")).map_err(|_| SetupError::Url { url: (&base).into() }.into())
}

/// The address as a folder: its path ends in a slash, so that files are joined below it and not beside it.
fn folder_url(url: &Url) -> Result<Url, Error> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(SetupError::Url { url: url.into() }.into());
    }
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", url.path()));
    }
    Ok(base)
}
