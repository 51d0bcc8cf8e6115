//! Claviger's store on PostgreSQL 14 to 17: one database for any number of nodes.
//!
//! **Locking.** Every change of what belongs to an owner begins with locking the owner's row, so that the changes of one
//! owner happen one after the other, whichever node makes them, and what was checked holds until the commit. Changes of
//! different owners do not wait for each other. The rules that must hold whatever happens are constraints of the schema
//! besides, in `migrations/`. What the gateway notes on keys (uses, readability) locks the keys' own rows only.
//! A transaction that the server ends for another one's sake is tried again from its beginning.
//!
//! **Distribution by owner.** Every table that belongs to owners begins its primary key with the owner, and all unique
//! constraints and foreign keys contain it, so that the tables can be partitioned or distributed by it. What crosses
//! owners, a workspace's organization and the directory of tokens, is kept true by the code in its transactions.
//!
//! **The feed.** Every change is announced by `NOTIFY`, which its commit sends. A node listens on a connection of its
//! own, and proves once a second that it hears: see `watch.rs`.
//!
//! **Faults.** A question that met a dead connection is asked again on another one for some seconds, everything has a
//! deadline, and a commit whose answer was lost is not tried again: see `connections.rs`.

mod address;
mod audit;
mod change;
mod connect;
mod connections;
mod console;
mod copy;
mod data_key;
mod delivery;
mod error;
mod health;
mod installation;
mod key;
mod key_use;
mod node;
mod open;
mod organization;
mod owner;
#[cfg(test)]
mod plans;
mod pool;
mod portal;
mod read;
mod reseal;
mod sim;
mod token;
mod usage;
mod watch;
mod webhook;
mod workspace;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use claviger_core::audit::{Act, AuditEntry, AuditHead};
use claviger_core::owner::PoolId;
use claviger_core::{KeyId, OrganizationId, Owner, ProviderId, Timestamp, TokenId, WebhookId, WorkspaceId};
use claviger_store::{
    AddKeyError, AddPortalLinkError, AddWebhookError, AilmentChange, AuditFilter, ChangeKeyError, ChangeSink,
    ConsoleSession, CopyError, Counts, DataKeyUse, Delivery, DeliveryEnd, InsertTokenError, KeyChange, KeyRecord,
    KeyReplacement, KeyUse, NewEvent, NewKey, OpenStoreError, Organization, OrganizationChange, OwnerCopy, Page,
    PoolRecord, PortalPass, ProbeClaim, PutWorkspaceError, ReplaceKeyError, Store, StoreError, TokenRecord, TrailCopy,
    UsageBucket, Webhook, Workspace, WorkspaceChange,
};
use sqlx::postgres::PgConnectOptions;

pub use crate::open::PostgresFound;
pub use crate::sim::{SimKeyRow, SimKeys, SimOwner, SimSource};

use crate::address::Address;
use crate::connections::{COPY_IN, COPY_OUT, COUNT, Connections, READ, TOUCH, WRITE, asked};
use crate::portal::Kind;

/// A store in one PostgreSQL database.
pub struct PostgresStore {
    /// Host, port and database; never a user or a password.
    name: String,
    connections: Connections,
    /// How the connection that listens for changes is made: it is none of the pool's.
    listening: PgConnectOptions,
}

impl PostgresStore {
    /// Connects to a database and recognises it, without changing anything. The store will have at most so many
    /// connections, and one more that listens for changes.
    ///
    /// The URL has the form `postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=/etc/ca.pem`.
    pub async fn find(url: &str, connections: u32) -> Result<PostgresFound, OpenStoreError> {
        PostgresFound::at(url, connections).await
    }

    /// Host, port and database that a URL names, without user and password.
    #[must_use]
    pub fn name_of(url: &str) -> Option<String> {
        Address::parse(url).ok().map(|address| address.name)
    }

