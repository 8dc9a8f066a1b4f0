//! Hashes and pseudo-random draws that are the same on every machine.

/// FNV-1a hash, 64 bits, of the text added so far.
pub struct Fnv(pub u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Adds `text`.
    pub fn write(&mut self, text: &str) {
        self.0 = text.bytes().fold(self.0, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    }
}

/// Returns the FNV-1a hash of `text`.
pub fn hash(text: &str) -> u64 {
    let mut hash = Fnv::default();
    hash.write(text);
    hash.0
}

/// Returns a [`hash`] whose upper bits change with every character, for draws. The upper bits of
/// FNV-1a hardly depend on the last characters of short texts.
pub fn spread(text: &str) -> u64 {
    hash(text).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Returns draw `n` of the sequence of `key` (SplitMix64).
pub fn draw(key: u64, n: u64) -> u64 {
    let mut z = key ^ n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Returns draw `n` of `key`, uniform in -1..1.
pub fn uniform(key: u64, n: u64) -> f32 {
    (draw(key, n) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}
