//! Workspaces: made, changed, seen, deleted.

use std::sync::Arc;

use claviger_core::{Clock, OrganizationId, WorkspaceId};
use claviger_store::{Change, ChangeSink, Page, PutWorkspaceError, Store, StoreError, Workspace, WorkspaceChange};

use crate::access::{ManageWorkspaces, Permit};
use crate::feed::Feed;

/// A workspace could not be seen or deleted.
#[derive(Debug, thiserror::Error)]
pub enum WorkspaceError {
    /// It does not exist.
    #[error("the workspace does not exist")]
    NoWorkspace,
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to make of a workspace. An outer `None` leaves a field as it is, an inner one clears it.
#[derive(Clone, Debug, Default)]
pub struct PutWorkspace {
    /// A name for people.
    pub name: Option<Option<String>>,
    /// The organization whose keys it inherits.
    pub organization: Option<Option<OrganizationId>>,
}

/// The use cases around workspaces.
#[derive(Debug)]
pub struct Workspaces {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) feed: Arc<Feed>,
}

impl Workspaces {
    /// Makes a workspace, or changes what is named of it.
    pub async fn put(
        &self,
        permit: &Permit<ManageWorkspaces>,
        id: WorkspaceId,
        put: PutWorkspace,
    ) -> Result<Workspace, PutWorkspaceError> {
        let PutWorkspace { name, organization } = put;
        // A product may do this at every login of a customer: what changes nothing writes nothing, and leaves what is in
        // memory alone.
        if let Some(same) = self.store.workspace(&id).await?
            && name.as_ref().is_none_or(|name| *name == same.name)
            && organization.as_ref().is_none_or(|organization| *organization == same.organization_id)
        {
            return Ok(same);
        }
        let change = WorkspaceChange { id, name, organization, at: self.clock.now() };
        let workspace = self.store.put_workspace(&change, &permit.act(change.at)).await?;
        self.feed.changed(&Change::Workspace(workspace.id.clone()));
        Ok(workspace)
    }

    /// One workspace.
    pub async fn get(&self, _permit: &Permit<ManageWorkspaces>, id: &WorkspaceId) -> Result<Workspace, WorkspaceError> {
        self.store.workspace(id).await?.ok_or(WorkspaceError::NoWorkspace)
    }

    /// Workspaces by id.
    pub async fn list(
        &self,
        _permit: &Permit<ManageWorkspaces>,
        page: &Page<WorkspaceId>,
    ) -> Result<Vec<Workspace>, StoreError> {
        self.store.workspaces(page).await
    }

    /// Workspaces whose id begins so, by id.
    pub async fn with_id(
        &self,
        _permit: &Permit<ManageWorkspaces>,
        prefix: &str,
        page: &Page<WorkspaceId>,
    ) -> Result<Vec<Workspace>, StoreError> {
        self.store.workspaces_by_id(prefix, page).await
    }

    /// Workspaces whose name begins so, whatever the case of ASCII's letters, by name and id. The page begins after
    /// another one's name and id.
    pub async fn with_name(
        &self,
        _permit: &Permit<ManageWorkspaces>,
        prefix: &str,
        page: &Page<(String, WorkspaceId)>,
    ) -> Result<Vec<Workspace>, StoreError> {
        self.store.workspaces_by_name(prefix, page).await
    }

    /// The workspaces of an organization, by id.
    pub async fn of(
        &self,
        _permit: &Permit<ManageWorkspaces>,
        organization: &OrganizationId,
        page: &Page<WorkspaceId>,
    ) -> Result<Vec<Workspace>, StoreError> {
        self.store.workspaces_of(organization, page).await
    }

    /// Deletes a workspace with its keys and tokens, and destroys its data key.
    pub async fn delete(&self, permit: &Permit<ManageWorkspaces>, id: &WorkspaceId) -> Result<(), WorkspaceError> {
        if !self.store.delete_workspace(id, &permit.act(self.clock.now())).await? {
            return Err(WorkspaceError::NoWorkspace);
        }
        self.feed.changed(&Change::Workspace(id.clone()));
        Ok(())
    }
}
