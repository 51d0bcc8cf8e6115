//! `/api/workspaces/{id}/portal-links` and `/api/workspaces/{id}/portal-sessions`

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use claviger_app::PortalPass;
use claviger_app::access::ManagePortal;
use claviger_app::portal::{CreatePortalLink, CreatePortalLinkError, ManagePortalError};
use claviger_core::actor::{self, InvalidActor};
use claviger_core::portal::{PortalMode, PortalRole};
use claviger_core::{InvalidId, ProviderId, Timestamp, TokenId};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::json::{self, Body, SecretJson};
use crate::page::{PageError, PageParameters, Paged};
use crate::{Shared, Success};

/// Why a link is not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error("must be admin or member")]
    Role,
    #[error("must be multi, single or embed")]
    Mode,
    #[error(transparent)]
    Actor(#[from] InvalidActor),
    #[error("must be ids of the catalogue: {0}")]
    Provider(#[from] InvalidId),
    #[error(transparent)]
    Create(#[from] CreatePortalLinkError),
    #[error("the answer could not be written")]
    Answer(#[from] serde_json::Error),
}

impl Refusal for CreateError {
    const CODES: &[&[Code]] = &[
        auth::TOKEN,
        auth::RIGHT,
        json::BODY,
        &[Code::UnknownProvider, Code::InvalidUrl, Code::UnknownWorkspace, Code::Internal],
    ];

    fn problem(self) -> Problem {
        match self {
            Self::Role => Problem::input("role", self),
            Self::Mode => Problem::input("mode", self),
            Self::Actor(error) => Problem::actor("actor", error),
            Self::Provider(_) => Problem::input("providers", self),
            Self::Create(error) => match error {
                CreatePortalLinkError::NoWorkspace => Problem::new(Code::UnknownWorkspace, error),
                CreatePortalLinkError::Life => Problem::input("expiresIn", error),
                CreatePortalLinkError::ReturnUrl(_) | CreatePortalLinkError::ReturnHost => {
                    Problem::new(Code::InvalidUrl, format_args!("returnUrl {error}")).at("returnUrl")
                }
                CreatePortalLinkError::NoEmbedHost => Problem::input("mode", error),
                CreatePortalLinkError::UnknownProvider(_) => {
                    Problem::new(Code::UnknownProvider, format_args!("providers {error}")).at("providers")
                }
                CreatePortalLinkError::TooManyProviders => Problem::input("providers", error),
                CreatePortalLinkError::Seal(error) => Problem::internal(&error),
                CreatePortalLinkError::Store(error) => Problem::store(&error),
            },
            Self::Answer(error) => Problem::internal(&error),
        }
    }
}

/// Why sessions are not listed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct ListError(#[from] ManagePortalError);

impl Refusal for ListError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, <PageError as Refusal>::CODES[0], &[Code::UnknownWorkspace]];

    fn problem(self) -> Problem {
        problem(self.0)
    }
}

/// Why a session is not ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndError {
    #[error("there is no such session")]
    MalformedId,
    #[error(transparent)]
    End(#[from] ManagePortalError),
}

impl Refusal for EndError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, &[Code::UnknownWorkspace, Code::UnknownSession]];

    fn problem(self) -> Problem {
        match self {
            Self::MalformedId => Problem::new(Code::UnknownSession, self),
            Self::End(error) => problem(error),
        }
    }
}

fn problem(error: ManagePortalError) -> Problem {
    match error {
        ManagePortalError::NoWorkspace => Problem::new(Code::UnknownWorkspace, error),
        ManagePortalError::NoSession => Problem::new(Code::UnknownSession, error),
        ManagePortalError::Store(error) => Problem::store(&error),
    }
}

/// A link to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreatePortalLinkRequest {
    /// What whoever opens the link may do: `admin` manages the workspace's keys, `member` looks at them.
    #[schema(examples("admin"))]
    role: String,
    /// Who that is, in the caller's own words: as in `x-claviger-actor`. It becomes the `createdBy` of keys that they
    /// add. From tokens other than root's and services' it is ignored.
    #[schema(examples("user_42"))]
    actor: Option<String>,
    /// For how many seconds the link may be opened, 60 to 86400; 600 where it is absent.
    #[schema(value_type = u64, required = false, minimum = 60, maximum = 86_400, default = 600)]
    expires_in: Option<u64>,
    /// Where the portal leads back to: an address on a host that the setting `portal.return_hosts` lists.
    return_url: Option<String>,
    /// The providers that are shown, at most 200; all where it names none.
    #[schema(examples(json!(["openai", "anthropic"])))]
    providers: Option<Vec<String>>,
    /// `multi`, which holds where it is absent; `single`, with one key a provider; or `embed`, which is `multi` in a frame
    /// of a page that the setting `portal.embed_hosts` lists.
    #[schema(examples("multi"))]
    mode: Option<String>,
    /// Whether it is shown in such a frame, whatever the mode.
    #[schema(value_type = bool, required = false, default = false)]
    embed: Option<bool>,
}

/// What `mode` says where the portal is shown in a frame.
const EMBED: &str = "embed";

