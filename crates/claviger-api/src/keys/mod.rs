//! An owner's provider keys: of a workspace, an organization, or the platform.

pub(crate) mod change;
pub(crate) mod delete;
pub(crate) mod inherited;
pub(crate) mod list;
pub(crate) mod outcome;
pub(crate) mod put;
pub(crate) mod resolve;

use axum::extract::FromRequestParts;
use claviger_app::KeyRecord;
use claviger_core::{KeyId, KeyName, KeyStatus, ProviderId, Timestamp};
use http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Problem;
use crate::{Shared, auth};

/// The key that the path names; `None` where it cannot be one.
pub(crate) struct KeyAt(pub(crate) Option<KeyId>);

impl FromRequestParts<Shared> for KeyAt {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Shared) -> Result<Self, Problem> {
        Ok(Self(auth::path_parameter(parts, "keyId").await.parse().ok()))
    }
}

/// One key. Its secret is not in it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Key)]
pub(crate) struct KeyShown {
    /// The key's id.
    #[schema(value_type = String)]
    id: KeyId,
    /// The provider whose API it opens.
    #[schema(value_type = String, examples("openai"))]
    provider_id: ProviderId,
    /// A name for people.
    #[schema(value_type = Option<String>, required = true)]
    name: Option<KeyName>,
    /// The secret's first and last characters, for recognition: none of a secret of up to 8 characters, 4 and 4 of one
    /// of up to 12, 6 and 4 of a longer one.
    #[schema(examples("sk-abc...wxyz"))]
    masked_key: String,
    /// Whether it takes part in rotation.
    enabled: bool,
    /// How it fares: `active`, or `unreadable` where it cannot be opened and is passed over.
    #[schema(value_type = String, examples("active"))]
    status: KeyStatus,
    /// Who added it: the user that a service named, `token:` and the token's id, or `settings` for a key of the
    /// platform that a setting gives, and that can be changed only there; its name is the setting's.
    #[schema(required = true)]
    created_by: Option<String>,
    /// When it was added.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its secret, name or switch was changed last.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// When it served a request last.
    #[schema(value_type = Option<String>, format = DateTime, required = true)]
    last_used_at: Option<Timestamp>,
}

impl From<KeyRecord> for KeyShown {
    fn from(key: KeyRecord) -> Self {
        Self {
            id: key.id,
            provider_id: key.provider,
            name: key.name,
            masked_key: key.masked,
            enabled: key.enabled,
            status: key.status,
            created_by: key.created_by,
            created_at: key.created_at,
            updated_at: key.updated_at,
            last_used_at: key.last_used_at,
        }
    }
}
