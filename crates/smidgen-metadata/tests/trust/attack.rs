//! Attacks by whoever stands between publisher and client, each named after what it does.

use smidgen_metadata::canonical::Value;
use smidgen_metadata::sign::{Signer, sign_role};
use smidgen_metadata::{MetaFile, Role, TrustedSet, VerifyError};

use crate::follower::Follower;
use crate::publisher::{Keys, Mirror, Publisher, envelope, key, signature, start};

/// A follower of a repository that has published three times, and the mirror after each time.
fn story() -> (Publisher, Follower, [Mirror; 3]) {
    let mut publisher = Publisher::new("shard-1");
    let first = publisher.mirror.clone();
    publisher.publish();
    let second = publisher.mirror.clone();
    publisher.publish();
    let third = publisher.mirror.clone();
    let follower = Follower::new(&first.roots[0]);
    (publisher, follower, [first, second, third])
}

#[test]
fn an_honest_mirror_is_followed_with_as_few_files_as_can_be() {
    let (_, mut follower, [first, second, third]) = story();
    let set = follower.refresh(&first, start()).unwrap();
    assert_eq!(set.repository(), Some("shard-1"));
    assert_eq!(follower.fetched, ["timestamp", "snapshot", "targets"]);
    follower.refresh(&first, start()).unwrap();
    assert_eq!(follower.fetched, ["timestamp"]);
    for mirror in [&second, &third] {
        let set = follower.refresh(mirror, start()).unwrap();
        assert_eq!(follower.fetched, ["timestamp", "snapshot", "targets"]);
        assert_eq!(set.targets().unwrap().version(), set.timestamp().unwrap().version());
    }
    assert_eq!(follower.refresh(&third, start()).unwrap().targets().unwrap().targets.len(), 2);
}

#[test]
fn rejects_timestamp_of_another_shard() {
    // Two shards with one root, so with the same keys; the other one is further ahead.
    let mut here = Publisher::new("shard-1");
    let mut there = Publisher::new("shard-2");
    for _ in 0..5 {
        there.publish();
    }
    let mut follower = Follower::new(&here.mirror.roots[0]);
    follower.refresh(&here.mirror, start()).unwrap();
    let swapped = Mirror { timestamp: there.mirror.timestamp.clone(), ..here.mirror.clone() };
    let error = follower.refresh(&swapped, start()).unwrap_err();
    assert_eq!(error.code(), "other_repository");
    assert!(error.to_string().contains("shard-2") && error.to_string().contains("shard-1"), "{error}");
    // The name is compared before versions are and before anything is kept: the own shard's lower version is still good.
    here.publish();
    let set = follower.refresh(&here.mirror, start()).unwrap();
    assert_eq!(set.timestamp().unwrap().version(), 2);

    // A client that knows nothing but the name from its configuration is safe from the first request on.
    let mut fresh =
        Follower { repository: Some("shard-1".to_owned()), ..Follower::new(&here.mirror.roots[0]) };
    assert_eq!(fresh.refused(&there.mirror, start()), "other_repository");
    assert_eq!(fresh.timestamp, None);
}

#[test]
fn rejects_the_older_timestamp_of_another_shard_as_a_stranger_and_not_as_a_rollback() {
    let (_, mut follower, [.., third]) = story();
    follower.refresh(&third, start()).unwrap();
    let there = Publisher::new("shard-2");
    assert_eq!(follower.refused(&there.mirror, start()), "other_repository");
}

#[test]
fn rejects_timestamp_that_lost_its_name() {
    let (mut publisher, mut follower, [first, ..]) = story();
    follower.refresh(&first, start()).unwrap();
    publisher.timestamp.repository = None;
    publisher.sign_timestamp();
    assert_eq!(follower.refused(&publisher.mirror, start()), "other_repository");
}

#[test]
fn rejects_snapshot_of_another_shard() {
    // Even where a publisher lists no digest of the snapshot, so that only version and keys could tell.
    let (mut publisher, mut follower, _) = story();
    publisher.timestamp.snapshot = MetaFile::new(publisher.snapshot.version());
    publisher.sign_timestamp();
    publisher.snapshot.repository = Some("shard-2".to_owned());
    publisher.sign_snapshot();
    assert_eq!(follower.refused(&publisher.mirror, start()), "other_repository");
}

#[test]
fn rejects_rollback_of_timestamp() {
    let (_, mut follower, [first, second, third]) = story();
    follower.refresh(&third, start()).unwrap();
    for old in [first, second] {
        assert_eq!(follower.refused(&old, start()), "rollback");
    }
    follower.refresh(&third, start()).unwrap();
}

