//! What a metadata file says: role, keys, expiry, the releases or files that it lists, and to whom it delegates.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use serde::Serialize;
use smidgen_metadata::canonical::Value;
use smidgen_metadata::{
    BuildLine, Limits, Line, LineId, MetaFile, PluginRelease, RawMetadata, Release, Role, RoleKind, RoleName,
    Root, Snapshot, Target, Targets, Timestamp, TimestampRole,
};

use super::delegations::{self, Delegation};
use crate::quantity::{exact, table};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

#[derive(Serialize)]
pub(super) struct Report {
    role: &'static str,
    version: u64,
    expires: Timestamp,
    /// Negative when it has expired.
    days_left: i64,
    #[serde(skip)]
    seconds_left: i64,
    signed_by: Vec<String>,
    #[serde(flatten)]
    content: Content,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content {
    Root { consistent_snapshot: bool, roles: Vec<RoleKeys> },
    Timestamp { repository: Option<String>, signed_at: Option<Timestamp>, files: Vec<File> },
    Snapshot { repository: Option<String>, files: Vec<File> },
    Targets { lines: Vec<LineReport>, others: Vec<Other>, delegations: Vec<Delegation> },
}

#[derive(Serialize)]
struct RoleKeys {
    role: String,
    threshold: u64,
    keys: Vec<String>,
}

#[derive(Serialize)]
struct File {
    name: String,
    version: u64,
    length: Option<u64>,
}

#[derive(Serialize)]
struct LineReport {
    line: LineId,
    #[serde(flatten)]
    build_line: BuildLine,
    #[serde(flatten)]
    content: Line,
}

/// A target that is no release of ours.
#[derive(Serialize)]
struct Other {
    path: String,
    length: u64,
}

impl Report {
    pub(super) fn of(bytes: &[u8]) -> Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Self::at(bytes, Timestamp::from_unix(i64::try_from(now).unwrap_or(i64::MAX)))
    }

    fn at(bytes: &[u8], now: Timestamp) -> Result<Self> {
        let raw = RawMetadata::parse_any(bytes, &Limits::default())?;
        match raw.name() {
            RoleName::Top(RoleKind::Root) => Self::read(&raw, now, root),
            RoleName::Top(RoleKind::Timestamp) => Self::read(&raw, now, timestamp),
            RoleName::Top(RoleKind::Snapshot) => Self::read(&raw, now, snapshot),
            _ => Self::read(&raw, now, targets),
        }
    }

    fn read<R: Role>(
        raw: &RawMetadata<'_>,
        now: Timestamp,
        content: impl FnOnce(&R) -> Content,
    ) -> Result<Self> {
        let role: R = raw.read_unverified()?;
        let (version, expires) = (role.version(), role.expires());
        let seconds_left = expires.unix() - now.unix();
        Ok(Self {
            role: R::KIND.as_str(),
            version,
            expires,
            days_left: seconds_left.div_euclid(DAY),
            seconds_left,
            signed_by: raw.signers().map(ToString::to_string).collect(),
            content: content(&role),
        })
    }

    pub(super) fn text(&self) -> String {
        let mut text =
            format!("{}: version {}, expires {} ({})\n", self.role, self.version, self.expires, self.left());
        for key in &self.signed_by {
            let _ = writeln!(text, "  carries a signature of key {key}");
        }
        text.push('\n');
        text.push_str(&self.content.text());
        text
    }

    fn left(&self) -> String {
        let span = match self.seconds_left.abs() {
            seconds if seconds >= 2 * DAY => format!("{} days", seconds / DAY),
            seconds => format!("{} hours", seconds / HOUR),
        };
        if self.seconds_left > 0 { format!("in {span}") } else { format!("{span} ago") }
    }
}

fn root(root: &Root) -> Content {
    let roles = root.roles.iter().map(|(kind, role)| RoleKeys {
        role: kind.to_string(),
        threshold: role.threshold,
        keys: role.keyids.iter().map(ToString::to_string).collect(),
    });
    Content::Root { consistent_snapshot: root.consistent_snapshot, roles: roles.collect() }
}

fn timestamp(timestamp: &TimestampRole) -> Content {
    let files = vec![File::of("snapshot.json", &timestamp.snapshot)];
    Content::Timestamp { repository: timestamp.repository.clone(), signed_at: timestamp.signed_at, files }
}

