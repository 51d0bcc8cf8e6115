//! A clock set by hand.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use claviger_core::{Clock, Timestamp};

/// Stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    start: i64,
    /// How many more looks there are up to the one that panics.
    looks: AtomicI64,
}

impl ManualClock {
    /// A clock that shows the beginning of 2026.
    #[must_use]
    pub fn new() -> Self {
        let start = 1_767_225_600_000;
        Self { now: AtomicI64::new(start), start, looks: AtomicI64::new(i64::MAX) }
    }

    /// Has whoever takes the N-th look at it from now on panic, once: a way into the middle of what goes on.
    pub fn panic_at_look(&self, number: i64) {
        self.looks.store(number, Ordering::SeqCst);
    }

    /// Has nobody panic from now on. Tells whether somebody did.
    #[must_use]
    pub fn has_panicked(&self) -> bool {
        self.looks.swap(i64::MAX, Ordering::SeqCst) <= 0
    }

    fn look(&self) -> i64 {
        assert_ne!(self.looks.fetch_sub(1, Ordering::SeqCst), 1, "a clock that a test has broken");
        self.now.load(Ordering::SeqCst)
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        let now = Timestamp::from_millis(self.now.load(Ordering::SeqCst));
        self.now.store(now.after(by).as_millis(), Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.look())
    }

    fn uptime(&self) -> Duration {
        let millis = self.look() - self.start;
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }
}
