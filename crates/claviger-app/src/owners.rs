//! Whether there is an owner.

use claviger_core::Owner;
use claviger_store::{Store, StoreError};

/// Whether an owner exists; the platform always does.
pub(crate) async fn exists(store: &dyn Store, owner: &Owner) -> Result<bool, StoreError> {
    match owner {
        Owner::Workspace(id) => Ok(store.workspace(id).await?.is_some()),
        Owner::Organization(id) => Ok(store.organization(id).await?.is_some()),
        Owner::Platform => Ok(true),
    }
}
