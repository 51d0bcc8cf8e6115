//! What is to be written of keys' uses.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use claviger_core::Timestamp;
use claviger_store::KeyUse;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::known::KnownKey;

/// So many uses are written without waiting for the time, and in one statement at most: what waits takes memory that no
/// setting bounds.
const BATCH: usize = 4_096;
/// So many are kept at most, where they cannot be written. What is lost beyond is when those keys were used, and how
/// their requests ended.
const MOST: usize = 16 * BATCH;

/// Keys of which something is still to be written. A key enters once between two writes, so that the list's lock is not
/// on the way of every request.
#[derive(Debug, Default)]
pub(crate) struct UnwrittenUses {
    list: Mutex<Vec<Arc<KnownKey>>>,
    pile: Notify,
}

/// Some of them, taken out.
pub(crate) struct Batch(Vec<(Arc<KnownKey>, KeyUse)>);

impl UnwrittenUses {
    /// The key is handed out.
    pub(crate) fn note(&self, key: &Arc<KnownKey>, now: Timestamp) {
        // In this order and seen by all in one order, so that a time that `take` does not see enters again.
        key.use_at(now);
        self.enter(key);
    }

    /// There is something to write of the key.
    pub(crate) fn enter(&self, key: &Arc<KnownKey>) {
        // A plain read first: a busy key's flag is set nearly always, and a read leaves its cache line shared.
        if !key.unwritten.load(Ordering::SeqCst) && !key.unwritten.swap(true, Ordering::SeqCst) {
            self.put([Arc::clone(key)]);
        }
    }

    /// How many batches there are.
    pub(crate) fn batches(&self) -> usize {
        self.list.lock().len().div_ceil(BATCH)
    }

    /// Takes some of them: a batch, or all where there are fewer. What is noted from now on enters again.
    pub(crate) fn take(&self) -> Batch {
        let mut list = self.list.lock();
        let rest = list.len().saturating_sub(BATCH);
        let taken = list.split_off(rest);
        if list.is_empty() {
            list.shrink_to(BATCH);
        }
        drop(list);
        let uses = taken.into_iter().filter_map(|key| {
            key.unwritten.store(false, Ordering::SeqCst);
            let at = key.last_used_at()?;
            let (counts, domain) = (key.take_counts(), key.take_domain());
            let used = KeyUse { pool: key.pool.clone(), key: key.id.clone(), at, counts, domain };
            Some((key, used))
        });
        Batch(uses.collect())
    }

    /// Puts uses back that could not be written.
    pub(crate) fn put_back(&self, batch: Batch) {
        let returned = batch.0.into_iter().filter_map(|(key, used)| {
            key.put_counts_back(&used.counts);
            if let Some(domain) = used.domain {
                key.learn_domain(domain);
            }
            (!key.unwritten.swap(true, Ordering::SeqCst)).then_some(key)
        });
        self.put(returned);
    }

    fn put(&self, keys: impl IntoIterator<Item = Arc<KnownKey>>) {
        let mut list = self.list.lock();
        for key in keys {
            if list.len() < MOST {
                list.push(key);
            } else {
                key.unwritten.store(false, Ordering::SeqCst);
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

impl Batch {
    pub(crate) fn uses(&self) -> Vec<KeyUse> {
        self.0.iter().map(|(_, used)| used.clone()).collect()
    }
}
