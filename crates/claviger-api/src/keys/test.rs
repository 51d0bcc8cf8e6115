//! `POST …/byok-keys/{keyId}/test`

use axum::Json;
use axum::extract::State;
use claviger_app::access::ManageKeys;
use claviger_app::keyring::{TestKeyError, TestResult, Tested};
use serde::Serialize;
use utoipa::ToSchema;

use super::KeyAt;
use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::{Shared, owners};

/// Why a key is not tested.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TestError {
    #[error("there is no such key")]
    MalformedKeyId,
    #[error(transparent)]
    Test(#[from] TestKeyError),
}

impl Refusal for TestError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, &[Code::UnknownKey, Code::PoolUnreadable]];

    fn problem(self) -> Problem {
        match self {
            Self::MalformedKeyId => Problem::new(Code::UnknownKey, self),
            Self::Test(error) => match error {
                TestKeyError::NoOwner(owner) => owners::unknown(&owner),
                TestKeyError::NoKey => Problem::new(Code::UnknownKey, error),
                TestKeyError::Unreadable => Problem::new(Code::PoolUnreadable, error),
                TestKeyError::Store(error) => Problem::store(&error),
            },
        }
    }
}

/// What a provider said of a key.
#[derive(Serialize, ToSchema)]
pub(crate) struct Verification {
    /// `valid`; `invalid` where the provider refuses the key; `no_credit` where it knows the key, and its account cannot
    /// pay; `unreachable` where it did not answer, or not to the point; `not_testable` where no request that costs nothing
    /// can tell.
    #[schema(examples("valid"))]
    result: &'static str,
    /// Why, in words for people.
    #[schema(examples("The provider takes the key"))]
    reason: String,
}

impl From<Tested> for Verification {
    fn from(tested: Tested) -> Self {
        let result = match tested.result {
            TestResult::Valid => "valid",
            TestResult::Invalid => "invalid",
            TestResult::NoCredit => "no_credit",
            TestResult::Unreachable => "unreachable",
            TestResult::NotTestable => "not_testable",
        };
        Self { result, reason: tested.reason }
    }
}

/// Test a key
///
/// Asks the provider by a request that costs nothing, outside of the rotation. The key's health follows the result: one
/// that is refused rests, and a rejected one that is taken again is back at once.
#[utoipa::path(
    post,
    path = "/api/workspaces/{id}/byok-keys/{keyId}/test",
    operation_id = "testKey",
    params(
        ("id" = String, Path, description = "The workspace."),
        ("keyId" = String, Path, description = "The key.")
    ),
    responses((status = 200, description = "The key was tested.", body = Verification), Refusals<TestError>),
    security(("token" = ["root", "service", "admin"]))
)]
pub(crate) async fn test(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ManageKeys>,
    KeyAt(id): KeyAt,
) -> Result<Json<Verification>, Problem> {
    let id = id.ok_or(TestError::MalformedKeyId)?;
    let tested = api.app.keyring.test(&permit, &id).await.map_err(TestError::Test)?;
    Ok(Json(tested.into()))
}