fn snapshot(snapshot: &Snapshot) -> Content {
    let files = snapshot.meta.iter().map(|(name, file)| File::of(name, file)).collect();
    Content::Snapshot { repository: snapshot.repository.clone(), files }
}

fn targets(targets: &Targets) -> Content {
    let found: BTreeSet<BuildLine> =
        targets.targets.iter().filter_map(|(path, target)| build_line(path, target)).collect();
    let lines: Vec<LineReport> = found
        .into_iter()
        .filter_map(|build_line| {
            let content = Line::read(targets, &build_line).ok().flatten()?;
            Some(LineReport { line: build_line.id(), build_line, content })
        })
        .collect();
    let prefixes: Vec<String> = lines.iter().map(|line| line.build_line.target_prefix()).collect();
    let others =
        targets.targets.iter().filter(|(path, _)| !prefixes.iter().any(|prefix| path.starts_with(prefix)));
    let others = others.map(|(path, target)| Other { path: path.clone(), length: target.length }).collect();
    Content::Targets { lines, others, delegations: delegations::of(targets.delegations.as_ref()) }
}

/// The build line that a target belongs to, as far as the target itself tells.
fn build_line(path: &str, target: &Target) -> Option<BuildLine> {
    let mut parts = path.split('/');
    let (product, channel, platform) = (parts.next()?, parts.next()?, parts.next()?);
    let Some(Value::Array(plugins)) = target.custom.as_ref()?.get("plugins") else { return None };
    let mut names = Vec::new();
    for plugin in plugins {
        let Value::String(plugin) = plugin else { return None };
        names.push(plugin.parse::<PluginRelease>().ok()?.name.to_string());
    }
    let line = BuildLine::new(product, channel, platform, names.iter().map(String::as_str)).ok()?;
    path.starts_with(&line.target_prefix()).then_some(line)
}

impl File {
    fn of(name: &str, file: &MetaFile) -> Self {
        Self { name: name.to_owned(), version: file.version, length: file.length }
    }
}

impl Content {
    fn text(&self) -> String {
        match self {
            Self::Root { consistent_snapshot, roles } => {
                let mut text =
                    format!("consistent snapshots: {}\n", if *consistent_snapshot { "yes" } else { "no" });
                for role in roles {
                    let _ = writeln!(
                        text,
                        "{}: {} of {} keys must sign",
                        role.role,
                        role.threshold,
                        role.keys.len()
                    );
                    for key in &role.keys {
                        let _ = writeln!(text, "  key {key}");
                    }
                }
                text
            }
            Self::Timestamp { repository, signed_at, files } => {
                let signed_at =
                    signed_at.map_or_else(|| "an unknown time".to_owned(), |time| time.to_string());
                format!(
                    "{}signed at {signed_at}\n{}",
                    repository_line(repository.as_deref()),
                    files_text(files)
                )
            }
            Self::Snapshot { repository, files } => {
                format!("{}{}", repository_line(repository.as_deref()), files_text(files))
            }
            Self::Targets { lines, others, delegations } => {
                let mut text: String = lines.iter().map(LineReport::text).collect::<Vec<_>>().join("\n");
                for other in others {
                    let _ = writeln!(text, "{} ({} bytes): not a release", other.path, exact(other.length));
                }
                text.push_str(&delegations::text(delegations));
                if text.is_empty() {
                    text.push_str("lists nothing\n");
                }
                text
            }
        }
    }
}

fn repository_line(name: Option<&str>) -> String {
    format!("repository: {}\n", name.unwrap_or("without a signed name"))
}

fn files_text(files: &[File]) -> String {
    let rows: Vec<Vec<String>> = files
        .iter()
        .map(|file| {
            let length =
                file.length.map_or_else(|| "-".to_owned(), |length| format!("{} bytes", exact(length)));
            vec![file.name.clone(), format!("version {}", file.version), length]
        })
        .collect();
    table(&rows)
}

impl LineReport {
    fn text(&self) -> String {
        let BuildLine { product, channel, platform, plugins } = &self.build_line;
        let plugins: String = plugins.iter().map(|name| format!(" +{name}")).collect();
        let header =
            ["sequence", "version", "severity", "size", "full copy", "patches"].map(str::to_owned).to_vec();
        let mut rows = vec![header];
        for entry in self.content.history() {
            let [size, full, patches] = match self.content.release(entry.sequence) {
                Some(release) => [exact(release.size), exact(release.full.size), sizes_of_patches(release)],
                None if entry.withdrawn => ["-", "-", "withdrawn"].map(str::to_owned),
                None => ["-", "-", "not offered"].map(str::to_owned),
            };
            let (version, severity) = (entry.version.to_string(), entry.severity.to_string());
            rows.push(vec![entry.sequence.to_string(), version, severity, size, full, patches]);
        }
        format!("{product} {channel} {platform}{plugins} (line {})\n{}", self.line, table(&rows))
    }
}

