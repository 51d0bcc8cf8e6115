//! Keys: listed, added, replaced, changed, deleted.
//!
//! Whoever calls has authorized (the permit) and validated (the types). What is left of the order is kept here: find,
//! then the cap, and only then is anything sealed.

use std::sync::Arc;

use claviger_core::owner::PoolId;
use claviger_core::pool::POOL_CAPACITY;
use claviger_core::{Clock, KeyId, KeyName, KeySecret, Owner, ProviderId};
use claviger_seal::{DataKey, Fingerprint, KeyPlace, MasterKey, OpenError, SealError};
use claviger_store::{
    AddKeyError as StoreAddKeyError, Change, ChangeKeyError as StoreChangeKeyError, ChangeSink, DataKeyUse, KeyChange,
    KeyRecord, KeyReplacement, NewKey, PoolRecord, ReplaceKeyError as StoreReplaceKeyError, Store, StoreError,
};

use crate::access::{ListKeys, ManageKeys, Permit};
use crate::feed::Feed;
use crate::keyring::Keyring;

/// How often an add or a replacement begins again because the owner's data key changed under it. It changes once in an
/// owner's life, so a second try is the last one needed.
const TRIES: usize = 3;

/// Keys could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListKeysError {
    /// The owner does not exist.
    #[error("the workspace does not exist")]
    NoOwner,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key could not be added or replaced.
#[derive(Debug, thiserror::Error)]
pub enum PutKeyError {
    /// The owner does not exist.
    #[error("the workspace does not exist")]
    NoOwner,
    /// The pool has no such key.
    #[error("there is no such key")]
    NoKey,
    /// The pool has ten keys.
    #[error("a provider can have at most {POOL_CAPACITY} keys")]
    LimitReached,
    /// The pool has this secret.
    #[error("this key is stored already")]
    Duplicate(KeyId),
    /// The owner's data key does not open, so nothing can be sealed for this owner.
    #[error("the owner's data key does not open")]
    Unreadable(#[source] OpenError),
    /// Sealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key could not be changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ChangeKeyError {
    /// The owner does not exist.
    #[error("the workspace does not exist")]
    NoOwner,
    /// There is no such key.
    #[error("there is no such key")]
    NoKey,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key to put into a pool.
#[derive(Debug)]
pub struct PutKey {
    /// For which provider.
    pub provider: ProviderId,
    /// The secret.
    pub secret: KeySecret,
    /// The name: outer `None` leaves it, inner `None` is no name.
    pub name: Option<Option<KeyName>>,
}

/// The use cases around keys.
#[derive(Debug)]
pub struct Keys {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) feed: Arc<Feed>,
}

impl Keys {
    /// An owner's keys, by provider and creation order. Opens nothing.
    pub async fn list(&self, permit: &Permit<ListKeys>) -> Result<Vec<KeyRecord>, ListKeysError> {
        let owner = permit.on();
        let mut keys = self.store.keys(owner).await?;
        if keys.is_empty() && !self.exists(owner).await? {
            return Err(ListKeysError::NoOwner);
        }
        for key in &mut keys {
            let pool = PoolId { owner: owner.clone(), provider: key.provider.clone() };
            // The database hears of uses every few seconds only.
            key.last_used_at = key.last_used_at.max(self.keyring.last_used_at(&pool, &key.id));
        }
        Ok(keys)
    }

    /// Adds a key at the end of its pool.
    pub async fn add(&self, permit: &Permit<ManageKeys>, put: PutKey) -> Result<KeyRecord, PutKeyError> {
        let pool = PoolId { owner: permit.on().clone(), provider: put.provider.clone() };
        settle(|| self.try_add(&pool, permit.actor(), &put)).await
    }

