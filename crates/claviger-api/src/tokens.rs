//! `/api/tokens`

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use claviger_app::TokenRecord;
use claviger_app::access::{ManageTokens, TokenReach};
use claviger_app::tokens::{CreateToken, CreateTokenError, DeleteTokenError, TokenHolder};
use claviger_core::access::TokenRole;
use claviger_core::key::InvalidName;
use claviger_core::{InvalidId, KeyName, Role, Timestamp, TokenId, WorkspaceId};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::json::{self, Body};
use crate::page::{ListError, PageParameters, Paged};
use crate::{Shared, Success};

/// Why a token is not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error("must not be empty")]
    NoName,
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error("must be service, admin, member or runtime")]
    Role,
    #[error("must not be given for the role service, which is for every workspace")]
    WorkspaceOfService,
    #[error("is missing: a token of this role belongs to one workspace")]
    NoWorkspaceNamed,
    #[error(transparent)]
    WorkspaceId(#[from] InvalidId),
    #[error("must be a date as in RFC 3339, such as 2030-01-31T12:00:00Z")]
    ExpiresAt,
    #[error(transparent)]
    Create(#[from] CreateTokenError),
}

impl Refusal for CreateError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, json::BODY, &[Code::UnknownWorkspace, Code::Internal]];

    fn problem(self) -> Problem {
        match self {
            Self::NoName => Problem::input("name", self),
            Self::Name(invalid) => Problem::input("name", invalid),
            Self::Role => Problem::input("role", self),
            Self::WorkspaceOfService | Self::NoWorkspaceNamed => Problem::input("workspaceId", self),
            Self::WorkspaceId(invalid) => Problem::new(Code::InvalidInput, invalid).at("workspaceId"),
            Self::ExpiresAt => Problem::input("expiresAt", self),
            Self::Create(error) => match error {
                CreateTokenError::Forbidden | CreateTokenError::RevealForbidden => Problem::new(Code::Forbidden, error),
                CreateTokenError::RevealForRole => Problem::input("reveal", error),
                CreateTokenError::NoWorkspace => Problem::new(Code::UnknownWorkspace, error),
                CreateTokenError::AlreadyExpired => Problem::input("expiresAt", error),
                CreateTokenError::Seal(error) => Problem::internal(&error),
                CreateTokenError::Store(error) => Problem::store(&error),
            },
        }
    }
}

/// Why a token is not deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeleteError {
    #[error("there is no such token")]
    MalformedId,
    #[error(transparent)]
    Delete(#[from] DeleteTokenError),
}

impl Refusal for DeleteError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, &[Code::UnknownToken]];

    fn problem(self) -> Problem {
        match self {
            Self::MalformedId => Problem::new(Code::UnknownToken, self),
            Self::Delete(error) => match error {
                DeleteTokenError::Forbidden => Problem::new(Code::Forbidden, error),
                DeleteTokenError::NoToken => Problem::new(Code::UnknownToken, error),
                DeleteTokenError::Store(error) => Problem::store(&error),
            },
        }
    }
}

/// A token to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateTokenRequest {
    /// A name for people, of 1 to 120 characters.
    #[schema(examples("Production backend"))]
    name: String,
    /// What it is for: `service` (the product's backend, every workspace), `admin` (manages one workspace), `member`
    /// (looks at one), `runtime` (sends requests for one).
    #[schema(examples("runtime"))]
    role: String,
    /// The workspace it belongs to; needed for every role but `service`, which must not have it. Where an admin leaves
    /// it out, it is the admin's own.
    #[schema(examples("acme"))]
    workspace_id: Option<String>,
    /// Whether it may see keys in plain text; for the roles `service` and `runtime` only.
    #[schema(value_type = bool, required = false)]
    reveal: Option<bool>,
    /// When it stops working, in the future, as in RFC 3339; absent for never.
    #[schema(format = DateTime, examples("2030-01-31T12:00:00Z"))]
    expires_at: Option<String>,
}

impl CreateTokenRequest {
    fn check(self, reach: &TokenReach) -> Result<CreateToken, CreateError> {
        let name = KeyName::parse(&self.name)?.ok_or(CreateError::NoName)?.as_str().to_owned();
        let role = TokenRole::parse(&self.role).ok_or(CreateError::Role)?;
        let named = self.workspace_id.map(|id| id.parse()).transpose()?;
        let holder = match (role, named, reach) {
            (TokenRole::Service, None, _) => TokenHolder::Service,
            (TokenRole::Service, Some(_), _) => return Err(CreateError::WorkspaceOfService),
            (role, Some(workspace), _) => TokenHolder::Workspace(role, workspace),
            (role, None, TokenReach::Workspace(own)) => TokenHolder::Workspace(role, own.clone()),
            (_, None, TokenReach::All { .. }) => return Err(CreateError::NoWorkspaceNamed),
        };
        let reveal = self.reveal.unwrap_or_default();
        let end = self.expires_at.map(|text| Timestamp::parse(&text).ok_or(CreateError::ExpiresAt));
        Ok(CreateToken { name, holder, reveal, expires_at: end.transpose()? })
    }
}

