//! What the log and the metrics hear.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use claviger_app::coordination::SharingCounts;
use parking_lot::Mutex;

/// How often a pool that cannot be shared is worth a line.
const COMPLAIN_EVERY: Duration = Duration::from_mins(1);

/// How all lines of one node are, together.
#[derive(Debug, Default)]
pub(crate) struct Report {
    down: AtomicUsize,
    shared: AtomicU64,
    missed: AtomicU64,
    told: AtomicU64,
    lost: AtomicU64,
    complained: Mutex<Option<Instant>>,
}

impl Report {
    pub(crate) fn count(&self, shared: bool) {
        let counter = if shared { &self.shared } else { &self.missed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// A word on a key's rest was told, or lost.
    pub(crate) fn count_word(&self, told: bool) {
        let counter = if told { &self.told } else { &self.lost };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> SharingCounts {
        SharingCounts {
            sharing: self.down.load(Ordering::Relaxed) == 0,
            shared: self.shared.load(Ordering::Relaxed),
            missed: self.missed.load(Ordering::Relaxed),
            told: self.told.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }

    /// One pool cannot be shared, for a reason of its own. Requests meet it again and again, so it is said now and
    /// then.
    pub(crate) fn complain(&self, key: &str, reason: impl fmt::Display) {
        let mut complained = self.complained.lock();
        if complained.is_some_and(|at| at.elapsed() < COMPLAIN_EVERY) {
            return;
        }
        *complained = Some(Instant::now());
        tracing::warn!(key, %reason, "a pool's turns cannot be shared, and this node takes its own: delete the key");
    }
}

/// How one line is. The first that goes down and the last that is back are said, not each.
#[derive(Debug)]
pub(crate) struct Standing {
    report: Arc<Report>,
    down: bool,
}

impl Standing {
    pub(crate) fn new(report: &Arc<Report>) -> Self {
        Self { report: Arc::clone(report), down: false }
    }

    pub(crate) fn down(&mut self, reason: &dyn fmt::Display) {
        if !std::mem::replace(&mut self.down, true) && self.report.down.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(%reason, "turns are not shared with other nodes at the moment: this node takes its own");
        }
    }

    pub(crate) fn up(&mut self) {
        if self.leave() {
            tracing::info!("turns are shared with other nodes again");
        }
    }

    /// Whether this line was the last one down.
    fn leave(&mut self) -> bool {
        std::mem::replace(&mut self.down, false) && self.report.down.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.leave();
    }
}
