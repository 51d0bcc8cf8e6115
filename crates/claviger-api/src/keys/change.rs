//! `PATCH …/byok-keys/{keyId}`

use axum::Json;
use axum::extract::State;
use claviger_app::access::ManageKeys;
use claviger_app::keys::ChangeKeyError;
use claviger_core::KeyName;
use claviger_core::key::InvalidName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{KeyAt, KeyShown};
use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::json::{self, Body, Change};
use crate::{Shared, name, owners};

/// Why a key is not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error("there is nothing to change: give name, enabled, or both")]
    Nothing,
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error("there is no such key")]
    MalformedKeyId,
    #[error(transparent)]
    Change(#[from] ChangeKeyError),
}

impl Refusal for ChangeError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, json::BODY, &[Code::UnknownKey]];

    fn problem(self) -> Problem {
        match self {
            Self::Nothing => Problem::new(Code::InvalidInput, self),
            Self::Name(invalid) => Problem::input("name", invalid),
            Self::MalformedKeyId => Problem::new(Code::UnknownKey, self),
            Self::Change(error) => match error {
                ChangeKeyError::NoOwner(owner) => owners::unknown(&owner),
                ChangeKeyError::NoKey => Problem::new(Code::UnknownKey, error),
                ChangeKeyError::Given(_) => Problem::new(Code::KeyGivenBySetting, error),
                ChangeKeyError::Store(error) => Problem::store(&error),
            },
        }
    }
}

/// What to change of a key; at least one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeKeyRequest {
    /// The new name, of at most 120 characters; an empty one or `null` clears it.
    #[serde(default, deserialize_with = "name::read")]
    #[schema(examples("Production"))]
    name: Option<String>,
    /// Whether it takes part in rotation.
    #[schema(value_type = bool, required = false)]
    enabled: Option<bool>,
}

/// A key's new name, and its new switch.
type Changes = (Change<KeyName>, Option<bool>);

impl ChangeKeyRequest {
    fn check(self) -> Result<Changes, ChangeError> {
        if self.name.is_none() && self.enabled.is_none() {
            return Err(ChangeError::Nothing);
        }
        let name = name::check(self.name)?;
        Ok((name, self.enabled))
    }
}

/// A key was changed.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChangeKeyAnswer {
    /// Always true.
    success: bool,
    /// The key as it is now.
    key: KeyShown,
}

/// Change a key's name, or switch it on or off
///
/// The secret and the key's place in the rotation stay.
#[utoipa::path(
    patch,
    path = "/api/workspaces/{id}/byok-keys/{keyId}",
    operation_id = "changeKey",
    params(
        ("id" = String, Path, description = "The workspace."),
        ("keyId" = String, Path, description = "The key.")
    ),
    request_body = ChangeKeyRequest,
    responses((status = 200, description = "The key was changed.", body = ChangeKeyAnswer), Refusals<ChangeError>),
    security(("token" = ["root", "service", "admin"]))
)]
pub(crate) async fn change(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageKeys>,
    KeyAt(id): KeyAt,
    Body(request): Body<ChangeKeyRequest>,
) -> Result<Json<ChangeKeyAnswer>, Problem> {
    let (name, enabled) = request.check()?;
    let id = id.ok_or(ChangeError::MalformedKeyId)?;
    let changed = api.app.keys.change(&permit, &id, name, enabled).await.map_err(ChangeError::Change)?;
    Ok(Json(ChangeKeyAnswer { success: true, key: KeyShown::new(changed) }))
}
