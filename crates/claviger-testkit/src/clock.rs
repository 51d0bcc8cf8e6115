//! A clock set by hand.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use claviger_core::{Clock, Timestamp};

/// Stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    start: i64,
}

impl ManualClock {
    /// A clock that shows the beginning of 2026.
    #[must_use]
    pub fn new() -> Self {
        let start = 1_767_225_600_000;
        Self { now: AtomicI64::new(start), start }
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.now.store(self.now().after(by).as_millis(), Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        let millis = self.now.load(Ordering::SeqCst) - self.start;
        Duration::from_millis(u64::try_from(millis).unwrap_or_default())
    }
}
