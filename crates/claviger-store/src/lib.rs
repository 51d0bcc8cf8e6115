//! What Claviger asks of a database.
//!
//! Every method is one transaction: it happens as a whole or not at all. A method that takes an [`Act`] enters what it
//! changed in its owner's audit trail, in that transaction; where it changes nothing, or refuses, it enters nothing. A store holds sealed bytes and cannot open
//! them. Rules that no concurrency may break (ten keys a pool, no secret twice in a pool, a key belongs to an owner that
//! exists) are the database's own constraints, and come back as the error variants below.

mod ailment;
mod audit;
pub mod contract;
mod copy;
mod error;
mod node;
mod records;
mod reseal;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use claviger_core::audit::{Act, AuditEntry, AuditHead};
use claviger_core::owner::PoolId;
use claviger_core::{KeyId, OrganizationId, Owner, ProviderId, Timestamp, TokenId, WebhookId, WorkspaceId};

pub use ailment::{AilmentChange, AilmentStep};
pub use audit::{AuditFilter, Deed, TrailCopy};
pub use copy::{CopyError, Counts, DataKeyCopy, KeyCopy, OwnerCopy, OwnerKindCopy, PoolCopy};
pub use error::{
    AddKeyError, AddPortalLinkError, AddWebhookError, ChangeKeyError, InsertTokenError, OpenStoreError,
    PutWorkspaceError, ReplaceKeyError, StoreError,
};
pub use node::{NODE_LEASE, Node, Nodes, NodesWithoutIt, Replaced, RunningNode};
pub use records::{
    ConsoleSession, DataKeyUse, Delivery, DeliveryEnd, KeyChange, KeyRecord, KeyReplacement, KeyUse, MAX_DOMAIN_LENGTH,
    NewEvent, NewKey, Organization, OrganizationChange, Page, PoolKey, PoolOwner, PoolRecord, PortalGrant, PortalPass,
    ProbeClaim, TokenRecord, UsageBucket, UseCounts, Webhook, Workspace, WorkspaceChange,
};
pub use reseal::{Rekey, RekeyedKey, RekeyedWebhook, Resealing, SealedDataKey};

/// How many webhooks a workspace may have.
pub const WEBHOOK_CAPACITY: usize = 10;

/// How many hours [`Store::forget_usage`] forgets at once, at most.
pub const USAGE_PORTION: u32 = 5_000;

/// How many links and sessions of the portal [`Store::forget_portal`] forgets at once, at most.
pub const PORTAL_PORTION: u32 = 1_000;

/// Something that changed, so that what is kept of it in memory must go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// The keys of one pool.
    Pool(PoolId),
    /// One token.
    Token(TokenId),
    /// A workspace as such: it came, went, or belongs elsewhere now. Everything kept of it must go.
    Workspace(WorkspaceId),
    /// An organization as such: it came, went, or was switched on or off. Everything kept of it must go, and all that is
    /// kept of workspaces that belong to it.
    Organization(OrganizationId),
    /// More than can be named.
    Everything,
}

/// Who wants to hear of changes.
pub trait ChangeSink: Send + Sync {
    /// Something changed. Called after the change was committed, at least once, possibly more often.
    fn changed(&self, change: &Change);

    /// Now, for [`ChangeSink::heard`]: the time since some fixed moment, by a clock that never jumps.
    fn now(&self) -> Duration;

    /// A proof of hearing: every change that was committed before this moment has been told.
    fn heard(&self, until: Duration);
}

/// A database that was found and recognised, and in which nothing was changed yet.
#[async_trait]
pub trait Found: Send + Sync {
    /// The sealed canary, where there is one: by it a master key is proven before anything is changed.
    fn canary(&self) -> Option<&[u8]>;

    /// Whether the schema is the one that this version works with, so that bringing it up to date changes nothing. False
    /// for an older schema, and where there is none yet.
    fn is_up_to_date(&self) -> bool;

    /// Brings the schema up to date, and opens the database.
    async fn bring_up_to_date(self: Box<Self>) -> Result<Arc<dyn Store>, OpenStoreError>;
}

