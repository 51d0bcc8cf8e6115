//! What adding keys would come to, without adding any.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;

use claviger_core::Owner;
use claviger_core::owner::PoolId;
use claviger_core::pool::POOL_CAPACITY;
use claviger_seal::DataKey;
use foldhash::quality::RandomState;

use crate::access::{ManageKeys, Permit};
use crate::import::Fate;
use crate::keys::{Keys, PutKey, PutKeyError};

/// The keys and owners that there would be by now, beside those that there are. A file may have millions of them in any
/// order, so that they are known by hashes alone: that two of a million are taken for one is less likely than one in ten
/// million, and would be a wrong count.
#[derive(Debug, Default)]
pub(crate) struct Rehearsal {
    hash: RandomState,
    /// Fingerprints them all. Nothing is ever sealed with it.
    data_key: Option<DataKey>,
    /// By pool and fingerprint.
    keys: HashSet<u64>,
    /// How many a pool would have got.
    pools: HashMap<u64, usize>,
    owners: HashSet<u64>,
}

impl Rehearsal {
    /// Judges a key as [`Keys::add`] would after all those before it, in the same order. That its owner is not there yet
    /// is no reason to refuse it.
    pub(crate) async fn add(
        &mut self,
        keys: &Keys,
        permit: &Permit<ManageKeys>,
        put: &PutKey,
    ) -> Result<Fate, PutKeyError> {
        let id = PoolId { owner: permit.on().clone(), provider: put.provider.clone() };
        let record = keys.store.pool(&id).await?;
        if let Some(stored) = keys.stored_data_key(&id, &record)? {
            let fingerprint = stored.fingerprint(&put.provider, &put.secret);
            if record.keys.iter().any(|key| key.fingerprint == *fingerprint.as_bytes()) {
                return Ok(Fate::AlreadyThere);
            }
        }
        let fingerprint = self.fingerprint(keys, put)?;
        let key = self.hash.hash_one((&id, fingerprint));
        if self.keys.contains(&key) {
            return Ok(Fate::AlreadyThere);
        }
        let mut there = record.keys.len();
        if id.owner == Owner::Platform {
            keys.refuse_given(put)?;
            // Keys of the settings take places, too.
            there += keys.keyring.platform.of(&id.provider).count();
        }
        let added = self.pools.entry(self.hash.hash_one(&id)).or_default();
        if there + *added >= POOL_CAPACITY {
            return Ok(Fate::OverCap);
        }
        *added += 1;
        self.keys.insert(key);
        Ok(Fate::Taken)
    }

    fn fingerprint(&mut self, keys: &Keys, put: &PutKey) -> Result<[u8; 32], PutKeyError> {
        let data_key = match &mut self.data_key {
            Some(data_key) => data_key,
            none => none.insert(keys.masters.wanted().new_data_key(&Owner::Platform, 1)?.0),
        };
        Ok(*data_key.fingerprint(&put.provider, &put.secret).as_bytes())
    }

    /// Whether this owner would have been made by now. From now on it would.
    pub(crate) fn has_made(&mut self, owner: &Owner) -> bool {
        !self.owners.insert(self.hash.hash_one(owner))
    }

    /// Forgets what would be of pools that no further keys come to.
    pub(crate) fn forget(&mut self) {
        self.keys.clear();
        self.pools.clear();
    }
}
