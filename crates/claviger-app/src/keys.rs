//! Keys: listed, added, replaced, changed, deleted.
//!
//! Whoever calls has authorized (the permit) and validated (the types). What is left of the order is kept here: find,
//! then the cap, and only then is anything sealed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use claviger_core::health::Event;
use claviger_core::owner::PoolId;
use claviger_core::pool::POOL_CAPACITY;
use claviger_core::{Clock, KeyId, KeyName, KeySecret, KeyStatus, Owner, ProviderId, Timestamp, actor};
use claviger_seal::{DataKey, Fingerprint, KeyPlace, MasterKeys, OpenError, SealError};
use claviger_store::{
    AddKeyError as StoreAddKeyError, Change, ChangeKeyError as StoreChangeKeyError, ChangeSink, DataKeyUse, KeyChange,
    KeyRecord, KeyReplacement, NewKey, PoolRecord, ReplaceKeyError as StoreReplaceKeyError, Store, StoreError,
    UseCounts,
};
use tokio::sync::OnceCell;

use crate::access::{ListKeys, ManageKeys, Permit};
use crate::feed::Feed;
use crate::keyring::{Fitness, GivenKey, Keyring, Standing, TestResult, Tested};
use crate::master_keys::{InUseError, in_use};
use crate::owners;

/// How often an add or a replacement begins again because the owner's data key changed under it. It changes when it
/// comes, when it is sealed anew, and when there is a new one: hardly ever, and hardly ever twice in a row.
const TRIES: usize = 5;

/// Keys could not be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListKeysError {
    /// The owner does not exist.
    #[error("{0} does not exist")]
    NoOwner(Owner),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key could not be added or replaced.
#[derive(Debug, thiserror::Error)]
pub enum PutKeyError {
    /// The owner does not exist.
    #[error("{0} does not exist")]
    NoOwner(Owner),
    /// The pool has no such key.
    #[error("there is no such key")]
    NoKey,
    /// The pool has ten keys.
    #[error("a provider can have at most {POOL_CAPACITY} keys")]
    LimitReached,
    /// The pool has this secret.
    #[error("this key is stored already")]
    Duplicate(KeyId),
    /// The provider refuses the key.
    #[error("{0}")]
    Rejected(String),
    /// The key is given by a setting, and can be changed only there.
    #[error("this key is given by the setting {0}; change it there")]
    Given(String),
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

impl From<InUseError> for PutKeyError {
    fn from(error: InUseError) -> Self {
        match error {
            InUseError::Open(error) => Self::Unreadable(error),
            InUseError::Store(error) => Self::Store(error),
        }
    }
}

/// A key could not be changed or deleted.
#[derive(Debug, thiserror::Error)]
pub enum ChangeKeyError {
    /// The owner does not exist.
    #[error("{0} does not exist")]
    NoOwner(Owner),
    /// There is no such key.
    #[error("there is no such key")]
    NoKey,
    /// The key is given by a setting, and can be changed only there.
    #[error("this key is given by the setting {0}; change it there")]
    Given(String),
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
    /// Whether the provider is asked first, and a key that it refuses is not stored.
    pub verify: bool,
}

/// A key that was put into a pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PutDone {
    /// The key.
    pub key: KeyRecord,
    /// What the provider said, where it was asked.
    pub tested: Option<Tested>,
    /// The keys of its pool that share its account's limits, as in [`ListedKey::shares_limit`].
    pub shares_limit: Vec<KeyId>,
}

/// A key, as shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedKey {
    /// What is stored of it, with what this process knows beyond.
    pub record: KeyRecord,
    /// How it fares.
    pub standing: Standing,
    /// The keys of its pool that share its account's limits, itself among them, in the order in which they were added;
    /// none where it is alone with them.
    pub shares_limit: Vec<KeyId>,
}

/// The use cases around keys.
#[derive(Debug)]
pub struct Keys {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) masters: Arc<MasterKeys>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) refused: AtomicU64,
}

