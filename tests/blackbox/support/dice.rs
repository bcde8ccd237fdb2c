//! Chance that can be repeated: the same seed, the same run.

/// A small generator (xorshift64*); not for secrets.
pub(crate) struct Dice(u64);

impl Dice {
    /// A generator that always rolls the same for a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn roll(&mut self, low: u64, high: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        low + (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % (high - low + 1)
    }
}
