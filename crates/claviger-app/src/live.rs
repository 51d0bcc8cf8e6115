//! What is kept of the database in memory, and never after it changed there.

use std::convert::Infallible;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use foldhash::fast::RandomState;
use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, UnitWeighter};

/// A bounded number of slots, each for one thing of the database. Slots are spread over shards, each with a lock of its
/// own that is held for a look-up; what a slot keeps is read without any.
pub(crate) struct Live<K, T, C = ()> {
    /// Whether changes by other processes are heard of. While they are not, nothing that is read is kept.
    hearing: Arc<AtomicBool>,
    slots: Cache<K, Arc<Slot<T, C>>, UnitWeighter, RandomState>,
}

/// One thing of the database, as it was read last, or nothing; and beside it a companion that outlives the readings.
///
/// What was read before a change is never kept after it: a reader takes the slot's age before it asks the database, and
/// what it brings is kept only if the slot has the same age then. Forgetting makes the slot older.
pub(crate) struct Slot<T, C = ()> {
    /// Outlives the readings, for as long as the slot is among the bounded number.
    pub(crate) companion: C,
    hearing: Arc<AtomicBool>,
    kept: ArcSwapOption<T>,
    age: Mutex<u64>,
    /// Held by the one reader that asks the database; the others wait for what it brings.
    reading: tokio::sync::Mutex<()>,
}

impl<K, T, C> Live<K, T, C>
where
    K: Hash + Eq + Clone,
    C: Default,
{
    pub(crate) fn new(capacity: usize) -> Self {
        let weight = capacity as u64;
        let slots = Cache::with(capacity, weight, UnitWeighter, RandomState::default(), DefaultLifecycle::default());
        Self { hearing: Arc::new(AtomicBool::new(true)), slots }
    }

    /// The slot, if there is one.
    pub(crate) fn slot_if_any<Q>(&self, key: &Q) -> Option<Arc<Slot<T, C>>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.slots.get(key)
    }

    /// The slot, made where there is none.
    pub(crate) fn slot(&self, key: &K) -> Arc<Slot<T, C>> {
        if let Some(slot) = self.slots.get(key) {
            return slot;
        }
        let made =
            self.slots.get_or_insert_with(key, || Ok::<_, Infallible>(Arc::new(Slot::new(Arc::clone(&self.hearing)))));
        match made {
            Ok(slot) => slot,
        }
    }

    /// Gives the slot up, with its companion.
    pub(crate) fn remove<Q>(&self, key: &Q)
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.slots.remove(key);
    }

    /// Forgets what was read, of one thing.
    pub(crate) fn forget<Q>(&self, key: &Q)
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        if let Some(slot) = self.slots.get(key) {
            slot.forget();
        }
    }

    /// Forgets what was read, of everything for which `which` says so. A slot that is being read for the first time
    /// counts as unknown.
    pub(crate) fn forget_where(&self, which: impl Fn(&K, Option<&T>) -> bool) {
        for (key, slot) in self.slots.iter() {
            if which(&key, slot.kept.load().as_deref()) {
                slot.forget();
            }
        }
    }

    /// Says whether changes by other processes are heard of.
    pub(crate) fn set_hearing(&self, hearing: bool) {
        self.hearing.store(hearing, Ordering::SeqCst);
    }

    /// How many slots there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

impl<K, T, C> fmt::Debug for Live<K, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}

impl<T, C: Default> Slot<T, C> {
    fn new(hearing: Arc<AtomicBool>) -> Self {
        Self {
            companion: C::default(),
            hearing,
            kept: ArcSwapOption::empty(),
            age: Mutex::new(0),
            reading: tokio::sync::Mutex::new(()),
        }
    }
}

impl<T, C> Slot<T, C> {
    /// What was read last, if it is still true.
    pub(crate) fn kept(&self) -> arc_swap::Guard<Option<Arc<T>>> {
        self.kept.load()
    }

    /// Reads what the slot is for, one reader at a time. A reader that waited takes what the other one brought.
    pub(crate) async fn read<E>(&self, read: impl AsyncFnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let _turn = self.reading.lock().await;
        if let Some(kept) = self.kept.load_full() {
            return Ok(kept);
        }
        let age = *self.age.lock();
        let brought = Arc::new(read().await?);
        let now = self.age.lock();
        if *now == age && self.hearing.load(Ordering::SeqCst) {
            self.kept.store(Some(Arc::clone(&brought)));
        }
        drop(now);
        Ok(brought)
    }

    /// Forgets what was read, also by a reader that is still on its way.
    pub(crate) fn forget(&self) {
        let mut age = self.age.lock();
        *age += 1;
        self.kept.store(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_kept_after_it() {
        let live: Live<u32, &str> = Live::new(10);
        let slot = live.slot(&1);
        let brought = slot
            .read(async || {
                live.forget(&1);
                Ok::<_, Infallible>("old")
            })
            .await;
        assert_eq!(brought.map(|text| *text), Ok("old"));
        assert!(slot.kept().is_none());
        let brought = slot.read(async || Ok::<_, Infallible>("new")).await;
        assert_eq!(brought.map(|text| *text), Ok("new"));
        assert!(slot.kept().is_some());
    }

    #[tokio::test]
    async fn a_companion_outlives_forgetting() {
        let live: Live<u32, &str, Mutex<u32>> = Live::new(10);
        *live.slot(&1).companion.lock() = 7;
        live.forget(&1);
        assert_eq!(*live.slot(&1).companion.lock(), 7);
    }

    #[tokio::test]
    async fn nothing_is_kept_while_changes_are_not_heard_of() {
        let live: Live<u32, &str> = Live::new(10);
        live.set_hearing(false);
        live.slot(&1).read(async || Ok::<_, Infallible>("unsure")).await.unwrap();
        assert!(live.slot(&1).kept().is_none());
        live.set_hearing(true);
        live.slot(&1).read(async || Ok::<_, Infallible>("sure")).await.unwrap();
        assert!(live.slot(&1).kept().is_some());
    }

    #[tokio::test]
    async fn a_failed_reading_keeps_nothing() {
        let live: Live<u32, &str> = Live::new(10);
        let slot = live.slot(&1);
        assert_eq!(slot.read(async || Err::<&str, _>("gone")).await.unwrap_err(), "gone");
        assert!(slot.kept().is_none());
    }
}
