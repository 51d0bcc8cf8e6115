//! `DELETE …/byok-keys`

use axum::Json;
use axum::extract::State;
use claviger_app::access::ManageKeys;
use claviger_app::keys::ChangeKeyError;
use claviger_core::{KeyId, ProviderId};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::json::{self, Body};
use crate::{Shared, Success, owners};

/// Why a key is not deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeleteError {
    #[error("there is no provider of this id; GET /api/providers lists them")]
    UnknownProvider,
    #[error("there is no such key")]
    MalformedKeyId,
    #[error(transparent)]
    Delete(#[from] ChangeKeyError),
}

impl Refusal for DeleteError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, json::BODY, &[Code::UnknownProvider, Code::UnknownKey]];

    fn problem(self) -> Problem {
        match self {
            Self::UnknownProvider => Problem::new(Code::UnknownProvider, self).at("providerId"),
            Self::MalformedKeyId => Problem::new(Code::UnknownKey, self),
            Self::Delete(error) => match error {
                ChangeKeyError::NoOwner(owner) => owners::unknown(&owner),
                ChangeKeyError::NoKey => Problem::new(Code::UnknownKey, error),
                ChangeKeyError::Given(_) => Problem::new(Code::KeyGivenBySetting, error),
                ChangeKeyError::Store(error) => Problem::store(&error),
            },
        }
    }
}

/// Which keys to delete.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DeleteKeyRequest {
    /// The provider whose keys are meant.
    #[schema(examples("openai"))]
    provider_id: String,
    /// The key to delete; absent for every key of the provider. Not null: a caller that lost the id must not lose all keys.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    key_id: Option<String>,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

impl DeleteKeyRequest {
    fn check(self) -> Result<(ProviderId, Option<KeyId>), DeleteError> {
        let provider = self.provider_id.parse().map_err(|_| DeleteError::UnknownProvider)?;
        let id = self.key_id.map(|id| id.parse().map_err(|_| DeleteError::MalformedKeyId)).transpose()?;
        Ok((provider, id))
    }
}

/// Delete a key, or all keys of a provider
///
/// A deleted key serves no request from now on.
#[utoipa::path(
    delete,
    path = "/api/workspaces/{id}/byok-keys",
    operation_id = "deleteKeys",
    params(("id" = String, Path, description = "The workspace.")),
    request_body = DeleteKeyRequest,
    responses((status = 200, description = "Deleted.", body = Success), Refusals<DeleteError>),
    security(("token" = ["root", "service", "admin"]))
)]
pub(crate) async fn delete(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageKeys>,
    Body(request): Body<DeleteKeyRequest>,
) -> Result<Json<Success>, Problem> {
    let (provider, id) = request.check()?;
    let deleted = match &id {
        Some(id) => api.app.keys.delete(&permit, &provider, id).await,
        None => api.app.keys.delete_all(&permit, &provider).await,
    };
    // Keys of a provider that the catalogue has lost can still be deleted, so the catalogue is asked only afterwards.
    let known = api.app.catalogue.get(provider.as_str()).is_some();
    match deleted {
        Ok(()) => Ok(Json(Success::DONE)),
        Err(ChangeKeyError::NoKey) if !known => Err(DeleteError::UnknownProvider.into()),
        // Whoever wants none to be left has that.
        Err(ChangeKeyError::NoKey) if id.is_none() => Ok(Json(Success::DONE)),
        Err(error) => Err(DeleteError::Delete(error).into()),
    }
}