    /// Finds a database and brings its schema up to date.
    pub async fn open(url: &str, connections: u32) -> Result<Self, OpenStoreError> {
        Self::find(url, connections).await?.into_store().await
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("database", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.canary().await.map(drop)
    }

    async fn canary(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.connections.ask(READ, |db| asked(installation::canary(db))).await
    }

    async fn put_canary_if_absent(&self, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.connections.ask(WRITE, |db| asked(installation::put_canary_if_absent(db, sealed))).await
    }

    async fn root_token_hash(&self) -> Result<Option<[u8; 32]>, StoreError> {
        self.connections.ask(READ, |db| asked(installation::root_token_hash(db))).await
    }

    async fn put_root_token_hash_if_absent(&self, hash: &[u8; 32]) -> Result<[u8; 32], StoreError> {
        self.connections.ask(WRITE, |db| asked(installation::put_root_token_hash_if_absent(db, hash))).await
    }

    async fn put_organization(&self, change: &OrganizationChange, act: &Act) -> Result<Organization, StoreError> {
        self.connections.ask(WRITE, |db| asked(organization::put(db, change, act))).await
    }

    async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>, StoreError> {
        self.connections.ask(READ, |db| asked(organization::one(db, id))).await
    }

    async fn organizations(&self, page: &Page<OrganizationId>) -> Result<Vec<Organization>, StoreError> {
        self.connections.ask(READ, |db| asked(organization::page(db, page))).await
    }

    async fn delete_organization(&self, id: &OrganizationId, act: &Act) -> Result<bool, StoreError> {
        // It takes all of its workspaces out of it, which may be very many.
        self.connections.ask(COPY_IN, |db| asked(organization::delete(db, id, act))).await
    }

    async fn put_workspace(&self, change: &WorkspaceChange, act: &Act) -> Result<Workspace, PutWorkspaceError> {
        self.connections.ask(WRITE, |db| asked(workspace::put(db, change, act))).await
    }

    async fn workspace(&self, id: &WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        self.connections.ask(READ, |db| asked(workspace::one(db, id))).await
    }

    async fn workspaces(&self, page: &Page<WorkspaceId>) -> Result<Vec<Workspace>, StoreError> {
        self.connections.ask(READ, |db| asked(workspace::page(db, page))).await
    }

    async fn workspaces_by_id(&self, prefix: &str, page: &Page<WorkspaceId>) -> Result<Vec<Workspace>, StoreError> {
        self.connections.ask(READ, |db| asked(workspace::page_by_id(db, prefix, page))).await
    }

    async fn workspaces_by_name(
        &self,
        prefix: &str,
        page: &Page<(String, WorkspaceId)>,
    ) -> Result<Vec<Workspace>, StoreError> {
        self.connections.ask(READ, |db| asked(workspace::page_by_name(db, prefix, page))).await
    }

    async fn workspaces_of(
        &self,
        organization: &OrganizationId,
        page: &Page<WorkspaceId>,
    ) -> Result<Vec<Workspace>, StoreError> {
        self.connections.ask(READ, |db| asked(workspace::page_of(db, organization, page))).await
    }

    async fn delete_workspace(&self, id: &WorkspaceId, act: &Act) -> Result<bool, StoreError> {
        self.connections.ask(WRITE, |db| asked(workspace::delete(db, id, act))).await
    }

    async fn insert_token(&self, token: &TokenRecord, act: &Act) -> Result<(), InsertTokenError> {
        self.connections.ask(WRITE, |db| asked(token::insert(db, token, act))).await
    }

    async fn token(&self, id: &str) -> Result<Option<TokenRecord>, StoreError> {
        // What a caller shows may be anything, also what PostgreSQL does not take for text.
        let Ok(id) = id.parse::<TokenId>() else {
            return Ok(None);
        };
        self.connections.ask(READ, |db| asked(token::one(db, &id))).await
    }

    async fn tokens(
        &self,
        workspace: Option<&WorkspaceId>,
        page: &Page<TokenId>,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        self.connections.ask(READ, |db| asked(token::page(db, workspace, page))).await
    }

    async fn delete_token(&self, id: &TokenId, act: &Act) -> Result<bool, StoreError> {
        self.connections.ask(WRITE, |db| asked(token::delete(db, id, act))).await
    }

    async fn keys(&self, owner: &Owner) -> Result<Vec<KeyRecord>, StoreError> {
        self.connections.ask(READ, |db| asked(key::all(db, owner))).await
    }

    async fn pool(&self, pool: &PoolId) -> Result<PoolRecord, StoreError> {
        self.connections.ask(READ, |db| asked(pool::read(db, pool))).await
    }

    async fn add_key(&self, pool: &PoolId, key: &NewKey, act: &Act) -> Result<KeyRecord, AddKeyError> {
        self.connections.ask(WRITE, |db| asked(key::add(db, pool, key, act))).await
    }

    async fn replace_key(
        &self,
        pool: &PoolId,
        key: &KeyId,
        replacement: &KeyReplacement,
        act: &Act,
    ) -> Result<KeyRecord, ReplaceKeyError> {
        self.connections.ask(WRITE, |db| asked(key::replace(db, pool, key, replacement, act))).await
    }

    async fn change_key(
        &self,
        owner: &Owner,
        key: &KeyId,
        change: &KeyChange,
        act: &Act,
    ) -> Result<KeyRecord, ChangeKeyError> {
        self.connections.ask(WRITE, |db| asked(key::change(db, owner, key, change, act))).await
    }

    async fn delete_key(&self, pool: &PoolId, key: &KeyId, act: &Act) -> Result<bool, StoreError> {
        self.connections.ask(WRITE, |db| asked(key::delete(db, pool, key, act))).await
    }

    async fn delete_keys(&self, pool: &PoolId, act: &Act) -> Result<u64, StoreError> {
        self.connections.ask(WRITE, |db| asked(key::delete_all(db, pool, act))).await
    }

    async fn mark_readable(&self, pool: &PoolId, key: &KeyId, sealed: &[u8], readable: bool) -> Result<(), StoreError> {
        self.connections.ask(TOUCH, |db| asked(key_use::mark_readable(db, pool, key, sealed, readable))).await
    }

    async fn record_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        self.connections.ask(WRITE, |db| asked(key_use::record(db, uses))).await
    }