/// The database.
#[async_trait]
pub trait Store: Resealing + Nodes + Send + Sync + fmt::Debug {
    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The sealed canary, once one was stored.
    async fn canary(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Stores the canary unless there is one; answers the one that is stored afterwards.
    async fn put_canary_if_absent(&self, sealed: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// The hash of the root token that was made at the first start.
    async fn root_token_hash(&self) -> Result<Option<[u8; 32]>, StoreError>;

    /// Stores the root token's hash unless there is one; answers the one that is stored afterwards.
    async fn put_root_token_hash_if_absent(&self, hash: &[u8; 32]) -> Result<[u8; 32], StoreError>;

    /// Makes an organization, or changes what the caller names of it.
    async fn put_organization(&self, change: &OrganizationChange, act: &Act) -> Result<Organization, StoreError>;

    /// One organization.
    async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>, StoreError>;

    /// Organizations by id, after the page's cursor.
    async fn organizations(&self, page: &Page<OrganizationId>) -> Result<Vec<Organization>, StoreError>;

    /// Deletes an organization with its data key and keys; its workspaces stay, and belong to none, which each one's
    /// audit trail says. False where there was none.
    async fn delete_organization(&self, id: &OrganizationId, act: &Act) -> Result<bool, StoreError>;

    /// Makes a workspace, or changes what the caller names of it.
    async fn put_workspace(&self, change: &WorkspaceChange, act: &Act) -> Result<Workspace, PutWorkspaceError>;

    /// One workspace.
    async fn workspace(&self, id: &WorkspaceId) -> Result<Option<Workspace>, StoreError>;

    /// Workspaces by id, after the page's cursor.
    async fn workspaces(&self, page: &Page<WorkspaceId>) -> Result<Vec<Workspace>, StoreError>;

    /// Workspaces whose id begins so, by id, after the page's cursor.
    async fn workspaces_by_id(&self, prefix: &str, page: &Page<WorkspaceId>) -> Result<Vec<Workspace>, StoreError>;

    /// Workspaces whose name begins so, whatever the case of ASCII's letters: by name, in lower case, and id, after the
    /// page's cursor, which is both of the last one.
    async fn workspaces_by_name(
        &self,
        prefix: &str,
        page: &Page<(String, WorkspaceId)>,
    ) -> Result<Vec<Workspace>, StoreError>;

    /// The workspaces of an organization by id, after the page's cursor.
    async fn workspaces_of(
        &self,
        organization: &OrganizationId,
        page: &Page<WorkspaceId>,
    ) -> Result<Vec<Workspace>, StoreError>;

    /// Deletes a workspace with its data key, keys and tokens. False where there was none.
    async fn delete_workspace(&self, id: &WorkspaceId, act: &Act) -> Result<bool, StoreError>;

    /// Stores a new token.
    async fn insert_token(&self, token: &TokenRecord, act: &Act) -> Result<(), InsertTokenError>;

    /// One token.
    async fn token(&self, id: &str) -> Result<Option<TokenRecord>, StoreError>;

    /// Tokens by id, after the page's cursor; of one workspace, or all.
    async fn tokens(
        &self,
        workspace: Option<&WorkspaceId>,
        page: &Page<TokenId>,
    ) -> Result<Vec<TokenRecord>, StoreError>;

    /// Deletes a token. False where there was none.
    async fn delete_token(&self, id: &TokenId, act: &Act) -> Result<bool, StoreError>;

    /// An owner's keys, by provider's id and then creation order, without their sealed secrets.
    async fn keys(&self, owner: &Owner) -> Result<Vec<KeyRecord>, StoreError>;

    /// One pool as rotation needs it: one read gives whether the owner exists, its data key, and the pool's keys in
    /// creation order.
    async fn pool(&self, pool: &PoolId) -> Result<PoolRecord, StoreError>;

    /// Adds a key at the end of its pool.
    async fn add_key(&self, pool: &PoolId, key: &NewKey, act: &Act) -> Result<KeyRecord, AddKeyError>;

    /// Replaces a key's secret. Its place in the rotation and its counts stay; it counts as readable again, nothing ails
    /// it, and its domain is not known any more.
    async fn replace_key(
        &self,
        pool: &PoolId,
        key: &KeyId,
        replacement: &KeyReplacement,
        act: &Act,
    ) -> Result<KeyRecord, ReplaceKeyError>;

    /// Renames a key or switches it on or off.
    async fn change_key(
        &self,
        owner: &Owner,
        key: &KeyId,
        change: &KeyChange,
        act: &Act,
    ) -> Result<KeyRecord, ChangeKeyError>;

    /// Deletes one key. False where the pool has no such key.
    async fn delete_key(&self, pool: &PoolId, key: &KeyId, act: &Act) -> Result<bool, StoreError>;

    /// Deletes all keys of a pool; answers how many there were.
    async fn delete_keys(&self, pool: &PoolId, act: &Act) -> Result<u64, StoreError>;

    /// Notes whether a key opens, unless its secret was replaced since `sealed` was read. (Changes nothing that a pool in
    /// memory is made of, so it announces no change.)
    async fn mark_readable(&self, pool: &PoolId, key: &KeyId, sealed: &[u8], readable: bool) -> Result<(), StoreError>;

    /// Notes when keys were used last, adds how their requests ended, by key and by key and hour, and notes domains where
    /// they are named. Never moves a date back; keys that are gone are passed over. Done twice, it adds twice; but it
    /// happens as a whole or not at all.
    async fn record_uses(&self, uses: &[KeyUse]) -> Result<(), StoreError>;

    /// How the requests of an owner's keys ended, by the hour: of one provider or all, of the hours that began at `from`
    /// or later and before `to`. By the hour and then the key's id; hours without requests are missing. A key takes its
    /// hours along when it goes.
    async fn usage(
        &self,
        owner: &Owner,
        provider: Option<&ProviderId>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<UsageBucket>, StoreError>;

    /// Forgets hours that began before this, of all owners: at most [`USAGE_PORTION`], so that nobody waits long for it.
    /// Answers how many; 0 once there is nothing left to forget.
    async fn forget_usage(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Notes what ails a key or that it is well again, unless its secret was replaced since `sealed` was read. Nodes may
    /// say so at once and late, so the later `since` wins: an ailment never takes the place of one with a later `since`,
    /// one of the same kind never brings `until` forward, and healing ends only what was there when its request began.
    ///
    /// True where something is different now. Then the claim of a probe ends, the change is announced like any of the
    /// pool's, and, where an ailment of another kind began or one ended, the webhooks of the workspace are told of the
    /// events in the same transaction. (Of several nodes that find the same ailment, one tells. Keys of organizations
    /// and of the platform have no webhooks to tell.) It is no change of the pool's keys, so its generation stays.
    async fn put_ailment(
        &self,
        pool: &PoolId,
        key: &KeyId,
        sealed: &[u8],
        change: &AilmentChange,
    ) -> Result<bool, StoreError>;

    /// Takes rejected keys whose rest is over, those that wait longest first, so that nobody else gets them before
    /// `until`, or before what was found out is put. Only keys that are switched on and open.
    async fn claim_probes(&self, now: Timestamp, until: Timestamp, limit: u32) -> Result<Vec<ProbeClaim>, StoreError>;

    /// An owner's sealed data key, once it has one.
    async fn data_key(&self, owner: &Owner) -> Result<Option<Vec<u8>>, StoreError>;

    /// Adds a webhook, whose secret was sealed with this data key.
    async fn add_webhook(&self, webhook: &Webhook, data_key: &DataKeyUse, act: &Act) -> Result<(), AddWebhookError>;

    /// A workspace's webhooks, by id.
    async fn webhooks(&self, workspace: &WorkspaceId) -> Result<Vec<Webhook>, StoreError>;

    /// Deletes a webhook with all that is on its way to it. False where the workspace has no such webhook.
    async fn delete_webhook(&self, workspace: &WorkspaceId, id: &WebhookId, act: &Act) -> Result<bool, StoreError>;

    /// Tells a workspace's webhooks of events: each those that it wants, once, however often this is called with them.
    async fn announce(&self, workspace: &WorkspaceId, events: &[NewEvent]) -> Result<(), StoreError>;

    /// Takes deliveries that are due, those that wait longest first, so that nobody else gets them before `until`. One
    /// that nobody ended by then is taken again: every event is delivered once or more often.
    async fn claim_deliveries(&self, now: Timestamp, until: Timestamp, limit: u32)
    -> Result<Vec<Delivery>, StoreError>;

    /// Ends an attempt. A failure of an attempt that took longer than its claim says nothing: the delivery is another
    /// node's by then.
    async fn end_delivery(&self, delivery: &Delivery, end: DeliveryEnd) -> Result<(), StoreError>;

    /// Stores a link to the portal.
    async fn add_portal_link(&self, link: &PortalPass, act: &Act) -> Result<(), AddPortalLinkError>;

    /// One link to the portal, unless it was used.
    async fn portal_link(&self, workspace: &WorkspaceId, id: &TokenId) -> Result<Option<PortalPass>, StoreError>;

    /// Uses a link up, and begins a session in its place: of several that do so at once, one does. False where the link
    /// is not there any more, or has expired when the session begins.
    async fn open_portal_link(&self, link: &PortalPass, session: &PortalPass, act: &Act) -> Result<bool, StoreError>;

    /// One session of the portal, also one that has expired.
    async fn portal_session(&self, workspace: &WorkspaceId, id: &TokenId) -> Result<Option<PortalPass>, StoreError>;

    /// A workspace's sessions of the portal that have not expired, by id, after the page's cursor.
    async fn portal_sessions(
        &self,
        workspace: &WorkspaceId,
        now: Timestamp,
        page: &Page<TokenId>,
    ) -> Result<Vec<PortalPass>, StoreError>;

    /// Ends a session of the portal. False where the workspace has no such session.
    async fn end_portal_session(&self, workspace: &WorkspaceId, id: &TokenId, act: &Act) -> Result<bool, StoreError>;

    /// Forgets links and sessions of the portal that expired before this, the oldest first and at most
    /// [`PORTAL_PORTION`]; answers how many.
    async fn forget_portal(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Where an owner's audit trail ends; `None` while it has no entry. Also for owners that are gone.
    async fn audit_head(&self, owner: &Owner) -> Result<Option<AuditHead>, StoreError>;

    /// The heads of all audit trails, by owner (`organization`, `platform`, `workspace`, and id), after the page's cursor.
    async fn audit_heads(&self, page: &Page<Owner>) -> Result<Vec<(Owner, AuditHead)>, StoreError>;

    /// Whoever has entries or a head, by kind and id, after the page's cursor: to find trails that lack either.
    async fn audit_owners(&self, page: &Page<Owner>) -> Result<Vec<Owner>, StoreError>;

    /// An owner's audit trail, the oldest entry first, after the entry that the page's cursor numbers.
    async fn audit_entries(&self, owner: &Owner, page: &Page<u64>) -> Result<Vec<AuditEntry>, StoreError>;

    /// An owner's audit trail, the newest entry first, before the entry that the page's cursor numbers, and from entry
    /// `from` on: what is looked through is bounded by the two, whatever is filtered out.
    async fn audit_log(
        &self,
        owner: &Owner,
        filter: &AuditFilter,
        from: u64,
        page: &Page<u64>,
    ) -> Result<Vec<AuditEntry>, StoreError>;

    /// Who made the newest `entries` entries of an owner's audit trail, those who acted last first.
    async fn audit_actors(&self, owner: &Owner, entries: u32, limit: u32) -> Result<Vec<String>, StoreError>;

    /// Stores entries of owners' audit trails as they are, and moves the heads to the last of each: all or none. Refused
    /// where a trail does not end as it did when it was looked at, so that no entry of anybody else's is lost unseen.
    /// For copying a whole deployment; each owner is named once.
    async fn put_audit(&self, trails: &[TrailCopy]) -> Result<(), CopyError>;

    /// Stores a session of the console.
    async fn begin_console_session(&self, session: &ConsoleSession, act: &Act) -> Result<(), StoreError>;

    /// One session of the console, also one that has expired.
    async fn console_session(&self, id: &TokenId) -> Result<Option<ConsoleSession>, StoreError>;

    /// The sessions of the console that have not expired, by id, after the page's cursor.
    async fn console_sessions(&self, now: Timestamp, page: &Page<TokenId>) -> Result<Vec<ConsoleSession>, StoreError>;

    /// Ends a session of the console. False where there is none.
    async fn end_console_session(&self, id: &TokenId, act: &Act) -> Result<bool, StoreError>;

    /// Forgets sessions of the console that expired before this; answers how many. They are few: only the holder of the
    /// root token begins any.
    async fn forget_console(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// How many there are of everything, where each count ends at `most`, so that it costs no more however many there
    /// are.
    async fn counts_up_to(&self, most: u32) -> Result<Counts, StoreError>;

    /// How many there are of everything.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// Owners with everything that belongs to them, by kind (`organization`, `platform`, `workspace`) and id, after the
    /// page's cursor. For copying a whole deployment.
    async fn owners(&self, page: &Page<Owner>) -> Result<Vec<OwnerCopy>, StoreError>;

    /// Stores owners with everything that belongs to them, in the place of whatever was there of them: all or none.
    async fn put_owners(&self, owners: &[OwnerCopy]) -> Result<(), CopyError>;

    /// Tells the sink of every change that another process commits, as long as the future is polled; the store's own
    /// changes may be told too. Begins with [`Change::Everything`], from where on nothing is missed, and proves again
    /// and again that it hears ([`ChangeSink::heard`]), once a second or more often. Ends only with an error: then the
    /// caller hears nothing until it watches again.
    async fn watch(&self, sink: Arc<dyn ChangeSink>) -> StoreError;

    /// Waits for what is under way, and lets go of the database. Calls made later fail. A store that is dropped without
    /// this loses nothing.
    async fn close(&self);
}
