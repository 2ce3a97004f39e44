//! The clients of the demo: each is the real program, in a folder of its own, behind a link of its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::link::{Exchange, Link};
use super::program::{self, Running, Smidgen};

/// What a client follows.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) product: String,
    pub(super) channel: String,
    pub(super) platform: String,
    pub(super) plugins: Vec<String>,
}

/// A client with its folder.
pub(super) struct Client<'a> {
    smidgen: &'a Smidgen,
    pub(super) name: String,
    line: Line,
    pub(super) policy: &'static str,
    pub(super) link: Link,
    root: PathBuf,
    folder: PathBuf,
}

/// One run of a client: what it says, and what passed its link.
pub(super) struct Visit {
    pub(super) report: Value,
    pub(super) exchanges: Vec<Exchange>,
}

impl Visit {
    /// Fails unless the report has this text in this field.
    pub(super) fn expect(&self, field: &str, value: &str) -> Result<()> {
        ensure!(self.report[field] == value, "expected {field} to be {value:?}: {}", self.report);
        Ok(())
    }
}

impl<'a> Client<'a> {
    pub(super) fn new(
        smidgen: &'a Smidgen,
        name: &str,
        line: Line,
        policy: &'static str,
        server: &Running,
        root: &Path,
        folders: &Path,
    ) -> Result<Self> {
        let folder = folders.join(name);
        fs::create_dir_all(&folder)?;
        let link = Link::to(server.address)?;
        Ok(Self { smidgen, name: name.to_owned(), line, policy, link, root: root.to_owned(), folder })
    }

    /// `smidgen update`.
    pub(super) fn update(&self) -> Result<Visit> {
        let mut command = self.smidgen.command("update");
        command
            .args(["--url", &self.link.url()])
            .arg("--root")
            .arg(&self.root)
            .arg("--dir")
            .arg(&self.folder);
        command.args(["--product", &self.line.product, "--channel", &self.line.channel]);
        command.args(["--platform", &self.line.platform, "--policy", self.policy]);
        for plugin in &self.line.plugins {
            command.args(["--plugin", plugin]);
        }
        self.link.take_exchanges();
        let report =
            program::report(&mut command).with_context(|| format!("the client {} failed", self.name))?;
        Ok(Visit { report, exchanges: self.link.take_exchanges() })
    }

    /// The installed file of that name.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Fails unless what is installed under that name is this build, byte for byte.
    pub(super) fn holds(&self, name: &str, build: &Path) -> Result<()> {
        let read = |path: &Path| fs::read(path).with_context(|| format!("failed to read {}", path.display()));
        let same = read(&self.program(name))? == read(build)?;
        ensure!(same, "{} holds another build than {}", self.name, build.display());
        Ok(())
    }
}
