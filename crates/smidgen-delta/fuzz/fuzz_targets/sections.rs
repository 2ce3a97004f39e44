//! Arbitrary sections behind a header that is right: the digests and zstd frames that keep a fuzzer out are made here, so
//! that what decodes controls is reached.
#![no_main]

use libfuzzer_sys::fuzz_target;
use smidgen_delta::{Digest, Fault, Limits, Patch};

/// A zstd frame without magic bytes with `raw` in uncompressed blocks: window of 128 KiB, no size, no checksum.
fn frame(raw: &[u8]) -> Vec<u8> {
    let log = raw.len().next_power_of_two().trailing_zeros().max(10);
    let mut frame = vec![0, ((log - 10) as u8) << 3];
    let block_len = (1 << log).min(128 << 10);
    let mut blocks = raw.chunks(block_len).peekable();
    while let Some(block) = blocks.next() {
        let header = (block.len() << 3) as u32 | u32::from(blocks.peek().is_none());
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(block);
    }
    frame
}

fn push_number(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// A section as the table has it: its raw size, and its packed bytes. Those that the reference-aware codec codes bit by bit
/// are no frames, and begin here with their raw size.
fn section(kind: u8, bytes: &[u8]) -> (usize, Vec<u8>) {
    match bytes {
        [low, high, packed @ ..] if (16..20).contains(&kind) => {
            (u16::from_le_bytes([*low, *high]).into(), packed.to_vec())
        }
        _ => (bytes.len(), frame(bytes)),
    }
}

const REFERENCE: u8 = 3;

/// The kinds of section of that codec.
const KINDS: [u8; 15] = [16, 17, 18, 19, 10, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29];

// The first byte chooses the codec, the second the new size in units of eight; then kind, length and bytes of each
// section.
fuzz_target!(|bytes: &[u8]| {
    let [codec, size, rest @ ..] = bytes else { return };
    let codec = 1 + codec % 3;
    let old: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let new_size = usize::from(*size) * 8;
    let mut sections = std::collections::BTreeMap::new();
    let mut rest = rest;
    while let [kind, len, after @ ..] = rest {
        let (bytes, after) = after.split_at(after.len().min(usize::from(*len)));
        let kind = if codec == REFERENCE { KINDS[usize::from(*kind) % KINDS.len()] } else { kind % 12 };
        let (raw_size, packed) = section(kind, bytes);
        if raw_size > 0 && !packed.is_empty() {
            sections.insert(kind, (raw_size, packed));
        }
        rest = after;
    }
    let mut patch = b"smdg\x01".to_vec();
    patch.extend([codec, 23]);
    push_number(&mut patch, old.len());
    push_number(&mut patch, new_size);
    patch.extend(Digest::of(&old).as_bytes());
    patch.extend([0; 32]);
    push_number(&mut patch, sections.len());
    for (kind, (raw_size, packed)) in &sections {
        patch.push(*kind);
        push_number(&mut patch, *raw_size);
        push_number(&mut patch, packed.len());
    }
    sections.values().for_each(|(_, packed)| patch.extend(packed));

    let Ok(patch) = Patch::open(patch, &Limits::default()) else { return };
    let mut new = Vec::new();
    if let Err(error) = patch.apply(&old, &mut new) {
        assert_ne!(error.fault(), Fault::Bug, "{error}");
    }
    assert!(new.len() <= new_size);
    let _ = patch.inspect();
});
