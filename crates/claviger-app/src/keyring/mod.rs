//! The keyring: the live pools, and the only way to a provider key in plain text.
//!
//! A lease looks its pool up in memory, takes the next turn (core), and opens that key (seal). The database is asked
//! only for a pool that is not in memory. Each pool has its own slot, so that no lock is shared by all pools.

mod desk;
mod explain;
mod findings;
mod known;
mod lease;
mod platform;
mod pool;
mod probe;
mod resolve;
mod tally;
mod uses;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use claviger_core::owner::PoolId;
use claviger_core::pool::{Position, Turn};
use claviger_core::{Catalogue, Clock, KeyId, KeySecret, OrganizationId, Owner, ProviderId, Timestamp, WorkspaceId};
use claviger_seal::MasterKeys;
use claviger_store::{KeyRecord, Store, StoreError};

use desk::{Desk, Findings, Shared};
pub use explain::{ExplainError, Explained, Explanation, Standing};
pub use known::Fitness;
use known::{Claim, KnownKey};
use lease::{Begun, wait_until};
pub use lease::{Lease, Outcome, ProviderCounts, Tried};
pub use platform::PlatformKey;
pub(crate) use platform::{GivenKey, PlatformKeys};
use pool::{Asked, LivePool, Nothing, PoolMemory, Remark, Server};
pub use probe::{ProbeAnswer, Prober, TestKeyError, TestResult, Tested, Unreachable};
pub use resolve::{ReportError, Resolved, Told};
use uses::UnwrittenUses;

use crate::coordination::{Coordination, SharedTurn, SharingCounts};
use crate::live::{Group, Live, Slot};

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
    /// Every key rests: it is limited, out of credit, or refused.
    #[error("every key of the pool rests")]
    Cooling {
        /// When the first one is back.
        wait: Duration,
    },
    /// The request has tried every key that does not rest.
    #[error("every key of the pool was tried")]
    AllTried,
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

/// Which lease is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// For whom.
    pub workspace: &'a WorkspaceId,
    /// For whose API.
    pub provider: &'a ProviderId,
    /// For which model, where the provider's limits are by model.
    pub model: Option<&'a str>,
}

/// The live pools.
#[derive(Debug)]
pub struct Keyring {
    store: Arc<dyn Store>,
    master_keys: Arc<MasterKeys>,
    prober: Option<Arc<dyn Prober>>,
    pub(crate) platform: PlatformKeys,
    rotation: Rotation,
    pools: Live<PoolId, LivePool, PoolMemory>,
    desks: HashMap<ProviderId, Arc<Desk>>,
    shared: Arc<Shared>,
}

