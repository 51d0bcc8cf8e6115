//! `POST /api/workspaces/{id}/byok-keys/resolve`: the one answer of the control plane with a key in plain text.

use axum::extract::State;
use claviger_app::access::ResolveKeys;
use claviger_app::keyring::{LeaseError, Resolved};
use claviger_core::{Catalogue, KeyId, ProviderId, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{LEASE, no_lease};
use crate::Shared;
use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::json::{self, Body, SecretJson};

/// Why no key is handed out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("there is no provider of this id; GET /api/providers lists them")]
    UnknownProvider,
    #[error("{1}")]
    Lease(ProviderId, #[source] LeaseError),
    #[error("the answer could not be written")]
    Answer(#[from] serde_json::Error),
}

impl Refusal for ResolveError {
    const CODES: &[&[Code]] =
        &[auth::TOKEN, auth::RIGHT, json::BODY, LEASE, &[Code::PoolCooling, Code::PoolUnreadable, Code::Internal]];

    fn problem(self) -> Problem {
        match self {
            Self::UnknownProvider => Problem::new(Code::UnknownProvider, self).at("providerId"),
            Self::Lease(provider, error) => no_lease(&provider, error),
            Self::Answer(error) => Problem::internal(&error),
        }
    }
}

/// For what a key is needed.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ResolveRequest {
    /// The provider that the request goes to.
    #[schema(examples("openai"))]
    provider_id: String,
}

impl ResolveRequest {
    fn check(self, catalogue: &Catalogue) -> Result<ProviderId, ResolveError> {
        let provider = catalogue.get(&self.provider_id).ok_or(ResolveError::UnknownProvider)?;
        Ok(provider.id.clone())
    }
}

/// A key in plain text.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResolvedKey<'a> {
    /// The secret.
    #[schema(value_type = String, format = Password, read_only, examples("sk-…"))]
    api_key: &'a str,
    /// The key's id, by which its outcome is told.
    #[schema(value_type = String)]
    key_id: &'a KeyId,
    /// Whether it is a key of the customer's, the workspace's or its organization's: false for the platform's.
    #[serde(rename = "isBYOK")]
    is_byok: bool,
    /// Whose key it is: `workspace`, `organization` or `platform`.
    #[schema(value_type = String, examples("workspace"))]
    scope: Scope,
}

/// Writes the answer. The secret is wiped when this returns, but for the answer's own text.
fn answer(resolved: Resolved) -> Result<SecretJson, ResolveError> {
    let Resolved { secret, key, scope } = resolved;
    let api_key = str::from_utf8(secret.expose_to_provider()).expect("a secret is visible ASCII");
    let is_byok = match scope {
        Scope::Workspace | Scope::Organization => true,
        Scope::Platform => false,
    };
    Ok(SecretJson::new(&ResolvedKey { api_key, key_id: &key, is_byok, scope })?)
}

/// Hand out the next key in plain text
///
/// For a caller that must send the request to the provider itself. The rotation advances, exactly as with a request
/// through the gateway. The workspace's own pool serves if it has any key, in whatever state; else its organization's;
/// else the platform's, where the operator lends.
#[utoipa::path(
    post,
    path = "/api/workspaces/{id}/byok-keys/resolve",
    operation_id = "resolveKey",
    tag = "Keys",
    params(("id" = String, Path, description = "The workspace.")),
    request_body = ResolveRequest,
    responses((status = 200, description = "The key.", body = ResolvedKey), Refusals<ResolveError>),
    security(("token" = ["service with reveal", "runtime with reveal"]))
)]
pub(crate) async fn resolve(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ResolveKeys>,
    Body(request): Body<ResolveRequest>,
) -> Result<SecretJson, Problem> {
    let provider = request.check(&api.app.catalogue)?;
    let resolved = api.app.keyring.resolve(&permit, &provider).await;
    let resolved = resolved.map_err(|error| ResolveError::Lease(provider, error))?;
    Ok(answer(resolved)?)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    /// What is refused before the keyring is asked.
    #[test]
    fn a_provider_that_the_keyring_does_not_know_is_the_callers_mistake() {
        let problem = ResolveError::Lease("openai".parse().unwrap(), LeaseError::NoProvider).problem();
        assert_eq!(problem.into_response().status(), 400);
    }
}
