//! The keyring: the live pools, and the only way to a provider key in plain text.
//!
//! A lease looks its pool up in memory, takes the next turn (core), and opens that key (seal). The database is asked
//! only for a pool that is not in memory. Each pool has its own slot, so that no lock is shared by all pools.

mod lease;
mod platform;
mod pool;
mod resolve;

use std::collections::HashMap;
use std::sync::Arc;

use claviger_core::owner::PoolId;
use claviger_core::{Catalogue, Clock, KeyId, KeySecret, OrganizationId, Owner, ProviderId, Timestamp, WorkspaceId};
use claviger_seal::MasterKey;
use claviger_store::{KeyUse, Store, StoreError};

use lease::UnwrittenUses;
pub use lease::{Lease, Outcome, ProviderCounts};
pub use platform::PlatformKey;
pub(crate) use platform::{GivenKey, PlatformKeys};
use pool::{LivePool, PoolMemory, Remark, Server, Taken};
pub use resolve::{ReportError, Resolved};

use crate::coordination::{Coordination, SharingCounts};
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

/// How rotation goes where nothing is shared, and who lends.
#[derive(Debug)]
pub struct Rotation {
    /// What all nodes rotate by, where there is such a thing.
    pub coordination: Option<Arc<dyn Coordination>>,
    /// Whether a pool begins with any of its keys rather than with its first: for several nodes that rotate each by
    /// itself, so that they do not all begin with the same key.
    pub random_start: bool,
    /// Whether workspaces without keys of their own or their organization's get the operator's.
    pub platform_fallback: bool,
}