impl Keys {
    /// How many keys were not added and not replaced because something spoke against it.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// A refusal changes nothing, so it is in no audit trail; but whoever looks for attempts finds it in the log.
    fn note_refusal(&self, permit: &Permit<ManageKeys>, pool: &PoolId, error: &PutKeyError) {
        let speaks_against = match error {
            PutKeyError::NoOwner(_)
            | PutKeyError::NoKey
            | PutKeyError::LimitReached
            | PutKeyError::Duplicate(_)
            | PutKeyError::Rejected(_)
            | PutKeyError::Given(_) => true,
            PutKeyError::Unreadable(_) | PutKeyError::Seal(_) | PutKeyError::Store(_) => false,
        };
        if speaks_against {
            self.refused.fetch_add(1, Ordering::Relaxed);
            let actor = permit.act(self.clock.now()).actor;
            tracing::info!(%pool, actor, reason = %error, "a key was not taken");
        }
    }

    /// An owner's keys, by provider and creation order. Opens nothing.
    pub async fn list(&self, permit: &Permit<ListKeys>) -> Result<Vec<ListedKey>, ListKeysError> {
        let owner = permit.on();
        let listed = self.all(owner).await?;
        if listed.is_empty() && !owners::exists(&*self.store, owner).await? {
            return Err(ListKeysError::NoOwner(owner.clone()));
        }
        Ok(listed)
    }

    async fn all(&self, owner: &Owner) -> Result<Vec<ListedKey>, StoreError> {
        // Before the database is asked: what is found out while it answers is not belied by that.
        let now = self.clock.now();
        let mut keys = self.store.keys(owner).await?;
        if *owner == Owner::Platform {
            self.list_given(&mut keys);
        }
        let listed = keys.into_iter().map(|mut record| {
            let standing = self.complete(owner, &mut record, now);
            ListedKey { record, standing, shares_limit: Vec::new() }
        });
        let mut listed: Vec<_> = listed.collect();
        note_shared_limits(&mut listed);
        Ok(listed)
    }

    /// The keys that share a key's limits. Only of interest, beside a change that is made: where the database does not
    /// tell, there are none.
    async fn sharing(&self, owner: &Owner, key: &KeyRecord) -> Vec<KeyId> {
        if key.domain.is_none() {
            return Vec::new();
        }
        let all = self.all(owner).await.unwrap_or_default();
        all.into_iter().find(|listed| listed.record.id == key.id).map(|listed| listed.shares_limit).unwrap_or_default()
    }

    /// Adds what this process knows of a key, and says how it fares.
    fn complete(&self, owner: &Owner, record: &mut KeyRecord, now: Timestamp) -> Standing {
        let pool = PoolId { owner: owner.clone(), provider: record.provider.clone() };
        let read = Event::Stored { ailment: record.ailment, read_at: now };
        let fitness = match self.keyring.complete(&pool, record) {
            // What was healed or replaced elsewhere is in the database before it is in memory.
            Some(known) => Fitness { health: known.health.next(&read, now), ..known },
            None => Fitness::stored(record.ailment, now),
        };
        Standing::of(record.status, &fitness, now)
    }

    /// The given keys, each after the stored ones of its provider.
    fn list_given(&self, keys: &mut Vec<KeyRecord>) {
        let platform = &self.keyring.platform;
        for (provider, key) in platform.all() {
            keys.push(KeyRecord {
                id: key.id.clone(),
                provider: provider.clone(),
                name: KeyName::parse(&key.setting).unwrap_or_default(),
                masked: key.masked.clone(),
                enabled: true,
                status: KeyStatus::Active,
                ailment: None,
                domain: None,
                counts: UseCounts::default(),
                created_by: Some(actor::SETTINGS.to_owned()),
                created_at: platform.since,
                updated_at: platform.since,
                last_used_at: None,
            });
        }
        // Stable: stored keys stay in their order, and before the given ones.
        keys.sort_by(|one, other| one.provider.cmp(&other.provider));
    }

    /// The given key of this id, if this is the platform's pool or list.
    fn given(&self, owner: &Owner, id: &KeyId) -> Option<&GivenKey> {
        let mut given = self.keyring.platform.all().map(|(_, key)| key).filter(|_| *owner == Owner::Platform);
        given.find(|key| key.id == *id)
    }

