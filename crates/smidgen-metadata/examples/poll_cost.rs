//! What the verification of one idle poll costs, beside the bare Ed25519 verifications that are in it:
//! `cargo run --release -p smidgen-metadata --features sign --example poll_cost`
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for people who measure")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ed25519_dalek::{Signature, VerifyingKey};
use smidgen_metadata::canonical::Object;
use smidgen_metadata::sign::{SecretKey, Signer as _, sign_role};
use smidgen_metadata::{
    BuildLine, Delegated, DelegatedRole, Delegations, Header, Limits, MetaFile, RawMetadata, Role, RoleKind,
    Root, Scope, Snapshot, Targets, TimestampRole, TrustedSet,
};

const ROUNDS: u32 = 400;
/// Lines of the shard, each in a role of its own.
const LINES: u32 = 64;

/// The stored files in the order in which they are loaded, each with the keys that signed it.
type Stored = Vec<(Vec<u8>, &'static [u8])>;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32]).unwrap()
}

fn sign<R: Role>(role: &R, seeds: &'static [u8]) -> (Vec<u8>, &'static [u8]) {
    let raw = match seeds {
        [one] => sign_role(role, &[&key(*one)]),
        [one, two] => sign_role(role, &[&key(*one), &key(*two)]),
        _ => unreachable!("one or two"),
    };
    (raw.unwrap(), seeds)
}

/// A shard whose root is signed by 2 of 3.
fn repository(line: &BuildLine) -> Stored {
    let header = Header::new(1, "2030-01-01T00:00:00Z".parse().unwrap());
    let mut root = Root::new(header.clone());
    root.assign(RoleKind::Root, 2, [1, 2, 3].map(|seed| key(seed).public_key()));
    for (kind, seed) in [(RoleKind::Timestamp, 4), (RoleKind::Snapshot, 5), (RoleKind::Targets, 6)] {
        root.assign(kind, 1, [key(seed).public_key()]);
    }
    let delegate = key(7).public_key();
    let roles = (0..LINES).map(|number| DelegatedRole {
        name: format!("{number:02x}"),
        keyids: BTreeSet::from([delegate.id()]),
        threshold: 1,
        terminating: true,
        // The line's role stands last.
        scope: Scope::Paths(vec![match LINES - 1 - number {
            0 => format!("{}*/*", line.target_prefix()),
            left => format!("editor/*/*/{left:02}*/*/*"),
        }]),
        unknown: Object::new(),
    });
    let mut targets = Targets::new(header.clone());
    targets.delegations = Some(Delegations {
        roles: Delegated::Roles(roles.collect()),
        keys: BTreeMap::from([(delegate.id(), delegate)]),
        unknown: Object::new(),
    });
    let targets = sign(&targets, &[6]);
    let role = sign(&Targets::new(header.clone()), &[7]);
    let listed = |raw: &[u8]| MetaFile::of(1, raw);
    let mut meta: BTreeMap<String, MetaFile> =
        (0..LINES).map(|number| (format!("{number:02x}.json"), listed(&role.0))).collect();
    meta.insert("targets.json".to_owned(), listed(&targets.0));
    let repository = Some("shard".to_owned());
    let snapshot =
        Snapshot { header: header.clone(), repository: repository.clone(), meta, unknown: Object::new() };
    let snapshot = sign(&snapshot, &[5]);
    let timestamp = TimestampRole {
        header,
        repository,
        signed_at: None,
        snapshot: listed(&snapshot.0),
        unknown: Object::new(),
    };
    vec![sign(&root, &[1, 2]), sign(&timestamp, &[4]), snapshot, targets, role]
}

/// All that an idle poll verifies again from the store.
fn poll(stored: &Stored, line: &BuildLine) {
    let [root, timestamp, snapshot, targets, role] = stored.as_slice() else { unreachable!("five files") };
    let now = "2026-06-01T12:00:00Z".parse().unwrap();
    let mut set = TrustedSet::open(&root.0, now, Limits::default()).unwrap();
    set.load_stored_timestamp(&timestamp.0).unwrap();
    set.finish_root().unwrap();
    set.keep_timestamp().unwrap();
    set.load_stored_snapshot(&snapshot.0).unwrap();
    set.load_stored_targets(&targets.0).unwrap();
    let mut search = set.search(line).unwrap();
    search.load_stored(&role.0).unwrap();
    search.finish().unwrap();
}

/// The signatures in it.
fn signatures(stored: &Stored) -> Vec<(Vec<u8>, VerifyingKey, Signature)> {
    let mut signatures = Vec::new();
    for (raw, seeds) in stored {
        let raw = RawMetadata::parse_any(raw, &Limits::default()).unwrap();
        for seed in *seeds {
            let public = key(*seed).public_key();
            let public = VerifyingKey::from_bytes(public.as_bytes().unwrap()).unwrap();
            let signature = key(*seed).sign(raw.message()).unwrap();
            signatures.push((raw.message().to_vec(), public, Signature::from_bytes(signature.as_bytes())));
        }
    }
    signatures
}

fn main() {
    let line = BuildLine::new("editor", "stable", "x86_64-linux", ["tls"]).unwrap();
    let stored = repository(&line);
    let signatures = signatures(&stored);
    // Turn by turn, and the shortest of each, so that other work on the machine is in neither.
    let (mut whole, mut bare) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        poll(&stored, &line);
        whole = whole.min(start.elapsed());
        let start = Instant::now();
        for (message, key, signature) in &signatures {
            key.verify_strict(message, signature).unwrap();
        }
        bare = bare.min(start.elapsed());
    }
    let bytes: usize = stored.iter().map(|(raw, _)| raw.len()).sum();
    println!("stored: {bytes} bytes in {} files; {LINES} delegated roles are listed", stored.len());
    println!(
        "one poll: {} us; its {} signatures alone: {} us",
        whole.as_micros(),
        signatures.len(),
        bare.as_micros()
    );
    println!("ratio: {:.2}", whole.as_secs_f64() / bare.as_secs_f64());
}