    async fn usage(
        &self,
        owner: &Owner,
        provider: Option<&ProviderId>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<UsageBucket>, StoreError> {
        self.connections.ask(READ, |db| asked(usage::read(db, owner, provider, from, to))).await
    }

    async fn forget_usage(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.connections.ask(TOUCH, |db| asked(usage::forget(db, before))).await
    }

    async fn put_ailment(
        &self,
        pool: &PoolId,
        key: &KeyId,
        sealed: &[u8],
        change: &AilmentChange,
    ) -> Result<bool, StoreError> {
        self.connections.ask(WRITE, |db| asked(health::put_ailment(db, pool, key, sealed, change))).await
    }

    // What was claimed and not told, because the connection died, is claimed again when the claim is over.
    async fn claim_probes(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<ProbeClaim>, StoreError> {
        self.connections.ask(TOUCH, |db| asked(health::claim_probes(db, now, until, limit))).await
    }

    async fn data_key(&self, owner: &Owner) -> Result<Option<Vec<u8>>, StoreError> {
        self.connections.ask(READ, |db| asked(data_key::sealed(db, owner))).await
    }

    async fn add_webhook(&self, webhook: &Webhook, data_key: &DataKeyUse, act: &Act) -> Result<(), AddWebhookError> {
        self.connections.ask(WRITE, |db| asked(webhook::add(db, webhook, data_key, act))).await
    }

    async fn webhooks(&self, workspace: &WorkspaceId) -> Result<Vec<Webhook>, StoreError> {
        self.connections.ask(READ, |db| asked(webhook::all(db, workspace))).await
    }

    async fn delete_webhook(&self, workspace: &WorkspaceId, id: &WebhookId, act: &Act) -> Result<bool, StoreError> {
        self.connections.ask(WRITE, |db| asked(webhook::delete(db, workspace, id, act))).await
    }

    async fn announce(&self, workspace: &WorkspaceId, events: &[NewEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        self.connections.ask(WRITE, |db| asked(delivery::announce(db, workspace, events))).await
    }

    async fn claim_deliveries(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.connections.ask(TOUCH, |db| asked(delivery::claim(db, now, until, limit))).await
    }

    async fn end_delivery(&self, delivery: &Delivery, end: DeliveryEnd) -> Result<(), StoreError> {
        self.connections.ask(TOUCH, |db| asked(delivery::end(db, delivery, end))).await
    }

    async fn add_portal_link(&self, link: &PortalPass, act: &Act) -> Result<(), AddPortalLinkError> {
        self.connections.ask(WRITE, |db| asked(portal::add(db, link, act))).await
    }

    async fn portal_link(&self, workspace: &WorkspaceId, id: &TokenId) -> Result<Option<PortalPass>, StoreError> {
        self.connections.ask(READ, |db| asked(portal::one(db, Kind::Link, workspace, id))).await
    }

    async fn open_portal_link(&self, link: &PortalPass, session: &PortalPass, act: &Act) -> Result<bool, StoreError> {
        self.connections.ask(WRITE, |db| asked(portal::open(db, link, session, act))).await
    }

    async fn portal_session(&self, workspace: &WorkspaceId, id: &TokenId) -> Result<Option<PortalPass>, StoreError> {
        self.connections.ask(READ, |db| asked(portal::one(db, Kind::Session, workspace, id))).await
    }

    async fn portal_sessions(
        &self,
        workspace: &WorkspaceId,
        now: Timestamp,
        page: &Page<TokenId>,
    ) -> Result<Vec<PortalPass>, StoreError> {
        self.connections.ask(READ, |db| asked(portal::sessions(db, workspace, now, page))).await
    }

    async fn end_portal_session(&self, workspace: &WorkspaceId, id: &TokenId, act: &Act) -> Result<bool, StoreError> {
        self.connections.ask(WRITE, |db| asked(portal::end(db, workspace, id, act))).await
    }

    async fn forget_portal(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.connections.ask(TOUCH, |db| asked(portal::forget(db, before))).await
    }

    async fn audit_head(&self, owner: &Owner) -> Result<Option<AuditHead>, StoreError> {
        self.connections.ask(READ, |db| asked(audit::head(db, owner))).await
    }

    async fn audit_heads(&self, page: &Page<Owner>) -> Result<Vec<(Owner, AuditHead)>, StoreError> {
        self.connections.ask(READ, |db| asked(audit::heads(db, page))).await
    }

    async fn audit_owners(&self, page: &Page<Owner>) -> Result<Vec<Owner>, StoreError> {
        self.connections.ask(COUNT, |db| asked(audit::owners(db, page))).await
    }

    async fn audit_entries(&self, owner: &Owner, page: &Page<u64>) -> Result<Vec<AuditEntry>, StoreError> {
        self.connections.ask(READ, |db| asked(audit::after(db, owner, page))).await
    }

    async fn audit_log(
        &self,
        owner: &Owner,
        filter: &AuditFilter,
        from: u64,
        page: &Page<u64>,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.connections.ask(READ, |db| asked(audit::newest(db, owner, filter, from, page))).await
    }

    async fn audit_actors(&self, owner: &Owner, entries: u32, limit: u32) -> Result<Vec<String>, StoreError> {
        self.connections.ask(READ, |db| asked(audit::actors(db, owner, entries, limit))).await
    }

    async fn put_audit(&self, trails: &[TrailCopy]) -> Result<(), CopyError> {
        self.connections.ask(COPY_IN, |db| asked(audit::replace(db, trails))).await
    }

    async fn begin_console_session(&self, session: &ConsoleSession, act: &Act) -> Result<(), StoreError> {
        self.connections.ask(WRITE, |db| asked(console::begin(db, session, act))).await
    }

    async fn console_session(&self, id: &TokenId) -> Result<Option<ConsoleSession>, StoreError> {
        self.connections.ask(READ, |db| asked(console::one(db, id))).await
    }

    async fn console_sessions(&self, now: Timestamp, page: &Page<TokenId>) -> Result<Vec<ConsoleSession>, StoreError> {
        self.connections.ask(READ, |db| asked(console::page(db, now, page))).await
    }

    async fn end_console_session(&self, id: &TokenId, act: &Act) -> Result<bool, StoreError> {
        self.connections.ask(WRITE, |db| asked(console::end(db, id, act))).await
    }

    async fn forget_console(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.connections.ask(TOUCH, |db| asked(console::forget(db, before))).await
    }

    async fn counts_up_to(&self, most: u32) -> Result<Counts, StoreError> {
        self.connections.ask(READ, |db| asked(copy::counts_up_to(db, most))).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.connections.ask(COUNT, |db| asked(copy::counts(db))).await
    }

    async fn owners(&self, page: &Page<Owner>) -> Result<Vec<OwnerCopy>, StoreError> {
        self.connections.ask(COPY_OUT, |db| asked(copy::owners(db, page))).await
    }

    async fn put_owners(&self, owners: &[OwnerCopy]) -> Result<(), CopyError> {
        self.connections.ask(COPY_IN, |db| asked(copy::put_owners(db, owners))).await
    }

    async fn watch(&self, sink: Arc<dyn ChangeSink>) -> StoreError {
        watch::watch(&self.connections, &self.listening, &*sink).await
    }

    async fn close(&self) {
        self.connections.close().await;
    }
}
