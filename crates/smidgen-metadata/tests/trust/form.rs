//! The form of documents: what may differ without harm, what is preserved, and generated documents.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use smidgen_metadata::canonical::{Object, ParseLimits, Value, parse};
use smidgen_metadata::{Limits, RawMetadata, Role, RoleKind, Root, Snapshot, Targets, TimestampRole};

use crate::follower::Follower;
use crate::publisher::{Mirror, Publisher, envelope, signature, start};

/// Any document that has a canonical form, at most `depth` deep.
pub(crate) fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        any::<String>().prop_map(Value::String),
        "[ -~\\n\\t\"\\\\\u{0}-\u{1f}]{0,12}".prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..8).prop_map(Value::Object),
        ]
    })
}

proptest! {
    #[test]
    fn every_document_comes_back_from_its_stored_form(value in documents()) {
        let stored = value.to_json();
        let read = parse(&stored, &ParseLimits::default()).unwrap();
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(read.to_canonical(), value.to_canonical());
    }

    #[test]
    fn another_writer_of_json_is_read_alike(value in documents()) {
        // serde_json's own writers are the twins: escapes, white space and all.
        for text in [serde_json::to_vec(&value).unwrap(), serde_json::to_vec_pretty(&value).unwrap()] {
            prop_assert_eq!(parse(&text, &ParseLimits::default()).unwrap(), value.clone());
        }
    }

    #[test]
    fn different_documents_have_different_canonical_forms(a in documents(), b in documents()) {
        prop_assert_eq!(a == b, a.to_canonical() == b.to_canonical());
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, &ParseLimits::default());
    }

    #[test]
    fn a_changed_byte_is_never_taken(place in any::<prop::sample::Index>(), bit in 0..8_u32) {
        static MIRROR: LazyLock<Mirror> = LazyLock::new(|| Publisher::new("shard-1").mirror);
        let mut timestamp = MIRROR.timestamp.clone();
        let place = place.index(timestamp.len());
        timestamp[place] ^= 1 << bit;
        let raw = RawMetadata::parse(&timestamp, RoleKind::Timestamp, &Limits::default());
        let same = RawMetadata::parse(&MIRROR.timestamp, RoleKind::Timestamp, &Limits::default()).unwrap();
        // Digits of a signature may change their case; everything else is another document.
        let unchanged = raw.is_ok_and(|raw| raw.message() == same.message());
        let mirror = Mirror { timestamp, ..MIRROR.clone() };
        let taken = Follower::new(&mirror.roots[0]).refresh(&mirror, start()).is_ok();
        prop_assert!(!taken || unchanged);
    }
}

#[test]
fn bytes_that_are_not_canonical_verify_as_well_as_those_that_are() {
    let mut publisher = Publisher::new("shard-1");
    publisher.publish();
    let mut mirror = publisher.mirror.clone();
    for file in [&mut mirror.timestamp, &mut mirror.targets] {
        let value: serde_json::Value = serde_json::from_slice(file).unwrap();
        *file = serde_json::to_vec_pretty(&value).unwrap();
    }
    assert_ne!(mirror.timestamp, publisher.mirror.timestamp);
    Follower::new(&mirror.roots[0]).refresh(&mirror, start()).unwrap();
}

#[test]
fn unknown_members_are_signed_for_and_survive_the_next_version() {
    let mut publisher = Publisher::new("shard-1");
    let members = Object::from([("z".to_owned(), Value::Array(vec![Value::Null, "e\u{301}\n".into()]))]);
    publisher.targets.unknown.clone_from(&members);
    publisher.snapshot.unknown.clone_from(&members);
    publisher.timestamp.unknown.clone_from(&members);
    publisher.publish();
    let set = Follower::new(&publisher.mirror.roots[0]).refresh(&publisher.mirror, start()).unwrap();
    assert_eq!(set.targets().unwrap().unknown, members);
    assert_eq!(set.snapshot().unwrap().unknown, members);
    assert_eq!(set.timestamp().unwrap().unknown, members);
    // They are under the signature like everything else.
    let text = String::from_utf8(publisher.mirror.timestamp.clone()).unwrap();
    let changed = text.replacen("null", "true", 1).into_bytes();
    let mirror = Mirror { timestamp: changed, ..publisher.mirror };
    assert_eq!(Follower::new(&mirror.roots[0]).refused(&mirror, start()), "signature_threshold");
}

