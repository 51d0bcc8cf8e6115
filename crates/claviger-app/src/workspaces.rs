//! Workspaces: made, changed, seen, deleted.

use std::sync::Arc;

use claviger_core::{Clock, WorkspaceId};
use claviger_store::{Change, ChangeSink, Page, Store, StoreError, Workspace, WorkspaceChange};

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

/// The use cases around workspaces.
#[derive(Debug)]
pub struct Workspaces {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) feed: Arc<Feed>,
}

impl Workspaces {
    /// Makes a workspace, or changes its name where one is given (an inner `None` clears it).
    pub async fn put(
        &self,
        _permit: &Permit<ManageWorkspaces>,
        id: WorkspaceId,
        name: Option<Option<String>>,
    ) -> Result<Workspace, StoreError> {
        // A product may do this at every login of a customer: what changes nothing writes nothing, and leaves what is in
        // memory alone.
        if let Some(same) = self.store.workspace(&id).await?
            && name.as_ref().is_none_or(|name| *name == same.name)
        {
            return Ok(same);
        }
        let workspace = self.store.put_workspace(&WorkspaceChange { id, name, at: self.clock.now() }).await?;
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

    /// Deletes a workspace with its keys and tokens, and destroys its data key.
    pub async fn delete(&self, _permit: &Permit<ManageWorkspaces>, id: &WorkspaceId) -> Result<(), WorkspaceError> {
        if !self.store.delete_workspace(id).await? {
            return Err(WorkspaceError::NoWorkspace);
        }
        self.feed.changed(&Change::Workspace(id.clone()));
        Ok(())
    }
}
