//! `GET /api/workspaces/{id}/byok-keys/explain`

use axum::Json;
use axum::extract::State;
use claviger_app::access::ListKeys;
use claviger_app::keyring::{ExplainError as AppError, Explained, Explanation};
use claviger_core::{KeyId, ProviderId, Scope, Timestamp};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{LEASE, no_lease};
use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::query::{Parameters, QUERY, QueryError};
use crate::{Shared, owners};

/// Why nothing is explained.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExplainError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("{1}")]
    Explain(ProviderId, #[source] AppError),
}

impl Refusal for ExplainError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, QUERY, LEASE];

    fn problem(self) -> Problem {
        match self {
            Self::Query(error) => error.problem(),
            Self::Explain(_, AppError::NoOwner(owner)) => owners::unknown(&owner),
            Self::Explain(provider, AppError::Lease(error)) => no_lease(&provider, error),
        }
    }
}

/// For which provider.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents the parameter that `Parameters` reads")]
pub(crate) struct ExplainParameters {
    /// The provider that a request would go to.
    #[param(rename = "providerId", example = "openai")]
    provider_id: String,
}

/// Which key would serve.
#[derive(Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(crate) struct ExplanationShown {
    /// Whose keys serve the workspace: `workspace`, `organization` or `platform`.
    #[schema(value_type = String, examples("workspace"))]
    scope: Scope,
    /// The key that has the next turn; null where none can serve now.
    #[schema(value_type = Option<String>, required = true)]
    serving: Option<KeyId>,
    /// All keys of the pool, in the order in which they were added.
    keys: Vec<ExplainedKey>,
}

/// One key of the pool that serves.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExplainedKey {
    /// The key.
    #[schema(value_type = String)]
    key_id: KeyId,
    /// Whether it could serve now.
    available: bool,
    /// Why it could not, or what is to be known of it although it could, in words for people.
    #[schema(required = true, examples("The provider answered 429: rate limited"))]
    reason: Option<String>,
    /// When it is tried again, where it rests.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    available_at: Option<Timestamp>,
}

impl From<Explained> for ExplainedKey {
    fn from(explained: Explained) -> Self {
        let Explained { key: key_id, available, reason, available_at } = explained;
        Self { key_id, available, reason, available_at }
    }
}

impl From<Explanation> for ExplanationShown {
    fn from(explanation: Explanation) -> Self {
        let Explanation { scope, serving, keys } = explanation;
        Self { scope, serving, keys: keys.into_iter().map(ExplainedKey::from).collect() }
    }
}

/// Tell which key would serve now, and why not the others
///
/// As this node knows it. The rotation stays where it is.
#[utoipa::path(
    get,
    path = "/api/workspaces/{id}/byok-keys/explain",
    operation_id = "explainKeys",
    tag = "Keys",
    params(("id" = String, Path, description = "The workspace."), ExplainParameters),
    responses((status = 200, description = "The pool that serves.", body = ExplanationShown), Refusals<ExplainError>),
    security(("token" = ["root", "service", "admin", "member"]))
)]
pub(crate) async fn explain(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ListKeys>,
    parameters: Parameters,
) -> Result<Json<ExplanationShown>, Problem> {
    let provider = parameters.provider(&api.app.catalogue).map_err(ExplainError::Query)?;
    let provider = provider.ok_or(QueryError::Missing("providerId")).map_err(ExplainError::Query)?;
    let explained = api.app.keyring.explain(&permit, &provider).await;
    let explained = explained.map_err(|error| ExplainError::Explain(provider, error))?;
    Ok(Json(explained.into()))
}