#[test]
fn rejects_rollback_of_snapshot_in_a_newer_timestamp() {
    // The thief of the timestamp key lists an old snapshot.
    let (mut publisher, mut follower, [first, _, third]) = story();
    follower.refresh(&third, start()).unwrap();
    publisher.timestamp.header.version += 1;
    publisher.timestamp.snapshot = MetaFile::of(1, &first.snapshot);
    publisher.sign_timestamp();
    publisher.mirror.snapshot = first.snapshot;
    assert_eq!(follower.refused(&publisher.mirror, start()), "rollback");
}

#[test]
fn rejects_rollback_of_targets_in_a_newer_snapshot() {
    // The thief of the snapshot and timestamp keys lists old targets.
    let (mut publisher, mut follower, [first, _, third]) = story();
    follower.refresh(&third, start()).unwrap();
    publisher.snapshot.header.version += 1;
    publisher.snapshot.meta.insert("targets.json".to_owned(), MetaFile::new(1));
    publisher.sign_snapshot();
    publisher.publish_timestamp();
    publisher.mirror.targets = first.targets;
    let error = follower.refresh(&publisher.mirror, start()).unwrap_err();
    assert!(matches!(error, VerifyError::Rollback { found: 1, trusted: 3, .. }), "{error}");
}

#[test]
fn rejects_snapshot_that_forgets_a_role() {
    let (mut publisher, mut follower, [.., third]) = story();
    follower.refresh(&third, start()).unwrap();
    publisher.snapshot.header.version += 1;
    publisher.snapshot.meta.clear();
    publisher.sign_snapshot();
    publisher.publish_timestamp();
    assert_eq!(follower.refused(&publisher.mirror, start()), "not_listed");
    // So does one that never listed targets at all.
    assert_eq!(Follower::new(&third.roots[0]).refused(&publisher.mirror, start()), "not_listed");
}

#[test]
fn an_expired_stored_timestamp_still_protects_against_rollback() {
    let (mut publisher, mut follower, [_, second, third]) = story();
    follower.refresh(&third, start()).unwrap();
    // Weeks later the mirror offers what it had before, signed again by nobody.
    let later = start().plus_days(30);
    assert_eq!(follower.refused(&second, later), "rollback");
    publisher.now = later;
    publisher.publish();
    follower.refresh(&publisher.mirror, later).unwrap();
}

#[test]
fn rejects_freeze_of_each_role() {
    let (publisher, follower, [.., third]) = story();
    // A mirror that never has anything new: each role in turn is the first to expire.
    let code = |now| follower.clone().refused(&third, now);
    assert_eq!(code(start().plus_hours(72)), "expired_metadata");
    assert!(follower.clone().refresh(&third, publisher.timestamp.expires().plus_hours(0)).is_err());
    let mut stale = publisher;
    for (days, role) in [(14, "snapshot"), (182, "targets"), (365, "root")] {
        let now = start().plus_days(days);
        if days >= 182 {
            stale.publish_snapshot();
        }
        stale.now = now;
        if days == 182 {
            stale.publish_snapshot();
        } else if days == 14 {
            stale.publish_timestamp();
        } else {
            stale.publish();
        }
        let error = follower.clone().refresh(&stale.mirror, now).unwrap_err();
        assert_eq!(error.code(), "expired_metadata");
        assert!(error.to_string().starts_with(role), "{error}");
    }
}

#[test]
fn the_moment_of_expiry_is_too_late_and_the_second_before_is_not() {
    let (publisher, mut follower, [.., third]) = story();
    let expires = publisher.timestamp.expires();
    assert_eq!(follower.clone().refused(&third, expires), "expired_metadata");
    follower.refresh(&third, smidgen_metadata::Timestamp::from_unix(expires.unix() - 1)).unwrap();
}

#[test]
fn rejects_not_modified_for_ever() {
    // Freeze by an endless 304: the stored timestamp must still be unexpired.
    let (_, mut follower, [.., third]) = story();
    follower.refresh(&third, start()).unwrap();
    let keep = |now| {
        let mut set = TrustedSet::open(&follower.root, now, follower.limits)?;
        set.load_stored_timestamp(follower.timestamp.as_ref().unwrap())?;
        set.finish_root()?;
        set.keep_timestamp()
    };
    keep(start().plus_hours(71)).unwrap();
    assert_eq!(keep(start().plus_hours(72)).unwrap_err().code(), "expired_metadata");
}

