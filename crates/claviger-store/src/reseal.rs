//! What Claviger asks of a database when keys change that other keys are sealed under.
//!
//! A sealed data key, and the canary, name their master key in bytes 3 to 10 of their sealed form. That much a store
//! reads of them. The master key that the canary names is the one in use.

use async_trait::async_trait;
use claviger_core::audit::Act;
use claviger_core::{KeyId, Owner, ProviderId, Timestamp, WebhookId};

use crate::{NodesWithoutIt, Replaced, StoreError};

/// Where sealed data keys and canaries name their master key.
pub(crate) const MASTER_KEY_ID: std::ops::Range<usize> = 2..10;

/// An owner's data key, sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedDataKey {
    /// Whose it is.
    pub owner: Owner,
    /// Its sealed form.
    pub sealed: Vec<u8>,
}

impl std::fmt::Debug for SealedDataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedDataKey").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// A new data key for an owner, with everything that the old one sealed, sealed anew.
#[derive(Clone)]
pub struct Rekey {
    /// The old data key, sealed, as it was read.
    pub was: Vec<u8>,
    /// The new one, sealed.
    pub data_key: Vec<u8>,
    /// All keys of the owner.
    pub keys: Vec<RekeyedKey>,
    /// All webhooks of the owner.
    pub webhooks: Vec<RekeyedWebhook>,
    /// Now.
    pub at: Timestamp,
}

impl std::fmt::Debug for Rekey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { keys, webhooks, .. } = self;
        f.debug_struct("Rekey").field("keys", &keys.len()).field("webhooks", &webhooks.len()).finish_non_exhaustive()
    }
}

/// A key, sealed anew.
#[derive(Clone)]
pub struct RekeyedKey {
    /// Whose API it opens.
    pub provider: ProviderId,
    /// The key's id.
    pub id: KeyId,
    /// Its sealed secret, as it was read.
    pub was: Vec<u8>,
    /// The same secret, sealed under the new data key.
    pub sealed: Vec<u8>,
    /// Tells equal secrets, under the new data key.
    pub fingerprint: [u8; 32],
}

impl std::fmt::Debug for RekeyedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RekeyedKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A webhook's secret, sealed anew.
#[derive(Clone)]
pub struct RekeyedWebhook {
    /// The webhook's id.
    pub id: WebhookId,
    /// Its sealed secret, as it was read.
    pub was: Vec<u8>,
    /// The same secret, sealed under the new data key.
    pub sealed: Vec<u8>,
}

impl std::fmt::Debug for RekeyedWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RekeyedWebhook").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The part of a store that deals with what is sealed under what. As everywhere, each call is one transaction.
///
/// A new data key is stored only while its master key is the one in use ([`crate::Store::add_key`] and
/// [`crate::Store::add_webhook`] say that the data key changed, where it is not). So once another master key is in use,
/// the rows under the old one only become fewer.
#[async_trait]
pub trait Resealing: Send + Sync {
    /// Puts another master key into use: replaces the canary, and keeps the one before as that of a former master key.
    /// Nothing is done where the canary is not `was` any more, nor, if they are to be waited for, where nodes run that
    /// do not have the master key ([`crate::Nodes`]).
    async fn replace_canary(
        &self,
        was: &[u8],
        sealed: &[u8],
        without_it: NodesWithoutIt,
        act: &Act,
    ) -> Result<Replaced, StoreError>;

    /// The canaries of former master keys, one for each.
    async fn former_canaries(&self) -> Result<Vec<Vec<u8>>, StoreError>;

    /// Keeps the canary of a former master key, unless there is one of that key.
    async fn put_former_canary(&self, sealed: &[u8]) -> Result<(), StoreError>;

    /// The master keys that any data key names: the 8 bytes each, in order. Does not read all rows.
    async fn master_keys(&self) -> Result<Vec<Vec<u8>>, StoreError>;

    /// How many data keys name this master key.
    async fn count_data_keys(&self, master: &[u8]) -> Result<u64, StoreError>;

    /// The same, where the count ends at `most`, so that it costs no more however many there are.
    async fn count_data_keys_up_to(&self, master: &[u8], most: u32) -> Result<u64, StoreError>;

    /// Data keys that name this master key, by owner, after this one, at most so many.
    async fn data_keys_under(
        &self,
        master: &[u8],
        after: Option<&Owner>,
        limit: u32,
    ) -> Result<Vec<SealedDataKey>, StoreError>;

    /// Stores the sealed form of an owner's data key, which stays the same key. False where `was` is not its sealed form
    /// any more, or the new one names a master key that is not in use. (Nothing in memory becomes untrue by it, so it
    /// announces no change.)
    async fn reseal_data_key(&self, owner: &Owner, was: &[u8], sealed: &[u8]) -> Result<bool, StoreError>;

    /// Gives an owner a new data key, and announces every pool of the owner as changed. False, and nothing is done, where
    /// the old data key, the keys, or the webhooks are not what they were any more, or the new data key names a master
    /// key that is not in use.
    async fn rekey(&self, owner: &Owner, rekey: &Rekey, act: &Act) -> Result<bool, StoreError>;

    /// Makes sure that nothing stays beside the database of what [`Resealing::reseal_data_key`] replaced, as far as that
    /// is the store's to say.
    async fn forget_replaced(&self);
}
