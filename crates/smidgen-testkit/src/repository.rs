//! A repository in memory, published with the codec and the metadata crate alone, and every way to spoil it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use smidgen_delta::{Digest, Patch, diff, full};
use smidgen_metadata::sign::{
    SecretKey, Signer, next_root, next_snapshot, next_targets, next_timestamp, sign_role,
};
use smidgen_metadata::{
    Blake3, Blob, BuildLine, Delegated, DelegatedRole, Delegations, Header, Line, MetaFile, Name, PatchEntry,
    PluginRelease, Release, Role as _, RoleKind, RoleName, Root, Scope, Severity, Sha256, Snapshot, Targets,
    Timestamp, TimestampRole,
};

/// Seed of the key that signs delegated roles, before it is mixed with the repository's own.
const DELEGATE: u8 = 0x90;
/// Builds that patches are made from, the newest first.
const PATCHED_FROM: usize = 5;

/// A signed repository. Files are what a web server would serve; they can be changed as an attacker would.
#[derive(Debug, Clone)]
pub struct Repository {
    /// Path below the repository to content.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The time that it signs with.
    pub now: Timestamp,
    /// Hours that new metadata is valid.
    pub expiry: Expiry,
    /// Whether patches are made.
    pub patches: bool,
    name: Name,
    keys: BTreeMap<RoleKind, [u8; 32]>,
    root: Root,
    targets: Option<Targets>,
    /// Delegated roles by name, and the role of each line that has one by the line's folder.
    roles: BTreeMap<String, Targets>,
    homes: BTreeMap<String, String>,
    seed: u8,
    snapshot: Option<Snapshot>,
    timestamp: Option<TimestampRole>,
    builds: BTreeMap<Digest, Vec<u8>>,
}

/// Hours that metadata is valid after it is signed.
#[derive(Debug, Clone, Copy)]
pub struct Expiry {
    /// Of root.
    pub root: u32,
    /// Of targets.
    pub targets: u32,
    /// Of snapshot.
    pub snapshot: u32,
    /// Of timestamp.
    pub timestamp: u32,
}

impl Default for Expiry {
    fn default() -> Self {
        Self { root: 365 * 24, targets: 90 * 24, snapshot: 14 * 24, timestamp: 72 }
    }
}

impl Repository {
    /// An empty repository with keys of its own: another `seed` gives other keys.
    #[must_use]
    pub fn new(name: &str, seed: u8, now: Timestamp) -> Self {
        let keys: BTreeMap<_, _> =
            RoleKind::ALL.into_iter().zip(1_u8..).map(|(kind, n)| (kind, [seed ^ (n << 4); 32])).collect();
        let expiry = Expiry::default();
        let mut root = Root::new(Header::new(1, now.plus_hours(expiry.root)));
        for (kind, key) in &keys {
            root.assign(*kind, 1, [key_of(key).public_key()]);
        }
        let mut repository = Self {
            files: BTreeMap::new(),
            now,
            expiry,
            patches: true,
            name: name.parse().expect("a name"),
            keys,
            root,
            targets: None,
            roles: BTreeMap::new(),
            homes: BTreeMap::new(),
            seed,
            snapshot: None,
            timestamp: None,
            builds: BTreeMap::new(),
        };
        let raw = sign_role(&repository.root, &[&repository.key(RoleKind::Root)]).expect("a signed root");
        repository.files.insert("metadata/1.root.json".to_owned(), raw);
        let targets = next_targets(None, now.plus_hours(expiry.targets));
        repository.commit(targets);
        repository
    }

    /// The root that a client ships with.
    #[must_use]
    pub fn trusted_root(&self) -> Vec<u8> {
        self.files["metadata/1.root.json"].clone()
    }

    /// Releases a build: full copy, patches from the builds before, metadata.
    pub fn publish(&mut self, line: &BuildLine, version: &str, severity: Severity, build: &[u8]) -> Release {
        self.publish_with(line, version, severity, build, |_| {})
    }

    /// The same, with a last word on the entry before it is signed.
    pub fn publish_with(
        &mut self,
        line: &BuildLine,
        version: &str,
        severity: Severity,
        build: &[u8],
        change: impl FnOnce(&mut Release),
    ) -> Release {
        let mut listed = self.line(line);
        let full = full::compress(build, &full::FullOptions::default()).expect("a full copy");
        let old: Vec<Release> = listed.releases().iter().rev().take(PATCHED_FROM).cloned().collect();
        let patches = if self.patches {
            old.iter().filter_map(|old| self.patch(old, build)).collect()
        } else {
            Vec::new()
        };
        let plugin = |name: &Name| PluginRelease {
            name: name.clone(),
            version: "1.0.0".parse().expect("a version"),
            severity: Severity::Routine,
        };
        let mut release = Release {
            sequence: listed.next_sequence(),
            version: version.parse().expect("a version"),
            severity,
            plugins: line.plugins.iter().map(plugin).collect(),
            name: line.product.clone(),
            size: build.len() as u64,
            sha256: Sha256::of(build),
            blake3: Blake3::from_bytes(*Digest::of(build).as_bytes()),
            mode: 0o755,
            full: self.store(full),
            patches,
            raw: false,
            notes: None,
            unknown: BTreeMap::new(),
        };
        change(&mut release);
        listed.push(release.clone(), line).expect("a release that fits its line");
        self.builds.insert(Digest::of(build), build.to_vec());
        self.replace_line(line, &listed);
        release
    }

