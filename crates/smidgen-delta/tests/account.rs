//! The account of a patch: no bit is forgotten, none is counted twice, and what one part of a file costs stands there.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use smidgen_delta::{
    Account, ApplyError, Codec, Costs, Limits, Patch, Share,
    diff::{DiffOptions, diff, sections_of},
};
use support::{Seeded, parted_pair, program};

mod support;

/// A program that grew, with noise behind it.
fn pair() -> (Vec<u8>, Vec<u8>) {
    let (old, mut new) = (program::of(600, None), program::of(600, Some(200)));
    new.extend(Seeded(9).bytes(5000));
    (old, new)
}

fn patch_of(codec: Codec, old: &[u8], new: &[u8]) -> Patch<Vec<u8>> {
    let patch = diff(old, new, &DiffOptions::default().with_codec(codec)).unwrap();
    Patch::open(patch, &Limits::default()).unwrap()
}

/// Bits by section of the patch, as the table of its header orders them.
fn by_stream(account: &Account) -> [f64; 4] {
    let sum = |share: fn(&Costs) -> Share| -> f64 { account.parts.iter().map(|part| share(part).bits).sum() };
    let references = sum(|part| part.predicted) + sum(|part| part.mispredicted);
    let plan = account.layout.bits + sum(|part| part.controls);
    [plan, references, sum(|part| part.differing), sum(|part| part.extra)]
}

#[test]
fn what_the_parts_cost_is_what_the_sections_take() {
    let (old, new) = pair();
    let patch = patch_of(Codec::Reference, &old, &new);
    let borders: Vec<u64> = (0..new.len() as u64).step_by(1000).collect();
    for borders in [&borders[..], &[0]] {
        let account = patch.account(&old, borders).unwrap().unwrap();
        assert_eq!(account.parts.len(), borders.len());
        for (section, bits) in patch.header().sections.iter().zip(by_stream(&account)) {
            // Zeros at the end of a section are not written.
            let over = section.packed_size as f64 - bits / 8.0;
            assert!(
                (-3.0..2.0).contains(&over),
                "{}: {} bytes, {bits} bits",
                section.kind,
                section.packed_size
            );
        }
        let of_classes: f64 =
            account.classes.iter().map(|class| class.predicted.bits + class.mispredicted.bits).sum();
        // By class and by place they are the same: what is of no class are the bits of stretches that may rest.
        let left = by_stream(&account)[1] - of_classes - account.resting.bits;
        assert!(left.abs() < 0.01, "{left} bits");
        let stretches = patch.inspect().unwrap().controls + new.len() as u64 / (16 << 10);
        assert!((1..=stretches).contains(&account.resting.count), "{:?}", account.resting);
        assert!(account.resting.bits < 2.0 * stretches as f64, "{:?}", account.resting);
        let count =
            |share: fn(&Costs) -> Share| -> u64 { account.parts.iter().map(|part| share(part).count).sum() };
        let [plan, references, _, extra] = patch.header().sections[..] else { panic!("four sections") };
        assert_eq!(count(|part| part.predicted) + count(|part| part.mispredicted), references.raw_size);
        assert_eq!(count(|part| part.extra), extra.raw_size);
        assert_eq!(count(|part| part.controls), patch.inspect().unwrap().controls);
        assert!(plan.raw_size >= 24 * count(|part| part.controls));
    }
}

#[test]
fn a_part_pays_for_what_stands_in_it() {
    let (old, new) = pair();
    let noise = new.len() as u64 - 5000;
    let account =
        patch_of(Codec::Reference, &old, &new).account(&old, &[0, noise, new.len() as u64]).unwrap().unwrap();
    let [program, noise, nothing] = account.parts[..] else { panic!("three parts") };
    assert!(noise.extra.bits > 4990.0 * 8.0, "noise does not pack: {noise:?}");
    assert!(program.bits() < noise.bits() / 4.0, "{program:?}");
    assert_eq!(nothing, Costs::default());
    assert!(program.predicted.count > 1000 && noise.predicted.count == 0);
    let calls = account.classes.iter().find(|class| class.class == "call").unwrap();
    assert!(calls.predicted.count > 10 * calls.mispredicted.count, "{calls:?}");
}