    /// The providers for which a workspace uses its organization's keys: those of which it has no key itself, and its
    /// organization lends at least one that is switched on.
    pub async fn inherited(&self, permit: &Permit<ListKeys>) -> Result<Vec<ProviderId>, ListKeysError> {
        let mut providers = self.lent(permit).await?;
        if !providers.is_empty() {
            let own = self.store.keys(permit.on()).await?;
            providers.retain(|provider| own.iter().all(|key| key.provider != *provider));
        }
        Ok(providers)
    }

    /// The providers for which a workspace's organization lends at least one key that is switched on, whether the
    /// workspace has keys of its own or not.
    pub async fn lent(&self, permit: &Permit<ListKeys>) -> Result<Vec<ProviderId>, ListKeysError> {
        let no_owner = || ListKeysError::NoOwner(permit.on().clone());
        let Owner::Workspace(workspace) = permit.on() else {
            return Err(no_owner());
        };
        let workspace = self.store.workspace(workspace).await?.ok_or_else(no_owner)?;
        let Some(id) = workspace.organization_id else {
            return Ok(Vec::new());
        };
        if !self.store.organization(&id).await?.is_some_and(|organization| organization.keys_enabled) {
            return Ok(Vec::new());
        }
        let lent = self.store.keys(&Owner::Organization(id)).await?.into_iter().filter(|key| key.enabled);
        let mut providers: Vec<_> = lent.map(|key| key.provider).collect();
        providers.dedup();
        Ok(providers)
    }

    /// Adds a key at the end of its pool.
    pub async fn add(&self, permit: &Permit<ManageKeys>, put: PutKey) -> Result<PutDone, PutKeyError> {
        let pool = PoolId { owner: permit.on().clone(), provider: put.provider.clone() };
        let tested = OnceCell::new();
        let added = settle(&pool.owner, || self.try_add(&pool, permit, &put, &tested)).await;
        let key = added.inspect_err(|error| self.note_refusal(permit, &pool, error))?;
        let shares_limit = self.sharing(&pool.owner, &key).await;
        Ok(PutDone { key, tested: tested.into_inner(), shares_limit })
    }

    async fn try_add(
        &self,
        pool: &PoolId,
        permit: &Permit<ManageKeys>,
        put: &PutKey,
        tested: &OnceCell<Tested>,
    ) -> Result<KeyRecord, AddFailure> {
        let record = self.store.pool(pool).await.map_err(PutKeyError::Store)?;
        if record.owner.is_none() {
            return Err(PutKeyError::NoOwner(pool.owner.clone()).into());
        }
        let stored = self.stored_data_key(pool, &record)?;
        let fingerprint = stored.as_ref().map(|key| key.fingerprint(&put.provider, &put.secret));
        if let Some(fingerprint) = fingerprint {
            refuse_duplicate(&record, fingerprint, None)?;
        }
        if pool.owner == Owner::Platform {
            self.refuse_beside_given(&record, put)?;
        }
        if record.keys.len() >= POOL_CAPACITY {
            return Err(PutKeyError::LimitReached.into());
        }
        self.verify(put, tested).await?;

        let (data_key, data_key_use) = if let (Some(data_key), Some(sealed)) = (stored, record.data_key) {
            (data_key, DataKeyUse::Stored(sealed))
        } else {
            let in_use = in_use(&*self.store, &self.masters).await.map_err(PutKeyError::from)?;
            let (data_key, sealed) = in_use.new_data_key(&pool.owner, 1).map_err(PutKeyError::Seal)?;
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
            domain: named(tested),
            created_by: permit.actor().map(str::to_owned),
            at: now,
            data_key: data_key_use,
            id,
        };
        let added = self.store.add_key(pool, &key, &permit.act(now)).await.map_err(AddFailure::from)?;
        self.feed.changed(&Change::Pool(pool.clone()));
        Ok(added)
    }

    /// The given keys of a provider are part of the platform's pool: its ten places and its secrets count them.
    fn refuse_beside_given(&self, record: &PoolRecord, put: &PutKey) -> Result<(), PutKeyError> {
        self.refuse_given(put)?;
        if record.keys.len() + self.keyring.platform.of(&put.provider).count() >= POOL_CAPACITY {
            return Err(PutKeyError::LimitReached);
        }
        Ok(())
    }

