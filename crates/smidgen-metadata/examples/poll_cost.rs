//! What the verification of one idle poll costs, beside the bare Ed25519 verifications that are in it:
//! `cargo run --release -p smidgen-metadata --features sign --example poll_cost`
//!
//! Arguments: the lines of the shard, and rounds. By instructions, which no other work on the machine disturbs: run it with `64 4` under `valgrind --tool=callgrind
//! --toggle-collect='poll_cost::poll*'`, and again with `poll_cost::bare*`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for people who measure")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ed25519_dalek::{Signature, VerifyingKey};
use smidgen_metadata::canonical::Object;
use smidgen_metadata::sign::{SecretKey, Signer as _, sign_role};
use smidgen_metadata::{
    Blake3, Blob, BuildLine, Delegated, DelegatedRole, Delegations, HISTORY_CAP, Header, Limits, Line,
    MetaFile, PatchEntry, RawMetadata, Release, Role, RoleKind, Root, Scope, Severity, Sha256, Snapshot,
    Targets, TimestampRole, TrustedSet,
};

const ROUNDS: u32 = 400;
/// Lines of the shard, each in a role of its own: the most that a shard is meant for.
const MOST_LINES: u32 = 64;
/// Patches that lead to the newest release.
const PATCHES: u64 = 5;

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

fn delegate(delegator: &mut Targets, name: String, pattern: String) {
    let key = key(7).public_key();
    let delegations = delegator.delegations.get_or_insert_with(|| Delegations {
        keys: BTreeMap::from([(key.id(), key.clone())]),
        roles: Delegated::Roles(Vec::new()),
        unknown: Object::new(),
    });
    let Delegated::Roles(roles) = &mut delegations.roles else { unreachable!("named roles") };
    roles.push(DelegatedRole {
        name,
        keyids: BTreeSet::from([key.id()]),
        threshold: 1,
        terminating: true,
        scope: Scope::Paths(vec![pattern]),
        unknown: Object::new(),
    });
}

/// As many releases as a publisher remembers, the newest of them with patches.
fn releases(id: &BuildLine) -> Line {
    let mut line = Line::default();
    let newest = HISTORY_CAP as u64 + 20;
    let digest = |number: u64| Blake3::from_bytes(*Sha256::of(&number.to_be_bytes()).as_bytes());
    for sequence in 20..newest {
        let olds = if sequence + 1 == newest { sequence - PATCHES..sequence } else { 0..0 };
        let patches = olds.map(|old| PatchEntry {
            old: digest(old).prefix(),
            codec: "reference".parse().unwrap(),
            size: 400_000 + old,
            digest: digest(old + 1000).to_blob(),
            memory_mib: 40,
            peak_mib: Some(19),
        });
        let release = Release {
            sequence,
            version: format!("4.{sequence}.0").parse().unwrap(),
            severity: Severity::Feature,
            plugins: vec![format!("tls@1.{}.0", sequence / 3).parse().unwrap()],
            name: "editor".parse().unwrap(),
            size: 31_457_280,
            sha256: Sha256::of(&[1]),
            blake3: digest(sequence),
            mode: 0o755,
            full: Blob { size: 9_000_000, digest: digest(sequence + 500).to_blob() },
            patches: patches.collect(),
            raw: true,
            notes: None,
            unknown: Object::new(),
        };
        line.push(release, id).unwrap();
        line.keep_newest(1);
    }
    line
}