impl CreatePortalLinkRequest {
    fn check(self) -> Result<CreatePortalLink, CreateError> {
        let role = PortalRole::parse(&self.role).ok_or(CreateError::Role)?;
        let mode = match self.mode.as_deref() {
            None | Some(EMBED) => Ok(PortalMode::default()),
            Some(mode) => PortalMode::parse(mode).ok_or(CreateError::Mode),
        };
        let actor = self.actor.as_deref().map(actor::named).transpose()?.map(str::to_owned);
        let ids = self.providers.unwrap_or_default();
        let providers: Result<Vec<ProviderId>, _> = ids.iter().map(|id| id.parse()).collect();
        let link = CreatePortalLink::new(role);
        Ok(CreatePortalLink {
            actor,
            expires_in: self.expires_in.map_or(link.expires_in, Duration::from_secs),
            return_url: self.return_url,
            providers: providers?,
            mode: mode?,
            embedded: self.embed.unwrap_or_default() || self.mode.as_deref() == Some(EMBED),
            ..link
        })
    }
}

/// A link that was just made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewPortalLinkAnswer<'a> {
    /// Where to send whoever is to open it. It is shown this once, and opens once.
    #[schema(value_type = String, format = Password, read_only, examples("…/portal/open/acme/clv_…"))]
    url: &'a str,
    /// Until when it may be opened.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Somebody's session in the portal.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PortalSession)]
pub(crate) struct PortalSessionShown {
    /// The session's id.
    #[schema(value_type = String)]
    id: TokenId,
    /// What they may do: `admin` or `member`.
    role: &'static str,
    /// Who it is: the user whom a service named, or `token:` and the id of the token that made the link.
    #[schema(required = true)]
    actor: Option<String>,
    /// The providers that are shown; all where there are none.
    #[schema(value_type = Vec<String>)]
    providers: Vec<ProviderId>,
    /// `multi` or `single`.
    mode: &'static str,
    /// Whether it is shown in a frame of another page.
    embed: bool,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ends by itself.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

impl From<PortalPass> for PortalSessionShown {
    fn from(session: PortalPass) -> Self {
        Self {
            id: session.id,
            role: session.grant.role.as_str(),
            actor: session.grant.actor,
            providers: session.grant.providers,
            mode: session.grant.mode.as_str(),
            embed: session.grant.embedded,
            created_at: session.created_at,
            expires_at: session.expires_at,
        }
    }
}

/// A page of sessions.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PortalSessionList {
    /// By id.
    sessions: Vec<PortalSessionShown>,
    /// The next page's cursor; `null` on the last page.
    #[schema(value_type = Option<String>, required = true)]
    next_cursor: Option<TokenId>,
}

/// The session that the path names; `None` where it cannot be one.
pub(crate) struct SessionAt(Option<TokenId>);

impl FromRequestParts<Shared> for SessionAt {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Shared) -> Result<Self, Problem> {
        Ok(Self(auth::path_parameter(parts, "sessionId").await.parse().ok()))
    }
}

/// Make a link to a workspace's portal
///
/// Whoever opens it, and confirms that with a click, has the portal for an hour. It opens once.
#[utoipa::path(
    post,
    path = "/api/workspaces/{id}/portal-links",
    operation_id = "createPortalLink",
    tag = "Portal",
    params(("id" = String, Path, description = "The workspace."), auth::ActorHeader),
    request_body = CreatePortalLinkRequest,
    responses((status = 200, description = "The link.", body = NewPortalLinkAnswer), Refusals<CreateError>),
    security(("token" = ["root", "service", "admin"]))
)]
pub(crate) async fn create(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManagePortal>,
    Body(request): Body<CreatePortalLinkRequest>,
) -> Result<SecretJson, Problem> {
    let link = api.app.portal.create(&permit, request.check()?).await.map_err(CreateError::Create)?;
    let url = api.app.portal.reveal_url(&link);
    let answer = NewPortalLinkAnswer { url: &url, expires_at: link.pass.expires_at };
    Ok(SecretJson::new(&answer).map_err(CreateError::Answer)?)
}

/// List who is in a workspace's portal
///
/// Sessions that have not expired, and were not ended.
#[utoipa::path(
    get,
    path = "/api/workspaces/{id}/portal-sessions",
    operation_id = "listPortalSessions",
    tag = "Portal",
    params(("id" = String, Path, description = "The workspace."), PageParameters),
    responses((status = 200, description = "A page of sessions.", body = PortalSessionList), Refusals<ListError>),
    security(("token" = ["root", "service", "admin"]))
)]
pub(crate) async fn list(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManagePortal>,
    page: Paged<TokenId>,
) -> Result<Json<PortalSessionList>, Problem> {
    let mut sessions = api.app.portal.sessions(&permit, &page.with_one_more()).await.map_err(ListError)?;
    let next_cursor = page.cut(&mut sessions, |session| &session.id);
    Ok(Json(PortalSessionList { sessions: sessions.into_iter().map(Into::into).collect(), next_cursor }))
}

/// End a session in a workspace's portal
///
/// It counts from the session's next request on.
#[utoipa::path(
    delete,
    path = "/api/workspaces/{id}/portal-sessions/{sessionId}",
    operation_id = "endPortalSession",
    tag = "Portal",
    params(
        ("id" = String, Path, description = "The workspace."),
        ("sessionId" = String, Path, description = "The session.")
    ),
    responses((status = 200, description = "Ended.", body = Success), Refusals<EndError>),
    security(("token" = ["root", "service", "admin"]))
)]
pub(crate) async fn end(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManagePortal>,
    SessionAt(id): SessionAt,
) -> Result<Json<Success>, Problem> {
    let id = id.ok_or(EndError::MalformedId)?;
    api.app.portal.end(&permit, &id).await.map_err(EndError::End)?;
    Ok(Json(Success::DONE))
}
