//! Random numbers, good enough to choose moments by.

use std::hash::{BuildHasher, RandomState};

/// A sequence that differs from run to run and from process to process.
#[derive(Debug)]
pub struct Random(u64);

impl Default for Random {
    fn default() -> Random {
        Random(RandomState::new().hash_one(std::process::id()) | 1)
    }
}

impl Random {
    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: u64) -> u64 {
        // xorshift64*: its high bits are the good ones.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % end
    }

    /// True once in `count` times.
    pub fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}
