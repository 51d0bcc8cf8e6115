//! A pool in memory: its keys sealed, its data key opened.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use claviger_core::health::Availability;
use claviger_core::owner::PoolId;
use claviger_core::pool::{Cursor, Position};
use claviger_core::{KeyId, KeySecret, OrganizationId, Owner, Timestamp};
use claviger_seal::{DataKey, KeyPlace, MasterKeys, OpenError};
use claviger_store::{PoolOwner, PoolRecord};
use parking_lot::Mutex;

use super::desk::Desk;
use super::known::KnownKey;
use super::lease::Tried;
use super::platform::PlatformKeys;
use crate::live::{Content, Group};

/// A pool as it was read, ready to lease from.
#[derive(Debug)]
pub(crate) struct LivePool {
    owner: Option<PoolOwner>,
    /// That of a workspace's organization.
    group: Option<Group>,
    pub(crate) desk: Arc<Desk>,
    /// Whether there is any key, in whatever state.
    has_keys: bool,
    /// Keys that are on and open, in creation order.
    usable: Vec<Arc<LiveKey>>,
    /// The places of `usable`, by themselves: what rotation looks at.
    positions: Vec<Position>,
    /// Keys that take no part, in creation order.
    others: Vec<IdleKey>,
    /// What is still to be noted in the database; whoever read the pool takes it.
    remarks: Mutex<Vec<Remark>>,
}

/// A key that is on and opens.
#[derive(Debug)]
pub(crate) struct LiveKey {
    pub(crate) known: Arc<KnownKey>,
    pub(crate) sealed: Vec<u8>,
    /// What it is sealed with: its owner's data key.
    data_key: Arc<DataKey>,
    /// Whether the database has it: the operator's keys of the settings are in none.
    pub(crate) is_stored: bool,
}

/// A key that takes no part.
#[derive(Debug)]
pub(crate) struct IdleKey {
    pub(crate) id: KeyId,
    pub(crate) position: Position,
    pub(crate) why: Idle,
}

/// Why a key takes no part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Idle {
    /// It is switched off.
    Off,
    /// It does not open.
    Unreadable,
}

/// Whose keys serve where this pool is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Server {
    /// This pool: it has keys, in whatever state.
    This,
    /// The organization's, if any: a workspace without keys inherits.
    Organization(OrganizationId),
    /// The operator's, if the operator lends them.
    Platform,
    /// Nobody's: the workspace does not exist.
    NoWorkspace,
}

/// What outlives a pool's readings: where its rotation stands, and what is known of its keys.
#[derive(Debug, Default)]
pub(crate) struct PoolMemory {
    pub(crate) cursor: Cursor,
    keys: Mutex<HashMap<KeyId, Arc<KnownKey>>>,
    /// Whether any key is other than well, or may be. A pool of which all are well is not looked through.
    remarkable: Arc<AtomicBool>,
}

impl PoolMemory {
    /// What is known of a key.
    pub(crate) fn key(&self, id: &KeyId) -> Option<Arc<KnownKey>> {
        self.keys.lock().get(id).cloned()
    }

    /// What is known of these keys, what was known already as it is; keys that are gone are given up.
    fn known<'a>(
        &self,
        pool: &PoolId,
        probed: bool,
        keys: impl Iterator<Item = (&'a KeyId, Position, bool)>,
    ) -> Vec<Arc<KnownKey>> {
        let mut all = self.keys.lock();
        let keys = keys.map(|(id, position, is_stored)| {
            let known = all.get(id).filter(|known| known.position == position).cloned();
            // What is in no database is found by no probe.
            let probed = probed && is_stored;
            let new = || KnownKey::new(pool.clone(), id.clone(), position, probed, Arc::clone(&self.remarkable));
            known.unwrap_or_else(|| Arc::new(new()))
        });
        let keys: Vec<_> = keys.collect();
        *all = keys.iter().map(|known| (known.id.clone(), Arc::clone(known))).collect();
        keys
    }
}

/// A key whose mark in the database does not say what was found.
#[derive(Debug)]
pub(crate) struct Remark {
    pub(crate) key: KeyId,
    pub(crate) sealed: Vec<u8>,
    pub(crate) unreadable: bool,
}

/// What a request asks of a pool.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The model, where limits are by model.
    pub(crate) model: Option<&'a str>,
    /// The keys that it has tried.
    pub(crate) tried: &'a Tried,
    pub(crate) now: Timestamp,
}

