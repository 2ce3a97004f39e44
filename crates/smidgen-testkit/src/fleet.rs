//! A generated repository of very many build lines: signed metadata as a publisher leaves it, without any build.
//!
//! Made role by role from the metadata crate alone, so that it shows what the format costs, and so that a publisher which
//! takes it up proves to understand what somebody else has written in the documented layout.

use std::collections::{BTreeMap, BTreeSet};

use smidgen_metadata::sign::{SecretKey, Signer, next_snapshot, next_targets, next_timestamp, sign_role};
use smidgen_metadata::{
    Blake3, Blob, BuildLine, Delegated, DelegatedRole, Delegations, HISTORY_CAP, Header, Line, MetaFile,
    Name, PatchEntry, PluginRelease, Release, Role as _, RoleKind, RoleName, Root, Scope, Severity, Sha256,
    Shard, Shards, Targets, Timestamp,
};

use crate::seed::Seed;

/// The product of all lines.
const PRODUCT: &str = "editor";
/// Releases that every line has had.
const RELEASES: u64 = 40;
/// Patches that lead to the newest.
const PATCHES: u64 = 5;

/// Many build lines in shards under one root.
#[derive(Debug)]
pub struct Fleet {
    shards: Shards,
    now: Timestamp,
    root: Vec<u8>,
    targets: Vec<u8>,
    lines: BTreeMap<String, (Shard, Vec<BuildLine>)>,
}

/// The keys by the names of their files, without the extension.
const KEYS: [&str; 7] = ["root-1", "root-2", "root-3", "targets", "release", "snapshot", "timestamp"];

fn key(name: &str) -> SecretKey {
    let number = KEYS.iter().position(|known| *known == name).expect("a key");
    SecretKey::from_seed(&[u8::try_from(number).expect("few keys") + 17; 32]).expect("a key")
}

impl Fleet {
    /// So many lines in so many shards, signed now.
    #[must_use]
    pub fn new(lines: usize, shards: u64, now: Timestamp) -> Self {
        let shards = Shards::new("acme".parse().expect("a name"), shards).expect("a power of two");
        let mut root = Root::new(Header::new(1, now.plus_hours(365 * 24)));
        shards.write(&mut root);
        let roots = ["root-1", "root-2", "root-3"].map(key);
        root.assign(RoleKind::Root, 2, roots.iter().map(Signer::public_key));
        for role in [RoleKind::Targets, RoleKind::Snapshot, RoleKind::Timestamp] {
            root.assign(role, 1, [key(role.as_str()).public_key()]);
        }
        let root = sign_role(&root, &[&roots[0], &roots[1]]).expect("a signed root");
        let mut targets = next_targets(None, now.plus_hours(182 * 24));
        delegate(&mut targets, PRODUCT, format!("{PRODUCT}/*/*/*/*/*"));
        let targets = sign_role(&targets, &[&key("targets")]).expect("signed targets");
        let mut fleet = Self { shards, now, root, targets, lines: BTreeMap::new() };
        for number in 0..lines {
            let line = line(number);
            let shard = fleet.shards.of_line(line.id());
            fleet.lines.entry(shard.folder.clone()).or_insert_with(|| (shard, Vec::new())).1.push(line);
        }
        fleet
    }

    /// What is at home beside the shards.
    pub fn home(&self) -> impl Iterator<Item = (String, Vec<u8>)> {
        let files = [("root", &self.root), ("targets", &self.targets)];
        files.into_iter().map(|(role, bytes)| (format!("metadata/1.{role}.json"), bytes.clone()))
    }

    /// Folders of the shards that have lines, and the lines.
    pub fn shards(&self) -> impl Iterator<Item = (&str, &[BuildLine])> {
        self.lines.iter().map(|(folder, (_, lines))| (folder.as_str(), lines.as_slice()))
    }

    /// All metadata of a shard, by the path below its folder, and the role of each of its lines.
    #[must_use]
    pub fn shard(&self, folder: &str) -> (BTreeMap<String, Vec<u8>>, BTreeMap<BuildLine, String>) {
        let (shard, lines) = &self.lines[folder];
        let mut files: BTreeMap<String, Vec<u8>> = self.home().collect();
        let mut roles = BTreeMap::new();
        let mut product = next_targets(None, self.now.plus_hours(90 * 24));
        let mut listed = vec![(RoleName::from(RoleKind::Targets), MetaFile::new(1))];
        let release_key = key("release");
        let mut sign = |name: &str, role: &Targets| {
            let bytes = sign_role(role, &[&release_key]).expect("a signed role");
            files.insert(format!("metadata/{}.{name}.json", role.version()), bytes);
            listed.push((RoleName::Delegated(name.to_owned()), MetaFile::new(role.version())));
        };
        for line in lines {
            let id = line.id().to_string();
            let name = (2..=id.len())
                .map(|digits| format!("{PRODUCT}~{}", &id[id.len() - digits..]))
                .find(|name| !roles.values().any(|taken| taken == name))
                .expect("a free name");
            delegate(&mut product, &name, format!("{}*/*", line.target_prefix()));
            let mut role = next_targets(None, self.now.plus_hours(90 * 24));
            role.header.version = RELEASES + line.id().to_bits() % 20;
            releases(line).write(&mut role, line);
            sign(&name, &role);
            roles.insert(line.clone(), name);
        }
        sign(PRODUCT, &product);
        let mut snapshot = next_snapshot(None, &shard.name, listed, self.now.plus_hours(14 * 24));
        snapshot.header.version = RELEASES * lines.len() as u64;
        let raw = sign_role(&snapshot, &[&key("snapshot")]).expect("a signed snapshot");
        files.insert(format!("metadata/{}.snapshot.json", snapshot.version()), raw);
        let expires = self.now.plus_hours(72);
        let listed = MetaFile::new(snapshot.version());
        let mut timestamp = next_timestamp(None, &shard.name, listed, self.now, expires);
        timestamp.header.version = snapshot.version() + 300;
        let raw = sign_role(&timestamp, &[&key("timestamp")]).expect("a signed timestamp");
        files.insert("metadata/timestamp.json".to_owned(), raw);
        (files, roles)
    }

