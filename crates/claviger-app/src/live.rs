//! What is kept of the database in memory, and never used after it changed there.

use std::convert::Infallible;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use claviger_store::StoreError;
use foldhash::fast::RandomState;
use foldhash::quality::FixedState;
use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle, EntryAction};
use quick_cache::{Equivalent, Weighter};

use crate::trust::Trust;

/// How long the database may take where what is in memory may be used as well, the operator having allowed it.
const PATIENCE: Duration = Duration::from_millis(250);

/// How much may be kept in memory.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// How many things.
    pub entries: usize,
    /// How many bytes they may take together, about.
    pub bytes: u64,
}

/// What can be kept.
pub(crate) trait Content {
    /// How many bytes it takes in memory, about.
    fn bytes(&self) -> u64;

    /// What it is forgotten together with, if anything.
    fn group(&self) -> Option<Group>;
}

/// Things that are forgotten together, such as those of one workspace, by a hash of what they share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Group(u64);

impl Group {
    pub(crate) fn of(shared: &impl Hash) -> Self {
        Self(FixedState::default().hash_one(shared))
    }
}

/// When each group was forgotten last, so that forgetting one touches none of what is kept, however much that is. Groups
/// share places by their hashes: what is forgotten with another group is read again, which is no harm.
struct Groups {
    /// How often any group was forgotten: the time that is written here.
    now: AtomicU64,
    forgotten: Box<[AtomicU64]>,
}

impl Groups {
    /// Eight bytes for each thing that may be kept, and never more than half a megabyte.
    fn new(entries: usize) -> Self {
        let places = entries.clamp(1, 65_536).next_power_of_two();
        Self { now: AtomicU64::new(0), forgotten: (0..places).map(|_| AtomicU64::new(0)).collect() }
    }

    fn place(&self, group: Group) -> &AtomicU64 {
        // There are fewer places than the number counts.
        let place = group.0 % self.forgotten.len() as u64;
        &self.forgotten[usize::try_from(place).unwrap_or_default()]
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    fn forget(&self, group: Group) {
        // Who asks the database between the two sees the change already, which was made before.
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.place(group).fetch_max(now, Ordering::SeqCst);
    }

    /// Whether something counts still for which the database was asked then.
    fn remember(&self, what: &impl Content, asked: u64) -> bool {
        what.group().is_none_or(|group| self.place(group).load(Ordering::SeqCst) <= asked)
    }
}

/// A bounded number of slots, each for one thing of the database. Slots are spread over shards, each with a lock of its
/// own that is held for a look-up; what a slot keeps is read without any.
pub(crate) struct Live<K, T, C = ()> {
    trust: Arc<Trust>,
    groups: Groups,
    slots: Cache<K, Held<T, C>, Weigh, RandomState>,
    /// What a slot weighs at least, so that there are never more than so many.
    least: u64,
}

/// A slot in its place, with what it counts for there: bytes, but never less than its share of the number of slots.
struct Held<T, C> {
    slot: Arc<Slot<T, C>>,
    weight: u64,
}

impl<T, C> Clone for Held<T, C> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot), weight: self.weight }
    }
}

#[derive(Clone)]
struct Weigh;

impl<K, T, C> Weighter<K, Held<T, C>> for Weigh {
    fn weight(&self, _key: &K, held: &Held<T, C>) -> u64 {
        held.weight
    }
}

/// One thing of the database, as it was read last, or nothing; and beside it a companion that outlives the readings.
///
/// What was read before a change is never kept after it: a reader takes the slot's age before it asks the database, and
/// what it brings is kept only if the slot has the same age then. Forgetting makes the slot older.
pub(crate) struct Slot<T, C = ()> {
    /// Outlives the readings, for as long as the slot is among the bounded number.
    pub(crate) companion: C,
    kept: ArcSwapOption<T>,
    /// When the database was asked for what is kept, in the time of the groups. Written after it, and read before it: so
    /// it may be too early for what is there, and is never too late.
    asked: AtomicU64,
    state: Mutex<State<T>>,
    /// Held by the one reader that asks the database; the others wait for what it brings.
    reading: tokio::sync::Mutex<()>,
}