#[test]
fn rejects_mix_and_match() {
    let (_, follower, [first, second, third]) = story();
    for (mixed, code) in [
        (Mirror { snapshot: first.snapshot.clone(), ..third.clone() }, "digest_mismatch"),
        (Mirror { targets: second.targets.clone(), ..third.clone() }, "version_mismatch"),
        (Mirror { timestamp: second.timestamp.clone(), ..third.clone() }, "digest_mismatch"),
    ] {
        assert_eq!(follower.clone().refused(&mixed, start()), code);
    }
    follower.clone().refresh(&third, start()).unwrap();
}

#[test]
fn rejects_mix_and_match_where_no_digests_are_listed() {
    let (mut publisher, mut follower, [first, ..]) = story();
    publisher.timestamp.snapshot = MetaFile::new(publisher.snapshot.version());
    publisher.sign_timestamp();
    publisher.mirror.snapshot = first.snapshot;
    assert_eq!(follower.refused(&publisher.mirror, start()), "version_mismatch");
}

#[test]
fn rejects_each_role_signed_by_a_wrong_key() {
    let (publisher, follower, [.., third]) = story();
    let stranger = key(99);
    // Strangers, and the publisher's own keys of other roles.
    for wrong in [&stranger, &publisher.keys.snapshot, &publisher.keys.root[0]] {
        let timestamp = sign_role(&publisher.timestamp, &[wrong]).unwrap();
        assert_eq!(
            follower.clone().refused(&Mirror { timestamp, ..third.clone() }, start()),
            "signature_threshold"
        );
    }
    let mut other = Publisher::new("shard-1");
    other.keys.snapshot = key(98);
    other.sign_snapshot();
    other.publish_timestamp();
    assert_eq!(follower.clone().refused(&other.mirror, start()), "signature_threshold");
    let mut other = Publisher::new("shard-1");
    other.keys.targets = key(97);
    other.publish();
    assert_eq!(follower.clone().refused(&other.mirror, start()), "signature_threshold");
}

#[test]
fn rejects_the_document_of_one_role_in_the_place_of_another() {
    // With one key for everything, only `_type` tells the roles apart.
    let mut publisher = Publisher::new("shard-1");
    let all = key(50);
    for kind in [smidgen_metadata::RoleKind::Timestamp, smidgen_metadata::RoleKind::Snapshot] {
        publisher.root.assign(kind, 1, [all.public_key()]);
    }
    let root = publisher.keys.sign_root(&publisher.root);
    let timestamp = sign_role(&publisher.snapshot, &[&all]).unwrap();
    let mirror = Mirror { roots: vec![root.clone()], timestamp, ..publisher.mirror };
    assert_eq!(Follower::new(&root).refused(&mirror, start()), "other_role");
}

#[test]
fn rejects_a_threshold_met_by_one_key_under_two_ids() {
    // A key id is a digest of the key's type, scheme and value. A second value member makes another id for the same key.
    let publisher = Publisher::new("shard-1");
    let thief = &publisher.keys.root[0];
    let mut signed = publisher.root.to_signed();
    let public = Value::from(hex(thief.public_key().as_bytes().unwrap()));
    let disguised = Value::Object(
        [
            ("keytype".to_owned(), "ed25519".into()),
            ("scheme".to_owned(), "ed25519".into()),
            (
                "keyval".to_owned(),
                Value::Object([("public".to_owned(), public), ("x".to_owned(), "y".into())].into()),
            ),
        ]
        .into(),
    );
    let id = smidgen_metadata::Sha256::of(&disguised.to_canonical()).to_string();
    let Value::Object(members) = &mut signed else { panic!() };
    let Some(Value::Object(keys)) = members.get_mut("keys") else { panic!() };
    keys.insert(id.clone(), disguised);
    let Some(Value::Object(roles)) = members.get_mut("roles") else { panic!() };
    let Some(Value::Object(role)) = roles.get_mut("root") else { panic!() };
    let Some(Value::Array(keyids)) = role.get_mut("keyids") else { panic!() };
    keyids.push(id.as_str().into());
    let (own_id, made) = signature(thief, &signed);
    let root = envelope(&signed, &[(own_id, made.clone()), (id, made)]);
    let error = TrustedSet::open(&root, start(), Default::default()).unwrap_err();
    assert!(matches!(error, VerifyError::SignatureThreshold { found: 1, needed: 2, .. }), "{error}");
}

