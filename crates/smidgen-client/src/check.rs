//! First step: what is installed, and what the repository has, as far as it can be trusted.

use smidgen_metadata::{Line, Release, Verified};

use crate::blocking_work::off_loop;
use crate::client::Client;
use crate::error::{Error, PlanError};
use crate::folder::Lock;
use crate::installed::{Followed, Installed, Standing};
use crate::plan::Traffic;
use crate::poll::Poll;
use crate::refresh::{Effort, Refresh};
use crate::state::{Build, State};
use crate::trust::TrustStore;

/// What is installed, and the trusted releases of the line. Holds the lock of the folder: nobody else changes it while
/// this, or anything made from it, is alive.
#[derive(Debug)]
pub struct Check {
    pub(crate) lock: Lock,
    pub(crate) installed: Installed,
    pub(crate) state: State,
    pub(crate) line: Verified<Line>,
    /// The line in words, for messages.
    pub(crate) described: String,
    pub(crate) newest: Option<Release>,
    pub(crate) traffic: Traffic,
    pub(crate) requests: u32,
}

impl Check {
    /// The installed build, where it is one of the line.
    #[must_use]
    pub fn installed(&self) -> Option<&Build> {
        match &self.installed.standing {
            Standing::Known { build, .. } => Some(build),
            Standing::Absent | Standing::OtherLine { .. } | Standing::Changed { .. } => None,
        }
    }

    /// The newest release of the line; `None` if all were withdrawn.
    #[must_use]
    pub fn newest(&self) -> Option<&Release> {
        self.newest.as_ref()
    }

    /// All that is known of the line.
    #[must_use]
    pub fn line(&self) -> &Verified<Line> {
        &self.line
    }

    /// Requests that it took.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests
    }
}

/// What the folder holds before anything is asked for.
struct Before {
    lock: Lock,
    state: State,
    store: TrustStore,
}

impl Client {
    /// The edge poll: one conditional request for timestamp metadata, and no more if nothing has changed.
    ///
    /// # Errors
    /// [`Error`]; what is stored stays as good as it was.
    pub async fn check(&self) -> Result<Check, Error> {
        self.check_with(Effort::Edge).await
    }

    /// The same with every step of the specification, in its order, whether something has changed or not.
    ///
    /// # Errors
    /// [`Error`]; what is stored stays as good as it was.
    pub async fn refresh(&self) -> Result<Check, Error> {
        self.check_with(Effort::Whole).await
    }

    async fn check_with(&self, effort: Effort) -> Result<Check, Error> {
        let lock = self.lock().await?;
        let mut poll = self.load_poll().await?;
        let result = self.check_locked(effort, lock.clone(), &mut poll).await;
        let code = result.as_ref().map_or_else(Error::code, |_| "checked");
        self.store_poll(poll, code).await;
        result
    }

    pub(crate) async fn lock(&self) -> Result<Lock, Error> {
        let folder = self.folder.clone();
        off_loop("locking the folder", move || folder.lock()).await
    }

    pub(crate) async fn load_poll(&self) -> Result<Poll, Error> {
        let folder = self.folder.clone();
        off_loop("reading the last poll", move || Ok(Poll::load(&folder))).await
    }

    /// Notes how it went. A failure to do so is none of the update's.
    pub(crate) async fn store_poll(&self, mut poll: Poll, code: &str) {
        (poll.checked, poll.code) = (Some(self.clock.now().to_string()), Some(code.to_owned()));
        poll.line = Some(self.config.line.clone());
        let folder = self.folder.clone();
        let stored = off_loop("noting the poll", move || Ok(poll.store(&folder)?)).await;
        if let Err(error) = stored {
            tracing::debug!(code = "not_noted", "the poll is not noted: {error}");
        }
    }

    pub(crate) async fn check_locked(
        &self,
        effort: Effort,
        lock: Lock,
        poll: &mut Poll,
    ) -> Result<Check, Error> {
        let (folder, limits) = (self.folder.held(lock.clone()), self.config.limits.metadata);
        let reading = folder.clone();
        let before = off_loop("reading the state", move || {
            let (state, store) = (State::load(&reading)?, TrustStore::load(&reading, &limits)?);
            Ok(Before { lock, state, store })
        })
        .await?;
        let mut refresh = Refresh::new(self, folder.clone(), before.store, poll);
        let set = refresh.run(effort).await?;
        let line = refresh.find_line(&set, &self.config.line).await?;
        let (traffic, requests) = (refresh.traffic.clone(), refresh.requests);
        let unknown = || PlanError::UnknownLine {
            repository: set.repository().unwrap_or(self.base.as_str()).to_owned(),
            line: self.describe_line(),
        };
        let line = line.ok_or_else(unknown)?;
        let newest = line.newest().cloned();
        let (lock, mut state, id) = (before.lock, before.state, self.config.line.id().to_string());
        let name = newest.as_ref().map(|newest| newest.name.to_string());
        let name = name.or_else(|| state.installed.as_ref().map(|build| build.name.clone()));
        let described = self.describe_line();
        let name = name.ok_or_else(|| PlanError::NothingReleased { line: described.clone() })?;
        off_loop("looking at the installed build", move || {
            let known = state.clone();
            let followed = Followed { line: &line, id: &id, name: &name };
            let installed = Installed::look(&folder, &mut state, &followed)?;
            if state != known {
                state.store(&folder)?;
            }
            Ok(Check { lock, installed, state, line, described, newest, traffic, requests })
        })
        .await
    }
}
