#![no_main]
//! A mirror that says anything: each line is a step, signed by the right key or not. Versions never go back, a step that
//! fails changes nothing, and a search through delegated roles comes to an end and visits no role twice.

use std::collections::BTreeSet;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use smidgen_metadata::canonical::{Object, ParseLimits, Value, parse};
use smidgen_metadata::sign::{SecretKey, Signer, sign_role};
use smidgen_metadata::{BuildLine, Header, Limits, Role, RoleKind, Root, Sought, Stored, TrustedSet};

/// One key signs everything, so that a line is a step whatever role it is of.
static KEY: LazyLock<SecretKey> = LazyLock::new(|| SecretKey::from_seed(&[7; 32]).expect("a good key"));

const NOW: &str = "2026-11-23T16:00:00Z";

/// Opened once: every story begins here.
static OPENED: LazyLock<TrustedSet> = LazyLock::new(|| {
    let mut root = Root::new(Header::new(1, "2030-01-01T00:00:00Z".parse().expect("a time")));
    for kind in RoleKind::ALL {
        root.assign(kind, 1, [KEY.public_key()]);
    }
    let root = sign_role(&root, &[&*KEY]).expect("a signature");
    TrustedSet::open(&root, NOW.parse().expect("a time"), Limits::default()).expect("a good root")
});

fuzz_target!(|bytes: &[u8]| {
    let mut set = OPENED.clone();
    for step in lines(bytes) {
        let [verb, _, document @ ..] = step else { continue };
        let Some(file) = file_of(step) else { continue };
        let before = set.clone();
        let failed = match verb {
            b'r' => set.update_root(&file).is_err(),
            b'f' => set.finish_root().is_err(),
            b'k' => set.keep_timestamp().is_err(),
            b'T' => set.load_stored_timestamp(&file).is_err(),
            b't' => set.update_timestamp(&file).is_err(),
            b'S' => set.load_stored_snapshot(&file).is_err(),
            b's' => set.update_snapshot(&file).is_err(),
            b'G' => set.load_stored_targets(&file).is_err(),
            b'g' => set.update_targets(&file).is_err(),
            b'p' => set.pin_repository(&String::from_utf8_lossy(document)).is_err(),
            // A search, which the later lines that begin with `u` or `l` answer.
            b'q' => {
                let answers = lines(bytes).filter(|step| matches!(step.first(), Some(b'u' | b'l')));
                let answers: Vec<(bool, Vec<u8>)> =
                    answers.filter_map(|step| Some((step.first() == Some(&b'l'), file_of(step)?))).collect();
                search(&set, "a/b", &answers);
                if let Ok(line) = BuildLine::new("editor", "stable", "x86_64-linux", ["metrics", "tls"]) {
                    search(&set, &line, &answers);
                }
                false
            }
            _ => continue,
        };
        assert!(!failed || set == before, "a refused step changed something");
        for (after, before) in versions(&set).into_iter().zip(versions(&before)) {
            assert!(after >= before, "a version went back");
        }
        assert!(set.now() >= before.now(), "the clock went back");
        let _ = (set.snapshot_request(), set.targets_request(), set.root_request());
    }
});

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').take(16)
}

fn file_of(step: &[u8]) -> Option<Vec<u8>> {
    let [_, signed, document @ ..] = step else { return None };
    Some(if *signed == b's' { seal(document) } else { document.to_vec() })
}

/// Feeds a search with the answers in their order, and again from the first one as long as any is taken.
fn search<S: Sought>(set: &TrustedSet, sought: S, answers: &[(bool, Vec<u8>)])
where
    S: Clone + std::fmt::Debug,
    S::Found: Clone + std::fmt::Debug,
{
    let Ok(mut search) = set.search(sought) else { return };
    let mut visited = BTreeSet::new();
    while let Ok(Some(request)) = search.request() {
        assert!(visited.insert(request.role.clone()), "a role is asked for twice");
        assert!(visited.len() <= 32, "more roles than the limit allows");
        assert!(!request.name.contains('/'), "a name leads out of the folder");
        let taken = answers.iter().any(|(stored, file)| {
            let before = format!("{search:?}");
            let taken = match stored {
                true => search.load_stored(file) == Ok(Stored::Current),
                false => search.update(file).is_ok(),
            };
            assert!(taken || format!("{search:?}") == before, "a refused role changed the search");
            taken
        });
        if !taken {
            assert!(search.finish().is_err(), "a search that is not over has an answer");
            return;
        }
    }
    let _ = search.finish();
}

fn versions(set: &TrustedSet) -> [u64; 2] {
    [set.root().version(), set.timestamp().map_or(0, |role| role.version())]
}

/// Signs what the fuzzer wrote, if it has a canonical form at all.
fn seal(document: &[u8]) -> Vec<u8> {
    let Ok(signed) = parse(document, &ParseLimits::default()) else { return document.to_vec() };
    let signature = KEY.sign(&signed.to_canonical()).expect("a signature").to_string();
    let signature = Object::from([
        ("keyid".to_owned(), KEY.public_key().id().as_str().into()),
        ("sig".to_owned(), signature.into()),
    ]);
    let envelope = Object::from([
        ("signatures".to_owned(), Value::Array(vec![Value::Object(signature)])),
        ("signed".to_owned(), signed),
    ]);
    Value::Object(envelope).to_json()
}