// `tuf-compat` takes any ids.
#[cfg(not(feature = "tuf-compat"))]
#[test]
fn rejects_a_key_id_that_is_not_the_digest_of_its_key() {
    let publisher = Publisher::new("shard-1");
    let mut root = publisher.root.clone();
    let own = publisher.keys.root[0].public_key();
    let other = publisher.keys.root[1].public_key().id();
    root.keys.insert(other, own);
    let raw = sign_role(&root, &[&publisher.keys.root[0], &publisher.keys.root[2]]).unwrap();
    assert_eq!(TrustedSet::open(&raw, start(), Default::default()).unwrap_err().code(), "malformed_metadata");
}

#[test]
fn rejects_a_signature_listed_twice() {
    let publisher = Publisher::new("shard-1");
    let signed = publisher.root.to_signed();
    let once = signature(&publisher.keys.root[0], &signed);
    let raw = envelope(&signed, &[once.clone(), once]);
    let error = TrustedSet::open(&raw, start(), Default::default()).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
}

#[test]
fn rejects_a_signature_that_was_changed_into_another_valid_one() {
    // S + L satisfies the same equation; a strict verifier takes only the reduced S.
    let publisher = Publisher::new("shard-1");
    let signed = publisher.timestamp.to_signed();
    let (id, made) = signature(&publisher.keys.timestamp, &signed);
    let mut bytes: Vec<u8> =
        (0..64).map(|index| u8::from_str_radix(&made[index * 2..index * 2 + 2], 16).unwrap()).collect();
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, add) in bytes[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    let timestamp = envelope(&signed, &[(id, hex(&bytes))]);
    let mirror = Mirror { timestamp, ..publisher.mirror.clone() };
    assert_eq!(Follower::new(&mirror.roots[0]).refused(&mirror, start()), "signature_threshold");
}

