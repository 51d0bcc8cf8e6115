//! What goes into the database and comes out of it.

use std::ops::AddAssign;

use claviger_core::access::TokenRole;
use claviger_core::health::Ailment;
use claviger_core::owner::PoolId;
use claviger_core::pool::Position;
use claviger_core::portal::{PortalMode, PortalRole};
use claviger_core::{
    EventId, KeyId, KeyName, KeyStatus, OrganizationId, ProviderId, Timestamp, TokenId, WebhookId, WorkspaceId,
};

/// A part of a long list: what comes after a place, at most so many.
#[derive(Clone, Debug)]
pub struct Page<Id> {
    /// The last id of the page before; `None` for the first page.
    pub after: Option<Id>,
    /// How many at most.
    pub limit: u32,
}

/// A tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workspace {
    /// The caller's own id.
    pub id: WorkspaceId,
    /// A name for people.
    pub name: Option<String>,
    /// The organization whose keys it inherits.
    pub organization_id: Option<OrganizationId>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What to make of a workspace. An outer `None` leaves a field as it is, an inner one clears it.
#[derive(Clone, Debug)]
pub struct WorkspaceChange {
    /// Which workspace.
    pub id: WorkspaceId,
    /// Its name.
    pub name: Option<Option<String>>,
    /// The organization it belongs to.
    pub organization: Option<Option<OrganizationId>>,
    /// Now: when it was made, if it is made.
    pub at: Timestamp,
}

/// A parent of workspaces, whose keys they inherit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Organization {
    /// The caller's own id.
    pub id: OrganizationId,
    /// A name for people.
    pub name: Option<String>,
    /// Whether it lends its keys to its workspaces.
    pub keys_enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What to make of an organization. An outer `None` leaves a field as it is, an inner one clears it.
#[derive(Clone, Debug)]
pub struct OrganizationChange {
    /// Which organization.
    pub id: OrganizationId,
    /// Its name.
    pub name: Option<Option<String>>,
    /// Whether it lends its keys; a new one does.
    pub keys_enabled: Option<bool>,
    /// Now: when it was made, if it is made.
    pub at: Timestamp,
}

/// A token, as stored: without its secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenRecord {
    /// The public id.
    pub id: TokenId,
    /// The hash of the whole token.
    pub hash: [u8; 32],
    /// A name for people.
    pub name: String,
    /// What it is for.
    pub role: TokenRole,
    /// The workspace it belongs to, for roles of one workspace.
    pub workspace: Option<WorkspaceId>,
    /// Whether it may see keys in plain text.
    pub reveal: bool,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A key, as shown: without its sealed secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyRecord {
    /// The key's id.
    pub id: KeyId,
    /// Whose API it opens.
    pub provider: ProviderId,
    /// A name for people.
    pub name: Option<KeyName>,
    /// The mask, computed when the secret was stored.
    pub masked: String,
    /// Whether it takes part in rotation.
    pub enabled: bool,
    /// Whether it opens. What else ails it stands beside.
    pub status: KeyStatus,
    /// What ails it, as far as that outlives a process.
    pub ailment: Option<Ailment>,
    /// The account whose limits it shares, in the provider's words.
    pub domain: Option<String>,
    /// How its requests ended since it was added.
    pub counts: UseCounts,
    /// Who added it, in the words of the caller.
    pub created_by: Option<String>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When its secret, name or switch was changed last.
    pub updated_at: Timestamp,
    /// When it served last.
    pub last_used_at: Option<Timestamp>,
}

/// A pool, as rotation needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolRecord {
    /// What rotation needs to know of the owner; `None` where it does not exist.
    pub owner: Option<PoolOwner>,
    /// The owner's sealed data key, once it has one.
    pub data_key: Option<Vec<u8>>,
    /// The keys in creation order.
    pub keys: Vec<PoolKey>,
}

/// An owner, as rotation needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PoolOwner {
    /// A workspace, with the organization whose keys it inherits.
    Workspace(Option<OrganizationId>),
    /// An organization, and whether it lends its keys.
    Organization {
        /// Whether it lends its keys to its workspaces.
        keys_enabled: bool,
    },
    /// The operator. Always exists.
    Platform,
}

