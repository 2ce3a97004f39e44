//! What metadata weighs: the figures of `docs/measurements.md`, and bounds that no change may break in silence.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use smidgen_metadata::canonical::Value;
use smidgen_metadata::sign::{next_targets, sign_role};
use smidgen_metadata::{HISTORY_CAP, MetaFile, Role, Target};

use crate::publisher::{Publisher, start};
use crate::release::{line, line_of};

fn packed(bytes: &[u8]) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap().len()
}

/// The publisher of one line: a newest release with five patches, and so many releases before it.
fn publisher_of(history: u64, listed: usize) -> Publisher {
    let mut publisher = Publisher::new("editor-stable-1");
    line_of(history + 1, listed).write(&mut publisher.targets, &line());
    publisher.publish_without_marker();
    publisher
}

impl Publisher {
    /// Publishes what targets list, without the extra target of `publish`.
    fn publish_without_marker(&mut self) {
        self.targets = next_targets(Some(&self.targets), start().plus_days(90));
        self.sign_targets();
        self.publish_snapshot();
    }
}

fn entry(target: &Target, path: &str) -> Vec<u8> {
    let mut targets = Publisher::new("shard-1").targets;
    targets.targets.clear();
    targets.targets.insert(path.to_owned(), target.clone());
    let Value::Object(members) = targets.to_signed() else { panic!() };
    members["targets"].to_json()
}

#[test]
fn metadata_stays_as_light_as_the_documents_say() {
    let mut table = String::from("\n| what | bytes | gzip |\n|---|--:|--:|\n");
    let mut weigh = |what: &str, bytes: &[u8], most: (usize, usize)| {
        let (plain, packed) = (bytes.len(), packed(bytes));
        table.push_str(&format!("| {what} | {plain} | {packed} |\n"));
        assert!(
            plain <= most.0 && packed <= most.1,
            "{what}: {plain} bytes, {packed} packed; at most {most:?}"
        );
        packed
    };
    for (history, most) in [(0, (400, 300)), (HISTORY_CAP as u64 - 1, (1_000, 590))] {
        let publisher = publisher_of(history, 1);
        let (path, target) = publisher.targets.targets.iter().next().unwrap();
        let patches = if history == 0 { "no patches" } else { "five patches" };
        weigh(&format!("entry: {patches}, {history} releases of history"), &entry(target, path), most);
    }
    // As in a shard of 16 build lines, each in a role of its own.
    let mut publisher = publisher_of(HISTORY_CAP as u64 - 1, 1);
    for index in 0..16_u64 {
        let listed = MetaFile::new(1 + index * 7 % 40);
        publisher.snapshot.meta.insert(format!("editor~{:02x}.json", index * 73 % 256), listed);
    }
    publisher.snapshot.meta.insert("editor.json".to_owned(), MetaFile::new(16));
    publisher.publish_snapshot();
    publisher.timestamp.snapshot = MetaFile::new(publisher.snapshot.version());
    publisher.sign_timestamp();
    let files = [
        ("`timestamp.json`", &publisher.mirror.timestamp, (460, 325)),
        ("`N.snapshot.json` of 16 lines", &publisher.mirror.snapshot, (960, 400)),
        ("`N.editor~e4.json`, the role of a line", &publisher.mirror.targets, (1_340, 800)),
    ];
    let update: usize = files.map(|(what, bytes, most)| weigh(what, bytes, most)).iter().sum();
    assert!(update <= 1_510, "an update takes {update} bytes of metadata");
    let two = publisher_of(HISTORY_CAP as u64 - 1, 2);
    weigh("the same with two releases listed", &two.mirror.targets, (2_060, 1_050));
    weigh("`1.root.json`, 2 of 3 keys", &publisher.mirror.roots[0], (2_310, 920));
    table.push_str(&format!("| an update: timestamp, snapshot, role of the line | | {update} |\n"));
    println!("{table}");
}

/// Other spellings of the same entry, for the record: what each member would weigh in a form that explains itself.
#[test]
fn arrays_beat_objects_where_it_counts() {
    let publisher = publisher_of(36, 1);
    let mut targets = publisher.targets.clone();
    let weight = |targets: &smidgen_metadata::Targets| {
        let bytes = sign_role(targets, &[&publisher.keys.targets]).unwrap();
        (bytes.len(), packed(&bytes))
    };
    let arrays = weight(&targets);
    let names = |members: &mut smidgen_metadata::canonical::Object, list: &str, names: &[&str]| {
        let Some(Value::Array(items)) = members.get_mut(list) else { panic!() };
        for item in items {
            let Value::Array(values) = item else { panic!() };
            let named = names.iter().map(|name| (*name).to_owned()).zip(values.drain(..));
            *item = Value::Object(named.collect());
        }
    };
    let custom = targets.targets.values_mut().next().unwrap().custom.as_mut().unwrap();
    names(custom, "patches", &["old", "codec", "size", "digest", "memory"]);
    let objects = weight(&targets);
    println!("targets.json with arrays: {arrays:?}, with objects: {objects:?} (bytes, gzip)");
    assert!(arrays.0 < objects.0 && arrays.1 < objects.1);
}
