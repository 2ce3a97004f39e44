//! The sample's journey: three releases, two build lines, three clients, and what goes wrong on the way.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::fleet::{Client, Line, Visit};
use super::ledger::{Ledger, grouped, wire};
use super::program::{self, Ended, Running, Smidgen};
use super::sample::{self, Release, Variant};
use super::story::Story;

/// Exit code of `smidgen verify` when it found something.
const FINDINGS: i32 = 7;

/// The file that is installed.
const PROGRAM: &str = "sample";

/// More than the heads of two answers take.
const HEADS: u64 = 2 << 10;

/// Where everything of one run is.
struct Places {
    repository: PathBuf,
    keys: PathBuf,
    root: PathBuf,
    logs: PathBuf,
    site: PathBuf,
}

impl Places {
    fn below(scratch: &Path) -> Result<Self> {
        let places = Self {
            repository: scratch.join("repository"),
            keys: scratch.join("keys"),
            root: scratch.join("root.json"),
            logs: scratch.join("logs"),
            site: scratch.join("site"),
        };
        for folder in [&places.logs, &places.site] {
            fs::create_dir_all(folder)?;
        }
        fs::write(places.site.join("index.html"), "<h1>It works</h1>\n")?;
        // Beside what is served: 1.0.0 gives it away, 1.2.0 does not.
        fs::write(scratch.join("secret.txt"), "the secret\n")?;
        Ok(places)
    }
}

