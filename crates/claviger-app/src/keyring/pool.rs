//! A pool in memory: its keys sealed, its data key opened.

use std::collections::HashMap;
use std::sync::Arc;

use claviger_core::owner::PoolId;
use claviger_core::pool::{Cursor, KeyIndex, Position, Turn};
use claviger_core::{KeyId, KeySecret, OrganizationId, Owner};
use claviger_seal::{DataKey, KeyPlace, MasterKey};
use claviger_store::{PoolOwner, PoolRecord};
use parking_lot::Mutex;

use super::lease::{KeyUsage, ProviderCounts};
use super::platform::PlatformKeys;
use crate::live::Weight;

/// A pool as it was read, ready to lease from.
#[derive(Debug)]
pub(crate) struct LivePool {
    owner: Option<PoolOwner>,
    pub(crate) counts: Arc<ProviderCounts>,
    /// Whether there is any key, in whatever state.
    has_keys: bool,
    /// Keys that are on and open, in creation order.
    usable: Vec<LiveKey>,
    /// The places of `usable`, by themselves: what rotation looks at.
    positions: Vec<Position>,
    /// Whether there is a key that is on but does not open.
    any_unreadable: bool,
    /// What is still to be noted in the database; whoever read the pool takes it.
    remarks: Mutex<Vec<Remark>>,
}

#[derive(Debug)]
struct LiveKey {
    used: Arc<KeyUsage>,
    sealed: Vec<u8>,
    /// What it is sealed with: its owner's data key.
    data_key: Arc<DataKey>,
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

/// What outlives a pool's readings: where its rotation stands, and when its keys were used.
#[derive(Debug, Default)]
pub(crate) struct PoolMemory {
    pub(crate) cursor: Cursor,
    uses: Mutex<HashMap<KeyId, Arc<KeyUsage>>>,
}

impl PoolMemory {
    /// When a key was used last, as far as this process knows.
    pub(crate) fn usage(&self, key: &KeyId) -> Option<Arc<KeyUsage>> {
        self.uses.lock().get(key).cloned()
    }

    /// The usages of these keys, the known ones as they are; those of keys that are gone are given up.
    fn usages<'a>(&self, pool: &PoolId, keys: impl Iterator<Item = &'a KeyId>) -> Vec<Arc<KeyUsage>> {
        let mut known = self.uses.lock();
        let usages = keys.map(|key| {
            let usage = known.get(key).cloned();
            usage.unwrap_or_else(|| Arc::new(KeyUsage::new(pool.clone(), key.clone())))
        });
        let usages: Vec<_> = usages.collect();
        *known = usages.iter().map(|usage| (usage.key.clone(), Arc::clone(usage))).collect();
        usages
    }
}

/// A key whose mark in the database does not say what was found.
#[derive(Debug)]
pub(crate) struct Remark {
    pub(crate) key: KeyId,
    pub(crate) sealed: Vec<u8>,
    pub(crate) unreadable: bool,
}

/// What a pool has to give.
pub(crate) enum Taken {
    Key(KeySecret, Arc<KeyUsage>),
    /// No key is on.
    NoKey,
    /// Keys are on, and none opens.
    Unreadable,
}

