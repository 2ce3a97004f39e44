#![no_main]
//! Any bytes as a metadata file: what is read as a role is written and read again without a change.

use libfuzzer_sys::fuzz_target;
use smidgen_metadata::canonical::{Object, Value};
use smidgen_metadata::{BuildLine, Limits, Line, RawMetadata, Role, Root, Snapshot, Targets, TimestampRole};

fuzz_target!(|bytes: &[u8]| {
    let Ok(raw) = RawMetadata::parse_any(bytes, &Limits::default()) else { return };
    again::<Root>(&raw);
    again::<TimestampRole>(&raw);
    again::<Snapshot>(&raw);
    let Some(targets) = again::<Targets>(&raw) else { return };
    for path in targets.targets.keys() {
        let parts: Vec<&str> = path.split('/').collect();
        let [product, channel, platform, ..] = parts[..] else { continue };
        let Ok(line) = BuildLine::new(product, channel, platform, ["metrics", "tls"]) else { continue };
        let Ok(Some(read)) = Line::read(&targets, &line) else { continue };
        let mut written = targets.clone();
        read.write(&mut written, &line);
        let written =
            Line::read(&written, &line).expect("a line that was written can be read").expect("it is there");
        assert_eq!(written.releases(), read.releases());
        assert!(written.history().iter().all(|entry| read.history().contains(entry)));
        for release in read.releases() {
            assert!(!release.name.contains('/') && !release.name.starts_with('.'));
        }
    }
});

fn again<R: Role + Eq + std::fmt::Debug>(raw: &RawMetadata<'_>) -> Option<R> {
    let role: R = raw.read_unverified().ok()?;
    let envelope = Object::from([
        ("signatures".to_owned(), Value::Array(vec![])),
        ("signed".to_owned(), role.to_signed()),
    ]);
    let written = Value::Object(envelope).to_json();
    let limits = Limits::default();
    // What is written can be longer than what was read: numbers and names stay, but escapes may be spelt longer.
    let Ok(raw) = RawMetadata::parse(&written, R::KIND, &limits) else {
        assert!(written.len() as u64 > limits.max_len(&R::KIND.into()));
        return None;
    };
    assert_eq!(raw.read_unverified::<R>().expect("a role that was written can be read"), role);
    Some(role)
}
