//! One key handed out for one attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use claviger_core::owner::PoolId;
use claviger_core::{KeyId, ProviderId, Scope, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// How an attempt with a leased key ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The provider answered with this status.
    Answered(u16),
    /// No answer came: the connection failed, or time ran out.
    Failed,
    /// The caller left before there was an answer, or the lease was dropped.
    Abandoned,
    /// The key was handed out in plain text, and what becomes of it may be told later.
    HandedOut,
}

/// A key that is out for one attempt. It ends exactly once, with an outcome; being dropped is one too.
#[derive(Debug)]
pub struct Lease {
    used: Arc<KeyUsage>,
    scope: Scope,
    counts: Arc<ProviderCounts>,
    ended: bool,
}

impl Lease {
    pub(crate) fn begin(used: Arc<KeyUsage>, scope: Scope, counts: Arc<ProviderCounts>) -> Self {
        Self { used, scope, counts, ended: false }
    }

    /// Which key it is.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.used.key
    }

    /// Whose key it is.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Ends the lease.
    pub fn end(mut self, outcome: Outcome) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome) {
        if !std::mem::replace(&mut self.ended, true) {
            self.counts.count(outcome);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.finish(Outcome::Abandoned);
    }
}

/// What is counted of one provider's leases, by how they ended. For the metrics.
#[derive(Debug)]
pub struct ProviderCounts {
    /// Which provider.
    pub provider: ProviderId,
    ends: [AtomicU64; CLASSES.len()],
}

/// The classes in which ends are counted, as the metrics name them.
const CLASSES: [&str; 7] = ["ok", "redirect", "caller_error", "provider_error", "failed", "abandoned", "handed_out"];

impl ProviderCounts {
    pub(crate) fn new(provider: ProviderId) -> Self {
        Self { provider, ends: Default::default() }
    }

    pub(crate) fn count(&self, outcome: Outcome) {
        self.of(outcome).fetch_add(1, Ordering::Relaxed);
    }

    fn of(&self, outcome: Outcome) -> &AtomicU64 {
        &self.ends[match outcome {
            Outcome::Answered(..300) => 0,
            Outcome::Answered(300..400) => 1,
            Outcome::Answered(400..500) => 2,
            Outcome::Answered(500..) => 3,
            Outcome::Failed => 4,
            Outcome::Abandoned => 5,
            Outcome::HandedOut => 6,
        }]
    }

    /// Each class with its count.
    pub fn by_class(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CLASSES.into_iter().zip(self.ends.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

/// When a key was used last, kept in memory between two writes to the database.
#[derive(Debug)]
pub(crate) struct KeyUsage {
    pub(crate) pool: PoolId,
    pub(crate) key: KeyId,
    last_used_at: AtomicI64,
    unwritten: AtomicBool,
}

impl KeyUsage {
    pub(crate) fn new(pool: PoolId, key: KeyId) -> Self {
        Self { pool, key, last_used_at: AtomicI64::new(0), unwritten: AtomicBool::new(false) }
    }

    /// When it was used last by this process, if ever.
    pub(crate) fn last_used_at(&self) -> Option<Timestamp> {
        let millis = self.last_used_at.load(Ordering::SeqCst);
        (millis > 0).then(|| Timestamp::from_millis(millis))
    }
}

/// So many uses are written without waiting for the time, and in one statement at most: what waits takes memory that no
/// setting bounds.
const BATCH: usize = 4_096;
/// So many are kept at most, where they cannot be written. What is lost beyond is when those keys were used.
const MOST: usize = 16 * BATCH;

/// Uses that are still to be written. A key enters once between two writes, so that the list's lock is not on the way
/// of every request.
#[derive(Debug, Default)]
pub(crate) struct UnwrittenUses {
    list: Mutex<Vec<Arc<KeyUsage>>>,
    pile: Notify,
}

impl UnwrittenUses {
    pub(crate) fn note(&self, used: &Arc<KeyUsage>, now: Timestamp) {
        // In this order and seen by all in one order, so that a time that `take` does not see enters again.
        used.last_used_at.fetch_max(now.as_millis(), Ordering::SeqCst);
        // A plain read first: a busy key's flag is set nearly always, and a read leaves its cache line shared.
        if !used.unwritten.load(Ordering::SeqCst) && !used.unwritten.swap(true, Ordering::SeqCst) {
            self.put([Arc::clone(used)]);
        }
    }

    /// How many batches there are.
    pub(crate) fn batches(&self) -> usize {
        self.list.lock().len().div_ceil(BATCH)
    }

    /// Takes some of them: a batch, or all where there are fewer. A use noted from now on enters again.
    pub(crate) fn take(&self) -> Vec<Arc<KeyUsage>> {
        let mut list = self.list.lock();
        let rest = list.len().saturating_sub(BATCH);
        let taken = list.split_off(rest);
        if list.is_empty() {
            list.shrink_to(BATCH);
        }
        drop(list);
        for used in &taken {
            used.unwritten.store(false, Ordering::SeqCst);
        }
        taken
    }

    /// Puts uses back that could not be written.
    pub(crate) fn put_back(&self, uses: Vec<Arc<KeyUsage>>) {
        self.put(uses.into_iter().filter(|used| !used.unwritten.swap(true, Ordering::SeqCst)));
    }

    fn put(&self, uses: impl IntoIterator<Item = Arc<KeyUsage>>) {
        let mut list = self.list.lock();
        for used in uses {
            if list.len() < MOST {
                list.push(used);
            } else {
                used.unwritten.store(false, Ordering::SeqCst);
            }
        }
        // Once for each batch, not at every use beyond it: what cannot be written is not tried without a pause.
        if list.len() == BATCH {
            self.pile.notify_one();
        }
    }

    /// Comes back when there are so many that they are better written now.
    pub(crate) async fn pile_up(&self) {
        self.pile.notified().await;
    }
}
