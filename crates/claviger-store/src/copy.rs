//! Whole deployments on their way from one database to another: sealed as they are, byte for byte.

use claviger_core::pool::Position;
use claviger_core::{OrganizationId, Owner, ProviderId, Timestamp};

use crate::{KeyRecord, StoreError, TokenRecord, Webhook};

/// How many there are of everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Organizations.
    pub organizations: u64,
    /// Workspaces.
    pub workspaces: u64,
    /// Data keys of all owners.
    pub data_keys: u64,
    /// Pools of all owners, also those without keys.
    pub pools: u64,
    /// Provider keys of all owners.
    pub keys: u64,
    /// Tokens.
    pub tokens: u64,
    /// Webhooks.
    pub webhooks: u64,
}

/// An owner with everything that belongs to it, but for two things that are of the moment. The hours of its keys' usage
/// are many times as many as all the rest, so they stay behind, while each key's counts come along; and what is on its
/// way to webhooks is the business of whoever runs on the old database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnerCopy {
    /// Who.
    pub owner: Owner,
    /// What its kind of owner has beside keys.
    pub kind: OwnerKindCopy,
    /// Its data key, once it has one.
    pub data_key: Option<DataKeyCopy>,
    /// Its pools, by provider.
    pub pools: Vec<PoolCopy>,
    /// Its tokens, by id. The platform's are those of the role service.
    pub tokens: Vec<TokenRecord>,
    /// Its webhooks, by id. Only workspaces have any.
    pub webhooks: Vec<Webhook>,
}

/// What a kind of owner has beside keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OwnerKindCopy {
    /// A workspace.
    Workspace {
        /// A name for people.
        name: Option<String>,
        /// The organization it belongs to.
        organization: Option<OrganizationId>,
        /// When it was made.
        created_at: Timestamp,
    },
    /// An organization.
    Organization {
        /// A name for people.
        name: Option<String>,
        /// Whether it lends its keys.
        keys_enabled: bool,
        /// When it was made.
        created_at: Timestamp,
    },
    /// The operator.
    Platform,
}

/// A sealed data key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataKeyCopy {
    /// Sealed by the master key.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A pool with its keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolCopy {
    /// For which provider.
    pub provider: ProviderId,
    /// How often its keys were changed.
    pub generation: u64,
    /// The place in creation order that the next key gets.
    pub next_position: Position,
    /// Its keys in creation order.
    pub keys: Vec<KeyCopy>,
}

/// A key, as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyCopy {
    /// What is shown of it.
    pub record: KeyRecord,
    /// Which of the pool's ten slots it has: 0 to 9.
    pub slot: u8,
    /// Its place in creation order.
    pub position: Position,
    /// The sealed secret.
    pub sealed: Vec<u8>,
    /// Tells equal secrets.
    pub fingerprint: [u8; 32],
}

impl std::fmt::Debug for KeyCopy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyCopy")
            .field("record", &self.record)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// Owners, or their audit trails, could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A trail ends otherwise than it did when it was looked at: somebody else writes.
    #[error("the audit trail of {0} grew meanwhile, or was cut: something else writes there")]
    TrailChanged(Owner),
    /// A workspace belongs to an organization that is not there. Organizations come first.
    #[error("{0} belongs to an organization that is not there")]
    NoOrganization(Owner),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}
