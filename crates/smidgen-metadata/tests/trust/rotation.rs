//! Chains of roots: what a rotation needs, what it may not skip, and what it heals.

use smidgen_metadata::sign::{Signer, countersign, next_root, sign_role};
use smidgen_metadata::{Limits, RawMetadata, Role, RoleKind, Stored, TrustedSet, VerifyError};

use crate::follower::Follower;
use crate::publisher::{Keys, Mirror, Publisher, key, start};

fn open(publisher: &Publisher) -> TrustedSet {
    TrustedSet::open(&publisher.mirror.roots[0], start(), Limits::default()).unwrap()
}

/// The keys of seed 10, but for one role's key.
fn keys_but(change: impl FnOnce(&mut Keys)) -> Keys {
    let mut keys = Keys::new(10);
    change(&mut keys);
    keys
}

#[test]
fn follows_a_chain_of_roots_to_wholly_new_keys() {
    let mut publisher = Publisher::new("shard-1");
    let mut follower = Follower::new(&publisher.mirror.roots[0]);
    follower.refresh(&publisher.mirror, start()).unwrap();
    for seed in [20, 30, 40] {
        publisher.rotate(Keys::new(seed));
    }
    publisher.sign_targets();
    publisher.publish();
    let set = follower.refresh(&publisher.mirror, start()).unwrap();
    assert_eq!(follower.fetched, ["root", "root", "root", "timestamp", "snapshot", "targets"]);
    assert_eq!((set.root().version(), set.repository()), (4, Some("shard-1")));
    follower.refresh(&publisher.mirror, start()).unwrap();
    assert_eq!(follower.fetched, ["timestamp"]);
}

#[test]
fn rejects_a_root_that_the_old_keys_did_not_sign() {
    let mut publisher = Publisher::new("shard-1");
    let keys = Keys::new(20);
    let mut root = next_root(&publisher.root, start().plus_days(365));
    keys.assign(&mut root);
    publisher.mirror.roots.push(keys.sign_root(&root));
    let error = open(&publisher).update_root(&publisher.mirror.roots[1]).unwrap_err();
    assert!(matches!(error, VerifyError::SignatureThreshold { found: 0, needed: 2, .. }), "{error}");
    assert!(error.to_string().contains("the trusted root"), "{error}");
    // One of two is not enough either.
    let raw = sign_role(&root, &[&keys.root[0], &keys.root[1], &publisher.keys.root[1]]).unwrap();
    let error = open(&publisher).update_root(&raw).unwrap_err();
    assert!(matches!(error, VerifyError::SignatureThreshold { found: 1, needed: 2, .. }), "{error}");
}

#[test]
fn rejects_a_root_that_its_own_keys_did_not_sign() {
    let publisher = Publisher::new("shard-1");
    let mut root = next_root(&publisher.root, start().plus_days(365));
    Keys::new(20).assign(&mut root);
    let error = open(&publisher).update_root(&publisher.keys.sign_root(&root)).unwrap_err();
    assert!(error.to_string().contains("the new root itself"), "{error}");
}

#[test]
fn rejects_roots_that_skip_repeat_or_go_back() {
    let mut publisher = Publisher::new("shard-1");
    publisher.rotate(Keys::new(10));
    publisher.rotate(Keys::new(10));
    let roots = &publisher.mirror.roots;
    let mut set = open(&publisher);
    for (version, found) in [(3, 3), (1, 1)] {
        let error = set.update_root(&roots[version - 1]).unwrap_err();
        assert_eq!(error, VerifyError::RootVersion { found, expected: 2 });
    }
    set.update_root(&roots[1]).unwrap();
    assert_eq!(set.update_root(&roots[1]).unwrap_err().code(), "root_version");
    set.update_root(&roots[2]).unwrap();
}

#[test]
fn an_expired_root_on_the_way_does_not_matter_and_at_the_end_it_does() {
    let mut publisher = Publisher::new("shard-1");
    publisher.root.header.expires = start();
    publisher.mirror.roots[0] = publisher.keys.sign_root(&publisher.root);
    let mut set = open(&publisher);
    assert_eq!(set.finish_root().unwrap_err().code(), "expired_metadata");
    publisher.rotate(Keys::new(10));
    set.update_root(&publisher.mirror.roots[1]).unwrap();
    set.finish_root().unwrap();
}

#[test]
fn an_endless_chain_of_roots_ends_at_the_limit_and_goes_on_next_time() {
    let mut publisher = Publisher::new("shard-1");
    for _ in 0..7 {
        publisher.rotate(Keys::new(10));
    }
    let mut follower = Follower::new(&publisher.mirror.roots[0]);
    follower.limits.max_root_rotations = 5;
    let set = follower.refresh(&publisher.mirror, start()).unwrap();
    assert_eq!(set.root().version(), 6);
    let mut set = set;
    assert_eq!(set.root_request(), None);
    assert!(set.update_root(&publisher.mirror.roots[6]).is_err());
    assert_eq!(follower.refresh(&publisher.mirror, start()).unwrap().root().version(), 8);
}

