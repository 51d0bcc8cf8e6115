//! New data keys: everything that an owner's data key seals is opened and sealed anew, all at once or not at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use claviger_core::owner::PoolId;
use claviger_core::{Clock, KeyId, Owner, ProviderId, WebhookId};
use claviger_seal::{DataKey, KeyPlace, MasterKeys, OpenError, SealError, WebhookPlace};
use claviger_store::{Change, ChangeSink, PoolKey, Rekey, RekeyedKey, RekeyedWebhook, Store, StoreError, Webhook};

use crate::access::{ManageKeys, Permit};
use crate::feed::Feed;
use crate::master_keys::{InUseError, in_use};
use crate::owners;

/// How often it is begun again because something of the owner's changed under it.
const TRIES: usize = 10;

/// An owner could not be given a new data key. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RekeyError {
    /// The owner does not exist.
    #[error("{0} does not exist")]
    NoOwner(Owner),
    /// The owner has none yet.
    #[error("{0} has no data key yet: nothing was ever stored for it")]
    NoDataKey(Owner),
    /// The owner's data key does not open.
    #[error("the data key of {0} does not open")]
    Unreadable(Owner, #[source] OpenError),
    /// One of its keys does not open.
    #[error("key {0} ({1}) does not open: replace or delete it first, as it could never be opened again afterwards")]
    UnreadableKey(KeyId, ProviderId),
    /// The secret of one of its webhooks does not open.
    #[error("the secret of webhook {0} does not open: delete it first, as it could never be opened again afterwards")]
    UnreadableWebhook(WebhookId),
    /// The master key in use was not given, or the canary is damaged.
    #[error("the master key in use cannot be proven")]
    MasterKey(#[source] OpenError),
    /// Others changed the owner's keys at every try.
    #[error("the keys of {0} changed at every try; try again")]
    Busy(Owner),
    /// Sealing failed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<InUseError> for RekeyError {
    fn from(error: InUseError) -> Self {
        match error {
            InUseError::Open(error) => Self::MasterKey(error),
            InUseError::Store(error) => Self::Store(error),
        }
    }
}

/// What was sealed anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rekeyed {
    /// How many keys.
    pub keys: usize,
    /// How many secrets of webhooks.
    pub webhooks: usize,
    /// Which of the owner's data keys this is, counted from 1.
    pub generation: u32,
}

/// The use case of new data keys.
#[derive(Debug)]
pub struct Rekeying {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) master_keys: Arc<MasterKeys>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) feed: Arc<Feed>,
}

impl Rekeying {
    /// Gives an owner a new data key, and destroys the old one. Keys keep their ids, their places, their health and their
    /// counts. What others seal with the old data key meanwhile is refused by the store, and they try again.
    pub async fn rekey(&self, permit: &Permit<ManageKeys>) -> Result<Rekeyed, RekeyError> {
        for _ in 0..TRIES {
            if let Some(done) = self.try_rekey(permit).await? {
                return Ok(done);
            }
        }
        Err(RekeyError::Busy(permit.on().clone()))
    }

    /// `None` where something changed meanwhile: begin again.
    async fn try_rekey(&self, permit: &Permit<ManageKeys>) -> Result<Option<Rekeyed>, RekeyError> {
        let owner = permit.on();
        let Some(was) = self.store.data_key(owner).await? else {
            let exists = owners::exists(&*self.store, owner).await?;
            let why = if exists { RekeyError::NoDataKey } else { RekeyError::NoOwner };
            return Err(why(owner.clone()));
        };
        let providers: BTreeSet<_> = self.store.keys(owner).await?.into_iter().map(|key| key.provider).collect();
        let mut found = Vec::new();
        for provider in &providers {
            let pool = PoolId { owner: owner.clone(), provider: provider.clone() };
            found.extend(self.store.pool(&pool).await?.keys.into_iter().map(|key| (provider, key)));
        }
        let hooks = match owner {
            Owner::Workspace(workspace) => self.store.webhooks(workspace).await?,
            Owner::Organization(_) | Owner::Platform => Vec::new(),
        };
        // What was read under an older data key opens no more, and is no damage.
        if self.store.data_key(owner).await?.as_ref() != Some(&was) {
            return Ok(None);
        }
        let old = self.master_keys.open_data_key(owner, &was);
        let old = old.map_err(|error| RekeyError::Unreadable(owner.clone(), error))?;
        let in_use = in_use(&*self.store, &self.master_keys).await?;
        let (new, data_key) = in_use.new_data_key(owner, old.generation().wrapping_add(1))?;
        let keys = found.iter().map(|(provider, key)| reseal_key(&old, &new, provider, key));
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        let webhooks =
            hooks.iter().map(|webhook| reseal_webhook(&old, &new, webhook)).collect::<Result<Vec<_>, _>>()?;
        let done = Rekeyed { keys: keys.len(), webhooks: webhooks.len(), generation: new.generation() };
        let rekey = Rekey { was, data_key, keys, webhooks, at: self.clock.now() };
        if !self.store.rekey(owner, &rekey, &permit.act(rekey.at)).await? {
            return Ok(None);
        }
        for provider in providers {
            self.feed.changed(&Change::Pool(PoolId { owner: owner.clone(), provider }));
        }
        Ok(Some(done))
    }
}

fn reseal_key(old: &DataKey, new: &DataKey, provider: &ProviderId, key: &PoolKey) -> Result<RekeyedKey, RekeyError> {
    let place = KeyPlace { provider, key: &key.id };
    let unreadable = |_| RekeyError::UnreadableKey(key.id.clone(), provider.clone());
    let secret = old.open(place, &key.sealed).map_err(unreadable)?;
    Ok(RekeyedKey {
        provider: provider.clone(),
        id: key.id.clone(),
        was: key.sealed.clone(),
        sealed: new.seal(place, &secret)?,
        fingerprint: *new.fingerprint(provider, &secret).as_bytes(),
    })
}

fn reseal_webhook(old: &DataKey, new: &DataKey, webhook: &Webhook) -> Result<RekeyedWebhook, RekeyError> {
    let place = WebhookPlace { webhook: &webhook.id };
    let unreadable = |_| RekeyError::UnreadableWebhook(webhook.id.clone());
    let secret = old.open_webhook(place, &webhook.sealed).map_err(unreadable)?;
    Ok(RekeyedWebhook {
        id: webhook.id.clone(),
        was: webhook.sealed.clone(),
        sealed: new.seal_webhook(place, &secret)?,
    })
}
