//! What a client follows, where it keeps it, and how far it may go.

use std::path::PathBuf;
use std::time::Duration;

use smidgen_metadata::{BuildLine, Policy};
use url::Url;

/// Everything that a [`Client`](crate::Client) needs to know. Fields may be set directly; the methods are for chaining.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The repository's folder on a web server, `http` or `https`.
    pub url: Url,
    /// The trusted `root.json` that ships with the program: the one thing that has to be right from the beginning.
    pub root: Vec<u8>,
    /// Product, channel, platform and plugin set.
    pub line: BuildLine,
    /// The folder that is kept up to date; made if it is missing.
    pub dir: PathBuf,
    /// Which updates are wanted.
    pub policy: Policy,
    /// Whether wanted updates are installed or only reported.
    pub mode: Mode,
    /// When the full copy may be fetched.
    pub full_copies: FullCopies,
    /// Upper bounds on everything that a server or a repository could make large.
    pub limits: Limits,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

impl Config {
    /// Follows `line` at `url` with policy `all`, installing.
    #[must_use]
    pub fn new(url: Url, root: impl Into<Vec<u8>>, line: BuildLine, dir: impl Into<PathBuf>) -> Self {
        Self {
            url,
            root: root.into(),
            line,
            dir: dir.into(),
            policy: Policy::All,
            mode: Mode::Install,
            full_copies: FullCopies::Allowed,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }

    /// Sets which updates are wanted.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets whether wanted updates are installed or only reported.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets when the full copy may be fetched.
    #[must_use]
    pub fn full_copies(mut self, full_copies: FullCopies) -> Self {
        self.full_copies = full_copies;
        self
    }

    /// Sets the upper bounds.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how long to wait.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }
}

/// What to do with a wanted update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// Fetch it and switch to it.
    #[default]
    Install,
    /// Say so, fetch nothing.
    Notify,
}

/// When the full copy may be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FullCopies {
    /// Whenever it is the cheapest plan, or the next one after a failure.
    #[default]
    Allowed,
    /// Only where nothing is installed: for a metered link, on which an update without a patch shall wait.
    FirstInstall,
}

/// Upper bounds, each checked before anything is allocated or written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Limits {
    /// Bounds on metadata.
    pub metadata: smidgen_metadata::Limits,
    /// Bounds on patches and full copies, and on the memory to apply them.
    pub delta: smidgen_delta::Limits,
    /// Requests for one blob that may bring no new byte before the plan is given up; a request that brings some does
    /// not count.
    pub fruitless_attempts: u32,
    /// Requests for one blob in all.
    pub attempts: u32,
    /// Free bytes to leave on the disk beside what an update needs.
    pub spare_space: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            metadata: smidgen_metadata::Limits::default(),
            delta: smidgen_delta::Limits::default(),
            fruitless_attempts: 3,
            attempts: 20,
            spare_space: 1 << 20,
        }
    }
}

/// How long to wait for what.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Timeouts {
    /// For a connection (10 s).
    pub connect: Duration,
    /// For the head of an answer, and then for each piece of its body (30 s).
    pub idle: Duration,
    /// Span over which the speed is measured (30 s).
    pub pace_window: Duration,
    /// Bytes per second below which an answer is given up: a mirror must not hold an update back for ever (256).
    pub min_speed: u64,
    /// Pause before the second request for a blob; doubles with each one after it (500 ms).
    pub retry_pause: Duration,
    /// The longest `Retry-After` that is waited for; a longer one is the caller's to honour (10 s).
    pub max_pause: Duration,
    /// How often the next root is asked for although nothing has changed (24 h).
    pub root_probe: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            pace_window: Duration::from_secs(30),
            min_speed: 256,
            retry_pause: Duration::from_millis(500),
            max_pause: Duration::from_secs(10),
            root_probe: Duration::from_secs(24 * 60 * 60),
        }
    }
}
