//! What adding keys would come to, without adding any.

use std::collections::HashMap;

use claviger_core::Owner;
use claviger_core::owner::PoolId;
use claviger_core::pool::POOL_CAPACITY;
use claviger_seal::DataKey;

use crate::access::{ManageKeys, Permit};
use crate::import::Fate;
use crate::keys::{Keys, PutKey, PutKeyError};

/// Pools as they would be.
#[derive(Debug, Default)]
pub(crate) struct Rehearsal {
    pools: HashMap<PoolId, Imagined>,
}

/// A pool with the keys that it has and those that it would have by now.
#[derive(Debug)]
struct Imagined {
    /// The owner's, or one that nobody will ever use where the owner has none yet.
    data_key: DataKey,
    keys: Vec<[u8; 32]>,
    /// Keys of the settings, which take places, too.
    given: usize,
}

impl Rehearsal {
    /// Judges a key as [`Keys::add`] would after all those before it. That its owner is not there yet is no reason to
    /// refuse it.
    pub(crate) async fn add(
        &mut self,
        keys: &Keys,
        permit: &Permit<ManageKeys>,
        put: &PutKey,
    ) -> Result<Fate, PutKeyError> {
        let id = PoolId { owner: permit.on().clone(), provider: put.provider.clone() };
        if !self.pools.contains_key(&id) {
            self.pools.insert(id.clone(), Imagined::of(keys, &id).await?);
        }
        // It was just put there.
        self.pools.get_mut(&id).map_or(Ok(Fate::Taken), |pool| pool.add(keys, &id.owner, put))
    }

    /// Forgets what would be of pools that no further keys come to.
    pub(crate) fn forget(&mut self) {
        self.pools.clear();
    }
}

impl Imagined {
    async fn of(keys: &Keys, id: &PoolId) -> Result<Self, PutKeyError> {
        let record = keys.store.pool(id).await?;
        let data_key = match keys.stored_data_key(id, &record)? {
            Some(data_key) => data_key,
            None => keys.masters.wanted().new_data_key(&id.owner, 1)?.0,
        };
        let given = if id.owner == Owner::Platform { keys.keyring.platform.of(&id.provider).count() } else { 0 };
        Ok(Self { data_key, keys: record.keys.iter().map(|key| key.fingerprint).collect(), given })
    }

    /// In the same order as where a key is added.
    fn add(&mut self, keys: &Keys, owner: &Owner, put: &PutKey) -> Result<Fate, PutKeyError> {
        let fingerprint = *self.data_key.fingerprint(&put.provider, &put.secret).as_bytes();
        if self.keys.contains(&fingerprint) {
            return Ok(Fate::AlreadyThere);
        }
        if *owner == Owner::Platform {
            keys.refuse_given(put)?;
        }
        if self.keys.len() + self.given >= POOL_CAPACITY {
            return Ok(Fate::OverCap);
        }
        self.keys.push(fingerprint);
        Ok(Fate::Taken)
    }
}
