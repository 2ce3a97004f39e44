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
use support::{
    Parts, Seeded,
    lies::{Lie, judge, outcome},
    mixed_pair, pack, parted_pair, push_low_first,
};

mod support;

fn files() -> (Vec<u8>, Vec<u8>) {
    let mut seeded = Seeded(11);
    let old = seeded.program(6000);
    let new = seeded.edited(&old, 12);
    (old, new)
}

/// The highest kind of section.
const LAST_KIND: u8 = 29;

fn patch_of(codec: Codec, old: &[u8], new: &[u8]) -> Vec<u8> {
    diff(old, new, &DiffOptions::default().with_codec(codec)).unwrap()
}

fn header_len(patch: &[u8]) -> usize {
    Patch::open(patch, &Limits::default()).unwrap().header().encoded_len()
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
    fn a_flipped_bit_never_yields_another_file(
        kind in 0_usize..5,
        place: prop::sample::Index,
        bit in 0_u32..8,
    ) {
        static HONEST: LazyLock<[(Vec<u8>, Vec<u8>); 5]> = LazyLock::new(|| {
            let patch = |codec, (old, new): (Vec<u8>, Vec<u8>)| (patch_of(codec, &old, &new), old);
            let small = [Codec::Classic, Codec::Bidiff, Codec::Reference].map(|codec| patch(codec, files()));
            let [classic, bidiff, coded] = small;
            let [mixed, parted] = [mixed_pair(), parted_pair()].map(|pair| patch(Codec::Reference, pair));
            [classic, bidiff, coded, mixed, parted]
        });
        let (honest, old) = &HONEST[kind];
        let mut patch = honest.clone();
        let place = place.index(patch.len());
        patch[place] ^= 1 << bit;
        // zstd frames have a few bits without meaning; then the file is the right one all the same.
        if let Err((message, fault)) = outcome(&patch, old, &Limits::default()) {
            // What the header says of the old file is another matter than the rest.
            let allowed = if place < header_len(honest) {
                &[Fault::PatchDamaged, Fault::PatchUnsupported, Fault::LimitExceeded, Fault::OldDiffers][..]
            } else {
                &[Fault::PatchDamaged]
            };
            prop_assert!(allowed.contains(&fault), "{fault:?} at {place}: {message}");
        }
    }

    #[test]
    fn arbitrary_sections_are_survived(
        sections in prop::collection::btree_map(0..=LAST_KIND, prop::collection::vec(any::<u8>(), 1..40), 0..8),
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
        for (kind, raw) in &sections {
            parts.set_raw(*kind, raw);
            // What is coded bit by bit is no frame.
            if (16..20).contains(kind) {
                let section = parts.sections.iter_mut().find(|section| section.0 == *kind).unwrap();
                section.2.clone_from(raw);
            }
        }
        let (message, fault) = outcome(&parts.build(), &old, &Limits::default()).unwrap_err();
        let unsupported = codec == 0 || sections.keys().any(|kind| (12..16).contains(kind));
        let allowed = [Fault::PatchDamaged, Fault::PatchUnsupported];
        prop_assert!(allowed[..1 + usize::from(unsupported)].contains(&fault), "{fault:?}: {message}");
    }
}