/// Why a pool has nothing to give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Nothing {
    /// No key is on.
    NoKey,
    /// Keys are on, and none opens.
    Unreadable,
    /// All keys rest.
    Resting {
        /// When the first one is back.
        until: Timestamp,
    },
    /// The request has tried every key that does not rest.
    Tried,
}

impl LivePool {
    /// Makes a pool from its record; the operator's keys of the environment come after the platform's stored ones. Every
    /// key is opened once, to know which ones take part; a key whose mark says something else than was found gets a
    /// remark.
    pub(crate) fn new(
        id: &PoolId,
        record: PoolRecord,
        master_keys: &MasterKeys,
        memory: &PoolMemory,
        platform: &PlatformKeys,
        desk: Arc<Desk>,
        read_at: Timestamp,
    ) -> Self {
        let data_key = record.data_key.as_deref().map(|sealed| open_data_key(id, master_keys, sealed));
        // Other nodes may have the master key that this one has not: it says nothing of the keys.
        let is_ours_to_say = !matches!(data_key, Some(Err(OpenError::OtherKey)));
        let data_key = data_key.and_then(Result::ok);
        let given: Vec<_> = match id.owner {
            Owner::Platform => platform.of(&id.provider).collect(),
            Owner::Workspace(_) | Owner::Organization(_) => Vec::new(),
        };
        let stored = record.keys.iter().map(|key| (&key.id, key.position, true));
        let keys = stored.chain(given.iter().map(|key| (&key.id, key.position, false)));
        let mut known = memory.known(id, desk.probed, keys).into_iter();
        let now = desk.shared.clock.now();
        let group = match &record.owner {
            Some(PoolOwner::Workspace(Some(organization))) => Some(Group::of(organization)),
            Some(PoolOwner::Workspace(None) | PoolOwner::Organization { .. } | PoolOwner::Platform) | None => None,
        };
        let mut pool = Self {
            owner: record.owner,
            group,
            desk,
            has_keys: !(record.keys.is_empty() && given.is_empty()),
            usable: Vec::new(),
            positions: Vec::new(),
            others: Vec::new(),
            remarks: Mutex::default(),
        };
        for (key, known) in record.keys.into_iter().zip(known.by_ref()) {
            if known.read(key.fingerprint, key.ailment, key.domain, (read_at, now)) {
                // By another process, which may be none that shares turns.
                pool.desk.shared.replaced(&known);
            }
            let opener = data_key.as_ref().filter(|data_key| open(data_key, id, &key.id, &key.sealed).is_some());
            if opener.is_some() == key.unreadable && is_ours_to_say {
                pool.remarks.get_mut().push(Remark {
                    key: key.id.clone(),
                    sealed: key.sealed.clone(),
                    unreadable: opener.is_none(),
                });
            }
            match (key.enabled, opener) {
                (true, Some(opener)) => pool.push(known, key.sealed, opener, true),
                (true, None) => pool.others.push(IdleKey { id: key.id, position: key.position, why: Idle::Unreadable }),
                (false, _) => pool.others.push(IdleKey { id: key.id, position: key.position, why: Idle::Off }),
            }
        }
        for (key, known) in given.into_iter().zip(known) {
            pool.push(known, key.sealed.clone(), platform.data_key(), false);
        }
        pool
    }

    fn push(&mut self, known: Arc<KnownKey>, sealed: Vec<u8>, data_key: &Arc<DataKey>, is_stored: bool) {
        self.positions.push(known.position);
        let data_key = Arc::clone(data_key);
        self.usable.push(Arc::new(LiveKey { known, sealed, data_key, is_stored }));
    }

    /// Whose keys serve where this pool is asked. A pool that has keys is exclusive, whatever their state.
    pub(crate) fn server(&self) -> Server {
        match &self.owner {
            Some(PoolOwner::Organization { keys_enabled: false }) => Server::Platform,
            Some(_) if self.has_keys => Server::This,
            Some(PoolOwner::Workspace(Some(organization))) => Server::Organization(organization.clone()),
            Some(PoolOwner::Workspace(None) | PoolOwner::Organization { .. } | PoolOwner::Platform) => Server::Platform,
            None => Server::NoWorkspace,
        }
    }

    /// The keys that take part, by their places in creation order.
    pub(crate) fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// The keys that take part.
    pub(crate) fn usable(&self) -> &[Arc<LiveKey>] {
        &self.usable
    }