fn sizes_of_patches(release: &Release) -> String {
    let sizes = release.patches.iter().map(|patch| patch.size);
    match (sizes.clone().min(), sizes.max()) {
        (Some(least), Some(most)) if least == most => exact(least),
        (Some(least), Some(most)) => format!("{} to {}", exact(least), exact(most)),
        _ => "none".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use smidgen_metadata::sign::Signer as _;
    use smidgen_metadata::{Blake3, Blob, Header, PatchEntry, Severity, Sha256};

    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T16:00:00Z".parse().unwrap()
    }

    #[test]
    fn reads_a_timestamp_as_recorded() {
        let file = br#"{"signatures":[{"keyid":"0a0b","sig":"00"}],"signed":{
            "_type":"timestamp","spec_version":"1.0.31","version":7,"expires":"2026-11-26T16:00:00Z",
            "x-smidgen-repository":"demo","x-smidgen-signed-at":"2026-11-23T16:00:00Z",
            "meta":{"snapshot.json":{"version":7,"length":512,"hashes":{"sha256":"00"}}}}}"#;
        let report = Report::at(file, now()).unwrap();
        insta::assert_snapshot!(report.text());
        insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
        let late = Report::at(file, now().plus_days(4)).unwrap();
        assert!(late.text().contains("(24 hours ago)"), "{}", late.text());
        assert_eq!(late.days_left, -1);
    }

    #[test]
    fn reads_a_root_as_recorded() {
        let mut root = Root::new(Header::new(1, now().plus_days(365)));
        let key = |byte| smidgen_metadata::sign::SecretKey::from_seed(&[byte; 32]).unwrap().public_key();
        root.assign(RoleKind::Root, 2, [key(1), key(2), key(3)]);
        root.assign(RoleKind::Timestamp, 1, [key(4)]);
        insta::assert_snapshot!(super::root(&root).text());
    }

    #[test]
    fn reads_targets_as_recorded() {
        let build_line = BuildLine::new("editor", "stable", "x86_64-linux", ["spell"]).unwrap();
        let mut line = Line::default();
        for sequence in 1..=4 {
            line.push(release(sequence), &build_line).unwrap();
        }
        line.withdraw(2);
        line.keep_newest(2);
        let mut all = Targets::new(Header::new(3, now().plus_days(90)));
        line.write(&mut all, &build_line);
        let foreign = Target {
            length: 1234,
            hashes: smidgen_metadata::Hashes::sha256(Sha256::from_bytes([0; 32])),
            custom: None,
            unknown: Default::default(),
        };
        all.targets.insert("readme.txt".to_owned(), foreign);
        insta::assert_snapshot!(targets(&all).text());
        assert_eq!(targets(&Targets::new(Header::new(1, now()))).text(), "lists nothing\n");
    }

    fn release(sequence: u64) -> Release {
        let blake3 = |byte: u64| Blake3::from_bytes([byte as u8; 32]);
        let patch = |old: u64| PatchEntry {
            old: blake3(old).prefix(),
            codec: "classic".parse().unwrap(),
            size: 1000 * (sequence - old),
            digest: blake3(100 + old).to_blob(),
            memory_mib: 1,
            peak_mib: Some(5),
        };
        Release {
            sequence,
            version: format!("1.{sequence}.0").parse().unwrap(),
            severity: if sequence == 3 { Severity::Critical } else { Severity::Routine },
            plugins: vec!["spell@2.0.0".parse().unwrap()],
            name: "editor".parse().unwrap(),
            size: 11_000_000 + sequence,
            sha256: Sha256::from_bytes([9; 32]),
            blake3: blake3(sequence),
            mode: 0o755,
            full: Blob { size: 4_000_000 + sequence, digest: blake3(200).to_blob() },
            patches: (1..sequence).map(patch).collect(),
            raw: true,
            notes: None,
            unknown: Default::default(),
        }
    }
}
