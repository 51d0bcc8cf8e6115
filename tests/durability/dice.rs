//! Chance that falls the same way in every run.

/// Xorshift: all that is asked of it is that it varies.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `sides`.
    pub(crate) fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// So many steps of nothing: lets time pass without handing the processor to anybody.
pub(crate) fn idle(steps: u64) {
    for step in 0..steps {
        std::hint::black_box(step);
        std::hint::spin_loop();
    }
}
