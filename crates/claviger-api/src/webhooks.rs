//! `/api/workspaces/{id}/webhooks`

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use claviger_app::Webhook;
use claviger_app::access::ManageKeys;
use claviger_app::webhooks::{CreateWebhook, CreateWebhookError, WebhookError};
use claviger_core::webhook::EventKind;
use claviger_core::{Timestamp, WebhookId};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::json::{self, Body, SecretJson};
use crate::{Shared, Success};

/// Why a webhook is not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error("must be a list of key.rejected, key.exhausted, key.recovered and pool.unavailable")]
    Event,
    #[error(transparent)]
    Create(#[from] CreateWebhookError),
    #[error("the answer could not be written")]
    Answer(#[from] serde_json::Error),
}

impl Refusal for CreateError {
    const CODES: &[&[Code]] = &[
        auth::TOKEN,
        auth::RIGHT,
        json::BODY,
        &[Code::InvalidUrl, Code::WebhookLimitReached, Code::UnknownWorkspace, Code::PoolUnreadable, Code::Internal],
    ];

    fn problem(self) -> Problem {
        match self {
            Self::Event => Problem::input("events", self),
            Self::Create(error) => match error {
                CreateWebhookError::NoWorkspace => Problem::new(Code::UnknownWorkspace, error),
                CreateWebhookError::Url(_) | CreateWebhookError::OutOfReach(_) => {
                    Problem::new(Code::InvalidUrl, format_args!("url {error}")).at("url")
                }
                CreateWebhookError::LimitReached => Problem::new(Code::WebhookLimitReached, error),
                CreateWebhookError::Unreadable(error) => Problem::unreadable(&error),
                CreateWebhookError::Seal(error) => Problem::internal(&error),
                CreateWebhookError::Store(error) => Problem::store(&error),
            },
            Self::Answer(error) => Problem::internal(&error),
        }
    }
}

/// Why webhooks are not listed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct ListError(#[from] WebhookError);

impl Refusal for ListError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, &[Code::UnknownWorkspace]];

    fn problem(self) -> Problem {
        problem(self.0)
    }
}

/// Why a webhook is not deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeleteError {
    #[error("there is no such webhook")]
    MalformedId,
    #[error(transparent)]
    Delete(#[from] WebhookError),
}

impl Refusal for DeleteError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, &[Code::UnknownWorkspace, Code::UnknownWebhook]];

    fn problem(self) -> Problem {
        match self {
            Self::MalformedId => Problem::new(Code::UnknownWebhook, self),
            Self::Delete(error) => problem(error),
        }
    }
}

fn problem(error: WebhookError) -> Problem {
    match error {
        WebhookError::NoWorkspace => Problem::new(Code::UnknownWorkspace, error),
        WebhookError::NoWebhook => Problem::new(Code::UnknownWebhook, error),
        WebhookError::Store(error) => Problem::store(&error),
    }
}

/// A webhook to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateWebhookRequest {
    /// Where events go: a URL of HTTPS in the public internet, without user name and fragment; at most 2,048 characters.
    /// Hosts that the operator lists may be internal, and need no TLS.
    #[schema(max_length = 2048)]
    url: String,
    /// Which events it wants, of `key.rejected`, `key.exhausted`, `key.recovered` and `pool.unavailable`; all where it
    /// names none.
    #[schema(examples(json!(["key.rejected", "pool.unavailable"])))]
    events: Option<Vec<String>>,
}

impl CreateWebhookRequest {
    fn check(self) -> Result<CreateWebhook, CreateError> {
        let kinds = self.events.unwrap_or_default();
        let events: Option<BTreeSet<_>> = kinds.iter().map(|kind| EventKind::parse(kind)).collect();
        Ok(CreateWebhook { url: self.url, events: events.ok_or(CreateError::Event)? })
    }
}

/// A webhook that was just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewWebhookAnswer<'a> {
    /// The webhook.
    webhook: WebhookShown,
    /// The secret that its events are signed with, in the form of Standard Webhooks. It is shown this once.
    #[schema(value_type = String, format = Password, read_only, examples("whsec_…"))]
    secret: &'a str,
}

