//! A second, slow implementation of `docs/format.md`, written to be read: whole sections in memory, no buffers, no
//! bounds. It judges the real one, and builds patches that lie.
#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod go_program;
pub(crate) mod lies;
pub(crate) mod program;
pub(crate) mod signed;

use program::CODE;
use zstd_safe::{CCtx, CParameter, DCtx, DParameter, FrameFormat};

/// A patch taken apart. `sections` are kind, raw size as promised, packed bytes.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) magic: [u8; 4],
    pub(crate) version: u8,
    pub(crate) codec: u8,
    pub(crate) window_log: u8,
    pub(crate) old_size: u64,
    pub(crate) new_size: u64,
    pub(crate) old_digest: [u8; 32],
    pub(crate) new_digest: [u8; 32],
    pub(crate) sections: Vec<(u8, u64, Vec<u8>)>,
}

impl Parts {
    pub(crate) fn parse(patch: &[u8]) -> Self {
        let mut at = 7;
        let old_size = low_first(patch, &mut at);
        let new_size = low_first(patch, &mut at);
        let digest = |at: &mut usize| {
            *at += 32;
            patch[*at - 32..*at].try_into().unwrap()
        };
        let (old_digest, new_digest) = (digest(&mut at), digest(&mut at));
        let table: Vec<(u8, u64, u64)> = (0..low_first(patch, &mut at))
            .map(|_| {
                at += 1;
                (patch[at - 1], low_first(patch, &mut at), low_first(patch, &mut at))
            })
            .collect();
        let mut sections = Vec::new();
        for (kind, raw_size, packed_size) in table {
            let end = at + packed_size as usize;
            sections.push((kind, raw_size, patch[at..end].to_vec()));
            at = end;
        }
        assert_eq!(at, patch.len());
        Self {
            magic: patch[..4].try_into().unwrap(),
            version: patch[4],
            codec: patch[5],
            window_log: patch[6],
            old_size,
            new_size,
            old_digest,
            new_digest,
            sections,
        }
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let mut patch = self.magic.to_vec();
        patch.extend([self.version, self.codec, self.window_log]);
        push_low_first(&mut patch, self.old_size);
        push_low_first(&mut patch, self.new_size);
        patch.extend(self.old_digest);
        patch.extend(self.new_digest);
        push_low_first(&mut patch, self.sections.len() as u64);
        for (kind, raw_size, packed) in &self.sections {
            patch.push(*kind);
            push_low_first(&mut patch, *raw_size);
            push_low_first(&mut patch, packed.len() as u64);
        }
        self.sections.iter().for_each(|(_, _, packed)| patch.extend(packed));
        patch
    }

    /// The raw bytes of a section; none if the patch does not have it.
    pub(crate) fn raw(&self, kind: u8) -> Vec<u8> {
        self.sections
            .iter()
            .find(|section| section.0 == kind)
            .map_or_else(Vec::new, |section| unpack(&section.2))
    }

    /// Replaces a section's raw bytes, or adds it.
    pub(crate) fn set_raw(&mut self, kind: u8, raw: &[u8]) {
        self.sections.retain(|section| section.0 != kind);
        if !raw.is_empty() {
            self.sections.push((kind, raw.len() as u64, pack(raw)));
        }
        self.sections.sort_by_key(|section| section.0);
    }

    /// A classic patch with its changes sorted into sections, as the encoder does it where that is smaller; only runs
    /// of two bytes get a section of their own.
    pub(crate) fn with_sorted_changes(mut self) -> Self {
        let changes = self.raw(11);
        let [mut gaps, mut run_lens, mut runs_of_2, mut runs] = [const { Vec::new() }; 4];
        let mut at = 0;
        while at < changes.len() {
            let start = at;
            high_first(&changes, &mut at);
            gaps.extend(&changes[start..at]);
            let start = at;
            let len = high_first(&changes, &mut at) as usize;
            run_lens.extend(&changes[start..at]);
            let runs = if len == 2 { &mut runs_of_2 } else { &mut runs };
            runs.extend(&changes[at..at + len]);
            at += len;
        }
        for (kind, raw) in [(4, gaps), (5, run_lens), (7, runs_of_2), (9, runs), (11, vec![])] {
            self.set_raw(kind, &raw);
        }
        self
    }

