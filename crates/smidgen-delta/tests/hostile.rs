//! Patches that lie: each gets an error that says what is wrong with which field, never a panic, never more output
//! than promised, never more memory than the limit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use std::{
    io::{self, Write},
    sync::LazyLock,
};

use proptest::prelude::*;
use smidgen_delta::{
    ApplyError, Codec, Fault, Limits, ParseError, Patch, ReadAt,
    diff::{DiffOptions, diff},
};
use support::{Parts, Seeded, pack, program, push_low_first};

mod support;

/// Counts what it is given and holds it against a promise.
struct Bounded {
    left: u64,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len() as u64).expect("no more than promised");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What came of a patch, as a message and a fault.
fn outcome(patch: &[u8], old: &[u8], limits: &Limits) -> Result<(), (String, Fault)> {
    let patch = Patch::open(patch, limits).map_err(|error| (error.to_string(), error.fault()))?;
    assert!(patch.header().apply_memory() <= limits.max_memory);
    let mut sink = Bounded { left: patch.header().new_size };
    let inspected = patch.inspect();
    let applied = patch.apply(&old, &mut sink).map_err(|error| (error.to_string(), error.fault()));
    if applied.is_ok() {
        inspected.expect("what can be applied can be inspected");
    }
    applied.map(drop)
}

