//! The publisher's side of the demo: one repository, its keys outside of it, and the commands that work on it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::fleet::Line;
use super::program::{self, Ended, Running, Smidgen};

/// Keys that `smidgen init` makes: three for root, one for each other role.
const KEYS: usize = 7;

/// A repository and who may publish to it.
pub(super) struct Publisher<'a> {
    smidgen: &'a Smidgen,
    pub(super) repository: PathBuf,
    keys: PathBuf,
    /// The root metadata that clients begin to trust from, as it would come with a program.
    pub(super) root: PathBuf,
    log: PathBuf,
}

/// A build to publish.
pub(super) struct Publication<'a> {
    pub(super) line: &'a Line,
    pub(super) version: &'a str,
    pub(super) severity: &'a str,
    /// `NAME@VERSION[:SEVERITY]`.
    pub(super) plugins: &'a [String],
    pub(super) notes: &'a str,
    pub(super) file: &'a Path,
}

impl<'a> Publisher<'a> {
    /// Makes an empty repository below `scratch`.
    pub(super) fn init(smidgen: &'a Smidgen, scratch: &Path) -> Result<Self> {
        let at = |name| scratch.join(name);
        let (repository, keys, root, log) = (at("repository"), at("keys"), at("root.json"), at("serve.log"));
        program::report(smidgen.command("init").arg(&repository).arg("--keys").arg(&keys))?;
        fs::copy(repository.join("metadata/1.root.json"), &root).context("init made no root")?;
        let is_secret = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|end| end == "pem");
        let made = fs::read_dir(&keys)?.filter_map(Result::ok).filter(is_secret).count();
        ensure!(made == KEYS, "init is to make {KEYS} keys, and made {made}");
        Ok(Self { smidgen, repository, keys, root, log })
    }

    /// `smidgen publish`; returns its report.
    pub(super) fn publish(&self, build: &Publication<'_>) -> Result<Value> {
        let Publication { line, version, severity, plugins, notes, file } = build;
        let mut command = self.smidgen.command("publish");
        command.arg(&self.repository).arg("--keys").arg(&self.keys);
        command.args(["--product", &line.product, "--channel", &line.channel, "--platform", &line.platform]);
        command.args(["--version", version, "--severity", severity, "--notes", notes]);
        for plugin in *plugins {
            command.args(["--plugin", plugin]);
        }
        program::report(command.arg(file))
    }

    /// `smidgen serve`, until the result is dropped.
    pub(super) fn serve(&self) -> Result<Running> {
        self.smidgen.serve(&self.repository, &self.log)
    }

    /// `smidgen verify`, whatever it finds.
    pub(super) fn verify(&self) -> Result<Ended> {
        program::run(self.smidgen.command("verify").arg(&self.repository))
    }

    /// `smidgen verify`, which is to find nothing wrong; says what it looked at.
    pub(super) fn verify_sound(&self) -> Result<String> {
        let Ended { exit, report } = self.verify()?;
        ensure!(exit == 0, "the repository is to be sound; verify ended with {exit}: {report}");
        let (releases, patches, applied) = (&report["releases"], &report["patches"], &report["applied"]);
        ensure!(applied == patches, "verify is to apply every patch: {report}");
        Ok(format!("smidgen verify is content: {releases} releases, {patches} patches, all applied"))
    }
}

/// Bytes of the full copy that was published, from the report.
pub(super) fn full_size(report: &Value) -> Result<u64> {
    report["full_size"].as_u64().with_context(|| format!("no size of the full copy: {report}"))
}
