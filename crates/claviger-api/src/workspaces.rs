//! `/api/workspaces`

use axum::Json;
use axum::extract::State;
use claviger_app::access::ManageWorkspaces;
use claviger_app::workspaces::{PutWorkspace, WorkspaceError};
use claviger_app::{PutWorkspaceError, Workspace};
use claviger_core::key::InvalidName;
use claviger_core::{InvalidId, OrganizationId, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::{self, Allowed, IdAt};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::json::{self, Body, Change};
use crate::page::{ListError, PageParameters, Paged};
use crate::{Shared, Success, name};

/// Why a workspace is not made or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutError {
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error(transparent)]
    OrganizationId(#[from] InvalidId),
    #[error(transparent)]
    Put(#[from] PutWorkspaceError),
}

impl Refusal for PutError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, json::BODY, &[Code::OrganizationNamed]];

    fn problem(self) -> Problem {
        match self {
            Self::Name(invalid) => Problem::input("name", invalid),
            Self::OrganizationId(invalid) => Problem::new(Code::InvalidInput, invalid).at("organizationId"),
            Self::Put(error) => match error {
                PutWorkspaceError::NoOrganization => Problem::new(Code::OrganizationNamed, error).at("organizationId"),
                PutWorkspaceError::Store(error) => Problem::store(&error),
            },
        }
    }
}

impl Refusal for WorkspaceError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, &[Code::UnknownWorkspace]];

    fn problem(self) -> Problem {
        match self {
            Self::NoWorkspace => Problem::new(Code::UnknownWorkspace, self),
            Self::Store(error) => Problem::store(&error),
        }
    }
}

/// What to make of a workspace. What is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PutWorkspaceRequest {
    /// A name for people, of at most 120 characters; an empty one or `null` clears it.
    #[serde(default, deserialize_with = "name::read")]
    #[schema(examples("Acme"))]
    name: Option<String>,
    /// The organization whose keys it inherits; `null` takes it out of its own.
    #[serde(default, deserialize_with = "json::change")]
    #[schema(value_type = Option<String>, examples("acme-group"))]
    organization_id: Change<String>,
}

impl PutWorkspaceRequest {
    fn check(self) -> Result<PutWorkspace, PutError> {
        let name = name::check_text(self.name)?;
        let organization = self.organization_id.map(|id| id.map(|id| id.parse()).transpose()).transpose()?;
        Ok(PutWorkspace { name, organization })
    }
}

/// One workspace.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkspaceAnswer {
    /// The workspace.
    workspace: WorkspaceShown,
}

/// A tenant, which owns keys.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Workspace)]
pub(crate) struct WorkspaceShown {
    /// The caller's own id.
    #[schema(value_type = String, examples("acme"))]
    id: WorkspaceId,
    /// A name for people.
    #[schema(required = true)]
    name: Option<String>,
    /// The organization whose keys it inherits.
    #[schema(value_type = Option<String>, required = true)]
    organization_id: Option<OrganizationId>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Workspace> for WorkspaceShown {
    fn from(workspace: Workspace) -> Self {
        let Workspace { id, name, organization_id, created_at } = workspace;
        Self { id, name, organization_id, created_at }
    }
}

/// A page of workspaces.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkspaceList {
    /// By id.
    workspaces: Vec<WorkspaceShown>,
    /// The next page's cursor; `null` on the last page.
    #[schema(value_type = Option<String>, required = true)]
    next_cursor: Option<WorkspaceId>,
}

/// Make or change a workspace
///
/// Makes the workspace where there is none of this id. Asking twice changes nothing.
#[utoipa::path(
    put,
    path = "/api/workspaces/{id}",
    operation_id = "putWorkspace",
    tag = "Workspaces",
    params(("id" = String, Path, description = "The caller's own id: 1 to 128 of `A-Za-z0-9._:-`.")),
    request_body = PutWorkspaceRequest,
    responses((status = 200, description = "The workspace as it is now.", body = WorkspaceAnswer), Refusals<PutError>),
    security(("token" = ["root", "service"]))
)]
pub(crate) async fn put(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageWorkspaces>,
    IdAt(id): IdAt<WorkspaceId>,
    Body(request): Body<PutWorkspaceRequest>,
) -> Result<Json<WorkspaceAnswer>, Problem> {
    let put = request.check()?;
    let workspace = api.app.workspaces.put(&permit, id, put).await.map_err(PutError::Put)?;
    Ok(Json(WorkspaceAnswer { workspace: workspace.into() }))
}

/// Show a workspace
#[utoipa::path(
    get,
    path = "/api/workspaces/{id}",
    operation_id = "getWorkspace",
    tag = "Workspaces",
    params(("id" = String, Path, description = "The workspace.")),
    responses((status = 200, description = "The workspace.", body = WorkspaceAnswer), Refusals<WorkspaceError>),
    security(("token" = ["root", "service"]))
)]
pub(crate) async fn get(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageWorkspaces>,
    IdAt(id): IdAt<WorkspaceId>,
) -> Result<Json<WorkspaceAnswer>, Problem> {
    let workspace = api.app.workspaces.get(&permit, &id).await?;
    Ok(Json(WorkspaceAnswer { workspace: workspace.into() }))
}

/// List workspaces
#[utoipa::path(
    get,
    path = "/api/workspaces",
    operation_id = "listWorkspaces",
    tag = "Workspaces",
    params(PageParameters),
    responses((status = 200, description = "A page of workspaces.", body = WorkspaceList), Refusals<ListError>),
    security(("token" = ["root", "service"]))
)]
pub(crate) async fn list(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageWorkspaces>,
    page: Paged<WorkspaceId>,
) -> Result<Json<WorkspaceList>, Problem> {
    let mut found = api.app.workspaces.list(&permit, &page.with_one_more()).await.map_err(ListError::Store)?;
    let next_cursor = page.cut(&mut found, |workspace| &workspace.id);
    Ok(Json(WorkspaceList { workspaces: found.into_iter().map(WorkspaceShown::from).collect(), next_cursor }))
}

/// Delete a workspace
///
/// With its keys and tokens. Its data key is destroyed, so that its sealed secrets stay sealed in every backup made from then on.
#[utoipa::path(
    delete,
    path = "/api/workspaces/{id}",
    operation_id = "deleteWorkspace",
    tag = "Workspaces",
    params(("id" = String, Path, description = "The workspace.")),
    responses((status = 200, description = "Deleted.", body = Success), Refusals<WorkspaceError>),
    security(("token" = ["root", "service"]))
)]
pub(crate) async fn delete(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageWorkspaces>,
    IdAt(id): IdAt<WorkspaceId>,
) -> Result<Json<Success>, Problem> {
    api.app.workspaces.delete(&permit, &id).await?;
    Ok(Json(Success::DONE))
}