struct State<T> {
    age: u64,
    /// How many readings were begun.
    begun: u64,
    /// The last reading that ended.
    ended: Option<Ended<T>>,
}

/// A reading that ended, by its number, when it began, and what it brought.
type Ended<T> = (u64, u64, Result<Arc<T>, Arc<str>>);

/// The reading that this request waited for failed.
#[derive(Debug, thiserror::Error)]
#[error("another request's reading failed: {0}")]
struct ReadingFailed(Arc<str>);

impl<K, T, C> Live<K, T, C>
where
    K: Hash + Eq + Clone,
    T: Content,
    C: Default,
{
    pub(crate) fn new(capacity: Capacity, trust: Arc<Trust>) -> Self {
        let entries = capacity.entries.max(1);
        let bytes = capacity.bytes.max(1);
        let least = bytes.div_ceil(entries as u64);
        let slots = Cache::with(entries, bytes, Weigh, RandomState::default(), DefaultLifecycle::default());
        Self { trust, groups: Groups::new(entries), slots, least }
    }

    /// The slot, if there is one.
    pub(crate) fn slot_if_any<Q>(&self, key: &Q) -> Option<Arc<Slot<T, C>>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.slots.get(key).map(|held| held.slot)
    }

    /// The slot, made where there is none.
    pub(crate) fn slot(&self, key: &K) -> Arc<Slot<T, C>> {
        if let Some(held) = self.slots.get(key) {
            return held.slot;
        }
        let made = self
            .slots
            .get_or_insert_with(key, || Ok::<_, Infallible>(Held { slot: Arc::new(Slot::new()), weight: self.least }));
        match made {
            Ok(held) => held.slot,
        }
    }

    /// Gives the slot up, with its companion.
    pub(crate) fn remove<Q>(&self, key: &Q)
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.slots.remove(key);
    }

    /// What the slot keeps, if that is true.
    pub(crate) fn kept(&self, slot: &Slot<T, C>) -> Option<Arc<T>> {
        let kept = slot.remembered(&self.groups)?;
        self.trust.holds().then_some(kept)
    }

    /// What the slot is for: as it is kept, if that is true, or else as `read` brings it from the database. Where the
    /// database cannot be reached, it is what is kept all the same, if the operator allows that for a while.
    pub(crate) async fn obtain(
        &self,
        key: &K,
        slot: &Arc<Slot<T, C>>,
        read: impl AsyncFnOnce() -> Result<T, StoreError>,
    ) -> Result<Arc<T>, StoreError> {
        if self.trust.is_unreachable()
            && let Some(stale) = self.stale(slot)
        {
            return Ok(stale);
        }
        let reading = slot.read((&self.trust, &self.groups), read);
        let brought = match self.stale(slot) {
            None => reading.await,
            // Who has something to go on with need not wait for a database that hangs.
            Some(stale) => match tokio::time::timeout(PATIENCE, reading).await {
                Ok(brought) => brought,
                Err(_late) => {
                    self.trust.unreachable();
                    return Ok(stale);
                }
            },
        };
        match brought {
            Ok(brought) => {
                self.weigh(key, slot, brought.bytes());
                Ok(brought)
            }
            Err(error @ StoreError::Unavailable(_)) => {
                self.trust.unreachable();
                self.stale(slot).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// See [`Trust::heard_ago`].
    pub(crate) fn heard_ago(&self) -> Option<Duration> {
        self.trust.heard_ago()
    }

    /// Whether what is kept is true.
    pub(crate) fn trusted(&self) -> bool {
        self.trust.holds()
    }

    fn stale(&self, slot: &Slot<T, C>) -> Option<Arc<T>> {
        slot.remembered(&self.groups).filter(|_| self.trust.in_grace())
    }

    /// Counts the slot for what it keeps now, unless its place was taken by another one.
    fn weigh(&self, key: &K, slot: &Arc<Slot<T, C>>, bytes: u64) {
        let weight = bytes.max(self.least);
        // No waiting: who makes a slot of this name at the moment makes another one.
        let _ = self.slots.entry(key, Some(Duration::ZERO), |_, held| {
            if Arc::ptr_eq(&held.slot, slot) {
                held.weight = weight;
            }
            EntryAction::Retain(())
        });
    }

    /// Forgets what was read, of one thing.
    pub(crate) fn forget<Q>(&self, key: &Q)
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        if let Some(held) = self.slots.get(key) {
            held.slot.forget();
        }
    }

    /// Forgets what was read, of a whole group, also by readers that are still on their way and cannot know of which
    /// group it is.
    pub(crate) fn forget_group(&self, group: Group) {
        self.groups.forget(group);
    }

    /// Forgets what was read, of everything.
    pub(crate) fn forget_all(&self) {
        for (_, held) in self.slots.iter() {
            held.slot.forget();
        }
    }

    /// How many slots there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many bytes they count for.
    pub(crate) fn bytes(&self) -> u64 {
        self.slots.weight()
    }
}

impl<K, T, C> fmt::Debug for Live<K, T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live")
    }
}

