//! `/api/organizations`

use axum::Json;
use axum::extract::State;
use claviger_app::access::ManageOrganizations;
use claviger_app::organizations::{OrganizationError, PutOrganization};
use claviger_app::{Organization, StoreError};
use claviger_core::key::InvalidName;
use claviger_core::{OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::{self, Allowed, IdAt};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::json::{self, Body};
use crate::page::{ListError, PageParameters, Paged};
use crate::{Shared, Success, name};

/// Why an organization is not made or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutError {
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for PutError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, json::BODY];

    fn problem(self) -> Problem {
        match self {
            Self::Name(invalid) => Problem::input("name", invalid),
            Self::Store(error) => Problem::store(&error),
        }
    }
}

impl Refusal for OrganizationError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, &[Code::UnknownOrganization]];

    fn problem(self) -> Problem {
        match self {
            Self::NoOrganization => Problem::new(Code::UnknownOrganization, self),
            Self::Store(error) => Problem::store(&error),
        }
    }
}

/// What to make of an organization. What is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PutOrganizationRequest {
    /// A name for people, of at most 120 characters; an empty one or `null` clears it.
    #[serde(default, deserialize_with = "name::read")]
    #[schema(examples("Acme Group"))]
    name: Option<String>,
    /// Whether it lends its keys to its workspaces; a new one does. Its keys stay stored while it does not, and can be
    /// changed and deleted.
    #[schema(value_type = bool, required = false)]
    keys_enabled: Option<bool>,
}

impl PutOrganizationRequest {
    fn check(self) -> Result<PutOrganization, PutError> {
        Ok(PutOrganization { name: name::check_text(self.name)?, keys_enabled: self.keys_enabled })
    }
}

/// One organization.
#[derive(Serialize, ToSchema)]
pub(crate) struct OrganizationAnswer {
    /// The organization.
    organization: OrganizationShown,
}

/// A parent of workspaces, whose keys they inherit.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Organization)]
pub(crate) struct OrganizationShown {
    /// The caller's own id.
    #[schema(value_type = String, examples("acme-group"))]
    id: OrganizationId,
    /// A name for people.
    #[schema(required = true)]
    name: Option<String>,
    /// Whether it lends its keys to its workspaces.
    keys_enabled: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Organization> for OrganizationShown {
    fn from(organization: Organization) -> Self {
        let Organization { id, name, keys_enabled, created_at } = organization;
        Self { id, name, keys_enabled, created_at }
    }
}

/// A page of organizations.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrganizationList {
    /// By id.
    organizations: Vec<OrganizationShown>,
    /// The next page's cursor; `null` on the last page.
    #[schema(value_type = Option<String>, required = true)]
    next_cursor: Option<OrganizationId>,
}

/// Make or change an organization
///
/// Makes the organization where there is none of this id. Asking twice changes nothing.
#[utoipa::path(
    put,
    path = "/api/organizations/{id}",
    operation_id = "putOrganization",
    tag = "Organizations",
    params(("id" = String, Path, description = "The caller's own id: 1 to 128 of `A-Za-z0-9._:-`.")),
    request_body = PutOrganizationRequest,
    responses(
        (status = 200, description = "The organization as it is now.", body = OrganizationAnswer),
        Refusals<PutError>
    ),
    security(("token" = ["root", "service"]))
)]
pub(crate) async fn put(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageOrganizations>,
    IdAt(id): IdAt<OrganizationId>,
    Body(request): Body<PutOrganizationRequest>,
) -> Result<Json<OrganizationAnswer>, Problem> {
    let put = request.check()?;
    let organization = api.app.organizations.put(&permit, id, put).await.map_err(PutError::Store)?;
    Ok(Json(OrganizationAnswer { organization: organization.into() }))
}

/// Show an organization
#[utoipa::path(
    get,
    path = "/api/organizations/{id}",
    operation_id = "getOrganization",
    tag = "Organizations",
    params(("id" = String, Path, description = "The organization.")),
    responses(
        (status = 200, description = "The organization.", body = OrganizationAnswer),
        Refusals<OrganizationError>
    ),
    security(("token" = ["root", "service"]))
)]
pub(crate) async fn get(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageOrganizations>,
    IdAt(id): IdAt<OrganizationId>,
) -> Result<Json<OrganizationAnswer>, Problem> {
    let organization = api.app.organizations.get(&permit, &id).await?;
    Ok(Json(OrganizationAnswer { organization: organization.into() }))
}

/// List organizations
#[utoipa::path(
    get,
    path = "/api/organizations",
    operation_id = "listOrganizations",
    tag = "Organizations",
    params(PageParameters),
    responses((status = 200, description = "A page of organizations.", body = OrganizationList), Refusals<ListError>),
    security(("token" = ["root", "service"]))
)]
pub(crate) async fn list(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageOrganizations>,
    page: Paged<OrganizationId>,
) -> Result<Json<OrganizationList>, Problem> {
    let mut found = api.app.organizations.list(&permit, &page.with_one_more()).await.map_err(ListError::Store)?;
    let next_cursor = page.cut(&mut found, |organization| &organization.id);
    Ok(Json(OrganizationList { organizations: found.into_iter().map(OrganizationShown::from).collect(), next_cursor }))
}

/// Delete an organization
///
/// With its keys. Its workspaces stay, and belong to none. Its data key is destroyed, so that its sealed secrets stay
/// sealed in every backup made from then on.
#[utoipa::path(
    delete,
    path = "/api/organizations/{id}",
    operation_id = "deleteOrganization",
    tag = "Organizations",
    params(("id" = String, Path, description = "The organization.")),
    responses((status = 200, description = "Deleted.", body = Success), Refusals<OrganizationError>),
    security(("token" = ["root", "service"]))
)]
pub(crate) async fn delete(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageOrganizations>,
    IdAt(id): IdAt<OrganizationId>,
) -> Result<Json<Success>, Problem> {
    api.app.organizations.delete(&permit, &id).await?;
    Ok(Json(Success::DONE))
}