/// A key of a pool, as rotation needs it.
#[derive(Clone, PartialEq, Eq)]
pub struct PoolKey {
    /// The key's id.
    pub id: KeyId,
    /// Its place in creation order.
    pub position: Position,
    /// Whether it takes part in rotation.
    pub enabled: bool,
    /// Whether it was found not to open.
    pub unreadable: bool,
    /// What ails it, as far as that outlives a process.
    pub ailment: Option<Ailment>,
    /// The account whose limits it shares, in the provider's words.
    pub domain: Option<String>,
    /// The sealed secret.
    pub sealed: Vec<u8>,
    /// Tells equal secrets.
    pub fingerprint: [u8; 32],
}

impl std::fmt::Debug for PoolKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolKey").field("id", &self.id).field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

/// A key to add.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The key's id.
    pub id: KeyId,
    /// A name for people.
    pub name: Option<KeyName>,
    /// The mask.
    pub masked: String,
    /// The sealed secret.
    pub sealed: Vec<u8>,
    /// Tells equal secrets.
    pub fingerprint: [u8; 32],
    /// The account whose limits it shares, where the provider has named it already.
    pub domain: Option<String>,
    /// Who adds it.
    pub created_by: Option<String>,
    /// Now.
    pub at: Timestamp,
    /// The owner's data key: the sealed form that was read from the pool, or a new one where the pool had none. The
    /// key is added only if this is the owner's data key at the end.
    pub data_key: DataKeyUse,
}

/// Which data key a secret was sealed with.
#[derive(Clone, Debug)]
pub enum DataKeyUse {
    /// The owner's, as it was read.
    Stored(Vec<u8>),
    /// One made for this key, sealed, to store with it.
    New(Vec<u8>),
}

/// A key's new secret.
#[derive(Clone, Debug)]
pub struct KeyReplacement {
    /// The new name; an outer `None` leaves it, an inner one clears it.
    pub name: Option<Option<KeyName>>,
    /// The mask.
    pub masked: String,
    /// The sealed secret.
    pub sealed: Vec<u8>,
    /// Tells equal secrets.
    pub fingerprint: [u8; 32],
    /// The account whose limits it shares, where the provider has named it already.
    pub domain: Option<String>,
    /// Now.
    pub at: Timestamp,
    /// The owner's sealed data key that the secret was sealed with.
    pub data_key: Vec<u8>,
}

/// What to change of a key, beside its secret.
#[derive(Clone, Debug)]
pub struct KeyChange {
    /// The new name; an outer `None` leaves it, an inner one clears it.
    pub name: Option<Option<KeyName>>,
    /// On or off.
    pub enabled: Option<bool>,
    /// Now.
    pub at: Timestamp,
}

/// How requests ended. The kinds need not add up to `requests`: what was given up or never answered is none of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UseCounts {
    /// All requests.
    pub requests: u64,
    /// Answered well.
    pub ok: u64,
    /// Refused because of a limit.
    pub rate_limited: u64,
    /// Refused because of the key.
    pub rejected: u64,
    /// Refused because of the request.
    pub caller_errors: u64,
    /// Failed at the provider's.
    pub provider_errors: u64,
}

impl AddAssign for UseCounts {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.ok += other.ok;
        self.rate_limited += other.rate_limited;
        self.rejected += other.rejected;
        self.caller_errors += other.caller_errors;
        self.provider_errors += other.provider_errors;
    }
}

/// How long a domain may be, in characters.
pub const MAX_DOMAIN_LENGTH: usize = 256;

/// A key was used.
#[derive(Clone, Debug)]
pub struct KeyUse {
    /// The key's pool.
    pub pool: PoolId,
    /// The key.
    pub key: KeyId,
    /// When, last. The counts are of the hour in which this lies.
    pub at: Timestamp,
    /// How its requests ended since the last time that was told: they are added.
    pub counts: UseCounts,
    /// The account whose limits the key shares, where an answer named it.
    pub domain: Option<String>,
}

/// Milliseconds.
const HOUR: i64 = 3_600_000;

impl KeyUse {
    /// When the hour began of which the counts are.
    #[must_use]
    pub fn hour(&self) -> Timestamp {
        Timestamp::from_millis(self.at.as_millis() / HOUR * HOUR)
    }