/// A token that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewTokenAnswer<'a> {
    /// The token itself. It is shown this once and stored nowhere.
    #[schema(value_type = String, format = Password, read_only, examples("clv_…"))]
    token: &'a str,
    #[serde(flatten)]
    shown: TokenShown,
}

/// A token, without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Token)]
pub(crate) struct TokenShown {
    /// The public id, which stands in the token itself.
    #[schema(value_type = String)]
    id: TokenId,
    /// A name for people.
    name: String,
    /// What it is for: `service`, `admin`, `member` or `runtime`.
    #[schema(value_type = String, examples("runtime"))]
    role: Role,
    /// The workspace it belongs to; `null` for the role `service`.
    #[schema(value_type = Option<String>, required = true)]
    workspace_id: Option<WorkspaceId>,
    /// Whether it may see keys in plain text.
    reveal: bool,
    /// When it stops working; `null` for never.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    expires_at: Option<Timestamp>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<TokenRecord> for TokenShown {
    fn from(token: TokenRecord) -> Self {
        Self {
            id: token.id,
            name: token.name,
            role: token.role.into(),
            workspace_id: token.workspace,
            reveal: token.reveal,
            expires_at: token.expires_at,
            created_at: token.created_at,
        }
    }
}

/// A page of tokens.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenList {
    /// By id.
    tokens: Vec<TokenShown>,
    /// The next page's cursor; `null` on the last page.
    #[schema(value_type = Option<String>, required = true)]
    next_cursor: Option<TokenId>,
}

/// The token that the path names; `None` where it cannot be one.
pub(crate) struct TokenAt(Option<TokenId>);

impl FromRequestParts<Shared> for TokenAt {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Shared) -> Result<Self, Problem> {
        Ok(Self(auth::path_parameter(parts, "id").await.parse().ok()))
    }
}

/// Make a token
///
/// The answer shows the token this once. Only root makes tokens of the role `service`; an admin makes tokens for its
/// own workspace; who may not see keys in plain text cannot make a token that may.
#[utoipa::path(
    post,
    path = "/api/tokens",
    operation_id = "createToken",
    tag = "Tokens",
    request_body = CreateTokenRequest,
    responses((status = 200, description = "The token, shown once.", body = NewTokenAnswer), Refusals<CreateError>),
    security(("token" = ["root", "service", "admin"]))
)]
pub(crate) async fn create(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageTokens>,
    Body(request): Body<CreateTokenRequest>,
) -> Result<Response, Problem> {
    let create = request.check(permit.on())?;
    let (token, record) = api.app.tokens.create(&permit, create).await.map_err(CreateError::Create)?;
    Ok(Json(NewTokenAnswer { token: token.reveal_once(), shown: record.into() }).into_response())
}

/// List tokens
///
/// Without their secrets. An admin sees those of its own workspace.
#[utoipa::path(
    get,
    path = "/api/tokens",
    operation_id = "listTokens",
    tag = "Tokens",
    params(PageParameters),
    responses((status = 200, description = "A page of tokens.", body = TokenList), Refusals<ListError>),
    security(("token" = ["root", "service", "admin"]))
)]
pub(crate) async fn list(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageTokens>,
    page: Paged<TokenId>,
) -> Result<Json<TokenList>, Problem> {
    let mut found = api.app.tokens.list(&permit, &page.with_one_more()).await.map_err(ListError::Store)?;
    let next_cursor = page.cut(&mut found, |token| &token.id);
    Ok(Json(TokenList { tokens: found.into_iter().map(TokenShown::from).collect(), next_cursor }))
}

/// Delete a token
///
/// It stops working at once. Only root deletes tokens of the role `service`; an admin deletes those of its own
/// workspace, and other workspaces' tokens do not exist for it.
#[utoipa::path(
    delete,
    path = "/api/tokens/{id}",
    operation_id = "deleteToken",
    tag = "Tokens",
    params(("id" = String, Path, description = "The token's public id.")),
    responses((status = 200, description = "Deleted.", body = Success), Refusals<DeleteError>),
    security(("token" = ["root", "service", "admin"]))
)]
pub(crate) async fn delete(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageTokens>,
    TokenAt(id): TokenAt,
) -> Result<Json<Success>, Problem> {
    let id = id.ok_or(DeleteError::MalformedId)?;
    api.app.tokens.delete(&permit, &id).await.map_err(DeleteError::Delete)?;
    Ok(Json(Success::DONE))
}
