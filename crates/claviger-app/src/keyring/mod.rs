//! The keyring: the live pools, and the only way to a provider key in plain text.
//!
//! A lease looks its pool up in memory, takes the next turn (core), and opens that key (seal). The database is asked
//! only for a pool that is not in memory. Each pool has its own slot, so that no lock is shared by all pools.

mod lease;
mod pool;

use std::collections::HashMap;
use std::sync::Arc;

use claviger_core::owner::PoolId;
use claviger_core::{Catalogue, Clock, KeyId, KeySecret, Owner, ProviderId, Timestamp, WorkspaceId};
use claviger_seal::MasterKey;
use claviger_store::{KeyUse, Store, StoreError};

use lease::UnwrittenUses;
pub use lease::{Lease, Outcome, ProviderCounts};
use pool::{LivePool, PoolMemory, Remark, Taken};

use crate::live::{Live, Slot};

type PoolSlot = Slot<LivePool, PoolMemory>;

/// Why there is no key to lease.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The workspace does not exist.
    #[error("the workspace does not exist")]
    NoWorkspace,
    /// The catalogue has no such provider.
    #[error("the provider is not in the catalogue")]
    NoProvider,
    /// There is no key, or none that is switched on.
    #[error("there is no key for this provider")]
    NoKey,
    /// There are keys, and none of them opens.
    #[error("no key of the pool can be opened")]
    PoolUnreadable,
    /// The pool is not in memory, and the database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The live pools.
#[derive(Debug)]
pub struct Keyring {
    store: Arc<dyn Store>,
    master: Arc<MasterKey>,
    clock: Arc<dyn Clock>,
    pools: Live<PoolId, LivePool, PoolMemory>,
    counts: HashMap<ProviderId, Arc<ProviderCounts>>,
    unwritten: UnwrittenUses,
}

impl Keyring {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        master: Arc<MasterKey>,
        clock: Arc<dyn Clock>,
        catalogue: &Catalogue,
        capacity: usize,
    ) -> Self {
        let counts = catalogue.iter().map(|provider| {
            let counts = ProviderCounts::new(provider.id.clone());
            (provider.id.clone(), Arc::new(counts))
        });
        Self {
            store,
            master,
            clock,
            pools: Live::new(capacity),
            counts: counts.collect(),
            unwritten: UnwrittenUses::default(),
        }
    }

    /// Hands out the next key of the pool that serves this workspace: in plain text, to be dropped as soon as the
    /// request that carries it is built, and the lease, to be ended with what became of it.
    pub async fn lease(
        &self,
        workspace: &WorkspaceId,
        provider: &ProviderId,
    ) -> Result<(KeySecret, Lease), LeaseError> {
        let id = PoolId { owner: Owner::Workspace(workspace.clone()), provider: provider.clone() };
        let slot = self.pools.slot(&id);
        if let Some(pool) = slot.kept().as_deref() {
            return self.take(&id, &slot, pool);
        }
        // Boxed, so that the state of a request that finds its pool in memory stays small.
        Box::pin(self.lease_from_store(&id, &slot)).await
    }

    async fn lease_from_store(&self, id: &PoolId, slot: &PoolSlot) -> Result<(KeySecret, Lease), LeaseError> {
        let pool = slot.read(async || self.read(id, slot).await).await?;
        let taken = self.take(id, slot, &pool);
        // After the pool is there for the others: they need not wait for what is written now.
        self.note_remarks(id, pool.take_remarks()).await;
        taken
    }

    fn take(&self, id: &PoolId, slot: &PoolSlot, pool: &LivePool) -> Result<(KeySecret, Lease), LeaseError> {
        match pool.take(id, &slot.companion.cursor) {
            Taken::Key(secret, used) => {
                self.unwritten.note(&used, self.clock.now());
                Ok((secret, Lease::begin(used, id.owner.kind(), Arc::clone(&pool.counts))))
            }
            Taken::Unreadable => Err(LeaseError::PoolUnreadable),
            Taken::NoKey if pool.owner_exists => Err(LeaseError::NoKey),
            Taken::NoKey => Err(LeaseError::NoWorkspace),
        }
    }

    async fn read(&self, id: &PoolId, slot: &PoolSlot) -> Result<LivePool, LeaseError> {
        let counts = self.counts.get(&id.provider).ok_or(LeaseError::NoProvider)?;
        let record = self.store.pool(id).await?;
        Ok(LivePool::new(id, record, &self.master, &slot.companion, Arc::clone(counts)))
    }

    async fn note_remarks(&self, id: &PoolId, remarks: Vec<Remark>) {
        for remark in remarks {
            if remark.unreadable {
                tracing::error!(pool = %id, key = %remark.key, "the key does not open and is passed over");
            } else {
                tracing::info!(pool = %id, key = %remark.key, "the key opens again");
            }
            let noted = self.store.mark_readable(id, &remark.key, &remark.sealed, !remark.unreadable).await;
            if let Err(error) = noted {
                tracing::warn!(key = %remark.key, error = %error, "a key's state could not be stored");
            }
        }
    }

    /// Forgets a pool's keys, but not where its rotation stands.
    pub(crate) fn forget(&self, pool: &PoolId) {
        self.pools.forget(pool);
    }

    /// Forgets every pool of an owner.
    pub(crate) fn forget_owner(&self, owner: &Owner) {
        for provider in self.counts.keys() {
            self.pools.forget(&PoolId { owner: owner.clone(), provider: provider.clone() });
        }
    }

    /// Forgets every pool, and keeps what is read from now on only if changes by other processes are heard of.
    pub(crate) fn forget_all(&self, hearing: bool) {
        self.pools.set_hearing(hearing);
        self.pools.forget_where(|_, _| true);
    }

    /// When a key was used last, as far as this process knows.
    pub(crate) fn last_used_at(&self, pool: &PoolId, key: &KeyId) -> Option<Timestamp> {
        self.pools.slot_if_any(pool)?.companion.usage(key)?.last_used_at()
    }

    /// Writes when keys were used to the database. What cannot be written is kept for the next time.
    pub async fn write_uses(&self) -> Result<(), StoreError> {
        let taken = self.unwritten.take();
        if taken.is_empty() {
            return Ok(());
        }
        let uses: Vec<_> = taken
            .iter()
            .filter_map(|used| {
                let at = used.last_used_at()?;
                Some(KeyUse { pool: used.pool.clone(), key: used.key.clone(), at })
            })
            .collect();
        let written = self.store.record_uses(&uses).await;
        if written.is_err() {
            self.unwritten.put_back(taken);
        }
        written
    }

    /// How leases ended, by provider.
    pub fn counts(&self) -> impl Iterator<Item = &ProviderCounts> {
        self.counts.values().map(AsRef::as_ref)
    }

    /// How many pools are in memory.
    #[must_use]
    pub fn pools_in_memory(&self) -> usize {
        self.pools.len()
    }
}