/// What the message must contain, the fault, and what is changed in an honest patch.
type Lie = (&'static str, Fault, fn(&mut Parts));

/// Tells each lie by itself, in an honest patch of `old`.
fn judge(honest: &Parts, old: &[u8], lies: &[Lie]) {
    for (index, (expected, fault, lie)) in lies.iter().enumerate() {
        let mut parts = honest.clone();
        lie(&mut parts);
        let (message, found) = outcome(&parts.build(), old, &Limits::default()).unwrap_err();
        assert!(message.contains(expected), "lie {index}: {message}\nexpected: {expected}");
        assert_eq!(found, *fault, "lie {index}: {message}");
    }
}

fn files() -> (Vec<u8>, Vec<u8>) {
    let mut seeded = Seeded(11);
    let old = seeded.program(6000);
    let new = seeded.edited(&old, 12);
    (old, new)
}

fn patch_of(codec: Codec, old: &[u8], new: &[u8]) -> Vec<u8> {
    diff(old, new, &DiffOptions::default().with_codec(codec)).unwrap()
}

#[test]
fn every_lie_in_a_field_is_named() {
    let (old, new) = files();
    let honest = Parts::parse(&patch_of(Codec::Classic, &old, &new));
    assert!(!honest.raw(11).is_empty(), "a small patch has its changes in one section");
    let honest = honest.with_sorted_changes();
    assert!(outcome(&honest.build(), &old, &Limits::default()).is_ok());
    let lies: &[Lie] = &[
        ("not a smidgen patch", Fault::PatchDamaged, |p| p.magic = *b"BSDI"),
        ("container version 2", Fault::PatchUnsupported, |p| p.version = 2),
        ("codec number 9", Fault::PatchUnsupported, |p| p.codec = 9),
        ("section \"add lens\", which codec bidiff does not take", Fault::PatchDamaged, |p| p.codec = 2),
        ("window log is 9", Fault::PatchDamaged, |p| p.window_log = 9),
        ("window log is 40", Fault::LimitExceeded, |p| p.window_log = 40),
        ("old file has 6000 bytes, the patch is for one of 6001", Fault::OldDiffers, |p| p.old_size += 1),
        ("old size is 18446744073709551615", Fault::LimitExceeded, |p| p.old_size = u64::MAX),
        ("new size is 18446744073709551615", Fault::LimitExceeded, |p| p.new_size = u64::MAX),
        ("is used up at byte", Fault::PatchDamaged, |p| p.new_size += 1),
        ("of control", Fault::PatchDamaged, |p| p.new_size -= 1),
        ("section \"add lens\" is not used up at byte 0", Fault::PatchDamaged, |p| p.new_size = 0),
        ("the old file has digest", Fault::OldDiffers, |p| p.old_digest[31] ^= 1),
        ("the new file has digest", Fault::PatchDamaged, |p| p.new_digest[0] ^= 1),
        ("kind 200", Fault::PatchUnsupported, |p| p.sections[0].0 = 200),
        ("section \"interleaved\", which codec classic does not take", Fault::PatchDamaged, |p| {
            p.sections[0].0 = 0;
        }),
        ("kinds in ascending order", Fault::PatchDamaged, |p| p.sections.swap(0, 1)),
        ("kinds in ascending order", Fault::PatchDamaged, |p| p.sections[1].0 = 1),
        ("raw size is 18446744073709551615", Fault::LimitExceeded, |p| p.sections[0].1 = u64::MAX),
        ("raw size of all sections", Fault::LimitExceeded, |p| p.sections[0].1 = 1 << 30),
        ("section size is 0", Fault::PatchDamaged, |p| p.sections[0].1 = 0),
        ("section size is 0", Fault::PatchDamaged, |p| p.sections[0].2.clear()),
        ("is not used up", Fault::PatchDamaged, |p| p.set_raw(10, &[p.raw(10), vec![1]].concat())),
        ("\"extra\" is used up", Fault::PatchDamaged, |p| p.set_raw(10, &p.raw(10)[1..])),
        ("\"extra\" is missing", Fault::PatchDamaged, |p| p.sections.retain(|s| s.0 != 10)),
        ("\"add lens\" is missing", Fault::PatchDamaged, |p| p.sections.retain(|s| s.0 != 1)),
        ("\"seeks\" is missing", Fault::PatchDamaged, |p| p.sections.retain(|s| s.0 != 3)),
        ("\"runs\" is missing", Fault::PatchDamaged, |p| p.sections.retain(|s| !(6..=9).contains(&s.0))),
        ("\"seeks\" is not used up", Fault::PatchDamaged, |p| p.set_raw(3, &[p.raw(3), vec![2]].concat())),
        ("seek of control 0", Fault::PatchDamaged, |p| p.set_raw(3, &[vec![0xFF; 9], vec![1]].concat())),
        ("seek of control 0 is -9223372036854775808", Fault::PatchDamaged, |p| {
            let mut least = Vec::new();
            push_low_first(&mut least, u64::MAX);
            p.set_raw(3, &least);
        }),
        ("add len of control 0 is 9223372036854775807", Fault::PatchDamaged, |p| {
            p.set_raw(1, &[&[0x81][..], &[0xFF; 8], &[0x7F]].concat());
        }),
        ("shortest spelling", Fault::PatchDamaged, |p| {
            p.set_raw(1, &[&[0x80, 0x80][..], &p.raw(1)].concat());
        }),
        ("shortest spelling", Fault::PatchDamaged, |p| p.set_raw(3, &[0x80, 0])),
        ("makes nothing", Fault::PatchDamaged, |p| {
            p.set_raw(1, &[vec![0], p.raw(1)].concat());
            p.set_raw(2, &[vec![0], p.raw(2)].concat());
        }),
        ("stands beside what it replaces", Fault::PatchDamaged, |p| p.set_raw(11, &[1, 1, 1])),
        ("\"changes\" is used up", Fault::PatchDamaged, |p| {
            p.sections.retain(|s| !(4..=9).contains(&s.0));
            p.set_raw(11, &[1, 3, 1]);
        }),
        ("has an empty run", Fault::PatchDamaged, |p| p.set_raw(5, &[0])),
        ("\"run lens\" is used up", Fault::PatchDamaged, |p| p.set_raw(5, &p.raw(5)[..1])),
        ("run lens", Fault::PatchDamaged, |p| p.set_raw(4, &[p.raw(4), vec![0x87, 0x7F]].concat())),
    ];
    judge(&honest, &old, lies);
}

/// What a plan says is held against the plan itself in `reference/plan.rs`, field by field; here is what the container says
/// of a reference-aware patch, and what its sections say of each other.
#[test]
fn every_lie_about_a_reference_aware_patch_is_named() {
    const PLAN: u8 = 16;
    const REFERENCES: u8 = 17;
    const ADD: u8 = 18;
    const EXTRA: u8 = 19;
    fn section(parts: &mut Parts, kind: u8) -> &mut (u8, u64, Vec<u8>) {
        parts.sections.iter_mut().find(|section| section.0 == kind).unwrap()
    }
    let (old, mut new) = (program::of(200, None), program::of(200, Some(70)));
    new.extend(Seeded(4).bytes(300));
    let honest = Parts::parse(&patch_of(Codec::Reference, &old, &new));
    assert_eq!(
        honest.sections.iter().map(|section| section.0).collect::<Vec<_>>(),
        [PLAN, REFERENCES, ADD, EXTRA]
    );
    assert!(outcome(&honest.build(), &old, &Limits::default()).is_ok());
    let lies: &[Lie] = &[
        ("section \"plan\", which codec classic does not take", Fault::PatchDamaged, |p| p.codec = 1),
        ("section \"plan\", which codec bidiff does not take", Fault::PatchDamaged, |p| p.codec = 2),
        ("section \"seeks\", which codec reference does not take", Fault::PatchDamaged, |p| {
            section(p, PLAN).0 = 3;
        }),
        ("section \"interleaved\", which codec reference does not take", Fault::PatchDamaged, |p| {
            section(p, PLAN).0 = 0;
        }),
        ("kind 30", Fault::PatchUnsupported, |p| section(p, EXTRA).0 = 30),
        ("\"extra (coded)\" stands beside what it replaces", Fault::PatchDamaged, |p| p.set_raw(20, &[0x90])),
        ("\"extra (coded)\" has another raw size", Fault::PatchDamaged, |p| p.set_raw(10, &[0x90])),
        ("\"extra\" is used up", Fault::PatchDamaged, |p| {
            p.set_raw(10, &[0x90]);
            section(p, EXTRA).1 -= 1;
        }),
        ("\"heads\"", Fault::PatchDamaged, |p| section(p, EXTRA).0 = 20),
        ("kinds in ascending order", Fault::PatchDamaged, |p| p.sections.swap(1, 2)),
        ("kinds in ascending order", Fault::PatchDamaged, |p| section(p, ADD).0 = REFERENCES),
        ("section size is 0", Fault::PatchDamaged, |p| section(p, PLAN).1 = 0),
        ("section size is 0", Fault::PatchDamaged, |p| section(p, REFERENCES).2.clear()),
        ("old size is", Fault::LimitExceeded, |p| p.old_size = u64::MAX),
        ("old file has", Fault::OldDiffers, |p| p.old_size -= 1),
        ("the old file has digest", Fault::OldDiffers, |p| p.old_digest[0] ^= 1),
        ("the new file has digest", Fault::PatchDamaged, |p| p.new_digest[31] ^= 1),
        ("\"extra (coded)\" has another raw size", Fault::PatchDamaged, |p| p.new_size += 1),
        ("\"extra (coded)\" has another raw size", Fault::PatchDamaged, |p| p.new_size -= 1),
        ("\"plan\" has a match that does not lie in both files", Fault::PatchDamaged, |p| p.new_size /= 2),
        ("\"plan\" has other counts", Fault::PatchDamaged, |p| section(p, PLAN).1 += 24),
        ("\"plan\" has other counts", Fault::PatchDamaged, |p| section(p, PLAN).1 -= 1),
        ("\"plan\" has other counts", Fault::PatchDamaged, |p| p.sections.retain(|s| s.0 != PLAN)),
        ("\"plan\" is not used up", Fault::PatchDamaged, |p| section(p, PLAN).2.extend([0; 9])),
        ("raw size of all sections", Fault::LimitExceeded, |p| section(p, PLAN).1 = 1 << 30),
        ("raw size is 18446744073709551615", Fault::LimitExceeded, |p| section(p, REFERENCES).1 = u64::MAX),
        ("for another number of references", Fault::PatchDamaged, |p| section(p, REFERENCES).1 += 1),
        ("for another number of references", Fault::PatchDamaged, |p| section(p, REFERENCES).1 -= 1),
        ("for another number of references", Fault::PatchDamaged, |p| {
            p.sections.retain(|s| s.0 != REFERENCES);
        }),
        ("\"references\" is not used up", Fault::PatchDamaged, |p| section(p, REFERENCES).2.extend([0; 9])),
        ("\"add (coded)\" has another raw size", Fault::PatchDamaged, |p| section(p, ADD).1 += 1),
        ("\"add (coded)\" has another raw size", Fault::PatchDamaged, |p| section(p, ADD).1 -= 1),
        ("\"add (coded)\" has another raw size", Fault::PatchDamaged, |p| p.sections.retain(|s| s.0 != ADD)),
        ("\"add (coded)\" is not used up", Fault::PatchDamaged, |p| section(p, ADD).2.extend([0; 9])),
        ("\"extra (coded)\" has another raw size", Fault::PatchDamaged, |p| section(p, EXTRA).1 += 1),
        ("\"extra (coded)\" has another raw size", Fault::PatchDamaged, |p| section(p, EXTRA).1 -= 1),
        ("\"extra (coded)\" has another raw size", Fault::PatchDamaged, |p| {
            p.sections.retain(|s| s.0 != EXTRA);
        }),
        ("\"extra (coded)\" is not used up", Fault::PatchDamaged, |p| section(p, EXTRA).2.extend([0; 9])),
    ];
    judge(&honest, &old, lies);
    // A section that is cut short reads as if zeros followed, and makes another file or contradicts the others.
    for kind in [PLAN, REFERENCES, ADD, EXTRA] {
        let len = section(&mut honest.clone(), kind).2.len();
        for cut in (1..len).rev().step_by(1 + len / 40) {
            let mut parts = honest.clone();
            section(&mut parts, kind).2.truncate(cut);
            let (message, fault) = outcome(&parts.build(), &old, &Limits::default()).unwrap_err();
            assert_eq!(fault, Fault::PatchDamaged, "{kind} cut to {cut}: {message}");
        }
    }
}

/// A new file much of which no match explains: its extra bytes stand in parts, one section each.
#[test]
fn every_lie_about_extra_bytes_in_parts_is_named() {
    let old = program::of(60, None);
    let mut new = program::of(600, Some(70));
    new.extend(Seeded(9).bytes(300));
    let honest = Parts::parse(&patch_of(Codec::Reference, &old, &new));
    let kinds: Vec<u8> = honest.sections.iter().map(|section| section.0).collect();
    let parts: Vec<u8> = kinds.iter().copied().filter(|kind| *kind == 10 || *kind >= 20).collect();
    assert!(parts.len() > 5 && !kinds.contains(&19), "{kinds:?}");
    assert!(outcome(&honest.build(), &old, &Limits::default()).is_ok());
    let refused = |parts: &Parts, expected: &str| {
        let (message, fault) = outcome(&parts.build(), &old, &Limits::default()).unwrap_err();
        assert_eq!(fault, Fault::PatchDamaged, "{message}");
        assert!(message.contains(expected), "{message}\nexpected: {expected}");
    };
    for kind in &parts {
        let raw = honest.raw(*kind);
        let with = |raw: &[u8]| {
            let mut parts = honest.clone();
            parts.set_raw(*kind, raw);
            parts
        };
        // More than there is room for, less than is needed, nothing.
        refused(&with(&[&raw[..], &[1]].concat()), "\"extra\" has another raw size");
        refused(&with(&raw[1..]), "\"extra\" has another raw size");
        let mut without = honest.clone();
        without.sections.retain(|section| section.0 != *kind);
        refused(&without, "\"extra\" has another raw size");
        // As much in all, but not of each.
        let other = parts.iter().find(|other| *other != kind).unwrap();
        let mut moved = with(&raw[1..]);
        moved.set_raw(*other, &[honest.raw(*other), vec![0]].concat());
        refused(&moved, "used up");
        let mut instead = without.clone();
        instead.set_raw(*other, &[honest.raw(*other), vec![0; raw.len()]].concat());
        refused(&instead, "");
        // Other bytes, and packed bytes that are damaged.
        let mut flipped = raw.clone();
        flipped[raw.len() / 2] ^= 4;
        refused(&with(&flipped), "");
        let mut damaged = honest.clone();
        let section = damaged.sections.iter_mut().find(|section| section.0 == *kind).unwrap();
        section.2.truncate(section.2.len() - 1);
        refused(&damaged, "");
    }
}

#[test]
fn a_patch_cut_short_at_any_byte_is_refused() {
    let (old, new) = files();
    for codec in [Codec::Classic, Codec::Bidiff, Codec::Reference] {
        let patch = patch_of(codec, &old, &new);
        for len in 0..patch.len() {
            let error = Patch::open(&patch[..len], &Limits::default()).unwrap_err();
            assert!(matches!(error, ParseError::Truncated { .. }), "{len}: {error}");
            assert_eq!(error.fault(), Fault::PatchDamaged);
        }
        let longer = [&patch[..], &[0]].concat();
        assert!(matches!(Patch::open(longer, &Limits::default()), Err(ParseError::TrailingBytes { .. })));
    }
}

#[test]
fn a_section_cut_short_or_followed_by_bytes_is_refused_though_the_table_agrees() {
    let (old, new) = files();
    for codec in [Codec::Classic, Codec::Bidiff] {
        let honest = Parts::parse(&patch_of(codec, &old, &new));
        for section in 0..honest.sections.len() {
            for len in 1..honest.sections[section].2.len() {
                let mut parts = honest.clone();
                parts.sections[section].2.truncate(len);
                let (message, fault) = outcome(&parts.build(), &old, &Limits::default()).unwrap_err();
                assert_eq!(fault, Fault::PatchDamaged, "{message}");
            }
            let mut parts = honest.clone();
            parts.sections[section].2.push(0);
            let (message, _) = outcome(&parts.build(), &old, &Limits::default()).unwrap_err();
            assert!(message.contains("packed bytes"), "{message}");
            for wrong in [-1, 1] {
                let mut parts = honest.clone();
                parts.sections[section].1 = parts.sections[section].1.wrapping_add_signed(wrong);
                if parts.sections[section].1 > 0 {
                    outcome(&parts.build(), &old, &Limits::default()).unwrap_err();
                }
            }
        }
    }
}

#[test]
fn bidiffs_stream_is_held_to_its_bounds() {
    let (old, new) = files();
    let honest = Parts::parse(&patch_of(Codec::Bidiff, &old, &new));
    let stream = honest.raw(0);
    let control = |add: &[u8], extra: &[u8], seek: u64| {
        let mut bytes = stream[..8].to_vec();
        push_low_first(&mut bytes, add.len() as u64);
        bytes.extend(add);
        push_low_first(&mut bytes, extra.len() as u64);
        bytes.extend(extra);
        push_low_first(&mut bytes, seek);
        bytes
    };
    let cases: [(&str, Vec<u8>); 7] = [
        ("does not start as bidiff's stream does", [&[1], &stream[1..]].concat()),
        ("reaches beyond its end", stream[..stream.len() / 2].to_vec()),
        ("goes on", [&stream[..], &control(&[], &[1], 0)[8..]].concat()),
        ("seek of control 0", control(&[0; 10], &[1], u64::MAX - 1)),
        ("seek of control 0", control(&[0; 10], &[1], 21)),
        ("reaches beyond its end or the old file's", control(&vec![0; old.len() + 1], &[], 0)),
        ("is used up", stream[..8].to_vec()),
    ];
    for (expected, stream) in cases {
        let mut parts = honest.clone();
        parts.set_raw(0, &stream);
        let (message, fault) = outcome(&parts.build(), &old, &Limits::default()).unwrap_err();
        assert!(message.contains(expected), "{message}\nexpected: {expected}");
        assert_eq!(fault, Fault::PatchDamaged);
    }
}

#[test]
fn a_section_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked() {
    let (old, new) = files();
    let mut parts = Parts::parse(&patch_of(Codec::Classic, &old, &new));
    let bomb = pack(&vec![0; 32 << 20]);
    assert!(bomb.len() < 4000);
    // What the table says of it is beyond what the new file is worth ...
    parts.sections.last_mut().unwrap().2 = bomb.clone();
    parts.sections.last_mut().unwrap().1 = 32 << 20;
    let (message, fault) = outcome(&parts.build(), &old, &Limits::default()).unwrap_err();
    assert!(message.contains("raw size of all sections"), "{message}");
    assert_eq!(fault, Fault::LimitExceeded);
    // ... and if the table lies, the window the frame asks for is beyond what the table allows.
    parts.sections.last_mut().unwrap().1 = 1000;
    let (message, _) = outcome(&parts.build(), &old, &Limits::default()).unwrap_err();
    assert!(message.contains("does not unpack") || message.contains("raw bytes"), "{message}");
}

#[test]
fn limits_are_held() {
    let (old, new) = files();
    let patch = patch_of(Codec::Classic, &old, &new);
    let header = Patch::open(&patch, &Limits::default()).unwrap().header().clone();
    let limits: [(&str, Limits); 6] = [
        ("old size", Limits { max_old_size: header.old_size - 1, ..Limits::default() }),
        ("new size", Limits { max_new_size: header.new_size - 1, ..Limits::default() }),
        ("window log", Limits { max_window_log: header.window_log - 1, ..Limits::default() }),
        ("section count", Limits { max_sections: header.sections.len() as u8 - 1, ..Limits::default() }),
        ("raw size", Limits { max_section_raw: 1, ..Limits::default() }),
        ("memory to apply", Limits { max_memory: header.apply_memory() - 1, ..Limits::default() }),
    ];
    for (field, limits) in limits {
        let error = Patch::open(&patch, &limits).unwrap_err();
        assert!(error.to_string().starts_with(field), "{error}");
        assert_eq!(error.fault(), Fault::LimitExceeded);
    }
}

#[test]
fn an_old_file_of_another_size_is_not_even_read() {
    struct Untouched;
    impl Write for Untouched {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("written to")
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (mut old, new) = files();
    let bytes = patch_of(Codec::Classic, &old, &new);
    let patch = Patch::open(&bytes, &Limits::default()).unwrap();
    old.pop();
    assert!(matches!(patch.apply(&old, &mut Untouched), Err(ApplyError::OldSize { .. })));
}

#[test]
fn an_old_file_of_another_content_is_told_before_anything_else_that_went_wrong() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut seeded = Seeded(12);
    let old = seeded.program(300_000);
    // What stands at the end of the old file is in no match of this one.
    let new = seeded.edited(&old[..200_000], 40);
    for codec in [Codec::Classic, Codec::Bidiff, Codec::Reference] {
        let bytes = patch_of(codec, &old, &new);
        let patch = Patch::open(&bytes, &Limits::default()).unwrap();
        assert_eq!(patch.apply(&old, &mut Full).unwrap_err().fault(), Fault::OutputFailed);
        let mut damaged = bytes.clone();
        *damaged.last_mut().unwrap() ^= 0x55;
        let damaged = Patch::open(&damaged, &Limits::default()).unwrap();
        assert_eq!(damaged.apply(&old, &mut Vec::new()).unwrap_err().fault(), Fault::PatchDamaged);
        for changed in [0, 100_000, 199_000, 299_999] {
            let mut other = old.clone();
            other[changed] ^= 1;
            for outcome in [
                patch.apply(&other, &mut Vec::new()),
                patch.apply(&other, &mut Full),
                damaged.apply(&other, &mut Vec::new()),
            ] {
                assert!(
                    matches!(outcome, Err(ApplyError::OldDigest { .. })),
                    "{codec} {changed}: {outcome:?}"
                );
            }
        }
    }
}

#[test]
fn failures_of_files_are_told_apart() {
    #[derive(Debug)]
    struct Broken(u64);
    impl ReadAt for Broken {
        fn size(&self) -> u64 {
            self.0
        }
        fn read_exact_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (old, new) = files();
    let bytes = patch_of(Codec::Classic, &old, &new);
    let patch = Patch::open(&bytes, &Limits::default()).unwrap();
    let unreadable = patch.apply(&Broken(old.len() as u64), &mut Vec::new()).unwrap_err();
    assert_eq!(unreadable.fault(), Fault::OldUnreadable);
    assert_eq!(patch.apply(&old, &mut Full).unwrap_err().fault(), Fault::OutputFailed);
    assert_eq!(Patch::open(Broken(500), &Limits::default()).unwrap_err().fault(), Fault::PatchUnreadable);
}

/// Once sections that are coded bit by bit went on with zeros, and what these led to was said to be wrong with the patch.
#[test]
fn a_patch_that_cannot_be_read_any_more_is_not_called_damaged() {
    #[derive(Debug)]
    struct CutOff(Vec<u8>, u64);
    impl ReadAt for CutOff {
        fn size(&self) -> u64 {
            self.0.size()
        }
        fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
            let is_header = offset == 0;
            if !is_header && offset + buf.len() as u64 > self.1 {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            self.0.read_exact_at(buf, offset)
        }
    }
    let (old, new) = files();
    for codec in [Codec::Classic, Codec::Bidiff, Codec::Reference] {
        let bytes = patch_of(codec, &old, &new);
        let opened = Patch::open(&bytes, &Limits::default()).unwrap();
        let mut end = opened.header().encoded_len() as u64;
        for section in &opened.header().sections {
            end += section.packed_size;
            let patch = Patch::open(CutOff(bytes.clone(), end - 1), &Limits::default()).unwrap();
            let error = patch.apply(&old, &mut Vec::new()).unwrap_err();
            assert_eq!(error.fault(), Fault::PatchUnreadable, "{codec}, up to {end}: {error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_flipped_bit_never_yields_another_file(place: prop::sample::Index, bit in 0_u32..8, classic: bool) {
        static HONEST: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
            let (old, new) = files();
            [Codec::Classic, Codec::Bidiff].map(|codec| patch_of(codec, &old, &new))
        });
        let (old, _) = files();
        let mut patch = HONEST[usize::from(classic)].clone();
        let place = place.index(patch.len());
        patch[place] ^= 1 << bit;
        // zstd frames have a few bits without meaning; then the file is the right one all the same.
        if let Err((message, fault)) = outcome(&patch, &old, &Limits::default()) {
            prop_assert_ne!(fault, Fault::Bug, "{}", message);
        }
    }

    #[test]
    fn arbitrary_sections_are_survived(
        sections in prop::collection::btree_map(0_u8..12, prop::collection::vec(any::<u8>(), 1..40), 0..8),
        codec in 0_u8..4,
        new_size in 0_u64..400,
    ) {
        static HONEST: LazyLock<Parts> = LazyLock::new(|| {
            let (old, new) = files();
            Parts::parse(&patch_of(Codec::Classic, &old, &new))
        });
        let (old, _) = files();
        let mut parts = HONEST.clone();
        parts.codec = codec;
        parts.new_size = new_size;
        parts.sections.clear();
        sections.iter().for_each(|(kind, raw)| parts.set_raw(*kind, raw));
        drop(outcome(&parts.build(), &old, &Limits::default()));
    }
}
