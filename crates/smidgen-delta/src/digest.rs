//! The name of a file by its content: a BLAKE3 digest.

use std::{fmt, io, str::FromStr};

use blake3::hazmat::{ChainingValue, HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root};

use crate::ReadAt;

/// The BLAKE3 digest (32 bytes) of a whole file; prints as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of bytes in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Takes 32 bytes that are known to be a digest.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 8 bytes: enough to tell the builds of one line apart, never enough to trust one.
    #[must_use]
    pub const fn prefix(&self) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        [a, b, c, d, e, f, g, h]
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a digest: expected 64 lower-case hex digits")]
pub struct ParseDigestError {
    found: String,
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    /// Reads what `Display` writes, and nothing else: one digest has one spelling.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseDigestError { found: text.chars().take(80).collect() };
        let nibble = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(error()),
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(error());
        }
        let mut bytes = [0; 32];
        for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = nibble(high)? << 4 | nibble(low)?;
        }
        Ok(Self(bytes))
    }
}

/// Bytes digested at a time: enough for BLAKE3's widest vectors and for few system calls, few enough to stay in the
/// second-level cache together with the block they are copied to.
pub(crate) const BLOCK: usize = 64 * 1024;

/// What the digest of one block of a file is. It holds for every file that has these bytes at this offset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block {
    offset: u64,
    /// The value of its subtree in a file of several blocks.
    subtree: ChainingValue,
    /// Of the first block: the digest of a file that is this block and nothing else.
    alone: Option<blake3::Hash>,
}

impl Block {
    /// Where in the file it begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }
}

/// The digest of a file that comes in blocks of [`BLOCK`] bytes, of which only the last may be shorter.
///
/// Where two files agree, the old and the new one, a block is digested once and counts for both: BLAKE3 is a tree, and
/// the value of a subtree depends on its bytes and its place only. (O'Connor, Aumasson, Neves, Wilcox-O'Hearn,
/// "BLAKE3: one function, fast everywhere", section 2.1.)
#[derive(Debug, Default)]
pub(crate) struct BlockHasher {
    /// The subtrees that are complete, the largest first. The last two are only merged when a further block comes:
    /// the merge that makes the root is another one.
    subtrees: Vec<ChainingValue>,
    count: u64,
    /// The digest if no further block comes.
    alone: Option<blake3::Hash>,
}

impl BlockHasher {
    /// Bytes it takes, for files of any size: a stack of one value for each bit of the count, and a hasher at work.
    pub(crate) const MEMORY: usize = 64 * size_of::<ChainingValue>() + size_of::<blake3::Hasher>();

    /// Takes the next block, which is not empty.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Block {
        let offset = self.offset();
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(offset).update(bytes);
        let alone = (offset == 0).then(|| hasher.finalize());
        let block = Block { offset, subtree: hasher.finalize_non_root(), alone };
        self.push_same(&block);
        block
    }

    /// Takes the next block, which another hasher has seen at the same offset.
    pub(crate) fn push_same(&mut self, block: &Block) {
        while self.subtrees.len() > self.count.count_ones() as usize {
            let right = self.subtrees.pop();
            let left = self.subtrees.pop();
            let merged =
                left.zip(right).map(|(left, right)| merge_subtrees_non_root(&left, &right, Mode::Hash));
            self.subtrees.extend(merged);
        }
        self.subtrees.push(block.subtree);
        self.alone = block.alone;
        self.count = self.count.saturating_add(1);
    }

    /// Where the next block begins.
    fn offset(&self) -> u64 {
        self.count.saturating_mul(BLOCK as u64)
    }

    /// The digest of all blocks.
    pub(crate) fn finish(self) -> Digest {
        if let Some(alone) = self.alone {
            return alone.into();
        }
        let mut subtrees = self.subtrees.into_iter();
        let left = subtrees.next();
        let right = subtrees.rev().reduce(|right, left| merge_subtrees_non_root(&left, &right, Mode::Hash));
        match left.zip(right) {
            Some((left, right)) => merge_subtrees_root(&left, &right, Mode::Hash).into(),
            None => Digest::of(&[]),
        }
    }
}

/// The digest of everything `source` holds, read in pieces of 64 KiB.
///
/// # Errors
/// Whatever the source answers.
pub fn digest_of(source: &(impl ReadAt + ?Sized)) -> io::Result<Digest> {
    let size = source.size();
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BLOCK.min(usize::try_from(size).unwrap_or(usize::MAX))];
    let mut offset = 0;
    while offset < size {
        let len = usize::try_from(size - offset).unwrap_or(usize::MAX).min(buffer.len());
        let piece = &mut buffer[..len];
        source.read_exact_at(piece, offset)?;
        hasher.update(piece);
        offset += len as u64;
    }
    Ok(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_lower_case_and_reads_back() {
        let digest = Digest::of(b"smidgen");
        let text = digest.to_string();
        assert_eq!(text, text.to_lowercase());
        assert_eq!(text.parse(), Ok(digest));
        assert_eq!(digest.prefix(), digest.as_bytes()[..8]);
    }

    #[test]
    fn other_spellings_of_a_digest_are_refused() {
        let text = Digest::of(b"").to_string();
        for wrong in ["", &text[1..], &text.to_uppercase(), &format!("{text}0"), &text.replace('a', "g")] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn streaming_digest_equals_the_one_shot_digest() {
        for size in [0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 7] {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
            assert_eq!(digest_of(&bytes).unwrap(), Digest::of(&bytes));
        }
    }

    #[test]
    fn a_digest_by_blocks_is_the_digest_of_the_whole() {
        let bytes: Vec<u8> = (0..21 * BLOCK).map(|i| (i * 31 % 251) as u8).collect();
        let sizes =
            (0..=20).flat_map(|blocks| [0, 1, 1024, 1025, BLOCK - 1].map(|more| blocks * BLOCK + more));
        for size in sizes {
            let (mut one, mut other) = (BlockHasher::default(), BlockHasher::default());
            for (index, bytes) in bytes[..size].chunks(BLOCK).enumerate() {
                let block = one.push(bytes);
                assert_eq!(block.offset(), (index * BLOCK) as u64);
                other.push_same(&block);
            }
            let expected = Digest::of(&bytes[..size]);
            assert_eq!(one.finish(), expected, "{size}");
            assert_eq!(other.finish(), expected, "{size}");
        }
    }
}
