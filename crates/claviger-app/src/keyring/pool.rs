//! A pool in memory: its keys sealed, its data key opened.

use std::collections::HashMap;
use std::sync::Arc;

use claviger_core::owner::PoolId;
use claviger_core::pool::{Cursor, Position, Turn};
use claviger_core::{KeyId, KeySecret};
use claviger_seal::{DataKey, KeyPlace, MasterKey};
use claviger_store::{PoolKey, PoolRecord};
use parking_lot::Mutex;

use super::lease::{KeyUsage, ProviderCounts};

/// A pool as it was read, ready to lease from.
#[derive(Debug)]
pub(crate) struct LivePool {
    pub(crate) owner_exists: bool,
    pub(crate) counts: Arc<ProviderCounts>,
    data_key: Option<DataKey>,
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
    fn usages(&self, pool: &PoolId, keys: &[PoolKey]) -> Vec<Arc<KeyUsage>> {
        let mut known = self.uses.lock();
        let usages = keys.iter().map(|key| {
            let usage = known.get(&key.id).cloned();
            usage.unwrap_or_else(|| Arc::new(KeyUsage::new(pool.clone(), key.id.clone())))
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
    /// Makes a pool from its record. Every key is opened once, to know which ones take part; a key whose mark says
    /// something else than was found gets a remark.
    pub(crate) fn new(
        id: &PoolId,
        record: PoolRecord,
        master: &MasterKey,
        memory: &PoolMemory,
        counts: Arc<ProviderCounts>,
    ) -> Self {
        let data_key = record.data_key.as_deref().and_then(|sealed| open_data_key(id, master, sealed));
        let usages = memory.usages(id, &record.keys);
        let mut pool = Self {
            owner_exists: record.owner_exists,
            counts,
            data_key,
            usable: Vec::new(),
            positions: Vec::new(),
            any_unreadable: false,
            remarks: Mutex::default(),
        };
        for (key, used) in record.keys.into_iter().zip(usages) {
            let opens = pool.open(id, &key.id, &key.sealed).is_some();
            if opens == key.unreadable {
                pool.remarks.get_mut().push(Remark {
                    key: key.id.clone(),
                    sealed: key.sealed.clone(),
                    unreadable: !opens,
                });
            }
            match (key.enabled, opens) {
                (true, true) => {
                    pool.positions.push(key.position);
                    pool.usable.push(LiveKey { used, sealed: key.sealed });
                }
                (true, false) => pool.any_unreadable = true,
                (false, _) => {}
            }
        }
        pool
    }

    /// Takes what is still to be noted in the database.
    pub(crate) fn take_remarks(&self) -> Vec<Remark> {
        std::mem::take(&mut *self.remarks.lock())
    }

    /// Takes the next key's turn and opens it.
    pub(crate) fn take(&self, id: &PoolId, cursor: &Cursor) -> Taken {
        // Every key here opened when the pool was read, so the first turn is the last one needed. Should one not open
        // now all the same, its turn passes on, at most once around.
        for _ in 0..self.usable.len() {
            let Turn::Use(index) = cursor.advance(&self.positions) else {
                break;
            };
            let key = &self.usable[index];
            if let Some(secret) = self.open(id, &key.used.key, &key.sealed) {
                return Taken::Key(secret, Arc::clone(&key.used));
            }
        }
        if self.any_unreadable || !self.usable.is_empty() { Taken::Unreadable } else { Taken::NoKey }
    }

    fn open(&self, id: &PoolId, key: &KeyId, sealed: &[u8]) -> Option<KeySecret> {
        let place = KeyPlace { provider: &id.provider, key };
        self.data_key.as_ref()?.open(place, sealed).ok()
    }
}

fn open_data_key(id: &PoolId, master: &MasterKey, sealed: &[u8]) -> Option<DataKey> {
    match master.open_data_key(&id.owner, sealed) {
        Ok(key) => Some(key),
        Err(error) => {
            tracing::error!(owner = %id.owner, error = %error, "the owner's data key does not open: its keys are out of use");
            None
        }
    }
}