#[test]
fn a_root_that_was_signed_by_several_people_one_after_another_is_taken() {
    let mut publisher = Publisher::new("shard-1");
    let root = next_root(&publisher.root, start().plus_days(365));
    let first = sign_role(&root, &[&publisher.keys.root[1]]).unwrap();
    assert_eq!(open(&publisher).update_root(&first).unwrap_err().code(), "signature_threshold");
    let raw = RawMetadata::parse(&first, RoleKind::Root, &Limits::default()).unwrap();
    let both = countersign(&raw, &[&publisher.keys.root[0]]).unwrap();
    open(&publisher).update_root(&both).unwrap();
    // The order in which they sign does not show.
    assert_eq!(both, sign_role(&root, &[&publisher.keys.root[0], &publisher.keys.root[1]]).unwrap());
    publisher.mirror.roots.push(both);
    Follower::new(&publisher.mirror.roots[0]).refresh(&publisher.mirror, start()).unwrap();
}

#[test]
fn rotation_of_the_timestamp_key_recovers_from_fast_forward() {
    // The thief of the online keys drove the versions up, so that everything genuine is a rollback for who saw it.
    let mut publisher = Publisher::new("shard-1");
    let mut follower = Follower::new(&publisher.mirror.roots[0]);
    let genuine = (publisher.timestamp.clone(), publisher.snapshot.clone());
    publisher.snapshot.header.version = 1_000_000_000;
    publisher.snapshot.meta.get_mut("targets.json").unwrap().version = 1;
    publisher.sign_snapshot();
    publisher.timestamp.header.version = i64::MAX as u64 - 1;
    publisher.publish_timestamp();
    follower.refresh(&publisher.mirror, start()).unwrap();
    (publisher.timestamp, publisher.snapshot) = genuine;
    publisher.publish();
    assert_eq!(follower.refused(&publisher.mirror, start()), "rollback");

    publisher.rotate(keys_but(|keys| (keys.timestamp, keys.snapshot) = (key(71), key(72))));
    publisher.publish();
    let set = follower.refresh(&publisher.mirror, start()).unwrap();
    assert_eq!(set.timestamp().unwrap().version(), 3);
    // The name of the repository outlives the rotation.
    assert_eq!(set.repository(), Some("shard-1"));
}

#[test]
fn rotation_of_the_snapshot_key_alone_recovers_from_fast_forward_of_snapshot() {
    let mut publisher = Publisher::new("shard-1");
    let mut follower = Follower::new(&publisher.mirror.roots[0]);
    let genuine = publisher.snapshot.clone();
    publisher.snapshot.header.version = 1_000_000_000;
    publisher.sign_snapshot();
    publisher.publish_timestamp();
    follower.refresh(&publisher.mirror, start()).unwrap();
    publisher.snapshot = genuine;
    publisher.rotate(keys_but(|keys| keys.snapshot = key(72)));
    publisher.publish();
    assert_eq!(follower.refresh(&publisher.mirror, start()).unwrap().snapshot().unwrap().version(), 2);
}

#[test]
fn what_the_old_keys_signed_counts_for_nothing_after_their_rotation() {
    let mut publisher = Publisher::new("shard-1");
    let old = publisher.mirror.clone();
    publisher.rotate(Keys::new(20));
    publisher.publish();
    let mut set = open(&publisher);
    set.update_root(&publisher.mirror.roots[1]).unwrap();
    assert!(set.must_forget_stored());
    assert_eq!(set.load_stored_timestamp(&old.timestamp), Ok(Stored::Superseded));
    assert!(set.timestamp().is_none());
    set.finish_root().unwrap();
    assert_eq!(set.update_timestamp(&old.timestamp).unwrap_err().code(), "signature_threshold");
    set.update_timestamp(&publisher.mirror.timestamp).unwrap();
    assert_eq!(set.load_stored_snapshot(&old.snapshot), Ok(Stored::Superseded));
    set.update_snapshot(&publisher.mirror.snapshot).unwrap();
    assert_eq!(set.load_stored_targets(&old.targets), Ok(Stored::Superseded));
    set.update_targets(&publisher.mirror.targets).unwrap();
}

#[test]
fn a_crash_between_storing_a_root_and_forgetting_the_rest_does_no_harm() {
    // The next refresh starts from the new root and does not see that anything was rotated.
    let mut publisher = Publisher::new("shard-1");
    let mut follower = Follower::new(&publisher.mirror.roots[0]);
    follower.refresh(&publisher.mirror, start()).unwrap();
    publisher.rotate(Keys::new(20));
    publisher.publish();
    follower.root.clone_from(&publisher.mirror.roots[1]);
    follower.refresh(&publisher.mirror, start()).unwrap();
    assert_eq!(follower.fetched, ["timestamp", "snapshot", "targets"]);
}

#[test]
fn a_threshold_beyond_the_keys_can_never_be_met() {
    let publisher = Publisher::new("shard-1");
    let mut root = publisher.root.clone();
    root.assign(RoleKind::Timestamp, 2, [publisher.keys.timestamp.public_key()]);
    let raw = publisher.keys.sign_root(&root);
    let mirror = Mirror { roots: vec![raw.clone()], ..publisher.mirror };
    assert_eq!(Follower::new(&raw).refused(&mirror, start()), "signature_threshold");
}
