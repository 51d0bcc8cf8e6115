//! Claviger's store on embedded SQLite: one file, no server, safe for several processes on one machine.
//!
//! One connection writes, and begins every transaction by taking the write lock, so that what a transaction checked
//! holds until it commits. Several others read, and never wait for the writer. The rules that must hold whatever
//! happens are constraints of the schema, in `migrations/`; there they hold against SQL written by hand, too.

mod audit;
mod change;
mod console;
mod copy;
mod data_key;
mod delivery;
mod error;
#[cfg(test)]
mod faults;
mod file;
mod found;
mod health;
mod installation;
mod key;
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
mod token;
mod usage;
mod wal;
mod webhook;
mod workspace;

use std::fmt;
use std::path::Path;
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
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::{on_read, on_write};
use crate::file::Opened;
use crate::portal::Kind;

pub use crate::found::SqliteFound;

/// A store in one SQLite file.
pub struct SqliteStore {
    file: Opened,
    writer: SqlitePool,
    readers: SqlitePool,
    writing: SqliteConnectOptions,
}

impl SqliteStore {
    /// Looks whose file this is, and changes nothing. Where there is no file, one may be made.
    pub async fn find(path: &Path) -> Result<SqliteFound, OpenStoreError> {
        found::find(path).await
    }

    /// Opens the file, or makes it, readable for its owner only; its folder must exist. The schema is brought up to
    /// date.
    pub async fn open(path: &Path) -> Result<Self, OpenStoreError> {
        Self::find(path).await?.open().await
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.file.is_in_place()?;
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(on_write)
    }
}

