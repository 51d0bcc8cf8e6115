//! `GET …/byok-keys`

use axum::Json;
use axum::extract::State;
use claviger_app::access::ListKeys;
use claviger_app::keys::ListKeysError;
use serde::Serialize;
use utoipa::ToSchema;

use super::KeyShown;
use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::{Shared, owners};

impl Refusal for ListKeysError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT];

    fn problem(self) -> Problem {
        match self {
            Self::NoOwner(owner) => owners::unknown(&owner),
            Self::Store(error) => Problem::store(&error),
        }
    }
}

/// An owner's keys.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyList {
    /// By provider, then in the order in which they were added.
    keys: Vec<KeyShown>,
}

/// List keys
///
/// Secrets are masked. By provider, then in the order in which they were added, which is the order of rotation.
#[utoipa::path(
    get,
    path = "/api/workspaces/{id}/byok-keys",
    operation_id = "listKeys",
    params(("id" = String, Path, description = "The workspace.")),
    responses((status = 200, description = "The keys.", body = KeyList), Refusals<ListKeysError>),
    security(("token" = ["root", "service", "admin", "member"]))
)]
pub(crate) async fn list(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ListKeys>,
) -> Result<Json<KeyList>, Problem> {
    let keys = api.app.keys.list(&permit).await?;
    Ok(Json(KeyList { keys: keys.into_iter().map(KeyShown::new).collect() }))
}
