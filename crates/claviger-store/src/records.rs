//! What goes into the database and comes out of it.

use claviger_core::access::TokenRole;
use claviger_core::owner::PoolId;
use claviger_core::pool::Position;
use claviger_core::{KeyId, KeyName, KeyStatus, OrganizationId, ProviderId, Timestamp, TokenId, WorkspaceId};

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
    /// How it fares.
    pub status: KeyStatus,
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

/// A key was used.
#[derive(Clone, Debug)]
pub struct KeyUse {
    /// The key's pool.
    pub pool: PoolId,
    /// The key.
    pub key: KeyId,
    /// When.
    pub at: Timestamp,
}
