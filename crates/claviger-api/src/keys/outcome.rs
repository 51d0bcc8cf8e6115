//! `POST /api/workspaces/{id}/byok-keys/{keyId}/outcome`

use std::fmt;

use axum::Json;
use axum::extract::State;
use claviger_app::access::ResolveKeys;
use claviger_app::keyring::{ReportError, Told};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};
use zeroize::Zeroizing;

use super::KeyAt;
use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::json::{self, Body, SecretText};
use crate::{Shared, Success};

/// Why an outcome is not noted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutcomeError {
    #[error("there is no such key")]
    MalformedKeyId,
    #[error(transparent)]
    Report(#[from] ReportError),
}

impl Refusal for OutcomeError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, json::BODY, &[Code::UnknownWorkspace, Code::UnknownKey]];

    fn problem(self) -> Problem {
        match self {
            Self::MalformedKeyId => Problem::new(Code::UnknownKey, self),
            Self::Report(error) => match error {
                ReportError::NoWorkspace => Problem::new(Code::UnknownWorkspace, error),
                ReportError::NoKey => Problem::new(Code::UnknownKey, error),
                ReportError::Store(error) => Problem::store(&error),
            },
        }
    }
}

/// What the provider answered to a request with the key.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OutcomeRequest {
    /// The status.
    #[schema(value_type = u16, minimum = 100, maximum = 599, examples(429))]
    status: ProviderStatus,
    #[schema(schema_with = RetryAfter::schema, required = false)]
    retry_after: Option<RetryAfter>,
    /// The body, as it was if it was JSON, or else its text.
    #[schema(value_type = Option<serde_json::Value>)]
    body: Option<AnswerBody>,
}

const RETRY_AFTER_LENGTH: usize = 64;

struct ProviderStatus(u16);

impl<'de> Deserialize<'de> for ProviderStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Status;

        impl Visitor<'_> for Status {
            type Value = ProviderStatus;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer from 100 to 599")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<ProviderStatus, E> {
                match u16::try_from(number) {
                    Ok(status @ 100..=599) => Ok(ProviderStatus(status)),
                    Ok(_) | Err(_) => Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
                }
            }
        }

        deserializer.deserialize_u64(Status)
    }
}

/// As the header's text. Wiped, as everything is that came in a body.
struct RetryAfter(Zeroizing<String>);

impl RetryAfter {
    fn schema() -> Object {
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::String, Type::Number, Type::Null]))
            .description(Some("The header `Retry-After`, as it came or as a number."))
            .max_length(Some(RETRY_AFTER_LENGTH))
            .examples(["2"])
            .build()
    }
}

impl<'de> Deserialize<'de> for RetryAfter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = RetryAfter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a string of at most {RETRY_AFTER_LENGTH} characters, or a number")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<RetryAfter, E> {
                if text.chars().count() > RETRY_AFTER_LENGTH {
                    return Err(E::invalid_length(text.len(), &self));
                }
                Ok(RetryAfter(Zeroizing::new(text.to_owned())))
            }

            fn visit_u64<E>(self, seconds: u64) -> Result<RetryAfter, E> {
                Ok(RetryAfter(Zeroizing::new(seconds.to_string())))
            }

            fn visit_f64<E>(self, seconds: f64) -> Result<RetryAfter, E> {
                Ok(RetryAfter(Zeroizing::new(seconds.to_string())))
            }
        }

        deserializer.deserialize_any(Text)
    }
}

/// The body of a provider's answer, as it came. It may hold anything, so it is wiped.
struct AnswerBody(Zeroizing<String>);

impl<'de> Deserialize<'de> for AnswerBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json: Box<str> = Box::<RawValue>::deserialize(deserializer)?.into();
        let json = Zeroizing::new(String::from(json));
        // What is not JSON stands in a string.
        Ok(Self(serde_json::from_str::<SecretText>(&json).map_or(json, |text| text.0)))
    }
}

/// Tell how a key fared
///
/// The key's health follows: it rests where the provider asked to wait, refused the key, or said that there is no credit.
/// For a key that was handed out by `resolve`, and served the workspace: its own, its organization's, or the platform's.
#[utoipa::path(
    post,
    path = "/api/workspaces/{id}/byok-keys/{keyId}/outcome",
    operation_id = "reportOutcome",
    tag = "Keys",
    params(
        ("id" = String, Path, description = "The workspace."),
        ("keyId" = String, Path, description = "The key.")
    ),
    request_body = OutcomeRequest,
    responses((status = 200, description = "It was noted.", body = Success), Refusals<OutcomeError>),
    security(("token" = ["service with reveal", "runtime with reveal"]))
)]
pub(crate) async fn report(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ResolveKeys>,
    KeyAt(id): KeyAt,
    Body(request): Body<OutcomeRequest>,
) -> Result<Json<Success>, Problem> {
    let id = id.ok_or(OutcomeError::MalformedKeyId)?;
    let told = Told {
        status: request.status.0,
        retry_after: request.retry_after.as_ref().map(|text| text.0.as_str()),
        body: request.body.as_ref().map_or(b"", |body| body.0.as_bytes()),
    };
    api.app.keyring.report(&permit, &id, &told).await.map_err(OutcomeError::Report)?;
    Ok(Json(Success::DONE))
}
