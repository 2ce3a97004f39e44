//! Releases in targets metadata: what is written is read, what is asked is answered, judged by a naive twin.

use std::collections::BTreeSet;

use proptest::prelude::*;
use smidgen_metadata::canonical::Value;
use smidgen_metadata::{
    Blake3, Blob, BuildLine, HISTORY_CAP, Header, Line, LineError, Name, PatchEntry, PluginRelease, Release,
    Severity, Sha256, Targets,
};

use crate::follower::Follower;
use crate::publisher::{Publisher, start};

pub(crate) fn line() -> BuildLine {
    BuildLine::new("editor", "stable", "x86_64-linux", ["metrics", "tls"]).unwrap()
}

/// A digest that looks like one, so that packed sizes mean something.
pub(crate) fn digest(seed: u64) -> Blake3 {
    Blake3::from_bytes(*Sha256::of(&seed.to_le_bytes()).as_bytes())
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// The release with this number: minor versions every fourth time, patches from the five builds before.
pub(crate) fn release(sequence: u64, severity: Severity, metrics: Severity) -> Release {
    let plugin = |text: &str, version: u64, severity| PluginRelease {
        name: name(text),
        version: name(&format!("1.{version}.0")),
        severity,
    };
    let patch = |old: u64| PatchEntry {
        old: digest(old).prefix(),
        codec: name(if old.is_multiple_of(2) { "classic" } else { "bidiff" }),
        size: 100_000 + old * 7_919 % 50_000,
        digest: digest(sequence * 1000 + old).to_blob(),
        memory_mib: 9,
        peak_mib: old.is_multiple_of(2).then_some(7),
    };
    Release {
        sequence,
        version: name(&format!("4.{}.{}", sequence / 4, sequence % 4)),
        severity,
        plugins: vec![plugin("metrics", sequence / 3, metrics), plugin("tls", 7, Severity::Routine)],
        name: name("editor"),
        size: 31_457_280 + sequence,
        sha256: Sha256::of(&sequence.to_be_bytes()),
        blake3: digest(sequence),
        mode: 0o755,
        full: Blob { size: 9_000_000 + sequence, digest: digest(sequence + 1_000_000).to_blob() },
        patches: (sequence.saturating_sub(5).max(1)..sequence).rev().map(patch).collect(),
        raw: true,
        notes: None,
        unknown: Default::default(),
    }
}

fn empty() -> Targets {
    Targets::new(Header::new(1, start()))
}

fn write_and_read(written: &Line) -> Line {
    let mut targets = empty();
    written.write(&mut targets, &line());
    Line::read(&targets, &line()).unwrap().unwrap()
}

/// A line of `count` releases of which the newest `listed` are listed; some matter.
pub(crate) fn line_of(count: u64, listed: usize) -> Line {
    let mut made = Line::default();
    for sequence in 1..=count {
        let severity = match sequence % 12 {
            0 => Severity::Critical,
            6 => Severity::Important,
            _ if sequence % 4 == 0 => Severity::Feature,
            _ => Severity::Routine,
        };
        let metrics = if sequence % 3 == 0 { Severity::Feature } else { Severity::Routine };
        made.push(release(sequence, severity, metrics), &line()).unwrap();
        made.keep_newest(listed);
    }
    made
}

#[test]
fn a_client_reads_the_line_that_was_published() {
    let mut publisher = Publisher::new("shard-1");
    let made = line_of(37, 2);
    made.write(&mut publisher.targets, &line());
    let other = BuildLine::new("editor", "stable", "x86_64-linux", []).unwrap();
    publisher.publish();
    let set = Follower::new(&publisher.mirror.roots[0]).refresh(&publisher.mirror, start()).unwrap();
    let read = set.search(&line()).unwrap().finish().unwrap().unwrap();
    assert_eq!(read.releases(), made.releases());
    assert_eq!(read.releases().iter().map(|release| release.sequence).collect::<Vec<_>>(), [36, 37]);
    assert_eq!(read.history().len(), HISTORY_CAP);
    assert_eq!(set.search(&other).unwrap().finish().unwrap(), None);
    let newest = read.newest().unwrap();
    assert_eq!(newest.target_path(&line()), "editor/stable/x86_64-linux/67f4aabb4a7979e4/37/editor");
    assert_eq!(
        newest.raw_path(&line()),
        format!("targets/editor/stable/x86_64-linux/67f4aabb4a7979e4/37/{}.editor", newest.sha256)
    );
    assert_eq!(
        newest.full.path(),
        format!("blobs/{}/{}", &newest.full.digest.to_string()[..2], newest.full.digest)
    );
}

#[test]
fn a_line_answers_from_the_signed_history_alone() {
    let made = write_and_read(&line_of(37, 2));
    let newest = made.newest().unwrap().sequence;
    assert_eq!((newest, made.history()[0].sequence), (37, 28));
    // 36 was critical: whoever skipped it skipped something critical, whoever has it did not.
    assert_eq!(made.highest_severity_skipped(35, newest), Severity::Critical);
    assert_eq!(made.highest_severity_skipped(36, newest), Severity::Routine);
    assert_eq!(made.highest_severity_skipped(28, 35), Severity::Important);
    // The plugin's severity counts as the core's does.
    assert_eq!(made.highest_severity_skipped(32, 33), Severity::Feature);
    assert_eq!(made.highest_severity_skipped(37, 37), Severity::Routine);
    // The smallest change that clears it is 36, although 37 is newer.
    assert_eq!(made.smallest_clearing(20, Severity::Critical).unwrap().sequence, 36);
    assert_eq!(made.smallest_clearing(36, Severity::Critical), None);
    assert_eq!(made.roll_back_from(37).unwrap().sequence, 36);
    assert_eq!(made.roll_back_from(36), None);
    // A build is known by its digest.
    let own = made.find_build(&digest(30)).unwrap();
    assert_eq!((own.sequence, own.withdrawn, own.version.as_str()), (30, false, "4.7.2"));
    assert_eq!(own.plugins[0].to_string(), "metrics@1.10.0:feature");
    assert_eq!(made.find_build(&digest(99)), None);
}

#[test]
fn what_the_history_has_forgotten_counts_as_critical() {
    let made = write_and_read(&line_of(100, 2));
    assert_eq!(made.history().len(), HISTORY_CAP);
    assert_eq!(made.history()[0].sequence, 91);
    assert_eq!(made.highest_severity_skipped(89, 91), Severity::Critical);
    assert_eq!(made.highest_severity_skipped(90, 91), Severity::Routine);
    assert_eq!(made.highest_severity_skipped(0, 100), Severity::Critical);
    // The cut does not change what is left: versions of plugins are carried from the first entry on.
    let whole = line_of(100, 2);
    assert_eq!(made.history(), &whole.history()[90..]);
    assert_eq!(write_and_read(&made), made);
}

#[test]
fn a_gap_in_the_history_counts_as_critical_however_far_back_a_listed_release_reaches() {
    // An old release stays listed for those who are pinned to it; what lay between is forgotten.
    let mut targets = empty();
    line_of(60, 60).write(&mut targets, &line());
    targets.targets.retain(|path, _| {
        path.ends_with("/1/editor") || path.ends_with("/59/editor") || path.ends_with("/60/editor")
    });
    let read = Line::read(&targets, &line()).unwrap().unwrap();
    assert_eq!(read.history().len(), 3);
    assert_eq!(read.highest_severity_skipped(1, 59), Severity::Critical);
    assert_eq!(read.highest_severity_skipped(58, 59), Severity::Routine);
    assert_eq!(read.smallest_clearing(1, Severity::Important).unwrap().sequence, 60);
    let mut routine = Line::default();
    for sequence in [1, 40, 41] {
        routine.push(release(sequence, Severity::Routine, Severity::Routine), &line()).unwrap();
    }
    assert_eq!(routine.smallest_clearing(1, Severity::Critical).unwrap().sequence, 40);
    assert_eq!(routine.smallest_clearing(39, Severity::Critical), None);
    assert_eq!(routine.highest_severity_skipped(39, 41), Severity::Routine);
}

#[test]
fn a_withdrawn_release_is_not_offered_and_clients_that_run_it_can_tell() {
    let mut made = line_of(10, 3);
    assert!(made.withdraw(10));
    assert!(!made.withdraw(11));
    let mut read = write_and_read(&made);
    assert_eq!(read.newest().unwrap().sequence, 9);
    assert!(read.find_build(&digest(10)).unwrap().withdrawn);
    assert!(!read.find_build(&digest(9)).unwrap().withdrawn);
    assert_eq!(read.roll_back_from(10).unwrap().sequence, 9);
    // Its number is gone for good, and what it fixed still counts as skipped.
    assert_eq!(read.next_sequence(), 11);
    assert_eq!(
        read.push(release(10, Severity::Routine, Severity::Routine), &line()),
        Err(LineError::Sequence { found: 10, next: 11 })
    );
    let mut made = line_of(12, 3);
    made.withdraw(12);
    made.push(release(13, Severity::Routine, Severity::Routine), &line()).unwrap();
    let read = write_and_read(&made);
    assert_eq!(read.highest_severity_skipped(11, 13), Severity::Critical);
    assert_eq!(read.smallest_clearing(11, Severity::Critical).unwrap().sequence, 13);
}

#[test]
fn withdrawing_the_only_listed_release_keeps_the_history() {
    let mut made = line_of(7, 1);
    made.withdraw(7);
    let mut read = write_and_read(&made);
    assert_eq!(read.newest(), None);
    assert_eq!(read.releases(), []);
    assert_eq!(read.history().len(), 7);
    assert!(read.find_build(&digest(7)).unwrap().withdrawn);
    assert_eq!(read.next_sequence(), 8);
    assert_eq!(write_and_read(&read), read);
    read.push(release(8, Severity::Routine, Severity::Routine), &line()).unwrap();
    let read = write_and_read(&read);
    assert_eq!((read.releases().len(), read.history().len()), (1, 8));
}

#[test]
fn rejects_releases_that_do_not_fit_their_line() {
    let mut made = line_of(3, 2);
    let good = release(4, Severity::Routine, Severity::Routine);
    let wrong = |change: &dyn Fn(&mut Release)| {
        let mut release = good.clone();
        change(&mut release);
        made.clone().push(release, &line()).unwrap_err()
    };
    assert!(matches!(wrong(&|release| release.sequence = 3), LineError::Sequence { found: 3, next: 4 }));
    assert!(matches!(wrong(&|release| drop(release.plugins.pop())), LineError::Plugins { .. }));
    assert!(matches!(wrong(&|release| release.mode = 0o4755), LineError::Mode { found: 0o4755 }));
    assert!(matches!(wrong(&|release| release.notes = Some("\u{1b}[2J".into())), LineError::Notes));
    assert!(matches!(wrong(&|release| release.notes = Some("a".repeat(4097))), LineError::Notes));
    made.push(Release { notes: Some("Mends the\n\tthing.".into()), raw: false, ..good }, &line()).unwrap();
    assert_eq!(write_and_read(&made), made);
}

#[test]
fn rejects_hostile_entries_and_names_the_place() {
    let mut targets = empty();
    line_of(9, 2).write(&mut targets, &line());
    let (path, target) =
        targets.targets.iter().last().map(|(path, target)| (path.clone(), target.clone())).unwrap();
    let read = |path: &str, change: &dyn Fn(&mut smidgen_metadata::canonical::Object)| {
        let mut targets = targets.clone();
        let mut target = target.clone();
        targets.targets.remove(path);
        change(target.custom.as_mut().unwrap());
        targets.targets.insert(path.to_owned(), target);
        Line::read(&targets, &line()).map(|_| ())
    };
    assert_eq!(read(&path, &|_| ()), Ok(()));
    let put = |member: &'static str, value: &'static str| {
        let value = smidgen_metadata::canonical::parse(value.as_bytes(), &Default::default()).unwrap();
        read(&path, &move |custom| drop(custom.insert(member.to_owned(), value.clone())))
    };
    for (member, value) in [
        ("version", r#""\u001b[31m""#),
        ("version", r#""""#),
        ("severity", r#""urgent""#),
        ("plugins", "[]"),
        ("plugins", r#"["metrics@1","tls@1","tls@2"]"#),
        ("plugins", r#"["metrics@1","../tls@1"]"#),
        ("blake3", r#""ab""#),
        ("mode", "2541"),
        ("mode", "-1"),
        ("full", "[1]"),
        ("full", r#"[1,"zz"]"#),
        ("patches", r#"[["00112233","classic",1]]"#),
        ("patches", r#"[["001122","classic",1,"00112233445566778899aabbccddeeff",1]]"#),
        ("patches", r#"[["00112233","../x",1,"00112233445566778899aabbccddeeff",1]]"#),
        ("patches", r#"[["00112233","classic",1,"0011223344556677",1]]"#),
        ("patches", r#"[["00112233","classic",1,"00112233445566778899aabbccddeeff",-1]]"#),
        ("patches", r#"[["00112233","classic",1,"00112233445566778899aabbccddeeff",1,"2"]]"#),
        ("patches", r#"[["00112233","classic",1,"00112233445566778899aabbccddeeff",1,-2]]"#),
        ("patches", r#"[["00112233","classic",1,"00112233445566778899aabbccddeeff",1,2,3]]"#),
        ("notes", r#""\u0007""#),
        ("raw", "0"),
        ("withdrawn", "1"),
        ("history", "{}"),
        ("history", r#"[[1,1],"r","1.0","00112233"]"#),
        ("history", r#"[[1,1],"","","",""]"#),
        ("history", r#"[[1,1],"u","1.0","00112233",""]"#),
        ("history", r#"[[1,2],"r","1.0","00112233",""]"#),
        ("history", r#"[[1,9223372036854775807],"r","1.0","00112233",""]"#),
        ("history", r#"[[1,1],"rr","1.0 1.1","0011223344556677",""]"#),
        ("history", r#"[[1,2],"rr","1.0","0011223344556677",""]"#),
        ("history", r#"[[1,2],"rr","1.0 1.1","00112233",""]"#),
        ("history", r#"[[1,1],"r","1.0","0011223é",""]"#),
        ("history", r#"[[1,1],"r","1.0","00112233","a@1,b@1"]"#),
        ("history", r#"[[1,1],"r","1.0","00112233","../a@1"]"#),
        ("history", r#"[[2,1],"r","1.0","00112233",""]"#),
        ("history", r#"[[1],"r","1.0","00112233",""]"#),
        ("history", r#"[[0,0],"r","1.0","00112233",""]"#),
        ("history", r#"[[2,2,1,1],"rr","1.0 1.1","0011223344556677",""]"#),
        ("history", r#"[[9,9],"r","1.0","00112233",""]"#),
    ] {
        let fault = put(member, value).expect_err(&format!("{member}: {value}"));
        assert!(fault.place.contains("editor/stable"), "{fault}");
    }
    // Paths that are no release of the line, or that would leave a folder.
    let folder = line().target_prefix();
    for hostile in [
        "9/../../editor",
        "9/.smidgen",
        "09/editor",
        "0/editor",
        "-1/editor",
        "9/",
        "9",
        "../9/editor",
        "9/a/b",
        "x/editor",
    ] {
        assert!(read(&format!("{folder}{hostile}"), &|_| ()).is_err(), "{hostile}");
    }
}

#[test]
fn entries_of_later_versions_keep_what_is_unknown_here() {
    let mut targets = empty();
    line_of(9, 2).write(&mut targets, &line());
    for target in targets.targets.values_mut() {
        target.custom.as_mut().unwrap().insert("later".to_owned(), Value::Integer(1));
    }
    let read = Line::read(&targets, &line()).unwrap().unwrap();
    let mut written = empty();
    read.write(&mut written, &line());
    assert_eq!(written.targets, targets.targets);
}

#[test]
fn lines_beside_each_other_do_not_touch() {
    let other = BuildLine::new("editor", "stable", "x86_64-linux", ["metrics", "tls", "x"]).unwrap();
    let mut targets = empty();
    line_of(9, 2).write(&mut targets, &line());
    let before = targets.targets.clone();
    Line::default().write(&mut targets, &other);
    assert_eq!(targets.targets, before);
    line_of(3, 1).write(&mut targets, &line());
    assert_eq!(targets.targets.len(), 1);
}

fn severities() -> impl Strategy<Value = Severity> {
    prop::sample::select(Severity::ALL.to_vec())
}

proptest! {
    #[test]
    fn answers_are_those_of_a_naive_reader(
        story in prop::collection::vec((severities(), severities(), any::<bool>()), 1..60),
        listed in 1..5_usize,
        from in 0..60_u64,
        least in severities(),
    ) {
        // The twin keeps everything: (severity, withdrawn) by sequence.
        let mut made = Line::default();
        let mut told = Vec::new();
        // What the cap leaves: what is listed, or carries the history, and the newest of the rest.
        let mut known = BTreeSet::new();
        for (index, (core, metrics, withdrawn)) in story.iter().enumerate() {
            let sequence = index as u64 + 1;
            made.push(release(sequence, *core, *metrics), &line()).unwrap();
            if *withdrawn {
                made.withdraw(sequence);
            } else {
                made.keep_newest(listed);
            }
            told.push((*core.max(metrics), *withdrawn));
            made = write_and_read(&made);
            known.insert(sequence);
            let mut kept: BTreeSet<u64> = made.releases().iter().map(|release| release.sequence).collect();
            if kept.is_empty() {
                kept.insert(sequence);
            }
            let rest: Vec<u64> = known.difference(&kept).copied().collect();
            kept.extend(rest.iter().rev().take(HISTORY_CAP - kept.len()));
            known = kept;
        }
        let to = told.len() as u64;
        let skipped = told.iter().skip(from as usize).map(|(severity, _)| *severity).max().unwrap_or_default();
        let forgotten = (from + 1..=to).any(|sequence| !known.contains(&sequence));
        prop_assert_eq!(made.highest_severity_skipped(from, to), if forgotten { Severity::Critical } else { skipped });
        for (sequence, (_, withdrawn)) in (1..).zip(&told) {
            let found = made.find_build(&digest(sequence)).map(|entry| entry.withdrawn);
            prop_assert_eq!(found, known.contains(&sequence).then_some(*withdrawn));
        }
        prop_assert!(made.releases().iter().all(|release| !told[release.sequence as usize - 1].1));
        // Whatever clears: nothing that matters lies after it up to the newest, and every listed release before it would
        // leave something behind.
        if let Some(cleared) = made.smallest_clearing(from, least) {
            let newest = made.newest().unwrap().sequence;
            let left = |sequence: u64| {
                (sequence..newest).any(|index| told[index as usize].0 >= least || !known.contains(&(index + 1)))
            };
            prop_assert!(cleared.sequence > from && !left(cleared.sequence));
            let smaller = made.releases().iter().filter(|release| from < release.sequence && release.sequence < cleared.sequence);
            for release in smaller {
                prop_assert!(left(release.sequence));
            }
        }
    }
}
