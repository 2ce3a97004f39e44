//! The reference implementation (python-tuf) as a foreign judge of our bytes, and as a publisher that we must read.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use smidgen_metadata::canonical::Value;
use smidgen_metadata::{
    Delegated, Limits, MetaFile, RawMetadata, Role, RoleKind, Root, Scope, Sha256, Snapshot, Targets,
    TimestampRole,
};

use crate::follower::Follower;
use crate::form::documents;
use crate::publisher::{Keys, Mirror, Publisher, key, start, time};
use crate::python::python_with;
use crate::release::{line, line_of};

/// The judge's Python; see `python_with`.
fn python() -> Option<PathBuf> {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trust/requirements.txt");
    python_with(&requirements, Path::new(env!("CARGO_TARGET_TMPDIR")))
}

fn judge(python: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trust/judge.py");
    let mut command = Command::new(python);
    command.arg(script).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The documents of the canonical form fit no pipe: write while the judge reads.
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || pipe.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "judge {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn fresh_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("metadata")).unwrap();
    folder
}

#[test]
fn python_tuf_follows_what_we_sign() {
    let Some(python) = python() else { return };
    let far = time("2100-01-01T00:00:00Z");
    let mut publisher = Publisher::new("shard-1");
    // The judge's clock is the real one.
    publisher.root.header.expires = far;
    publisher.mirror.roots[0] = publisher.keys.sign_root(&publisher.root);
    publisher.rotate(Keys { timestamp: key(71), ..Keys::new(10) });
    publisher.root.header.expires = far;
    publisher.mirror.roots[1] = publisher.keys.sign_root(&publisher.root);
    let content = b"the raw file of the newest release";
    let mut made = line_of(40, 2);
    for release in made.releases_mut() {
        (release.size, release.sha256) = (content.len() as u64, Sha256::of(content));
        release.notes = Some("Line feeds\nand \"quotes\" é 😀".to_owned());
    }
    made.write(&mut publisher.targets, &line());
    publisher.publish();
    publisher.targets.header.expires = far;
    publisher.sign_targets();
    publisher.snapshot.header.expires = far;
    publisher.sign_snapshot();
    publisher.timestamp.header.expires = far;
    publisher.timestamp.snapshot = MetaFile::of(2, &publisher.mirror.snapshot);
    publisher.sign_timestamp();

    let folder = fresh_folder("ours");
    let newest = made.newest().unwrap();
    let raw = folder.join(newest.raw_path(&line()));
    fs::create_dir_all(raw.parent().unwrap()).unwrap();
    fs::write(raw, content).unwrap();
    let files = [
        ("1.root.json", &publisher.mirror.roots[0]),
        ("2.root.json", &publisher.mirror.roots[1]),
        ("timestamp.json", &publisher.mirror.timestamp),
        ("2.snapshot.json", &publisher.mirror.snapshot),
        ("2.targets.json", &publisher.mirror.targets),
    ];
    for (name, bytes) in files {
        fs::write(folder.join("metadata").join(name), bytes).unwrap();
    }
    let output = judge(&python, &["read", folder.to_str().unwrap(), &newest.target_path(&line())], b"");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), Sha256::of(content).to_string());
    // Both sides agree on what is signed, byte by byte.
    for (name, bytes) in files {
        let ours = RawMetadata::parse_any(bytes, &Limits::default()).unwrap();
        assert_eq!(fs::read(folder.join("canonical").join(name)).unwrap(), ours.message(), "{name}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn we_follow_what_python_tuf_signs() {
    let Some(python) = python() else { return };
    let folder = fresh_folder("theirs");
    fs::remove_dir(folder.join("metadata")).unwrap();
    judge(&python, &["write", folder.to_str().unwrap()], b"");
    let file = |name: &str| fs::read(folder.join("metadata").join(name)).unwrap();
    let mirror = Mirror {
        roots: vec![file("1.root.json"), file("2.root.json")],
        timestamp: file("timestamp.json"),
        snapshot: file("5.snapshot.json"),
        targets: file("3.targets.json"),
    };
    let mut follower = Follower::new(&mirror.roots[0]);
    let set = follower.refresh(&mirror, start()).unwrap();
    assert_eq!(set.repository(), None);
    assert_eq!((set.root().version(), set.root().keys_of(RoleKind::Root).count()), (2, 2));
    let targets = set.targets().unwrap();
    assert_eq!(targets.targets["folder/a file é"].length, 4);
    let delegations = targets.delegations.as_ref().unwrap();
    let Delegated::Roles(roles) = &delegations.roles else { panic!() };
    assert_eq!(
        roles.iter().map(|role| role.name.as_str()).collect::<Vec<_>>(),
        ["editor", "../../odd name/é"]
    );
    assert_eq!(roles[0].scope, Scope::Paths(vec!["editor/*/*".to_owned()]));
    assert_eq!(roles[1].scope, Scope::PathHashPrefixes(vec!["00".to_owned(), "0f".to_owned()]));
    follower.refresh(&mirror, start()).unwrap();
    assert_eq!(follower.fetched, ["timestamp"]);

    // Nothing of what they wrote is lost when we write it again.
    fn check<R: Role>(bytes: &[u8]) {
        let raw = RawMetadata::parse_any(bytes, &Limits::default()).unwrap();
        let written = raw.read_unverified::<R>().unwrap().to_signed().to_canonical();
        assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(raw.message()));
    }
    check::<Root>(&mirror.roots[1]);
    check::<TimestampRole>(&mirror.timestamp);
    check::<Snapshot>(&mirror.snapshot);
    check::<Targets>(&mirror.targets);
    check::<Targets>(&file("bins.json"));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn delegations_hold_the_paths_that_the_reference_client_finds_in_them() {
    let Some(python) = python() else { return };
    // Few characters, so that wildcards, sets and segments meet often.
    let pattern = proptest::string::string_regex("[ab/*?\\[\\]!\\-^\\\\.é]{0,12}").unwrap();
    let path = proptest::string::string_regex("[ab/\\[\\]!\\-^\\\\.é]{0,8}").unwrap();
    let prefix = proptest::string::string_regex("[0-9a-f]{0,2}").unwrap();
    let cases =
        (proptest::collection::vec(pattern, 1..4), proptest::collection::vec(prefix, 1..4), 1_u32..=32, path);
    let mut runner = TestRunner::deterministic();
    let cases: Vec<_> =
        std::iter::repeat_with(|| cases.new_tree(&mut runner).unwrap().current()).take(20_000).collect();
    let list = |texts: &[String]| Value::Array(texts.iter().map(|text| text.as_str().into()).collect());
    let mut input = Vec::new();
    for (patterns, prefixes, bits, path) in &cases {
        let case = Value::Array(vec![list(patterns), list(prefixes), (*bits).into(), path.as_str().into()]);
        input.extend(case.to_json());
        input.push(b'\n');
    }
    let output = judge(&python, &["delegated"], &input);
    let verdicts = String::from_utf8(output.stdout).unwrap();
    let mut held = 0;
    for ((patterns, prefixes, bits, path), verdict) in cases.iter().zip(verdicts.lines()) {
        let by_path = Scope::Paths(patterns.clone()).covers(path);
        let by_digest = Scope::PathHashPrefixes(prefixes.clone()).covers(path);
        let role = crate::graph::bins(*bits).role_of(path);
        assert_eq!(
            verdict,
            format!("[{by_path},{by_digest},\"{role}\"]"),
            "{patterns:?} {prefixes:?} {path:?}"
        );
        held += u32::from(by_path);
    }
    assert_eq!(verdicts.lines().count(), cases.len());
    assert!(held > 200, "only {held} of the paths are in a pattern");
}

#[test]
fn canonical_forms_are_those_of_securesystemslib() {
    let Some(python) = python() else { return };
    let mut runner = TestRunner::deterministic();
    let documents: Vec<Value> =
        (0..500).map(|_| documents().new_tree(&mut runner).unwrap().current()).collect();
    let input: Vec<u8> =
        documents.iter().flat_map(|value| [value.to_json(), b"\n".to_vec()].concat()).collect();
    let output = judge(&python, &["canonical"], &input);
    let theirs: Vec<&str> = std::str::from_utf8(&output.stdout).unwrap().lines().collect();
    assert_eq!(theirs.len(), documents.len());
    for (value, theirs) in documents.iter().zip(theirs) {
        let ours: String = value.to_canonical().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(ours, theirs, "{value:?}");
    }
}
