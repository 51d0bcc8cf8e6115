//! `GET /api/workspaces/{id}/byok-keys/inherited-status`

use axum::Json;
use axum::extract::State;
use claviger_app::access::ListKeys;
use claviger_app::keys::ListKeysError;
use claviger_core::ProviderId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Shared;
use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};

/// Why it is not told what a workspace inherits.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InheritedError {
    #[error(transparent)]
    List(#[from] ListKeysError),
}

impl Refusal for InheritedError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, &[Code::UnknownWorkspace]];

    fn problem(self) -> Problem {
        match self {
            Self::List(error) => error.problem(),
        }
    }
}

/// What a workspace inherits.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InheritedStatus {
    /// The providers for which the workspace has no key of its own and its organization lends one, by id.
    #[schema(value_type = Vec<String>, examples(json!(["openai"])))]
    inherited_provider_ids: Vec<ProviderId>,
}

/// Tell for which providers a workspace uses its organization's keys
///
/// Those of which it has no key of its own, in whatever state, and of which its organization lends at least one that is
/// switched on. The platform's keys are not told of.
#[utoipa::path(
    get,
    path = "/api/workspaces/{id}/byok-keys/inherited-status",
    operation_id = "getInheritedStatus",
    tag = "Keys",
    params(("id" = String, Path, description = "The workspace.")),
    responses((status = 200, description = "The providers.", body = InheritedStatus), Refusals<InheritedError>),
    security(("token" = ["root", "service", "admin", "member"]))
)]
pub(crate) async fn status(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ListKeys>,
) -> Result<Json<InheritedStatus>, Problem> {
    let inherited_provider_ids = api.app.keys.inherited(&permit).await.map_err(InheritedError::List)?;
    Ok(Json(InheritedStatus { inherited_provider_ids }))
}
