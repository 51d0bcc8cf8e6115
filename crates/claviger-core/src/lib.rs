//! The rules of Claviger, without I/O: ids, owners, the provider catalogue, pools and their rotation, the health of keys,
//! who may do what.
//!
//! Nothing here knows a clock, a source of randomness, a database or a socket. Time and randomness are arguments.

pub mod access;
pub mod actor;
pub mod audit;
pub mod catalogue;
pub mod health;
pub mod id;
pub mod key;
pub mod net;
pub mod owner;
pub mod path;
pub mod pool;
pub mod portal;
pub mod proxy;
pub mod time;
pub mod webhook;

pub use access::{Action, Role};
pub use catalogue::{Catalogue, Provider};
pub use id::{EventId, InvalidId, KeyId, OrganizationId, ProviderId, TokenId, WebhookId, WorkspaceId};
pub use key::{KeyName, KeySecret, KeyStatus};
pub use owner::{Owner, OwnerKind, Scope};
pub use time::{Clock, Timestamp};