/// A shard as `smidgen publish` leaves it, with a root signed by 2 of 3.
fn repository(line: &BuildLine, lines: u32) -> Stored {
    let header = Header::new(1, "2030-01-01T00:00:00Z".parse().unwrap());
    let mut root = Root::new(header.clone());
    root.assign(RoleKind::Root, 2, [1, 2, 3].map(|seed| key(seed).public_key()));
    for (kind, seed) in [(RoleKind::Timestamp, 4), (RoleKind::Snapshot, 5), (RoleKind::Targets, 6)] {
        root.assign(kind, 1, [key(seed).public_key()]);
    }
    let mut targets = Targets::new(header.clone());
    delegate(&mut targets, "editor".to_owned(), "editor/*/*/*/*/*".to_owned());
    let mut product = Targets::new(header.clone());
    let mut names = vec!["targets".to_owned(), "editor".to_owned()];
    for number in 0..lines {
        let name = format!("editor~{number:02x}");
        // The one that is followed stands last.
        let folder = match lines - 1 - number {
            0 => line.target_prefix(),
            left => {
                let other = format!("p{left}");
                BuildLine::new("editor", "stable", "x86_64-linux", [&*other]).unwrap().target_prefix()
            }
        };
        delegate(&mut product, name.clone(), format!("{folder}*/*"));
        names.push(name);
    }
    let mut role = Targets::new(header.clone());
    releases(line).write(&mut role, line);
    let repository = Some("shard".to_owned());
    let meta = names.into_iter().map(|name| (format!("{name}.json"), MetaFile::new(1))).collect();
    let snapshot =
        Snapshot { header: header.clone(), repository: repository.clone(), meta, unknown: Object::new() };
    let timestamp = TimestampRole {
        header,
        repository,
        signed_at: None,
        snapshot: MetaFile::new(1),
        unknown: Object::new(),
    };
    vec![
        sign(&root, &[1, 2]),
        sign(&timestamp, &[4]),
        sign(&snapshot, &[5]),
        sign(&targets, &[6]),
        sign(&product, &[7]),
        sign(&role, &[7]),
    ]
}

/// All that an idle poll verifies again from the store. Never inlined, so that a profiler can count it alone.
#[inline(never)]
fn poll(stored: &Stored, line: &BuildLine) {
    let [root, timestamp, snapshot, targets, product, role] = stored.as_slice() else {
        unreachable!("six files")
    };
    let now = "2026-06-01T12:00:00Z".parse().unwrap();
    let mut set = TrustedSet::open(&root.0, now, Limits::default()).unwrap();
    set.load_stored_timestamp(&timestamp.0).unwrap();
    set.finish_root().unwrap();
    set.keep_timestamp().unwrap();
    set.load_stored_snapshot(&snapshot.0).unwrap();
    set.load_stored_targets(&targets.0).unwrap();
    let mut search = set.search(line).unwrap();
    search.load_stored(&product.0).unwrap();
    search.load_stored(&role.0).unwrap();
    assert!(search.finish().unwrap().is_some());
}

/// The signatures in it: message, the 32 bytes of the key, signature.
fn signatures(stored: &Stored) -> Vec<(Vec<u8>, [u8; 32], Signature)> {
    let mut signatures = Vec::new();
    for (raw, seeds) in stored {
        let raw = RawMetadata::parse_any(raw, &Limits::default()).unwrap();
        for seed in *seeds {
            let public = *key(*seed).public_key().as_bytes().unwrap();
            let signature = key(*seed).sign(raw.message()).unwrap();
            signatures.push((raw.message().to_vec(), public, Signature::from_bytes(signature.as_bytes())));
        }
    }
    signatures
}

/// RFC 8032 verifies with the key as its 32 bytes: finding the point that they stand for is a part of it.
#[inline(never)]
fn bare(signatures: &[(Vec<u8>, [u8; 32], Signature)]) {
    for (message, key, signature) in signatures {
        VerifyingKey::from_bytes(key).unwrap().verify_strict(message, signature).unwrap();
    }
}

fn main() {
    let line = BuildLine::new("editor", "stable", "x86_64-linux", ["tls"]).unwrap();
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>().unwrap());
    let (lines, rounds) = (arguments.next().unwrap_or(MOST_LINES), arguments.next().unwrap_or(ROUNDS));
    let stored = repository(&line, lines);
    let signatures = signatures(&stored);
    // Turn by turn, and the shortest of each, so that other work on the machine is in neither.
    let (mut whole, mut alone) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds {
        let start = Instant::now();
        poll(&stored, &line);
        whole = whole.min(start.elapsed());
        let start = Instant::now();
        bare(&signatures);
        alone = alone.min(start.elapsed());
    }
    let bytes: usize = stored.iter().map(|(raw, _)| raw.len()).sum();
    println!("stored: {bytes} bytes in {} files; {lines} lines are listed", stored.len());
    println!(
        "one poll: {} us; its {} signatures alone: {} us",
        whole.as_micros(),
        signatures.len(),
        alone.as_micros()
    );
    println!("ratio: {:.2}", whole.as_secs_f64() / alone.as_secs_f64());
}