    /// Lets `delegator` (`targets`, or a role that was delegated to before) delegate the paths of a pattern to a role.
    pub fn delegate(&mut self, delegator: &str, role: &str, pattern: &str) {
        let key = key_of(&[self.seed ^ DELEGATE; 32]).public_key();
        let delegated = DelegatedRole {
            name: role.to_owned(),
            keyids: BTreeSet::from([key.id()]),
            threshold: 1,
            terminating: false,
            scope: Scope::Paths(vec![pattern.to_owned()]),
            unknown: BTreeMap::new(),
        };
        let expires = self.now.plus_hours(self.expiry.targets);
        let mut targets = self.targets.take().expect("targets");
        self.roles.entry(role.to_owned()).or_insert_with(|| next_targets(None, expires));
        let from = match delegator {
            "targets" => &mut targets,
            name => self.roles.get_mut(name).expect("a role"),
        };
        let delegations = from.delegations.get_or_insert_with(|| Delegations {
            keys: BTreeMap::from([(key.id(), key)]),
            roles: Delegated::Roles(Vec::new()),
            unknown: BTreeMap::new(),
        });
        match &mut delegations.roles {
            Delegated::Roles(roles) => roles.push(delegated),
            Delegated::Succinct(_) => panic!("bins"),
        }
        *from = next_targets(Some(&*from), expires);
        self.targets = Some(targets.clone());
        self.commit(targets);
    }

    /// Moves what is listed of a line into a delegated role, where its later releases go as well.
    pub fn move_line(&mut self, line: &BuildLine, role: &str) {
        let listed = self.line(line);
        let folder = line.target_prefix();
        let mut targets = next_targets(self.targets.as_ref(), self.now.plus_hours(self.expiry.targets));
        targets.targets.retain(|path, _| !path.starts_with(&folder));
        self.targets = Some(targets);
        self.homes.insert(folder, role.to_owned());
        self.replace_line(line, &listed);
    }

    /// Takes a release back.
    pub fn withdraw(&mut self, line: &BuildLine, sequence: u64) {
        let mut listed = self.line(line);
        assert!(listed.withdraw(sequence), "release {sequence} is not remembered");
        self.replace_line(line, &listed);
    }

    /// Signs everything but root again, with nothing changed.
    pub fn resign(&mut self) {
        for role in self.roles.keys().cloned().collect::<Vec<_>>() {
            self.bump(&role);
        }
        let targets = next_targets(self.targets.as_ref(), self.now.plus_hours(self.expiry.targets));
        self.commit(targets);
    }

    /// Signs timestamp again, with nothing changed.
    pub fn resign_timestamp(&mut self) {
        let snapshot = self.snapshot.as_ref().expect("a snapshot").version();
        self.commit_timestamp(snapshot);
    }

    /// Gives a role another key and publishes the next root, signed with the old root key and with its own.
    pub fn rotate(&mut self, kind: RoleKind, seed: u8) {
        let old_root_key = self.key(RoleKind::Root);
        self.keys.insert(kind, [seed; 32]);
        self.root = next_root(&self.root, self.now.plus_hours(self.expiry.root));
        let public = self.key(kind).public_key();
        self.root.assign(kind, 1, [public]);
        let new_root_key = self.key(RoleKind::Root);
        let mut signers: Vec<&dyn Signer> = vec![&old_root_key];
        if kind == RoleKind::Root {
            signers.push(&new_root_key);
        }
        let raw = sign_role(&self.root, &signers).expect("a signed root");
        self.files.insert(format!("metadata/{}.root.json", self.root.version()), raw);
        self.resign();
    }

    /// From now on signs a role with a key that no root lists.
    pub fn lose_key(&mut self, kind: RoleKind) {
        self.keys.insert(kind, [0xee; 32]);
    }

    /// Where a blob is stored.
    #[must_use]
    pub fn blob_path(release: &Release, patch: bool) -> String {
        if patch { release.patches.first().expect("a patch").path() } else { release.full.path() }
    }

    /// Flips one bit in the middle of a file.
    pub fn damage(&mut self, path: &str) {
        let file = self.files.get_mut(path).expect("a file");
        let middle = file.len() / 2;
        file[middle] ^= 1;
    }