/// More than a little of it is new: code is coded bit by bit, what is none stands in a part beside it.
#[test]
fn what_is_no_code_stands_in_a_part_where_more_than_a_little_is_new() {
    let (old, mut new) = (program::of(3000, None), program::of(3000, Some(200)));
    new.extend(Seeded(9).bytes(60_000));
    assert!((new.len() / 12..new.len() / 4).contains(&60_000), "{}", new.len());
    let patch = patch_of(Codec::Reference, &old, &new);
    let kinds: Vec<u8> = patch.header().sections.iter().map(|section| section.kind as u8).collect();
    assert_eq!(kinds, [10, 16, 17, 18, 19]);
    let mut made = Vec::new();
    patch.apply(&old, &mut made).unwrap();
    assert!(made == new);
    let account = patch.account(&old, &[0]).unwrap().unwrap();
    let [data, .., code] = patch.header().sections[..] else { panic!("five sections") };
    assert!(data.raw_size >= 60_000 && code.raw_size > 0);
    assert_eq!(account.parts[0].extra.count, data.raw_size + code.raw_size);
    let over = (data.packed_size + code.packed_size) as f64 - account.parts[0].extra.bits / 8.0;
    assert!((-4.0..3.0).contains(&over), "{over} bytes");
}

/// All of a run of extra bytes in parts was once booked where the run begins.
#[test]
fn no_part_has_more_extra_bytes_than_bytes() {
    let (old, new) = parted_pair();
    let size = new.len() as u64;
    let sections = sections_of(&new);
    let mut by_section = vec![0];
    by_section.extend(sections.iter().flat_map(|section| [section.offset, section.offset + section.len]));
    by_section.retain(|border| *border < size);
    by_section.dedup();
    assert!(by_section.len() > 4, "{sections:?}");
    let patch = patch_of(Codec::Reference, &old, &new);
    let kinds: Vec<u8> = patch.header().sections.iter().map(|section| section.kind.id()).collect();
    assert!(kinds.contains(&10) && kinds.contains(&20) && !kinds.contains(&19), "not in parts: {kinds:?}");
    for borders in [by_section, (0..size).step_by(7).collect()] {
        let parts = patch.account(&old, &borders).unwrap().unwrap().parts;
        let ends = borders.iter().skip(1).chain([&size]);
        for ((part, border), end) in parts.iter().zip(&borders).zip(ends) {
            assert!(part.extra.count <= end - border, "{} to {end}: {part:?}", border);
        }
        let extra: u64 = parts.iter().map(|part| part.extra.count).sum();
        let inspected = patch.inspect().unwrap();
        assert_eq!(extra, inspected.extra);
        assert!(extra > size / 2, "most of it is extra: {extra} of {size}");
    }
}

#[test]
fn another_old_file_and_another_codec_have_no_account() {
    let (old, new) = pair();
    let mut other = old.clone();
    other[2000] ^= 1;
    let patch = patch_of(Codec::Reference, &old, &new);
    assert!(matches!(patch.account(&other, &[0]), Err(ApplyError::OldDigest { .. })));
    assert_eq!(patch_of(Codec::Classic, &old, &new).account(&old, &[0]).unwrap(), None);
}

#[test]
fn a_file_names_its_sections() {
    let file = program::of(100, None);
    let names: Vec<String> = sections_of(&file).into_iter().map(|section| section.name).collect();
    assert_eq!(names, [".text", ".data", ".rela.dyn", ".eh_frame_hdr", ".relr.dyn", ""]);
    let sections = sections_of(&file);
    assert_eq!(sections[0].offset, 0x1000);
    assert!(sections.windows(2).all(|pair| pair[0].offset + pair[0].len <= pair[1].offset));
    assert_eq!(sections_of(b"no program"), []);
    // A file that lies about its sections has those that can be.
    for at in 0..file.len().min(200) {
        for value in [0x00, 0x7F, 0xFF] {
            let mut lying = file.clone();
            lying[at] = value;
            for section in sections_of(&lying) {
                assert!(section.len > 0 && section.offset + section.len <= file.len() as u64, "{section:?}");
            }
        }
    }
}
