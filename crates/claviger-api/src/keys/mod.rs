//! An owner's provider keys: of a workspace, an organization, or the platform.

pub(crate) mod change;
pub(crate) mod delete;
pub(crate) mod explain;
pub(crate) mod inherited;
pub(crate) mod list;
pub(crate) mod outcome;
pub(crate) mod put;
pub(crate) mod resolve;
pub(crate) mod test;

use axum::extract::FromRequestParts;
use claviger_app::UseCounts;
use claviger_app::keyring::LeaseError;
use claviger_app::keys::ListedKey;
use claviger_core::{KeyId, KeyName, KeyStatus, ProviderId, Timestamp};
use http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Code, Problem};
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
    /// How it fares: `active`; `cooling` where it is rate limited, `exhausted` where its account cannot pay, and
    /// `rejected` where its provider refused it, all of which come back; `unreadable` where it cannot be opened. All but
    /// the active ones are passed over.
    #[schema(value_type = String, examples("active"))]
    status: KeyStatus,
    /// Why, in words for people; absent where there is nothing to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, examples("The provider answered 429: rate limited"))]
    status_reason: Option<String>,
    /// When it is tried again; absent where it does not rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    available_at: Option<Timestamp>,
    /// The account at the provider whose limits it shares, in the provider's words, once an answer has named it.
    #[schema(required = true)]
    domain: Option<String>,
    /// How its requests ended since it was added.
    counts: CountsShown,
    /// Something to know about it; absent where there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Warning, required = false)]
    warning: Option<Warning>,
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

/// How requests ended. The kinds need not add up to `requests`: what was given up, or handed out in plain text without a
/// word on its outcome, is none of them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Counts)]
pub(crate) struct CountsShown {
    /// All requests.
    requests: u64,
    /// Answered well.
    ok: u64,
    /// Refused because of a limit.
    rate_limited: u64,
    /// Refused because of the key, or of its account's credit.
    rejected: u64,
    /// Refused because of the request, or of what the key may do.
    caller_errors: u64,
    /// Failed at the provider's, or on the way there.
    provider_errors: u64,
}

impl From<UseCounts> for CountsShown {
    fn from(counts: UseCounts) -> Self {
        let UseCounts { requests, ok, rate_limited, rejected, caller_errors, provider_errors } = counts;
        Self { requests, ok, rate_limited, rejected, caller_errors, provider_errors }
    }
}

/// Something to know about a key.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = KeyWarning)]
pub(crate) struct Warning {
    /// `shared_limit`: keys of one provider belong to one account, and so have no more room together than one alone.
    #[schema(examples("shared_limit"))]
    code: &'static str,
    /// A sentence for a person.
    #[schema(examples("These 3 keys share one limit."))]
    message: String,
    /// The keys that it is about, this one too, in the order in which they were added.
    #[schema(value_type = Vec<String>)]
    key_ids: Vec<KeyId>,
}

impl Warning {
    /// Of the keys that share one limit, if there are any.
    fn shared_limit(key_ids: Vec<KeyId>) -> Option<Self> {
        let message = format!("These {} keys share one limit.", key_ids.len());
        (!key_ids.is_empty()).then_some(Self { code: "shared_limit", message, key_ids })
    }
}

impl KeyShown {
    fn new(ListedKey { record: key, standing, shares_limit }: ListedKey) -> Self {
        Self {
            id: key.id,
            provider_id: key.provider,
            name: key.name,
            masked_key: key.masked,
            enabled: key.enabled,
            status: standing.status,
            status_reason: standing.reason,
            available_at: standing.available_at,
            domain: key.domain,
            counts: key.counts.into(),
            warning: Warning::shared_limit(shares_limit),
            created_by: key.created_by,
            created_at: key.created_at,
            updated_at: key.updated_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// What may be said where no key of a pool can be had.
const LEASE: &[Code] = &[Code::UnknownProvider, Code::UnknownWorkspace, Code::NoKey];

/// Why no key of a pool can be had.
fn no_lease(provider: &ProviderId, error: LeaseError) -> Problem {
    match error {
        LeaseError::NoWorkspace => Problem::new(Code::UnknownWorkspace, error),
        LeaseError::NoProvider => Problem::new(Code::UnknownProvider, error).at("providerId"),
        LeaseError::NoKey => Problem::new(Code::NoKey, error),
        LeaseError::PoolUnreadable => Problem::new(Code::PoolUnreadable, error),
        LeaseError::Cooling { wait } => {
            // Rounded up: who comes back too early waits twice.
            let seconds = wait.as_millis().div_ceil(1_000).max(1).try_into().unwrap_or(u64::MAX);
            let sentence =
                format!("all of this workspace's {provider} keys rest; the first one is back in {seconds} s");
            Problem::new(Code::PoolCooling, sentence).again_in(seconds)
        }
        LeaseError::AllTried => Problem::new(Code::PoolCooling, error).again_in(1),
        LeaseError::Store(error) => Problem::store(&error),
    }
}