/// Runs the whole journey in the folder `scratch`. Every claim is checked; the first one that does not hold ends it.
pub(super) fn run(smidgen: &Smidgen, scratch: &Path, story: &Story) -> Result<()> {
    let places = Places::below(scratch)?;
    let mut ledger = Ledger::default();

    story.chapter("Builds");
    let (plain, plugins) = sample::build_all(scratch)?;
    for variant in plain.iter().chain(&plugins) {
        let set =
            if variant.plugins.is_empty() { "no plugins".to_owned() } else { variant.plugins.join(" ") };
        story.line(format!("sample {}  {:>9} bytes  {set}", variant.release.version, grouped(variant.size)));
    }

    story.chapter("A repository, and release 1.0.0");
    let mut init = smidgen.command("init");
    let made = program::report(init.arg(&places.repository).arg("--keys").arg(&places.keys))?;
    story.line(format!("made the repository {} and six keys outside of it", made["name"]));
    fs::copy(places.repository.join("metadata/1.root.json"), &places.root).context("init made no root")?;
    let publisher = Publisher { smidgen, places: &places, story };
    let [plain_1_0, plain_1_1, plain_1_2] = three(&plain)?;
    let [plugins_1_0, plugins_1_1, plugins_1_2] = three(&plugins)?;
    let full_1_0 = [publisher.publish(plain_1_0)?, publisher.publish(plugins_1_0)?];
    let server = smidgen.serve(&places.repository, &places.logs.join("serve.log"))?;
    story.line(format!("serving at http://{}/", server.address));

    let client = |name: &str, variant: &Variant, policy| {
        let plugins = variant.plugins.iter().filter_map(|plugin| plugin.split('@').next());
        let line = Line {
            product: "sample".to_owned(),
            channel: "stable".to_owned(),
            platform: "x86_64-linux".to_owned(),
            plugins: plugins.map(str::to_owned).collect(),
        };
        Client::new(smidgen, name, line, policy, &server, &places.root, &scratch.join("clients"))
    };
    let eager = client("eager", plain_1_0, "all")?;
    let careful = client("careful", plugins_1_0, "critical")?;
    let unlucky = client("unlucky", plain_1_0, "all")?;

    story.chapter("First installs");
    for (client, variant, full) in [(&eager, plain_1_0, full_1_0[0]), (&careful, plugins_1_0, full_1_0[1])] {
        first_install(client, variant, full, &mut ledger, story)?;
    }
    leaks(&eager, &places, true)?;
    story.line("eager runs it: http://.../%2e%2e/secret.txt gives away a file beside the site (1.2.0 will mend that)");

    story.chapter("Release 1.1.0, routine");
    let full_plain_1_1 = publisher.publish(plain_1_1)?;
    publisher.publish(plugins_1_1)?;
    let visit = eager.update()?;
    updated_by_patch(&eager, &visit, plain_1_1)?;
    ledger.add(&eager.name, "1.0.0 -> 1.1.0, routine", &visit.exchanges, Some(full_plain_1_1));
    story.line(format!("eager (policy all) updates by patch: {}", cost(&visit, full_plain_1_1)));

    let visit = careful.update()?;
    visit.expect("outcome", "below_policy")?;
    visit.expect("newest", "1.1.0")?;
    careful.holds(PROGRAM, &plugins_1_0.program)?;
    ledger.add(&careful.name, "1.1.0 is below its policy", &visit.exchanges, None);
    story.line(format!(
        "careful (policy critical) reads that {} is the most that 1.1.0 brings, and stays: {} bytes",
        visit.report["severity"],
        grouped(wire(&visit.exchanges))
    ));

    let visit = eager.update()?;
    visit.expect("outcome", "up_to_date")?;
    let statuses: Vec<_> = visit.exchanges.iter().map(|exchange| exchange.status).collect();
    ensure!(statuses == [Some(304)], "an idle poll is to be one request answered 304, and was {statuses:?}");
    ledger.add(&eager.name, "idle poll", &visit.exchanges, None);
    story.line(format!(
        "eager polls again: one request, 304, {} bytes in all",
        grouped(wire(&visit.exchanges))
    ));
    first_install(&unlucky, plain_1_1, full_plain_1_1, &mut ledger, story)?;

    story.chapter("Release 1.2.0, critical");
    let full_plain_1_2 = publisher.publish(plain_1_2)?;
    let full_plugins_1_2 = publisher.publish(plugins_1_2)?;
    let visit = careful.update()?;
    updated_by_patch(&careful, &visit, plugins_1_2)?;
    visit.expect("severity", "critical")?;
    ledger.add(&careful.name, "1.0.0 -> 1.2.0, critical", &visit.exchanges, Some(full_plugins_1_2));
    story.line(format!("careful takes it at once, skipping 1.1.0: {}", cost(&visit, full_plugins_1_2)));

    let visit = update_over_broken_link(&eager)?;
    updated_by_patch(&eager, &visit, plain_1_2)?;
    ledger.add(&eager.name, "1.1.0 -> 1.2.0, resumed", &visit.exchanges, Some(full_plain_1_2));
    story.line(format!(
        "eager loses its connection half-way and goes on where it was: {}",
        cost(&visit, full_plain_1_2)
    ));

    let patch = blob_key(&visit.report["way"]["blob"])?;
    damage(&places.repository.join(&patch))?;
    let visit = unlucky.update()?;
    visit.expect("outcome", "updated")?;
    ensure!(
        visit.report["way"]["way"] == "full",
        "expected the full copy after a damaged patch: {}",
        visit.report
    );
    let failed = &visit.report["failed"][0];
    ensure!(failed["code"] == "blob_damaged", "expected the damaged patch to be found out: {}", visit.report);
    unlucky.holds(PROGRAM, &plain_1_2.program)?;
    ledger.add(&unlucky.name, "1.1.0 -> 1.2.0, patch damaged", &visit.exchanges, Some(full_plain_1_2));
    story.line(
        "a byte of that patch is flipped in the repository: unlucky sees that the digest is wrong, and takes",
    );
    story.line(format!("the full copy instead: {}", cost(&visit, full_plain_1_2)));

    story.chapter("The repository");
    let Ended { exit, report } = program::run(smidgen.command("verify").arg(&places.repository))?;
    let found =
        report["findings"].as_array().is_some_and(|all| all.iter().any(|one| one["key"] == patch.as_str()));
    ensure!(exit == FINDINGS && found, "verify is to find the damaged patch; it ended with {exit}: {report}");
    story.line(format!(
        "smidgen verify finds the damaged patch ({} is not what its name says)",
        short(&patch)
    ));
    publisher.publish_again(plain_1_2)?;
    let report = program::report(smidgen.command("verify").arg(&places.repository))?;
    story.line(format!(
        "publishing 1.2.0 again restores it; smidgen verify is content: {} releases, {} patches, all applied",
        report["releases"], report["patches"]
    ));

    story.chapter("The updated programs");
    for (client, variant) in [(&eager, plain_1_2), (&careful, plugins_1_2), (&unlucky, plain_1_2)] {
        client.holds(PROGRAM, &variant.program)?;
        let (version, plugins) = sample::ask_version(&client.program(PROGRAM))?;
        ensure!(version == "1.2.0", "{} was updated and says {version}", client.name);
        leaks(client, &places, false)?;
        let plugins = if plugins.is_empty() { String::new() } else { format!(" with {}", plugins.join(" ")) };
        story.line(format!("{:<8} runs sample {version}{plugins}; the hole is closed", client.name));
    }

    story.chapter("What it cost");
    story.table(&ledger);
    Ok(())
}

/// What publishing needs.
struct Publisher<'a> {
    smidgen: &'a Smidgen,
    places: &'a Places,
    story: &'a Story,
}

