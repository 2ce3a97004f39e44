//! A publisher in memory: keys, and the newest version of each role with the files that a mirror has of it.

use smidgen_metadata::canonical::{Object, Value};
use smidgen_metadata::sign::{
    Lifetimes, SecretKey, Signer, next_root, next_snapshot, next_targets, next_timestamp, sign_role,
    signing_time,
};
use smidgen_metadata::{
    Hashes, Header, MetaFile, Name, RoleKind, Root, Sha256, Snapshot, Target, Targets, Timestamp,
    TimestampRole,
};

/// What a mirror serves.
#[derive(Clone, Debug)]
pub(crate) struct Mirror {
    /// From version 1.
    pub(crate) roots: Vec<Vec<u8>>,
    pub(crate) timestamp: Vec<u8>,
    pub(crate) snapshot: Vec<u8>,
    pub(crate) targets: Vec<u8>,
}

/// The secret keys of a publisher.
pub(crate) struct Keys {
    pub(crate) root: Vec<SecretKey>,
    pub(crate) timestamp: SecretKey,
    pub(crate) snapshot: SecretKey,
    pub(crate) targets: SecretKey,
}

/// A repository under construction.
pub(crate) struct Publisher {
    pub(crate) keys: Keys,
    pub(crate) name: Name,
    pub(crate) now: Timestamp,
    pub(crate) root: Root,
    pub(crate) targets: Targets,
    pub(crate) snapshot: Snapshot,
    pub(crate) timestamp: TimestampRole,
    pub(crate) mirror: Mirror,
}

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32]).unwrap()
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// When all stories begin.
pub(crate) fn start() -> Timestamp {
    time("2026-11-23T16:00:00Z")
}

impl Keys {
    /// Keys that differ from those of other seeds; seeds are 10 apart.
    pub(crate) fn new(seed: u8) -> Self {
        Self {
            root: (0..3).map(|index| key(seed + index)).collect(),
            timestamp: key(seed + 3),
            snapshot: key(seed + 4),
            targets: key(seed + 5),
        }
    }

    pub(crate) fn assign(&self, root: &mut Root) {
        root.assign(RoleKind::Root, 2, self.root.iter().map(Signer::public_key));
        root.assign(RoleKind::Timestamp, 1, [self.timestamp.public_key()]);
        root.assign(RoleKind::Snapshot, 1, [self.snapshot.public_key()]);
        root.assign(RoleKind::Targets, 1, [self.targets.public_key()]);
    }

    /// Two of the three.
    pub(crate) fn sign_root(&self, root: &Root) -> Vec<u8> {
        sign_role(root, &[&self.root[0], &self.root[2]]).unwrap()
    }
}

impl Publisher {
    /// A repository with a first version of everything.
    pub(crate) fn new(name: &str) -> Self {
        let now = start();
        let lifetimes = Lifetimes::default();
        let keys = Keys::new(10);
        let name: Name = name.parse().unwrap();
        let mut root = Root::new(Header::new(1, now.plus_hours(lifetimes.root)));
        keys.assign(&mut root);
        let targets = next_targets(None, now.plus_hours(lifetimes.targets));
        let listed = [(RoleKind::Targets.into(), MetaFile::new(1))];
        let snapshot = next_snapshot(None, &name, listed, now.plus_hours(lifetimes.snapshot));
        let timestamp =
            next_timestamp(None, &name, MetaFile::new(1), now, now.plus_hours(lifetimes.timestamp));
        let roots = vec![keys.sign_root(&root)];
        let mirror = Mirror { roots, timestamp: vec![], snapshot: vec![], targets: vec![] };
        let mut publisher = Self { keys, name, now, root, targets, snapshot, timestamp, mirror };
        publisher.sign_targets();
        publisher.sign_snapshot();
        publisher.timestamp.snapshot = MetaFile::of(1, &publisher.mirror.snapshot);
        publisher.sign_timestamp();
        publisher
    }

    /// Publishes the next version of targets, snapshot and timestamp, with one more target.
    pub(crate) fn publish(&mut self) {
        let lifetimes = Lifetimes::default();
        let base = signing_time(self.now, Some(&self.timestamp));
        self.targets = next_targets(Some(&self.targets), base.plus_hours(lifetimes.targets));
        let version = self.targets.header.version;
        let target = Target {
            length: version,
            hashes: Hashes::sha256(Sha256::of(&version.to_be_bytes())),
            custom: None,
            unknown: Object::new(),
        };
        self.targets.targets.insert(format!("file-{version}"), target);
        self.sign_targets();
        self.publish_snapshot();
    }

    /// Publishes the next snapshot and timestamp over the targets of now.
    pub(crate) fn publish_snapshot(&mut self) {
        let base = signing_time(self.now, Some(&self.timestamp));
        let listed = [(RoleKind::Targets.into(), MetaFile::new(self.targets.header.version))];
        let expires = base.plus_hours(Lifetimes::default().snapshot);
        self.snapshot = next_snapshot(Some(&self.snapshot), &self.name, listed, expires);
        self.sign_snapshot();
        self.publish_timestamp();
    }

    /// Publishes the next timestamp over the snapshot of now.
    pub(crate) fn publish_timestamp(&mut self) {
        let base = signing_time(self.now, Some(&self.timestamp));
        let listed = MetaFile::of(self.snapshot.header.version, &self.mirror.snapshot);
        let expires = base.plus_hours(Lifetimes::default().timestamp);
        self.timestamp = next_timestamp(Some(&self.timestamp), &self.name, listed, base, expires);
        self.sign_timestamp();
    }

    /// Publishes the next root with these keys, signed by the old and the new ones, and signs everything else with them.
    pub(crate) fn rotate(&mut self, keys: Keys) {
        self.root = next_root(&self.root, self.now.plus_hours(Lifetimes::default().root));
        keys.assign(&mut self.root);
        let mut signers: Vec<&dyn Signer> = Vec::new();
        for key in self.keys.root.iter().chain(&keys.root) {
            if !signers.iter().any(|signer| signer.public_key() == key.public_key()) {
                signers.push(key);
            }
        }
        self.mirror.roots.push(sign_role(&self.root, &signers).unwrap());
        self.keys = keys;
    }

    pub(crate) fn sign_targets(&mut self) {
        self.mirror.targets = sign_role(&self.targets, &[&self.keys.targets]).unwrap();
    }

    pub(crate) fn sign_snapshot(&mut self) {
        self.mirror.snapshot = sign_role(&self.snapshot, &[&self.keys.snapshot]).unwrap();
    }

    pub(crate) fn sign_timestamp(&mut self) {
        self.mirror.timestamp = sign_role(&self.timestamp, &[&self.keys.timestamp]).unwrap();
    }
}

/// An envelope made by hand, for what our own signer would refuse to write: `(key id, signature)` pairs over `signed`.
pub(crate) fn envelope(signed: &Value, signatures: &[(String, String)]) -> Vec<u8> {
    let signatures = signatures.iter().map(|(id, signature)| {
        Value::Object(Object::from([
            ("keyid".to_owned(), id.as_str().into()),
            ("sig".to_owned(), signature.as_str().into()),
        ]))
    });
    let members = Object::from([
        ("signatures".to_owned(), Value::Array(signatures.collect())),
        ("signed".to_owned(), signed.clone()),
    ]);
    Value::Object(members).to_json()
}

/// A signature in an envelope made by hand.
pub(crate) fn signature(key: &SecretKey, signed: &Value) -> (String, String) {
    (key.public_key().id().to_string(), key.sign(&signed.to_canonical()).unwrap().to_string())
}