#[test]
fn strings_that_look_alike_are_not_the_same() {
    // The composed and the decomposed form of one letter: no reader may turn one into the other.
    let publisher = Publisher::new("shard-1");
    let mut signed = publisher.timestamp.to_signed();
    let Value::Object(members) = &mut signed else { panic!() };
    members.insert("x".to_owned(), "\u{e9}".into());
    let made = signature(&publisher.keys.timestamp, &signed);
    let composed = envelope(&signed, &[made]);
    let decomposed = String::from_utf8(composed.clone()).unwrap().replace('\u{e9}', "e\u{301}").into_bytes();
    let mut mirror = Mirror { timestamp: composed, ..publisher.mirror };
    Follower::new(&mirror.roots[0]).refresh(&mirror, start()).unwrap();
    mirror.timestamp = decomposed;
    assert_eq!(Follower::new(&mirror.roots[0]).refused(&mirror, start()), "signature_threshold");
}

#[test]
fn every_role_is_written_as_it_was_read() {
    let mut publisher = Publisher::new("shard-1");
    publisher.publish();
    fn check<R: Role>(bytes: &[u8]) {
        let raw = RawMetadata::parse(bytes, R::KIND, &Limits::default()).unwrap();
        assert_eq!(raw.read_unverified::<R>().unwrap().to_signed().to_canonical(), raw.message());
    }
    check::<Root>(&publisher.mirror.roots[0]);
    check::<TimestampRole>(&publisher.mirror.timestamp);
    check::<Snapshot>(&publisher.mirror.snapshot);
    check::<Targets>(&publisher.mirror.targets);
}

#[test]
fn each_member_that_is_missing_or_of_another_kind_is_named() {
    let mut publisher = Publisher::new("shard-1");
    publisher.publish();
    fn check<R: Role + std::fmt::Debug>(role: &R) -> usize {
        let mut refused = 0;
        let Value::Object(whole) = role.to_signed() else { panic!() };
        for name in whole.keys() {
            for wrong in [
                None,
                Some(Value::Null),
                Some(Value::Integer(-1)),
                Some("2026".into()),
                Some(Value::Array(vec![])),
            ] {
                let mut members = whole.clone();
                match wrong {
                    None => members.remove(name),
                    Some(wrong) => members.insert(name.clone(), wrong),
                };
                let raw = envelope(&Value::Object(members), &[]);
                let raw = RawMetadata::parse(&raw, R::KIND, &Limits::default()).unwrap();
                let Err(error) = raw.read_unverified::<R>() else { continue };
                assert!(
                    error.to_string().contains(name.as_str()) || error.code() != "malformed_metadata",
                    "{name}: {error}"
                );
                refused += 1;
            }
        }
        refused
    }
    // Of five changes to each member, all but an optional member's absence and a member whose kind fits.
    assert_eq!(check(&publisher.root), 34);
    assert_eq!(check(&publisher.timestamp), 32);
    assert_eq!(check(&publisher.snapshot), 28);
    assert_eq!(check(&publisher.targets), 25);
}

#[test]
fn parse_any_takes_the_role_from_the_file() {
    let publisher = Publisher::new("shard-1");
    for (file, kind) in [
        (&publisher.mirror.roots[0], RoleKind::Root),
        (&publisher.mirror.timestamp, RoleKind::Timestamp),
        (&publisher.mirror.snapshot, RoleKind::Snapshot),
        (&publisher.mirror.targets, RoleKind::Targets),
    ] {
        let raw = RawMetadata::parse_any(file, &Limits::default()).unwrap();
        assert_eq!(raw.name(), &kind.into());
    }
}

#[test]
fn every_code_is_documented_and_every_documented_code_exists() {
    let sources = [
        include_str!("../../src/error.rs"),
        include_str!("../../src/release/line.rs"),
        include_str!("../../src/sign/signer.rs"),
    ];
    let code = |line: &'static str| {
        let code = line.trim().strip_prefix("Self::")?.split_once(" => \"")?.1.strip_suffix("\",")?;
        (!code.contains(' ')).then_some(code)
    };
    let coded: BTreeSet<&str> = sources.iter().flat_map(|source| source.lines().filter_map(code)).collect();
    let document = include_str!("../../../../docs/metadata.md");
    let table = document.split("## Codes").nth(1).unwrap().split("\n## ").next().unwrap();
    let documented: BTreeSet<&str> =
        table.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0)).collect();
    assert!(coded.len() >= 24, "the sources are written in another way now");
    assert_eq!(coded, documented);
}