    async fn try_add(&self, pool: &PoolId, actor: Option<&str>, put: &PutKey) -> Result<KeyRecord, AddFailure> {
        let record = self.store.pool(pool).await.map_err(PutKeyError::Store)?;
        if !record.owner_exists {
            return Err(PutKeyError::NoOwner.into());
        }
        let stored = self.stored_data_key(pool, &record)?;
        let fingerprint = stored.as_ref().map(|key| key.fingerprint(&put.provider, &put.secret));
        if let Some(fingerprint) = fingerprint {
            refuse_duplicate(&record, fingerprint, None)?;
        }
        if record.keys.len() >= POOL_CAPACITY {
            return Err(PutKeyError::LimitReached.into());
        }

        let (data_key, data_key_use) = if let (Some(data_key), Some(sealed)) = (stored, record.data_key) {
            (data_key, DataKeyUse::Stored(sealed))
        } else {
            let (data_key, sealed) = self.master.new_data_key(&pool.owner, 1).map_err(PutKeyError::Seal)?;
            (data_key, DataKeyUse::New(sealed))
        };
        let now = self.clock.now();
        let mut random = [0; 10];
        claviger_seal::fill_random(&mut random).map_err(PutKeyError::Seal)?;
        let id = KeyId::new(now, random);
        let place = KeyPlace { provider: &put.provider, key: &id };
        let key = NewKey {
            sealed: data_key.seal(place, &put.secret).map_err(PutKeyError::Seal)?,
            fingerprint: *data_key.fingerprint(&put.provider, &put.secret).as_bytes(),
            masked: put.secret.mask(),
            name: put.name.clone().flatten(),
            created_by: actor.map(str::to_owned),
            at: now,
            data_key: data_key_use,
            id,
        };
        let added = self.store.add_key(pool, &key).await.map_err(AddFailure::from)?;
        self.feed.changed(&Change::Pool(pool.clone()));
        Ok(added)
    }

    /// Replaces a key's secret, and its name where one is given. Its place in the rotation stays.
    pub async fn replace(
        &self,
        permit: &Permit<ManageKeys>,
        id: &KeyId,
        put: PutKey,
    ) -> Result<KeyRecord, PutKeyError> {
        let pool = PoolId { owner: permit.on().clone(), provider: put.provider.clone() };
        settle(|| self.try_replace(&pool, id, &put)).await
    }

    async fn try_replace(&self, pool: &PoolId, id: &KeyId, put: &PutKey) -> Result<KeyRecord, AddFailure> {
        let record = self.store.pool(pool).await.map_err(PutKeyError::Store)?;
        if !record.owner_exists {
            return Err(PutKeyError::NoOwner.into());
        }
        if !record.keys.iter().any(|key| key.id == *id) {
            return Err(PutKeyError::NoKey.into());
        }
        let data_key = self.stored_data_key(pool, &record)?;
        let (Some(data_key), Some(sealed_data_key)) = (data_key, record.data_key.clone()) else {
            // Only a hand in the database can have taken it.
            let error = StoreError::Unexpected(format!("{} has keys and no data key", pool.owner));
            return Err(PutKeyError::Store(error).into());
        };
        let fingerprint = data_key.fingerprint(&put.provider, &put.secret);
        refuse_duplicate(&record, fingerprint, Some(id))?;
        let place = KeyPlace { provider: &put.provider, key: id };
        let replacement = KeyReplacement {
            name: put.name.clone(),
            masked: put.secret.mask(),
            sealed: data_key.seal(place, &put.secret).map_err(PutKeyError::Seal)?,
            fingerprint: *fingerprint.as_bytes(),
            at: self.clock.now(),
            data_key: sealed_data_key,
        };
        let replaced = self.store.replace_key(pool, id, &replacement).await.map_err(AddFailure::from)?;
        self.feed.changed(&Change::Pool(pool.clone()));
        Ok(replaced)
    }

    /// Renames a key, or switches it on or off.
    pub async fn change(
        &self,
        permit: &Permit<ManageKeys>,
        id: &KeyId,
        name: Option<Option<KeyName>>,
        enabled: Option<bool>,
    ) -> Result<KeyRecord, ChangeKeyError> {
        let owner = permit.on();
        let change = KeyChange { name, enabled, at: self.clock.now() };
        match self.store.change_key(owner, id, &change).await {
            Ok(key) => {
                self.feed.changed(&Change::Pool(PoolId { owner: owner.clone(), provider: key.provider.clone() }));
                Ok(key)
            }
            Err(StoreChangeKeyError::NoKey) => Err(self.nothing_there(owner).await),
            Err(StoreChangeKeyError::Store(error)) => Err(error.into()),
        }
    }

