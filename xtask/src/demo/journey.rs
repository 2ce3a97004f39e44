//! The sample's journey: three releases, two build lines, three clients, and what goes wrong on the way.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::fleet::{Client, Line, Visit};
use super::ledger::{Ledger, grouped, wire};
use super::program::{Ended, Smidgen};
use super::publisher::{self, Publication, Publisher};
use super::sample::{self, PROGRAM, Variant};
use super::story::Story;

/// Exit code of `smidgen verify` when it found something.
const FINDINGS: i32 = 7;
/// More than the heads of two answers take.
const HEADS: u64 = 2 << 10;

/// Everything that takes part.
struct Journey<'a> {
    story: &'a Story,
    publisher: &'a Publisher<'a>,
    /// 1.0.0, 1.1.0 and 1.2.0 without plugins, and with them.
    plain: &'a [Variant; 3],
    plugins: &'a [Variant; 3],
    /// Takes every update, without plugins.
    eager: Client<'a>,
    /// Takes critical updates only, with plugins.
    careful: Client<'a>,
    /// Takes every update, without plugins, and meets a damaged patch.
    unlucky: Client<'a>,
    site: Site,
    ledger: Ledger,
}

/// Runs the whole journey in the folder `scratch`. Every claim is checked; the first one that does not hold ends it.
pub(super) fn run(smidgen: &Smidgen, scratch: &Path, story: &Story) -> Result<()> {
    story.chapter("Builds");
    let (plain, plugins) = sample::build_all(scratch)?;
    for variant in plain.iter().chain(&plugins) {
        let set =
            if variant.plugins.is_empty() { "no plugins".to_owned() } else { variant.plugins.join(" ") };
        story.line(format!("sample {}  {:>9} bytes  {set}", variant.release.version, grouped(variant.size)));
    }

    story.chapter("A repository, and release 1.0.0");
    let publisher = Publisher::init(smidgen, scratch)?;
    story.line("made a repository, and seven keys outside of it");
    let server = publisher.serve()?;
    story.line(format!("serving it at http://{}/", server.address));
    let client = |name, variant: &Variant, policy| {
        let line = line_of(variant);
        Client::new(smidgen, name, line, policy, &server, &publisher.root, &scratch.join("clients"))
    };
    let (eager, unlucky) = (client("eager", &plain[0], "all")?, client("unlucky", &plain[0], "all")?);
    let careful = client("careful", &plugins[0], "critical")?;
    let site = Site::below(scratch)?;
    let ledger = Ledger::default();
    let (publisher, plain, plugins) = (&publisher, &plain, &plugins);
    let mut journey = Journey { story, publisher, plain, plugins, eager, careful, unlucky, site, ledger };
    journey.first_installs()?;
    journey.routine_release()?;
    let damaged = journey.critical_release()?;
    journey.repair(&damaged)?;
    journey.updated_programs()?;
    story.chapter("What it cost");
    story.table(&journey.ledger);
    Ok(())
}

