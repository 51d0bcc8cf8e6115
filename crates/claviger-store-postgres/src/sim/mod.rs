//! Reading another product's tables: Sim's `workspace_byok_keys` and `organization_byok_keys`.
//!
//! It lives beside the store because it is SQL, and knows nothing of the store's own tables. Everything is read in one
//! transaction that cannot write, of one state of the source, a page at a time. What is sealed stays so: this crate
//! cannot open it.
//!
//! Sim's tables have changed, and copies of Sim have columns of their own or lack some. So rows are read as JSON, in which
//! a column that is not there is no more than a field that is not there.

mod rows;
mod shape;

use std::fmt;

use claviger_core::OwnerKind;
use claviger_store::{OpenStoreError, StoreError};
use sqlx::{Connection, PgConnection};

use crate::address::Address;
use crate::connect::{connect, in_words};
use crate::error::meaning;
use shape::Shape;

pub use shape::SimKeys;

/// A key as Sim stores it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SimKeyRow {
    /// The row's id.
    pub id: String,
    /// The id of the workspace or organization.
    pub owner: String,
    /// Sim's name for the provider.
    pub provider: String,
    /// The secret, sealed by Sim.
    pub sealed: String,
    /// A name for people.
    pub name: Option<String>,
    /// The user who added it.
    pub created_by: Option<String>,
}

/// What Sim knows of a workspace or an organization.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SimOwner {
    /// A name for people.
    pub name: Option<String>,
    /// The organization that a workspace belongs to.
    pub organization: Option<String>,
}

/// Sim's database, as it was when it was opened.
pub struct SimSource {
    name: String,
    db: PgConnection,
    shape: Shape,
    /// Whether there is an open cursor.
    reading: bool,
}

impl fmt::Debug for SimSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimSource").field("database", &self.name).field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl SimSource {
    /// Connects, begins the transaction, and looks which tables there are.
    pub async fn open(url: &str) -> Result<Self, OpenStoreError> {
        let unusable = |name: &str, why: String| OpenStoreError::Unusable(name.to_owned(), why);
        let Address { name, options } = Address::parse(url).map_err(|why| unusable("the PostgreSQL database", why))?;
        let mut db = connect(&options).await.map_err(|why| unusable(&name, why))?;
        rows::begin(&mut db).await.map_err(|error| unusable(&name, in_words(&error)))?;
        let shape = Shape::look(&mut db).await.map_err(|error| unusable(&name, in_words(&error)))?;
        let shape = shape.map_err(|why| unusable(&name, why))?;
        Ok(Self { name, db, shape, reading: false })
    }

    /// Host, port and database, without user and password.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tables of keys that there are, organizations' first.
    #[must_use]
    pub fn keys(&self) -> &[SimKeys] {
        &self.shape.keys
    }

    /// Whether the organizations of workspaces can be told.
    #[must_use]
    pub fn tells_members(&self) -> bool {
        self.shape.members
    }

    /// Begins to read keys: by owner, and the keys of one owner by provider and in the order of Sim's rotation.
    pub async fn begin_keys(&mut self, owners: OwnerKind) -> Result<(), StoreError> {
        self.end_reading().await?;
        rows::declare_keys(&mut self.db, owners).await.map_err(meaning)?;
        self.reading = true;
        Ok(())
    }

    /// The next page of keys; empty at the end.
    pub async fn next_keys(&mut self) -> Result<Vec<SimKeyRow>, StoreError> {
        rows::fetch_keys(&mut self.db).await.map_err(meaning)
    }

    /// Begins to read the workspaces of organizations that have keys.
    pub async fn begin_members(&mut self) -> Result<(), StoreError> {
        self.end_reading().await?;
        rows::declare_members(&mut self.db).await.map_err(meaning)?;
        self.reading = true;
        Ok(())
    }

    /// The next page of them, each with its id; empty at the end.
    pub async fn next_members(&mut self) -> Result<Vec<(String, SimOwner)>, StoreError> {
        rows::fetch_members(&mut self.db).await.map_err(meaning)
    }

    /// What there is to know of an owner, as far as Sim's tables tell.
    pub async fn owner(&mut self, kind: OwnerKind, id: &str) -> Result<SimOwner, StoreError> {
        let told = match kind {
            OwnerKind::Workspace if self.shape.workspaces => rows::workspace(&mut self.db, id).await,
            OwnerKind::Organization if self.shape.organizations => rows::organization(&mut self.db, id).await,
            OwnerKind::Workspace | OwnerKind::Organization | OwnerKind::Platform => Ok(None),
        };
        Ok(told.map_err(meaning)?.unwrap_or_default())
    }

    /// Ends the transaction and the connection.
    pub async fn close(self) -> Result<(), StoreError> {
        self.db.close().await.map_err(meaning)
    }

    async fn end_reading(&mut self) -> Result<(), StoreError> {
        if self.reading {
            rows::end(&mut self.db).await.map_err(meaning)?;
            self.reading = false;
        }
        Ok(())
    }
}