async fn commit(write: Transaction<'static, Sqlite>) -> Result<(), StoreError> {
    write.commit().await.map_err(on_write)
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("file", &self.file).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.file.is_in_place()?;
        installation::canary(&self.readers).await.map(drop)
    }

    async fn canary(&self) -> Result<Option<Vec<u8>>, StoreError> {
        installation::canary(&self.readers).await
    }

    async fn put_canary_if_absent(&self, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut write = self.begin().await?;
        let stored = installation::put_canary_if_absent(&mut write, sealed).await?;
        commit(write).await?;
        Ok(stored)
    }

    async fn root_token_hash(&self) -> Result<Option<[u8; 32]>, StoreError> {
        installation::root_token_hash(&self.readers).await
    }

    async fn put_root_token_hash_if_absent(&self, hash: &[u8; 32]) -> Result<[u8; 32], StoreError> {
        let mut write = self.begin().await?;
        let stored = installation::put_root_token_hash_if_absent(&mut write, hash).await?;
        commit(write).await?;
        Ok(stored)
    }

    async fn put_organization(&self, change: &OrganizationChange, act: &Act) -> Result<Organization, StoreError> {
        let mut write = self.begin().await?;
        let stored = organization::put(&mut write, change, act).await?;
        commit(write).await?;
        Ok(stored)
    }

    async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>, StoreError> {
        organization::one(&self.readers, id).await
    }

    async fn organizations(&self, page: &Page<OrganizationId>) -> Result<Vec<Organization>, StoreError> {
        organization::page(&self.readers, page).await
    }

    async fn delete_organization(&self, id: &OrganizationId, act: &Act) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let deleted = organization::delete(&mut write, id, act).await?;
        commit(write).await?;
        if deleted {
            wal::forget(&self.writing).await;
        }
        Ok(deleted)
    }

    async fn put_workspace(&self, change: &WorkspaceChange, act: &Act) -> Result<Workspace, PutWorkspaceError> {
        let mut write = self.begin().await?;
        let stored = workspace::put(&mut write, change, act).await?;
        commit(write).await?;
        Ok(stored)
    }

    async fn workspace(&self, id: &WorkspaceId) -> Result<Option<Workspace>, StoreError> {
        workspace::one(&self.readers, id).await
    }

    async fn workspaces(&self, page: &Page<WorkspaceId>) -> Result<Vec<Workspace>, StoreError> {
        workspace::page(&self.readers, page).await
    }

    async fn workspaces_by_id(&self, prefix: &str, page: &Page<WorkspaceId>) -> Result<Vec<Workspace>, StoreError> {
        workspace::page_by_id(&self.readers, prefix, page).await
    }

    async fn workspaces_by_name(
        &self,
        prefix: &str,
        page: &Page<(String, WorkspaceId)>,
    ) -> Result<Vec<Workspace>, StoreError> {
        workspace::page_by_name(&self.readers, prefix, page).await
    }

    async fn workspaces_of(
        &self,
        organization: &OrganizationId,
        page: &Page<WorkspaceId>,
    ) -> Result<Vec<Workspace>, StoreError> {
        workspace::page_of(&self.readers, organization, page).await
    }

    async fn delete_workspace(&self, id: &WorkspaceId, act: &Act) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let deleted = workspace::delete(&mut write, id, act).await?;
        commit(write).await?;
        if deleted {
            wal::forget(&self.writing).await;
        }
        Ok(deleted)
    }

    async fn insert_token(&self, token: &TokenRecord, act: &Act) -> Result<(), InsertTokenError> {
        let mut write = self.begin().await?;
        token::insert(&mut write, token, act).await?;
        commit(write).await?;
        Ok(())
    }

    async fn token(&self, id: &str) -> Result<Option<TokenRecord>, StoreError> {
        token::one(&self.readers, id).await
    }

    async fn tokens(
        &self,
        workspace: Option<&WorkspaceId>,
        page: &Page<TokenId>,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        token::page(&self.readers, workspace, page).await
    }

    async fn delete_token(&self, id: &TokenId, act: &Act) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let deleted = token::delete(&mut write, id, act).await?;
        commit(write).await?;
        Ok(deleted)
    }

    async fn keys(&self, owner: &Owner) -> Result<Vec<KeyRecord>, StoreError> {
        key::all(&self.readers, owner).await
    }

    async fn pool(&self, pool: &PoolId) -> Result<PoolRecord, StoreError> {
        pool::read(&self.readers, pool).await
    }

    async fn add_key(&self, pool: &PoolId, key: &NewKey, act: &Act) -> Result<KeyRecord, AddKeyError> {
        let mut write = self.begin().await?;
        let added = key::add(&mut write, pool, key, act).await?;
        commit(write).await?;
        Ok(added)
    }

    async fn replace_key(
        &self,
        pool: &PoolId,
        key: &KeyId,
        replacement: &KeyReplacement,
        act: &Act,
    ) -> Result<KeyRecord, ReplaceKeyError> {
        let mut write = self.begin().await?;
        let replaced = key::replace(&mut write, pool, key, replacement, act).await?;
        commit(write).await?;
        wal::forget(&self.writing).await;
        Ok(replaced)
    }

    async fn change_key(
        &self,
        owner: &Owner,
        key: &KeyId,
        change: &KeyChange,
        act: &Act,
    ) -> Result<KeyRecord, ChangeKeyError> {
        let mut write = self.begin().await?;
        let changed = key::change(&mut write, owner, key, change, act).await?;
        commit(write).await?;
        Ok(changed)
    }

    async fn delete_key(&self, pool: &PoolId, key: &KeyId, act: &Act) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let deleted = key::delete(&mut write, pool, key, act).await?;
        commit(write).await?;
        if deleted {
            wal::forget(&self.writing).await;
        }
        Ok(deleted)
    }

    async fn delete_keys(&self, pool: &PoolId, act: &Act) -> Result<u64, StoreError> {
        let mut write = self.begin().await?;
        let deleted = key::delete_all(&mut write, pool, act).await?;
        commit(write).await?;
        if deleted > 0 {
            wal::forget(&self.writing).await;
        }
        Ok(deleted)
    }

    async fn mark_readable(&self, pool: &PoolId, key: &KeyId, sealed: &[u8], readable: bool) -> Result<(), StoreError> {
        let mut write = self.begin().await?;
        key::mark_readable(&mut write, pool, key, sealed, readable).await?;
        commit(write).await
    }

    async fn record_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        let mut write = self.begin().await?;
        for used in uses {
            usage::record(&mut write, used).await?;
        }
        commit(write).await
    }

    async fn usage(
        &self,
        owner: &Owner,
        provider: Option<&ProviderId>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<UsageBucket>, StoreError> {
        usage::read(&self.readers, owner, provider, from, to).await
    }

    async fn forget_usage(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut write = self.begin().await?;
        let forgotten = usage::forget(&mut write, before).await?;
        commit(write).await?;
        Ok(forgotten)
    }

    async fn put_ailment(
        &self,
        pool: &PoolId,
        key: &KeyId,
        sealed: &[u8],
        change: &AilmentChange,
    ) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let changed = health::put_ailment(&mut write, pool, key, sealed, change).await?;
        commit(write).await?;
        Ok(changed)
    }

    async fn claim_probes(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<ProbeClaim>, StoreError> {
        let mut write = self.begin().await?;
        let claims = health::claim_probes(&mut write, now, until, limit).await?;
        commit(write).await?;
        Ok(claims)
    }

    async fn data_key(&self, owner: &Owner) -> Result<Option<Vec<u8>>, StoreError> {
        data_key::sealed(&self.readers, owner).await
    }

    async fn add_webhook(&self, webhook: &Webhook, data_key: &DataKeyUse, act: &Act) -> Result<(), AddWebhookError> {
        let mut write = self.begin().await?;
        webhook::add(&mut write, webhook, data_key, act).await?;
        commit(write).await?;
        Ok(())
    }

    async fn webhooks(&self, workspace: &WorkspaceId) -> Result<Vec<Webhook>, StoreError> {
        webhook::all(&self.readers, workspace).await
    }

    async fn delete_webhook(&self, workspace: &WorkspaceId, id: &WebhookId, act: &Act) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let deleted = webhook::delete(&mut write, workspace, id, act).await?;
        commit(write).await?;
        if deleted {
            wal::forget(&self.writing).await;
        }
        Ok(deleted)
    }

    async fn announce(&self, workspace: &WorkspaceId, events: &[NewEvent]) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let mut write = self.begin().await?;
        delivery::put(&mut write, workspace, events).await?;
        commit(write).await
    }

    async fn claim_deliveries(
        &self,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut write = self.begin().await?;
        let claimed = delivery::claim(&mut write, now, until, limit).await?;
        commit(write).await?;
        Ok(claimed)
    }

    async fn end_delivery(&self, delivery: &Delivery, end: DeliveryEnd) -> Result<(), StoreError> {
        let mut write = self.begin().await?;
        delivery::end(&mut write, delivery, end).await?;
        commit(write).await
    }

    async fn add_portal_link(&self, link: &PortalPass, act: &Act) -> Result<(), AddPortalLinkError> {
        let mut write = self.begin().await?;
        portal::add(&mut write, link, act).await?;
        commit(write).await?;
        Ok(())
    }

    async fn portal_link(&self, workspace: &WorkspaceId, id: &TokenId) -> Result<Option<PortalPass>, StoreError> {
        portal::one(&self.readers, Kind::Link, workspace, id).await
    }

    async fn open_portal_link(&self, link: &PortalPass, session: &PortalPass, act: &Act) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let done = portal::open(&mut write, link, session, act).await?;
        commit(write).await?;
        Ok(done)
    }

    async fn portal_session(&self, workspace: &WorkspaceId, id: &TokenId) -> Result<Option<PortalPass>, StoreError> {
        portal::one(&self.readers, Kind::Session, workspace, id).await
    }

    async fn portal_sessions(
        &self,
        workspace: &WorkspaceId,
        now: Timestamp,
        page: &Page<TokenId>,
    ) -> Result<Vec<PortalPass>, StoreError> {
        portal::sessions(&self.readers, workspace, now, page).await
    }

    async fn end_portal_session(&self, workspace: &WorkspaceId, id: &TokenId, act: &Act) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let done = portal::end(&mut write, workspace, id, act).await?;
        commit(write).await?;
        Ok(done)
    }

    async fn forget_portal(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut write = self.begin().await?;
        let done = portal::forget(&mut write, before).await?;
        commit(write).await?;
        Ok(done)
    }

    async fn audit_head(&self, owner: &Owner) -> Result<Option<AuditHead>, StoreError> {
        audit::head(&self.readers, owner).await
    }

    async fn audit_heads(&self, page: &Page<Owner>) -> Result<Vec<(Owner, AuditHead)>, StoreError> {
        audit::heads(&self.readers, page).await
    }

    async fn audit_owners(&self, page: &Page<Owner>) -> Result<Vec<Owner>, StoreError> {
        audit::owners(&self.readers, page).await
    }

    async fn audit_entries(&self, owner: &Owner, page: &Page<u64>) -> Result<Vec<AuditEntry>, StoreError> {
        audit::after(&self.readers, owner, page).await
    }

    async fn audit_log(
        &self,
        owner: &Owner,
        filter: &AuditFilter,
        from: u64,
        page: &Page<u64>,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        audit::newest(&self.readers, owner, filter, from, page).await
    }

    async fn audit_actors(&self, owner: &Owner, entries: u32, limit: u32) -> Result<Vec<String>, StoreError> {
        audit::actors(&self.readers, owner, entries, limit).await
    }

    async fn put_audit(&self, trails: &[TrailCopy]) -> Result<(), CopyError> {
        let mut write = self.begin().await?;
        for trail in trails {
            audit::replace(&mut write, trail).await?;
        }
        Ok(commit(write).await?)
    }

    async fn begin_console_session(&self, session: &ConsoleSession, act: &Act) -> Result<(), StoreError> {
        let mut write = self.begin().await?;
        console::begin(&mut write, session, act).await?;
        commit(write).await
    }

    async fn console_session(&self, id: &TokenId) -> Result<Option<ConsoleSession>, StoreError> {
        console::one(&self.readers, id).await
    }

    async fn console_sessions(&self, now: Timestamp, page: &Page<TokenId>) -> Result<Vec<ConsoleSession>, StoreError> {
        console::page(&self.readers, now, page).await
    }

    async fn end_console_session(&self, id: &TokenId, act: &Act) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let ended = console::end(&mut write, id, act).await?;
        commit(write).await?;
        Ok(ended)
    }

    async fn forget_console(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut write = self.begin().await?;
        let forgotten = console::forget(&mut write, before).await?;
        commit(write).await?;
        Ok(forgotten)
    }

    async fn counts_up_to(&self, most: u32) -> Result<Counts, StoreError> {
        copy::counts_up_to(&self.readers, most).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        copy::counts(&self.readers).await
    }

    async fn owners(&self, page: &Page<Owner>) -> Result<Vec<OwnerCopy>, StoreError> {
        let mut read = self.readers.begin().await.map_err(on_read)?;
        let copies = copy::page(&mut read, page).await?;
        read.commit().await.map_err(on_read)?;
        Ok(copies)
    }

    async fn put_owners(&self, owners: &[OwnerCopy]) -> Result<(), CopyError> {
        if owners.is_empty() {
            return Ok(());
        }
        let mut write = self.begin().await?;
        let replaced = copy::put(&mut write, owners).await?;
        commit(write).await?;
        if replaced {
            wal::forget(&self.writing).await;
        }
        Ok(())
    }

    async fn watch(&self, sink: Arc<dyn ChangeSink>) -> StoreError {
        change::watch(&self.readers, sink).await
    }

    /// The log of writes stays beside the file where this is not called.
    async fn close(&self) {
        // The writer last: the last connection to close moves the log into the file.
        self.readers.close().await;
        self.writer.close().await;
    }
}
