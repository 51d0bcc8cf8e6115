//! Organizations: made, changed, seen, deleted.

use std::sync::Arc;

use claviger_core::{Clock, OrganizationId};
use claviger_store::{Change, ChangeSink, Organization, OrganizationChange, Page, Store, StoreError};

use crate::access::{ManageOrganizations, Permit};
use crate::feed::Feed;

/// An organization could not be seen or deleted.
#[derive(Debug, thiserror::Error)]
pub enum OrganizationError {
    /// It does not exist.
    #[error("the organization does not exist")]
    NoOrganization,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to make of an organization. An outer `None` leaves a field as it is, an inner one clears it.
#[derive(Clone, Debug, Default)]
pub struct PutOrganization {
    /// A name for people.
    pub name: Option<Option<String>>,
    /// Whether it lends its keys to its workspaces; a new one does.
    pub keys_enabled: Option<bool>,
}

/// The use cases around organizations.
#[derive(Debug)]
pub struct Organizations {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) feed: Arc<Feed>,
}

impl Organizations {
    /// Makes an organization, or changes what is named of it.
    pub async fn put(
        &self,
        permit: &Permit<ManageOrganizations>,
        id: OrganizationId,
        put: PutOrganization,
    ) -> Result<Organization, StoreError> {
        let PutOrganization { name, keys_enabled } = put;
        // As with workspaces: what changes nothing writes nothing.
        if let Some(same) = self.store.organization(&id).await?
            && name.as_ref().is_none_or(|name| *name == same.name)
            && keys_enabled.is_none_or(|enabled| enabled == same.keys_enabled)
        {
            return Ok(same);
        }
        let change = OrganizationChange { id, name, keys_enabled, at: self.clock.now() };
        let organization = self.store.put_organization(&change, &permit.act(change.at)).await?;
        self.feed.changed(&Change::Organization(organization.id.clone()));
        Ok(organization)
    }

    /// One organization.
    pub async fn get(
        &self,
        _permit: &Permit<ManageOrganizations>,
        id: &OrganizationId,
    ) -> Result<Organization, OrganizationError> {
        self.store.organization(id).await?.ok_or(OrganizationError::NoOrganization)
    }

    /// Organizations by id.
    pub async fn list(
        &self,
        _permit: &Permit<ManageOrganizations>,
        page: &Page<OrganizationId>,
    ) -> Result<Vec<Organization>, StoreError> {
        self.store.organizations(page).await
    }

    /// Deletes an organization with its keys, and destroys its data key. Its workspaces stay, and belong to none.
    pub async fn delete(
        &self,
        permit: &Permit<ManageOrganizations>,
        id: &OrganizationId,
    ) -> Result<(), OrganizationError> {
        if !self.store.delete_organization(id, &permit.act(self.clock.now())).await? {
            return Err(OrganizationError::NoOrganization);
        }
        self.feed.changed(&Change::Organization(id.clone()));
        Ok(())
    }
}
