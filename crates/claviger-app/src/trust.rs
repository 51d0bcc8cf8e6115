//! How far what is in memory can be trusted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use claviger_core::Clock;

/// How long a proof of hearing is good for. A change is heard before any proof that was begun after it, so what it made
/// untrue is out of use this long after it at the latest, whatever becomes of the connection that should have told.
const GOOD_FOR: Duration = Duration::from_secs(3);

/// How long a database that did not answer is left alone by requests that have something else to go on with.
const LEFT_ALONE: Duration = Duration::from_millis(500);

/// Whether changes by other processes are heard of. All times are the clock's uptime, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Trust {
    clock: Arc<dyn Clock>,
    /// When the last proof of hearing ends. At first there is nobody to be heard, and everything in memory is this
    /// process's own.
    until: AtomicU64,
    /// How much longer what is in memory may be used while the database cannot be reached.
    grace: u64,
    /// Until when the database need not be asked, because it just did not answer.
    unreachable_until: AtomicU64,
}

impl Trust {
    pub(crate) fn new(clock: Arc<dyn Clock>, grace: Duration) -> Self {
        Self { clock, until: AtomicU64::new(u64::MAX), grace: nanos(grace), unreachable_until: AtomicU64::new(0) }
    }

    /// The moment, for [`Trust::heard`].
    pub(crate) fn now(&self) -> Duration {
        self.clock.uptime()
    }

    fn now_nanos(&self) -> u64 {
        nanos(self.clock.uptime())
    }

    /// From here on there are other processes to be heard, and none has been yet.
    pub(crate) fn begin(&self) {
        let _ = self.until.compare_exchange(u64::MAX, 0, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Every change before this moment has been heard of.
    pub(crate) fn heard(&self, until: Duration) {
        self.until.fetch_max(nanos(until.saturating_add(GOOD_FOR)), Ordering::SeqCst);
    }

    /// How long ago the last proof of hearing was; `None` before the first.
    pub(crate) fn heard_ago(&self) -> Option<Duration> {
        let until = Some(self.until.load(Ordering::Relaxed)).filter(|until| !matches!(*until, 0 | u64::MAX))?;
        let heard = Duration::from_nanos(until).saturating_sub(GOOD_FOR);
        Some(self.clock.uptime().saturating_sub(heard))
    }

    /// Whether what is in memory is true.
    pub(crate) fn holds(&self) -> bool {
        // Relaxed on purpose: it bounds how old something may be, and orders nothing.
        self.now_nanos() < self.until.load(Ordering::Relaxed)
    }

    /// Whether what is in memory may be used although it may be untrue: the operator's decision.
    pub(crate) fn in_grace(&self) -> bool {
        self.now_nanos() < self.until.load(Ordering::Relaxed).saturating_add(self.grace)
    }

    /// The database did not answer.
    pub(crate) fn unreachable(&self) {
        self.unreachable_until.store(nanos(self.clock.uptime().saturating_add(LEFT_ALONE)), Ordering::Relaxed);
    }

    /// Whether the database just did not answer.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.now_nanos() < self.unreachable_until.load(Ordering::Relaxed)
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
