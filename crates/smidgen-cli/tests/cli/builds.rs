//! Builds that look enough like programs to patch well, from a seed.

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, good enough for test data.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// A build of 256 KiB that does not compress; every version differs from the one before in a few hundred places.
pub(crate) fn build(version: u64) -> Vec<u8> {
    let mut random = Random(1);
    let mut bytes: Vec<u8> = (0..32 * 1024).flat_map(|_| random.next().to_le_bytes()).collect();
    for step in 1..=version {
        let mut random = Random(1000 + step);
        for _ in 0..200 {
            let offset = random.below(bytes.len());
            bytes[offset] = bytes[offset].wrapping_add(1);
        }
        let inserted: Vec<u8> = (0..64).flat_map(|_| random.next().to_le_bytes()).collect();
        let offset = random.below(bytes.len());
        bytes.splice(offset..offset, inserted);
    }
    bytes
}