impl<T, C: Default> Slot<T, C> {
    fn new() -> Self {
        Self {
            companion: C::default(),
            kept: ArcSwapOption::empty(),
            asked: AtomicU64::new(0),
            state: Mutex::new(State { age: 0, begun: 0, ended: None }),
            reading: tokio::sync::Mutex::new(()),
        }
    }
}

impl<T, C> Slot<T, C> {
    /// Reads what the slot is for, one reader at a time. A reader that waited takes what another one brought, if that
    /// one began after it came, or if what is kept is true: so nobody gets what was untrue when it asked, and a database
    /// that does not answer keeps nobody waiting for longer than two readings take.
    async fn read(
        &self,
        (trust, groups): (&Trust, &Groups),
        read: impl AsyncFnOnce() -> Result<T, StoreError>,
    ) -> Result<Arc<T>, StoreError>
    where
        T: Content,
    {
        let seen = self.state.lock().begun;
        let _turn = self.reading.lock().await;
        if let Some(kept) = self.remembered(groups)
            && trust.holds()
        {
            return Ok(kept);
        }
        let (age, number) = {
            let mut state = self.state.lock();
            match &state.ended {
                Some((number, asked, Ok(brought))) if *number > seen && groups.remember(&**brought, *asked) => {
                    return Ok(Arc::clone(brought));
                }
                Some((number, _, Err(why))) if *number > seen => {
                    return Err(StoreError::Unavailable(Box::new(ReadingFailed(Arc::clone(why)))));
                }
                _ => {}
            }
            state.begun += 1;
            (state.age, state.begun)
        };
        let asked = groups.now();
        let brought = read().await.map(Arc::new);
        let mut state = self.state.lock();
        match &brought {
            Ok(brought) if state.age == age => {
                self.kept.store(Some(Arc::clone(brought)));
                self.asked.store(asked, Ordering::SeqCst);
                state.ended = Some((number, asked, Ok(Arc::clone(brought))));
            }
            Ok(_) => {}
            Err(error) => state.ended = Some((number, asked, Err(error.to_string().into()))),
        }
        brought
    }

    /// What it keeps, unless that was forgotten with its group.
    fn remembered(&self, groups: &Groups) -> Option<Arc<T>>
    where
        T: Content,
    {
        let asked = self.asked.load(Ordering::SeqCst);
        self.kept.load_full().filter(|kept| groups.remember(&**kept, asked))
    }

    /// Whether it keeps nothing, true or not.
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.load().is_none()
    }

    /// Forgets what was read, also by a reader that is still on its way.
    fn forget(&self) {
        let mut state = self.state.lock();
        state.age += 1;
        state.ended = None;
        self.kept.store(None);
    }
}

#[cfg(test)]
mod tests;
