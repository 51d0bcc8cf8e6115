//! What can go wrong, an enum for each operation that has more to say than "the database is gone".

use std::error::Error;

use claviger_core::KeyId;

type Source = Box<dyn Error + Send + Sync>;

/// The database did not do what it was asked. Sources are for the log, never for a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It does not answer.
    #[error("the database cannot be reached")]
    Unavailable(#[source] Source),
    /// It, or its disk, has no room left.
    #[error("the database's disk is full")]
    Full(#[source] Source),
    /// It may be read only.
    #[error("the database cannot be written to")]
    ReadOnly(#[source] Source),
    /// What it holds does not have the form that this program wrote.
    #[error("the database holds something unexpected: {0}")]
    Unexpected(String),
}

/// The database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// The file is something else.
    #[error("{0} is not a database of Claviger's")]
    NotADatabase(String),
    /// A later version of Claviger wrote it.
    #[error("{0} was written by a newer version of Claviger (schema {1}); this version knows schemas up to {2}")]
    Newer(String, i64, i64),
    /// The file cannot be read or made.
    #[error("{0} cannot be opened: {1}")]
    Unusable(String, String),
    /// The schema could not be brought up to date.
    #[error("the schema of {0} could not be brought up to date")]
    Migration(String, #[source] Source),
}

/// A workspace could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum PutWorkspaceError {
    /// The organization that it is to belong to does not exist.
    #[error("the organization does not exist")]
    NoOrganization,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key could not be added.
#[derive(Debug, thiserror::Error)]
pub enum AddKeyError {
    /// The pool has ten keys.
    #[error("the pool is full")]
    PoolFull,
    /// The pool has this secret.
    #[error("the pool has this secret already, as {0}")]
    Duplicate(KeyId),
    /// The owner does not exist.
    #[error("the owner does not exist")]
    NoOwner,
    /// A data key was brought along, and the owner has one by now; or none was, and the owner's is gone. Read the pool
    /// again.
    #[error("the owner's data key changed meanwhile")]
    DataKeyChanged,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key could not be replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceKeyError {
    /// The pool has no such key.
    #[error("the pool has no such key")]
    NoKey,
    /// Another key of the pool has this secret.
    #[error("the pool has this secret already, as {0}")]
    Duplicate(KeyId),
    /// The owner's data key is another one by now. Read the pool again.
    #[error("the owner's data key changed meanwhile")]
    DataKeyChanged,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeKeyError {
    /// The owner has no such key.
    #[error("the owner has no such key")]
    NoKey,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A token could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum InsertTokenError {
    /// Its workspace does not exist.
    #[error("the workspace does not exist")]
    NoWorkspace,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A link to the portal could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum AddPortalLinkError {
    /// Its workspace does not exist.
    #[error("the workspace does not exist")]
    NoWorkspace,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A webhook could not be added.
#[derive(Debug, thiserror::Error)]
pub enum AddWebhookError {
    /// The workspace has ten.
    #[error("the workspace has as many webhooks as it may have")]
    TooMany,
    /// The workspace does not exist.
    #[error("the workspace does not exist")]
    NoWorkspace,
    /// A data key was brought along, and the workspace has one by now; or none was, and the workspace's is gone. Read it
    /// again.
    #[error("the workspace's data key changed meanwhile")]
    DataKeyChanged,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}