    /// The keys that take no part.
    pub(crate) fn others(&self) -> &[IdleKey] {
        &self.others
    }

    /// The key at this place, if it takes part.
    pub(crate) fn key(&self, position: Position) -> Option<&Arc<LiveKey>> {
        self.positions.binary_search(&position).ok().map(|index| &self.usable[index])
    }

    /// Takes what is still to be noted in the database.
    pub(crate) fn take_remarks(&self) -> Vec<Remark> {
        std::mem::take(&mut *self.remarks.lock())
    }

    /// The keys that the request may have, by their places in creation order; never none.
    ///
    /// After a try they are the ones of other accounts, as far as there are any: keys of one account share its limits.
    pub(crate) fn free(&self, memory: &PoolMemory, asked: Asked<'_>) -> Result<Cow<'_, [Position]>, Nothing> {
        if self.usable.is_empty() {
            let unreadable = self.others.iter().any(|key| key.why == Idle::Unreadable);
            return Err(if unreadable { Nothing::Unreadable } else { Nothing::NoKey });
        }
        if asked.tried.count() == 0 && !memory.remarkable.load(Ordering::SeqCst) {
            return Ok(Cow::Borrowed(&self.positions));
        }
        // Lowered before the keys are looked at: who raises it meanwhile is not missed.
        memory.remarkable.store(false, Ordering::SeqCst);
        let (mut free, mut elsewhere, mut back) = (Vec::new(), Vec::new(), None);
        for key in &self.usable {
            let known = &key.known;
            if known.is_remarkable() {
                memory.remarkable.store(true, Ordering::SeqCst);
            }
            if asked.tried.has(&known.id) {
                continue;
            }
            match known.availability(asked.model, asked.now) {
                Availability::Resting { until } => back = Some(back.map_or(until, |back: Timestamp| back.min(until))),
                Availability::Now | Availability::Trial => {
                    free.push(known.position);
                    if !known.domain().is_some_and(|domain| asked.tried.has_domain(&domain)) {
                        elsewhere.push(known.position);
                    }
                }
            }
        }
        match (back, elsewhere.is_empty(), free.is_empty()) {
            (_, false, _) => Ok(Cow::Owned(elsewhere)),
            (_, true, false) => Ok(Cow::Owned(free)),
            (Some(until), true, true) if asked.tried.count() == 0 => Err(Nothing::Resting { until }),
            (_, true, true) => Err(Nothing::Tried),
        }
    }
}

impl LivePool {
    /// When the first of the keys is back that rest as far as this process knows.
    pub(crate) fn back(&self, asked: Asked<'_>) -> Option<Timestamp> {
        let resting = self.usable.iter().filter_map(|key| match key.known.availability(asked.model, asked.now) {
            Availability::Resting { until } => Some(until),
            Availability::Now | Availability::Trial => None,
        });
        resting.min()
    }
}

impl LiveKey {
    /// Opens it. It opened when the pool was read, so that this fails only where memory is broken.
    pub(crate) fn open(&self) -> Option<KeySecret> {
        open(&self.data_key, &self.known.pool, &self.known.id, &self.sealed)
    }
}

impl Content for LivePool {
    /// What was measured of pools on 64 bits: the slot with its cursor and the cache's own entry, the owner's opened
    /// data key, and for each key its sealed form and what is known of it.
    fn bytes(&self) -> u64 {
        let keys: usize = self.usable.iter().map(|key| key.sealed.len() + 900).sum();
        let data_key = if self.usable.is_empty() { 0 } else { 1_500 };
        (keys + data_key + 900 + self.others.len() * 64) as u64
    }

    fn group(&self) -> Option<Group> {
        self.group
    }
}

fn open(data_key: &DataKey, id: &PoolId, key: &KeyId, sealed: &[u8]) -> Option<KeySecret> {
    data_key.open(KeyPlace { provider: &id.provider, key }, sealed).ok()
}

fn open_data_key(id: &PoolId, master_keys: &MasterKeys, sealed: &[u8]) -> Result<Arc<DataKey>, OpenError> {
    let opened = master_keys.open_data_key(&id.owner, sealed);
    if let Err(error) = opened {
        tracing::error!(owner = %id.owner, %error, "the owner's data key does not open: its keys are out of use");
    }
    opened.map(Arc::new)
}
