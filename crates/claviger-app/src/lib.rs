//! Claviger's use cases: the only place where the store and the seals meet.

pub mod access;
mod attempts;
pub mod audit;
mod client;
pub mod console;
pub mod coordination;
pub mod copy;
mod feed;
mod form;
pub mod import;
pub mod keyring;
pub mod keys;
mod live;
pub mod master_keys;
pub mod nodes;
pub mod organizations;
mod owners;
mod permit;
pub mod portal;
mod rehearsal;
pub mod rekeying;
mod start;
pub mod tokens;
mod trust;
pub mod usage;
pub mod webhooks;
pub mod workspaces;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use claviger_core::{Catalogue, Clock};
use claviger_seal::{MasterKeys, NewToken, TokenHash};
use claviger_store::ChangeSink;

pub use attempts::{BadTokens, TooManyAttempts};
pub use claviger_store::{
    AuditFilter, ConsoleSession, Counts, Found, KeyRecord, KeyReplacement, NODE_LEASE, Node, NodesWithoutIt,
    Organization, Page, PortalGrant, PortalPass, PutWorkspaceError, RunningNode, Store, StoreError, TokenRecord,
    UsageBucket, UseCounts, Webhook, Workspace,
};
pub use client::ClientAddress;
pub use live::Capacity;
pub use start::{StartError, prove};

use access::{Access, Principal};
use attempts::Attempts;
use audit::Audit;
use console::Console;
use feed::Feed;
use keyring::{Keyring, PlatformKey, PlatformKeys, Prober, Rotation};
use keys::Keys;
use live::Live;
use master_keys::{NotReady, Progress, RotateError, Rotated};
use nodes::Membership;
use organizations::Organizations;
use portal::{Portal, PortalPlace};
use rekeying::Rekeying;
use tokens::Tokens;
use trust::Trust;
use usage::Usage;
use webhooks::{Courier, Webhooks};
use workspaces::Workspaces;

/// What Claviger is made of.
#[derive(Debug)]
pub struct Parts {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The master keys.
    pub master_keys: MasterKeys,
    /// The providers.
    pub catalogue: Catalogue,
    /// Where "now" comes from.
    pub clock: Arc<dyn Clock>,
    /// The operator's keys that are given from outside.
    pub platform_keys: Vec<PlatformKey>,
    /// How pools rotate, and who lends.
    pub rotation: Rotation,
    /// What sends probes, where there is a way to providers.
    pub prober: Option<Arc<dyn Prober>>,
    /// What carries events to webhooks, where there is a way to them.
    pub courier: Option<Arc<dyn Courier>>,
    /// What is kept in memory.
    pub cache: Cache,
    /// Where the portal is.
    pub portal: PortalPlace,
    /// How many bad tokens a minute an address may show; 0 for any number.
    pub bad_token_limit: u32,
}

/// What is kept in memory at most, and for how long beyond the last proof that it is true.
#[derive(Clone, Copy, Debug)]
pub struct Cache {
    /// How many pools, and how many tokens.
    pub entries: usize,
    /// How many bytes pools and tokens may take together, about.
    pub bytes: u64,
    /// How long what is in memory may still be used while changes are not heard of and the database cannot be reached.
    pub stale_grace: Duration,
}

impl Cache {
    /// Tokens are small: a quarter is theirs.
    fn of_tokens(self) -> Capacity {
        Capacity { entries: self.entries, bytes: self.bytes / 4 }
    }

    fn of_pools(self) -> Capacity {
        Capacity { entries: self.entries, bytes: self.bytes - self.bytes / 4 }
    }
}

/// The use cases, put together.
#[derive(Debug)]
pub struct App {
    /// Who asks, and what they may do.
    pub access: Arc<Access>,
    /// The live pools.
    pub keyring: Arc<Keyring>,
    /// Keys.
    pub keys: Keys,
    /// Tokens.
    pub tokens: Tokens,
    /// Workspaces.
    pub workspaces: Workspaces,
    /// Organizations.
    pub organizations: Organizations,
    /// Audit trails.
    pub audit: Audit,
    /// How keys were used.
    pub usage: Usage,
    /// Webhooks.
    pub webhooks: Webhooks,
    /// The portal's links and sessions.
    pub portal: Portal,
    /// New data keys for owners.
    pub rekeying: Rekeying,
    /// The operator's console.
    pub console: Console,
    /// The providers.
    pub catalogue: Catalogue,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    master_keys: Arc<MasterKeys>,
    feed: Arc<Feed>,
}

