//! The update client that a program embeds: check, plan, fetch, stage, activate.
//!
//! ```no_run
//! use smidgen_client::{BuildLine, Config, blocking::Client};
//!
//! fn update() -> Result<(), Box<dyn std::error::Error>> {
//!     let url = "https://updates.example.org/editor".parse()?;
//!     let root = std::fs::read("root.json")?; // ships with the program: include_bytes! does as well
//!     let line = BuildLine::new("editor", "stable", "x86_64-linux", ["spell"])?;
//!     let client = Client::new(Config::new(url, root, line, "/opt/editor"))?;
//!     let outcome = client.update()?;
//!     if outcome.has_switched() {
//!         println!("{}: restart to use it", outcome.code());
//!     }
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! [`Client`] is the same for async programs. Each step takes the value of the one before, so that nothing can be
//! fetched that was not planned from trusted metadata, and nothing activated that was not proven:
//!
//! ```no_run
//! # async fn f(client: smidgen_client::Client) -> Result<(), smidgen_client::Error> {
//! let check = client.check().await?;
//! if let Some(plan) = client.plan(&check)? {
//!     let fetched = client.fetch(&plan).await?;
//!     let staged = client.stage(fetched).await?;
//!     client.activate(staged).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A failed update leaves the installed build untouched, never panics, and is one [`tracing`] event with a stable
//! [`code`](Error::code). The layout of the folder, all codes and all limits are described in `docs/client.md`.

#![forbid(unsafe_code)]

mod activate;
pub mod blocking;
mod blocking_work;
mod causes;
mod check;
mod client;
mod clock;
mod config;
mod disk;
mod error;
mod fetch;
mod folder;
mod http;
mod installed;
pub mod intake;
mod layout;
mod leftovers;
mod observer;
mod part;
mod plan;
mod poll;
mod refresh;
mod report;
mod search;
mod stage;
mod state;
mod status;
pub mod storage;
pub mod transport;
mod trust;

pub use smidgen_delta::Digest;
pub use smidgen_metadata::{BuildLine, Policy, Release, Severity, Timestamp};
pub use url::Url;

pub use crate::check::Check;
pub use crate::client::Client;
pub use crate::clock::{Clock, SystemClock};
pub use crate::config::{Config, FullCopies, Limits, Mode, Timeouts};
pub use crate::disk::Disk;
pub use crate::error::{
    AnswerError, BlobError, Error, InstalledError, Kind, PlanError, SetupError, StageError, StorageError,
    TrustError,
};
pub use crate::fetch::Fetched;
pub use crate::http::HttpTransport;
pub use crate::observer::{Event, NoObserver, Observer};
pub use crate::plan::{Blob, Plan, Reason, Way};
pub use crate::report::{Activated, BelowPolicy, FailedWay, Outcome, PlanReport, UpToDate};
pub use crate::stage::Staged;
pub use crate::state::Build;
pub use crate::status::{FileStatus, Known, LastCheck, Status, status};
pub use crate::storage::Storage;
pub use crate::transport::Transport;

/// The example of the project's first page compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeExamples;