    /// Writes all files below a folder, timestamp last.
    pub fn write_to(&self, dir: &Path) {
        let (last, rest): (Vec<_>, Vec<_>) =
            self.files.iter().partition(|(path, _)| path.ends_with("timestamp.json"));
        for (path, bytes) in rest.into_iter().chain(last) {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, bytes).expect("a file");
        }
    }

    fn key(&self, kind: RoleKind) -> SecretKey {
        key_of(&self.keys[&kind])
    }

    fn line(&self, line: &BuildLine) -> Line {
        let home = self.homes.get(&line.target_prefix()).map(|role| &self.roles[role]);
        let targets = home.or(self.targets.as_ref()).expect("targets");
        Line::read(targets, line).expect("our own entries").unwrap_or_default()
    }

    /// Where a line has a role of its own, targets stay as they are.
    fn replace_line(&mut self, line: &BuildLine, listed: &Line) {
        if let Some(role) = self.homes.get(&line.target_prefix()).cloned() {
            listed.write(self.roles.get_mut(&role).expect("a role"), line);
            self.bump(&role);
            let targets = self.targets.clone().expect("targets");
            self.commit(targets);
        } else {
            let mut targets = next_targets(self.targets.as_ref(), self.now.plus_hours(self.expiry.targets));
            listed.write(&mut targets, line);
            self.commit(targets);
        }
    }

    fn bump(&mut self, role: &str) {
        let known = &self.roles[role];
        let next = next_targets(Some(known), self.now.plus_hours(self.expiry.targets));
        self.roles.insert(role.to_owned(), next);
    }

    fn patch(&mut self, old: &Release, new: &[u8]) -> Option<PatchEntry> {
        let old_bytes = self.builds.get(&Digest::from_bytes(*old.blake3.as_bytes()))?;
        let patch = diff::diff(old_bytes, new, &diff::DiffOptions::default()).expect("a patch");
        let header =
            Patch::open(&patch, &smidgen_delta::Limits::default()).expect("our own patch").header().clone();
        let Blob { size, digest } = self.store(patch);
        Some(PatchEntry {
            old: old.blake3.prefix(),
            codec: header.codec.to_string().parse().expect("a codec's name"),
            size,
            digest,
            memory_mib: PatchEntry::mebibytes(header.apply_memory()),
            peak_mib: None,
        })
    }

    fn store(&mut self, bytes: Vec<u8>) -> Blob {
        let blob = Blob {
            size: bytes.len() as u64,
            digest: Blake3::from_bytes(*Digest::of(&bytes).as_bytes()).to_blob(),
        };
        self.files.insert(blob.path(), bytes);
        blob
    }

    fn commit(&mut self, targets: Targets) {
        let raw = sign_role(&targets, &[&self.key(RoleKind::Targets)]).expect("signed targets");
        let version = targets.version();
        self.files.insert(format!("metadata/{version}.targets.json"), raw.clone());
        let expires = self.now.plus_hours(self.expiry.snapshot);
        let listed = MetaFile::of(version, &raw);
        let mut snapshot =
            next_snapshot(self.snapshot.as_ref(), &self.name, [(RoleKind::Targets.into(), listed)], expires);
        let delegate = key_of(&[self.seed ^ DELEGATE; 32]);
        for (name, role) in &self.roles {
            let raw = sign_role(role, &[&delegate]).expect("a signed role");
            snapshot.meta.insert(format!("{name}.json"), MetaFile::of(role.version(), &raw));
            let stem = RoleName::Delegated(name.clone()).file_stem();
            self.files.insert(format!("metadata/{}.{stem}.json", role.version()), raw);
        }
        self.targets = Some(targets);
        let raw = sign_role(&snapshot, &[&self.key(RoleKind::Snapshot)]).expect("a signed snapshot");
        let version = snapshot.version();
        self.files.insert(format!("metadata/{version}.snapshot.json"), raw);
        self.snapshot = Some(snapshot);
        self.commit_timestamp(version);
    }

    fn commit_timestamp(&mut self, snapshot: u64) {
        let listed = MetaFile::of(snapshot, &self.files[&format!("metadata/{snapshot}.snapshot.json")]);
        let expires = self.now.plus_hours(self.expiry.timestamp);
        let timestamp = next_timestamp(self.timestamp.as_ref(), &self.name, listed, self.now, expires);
        let raw = sign_role(&timestamp, &[&self.key(RoleKind::Timestamp)]).expect("a signed timestamp");
        self.files.insert("metadata/timestamp.json".to_owned(), raw);
        self.timestamp = Some(timestamp);
    }
}

fn key_of(seed: &[u8; 32]) -> SecretKey {
    SecretKey::from_seed(seed).expect("a key")
}