    /// The secret keys, as files of a keys folder: name and PEM.
    pub fn keys() -> impl Iterator<Item = (String, String)> {
        KEYS.into_iter().map(|name| (format!("{name}.pem"), key(name).to_pem().expect("a key").to_string()))
    }
}

fn delegate(delegator: &mut Targets, name: &str, pattern: String) {
    let key = key("release").public_key();
    let delegations = delegator.delegations.get_or_insert_with(|| Delegations {
        keys: BTreeMap::from([(key.id(), key.clone())]),
        roles: Delegated::Roles(Vec::new()),
        unknown: BTreeMap::new(),
    });
    let Delegated::Roles(roles) = &mut delegations.roles else { panic!("bins") };
    roles.push(DelegatedRole {
        name: name.to_owned(),
        keyids: BTreeSet::from([key.id()]),
        threshold: 1,
        terminating: true,
        scope: Scope::Paths(vec![pattern]),
        unknown: BTreeMap::new(),
    });
}

/// Lines differ in platform and in their plugins: two to four of a few hundred.
fn line(number: usize) -> BuildLine {
    let platforms = ["x86_64-linux", "aarch64-linux", "x86_64-windows", "aarch64-macos"];
    let mut seed = Seed::new(number as u64);
    let mut plugins = vec![format!("set-{}", number / platforms.len())];
    plugins.extend((0..1 + seed.below(3)).map(|_| format!("plugin-{}", seed.below(300))));
    let plugins: Vec<&str> = plugins.iter().map(String::as_str).collect();
    BuildLine::new(PRODUCT, "stable", platforms[number % platforms.len()], plugins).expect("names")
}

/// The newest release with its patches, and as much history as a publisher keeps.
fn releases(id: &BuildLine) -> Line {
    let mut seed = Seed::new(id.id().to_bits());
    let digest =
        |number: u64| Blake3::from_bytes(*Sha256::of(format!("{} {number}", id.id()).as_bytes()).as_bytes());
    let mut line = Line::default();
    for sequence in RELEASES - HISTORY_CAP as u64 + 1..=RELEASES {
        let severity = match seed.below(10) {
            0 => Severity::Critical,
            1 => Severity::Important,
            2..=4 => Severity::Feature,
            _ => Severity::Routine,
        };
        // A plugin gets a version of its own every eight releases.
        let plugin = |(index, name): (usize, &Name)| PluginRelease {
            name: name.clone(),
            version: format!("1.{}.0", (sequence + index as u64) / 8).parse().expect("a version"),
            severity: Severity::Routine,
        };
        let olds = if sequence == RELEASES { sequence - PATCHES..sequence } else { 0..0 };
        let patches = olds.rev().map(|old| PatchEntry {
            old: digest(old).prefix(),
            codec: ["reference", "reference", "classic"][seed.below(3)].parse().expect("a codec"),
            size: 90_000 + seed.below(900_000) as u64,
            digest: digest(sequence * 1000 + old).to_blob(),
            memory_mib: 31 + u32::try_from(seed.below(10)).expect("small"),
            peak_mib: Some(16 + u32::try_from(seed.below(10)).expect("small")),
        });
        let release = Release {
            sequence,
            version: format!("4.{}.{}", sequence / 7, sequence % 7).parse().expect("a version"),
            severity,
            plugins: id.plugins.iter().enumerate().map(plugin).collect(),
            name: id.product.clone(),
            patches: patches.collect(),
            size: 31_457_280 + seed.below(900_000) as u64,
            sha256: Sha256::of(digest(sequence).as_bytes()),
            blake3: digest(sequence),
            mode: 0o755,
            full: Blob {
                size: 9_000_000 + seed.below(900_000) as u64,
                digest: digest(sequence + 500).to_blob(),
            },
            raw: true,
            notes: None,
            unknown: BTreeMap::new(),
        };
        line.push(release, id).expect("a release that fits its line");
        line.keep_newest(1);
    }
    line
}