    /// What a setting gives is not stored a second time.
    pub(crate) fn refuse_given(&self, put: &PutKey) -> Result<(), PutKeyError> {
        match self.keyring.platform.twin(&put.provider, &put.secret) {
            Some(twin) => Err(PutKeyError::Duplicate(twin.id.clone())),
            None => Ok(()),
        }
    }

    /// Replaces a key's secret, and its name where one is given. Its place in the rotation stays.
    pub async fn replace(&self, permit: &Permit<ManageKeys>, id: &KeyId, put: PutKey) -> Result<PutDone, PutKeyError> {
        let pool = PoolId { owner: permit.on().clone(), provider: put.provider.clone() };
        let tested = OnceCell::new();
        let replaced = settle(&pool.owner, || self.try_replace(&pool, permit, (id, &put), &tested)).await;
        let key = replaced.inspect_err(|error| self.note_refusal(permit, &pool, error))?;
        let shares_limit = self.sharing(&pool.owner, &key).await;
        Ok(PutDone { key, tested: tested.into_inner(), shares_limit })
    }

    async fn try_replace(
        &self,
        pool: &PoolId,
        permit: &Permit<ManageKeys>,
        (id, put): (&KeyId, &PutKey),
        tested: &OnceCell<Tested>,
    ) -> Result<KeyRecord, AddFailure> {
        let record = self.store.pool(pool).await.map_err(PutKeyError::Store)?;
        if record.owner.is_none() {
            return Err(PutKeyError::NoOwner(pool.owner.clone()).into());
        }
        if let Some(given) = self.given(&pool.owner, id) {
            return Err(PutKeyError::Given(given.setting.clone()).into());
        }
        let position = record.keys.iter().find(|key| key.id == *id).ok_or(PutKeyError::NoKey)?.position;
        let data_key = self.stored_data_key(pool, &record)?;
        let (Some(data_key), Some(sealed_data_key)) = (data_key, record.data_key.clone()) else {
            // Only a hand in the database can have taken it.
            let error = StoreError::Unexpected(format!("{} has keys and no data key", pool.owner));
            return Err(PutKeyError::Store(error).into());
        };
        let fingerprint = data_key.fingerprint(&put.provider, &put.secret);
        refuse_duplicate(&record, fingerprint, Some(id))?;
        if pool.owner == Owner::Platform {
            self.refuse_given(put)?;
        }
        self.verify(put, tested).await?;
        let place = KeyPlace { provider: &put.provider, key: id };
        let replacement = KeyReplacement {
            name: put.name.clone(),
            masked: put.secret.mask(),
            sealed: data_key.seal(place, &put.secret).map_err(PutKeyError::Seal)?,
            fingerprint: *fingerprint.as_bytes(),
            domain: named(tested),
            at: self.clock.now(),
            data_key: sealed_data_key,
        };
        let act = permit.act(replacement.at);
        let replaced = self.store.replace_key(pool, id, &replacement, &act).await.map_err(AddFailure::from)?;
        self.feed.changed(&Change::Pool(pool.clone()));
        self.keyring.replaced(pool, id, position);
        Ok(replaced)
    }

    /// Asks the provider, once, where that is wanted. Only a key that it refuses is not stored.
    async fn verify(&self, put: &PutKey, tested: &OnceCell<Tested>) -> Result<(), PutKeyError> {
        if !put.verify {
            return Ok(());
        }
        let tested = tested.get_or_init(|| self.keyring.verify(&put.provider, &put.secret)).await;
        match tested.result {
            TestResult::Invalid => Err(PutKeyError::Rejected(tested.reason.clone())),
            TestResult::Valid | TestResult::NoCredit | TestResult::Unreachable | TestResult::NotTestable => Ok(()),
        }
    }