impl Journey<'_> {
    fn first_installs(&mut self) -> Result<()> {
        let full = [self.publish(&self.plain[0])?, self.publish(&self.plugins[0])?];
        self.story.chapter("First installs");
        let visit = first_install(&self.eager, &self.plain[0])?;
        self.tell_install("eager", "1.0.0", &visit, full[0]);
        let visit = first_install(&self.careful, &self.plugins[0])?;
        self.tell_install("careful", "1.0.0", &visit, full[1]);
        self.site.run(&self.eager, Leak::Open)?;
        self.story
            .line("eager runs it: GET /%2e%2e/secret.txt gives away a file beside the site, until 1.2.0");
        Ok(())
    }

    fn routine_release(&mut self) -> Result<()> {
        self.story.chapter("Release 1.1.0, routine");
        let full = self.publish(&self.plain[1])?;
        self.publish(&self.plugins[1])?;
        let visit = self.eager.update()?;
        updated_by_patch(&self.eager, &visit, &self.plain[1])?;
        self.ledger.add("eager", "1.0.0 -> 1.1.0, routine", &visit.exchanges, Some(full));
        self.story.line(format!("eager (policy all) updates by patch: {}", cost(&visit, full)));

        let visit = self.careful.update()?;
        visit.expect("outcome", "below_policy")?;
        visit.expect("newest", "1.1.0")?;
        visit.expect("severity", "feature")?;
        self.careful.holds(PROGRAM, &self.plugins[0].program)?;
        self.ledger.add("careful", "1.1.0 is below its policy", &visit.exchanges, None);
        let bytes = grouped(wire(&visit.exchanges));
        self.story.line(format!(
            "careful (policy critical) sees nothing above feature in 1.1.0 and its plugins, and stays: {bytes} bytes"
        ));

        let visit = self.eager.update()?;
        visit.expect("outcome", "up_to_date")?;
        let statuses: Vec<_> = visit.exchanges.iter().map(|exchange| exchange.status).collect();
        ensure!(
            statuses == [Some(304)],
            "an idle poll is to be one request answered 304, and was {statuses:?}"
        );
        self.ledger.add("eager", "idle poll", &visit.exchanges, None);
        let bytes = grouped(wire(&visit.exchanges));
        self.story.line(format!("eager polls again: one request, 304, {bytes} bytes in all"));

        let visit = first_install(&self.unlucky, &self.plain[1])?;
        self.tell_install("unlucky", "1.1.0", &visit, full);
        Ok(())
    }

    /// Returns the key of the patch that was damaged in the repository.
    fn critical_release(&mut self) -> Result<String> {
        self.story.chapter("Release 1.2.0, critical");
        let full = self.publish(&self.plain[2])?;
        let full_plugins = self.publish(&self.plugins[2])?;
        let visit = self.careful.update()?;
        updated_by_patch(&self.careful, &visit, &self.plugins[2])?;
        visit.expect("severity", "critical")?;
        self.ledger.add("careful", "1.0.0 -> 1.2.0, critical", &visit.exchanges, Some(full_plugins));
        self.story.line(format!("careful takes it at once, skipping 1.1.0: {}", cost(&visit, full_plugins)));

        let visit = update_over_broken_link(&self.eager)?;
        updated_by_patch(&self.eager, &visit, &self.plain[2])?;
        self.ledger.add("eager", "1.1.0 -> 1.2.0, resumed", &visit.exchanges, Some(full));
        let cost_resumed = cost(&visit, full);
        self.story
            .line(format!("eager loses its connection half-way and goes on where it was: {cost_resumed}"));

        let patch = blob_key(&visit.report["way"]["blob"])?;
        damage(&self.publisher.repository.join(&patch))?;
        let visit = self.unlucky.update()?;
        visit.expect("outcome", "updated")?;
        let (way, failed) = (&visit.report["way"]["way"], &visit.report["failed"][0]["code"]);
        ensure!(
            way == "full" && failed == "blob_damaged",
            "expected the full copy instead: {}",
            visit.report
        );
        self.unlucky.holds(PROGRAM, &self.plain[2].program)?;
        self.ledger.add("unlucky", "1.1.0 -> 1.2.0, patch damaged", &visit.exchanges, Some(full));
        self.story.line(
            "a byte of that patch is flipped in the repository: unlucky finds that its digest is wrong,",
        );
        self.story.line(format!("and takes the full copy instead: {}", cost(&visit, full)));
        Ok(patch)
    }

    fn repair(&self, damaged: &str) -> Result<()> {
        self.story.chapter("The repository");
        let Ended { exit, report } = self.publisher.verify()?;
        let findings = report["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
        let found = findings.iter().any(|finding| finding["key"] == damaged);
        ensure!(exit == FINDINGS && found, "verify is to find the damage; it ended with {exit}: {report}");
        let short = damaged.get(..17).unwrap_or(damaged);
        self.story.line(format!("smidgen verify finds it: {short}.. is not what its name says"));
        let report = self.publisher.publish(&publication(&self.plain[2], &line_of(&self.plain[2])))?;
        ensure!(report["outcome"] == "restored", "expected the lost patch to be restored: {report}");
        self.story.line("publishing 1.2.0 again restores it");
        self.story.line(self.publisher.verify_sound()?);
        Ok(())
    }

    fn updated_programs(&self) -> Result<()> {
        self.story.chapter("The updated programs");
        let clients = [(&self.eager, self.plain), (&self.careful, self.plugins), (&self.unlucky, self.plain)];
        for (client, [_, _, variant]) in clients {
            client.holds(PROGRAM, &variant.program)?;
            let (version, plugins) = sample::ask_version(&client.program(PROGRAM))?;
            ensure!(version == "1.2.0", "{} was updated and says {version}", client.name);
            self.site.run(client, Leak::Closed)?;
            let plugins =
                if plugins.is_empty() { String::new() } else { format!(" with {}", plugins.join(" ")) };
            self.story.line(format!("{:<8} runs sample {version}{plugins}; the leak is closed", client.name));
        }
        Ok(())
    }

    /// Publishes a build, tells of it, and returns the bytes of its full copy.
    fn publish(&self, variant: &Variant) -> Result<u64> {
        let report = self.publisher.publish(&publication(variant, &line_of(variant)))?;
        ensure!(report["outcome"] == "added", "expected a new release: {report}");
        let full = publisher::full_size(&report)?;
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

    fn tell_install(&mut self, who: &str, version: &str, visit: &Visit, full: u64) {
        let bytes = grouped(wire(&visit.exchanges));
        self.story.line(format!("{who:<8} installs {version}: {bytes} bytes"));
        self.ledger.add(who, format!("first install of {version}"), &visit.exchanges, Some(full));
    }
}

/// A folder to serve, and a secret beside it.
struct Site {
    folder: PathBuf,
    log: PathBuf,
}

/// Whether a program gives the secret away: the releases before 1.2.0 do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leak {
    Open,
    Closed,
}