impl App {
    /// Proves the master key and puts everything together. There is no root token yet.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { store, master_keys, catalogue, clock, platform_keys, rotation, prober, courier, cache, .. } = parts;
        let (portal, bad_token_limit) = (parts.portal, parts.bad_token_limit);
        start::prove_or_put(&*store, &master_keys).await?;
        start::prove_complete(&*store, &master_keys).await?;
        let master_keys = Arc::new(master_keys);
        let trust = Arc::new(Trust::new(Arc::clone(&clock), cache.stale_grace));
        let tokens = Live::new(cache.of_tokens(), Arc::clone(&trust));
        let attempts = Arc::new(Attempts::new(Arc::clone(&clock), bad_token_limit));
        let access = Access::new(Arc::clone(&store), Arc::clone(&clock), tokens, Arc::clone(&attempts));
        let access = Arc::new(access);
        let platform = PlatformKeys::new(master_keys.wanted(), platform_keys, clock.now())?;
        let keyring = Arc::new(Keyring::new(
            Arc::clone(&store),
            Arc::clone(&master_keys),
            Arc::clone(&clock),
            &catalogue,
            (platform, rotation, prober),
            Live::new(cache.of_pools(), Arc::clone(&trust)),
        ));
        let feed = Arc::new(Feed { access: Arc::clone(&access), keyring: Arc::clone(&keyring), trust });
        let webhooks = Webhooks {
            store: Arc::clone(&store),
            master_keys: Arc::clone(&master_keys),
            clock: Arc::clone(&clock),
            courier,
        };
        let rekeying = Rekeying {
            store: Arc::clone(&store),
            master_keys: Arc::clone(&master_keys),
            clock: Arc::clone(&clock),
            feed: Arc::clone(&feed),
        };
        let keys = Keys {
            store: Arc::clone(&store),
            masters: Arc::clone(&master_keys),
            clock: Arc::clone(&clock),
            keyring: Arc::clone(&keyring),
            feed: Arc::clone(&feed),
            refused: AtomicU64::new(0),
        };
        let tokens = Tokens { store: Arc::clone(&store), clock: Arc::clone(&clock), feed: Arc::clone(&feed) };
        let workspaces = Workspaces { store: Arc::clone(&store), clock: Arc::clone(&clock), feed: Arc::clone(&feed) };
        let console = Console {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            access: Arc::clone(&access),
            attempts: Arc::clone(&attempts),
            master_keys: Arc::clone(&master_keys),
        };
        let portal = Portal {
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            catalogue: catalogue.clone(),
            place: portal,
            attempts,
        };
        let usage = Usage { store: Arc::clone(&store), clock: Arc::clone(&clock) };
        let audit = Audit { store: Arc::clone(&store) };
        let organizations =
            Organizations { store: Arc::clone(&store), clock: Arc::clone(&clock), feed: Arc::clone(&feed) };
        Ok(Self {
            access,
            keyring,
            keys,
            tokens,
            workspaces,
            organizations,
            audit,
            usage,
            webhooks,
            portal,
            rekeying,
            console,
            catalogue,
            store,
            clock,
            master_keys,
            feed,
        })
    }

    /// Lets a root token in: the one given from outside, or the one whose hash is stored, or else a new one, which comes
    /// back to be shown this once.
    pub async fn admit_root(&self, given: Option<TokenHash>) -> Result<Option<NewToken>, StartError> {
        let (root, made) = start::root_token(&*self.store, given).await?;
        self.access.admit_root(root);
        Ok(made)
    }

    /// Whether Claviger can serve: the database answers, and this node has the master key that is in use. (It was proven
    /// at the start, but another one may be in use by now.)
    pub async fn ready(&self) -> Result<(), NotReady> {
        self.store.ping().await?;
        master_keys::in_use(&*self.store, &self.master_keys).await?;
        Ok(())
    }

    /// Takes a place among the nodes, under a name for people: for a process that serves, before it does.
    pub async fn join(&self, name: String) -> Result<Membership, StartError> {
        Membership::begin(&self.store, &self.master_keys, name).await
    }

    /// Puts the wanted master key into use, and seals every data key anew that is under another one. See
    /// [`master_keys::rotate`].
    pub async fn rotate_master_key(
        &self,
        without_it: NodesWithoutIt,
        progress: impl Fn(Progress),
    ) -> Result<Rotated, RotateError> {
        let act = Principal::operator().act(None, self.clock.now());
        master_keys::rotate(&*self.store, &self.master_keys, without_it, &act, progress).await
    }

    /// Hears of changes that other processes make to the database, as long as the future is polled. What is in memory is
    /// trusted for three seconds after the last proof that it hears; then every request asks the database.
    pub async fn watch(&self) -> StoreError {
        self.feed.trust.begin();
        let sink: Arc<dyn ChangeSink> = Arc::clone(&self.feed) as _;
        self.store.watch(sink).await
    }

    /// Writes what is in memory only, and lets go of the database.
    pub async fn close(&self) -> Result<(), StoreError> {
        let stored = self.keyring.store_ailments().await;
        let written = self.keyring.write_uses().await;
        self.store.close().await;
        stored.and(written)
    }
}