impl Publisher<'_> {
    /// Publishes a build, tells of it, and returns the bytes of its full copy.
    fn publish(&self, variant: &Variant) -> Result<u64> {
        let report = self.run(variant)?;
        ensure!(report["outcome"] == "added", "expected a new release: {report}");
        let full =
            report["full_size"].as_u64().with_context(|| format!("no size of the full copy: {report}"))?;
        let patches = report["patches"].as_array().map(Vec::as_slice).unwrap_or_default();
        let patches: Vec<String> = patches
            .iter()
            .map(|patch| {
                let size = patch["size"].as_u64().map_or("none".to_owned(), grouped);
                format!("{size} from {}", patch["old_version"].as_str().unwrap_or_default())
            })
            .collect();
        self.story.line(format!(
            "published {} ({}) {:<15}  full copy {} bytes{}{}",
            variant.release.version,
            variant.release.severity,
            if variant.plugins.is_empty() { "without plugins" } else { "with plugins" },
            grouped(full),
            if patches.is_empty() { "" } else { "; patches: " },
            patches.join(", ")
        ));
        Ok(full)
    }

    /// Publishes a build that is there already, whose files are to be restored.
    fn publish_again(&self, variant: &Variant) -> Result<()> {
        let report = self.run(variant)?;
        ensure!(report["outcome"] == "restored", "expected lost files to be restored: {report}");
        Ok(())
    }

    fn run(&self, variant: &Variant) -> Result<Value> {
        let Release { version, severity, notes, .. } = variant.release;
        let mut command = self.smidgen.command("publish");
        command.arg(&self.places.repository).arg("--keys").arg(&self.places.keys);
        command.args(["--product", "sample", "--channel", "stable", "--platform", "x86_64-linux"]);
        command.args(["--version", version, "--severity", severity, "--notes", notes]);
        for plugin in &variant.plugins {
            command.args(["--plugin", plugin]);
        }
        program::report(command.arg(&variant.program))
    }
}

fn first_install(
    client: &Client<'_>,
    variant: &Variant,
    full: u64,
    ledger: &mut Ledger,
    story: &Story,
) -> Result<()> {
    let visit = client.update()?;
    visit.expect("outcome", "installed")?;
    ensure!(visit.report["way"]["way"] == "full", "a first install takes the full copy: {}", visit.report);
    client.holds(PROGRAM, &variant.program)?;
    ledger.add(
        &client.name,
        format!("first install of {}", variant.release.version),
        &visit.exchanges,
        Some(full),
    );
    let bytes = grouped(wire(&visit.exchanges));
    story.line(format!(
        "{:<8} installs {} (policy {}): {bytes} bytes",
        client.name, variant.release.version, client.policy
    ));
    Ok(())
}

fn updated_by_patch(client: &Client<'_>, visit: &Visit, variant: &Variant) -> Result<()> {
    visit.expect("outcome", "updated")?;
    ensure!(visit.report["way"]["way"] == "patch", "expected an update by patch: {}", visit.report);
    let failed = visit.report["failed"].as_array().is_none_or(Vec::is_empty);
    ensure!(failed, "expected the first way to do: {}", visit.report);
    client.holds(PROGRAM, &variant.program)
}

/// An update whose download is cut half-way: the second request is for the rest, and no byte comes twice.
pub(super) fn update_over_broken_link(client: &Client<'_>) -> Result<Visit> {
    client.link.cut_next_blob();
    let visit = client.update()?;
    let size = visit.report["way"]["blob"]["size"].as_u64();
    let size = size.with_context(|| format!("no size of what was fetched: {}", visit.report))?;
    let blobs: Vec<_> =
        visit.exchanges.iter().filter(|exchange| exchange.path.starts_with("/blobs/")).collect();
    let [broken, resumed] = blobs.as_slice() else {
        anyhow::bail!("expected a broken request and one for the rest, found {blobs:?}");
    };
    ensure!(broken.cut && broken.status == Some(200), "the first download was to break: {broken:?}");
    ensure!(resumed.status == Some(206), "the second was to be for the rest: {resumed:?}");
    let received = broken.received + resumed.received;
    ensure!(received < size + HEADS, "{received} bytes came for a blob of {size}: some came twice");
    Ok(visit)
}

/// Starts what a client has installed and asks it for a file outside of its folder, in the way that 1.0.0 falls for.
fn leaks(client: &Client<'_>, places: &Places, expected: bool) -> Result<()> {
    let log = places.logs.join(format!("{}.log", client.name));
    let running: Running = sample::start(&client.program(PROGRAM), &places.site, &log)?;
    let (status, _, page) = running.get("/")?;
    ensure!(
        status == 200 && page.contains("It works"),
        "{} does not serve its site: {status} {page}",
        client.name
    );
    let (status, _, body) = running.get("/%2e%2e/secret.txt")?;
    let leaked = status == 200 && body.contains("the secret");
    ensure!(leaked == expected, "expected the leak of {} to be {expected}: {status} {body}", client.name);
    Ok(())
}

fn blob_key(blob: &Value) -> Result<String> {
    let digest = blob["digest"].as_str().with_context(|| format!("no digest in {blob}"))?;
    Ok(format!("blobs/{}/{digest}", digest.get(..2).unwrap_or_default()))
}

/// Flips a bit in the middle of a file.
fn damage(path: &Path) -> Result<()> {
    let mut bytes = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).context("the file is empty")? ^= 1;
    fs::write(path, bytes).with_context(|| format!("failed to damage {}", path.display()))
}

fn cost(visit: &Visit, full: u64) -> String {
    format!("{} bytes, the full copy has {}", grouped(wire(&visit.exchanges)), grouped(full))
}

fn short(key: &str) -> &str {
    key.get(..17).unwrap_or(key)
}

fn three(variants: &[Variant]) -> Result<[&Variant; 3]> {
    let [one, two, three] = variants else { anyhow::bail!("expected three releases") };
    Ok([one, two, three])
}