/// A webhook, without its secret.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Webhook)]
pub(crate) struct WebhookShown {
    /// The webhook's id.
    #[schema(value_type = String)]
    id: WebhookId,
    /// Where events go.
    url: String,
    /// Which events it wants; all where there are none.
    events: Vec<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Who made it: the user that a service named, or `token:` and the token's id.
    #[schema(required = true)]
    created_by: Option<String>,
}

impl From<Webhook> for WebhookShown {
    fn from(webhook: Webhook) -> Self {
        Self {
            id: webhook.id,
            url: webhook.url,
            events: webhook.events,
            created_at: webhook.created_at,
            created_by: webhook.created_by,
        }
    }
}

/// A workspace's webhooks.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookList {
    /// In the order in which they were made.
    webhooks: Vec<WebhookShown>,
}

/// The webhook that the path names; `None` where it cannot be one.
pub(crate) struct WebhookAt(Option<WebhookId>);

impl FromRequestParts<Shared> for WebhookAt {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Shared) -> Result<Self, Problem> {
        Ok(Self(auth::path_parameter(parts, "webhookId").await.parse().ok()))
    }
}

/// Make a webhook
///
/// It is told of what happens to the workspace's keys, as Standard Webhooks has it: a POST request with the event as
/// JSON, its id in `webhook-id`, the second in which it was sent in `webhook-timestamp`, and in `webhook-signature` their
/// HMAC-SHA256 by the secret, which is shown this once. Every event arrives once or more often: what is not answered with
/// 2xx within 15 seconds is sent again, for two days. A workspace can have ten.
#[utoipa::path(
    post,
    path = "/api/workspaces/{id}/webhooks",
    operation_id = "createWebhook",
    tag = "Webhooks",
    params(("id" = String, Path, description = "The workspace.")),
    request_body = CreateWebhookRequest,
    responses((status = 200, description = "The webhook, and its secret.", body = NewWebhookAnswer), Refusals<CreateError>),
    security(("token" = ["root", "service", "admin"]))
)]
pub(crate) async fn create(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageKeys>,
    Body(request): Body<CreateWebhookRequest>,
) -> Result<SecretJson, Problem> {
    let create = request.check()?;
    let (secret, webhook) = api.app.webhooks.create(&permit, &create).await.map_err(CreateError::Create)?;
    let answer = NewWebhookAnswer { webhook: webhook.into(), secret: &secret.reveal_once() };
    Ok(SecretJson::new(&answer).map_err(CreateError::Answer)?)
}

/// List a workspace's webhooks
///
/// Without their secrets.
#[utoipa::path(
    get,
    path = "/api/workspaces/{id}/webhooks",
    operation_id = "listWebhooks",
    tag = "Webhooks",
    params(("id" = String, Path, description = "The workspace.")),
    responses((status = 200, description = "The webhooks.", body = WebhookList), Refusals<ListError>),
    security(("token" = ["root", "service", "admin"]))
)]
pub(crate) async fn list(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageKeys>,
) -> Result<Json<WebhookList>, Problem> {
    let webhooks = api.app.webhooks.list(&permit).await.map_err(ListError)?;
    Ok(Json(WebhookList { webhooks: webhooks.into_iter().map(WebhookShown::from).collect() }))
}

/// Delete a webhook
///
/// What is on its way to it is not sent again.
#[utoipa::path(
    delete,
    path = "/api/workspaces/{id}/webhooks/{webhookId}",
    operation_id = "deleteWebhook",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The workspace."),
        ("webhookId" = String, Path, description = "The webhook.")
    ),
    responses((status = 200, description = "Deleted.", body = Success), Refusals<DeleteError>),
    security(("token" = ["root", "service", "admin"]))
)]
pub(crate) async fn delete(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageKeys>,
    WebhookAt(id): WebhookAt,
) -> Result<Json<Success>, Problem> {
    let id = id.ok_or(DeleteError::MalformedId)?;
    api.app.webhooks.delete(&permit, &id).await.map_err(DeleteError::Delete)?;
    Ok(Json(Success::DONE))
}
