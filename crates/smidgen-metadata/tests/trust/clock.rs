//! Clocks that are wrong: the client's, and the publisher's.

use smidgen_metadata::TrustedSet;
use smidgen_metadata::sign::signing_time;

use crate::follower::Follower;
use crate::publisher::{Keys, Publisher, key, start, time};

#[test]
fn a_clock_that_steps_back_neither_bricks_a_client_nor_revives_what_expired() {
    let mut publisher = Publisher::new("shard-1");
    let old = publisher.mirror.clone();
    publisher.now = start().plus_days(60);
    publisher.publish();
    let mut follower = Follower::new(&old.roots[0]);
    let set = follower.refresh(&publisher.mirror, publisher.now).unwrap();
    assert_eq!(set.clock_floor(), Some(publisher.now));

    // Years back: everything goes on as at the newest signed time.
    let past = time("1970-01-01T00:00:00Z");
    let set = follower.refresh(&publisher.mirror, past).unwrap();
    assert_eq!(set.now(), publisher.now);
    // And what had expired at that time stays expired, for instance a root that ended in between.
    let mut ended = publisher.root.clone();
    ended.header.expires = start().plus_days(59);
    let root = publisher.keys.sign_root(&ended);
    let mut set = TrustedSet::open(&root, past, follower.limits).unwrap();
    set.load_stored_timestamp(follower.timestamp.as_ref().unwrap()).unwrap();
    assert_eq!(set.finish_root().unwrap_err().code(), "expired_metadata");
}

#[test]
fn a_new_timestamp_lifts_a_slow_clock_over_an_expired_snapshot() {
    // A slow clock alone would take a snapshot that ended weeks ago.
    let mut publisher = Publisher::new("shard-1");
    publisher.now = start().plus_days(20);
    publisher.publish_timestamp();
    let error = Follower::new(&publisher.mirror.roots[0]).refresh(&publisher.mirror, start()).unwrap_err();
    assert!(error.to_string().starts_with("snapshot expired"), "{error}");
}

#[test]
fn a_fast_clock_refuses_everything_and_forgets_nothing() {
    let publisher = Publisher::new("shard-1");
    let mut follower = Follower::new(&publisher.mirror.roots[0]);
    follower.refresh(&publisher.mirror, start()).unwrap();
    let before = follower.clone();
    assert_eq!(follower.refused(&publisher.mirror, time("2040-01-01T00:00:00Z")), "expired_metadata");
    assert_eq!(follower.timestamp, before.timestamp);
    // The clock is put right and all is well: a given time leaves no trace, only signed ones do.
    let set = follower.refresh(&publisher.mirror, start()).unwrap();
    assert_eq!(set.now(), start());
}

#[test]
fn a_publisher_whose_clock_was_fast_once_is_still_followed() {
    let mut publisher = Publisher::new("shard-1");
    let mut follower = Follower::new(&publisher.mirror.roots[0]);
    publisher.now = start().plus_days(300);
    publisher.publish();
    follower.refresh(&publisher.mirror, start()).unwrap();
    publisher.now = start().plus_hours(1);
    assert_eq!(signing_time(publisher.now, Some(&publisher.timestamp)), start().plus_days(300));
    publisher.publish();
    follower.refresh(&publisher.mirror, publisher.now).unwrap();
    // A rotation of the timestamp key ends it for good.
    publisher.timestamp.signed_at = None;
    publisher.rotate(Keys { timestamp: key(71), ..Keys::new(10) });
    publisher.publish();
    let set = follower.refresh(&publisher.mirror, publisher.now).unwrap();
    assert_eq!(set.now(), publisher.now);
}

#[test]
fn rejects_a_timestamp_that_was_signed_after_its_own_end() {
    let mut publisher = Publisher::new("shard-1");
    publisher.timestamp.signed_at = Some(publisher.timestamp.header.expires);
    publisher.sign_timestamp();
    let mut follower = Follower::new(&publisher.mirror.roots[0]);
    assert_eq!(follower.refused(&publisher.mirror, start()), "malformed_metadata");
}