    /// Deletes one key.
    pub async fn delete(
        &self,
        permit: &Permit<ManageKeys>,
        provider: &ProviderId,
        id: &KeyId,
    ) -> Result<(), ChangeKeyError> {
        let pool = PoolId { owner: permit.on().clone(), provider: provider.clone() };
        let deleted = self.store.delete_key(&pool, id).await?;
        self.after_delete(pool, deleted).await
    }

    /// Deletes every key of a provider.
    pub async fn delete_all(&self, permit: &Permit<ManageKeys>, provider: &ProviderId) -> Result<(), ChangeKeyError> {
        let pool = PoolId { owner: permit.on().clone(), provider: provider.clone() };
        let deleted = self.store.delete_keys(&pool).await? > 0;
        self.after_delete(pool, deleted).await
    }

    async fn after_delete(&self, pool: PoolId, deleted: bool) -> Result<(), ChangeKeyError> {
        if !deleted {
            return Err(self.nothing_there(&pool.owner).await);
        }
        self.feed.changed(&Change::Pool(pool));
        Ok(())
    }

    async fn nothing_there(&self, owner: &Owner) -> ChangeKeyError {
        match self.exists(owner).await {
            Ok(true) => ChangeKeyError::NoKey,
            Ok(false) => ChangeKeyError::NoOwner,
            Err(error) => error.into(),
        }
    }

    async fn exists(&self, owner: &Owner) -> Result<bool, StoreError> {
        match owner {
            Owner::Workspace(id) => Ok(self.store.workspace(id).await?.is_some()),
            Owner::Organization(_) => Ok(false),
            Owner::Platform => Ok(true),
        }
    }

    fn stored_data_key(&self, pool: &PoolId, record: &PoolRecord) -> Result<Option<DataKey>, PutKeyError> {
        let sealed = record.data_key.as_deref();
        let opened = sealed.map(|sealed| self.master.open_data_key(&pool.owner, sealed)).transpose();
        opened.map_err(PutKeyError::Unreadable)
    }
}

/// Every add and replacement that is not done.
enum AddFailure {
    /// Begin again.
    DataKeyChanged,
    Put(PutKeyError),
}

impl From<PutKeyError> for AddFailure {
    fn from(error: PutKeyError) -> Self {
        Self::Put(error)
    }
}

impl From<StoreAddKeyError> for AddFailure {
    fn from(error: StoreAddKeyError) -> Self {
        match error {
            StoreAddKeyError::PoolFull => Self::Put(PutKeyError::LimitReached),
            StoreAddKeyError::Duplicate(id) => Self::Put(PutKeyError::Duplicate(id)),
            StoreAddKeyError::NoOwner => Self::Put(PutKeyError::NoOwner),
            StoreAddKeyError::DataKeyChanged => Self::DataKeyChanged,
            StoreAddKeyError::Store(error) => Self::Put(error.into()),
        }
    }
}

impl From<StoreReplaceKeyError> for AddFailure {
    fn from(error: StoreReplaceKeyError) -> Self {
        match error {
            StoreReplaceKeyError::NoKey => Self::Put(PutKeyError::NoKey),
            StoreReplaceKeyError::Duplicate(id) => Self::Put(PutKeyError::Duplicate(id)),
            StoreReplaceKeyError::DataKeyChanged => Self::DataKeyChanged,
            StoreReplaceKeyError::Store(error) => Self::Put(error.into()),
        }
    }
}

fn refuse_duplicate(record: &PoolRecord, fingerprint: Fingerprint, besides: Option<&KeyId>) -> Result<(), PutKeyError> {
    let mut others = record.keys.iter().filter(|key| Some(&key.id) != besides);
    match others.find(|key| key.fingerprint == *fingerprint.as_bytes()) {
        Some(key) => Err(PutKeyError::Duplicate(key.id.clone())),
        None => Ok(()),
    }
}

/// Tries again where the owner's data key changed meanwhile.
async fn settle<F>(put: impl Fn() -> F) -> Result<KeyRecord, PutKeyError>
where
    F: Future<Output = Result<KeyRecord, AddFailure>>,
{
    for _ in 0..TRIES {
        match put().await {
            Err(AddFailure::DataKeyChanged) => {}
            Err(AddFailure::Put(error)) => return Err(error),
            Ok(key) => return Ok(key),
        }
    }
    Err(StoreError::Unexpected("the owner's data key changed at every try".to_owned()).into())
}
