//! `POST …/byok-keys`: adds a key, or replaces one.

use axum::Json;
use axum::extract::State;
use claviger_app::KeyRecord;
use claviger_app::access::ManageKeys;
use claviger_app::keys::{PutDone, PutKey, PutKeyError};
use claviger_core::key::{InvalidName, InvalidSecret};
use claviger_core::{Catalogue, KeyId, KeyName, KeySecret, ProviderId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::{self, ActorHeader, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::json::{self, Body, SecretText};
use crate::keys::Warning;
use crate::keys::test::Verification;
use crate::{Shared, name, owners};

/// Why a key is not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutError {
    #[error("there is no provider of this id; GET /api/providers lists them")]
    UnknownProvider,
    #[error(transparent)]
    ApiKey(#[from] InvalidSecret),
    #[error(transparent)]
    Name(#[from] InvalidName),
    #[error("there is no such key")]
    MalformedKeyId,
    #[error(transparent)]
    Put(#[from] PutKeyError),
}

impl Refusal for PutError {
    const CODES: &[&[Code]] = &[
        auth::TOKEN,
        auth::RIGHT,
        json::BODY,
        &[Code::UnknownProvider, Code::UnknownKey, Code::KeyLimitReached, Code::DuplicateKey],
        &[Code::KeyRejected, Code::PoolUnreadable, Code::Internal],
    ];

    fn problem(self) -> Problem {
        match self {
            Self::UnknownProvider => Problem::new(Code::UnknownProvider, self).at("providerId"),
            Self::ApiKey(invalid) => Problem::input("apiKey", invalid),
            Self::Name(invalid) => Problem::input("name", invalid),
            Self::MalformedKeyId => Problem::new(Code::UnknownKey, self),
            Self::Put(error) => match error {
                PutKeyError::NoOwner(owner) => owners::unknown(&owner),
                PutKeyError::NoKey => Problem::new(Code::UnknownKey, error),
                PutKeyError::Given(_) => Problem::new(Code::KeyGivenBySetting, error),
                PutKeyError::LimitReached => Problem::new(Code::KeyLimitReached, error),
                PutKeyError::Duplicate(ref id) => Problem::new(Code::DuplicateKey, &error).key(id.clone()),
                PutKeyError::Rejected(_) => Problem::new(Code::KeyRejected, error).at("apiKey"),
                PutKeyError::Unreadable(error) => Problem::unreadable(&error),
                PutKeyError::Seal(error) => Problem::internal(&error),
                PutKeyError::Store(error) => Problem::store(&error),
            },
        }
    }
}

/// A key to add, or to put in the place of another.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PutKeyRequest {
    /// The provider whose API the key opens.
    #[schema(examples("openai"))]
    provider_id: String,
    /// The secret, as the provider gave it out. White space around it is dropped; then 1 to 4,096 visible ASCII
    /// characters.
    #[schema(value_type = String, format = Password, write_only, examples("sk-…"))]
    api_key: SecretText,
    /// The key to replace; absent to add one.
    key_id: Option<String>,
    /// A name for people, of at most 120 characters. When replacing, an absent name leaves the name as it is, and an
    /// empty one clears it.
    #[serde(default, deserialize_with = "name::read")]
    #[schema(examples("Production"))]
    name: Option<String>,
    /// Whether to ask the provider first, by a request that costs nothing. A key that it refuses is not stored; any
    /// other result is told as `verification`.
    #[serde(default)]
    #[schema(default = false)]
    verify: bool,
}

impl PutKeyRequest {
    fn check(self, catalogue: &Catalogue) -> Result<(PutKey, Option<KeyId>), PutError> {
        let provider = catalogue.get(&self.provider_id).ok_or(PutError::UnknownProvider)?;
        let secret = KeySecret::parse(&self.api_key.0)?;
        let name = name::check(self.name)?;
        let id = self.key_id.map(|id| id.parse().map_err(|_| PutError::MalformedKeyId)).transpose()?;
        Ok((PutKey { provider: provider.id.clone(), secret, name, verify: self.verify }, id))
    }
}

/// A key was stored.
#[derive(Serialize, ToSchema)]
pub(crate) struct PutKeyAnswer {
    /// Always true.
    success: bool,
    /// The key.
    key: StoredKey,
    /// What the provider said of it; absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Verification, required = false)]
    verification: Option<Verification>,
}

/// A key as it was stored.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StoredKey {
    /// The key's id.
    #[schema(value_type = String)]
    id: KeyId,
    /// The provider whose API it opens.
    #[schema(value_type = String, examples("openai"))]
    provider_id: ProviderId,
    /// A name for people.
    #[schema(value_type = Option<String>, required = true)]
    name: Option<KeyName>,
    /// The secret's first and last characters, for recognition.
    #[schema(examples("sk-abc...wxyz"))]
    masked_key: String,
    /// When it was added.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was replaced; absent where it was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    updated_at: Option<Timestamp>,
    /// Something to know about it, as in the list; absent where there is nothing, or the provider was not asked: it is by
    /// its answers that an account is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Warning, required = false)]
    warning: Option<Warning>,
}

impl StoredKey {
    fn added(key: KeyRecord, shares_limit: Vec<KeyId>) -> Self {
        Self {
            id: key.id,
            provider_id: key.provider,
            name: key.name,
            masked_key: key.masked,
            created_at: key.created_at,
            updated_at: None,
            warning: Warning::shared_limit(shares_limit),
        }
    }

    fn replaced(key: KeyRecord, shares_limit: Vec<KeyId>) -> Self {
        let updated_at = Some(key.updated_at);
        Self { updated_at, ..Self::added(key, shares_limit) }
    }
}

/// Add or replace a key
///
/// Without `keyId` the key is added at the end of the provider's rotation, which has room for ten. With `keyId` that
/// key's secret is replaced, and its name where one is given; its place in the rotation stays. Nothing is stored of a
/// request that is refused.
#[utoipa::path(
    post,
    path = "/api/workspaces/{id}/byok-keys",
    operation_id = "putKey",
    params(("id" = String, Path, description = "The workspace."), ActorHeader),
    request_body = PutKeyRequest,
    responses((status = 200, description = "The key was stored.", body = PutKeyAnswer), Refusals<PutError>),
    security(("token" = ["root", "service", "admin"]))
)]
pub(crate) async fn put(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageKeys>,
    Body(request): Body<PutKeyRequest>,
) -> Result<Json<PutKeyAnswer>, Problem> {
    let (put, id) = request.check(&api.app.catalogue)?;
    let keys = &api.app.keys;
    let (done, show): (_, fn(_, _) -> _) = match id {
        None => (keys.add(&permit, put).await, StoredKey::added),
        Some(id) => (keys.replace(&permit, &id, put).await, StoredKey::replaced),
    };
    let PutDone { key, tested, shares_limit } = done.map_err(PutError::Put)?;
    Ok(Json(PutKeyAnswer { success: true, key: show(key, shares_limit), verification: tested.map(Verification::from) }))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use claviger_seal::{OpenError, SealError};

    use super::*;

    /// What a caller cannot bring about by a request alone.
    #[test]
    fn faults_of_sealing_are_not_the_callers() {
        let status = |error: PutKeyError| PutError::Put(error).problem().into_response().status().as_u16();
        assert_eq!(status(PutKeyError::Unreadable(OpenError::OtherKey)), 503);
        assert_eq!(status(PutKeyError::Seal(SealError)), 500);
    }
}
