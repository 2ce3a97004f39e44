//! The journey of real pairs of builds: each is a product of its own, and its client loses its connection half-way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::fleet::{Client, Line};
use super::journey::update_over_broken_link;
use super::ledger::{Ledger, grouped, wire};
use super::program::{self, Smidgen};
use super::story::Story;
use crate::corpus::{self, Pair, Side};
use crate::workspace;

/// Downloads at a time.
const FETCHES: usize = 3;

/// Fetches the pairs, publishes each old build, installs it, publishes the new one, and updates.
pub(super) fn run(smidgen: &Smidgen, only: &[String], scratch: &Path, story: &Story) -> Result<()> {
    let pairs = corpus::pairs(only)?;
    corpus::fetch(&pairs, FETCHES)?;
    let (repository, keys, root) =
        (scratch.join("repository"), scratch.join("keys"), scratch.join("root.json"));
    program::report(smidgen.command("init").arg(&repository).arg("--keys").arg(&keys))?;
    fs::copy(repository.join("metadata/1.root.json"), &root).context("init made no root")?;
    let server = smidgen.serve(&repository, &scratch.join("serve.log"))?;
    let mut ledger = Ledger::default();
    for pair in &pairs {
        story.chapter(&format!("{}: {} {} -> {}", pair.id, pair.file, pair.old.version, pair.new.version));
        let publish = |side| publish(smidgen, &repository, &keys, scratch, pair, side);
        publish(Side::Old)?;
        let client =
            Client::new(smidgen, &pair.id, line_of(pair), "all", &server, &root, &scratch.join("clients"))?;
        let visit = client.update()?;
        visit.expect("outcome", "installed")?;
        client.holds(&pair.file, &pair.path(Side::Old))?;
        let (full, patch) = publish(Side::New)?;
        story.line(format!("{} bytes; full copy {} bytes; {patch}", grouped(pair.new.size), grouped(full)));
        let visit = update_over_broken_link(&client)?;
        visit.expect("outcome", "updated")?;
        client.holds(&pair.file, &pair.path(Side::New))?;
        let what = format!(
            "{} -> {}, by {}",
            pair.old.version,
            pair.new.version,
            visit.report["way"]["way"].as_str().unwrap_or_default()
        );
        ledger.add(&pair.id, what, &visit.exchanges, Some(full));
        story.line(format!(
            "updated over a connection that broke half-way: {} bytes",
            grouped(wire(&visit.exchanges))
        ));
        if let Some(said) = ask_version(pair, &client.program(&pair.file))? {
            story.line(format!("the updated program runs and says: {said}"));
        }
    }
    story.chapter("The repository");
    let report = program::report(smidgen.command("verify").arg(&repository))?;
    story.line(format!(
        "smidgen verify is content: {} releases, {} patches, all applied",
        report["releases"], report["patches"]
    ));
    story.chapter("What it cost");
    story.table(&ledger);
    Ok(())
}

fn line_of(pair: &Pair) -> Line {
    Line {
        product: pair.id.clone(),
        channel: "stable".to_owned(),
        platform: pair.format.to_lowercase().replace(['/', ' '], "-"),
        plugins: Vec::new(),
    }
}

/// Publishes one build of a pair under the program's own name; returns the size of its full copy, and says what became
/// of the patch.
fn publish(
    smidgen: &Smidgen,
    repository: &Path,
    keys: &Path,
    scratch: &Path,
    pair: &Pair,
    side: Side,
) -> Result<(u64, String)> {
    let file = named(pair, side, scratch)?;
    let line = line_of(pair);
    let mut command = smidgen.command("publish");
    command.arg(repository).arg("--keys").arg(keys);
    command.args(["--product", &line.product, "--channel", &line.channel, "--platform", &line.platform]);
    command.args(["--version", &pair.build(side).version, "--severity", "routine"]).arg(&file);
    let report = program::report(&mut command)?;
    let full = report["full_size"].as_u64().with_context(|| format!("no size of the full copy: {report}"))?;
    Ok((full, describe(&report["patches"][0])))
}

fn describe(patch: &Value) -> String {
    match (patch["size"].as_u64(), patch["reason"].as_str()) {
        (Some(size), _) => {
            format!("{} patch {} bytes", patch["codec"].as_str().unwrap_or_default(), grouped(size))
        }
        (None, Some(reason)) => format!("no patch: {reason}"),
        (None, None) => "no patch".to_owned(),
    }
}

/// A copy that has the program's name and may be executed, as the registry's archive has it.
fn named(pair: &Pair, side: Side, scratch: &Path) -> Result<PathBuf> {
    let folder = scratch.join("builds").join(&pair.id).join(&pair.build(side).version);
    fs::create_dir_all(&folder)?;
    let file = folder.join(&pair.file);
    fs::copy(pair.path(side), &file)
        .with_context(|| format!("failed to copy {}", pair.path(side).display()))?;
    #[cfg(unix)]
    if pair.format != "tar" {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    }
    Ok(file)
}

/// What the updated program says of its version, where this machine can run it.
fn ask_version(pair: &Pair, program: &Path) -> Result<Option<String>> {
    if pair.format != "ELF/x86-64" || !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(None);
    }
    let text = workspace::output(Command::new(program).arg("--version"))?;
    let said = text.trim();
    ensure!(
        said.contains(&pair.new.version),
        "{} was updated to {} and says {said:?}",
        pair.id,
        pair.new.version
    );
    Ok(Some(said.to_owned()))
}