impl Site {
    fn below(scratch: &Path) -> Result<Self> {
        let site = Self { folder: scratch.join("site"), log: scratch.join("sample.log") };
        fs::create_dir_all(&site.folder)?;
        fs::write(site.folder.join("index.html"), "<h1>It works</h1>\n")?;
        fs::write(scratch.join("secret.txt"), "the secret\n")?;
        Ok(site)
    }

    /// Starts what a client has installed, and asks it for a page of the site and for the secret.
    fn run(&self, client: &Client<'_>, expected: Leak) -> Result<()> {
        let running = sample::start(&client.program(PROGRAM), &self.folder, &self.log)?;
        let (status, page) = running.get("/")?;
        ensure!(status == 200 && page.contains("It works"), "{}: no site: {status} {page}", client.name);
        let (status, body) = running.get("/%2e%2e/secret.txt")?;
        let found = if status == 200 && body.contains("the secret") { Leak::Open } else { Leak::Closed };
        ensure!(found == expected, "{}: expected the leak to be {expected:?}: {status} {body}", client.name);
        Ok(())
    }
}

fn line_of(variant: &Variant) -> Line {
    let plugins = variant.plugins.iter().filter_map(|plugin| plugin.split('@').next());
    Line {
        product: "sample".to_owned(),
        channel: "stable".to_owned(),
        platform: "x86_64-linux".to_owned(),
        plugins: plugins.map(str::to_owned).collect(),
    }
}

fn publication<'a>(variant: &'a Variant, line: &'a Line) -> Publication<'a> {
    let release = variant.release;
    Publication {
        line,
        version: release.version,
        severity: release.severity,
        plugins: &variant.plugins,
        notes: release.notes,
        file: &variant.program,
    }
}

fn first_install(client: &Client<'_>, variant: &Variant) -> Result<Visit> {
    let visit = client.update()?;
    visit.expect("outcome", "installed")?;
    ensure!(visit.report["way"]["way"] == "full", "a first install takes the full copy: {}", visit.report);
    client.holds(PROGRAM, &variant.program)?;
    Ok(visit)
}

fn updated_by_patch(client: &Client<'_>, visit: &Visit, variant: &Variant) -> Result<()> {
    visit.expect("outcome", "updated")?;
    let at_once = visit.report["failed"].as_array().is_none_or(Vec::is_empty);
    ensure!(visit.report["way"]["way"] == "patch" && at_once, "expected a patch: {}", visit.report);
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
        bail!("expected a broken request and one for the rest, found {blobs:?}");
    };
    ensure!(broken.cut && broken.status == Some(200), "the first download was to break: {broken:?}");
    ensure!(resumed.range.is_some() && resumed.status == Some(206), "no request for the rest: {resumed:?}");
    let received = broken.received + resumed.received;
    ensure!(received < size + HEADS, "{received} bytes came for a blob of {size}: some came twice");
    Ok(visit)
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
