//! The builds that the demo publishes: the sample web server in three releases, with and without plugins.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::program::{self, Running};
use crate::workspace;

/// Name of the program, and of the file that clients install.
pub(super) const PROGRAM: &str = "sample";

/// One release of the sample.
pub(super) struct Release {
    pub(super) version: &'static str,
    /// The cargo feature that switches it in.
    feature: &'static str,
    pub(super) severity: &'static str,
    /// Plugins whose change in this release is more than routine.
    plugin_severities: &'static [(&'static str, &'static str)],
    pub(super) notes: &'static str,
}

/// As the sample's README tells them.
const RELEASES: [Release; 3] = [
    Release {
        version: "1.0.0",
        feature: "",
        severity: "routine",
        plugin_severities: &[],
        notes: "serves a folder",
    },
    Release {
        version: "1.1.0",
        feature: "v1_1",
        severity: "routine",
        plugin_severities: &[("markdown", "feature")],
        notes: "conditional requests, more content types",
    },
    Release {
        version: "1.2.0",
        feature: "v1_2",
        severity: "critical",
        plugin_severities: &[("basic-auth", "critical")],
        notes: "a percent-encoded .. no longer leaves the folder",
    },
];

/// The plugins of the build line that has some, as cargo features.
const PLUGINS: [&str; 3] = ["basic-auth", "gzip", "markdown"];

/// One build: a release with a plugin set.
pub(super) struct Variant {
    pub(super) release: &'static Release,
    pub(super) program: PathBuf,
    pub(super) size: u64,
    /// `NAME@VERSION[:SEVERITY]`, as `smidgen publish` takes them. Names and versions are what the program says.
    pub(super) plugins: Vec<String>,
}

/// Builds every release without plugins and with them, in `scratch`. What cargo has built before is quick.
pub(super) fn build_all(scratch: &Path) -> Result<([Variant; 3], [Variant; 3])> {
    let line = |plugins: &[&str]| -> Result<[Variant; 3]> {
        let [one, two, three] = &RELEASES;
        Ok([build(one, plugins, scratch)?, build(two, plugins, scratch)?, build(three, plugins, scratch)?])
    };
    Ok((line(&[])?, line(&PLUGINS)?))
}

fn build(release: &'static Release, plugins: &[&str], scratch: &Path) -> Result<Variant> {
    let root = workspace::root();
    let manifest = root.join("fixtures/sample/Cargo.toml");
    let target = root.join("target/sample");
    let features = plugins.iter().copied().chain([release.feature]).collect::<Vec<_>>().join(",");
    let [manifest, target] = [&manifest, &target].map(|path| path.to_string_lossy());
    let arguments = [
        "--quiet",
        "--release",
        "--manifest-path",
        &manifest,
        "--target-dir",
        &target,
        "--features",
        &features,
    ];
    let built = program::build(&arguments)?;
    // Each variant is built over the one before; clients know the program by its file name, so each gets a folder.
    let folder = scratch.join(format!(
        "builds/{}-{}",
        release.version,
        if plugins.is_empty() { "plain" } else { "plugins" }
    ));
    fs::create_dir_all(&folder)?;
    let program = folder.join(PROGRAM);
    fs::copy(&built, &program).with_context(|| format!("failed to copy {}", built.display()))?;
    let (version, plugins) = ask_version(&program)?;
    ensure!(version == release.version, "built release {} and got {version}", release.version);
    let plugins = plugins.iter().map(|plugin| release.specify(plugin)).collect();
    let size = fs::metadata(&program)?.len();
    Ok(Variant { release, program, size, plugins })
}

impl Release {
    fn specify(&self, plugin: &str) -> String {
        let name = plugin.split('@').next().unwrap_or_default();
        let severity = self.plugin_severities.iter().find(|(other, _)| *other == name);
        severity.map_or(plugin.to_owned(), |(_, severity)| format!("{plugin}:{severity}"))
    }
}

/// Version and plugins (`NAME@VERSION`) as the program at `path` prints them.
pub(super) fn ask_version(path: &Path) -> Result<(String, Vec<String>)> {
    let text = workspace::output(Command::new(path).arg("--version"))?;
    let line = |prefix| text.lines().find_map(|line| line.strip_prefix(prefix));
    let version = line("sample ").with_context(|| format!("{} prints no version: {text}", path.display()))?;
    let plugins = line("plugins: ").unwrap_or_default().split(' ').filter(|plugin| plugin.contains('@'));
    Ok((version.to_owned(), plugins.map(str::to_owned).collect()))
}

/// Starts the program at `path` on the folder `site`.
pub(super) fn start(path: &Path, site: &Path, log: &Path) -> Result<Running> {
    let mut command = Command::new(path);
    command.arg(site).args(["--listen", "127.0.0.1:0"]);
    Running::start(&mut command, log, |line| line.strip_prefix("listening on http://")?.parse().ok())
}
