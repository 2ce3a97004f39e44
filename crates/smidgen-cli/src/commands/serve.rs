//! `smidgen serve`: answers clients over HTTP until it is asked to stop.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;
use smidgen_server::keys::Keys;
use smidgen_server::repository::Repository;
use smidgen_server::resign::{ResignScope, keep};
use smidgen_server::serve::{router, serve};
use smidgen_server::store::Store;
use tokio::net::TcpListener;

use crate::exit::Exit;
use crate::failure::Problem;
use crate::key_folder::PassphraseFile;
use crate::runtime;
use crate::screen::Screen;
use crate::words;

const EXAMPLES: &str = "\
A repository is a folder of static files, and any web server can serve it. This one needs no
configuration. The address is printed when it is bound; each request is logged to standard error.
SIGINT or SIGTERM ends it after the downloads under way, a second signal at once.
With --resign timestamp is signed again at once and twice a day, and whatever else is due and has its
keys in DIR; a failure is a line in the log.

Examples:
  $ smidgen serve repo
  $ smidgen serve repo --listen 0.0.0.0:8080 --log-format json
  $ smidgen serve repo --listen 127.0.0.1:0 --json
  $ smidgen serve repo --resign --keys keys";

/// Serve a repository over HTTP
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Serve {
    /// The repository: a folder or a URL.
    repo: String,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Sign timestamp again before it expires, and what else is due.
    #[arg(long, requires = "keys")]
    resign: bool,
    /// How long between two signatures.
    #[arg(long, value_name = "SPAN", default_value = "12h", value_parser = words::duration, requires = "resign")]
    resign_every: Duration,
    /// The folder of the keys to sign with.
    #[arg(long, value_name = "DIR", requires = "resign")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseFile,
}

#[derive(Serialize)]
struct Report {
    repo: String,
    address: SocketAddr,
    url: String,
}

impl Serve {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        runtime::block_on(self.serve(screen)).with_context(|| format!("failed to serve {}", self.repo))?;
        Ok(Exit::Done)
    }

    async fn serve(&self, screen: &Screen) -> Result<()> {
        let store = Store::open(&self.repo)?;
        if store.entry("metadata/1.root.json").await?.is_none() {
            return Err(Problem::new(
                Exit::Failed,
                "no_repository",
                format!(
                    "found no metadata/1.root.json in {}; make a repository with `smidgen init`",
                    self.repo
                ),
            )
            .into());
        }
        // From here on no signal is lost, and none ends the program without a word.
        let mut signals = Signals::listen()?;
        let listener = TcpListener::bind(&self.listen).await.map_err(|error| self.refused(error))?;
        let address = listener.local_addr()?;
        let report = Report { repo: self.repo.clone(), address, url: format!("http://{address}/") };
        screen.show(&report, |report| format!("serving {} at {}\n", report.repo, report.url))?;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let mut server = tokio::spawn(serve(listener, router(&store), async {
            // A sender that is gone means the same as one that sent.
            let _ = stopped.await;
        }));
        let keeper = self.keeper(&store)?;
        signals.next().await;
        let _ = stop.send(());
        let ended = tokio::select! {
            ended = &mut server => ended.context("the server broke down; please report this"),
            () = signals.next() => return Ok(()),
        };
        if let Some(keeper) = keeper {
            keeper.stop();
        }
        ended
    }

    /// Starts what signs again, on a thread of its own: a token may take its time.
    fn keeper(&self, store: &Store) -> Result<Option<Keeper>> {
        let Some(folder) = self.keys.as_deref().filter(|_| self.resign) else { return Ok(None) };
        if self.resign_every.is_zero() {
            let message = "--resign-every 0 would sign without a pause; give a span such as 12h";
            return Err(Problem::new(Exit::Usage, "bad_span", message).into());
        }
        let keys = Keys::open(folder, store)?.with_passphrases(self.passphrase.source());
        let (repository, every) = (Repository::new(store.clone()), self.resign_every);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("failed to start the event loop; this machine is short of threads or memory")?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(keep(&repository, &keys, ResignScope::WhatIsDue, every, async {
                // A sender that is gone means the same as one that sent.
                let _ = stopped.await;
            }));
        });
        Ok(Some(Keeper { stop, thread }))
    }

    fn refused(&self, error: std::io::Error) -> anyhow::Error {
        let message = format!("failed to listen on {}: {error}", self.listen);
        match error.kind() {
            ErrorKind::AddrInUse => Problem::new(
                Exit::Later,
                "address_in_use",
                format!("{message}; stop what listens there, or take port 0"),
            )
            .into(),
            ErrorKind::AddrNotAvailable | ErrorKind::InvalidInput => Problem::new(
                Exit::Usage,
                "bad_address",
                format!("{message}; expected HOST:PORT of this machine"),
            )
            .into(),
            _ => anyhow::Error::new(error).context(format!("failed to listen on {}", self.listen)),
        }
    }
}

/// What signs again while the server runs.
struct Keeper {
    stop: tokio::sync::oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Keeper {
    /// Ends it after the signature under way.
    fn stop(self) {
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!(code = "bug", "what signs again broke down; please report this");
        }
    }
}

/// The ways in which a person or a service manager asks a program to stop.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a way to be asked to stop, the program goes on until it is killed.
            std::future::pending::<()>().await;
        }
    }
}
