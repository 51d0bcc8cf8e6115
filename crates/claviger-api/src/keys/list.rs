//! `GET /api/workspaces/{id}/byok-keys`

use axum::Json;
use axum::extract::State;
use claviger_app::access::ListKeys;
use claviger_app::keys::ListKeysError;
use serde::Serialize;
use utoipa::ToSchema;

use super::KeyShown;
use crate::Shared;
use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};

impl Refusal for ListKeysError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, &[Code::UnknownWorkspace]];

    fn problem(self) -> Problem {
        match self {
            Self::NoOwner => Problem::new(Code::UnknownWorkspace, self),
            Self::Store(error) => Problem::store(&error),
        }
    }
}

/// A workspace's keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyList {
    /// By provider, then in the order in which they were added.
    keys: Vec<KeyShown>,
}

/// List a workspace's keys
///
/// Secrets are masked. By provider, then in the order in which they were added, which is the order of rotation.
#[utoipa::path(
    get,
    path = "/api/workspaces/{id}/byok-keys",
    operation_id = "listKeys",
    tag = "Keys",
    params(("id" = String, Path, description = "The workspace.")),
    responses((status = 200, description = "The keys.", body = KeyList), Refusals<ListKeysError>),
    security(("token" = ["root", "service", "admin", "member"]))
)]
pub(crate) async fn list(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ListKeys>,
) -> Result<Json<KeyList>, Problem> {
    let keys = api.app.keys.list(&permit).await?;
    Ok(Json(KeyList { keys: keys.into_iter().map(KeyShown::from).collect() }))
}
