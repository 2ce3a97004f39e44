//! Reference-aware patches that lie about their sections. What their plans say is held against them in
//! `src/reference/plan.rs` and `src/reference/forged.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, its helpers too"
)]

use smidgen_delta::{
    Codec, Fault, Limits,
    diff::{DiffOptions, diff},
};
use support::{
    Parts, Seeded,
    lies::{Lie, judge, outcome},
    mixed_pair, parted_pair, program,
};

mod support;

const DATA: u8 = 10;
const PLAN: u8 = 16;
const REFERENCES: u8 = 17;
const ADD: u8 = 18;
const EXTRA: u8 = 19;
/// Code in parts.
const PARTS: std::ops::RangeInclusive<u8> = 20..=29;

fn section(parts: &mut Parts, kind: u8) -> &mut (u8, u64, Vec<u8>) {
    parts.sections.iter_mut().find(|section| section.0 == kind).unwrap()
}

fn patch_of(old: &[u8], new: &[u8]) -> Parts {
    Parts::parse(&diff(old, new, &DiffOptions::default().with_codec(Codec::Reference)).unwrap())
}

/// What a plan says is held against the plan itself in `reference/plan.rs`, field by field; here is what the container says
/// of a reference-aware patch, and what its sections say of each other.
#[test]
fn every_lie_about_a_reference_aware_patch_is_named() {
    let (old, mut new) = (program::of(200, None), program::of(200, Some(70)));
    new.extend(Seeded(4).bytes(300));
    let honest = patch_of(&old, &new);
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
    let (old, new) = parted_pair();
    let honest = patch_of(&old, &new);
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

/// Data packed, code coded bit by bit: neither may stand for the other, and nothing for either.
#[test]
fn every_lie_about_extra_bytes_of_both_kinds_is_named() {
    let (old, new) = mixed_pair();
    let honest = patch_of(&old, &new);
    let kinds: Vec<u8> = honest.sections.iter().map(|section| section.0).collect();
    assert_eq!(kinds, [DATA, PLAN, REFERENCES, ADD, EXTRA]);
    assert!(outcome(&honest.build(), &old, &Limits::default()).is_ok());
    let lies: &[Lie] = &[
        // Missing.
        ("\"extra (coded)\" has another raw size", Fault::PatchDamaged, |p| {
            p.sections.retain(|section| section.0 != DATA);
        }),
        ("\"extra\" has another raw size", Fault::PatchDamaged, |p| {
            p.sections.retain(|section| section.0 != EXTRA);
        }),
        // One has what the other lacks.
        ("\"heads\" is missing", Fault::PatchDamaged, |p| {
            let code = section(p, EXTRA).1;
            p.sections.retain(|section| section.0 != EXTRA);
            p.set_raw(DATA, &[p.raw(DATA), vec![0; code as usize]].concat());
            p.window_log += 1;
        }),
        ("the new file has digest", Fault::PatchDamaged, |p| {
            let data = section(p, DATA).1;
            p.sections.retain(|section| section.0 != DATA);
            section(p, EXTRA).1 += data;
        }),
        ("\"extra\" is used up", Fault::PatchDamaged, |p| {
            p.set_raw(DATA, &p.raw(DATA)[1..]);
            section(p, EXTRA).1 += 1;
        }),
        ("\"extra\" is not used up", Fault::PatchDamaged, |p| {
            p.set_raw(DATA, &[p.raw(DATA), vec![0]].concat());
            section(p, EXTRA).1 -= 1;
        }),
        // Twice.
        ("kinds in ascending order", Fault::PatchDamaged, |p| p.sections.insert(0, p.sections[0].clone())),
        ("kinds in ascending order", Fault::PatchDamaged, |p| p.sections.push(p.sections[4].clone())),
        // Another raw size.
        ("raw bytes, its table entry says", Fault::PatchDamaged, |p| section(p, DATA).1 += 1),
        ("\"extra\" does not unpack", Fault::PatchDamaged, |p| section(p, DATA).1 -= 1),
        ("\"extra (coded)\" has another raw size", Fault::PatchDamaged, |p| section(p, EXTRA).1 += 1),
        ("\"extra (coded)\" has another raw size", Fault::PatchDamaged, |p| section(p, EXTRA).1 -= 1),
        ("section size is 0", Fault::PatchDamaged, |p| section(p, DATA).1 = 0),
        ("section size is 0", Fault::PatchDamaged, |p| section(p, EXTRA).1 = 0),
        ("\"extra\" does not unpack", Fault::PatchDamaged, |p| {
            let data = section(p, DATA).1;
            section(p, DATA).1 = section(p, EXTRA).1;
            section(p, EXTRA).1 = data;
        }),
        // Each in the other's place.
        ("kinds in ascending order", Fault::PatchDamaged, |p| p.sections.swap(0, 4)),
        ("\"extra\" does not unpack", Fault::PatchDamaged, |p| {
            let data = p.sections[0].2.clone();
            p.sections[0].2 = std::mem::replace(&mut p.sections[4].2, data);
        }),
        ("\"extra\" does not unpack", Fault::PatchDamaged, |p| {
            p.sections.swap(0, 4);
            (p.sections[0].0, p.sections[4].0) = (DATA, EXTRA);
        }),
        // Behind their ends.
        ("packed bytes, its table entry says", Fault::PatchDamaged, |p| section(p, DATA).2.push(0)),
        ("\"extra (coded)\" is not used up", Fault::PatchDamaged, |p| section(p, EXTRA).2.extend([0; 9])),
        // Other bytes.
        ("the new file has digest", Fault::PatchDamaged, |p| {
            let mut data = p.raw(DATA);
            data[77] ^= 1;
            p.set_raw(DATA, &data);
        }),
        ("\"extra (coded)\" is not used up", Fault::PatchDamaged, |p| section(p, EXTRA).2[77] ^= 1),
    ];
    judge(&honest, &old, lies);
    // No part of code stands beside coded code, in place of the data or with them, however many bytes there are in all.
    for kind in PARTS {
        for (lacks_data, adds_up) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut parts = honest.clone();
            if lacks_data {
                parts.sections.retain(|section| section.0 != DATA);
            }
            parts.set_raw(kind, &[0x90]);
            section(&mut parts, EXTRA).1 -= u64::from(adds_up);
            let (message, fault) = outcome(&parts.build(), &old, &Limits::default()).unwrap_err();
            assert!(
                message.contains("\"extra (coded)\" stands beside what it replaces"),
                "{kind}: {message}"
            );
            assert_eq!(fault, Fault::PatchDamaged);
        }
    }
    for kind in kinds {
        let len = section(&mut honest.clone(), kind).2.len();
        for cut in (1..len).rev().step_by(1 + len / 20) {
            let mut parts = honest.clone();
            section(&mut parts, kind).2.truncate(cut);
            let (message, fault) = outcome(&parts.build(), &old, &Limits::default()).unwrap_err();
            assert_eq!(fault, Fault::PatchDamaged, "{kind} cut to {cut}: {message}");
        }
    }
}