    /// The domain as it may be stored: 1 to [`MAX_DOMAIN_LENGTH`] characters, none of them a control character. It
    /// comes from a provider's answer, and one that is odd must not keep the counts of a whole batch from being stored.
    #[must_use]
    pub fn sound_domain(&self) -> Option<&str> {
        let sound = |domain: &&str| {
            !domain.is_empty() && domain.chars().count() <= MAX_DOMAIN_LENGTH && !domain.chars().any(char::is_control)
        };
        self.domain.as_deref().filter(sound)
    }
}

/// How a key's requests ended in one hour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageBucket {
    /// When the hour began.
    pub start: Timestamp,
    /// The key.
    pub key: KeyId,
    /// How its requests ended.
    pub counts: UseCounts,
}

/// A rejected key whose rest is over, for one node to probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeClaim {
    /// The key's pool.
    pub pool: PoolId,
    /// The key.
    pub key: KeyId,
}

/// How far somebody gets in the portal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortalGrant {
    /// The workspace whose keys it shows.
    pub workspace: WorkspaceId,
    /// Whether they may be changed.
    pub role: PortalRole,
    /// Who acts, in the words of the caller: 1 to 256 characters.
    pub actor: Option<String>,
    /// The providers that it shows, at most 200; all where there are none.
    pub providers: Vec<ProviderId>,
    /// How many keys of a provider it deals with.
    pub mode: PortalMode,
    /// Whether it is shown in a frame of another page.
    pub embedded: bool,
    /// Where it leads back to: 1 to 2,048 characters.
    pub return_url: Option<String>,
}

/// What lets somebody into the portal: a link or a session, as stored, without its secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortalPass {
    /// The public id.
    pub id: TokenId,
    /// The hash of the whole text.
    pub hash: [u8; 32],
    /// How far it lets somebody in.
    pub grant: PortalGrant,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
}

/// A session of the operator's console, as stored, without its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ConsoleSession {
    /// The public id.
    pub id: TokenId,
    /// The hash of the whole text.
    pub hash: [u8; 32],
    /// Binds it to the root token that it was begun with.
    pub root: [u8; 32],
    /// When it began.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for ConsoleSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsoleSession").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Something that webhooks are told of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewEvent {
    /// The event's id, the same for every webhook that is told, and at every attempt.
    pub id: EventId,
    /// What happened: words with dots between them, such as `key.rejected`. At most 64 characters, no spaces.
    pub event: String,
    /// What is sent: JSON without secrets, at most 65,536 characters.
    pub payload: String,
    /// When it happened.
    pub at: Timestamp,
}

/// Where a workspace wants to be told of events.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The webhook's id.
    pub id: WebhookId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// Where events go: at most 2,048 characters.
    pub url: String,
    /// The secret that events are signed with, sealed by the workspace's data key.
    pub sealed: Vec<u8>,
    /// Which events it wants, at most 32; all where there are none.
    pub events: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it, in the words of the caller.
    pub created_by: Option<String>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("id", &self.id).field("workspace", &self.workspace).finish_non_exhaustive()
    }
}

/// An event on its way to one webhook, for one node to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The event's id.
    pub id: EventId,
    /// The webhook.
    pub webhook: WebhookId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// Where it goes.
    pub url: String,
    /// The secret that it is signed with, sealed by the data key.
    pub sealed: Vec<u8>,
    /// The workspace's data key, sealed.
    pub data_key: Vec<u8>,
    /// What happened.
    pub event: String,
    /// What is sent.
    pub payload: String,
    /// How often it was claimed before: 0 at the first attempt. Attempts whose node died count too.
    pub attempts: u32,
    /// When it happened.
    pub created_at: Timestamp,
    /// Until when it is this node's.
    pub claimed_until: Timestamp,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.id)
            .field("webhook", &self.webhook)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// How an attempt to deliver ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DeliveryEnd {
    /// The webhook has it.
    Done,
    /// It failed, and is tried again.
    Again {
        /// Not before this.
        at: Timestamp,
    },
    /// It failed for the last time.
    GaveUp,
}