impl Keyring {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        master_keys: Arc<MasterKeys>,
        clock: Arc<dyn Clock>,
        catalogue: &Catalogue,
        (platform, rotation, prober): (PlatformKeys, Rotation, Option<Arc<dyn Prober>>),
        pools: Live<PoolId, LivePool, PoolMemory>,
    ) -> Self {
        let coordination = rotation.coordination.clone();
        let uses = UnwrittenUses::default();
        let (ailments, suspects) = (Findings::default(), Findings::default());
        let shared = Arc::new(Shared { clock, coordination, uses, ailments, suspects });
        let desks = catalogue.iter().map(|provider| {
            let (provider, shared) = (Arc::clone(provider), Arc::clone(&shared));
            let is_testable = prober.is_some() && provider.free_probe().is_some();
            (
                provider.id.clone(),
                Arc::new(Desk { provider, probed: is_testable, counts: ProviderCounts::default(), shared }),
            )
        });
        let desks = desks.collect();
        Self { store, master_keys, prober, platform, rotation, pools, desks, shared }
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
        self.lease_beyond(Wanted { workspace, provider, model: None }, &Tried::default()).await
    }

    /// The same for a request that has tried some keys: hands out another one, of another account where there is one.
    pub async fn lease_beyond(&self, wanted: Wanted<'_>, tried: &Tried) -> Result<(KeySecret, Lease), LeaseError> {
        let (id, slot, pool) = self.serving(wanted.workspace, wanted.provider).await?;
        let asked = Asked { model: wanted.model, tried, now: self.shared.clock.now() };
        self.take(&id, &slot, &pool, asked).await
    }

    /// The pool that serves a workspace.
    async fn serving(
        &self,
        workspace: &WorkspaceId,
        provider: &ProviderId,
    ) -> Result<(PoolId, Arc<PoolSlot>, Arc<LivePool>), LeaseError> {
        let mut id = PoolId { owner: Owner::Workspace(workspace.clone()), provider: provider.clone() };
        loop {
            let slot = self.pools.slot(&id);
            let pool = match self.pools.kept(&slot) {
                Some(pool) => pool,
                // Boxed, so that the state of a request that finds its pool in memory stays small.
                None => Box::pin(self.obtain(&id, &slot)).await?,
            };
            id.owner = match pool.server() {
                Server::This => return Ok((id, slot, pool)),
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

    /// Takes the next turn among the keys that are free, and opens that key.
    async fn take(
        &self,
        id: &PoolId,
        slot: &PoolSlot,
        pool: &LivePool,
        asked: Asked<'_>,
    ) -> Result<(KeySecret, Lease), LeaseError> {
        let mut free = pool.free(&slot.companion, asked).map_err(|nothing| nothing.as_error(asked.now))?;
        let mut shared = match &self.rotation.coordination {
            Some(coordination) => coordination.turn(id, &free, asked.model).await,
            None => None,
        };
        if let Some(turn) = &shared {
            heed(pool, turn, asked)?;
        }
        let cursor = &slot.companion.cursor;
        let mut unreadable = false;
        // A key whose trial another request has just taken, or that does not open after all, passes its turn on.
        while !free.is_empty() {
            let told = shared.take().and_then(|turn| Some((turn.position?, turn.trial)));
            let (position, shared_trial) = match told {
                Some((position, trial)) => {
                    cursor.follow(position);
                    (position, trial)
                }
                None => match cursor.advance(&free) {
                    Turn::Use(index) => (free[index], false),
                    Turn::Empty => break,
                },
            };
            if let Some(key) = pool.key(position) {
                let claim = key.known.claim(asked.model, asked.now);
                let opened = if claim == Claim::Taken { None } else { key.open() };
                unreadable |= claim != Claim::Taken && opened.is_none();
                if let Some(secret) = opened {
                    self.shared.uses.note(&key.known, asked.now);
                    let begun = Begun {
                        scope: id.owner.kind(),
                        model: asked.model,
                        at: asked.now,
                        shared_trial,
                        others: pool.positions().len() > 1,
                    };
                    return Ok((secret, Lease::begin(Arc::clone(key), Arc::clone(&pool.desk), begun)));
                }
                if claim == Claim::Trial {
                    key.known.give_back(asked.now, asked.model);
                }
                if shared_trial {
                    self.shared.trial_over(&key.known, asked.model);
                }
            }
            free.to_mut().retain(|other| *other != position);
        }
        match pool.free(&slot.companion, asked) {
            Err(nothing) => Err(nothing.as_error(asked.now)),
            Ok(_) if unreadable => Err(LeaseError::PoolUnreadable),
            // Others were faster: it may be back in a moment.
            Ok(_) => Err(LeaseError::Cooling { wait: wait_until(asked.now, asked.now) }),
        }
    }

    async fn obtain(&self, id: &PoolId, slot: &Arc<PoolSlot>) -> Result<Arc<LivePool>, LeaseError> {
        let desk = self.desks.get(&id.provider).ok_or(LeaseError::NoProvider)?;
        let pool = self.pools.obtain(id, slot, async || {
            let read_at = self.shared.clock.now();
            let record = self.store.pool(id).await?;
            let (memory, platform) = (&slot.companion, &self.platform);
            let pool = LivePool::new(id, record, &self.master_keys, memory, platform, Arc::clone(desk), read_at);
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

    /// A key has a new secret, which starts well here and on every node that shares turns.
    pub(crate) fn replaced(&self, pool: &PoolId, key: &KeyId, position: Position) {
        if let Some(known) = self.known(pool, key) {
            known.replaced(self.shared.clock.now());
        }
        if let Some(coordination) = &self.shared.coordination {
            coordination.forget(pool, position);
        }
    }

    /// Forgets a pool's keys, but not where its rotation stands.
    pub(crate) fn forget(&self, pool: &PoolId) {
        self.pools.forget(pool);
    }

    /// Forgets every pool of an owner.
    pub(crate) fn forget_owner(&self, owner: &Owner) {
        for provider in self.desks.keys() {
            self.pools.forget(&PoolId { owner: owner.clone(), provider: provider.clone() });
        }
    }

    /// Forgets every pool of an organization and of its workspaces.
    pub(crate) fn forget_organization(&self, organization: &OrganizationId) {
        self.forget_owner(&Owner::Organization(organization.clone()));
        self.pools.forget_group(Group::of(organization));
    }

    /// Forgets every pool.
    pub(crate) fn forget_all(&self) {
        self.pools.forget_all();
    }

    /// What this process knows of a key.
    fn known(&self, pool: &PoolId, key: &KeyId) -> Option<Arc<KnownKey>> {
        self.pools.slot_if_any(pool)?.companion.key(key)
    }

    /// Adds to what the database says of a key what this process knows beyond.
    pub(crate) fn complete(&self, pool: &PoolId, record: &mut KeyRecord) -> Option<Fitness> {
        let known = self.known(pool, &record.id)?;
        // The database hears of uses every few seconds only.
        record.last_used_at = record.last_used_at.max(known.last_used_at());
        record.counts += known.counts();
        if let Some(domain) = known.domain() {
            record.domain = Some(domain.to_string());
        }
        Some(known.fitness())
    }

    /// Writes when keys were used to the database, and how their requests ended. What cannot be written is kept for the
    /// next time.
    pub async fn write_uses(&self) -> Result<(), StoreError> {
        // As many as there are now: a busy key enters again at once, and is not written without a pause.
        for _ in 0..self.shared.uses.batches() {
            let batch = self.shared.uses.take();
            if let Err(error) = self.store.record_uses(&batch.uses()).await {
                self.shared.uses.put_back(batch);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Comes back when so many uses wait to be written that it should be done before its time.
    pub async fn uses_pile_up(&self) {
        self.shared.uses.pile_up().await;
    }

    /// How leases ended, by provider.
    pub fn counts(&self) -> impl Iterator<Item = (&ProviderId, &ProviderCounts)> {
        self.desks.iter().map(|(provider, desk)| (provider, &desk.counts))
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

    /// How long ago it was proven last that changes by other processes are heard of; `None` before the first time.
    #[must_use]
    pub fn heard_ago(&self) -> Option<Duration> {
        self.pools.heard_ago()
    }
}

impl Nothing {
    fn as_error(self, now: Timestamp) -> LeaseError {
        match self {
            Self::NoKey => LeaseError::NoKey,
            Self::Unreadable => LeaseError::PoolUnreadable,
            Self::Resting { until } => LeaseError::Cooling { wait: wait_until(until, now) },
            Self::Tried => LeaseError::AllTried,
        }
    }
}

/// Takes in what other nodes say of the pool's keys; fails where they all rest.
fn heed(pool: &LivePool, turn: &SharedTurn, asked: Asked<'_>) -> Result<(), LeaseError> {
    for rest in turn.rests.iter().filter(|rest| !rest.of_model) {
        if let Some(key) = pool.key(rest.position) {
            key.known.rests_elsewhere(rest.remaining, asked.now);
        }
    }
    match (turn.position, asked.tried.count()) {
        (Some(_), _) => Ok(()),
        (None, 0) => {
            let elsewhere = turn.rests.iter().map(|rest| rest.remaining);
            let here = pool.back(asked).map(|back| wait_until(back, asked.now));
            let soonest = elsewhere.chain(here).min().unwrap_or_default();
            Err(LeaseError::Cooling { wait: soonest.max(Duration::from_millis(1)) })
        }
        (None, _) => Err(LeaseError::AllTried),
    }
}
