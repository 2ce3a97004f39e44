//! The same client for programs without an event loop.

use tokio::runtime::{Builder, Handle, Runtime};

use crate::check::Check;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, SetupError};
use crate::fetch::Fetched;
use crate::observer::Observer;
use crate::plan::Plan;
use crate::report::{Activated, Outcome};
use crate::stage::Staged;
use crate::status::Status;

/// A [`Client`](crate::Client) with an event loop of its own, on the calling thread.
///
/// Must not be used inside of an async runtime; it says so with an error there.
pub struct Client {
    client: crate::Client,
    event_loop: EventLoop,
}

/// A runtime that may be dropped anywhere.
struct EventLoop(Option<Runtime>);

impl Client {
    /// A client over HTTP and the local file system. Touches neither yet.
    ///
    /// # Errors
    /// As [`Client::new`](crate::Client::new), or if the system has no event loop to offer.
    pub fn new(config: Config) -> Result<Self, Error> {
        Self::of(crate::Client::new(config)?)
    }

    /// Makes a client that was put together otherwise blocking.
    ///
    /// # Errors
    /// [`SetupError::Runtime`] if the system has no event loop to offer.
    pub fn of(client: crate::Client) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| SetupError::Runtime { reason: error.to_string() })?;
        Ok(Self { client, event_loop: EventLoop(Some(runtime)) })
    }

    /// Takes the time from another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock + 'static) -> Self {
        self.client = self.client.with_clock(clock);
        self
    }

    /// Tells an observer what happens.
    #[must_use]
    pub fn with_observer(mut self, observer: impl Observer + 'static) -> Self {
        self.client = self.client.with_observer(observer);
        self
    }

    /// As [`Client::update`](crate::Client::update).
    ///
    /// # Errors
    /// As there.
    pub fn update(&self) -> Result<Outcome, Error> {
        self.wait_for(self.client.update())
    }

    /// As [`Client::check`](crate::Client::check).
    ///
    /// # Errors
    /// As there.
    pub fn check(&self) -> Result<Check, Error> {
        self.wait_for(self.client.check())
    }

    /// As [`Client::refresh`](crate::Client::refresh).
    ///
    /// # Errors
    /// As there.
    pub fn refresh(&self) -> Result<Check, Error> {
        self.wait_for(self.client.refresh())
    }

    /// As [`Client::plan`](crate::Client::plan).
    ///
    /// # Errors
    /// As there.
    pub fn plan(&self, check: &Check) -> Result<Option<Plan>, Error> {
        self.client.plan(check)
    }

    /// As [`Client::fetch`](crate::Client::fetch).
    ///
    /// # Errors
    /// As there.
    pub fn fetch(&self, plan: &Plan) -> Result<Fetched, Error> {
        self.wait_for(self.client.fetch(plan))
    }

    /// As [`Client::stage`](crate::Client::stage).
    ///
    /// # Errors
    /// As there.
    pub fn stage(&self, fetched: Fetched) -> Result<Staged, Error> {
        self.wait_for(self.client.stage(fetched))
    }

    /// As [`Client::activate`](crate::Client::activate).
    ///
    /// # Errors
    /// As there.
    pub fn activate(&self, staged: Staged) -> Result<Activated, Error> {
        self.wait_for(self.client.activate(staged))
    }

    /// As [`Client::status`](crate::Client::status).
    ///
    /// # Errors
    /// As there.
    pub fn status(&self) -> Result<Status, Error> {
        self.client.status()
    }

    fn wait_for<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        match &self.event_loop.0 {
            // Waiting would panic there, and would stop the program's own event loop if it did not.
            Some(runtime) if Handle::try_current().is_err() => runtime.block_on(work),
            _ => Err(SetupError::BlockingInAsync.into()),
        }
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        // A plain drop waits for the threads, which panics where waiting is not allowed.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