/// The live pools.
#[derive(Debug)]
pub struct Keyring {
    store: Arc<dyn Store>,
    master: Arc<MasterKey>,
    clock: Arc<dyn Clock>,
    pub(crate) platform: PlatformKeys,
    rotation: Rotation,
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
        (platform, rotation): (PlatformKeys, Rotation),
        pools: Live<PoolId, LivePool, PoolMemory>,
    ) -> Self {
        let counts = catalogue.iter().map(|provider| {
            let counts = ProviderCounts::new(provider.id.clone());
            (provider.id.clone(), Arc::new(counts))
        });
        let counts = counts.collect();
        Self { store, master, clock, platform, rotation, pools, counts, unwritten: UnwrittenUses::default() }
    }

    /// Hands out the next key of the pool that serves this workspace: in plain text, to be dropped as soon as the
    /// request that carries it is built, and the lease, to be ended with what became of it.
    ///
    /// The workspace's own pool serves if it has any key, in whatever state; else its organization's; else the
    /// operator's, if the operator lends.
    pub async fn lease(
        &self,
        workspace: &WorkspaceId,
        provider: &ProviderId,
    ) -> Result<(KeySecret, Lease), LeaseError> {
        let mut id = PoolId { owner: Owner::Workspace(workspace.clone()), provider: provider.clone() };
        loop {
            let slot = self.pools.slot(&id);
            let pool = match self.pools.kept(&slot) {
                Some(pool) => pool,
                // Boxed, so that the state of a request that finds its pool in memory stays small.
                None => Box::pin(self.obtain(&id, &slot)).await?,
            };
            id.owner = match pool.server() {
                Server::This => return self.take(&id, &slot, &pool).await,
                Server::Organization(organization) => Owner::Organization(organization),
                Server::Platform if self.rotation.platform_fallback && id.owner != Owner::Platform => Owner::Platform,
                Server::Platform => return Err(LeaseError::NoKey),
                Server::NoWorkspace => match id.owner {
                    Owner::Workspace(_) => return Err(LeaseError::NoWorkspace),
                    // It was deleted, and the workspace hears of that in a moment: it lends nothing.
                    Owner::Organization(_) if self.rotation.platform_fallback => Owner::Platform,
                    Owner::Organization(_) | Owner::Platform => return Err(LeaseError::NoKey),
                },
            };
        }
    }

    async fn take(&self, id: &PoolId, slot: &PoolSlot, pool: &LivePool) -> Result<(KeySecret, Lease), LeaseError> {
        let shared = match &self.rotation.coordination {
            Some(coordination) if !pool.positions().is_empty() => coordination.turn(id, pool.positions()).await,
            _ => None,
        };
        match pool.take(id, &slot.companion.cursor, shared.map(|turn| turn.position)) {
            Taken::Key(secret, used) => {
                self.unwritten.note(&used, self.clock.now());
                Ok((secret, Lease::begin(used, id.owner.kind(), Arc::clone(&pool.counts))))
            }
            Taken::Unreadable => Err(LeaseError::PoolUnreadable),
            Taken::NoKey => Err(LeaseError::NoKey),
        }
    }

    async fn obtain(&self, id: &PoolId, slot: &Arc<PoolSlot>) -> Result<Arc<LivePool>, LeaseError> {
        let counts = self.counts.get(&id.provider).ok_or(LeaseError::NoProvider)?;
        let pool = self.pools.obtain(id, slot, async || {
            let record = self.store.pool(id).await?;
            let memory = &slot.companion;
            let pool = LivePool::new(id, record, &self.master, memory, &self.platform, Arc::clone(counts));
            if self.rotation.random_start && !pool.positions().is_empty() {
                memory.cursor.begin_at(pool.positions()[rand::random_range(0..pool.positions().len())]);
            }
            Ok(pool)
        });
        let pool = pool.await?;
        // After the pool is there for the others: they need not wait for what is written now.
        self.note_remarks(id, pool.take_remarks()).await;
        Ok(pool)
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

    /// Forgets every pool of an organization and of its workspaces.
    pub(crate) fn forget_organization(&self, organization: &OrganizationId) {
        self.forget_owner(&Owner::Organization(organization.clone()));
        // A workspace that is being read for the first time may be one of them.
        self.pools.forget_where(|_, pool| pool.is_none_or(|pool| pool.is_under(organization)));
    }

    /// Forgets every pool.
    pub(crate) fn forget_all(&self) {
        self.pools.forget_where(|_, _| true);
    }

    /// When a key was used last, as far as this process knows.
    pub(crate) fn last_used_at(&self, pool: &PoolId, key: &KeyId) -> Option<Timestamp> {
        self.pools.slot_if_any(pool)?.companion.usage(key)?.last_used_at()
    }

    /// Writes when keys were used to the database. What cannot be written is kept for the next time.
    pub async fn write_uses(&self) -> Result<(), StoreError> {
        // As many as there are now: a busy key enters again at once, and is not written without a pause.
        for _ in 0..self.unwritten.batches() {
            let taken = self.unwritten.take();
            let uses: Vec<_> = taken
                .iter()
                .filter_map(|used| {
                    let at = used.last_used_at()?;
                    Some(KeyUse { pool: used.pool.clone(), key: used.key.clone(), at })
                })
                .collect();
            if let Err(error) = self.store.record_uses(&uses).await {
                self.unwritten.put_back(taken);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Comes back when so many uses wait to be written that it should be done before its time.
    pub async fn uses_pile_up(&self) {
        self.unwritten.pile_up().await;
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

    /// How many bytes they take, about.
    #[must_use]
    pub fn bytes_in_memory(&self) -> u64 {
        self.pools.bytes()
    }

    /// Makes ready to share turns on the runtime that calls.
    pub async fn join(&self) {
        if let Some(coordination) = &self.rotation.coordination {
            coordination.join().await;
        }
    }

    /// How sharing turns with other nodes has gone; `None` where there is nothing to share them by.
    #[must_use]
    pub fn sharing(&self) -> Option<SharingCounts> {
        self.rotation.coordination.as_ref().map(|coordination| coordination.counts())
    }

    /// Whether what is in memory is true, as far as this node can know.
    #[must_use]
    pub fn is_hearing(&self) -> bool {
        self.pools.trusted()
    }
}