    /// Renames a key, or switches it on or off.
    pub async fn change(
        &self,
        permit: &Permit<ManageKeys>,
        id: &KeyId,
        name: Option<Option<KeyName>>,
        enabled: Option<bool>,
    ) -> Result<ListedKey, ChangeKeyError> {
        let owner = permit.on();
        let change = KeyChange { name, enabled, at: self.clock.now() };
        match self.store.change_key(owner, id, &change, &permit.act(change.at)).await {
            Ok(mut key) => {
                self.feed.changed(&Change::Pool(PoolId { owner: owner.clone(), provider: key.provider.clone() }));
                let standing = self.complete(owner, &mut key, self.clock.now());
                let shares_limit = self.sharing(owner, &key).await;
                Ok(ListedKey { record: key, standing, shares_limit })
            }
            Err(StoreChangeKeyError::NoKey) => Err(self.nothing_there(owner, Some(id)).await),
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
        let deleted = self.store.delete_key(&pool, id, &permit.act(self.clock.now())).await?;
        self.after_delete(pool, Some(id), deleted).await
    }

    /// Deletes every key of a provider.
    pub async fn delete_all(&self, permit: &Permit<ManageKeys>, provider: &ProviderId) -> Result<(), ChangeKeyError> {
        let pool = PoolId { owner: permit.on().clone(), provider: provider.clone() };
        let deleted = self.store.delete_keys(&pool, &permit.act(self.clock.now())).await? > 0;
        self.after_delete(pool, None, deleted).await
    }

    async fn after_delete(&self, pool: PoolId, id: Option<&KeyId>, deleted: bool) -> Result<(), ChangeKeyError> {
        if !deleted {
            return Err(self.nothing_there(&pool.owner, id).await);
        }
        self.feed.changed(&Change::Pool(pool));
        Ok(())
    }

    async fn nothing_there(&self, owner: &Owner, id: Option<&KeyId>) -> ChangeKeyError {
        if let Some(given) = id.and_then(|id| self.given(owner, id)) {
            return ChangeKeyError::Given(given.setting.clone());
        }
        match owners::exists(&*self.store, owner).await {
            Ok(true) => ChangeKeyError::NoKey,
            Ok(false) => ChangeKeyError::NoOwner(owner.clone()),
            Err(error) => error.into(),
        }
    }

    pub(crate) fn stored_data_key(&self, pool: &PoolId, record: &PoolRecord) -> Result<Option<DataKey>, PutKeyError> {
        let sealed = record.data_key.as_deref();
        let opened = sealed.map(|sealed| self.masters.open_data_key(&pool.owner, sealed)).transpose();
        opened.map_err(PutKeyError::Unreadable)
    }
}

/// Finds the keys of each pool that share one account's limits.
fn note_shared_limits(keys: &mut [ListedKey]) {
    for pool in keys.chunk_by_mut(|one, other| one.record.provider == other.record.provider) {
        let domains: Vec<_> = pool.iter().map(|key| (key.record.id.clone(), key.record.domain.clone())).collect();
        for key in pool {
            let shared = domains.iter().filter(|(_, domain)| domain.is_some() && *domain == key.record.domain);
            let shared: Vec<_> = shared.map(|(id, _)| id.clone()).collect();
            if shared.len() > 1 {
                key.shares_limit = shared;
            }
        }
    }
}

/// Every add and replacement that is not done.
enum AddFailure {
    /// Begin again.
    DataKeyChanged,
    /// The owner was there, and is gone.
    NoOwner,
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
            StoreAddKeyError::NoOwner => Self::NoOwner,
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

/// The account that the provider named when it was asked.
fn named(tested: &OnceCell<Tested>) -> Option<String> {
    tested.get().and_then(|tested| tested.domain.clone())
}

/// Tries again where the owner's data key changed meanwhile.
async fn settle<F>(owner: &Owner, put: impl Fn() -> F) -> Result<KeyRecord, PutKeyError>
where
    F: Future<Output = Result<KeyRecord, AddFailure>>,
{
    for _ in 0..TRIES {
        match put().await {
            Err(AddFailure::DataKeyChanged) => {}
            Err(AddFailure::NoOwner) => return Err(PutKeyError::NoOwner(owner.clone())),
            Err(AddFailure::Put(error)) => return Err(error),
            Ok(key) => return Ok(key),
        }
    }
    Err(StoreError::Unexpected("the owner's data key changed at every try".to_owned()).into())
}