impl LivePool {
    /// Makes a pool from its record; the operator's keys of the environment come after the platform's stored ones. Every
    /// key is opened once, to know which ones take part; a key whose mark says something else than was found gets a
    /// remark.
    pub(crate) fn new(
        id: &PoolId,
        record: PoolRecord,
        master: &MasterKey,
        memory: &PoolMemory,
        platform: &PlatformKeys,
        counts: Arc<ProviderCounts>,
    ) -> Self {
        let data_key = record.data_key.as_deref().and_then(|sealed| open_data_key(id, master, sealed));
        let given: Vec<_> = match id.owner {
            Owner::Platform => platform.of(&id.provider).collect(),
            Owner::Workspace(_) | Owner::Organization(_) => Vec::new(),
        };
        let ids = record.keys.iter().map(|key| &key.id).chain(given.iter().map(|key| &key.id));
        let mut usages = memory.usages(id, ids).into_iter();
        let mut pool = Self {
            owner: record.owner,
            counts,
            has_keys: !(record.keys.is_empty() && given.is_empty()),
            usable: Vec::new(),
            positions: Vec::new(),
            any_unreadable: false,
            remarks: Mutex::default(),
        };
        for (key, used) in record.keys.into_iter().zip(usages.by_ref()) {
            let opener = data_key.as_ref().filter(|data_key| open(data_key, id, &key.id, &key.sealed).is_some());
            if opener.is_some() == key.unreadable {
                pool.remarks.get_mut().push(Remark {
                    key: key.id.clone(),
                    sealed: key.sealed.clone(),
                    unreadable: opener.is_none(),
                });
            }
            match (key.enabled, opener) {
                (true, Some(opener)) => pool.push(key.position, used, key.sealed, opener),
                (true, None) => pool.any_unreadable = true,
                (false, _) => {}
            }
        }
        for (key, used) in given.into_iter().zip(usages) {
            pool.push(key.position, used, key.sealed.clone(), platform.data_key());
        }
        pool
    }

    fn push(&mut self, position: Position, used: Arc<KeyUsage>, sealed: Vec<u8>, data_key: &Arc<DataKey>) {
        self.positions.push(position);
        self.usable.push(LiveKey { used, sealed, data_key: Arc::clone(data_key) });
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

    /// Whether this is a workspace's pool, and the workspace belongs to this organization.
    pub(crate) fn is_under(&self, organization: &OrganizationId) -> bool {
        matches!(&self.owner, Some(PoolOwner::Workspace(Some(of))) if of == organization)
    }

    /// The keys that take part, by their places in creation order.
    pub(crate) fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// Takes what is still to be noted in the database.
    pub(crate) fn take_remarks(&self) -> Vec<Remark> {
        std::mem::take(&mut *self.remarks.lock())
    }

    /// Takes the next key's turn and opens it. `shared` is the turn in the order that all nodes share, if there is one.
    pub(crate) fn take(&self, id: &PoolId, cursor: &Cursor, shared: Option<Position>) -> Taken {
        let shared = shared.and_then(|position| self.positions.binary_search(&position).ok());
        if let Some(index) = shared {
            cursor.follow(self.positions[index]);
            if let Some(taken) = self.open(id, index) {
                return taken;
            }
        }
        // Every key here opened when the pool was read, so the first turn is the last one needed. Should one not open
        // now all the same, its turn passes on, at most once around.
        for _ in 0..self.usable.len() {
            let Turn::Use(index) = cursor.advance(&self.positions) else {
                break;
            };
            if let Some(taken) = self.open(id, index) {
                return taken;
            }
        }
        if self.any_unreadable || !self.usable.is_empty() { Taken::Unreadable } else { Taken::NoKey }
    }

    fn open(&self, id: &PoolId, index: KeyIndex) -> Option<Taken> {
        let key = &self.usable[index];
        let secret = open(&key.data_key, id, &key.used.key, &key.sealed)?;
        Some(Taken::Key(secret, Arc::clone(&key.used)))
    }
}

impl Weight for LivePool {
    /// What was measured of pools on 64 bits: the slot with its cursor and the cache's own entry, the owner's opened
    /// data key, and for each key its sealed form and its usage.
    fn bytes(&self) -> u64 {
        let keys: usize = self.usable.iter().map(|key| key.sealed.len() + 450).sum();
        let data_key = if self.usable.is_empty() { 0 } else { 1_500 };
        (keys + data_key + 900) as u64
    }
}

fn open(data_key: &DataKey, id: &PoolId, key: &KeyId, sealed: &[u8]) -> Option<KeySecret> {
    data_key.open(KeyPlace { provider: &id.provider, key }, sealed).ok()
}

fn open_data_key(id: &PoolId, master: &MasterKey, sealed: &[u8]) -> Option<Arc<DataKey>> {
    match master.open_data_key(&id.owner, sealed) {
        Ok(key) => Some(Arc::new(key)),
        Err(error) => {
            tracing::error!(owner = %id.owner, error = %error, "the owner's data key does not open: its keys are out of use");
            None
        }
    }
}