    /// Applies a classic patch.
    pub(crate) fn apply(&self, old: &[u8]) -> Vec<u8> {
        const ADD_LENS: u8 = 1;
        const EXTRA_LENS: u8 = 2;
        const SEEKS: u8 = 3;
        const GAPS: u8 = 4;
        const RUN_LENS: u8 = 5;
        const RUNS: u8 = 9;
        const EXTRA: u8 = 10;
        const CHANGES: u8 = 11;

        // All differences of all add parts, zeros included.
        let mut differences = Vec::new();
        let mut runs: Vec<_> = (6..=9).map(|kind| self.raw(kind).into_iter()).collect();
        for (gap, len) in numbers(&self.raw(GAPS)).into_iter().zip(numbers(&self.raw(RUN_LENS))) {
            differences.extend(std::iter::repeat_n(0, gap as usize));
            let own_kind = 5 + len.min(4) as u8;
            let has_own = self.sections.iter().any(|section| section.0 == own_kind);
            let kind = if has_own { own_kind } else { RUNS };
            differences.extend(runs[usize::from(kind - 6)].by_ref().take(len as usize));
        }
        let changes = self.raw(CHANGES);
        let mut at = 0;
        while at < changes.len() {
            let (gap, len) = (high_first(&changes, &mut at), high_first(&changes, &mut at) as usize);
            differences.extend(std::iter::repeat_n(0, gap as usize));
            differences.extend(&changes[at..at + len]);
            at += len;
        }
        let mut differences = differences.into_iter().chain(std::iter::repeat(0));
        let mut extra = self.raw(EXTRA).into_iter();
        let seeks = self.raw(SEEKS);
        let mut at = 0;
        let seeks = std::iter::from_fn(|| (at < seeks.len()).then(|| low_first(&seeks, &mut at)));

        let mut new = Vec::new();
        let mut offset = 0_i64;
        let lens = numbers(&self.raw(ADD_LENS)).into_iter().zip(numbers(&self.raw(EXTRA_LENS)));
        for ((add_len, extra_len), seek) in lens.zip(seeks) {
            offset += (seek >> 1) as i64 ^ -((seek & 1) as i64);
            let end = offset + add_len as i64;
            let add = &old[offset as usize..end as usize];
            new.extend(
                add.iter().zip(differences.by_ref()).map(|(old, difference)| old.wrapping_add(difference)),
            );
            new.extend(extra.by_ref().take(extra_len as usize));
            offset = end;
        }
        new
    }
}

pub(crate) fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut decoder = DCtx::create();
    decoder.set_parameter(DParameter::Format(FrameFormat::Magicless)).unwrap();
    let mut raw = Vec::with_capacity(64 << 20);
    decoder.decompress(&mut raw, packed).unwrap();
    raw
}

pub(crate) fn pack(raw: &[u8]) -> Vec<u8> {
    let mut packer = CCtx::create();
    packer.set_parameter(CParameter::Format(FrameFormat::Magicless)).unwrap();
    packer.set_parameter(CParameter::ContentSizeFlag(false)).unwrap();
    let mut packed = Vec::with_capacity(zstd_safe::compress_bound(raw.len()));
    packer.compress2(&mut packed, raw).unwrap();
    packed
}

/// The bytes that pairs of hexadecimal digits spell.
pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A number with its low bits first.
pub(crate) fn low_first(bytes: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

pub(crate) fn push_low_first(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// A number with its high bits first.
pub(crate) fn high_first(bytes: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    loop {
        let byte = bytes[*at];
        *at += 1;
        value = value << 7 | u64::from(byte & 0x7F);
        if byte < 0x80 {
            return value;
        }
    }
}

/// Numbers with their high bits first.
pub(crate) fn numbers(bytes: &[u8]) -> Vec<u64> {
    let mut at = 0;
    std::iter::from_fn(|| (at < bytes.len()).then(|| high_first(bytes, &mut at))).collect()
}

/// A generator of bytes and numbers that depends on nothing but its seed (SplitMix64).
pub(crate) struct Seeded(pub u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// Something like a program: words from a small vocabulary with counters among them.
    pub(crate) fn program(&mut self, len: usize) -> Vec<u8> {
        let words: Vec<Vec<u8>> = (0..200)
            .map(|_| {
                let len = 2 + self.below(9);
                self.bytes(len)
            })
            .collect();
        let mut bytes = Vec::new();
        while bytes.len() < len {
            bytes.extend(&words[self.below(words.len())]);
            if self.below(3) == 0 {
                bytes.extend((bytes.len() as u32).to_le_bytes());
            }
        }
        bytes.truncate(len);
        bytes
    }

    /// What a next build of `old` may look like: pieces moved, inserted, removed, and single bytes changed.
    pub(crate) fn edited(&mut self, old: &[u8], edits: usize) -> Vec<u8> {
        let mut new = old.to_vec();
        for _ in 0..edits {
            let at = self.below(new.len());
            let len = self.below(400).min(new.len() - at);
            match self.below(5) {
                0 => drop(new.splice(at..at, self.bytes(len))),
                1 => drop(new.drain(at..at + len)),
                2 => {
                    let piece: Vec<u8> = new.drain(at..at + len).collect();
                    let to = self.below(new.len());
                    drop(new.splice(to..to, piece));
                }
                _ => new[at..at + len].iter_mut().step_by(7).for_each(|byte| *byte = byte.wrapping_add(3)),
            }
        }
        new
    }
}

/// A program and another one, much of which no match explains: a patch has its extra bytes in parts.
pub(crate) fn parted_pair() -> (Vec<u8>, Vec<u8>) {
    let (old, mut new) = (program::of(60, None), program::of(600, Some(70)));
    new.extend(Seeded(9).bytes(300));
    (old, new)
}

/// A program and its next build, some of whose code is another, with other data behind it. So many bytes are extra that a patch
/// codes those of code only, and packs the others.
pub(crate) fn mixed_pair() -> (Vec<u8>, Vec<u8>) {
    let mut seeded = Seeded(31);
    let (old, mut new) = (program::of(900, None), program::of(900, Some(300)));
    let code = seeded.program(9000);
    new[10 * CODE..][..code.len()].copy_from_slice(&code);
    new.extend(seeded.program(9000));
    (old, new)
}