#[test]
fn rejects_duplicate_json_keys() {
    // Two readers of such a document may see two versions. The signature would hold for the last one.
    let (_, mut follower, [.., third]) = story();
    let text = String::from_utf8(third.timestamp.clone()).unwrap();
    let timestamp = text.replacen(r#""version":3"#, r#""version":9,"version":3"#, 1).into_bytes();
    assert_ne!(timestamp, third.timestamp);
    let error = follower.refresh(&Mirror { timestamp, ..third }, start()).unwrap_err();
    assert!(error.to_string().contains("stands twice"), "{error}");
}

#[test]
fn rejects_deep_json_before_it_costs_anything() {
    let (_, mut follower, [.., third]) = story();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = format!("{}0{}", open.repeat(2000), close.repeat(2000));
        let timestamp = format!(r#"{{"signatures":[],"signed":{nested}}}"#).into_bytes();
        assert_eq!(follower.refused(&Mirror { timestamp, ..third.clone() }, start()), "malformed_metadata");
    }
}

#[test]
fn rejects_endless_length_of_each_role() {
    let (publisher, mut follower, [.., third]) = story();
    let endless = |len: u64| vec![b' '; len as usize + 1];
    let limits = follower.limits;
    let mirror = Mirror { timestamp: endless(limits.max_timestamp_len), ..third.clone() };
    assert_eq!(follower.refused(&mirror, start()), "length_exceeded");
    let mirror =
        Mirror { roots: vec![third.roots[0].clone(), endless(limits.max_root_len)], ..third.clone() };
    assert_eq!(follower.refused(&mirror, start()), "length_exceeded");
    let mirror = Mirror { targets: endless(limits.max_targets_len), ..third.clone() };
    assert_eq!(follower.refused(&mirror, start()), "length_exceeded");
    // A snapshot's length is listed, and requests carry it, so that a download stops there.
    let mut set = TrustedSet::open(&third.roots[0], start(), limits).unwrap();
    set.finish_root().unwrap();
    assert_eq!(set.timestamp_request().max_len, limits.max_timestamp_len);
    set.update_timestamp(&third.timestamp).unwrap();
    let request = set.snapshot_request().unwrap();
    assert_eq!((request.max_len, request.name.as_str()), (third.snapshot.len() as u64, "3.snapshot.json"));
    assert_eq!(request.sha256, Some(smidgen_metadata::Sha256::of(&third.snapshot)));
    assert_eq!(publisher.snapshot.version(), request.version);
    assert_eq!(
        set.update_snapshot(&[&third.snapshot[..], b" "].concat()).unwrap_err().code(),
        "digest_mismatch"
    );
    set.update_snapshot(&third.snapshot).unwrap();
    assert_eq!(set.targets_request().unwrap().max_len, limits.max_targets_len);
}

#[test]
fn rejects_an_unknown_version_of_the_specification() {
    let (mut publisher, mut follower, _) = story();
    publisher.timestamp.header.spec_version = "2.0.0".to_owned();
    publisher.sign_timestamp();
    assert_eq!(follower.refused(&publisher.mirror, start()), "unknown_spec_version");
    publisher.timestamp.header.spec_version = "1.0.99".to_owned();
    publisher.sign_timestamp();
    follower.refresh(&publisher.mirror, start()).unwrap();
}

#[test]
fn rejects_everything_under_a_wrong_root() {
    let (_, _, [.., third]) = story();
    let mut stranger = Publisher::new("shard-1");
    stranger.root.header.version = 1;
    let keys = Keys::new(100);
    keys.assign(&mut stranger.root);
    let mut follower = Follower::new(&keys.sign_root(&stranger.root));
    assert_eq!(follower.refused(&third, start()), "signature_threshold");
    // And a file that is no root at all, or a torn one.
    for wrong in [&third.timestamp[..], &third.roots[0][..100], b"", b"{}", b"\0"] {
        assert!(TrustedSet::open(wrong, start(), Default::default()).is_err());
    }
}

#[test]
fn a_refused_step_changes_nothing() {
    let (_, mut follower, [first, second, third]) = story();
    follower.refresh(&second, start()).unwrap();
    let before = format!("{follower:?}");
    for mirror in [
        Mirror { snapshot: b"{}".to_vec(), timestamp: first.timestamp.clone(), ..third.clone() },
        Mirror { timestamp: third.timestamp[..50].to_vec(), ..third.clone() },
    ] {
        follower.refresh(&mirror, start()).unwrap_err();
        follower.fetched = vec!["timestamp", "snapshot", "targets"];
        assert_eq!(format!("{follower:?}"), before);
    }
    // Within one set, too: after a bad answer the good one of another mirror goes through.
    let mut set = TrustedSet::open(&follower.root, start(), follower.limits).unwrap();
    set.finish_root().unwrap();
    set.update_timestamp(&third.timestamp).unwrap();
    set.update_snapshot(&second.snapshot).unwrap_err();
    set.update_snapshot(&third.snapshot).unwrap();
    set.update_targets(&second.targets).unwrap_err();
    assert!(set.targets().is_none());
    set.update_targets(&third.targets).unwrap();
}

#[test]
fn a_damaged_store_is_an_error_and_switches_nothing_off() {
    let (_, mut follower, [first, _, third]) = story();
    follower.refresh(&third, start()).unwrap();
    let whole = follower.clone();
    for torn in [b"".to_vec(), third.timestamp[..40].to_vec(), vec![0; third.timestamp.len()]] {
        follower.timestamp = Some(torn);
        assert_eq!(follower.refused(&first, start()), "malformed_metadata");
        assert_eq!(follower.refused(&third, start()), "malformed_metadata");
    }
    follower = whole.clone();
    follower.snapshot = Some(third.snapshot[..40].to_vec());
    assert_eq!(follower.refused(&third, start()), "malformed_metadata");
    follower = whole;
    follower.targets = Some(third.targets[..40].to_vec());
    assert_eq!(follower.refused(&third, start()), "malformed_metadata");
}

#[test]
fn steps_out_of_order_are_the_callers_mistake() {
    let (_, _, [.., third]) = story();
    let open = || TrustedSet::open(&third.roots[0], start(), Default::default()).unwrap();
    let mut set = open();
    let line = smidgen_metadata::BuildLine::new("a", "b", "c", []).unwrap();
    for error in [
        set.update_timestamp(&third.timestamp).unwrap_err(),
        set.keep_timestamp().unwrap_err(),
        set.snapshot_request().unwrap_err(),
        set.load_stored_snapshot(&third.snapshot).unwrap_err(),
        set.update_snapshot(&third.snapshot).unwrap_err(),
        set.targets_request().unwrap_err(),
        set.load_stored_targets(&third.targets).unwrap_err(),
        set.update_targets(&third.targets).unwrap_err(),
        set.search(&line).unwrap_err(),
        set.search("file").unwrap_err(),
    ] {
        assert_eq!(error.code(), "out_of_order");
    }
    set.load_stored_timestamp(&third.timestamp).unwrap();
    assert_eq!(set.update_root(&third.roots[0]).unwrap_err().code(), "out_of_order");
    assert_eq!(set.load_stored_timestamp(&third.timestamp).unwrap_err().code(), "out_of_order");
    set.finish_root().unwrap();
    // A stored timestamp alone is not a base for a snapshot: the repository has not been asked yet.
    assert_eq!(set.update_snapshot(&third.snapshot).unwrap_err().code(), "out_of_order");
    assert_eq!(open().keep_timestamp().unwrap_err().code(), "out_of_order");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
