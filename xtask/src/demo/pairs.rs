//! The journey of real pairs of builds: each is a product of its own, and its client loses its connection half-way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::fleet::{Client, Line};
use super::journey::update_over_broken_link;
use super::ledger::{Ledger, grouped, wire};
use super::program::Smidgen;
use super::publisher::{self, Publication, Publisher};
use super::story::Story;
use crate::corpus::{self, List, Pair, Side};
use crate::workspace;

/// Downloads at a time.
const FETCHES: usize = 3;

/// Fetches the pairs, publishes each old build, installs it, publishes the new one, and updates.
pub(super) fn run(smidgen: &Smidgen, only: &[String], scratch: &Path, story: &Story) -> Result<()> {
    let pairs = corpus::pairs(List::Pairs, only)?;
    corpus::fetch(&pairs, FETCHES)?;
    let publisher = Publisher::init(smidgen, scratch)?;
    let server = publisher.serve()?;
    let mut ledger = Ledger::default();
    for pair in &pairs {
        story.chapter(&format!("{}: {} {} -> {}", pair.id, pair.file, pair.old.version, pair.new.version));
        let clients = scratch.join("clients");
        let client =
            Client::new(smidgen, &pair.id, line_of(pair), "all", &server, &publisher.root, &clients)?;
        publish(&publisher, scratch, pair, Side::Old)?;
        client.update()?.expect("outcome", "installed")?;
        client.holds(&pair.file, &pair.path(Side::Old))?;

        let report = publish(&publisher, scratch, pair, Side::New)?;
        let full = publisher::full_size(&report)?;
        let (size, patch) = (grouped(pair.new.size), describe(&report["patches"][0]));
        story.line(format!("{size} bytes; full copy {} bytes; {patch}", grouped(full)));
        let visit = update_over_broken_link(&client)?;
        visit.expect("outcome", "updated")?;
        client.holds(&pair.file, &pair.path(Side::New))?;
        let way = visit.report["way"]["way"].as_str().unwrap_or_default();
        let what = format!("{} -> {}, by {way}", pair.old.version, pair.new.version);
        ledger.add(&pair.id, what, &visit.exchanges, Some(full));
        let bytes = grouped(wire(&visit.exchanges));
        story.line(format!("updated over a connection that broke half-way: {bytes} bytes"));
        if let Some(said) = ask_version(pair, &client.program(&pair.file))? {
            story.line(format!("the updated program runs and says: {said}"));
        }
    }
    story.chapter("The repository");
    story.line(publisher.verify_sound()?);
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

/// Publishes one build of a pair under the program's own name.
fn publish(publisher: &Publisher<'_>, scratch: &Path, pair: &Pair, side: Side) -> Result<Value> {
    let (file, line) = (named(pair, side, scratch)?, line_of(pair));
    let version = &pair.build(side).version;
    let notes = format!("{} {version}", pair.file);
    publisher.publish(&Publication {
        line: &line,
        version,
        severity: "routine",
        plugins: &[],
        notes: &notes,
        file: &file,
    })
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
