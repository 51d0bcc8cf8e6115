//! What callers are told when something does not work: one shape, a fixed list of codes.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::{self, Display, Write};
use std::marker::PhantomData;

use axum::Json;
use axum::response::{IntoResponse, Response};
use claviger_core::KeyId;
use claviger_core::actor::InvalidActor;
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

macro_rules! codes {
    ($($name:ident $text:literal $status:ident $meaning:literal;)*) => {
        /// What went wrong, for a program. A code that comes with two statuses is here twice, side by side.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Code { $($name),* }

        impl Code {
            const ALL: &[Self] = &[$(Self::$name),*];

            fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),* }
            }

            fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning),* }
            }
        }
    };
}

codes! {
    InvalidInput "invalid_input" BAD_REQUEST "a value does not have its form; `field` names it";
    ActorReserved "actor_reserved" BAD_REQUEST "the acting user is named as Claviger itself names somebody; `field` names where";
    UnknownField "unknown_field" BAD_REQUEST "the body has a field that this operation does not know; `field` names it";
    InvalidJson "invalid_json" BAD_REQUEST "the body is not JSON";
    BodyIncomplete "body_incomplete" BAD_REQUEST "the body broke off";
    UnknownProvider "unknown_provider" BAD_REQUEST "the catalogue has no such provider";
    OrganizationNamed "unknown_organization" BAD_REQUEST "the organization that the body names does not exist";
    UnknownOrganization "unknown_organization" NOT_FOUND "the organization in the path does not exist";
    KeyRejected "key_rejected_by_provider" BAD_REQUEST "the provider refuses the key, so it is not stored";
    KeyLimitReached "key_limit_reached" BAD_REQUEST "the provider has ten keys here, which is the most";
    InvalidUrl "invalid_url" BAD_REQUEST "the address is none that events can be sent to; the sentence says why";
    WebhookLimitReached "webhook_limit_reached" BAD_REQUEST "the workspace has ten webhooks, which is the most";
    TokenMissing "token_missing" UNAUTHORIZED "no token stands in `Authorization: Bearer …`";
    TokenInvalid "token_invalid" UNAUTHORIZED "the token is mistyped, cut short, unknown or deleted";
    TokenExpired "token_expired" UNAUTHORIZED "the token's time is over";
    Forbidden "forbidden" FORBIDDEN "the token is valid, but may not do this here";
    NotFound "not_found" NOT_FOUND "there is nothing at this path";
    UnknownWorkspace "unknown_workspace" NOT_FOUND "the workspace does not exist";
    UnknownKey "unknown_key" NOT_FOUND "there is no such key here";
    NoKey "no_key" NOT_FOUND "no key serves the workspace here: there is none, or none that is switched on";
    UnknownToken "unknown_token" NOT_FOUND "there is no such token that the caller could reach";
    UnknownWebhook "unknown_webhook" NOT_FOUND "the workspace has no such webhook";
    UnknownSession "unknown_session" NOT_FOUND "the workspace's portal has no such session";
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "the path takes other methods; `Allow` lists them";
    DuplicateKey "duplicate_key" CONFLICT "the provider has the same secret already, as `keyId`";
    KeyGivenBySetting "key_given_by_setting" CONFLICT "the key is given by a setting, and can be changed only there";
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE "the body has more than 64 KiB";
    UrlTooLong "url_too_long" URI_TOO_LONG "the URL has more than 16 KiB";
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "the body is not sent as `application/json`";
    TooManyAttempts "too_many_attempts" TOO_MANY_REQUESTS "too many bad tokens came from this address; `Retry-After` says when the next one is answered";
    PoolCooling "pool_cooling" TOO_MANY_REQUESTS "every key rests; `Retry-After` says when the first one is back";
    Internal "internal" INTERNAL_SERVER_ERROR "Claviger failed; its log says why";
    PoolUnreadable "pool_unreadable" SERVICE_UNAVAILABLE "there are keys, and they cannot be opened";
    MasterKeyMissing "master_key_missing" SERVICE_UNAVAILABLE "the node has not the master key that is in use";
    StoreUnavailable "store_unavailable" SERVICE_UNAVAILABLE "the database does not do its work; try again shortly";
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl PartialSchema for Code {
    fn schema() -> RefOr<Schema> {
        let alike = || Self::ALL.chunk_by(|one, next| one.as_str() == next.as_str());
        let meanings = alike().map(|codes| {
            let meanings: Vec<_> = codes.iter().map(|code| code.meaning()).collect();
            format!("- `{}`: {}", codes[0].as_str(), meanings.join("; or "))
        });
        let description = format!("What went wrong, for a program.\n\n{}", meanings.collect::<Vec<_>>().join("\n"));
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(description))
            .enum_values(Some(alike().map(|codes| codes[0].as_str())))
            .into()
    }
}

impl ToSchema for Code {
    fn name() -> std::borrow::Cow<'static, str> {
        "ErrorCode".into()
    }
}

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Error)]
pub(crate) struct Problem {
    /// A sentence for a person. It never holds a secret, nor what a caller sent as one.
    error: String,
    code: Code,
    /// The field of the body, the parameter or the header that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    field: Option<String>,
    /// With `duplicate_key`: the key that has this secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    key_id: Option<KeyId>,
    /// In how many seconds it is worth trying again. A header.
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    pub(crate) fn new(code: Code, sentence: impl Display) -> Self {
        Self { error: sentence.to_string(), code, field: None, key_id: None, retry_after: None }
    }

    /// A value that does not have its form: `problem` says what it must be.
    pub(crate) fn input(field: &str, problem: impl Display) -> Self {
        Self::new(Code::InvalidInput, format_args!("{field} {problem}")).at(field)
    }

    /// A name that an acting user cannot have.
    pub(crate) fn actor(field: &str, error: InvalidActor) -> Self {
        let code = match error {
            InvalidActor::Form => Code::InvalidInput,
            InvalidActor::Reserved => Code::ActorReserved,
        };
        Self::new(code, format_args!("{field} {error}")).at(field)
    }

    pub(crate) fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    pub(crate) fn key(mut self, id: KeyId) -> Self {
        self.key_id = Some(id);
        self
    }

    pub(crate) fn again_in(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The database failed. Why is for the log, and not for the caller.
    pub(crate) fn store(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %Chain(error), "the database failed");
        let sentence = "Claviger's database does not do its work at the moment; try again shortly";
        Self::new(Code::StoreUnavailable, sentence).again_in(1)
    }

    /// Claviger failed. Why is for the log, and not for the caller.
    pub(crate) fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %Chain(error), "a request failed");
        Self::new(Code::Internal, "Claviger failed; its log says why")
    }

    /// An owner's data key does not open. Why is for the log, and not for the caller.
    pub(crate) fn unreadable(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %Chain(error), "a data key does not open");
        Self::new(Code::PoolUnreadable, "the keys here cannot be opened, and none can be stored beside them")
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self.code.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        headers
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.code.status(), self.headers(), Json(self)).into_response()
    }
}

/// An error with everything that caused it, on one line.
struct Chain<'a>(&'a (dyn Error + 'static));

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        Ok(())
    }
}

/// An operation's error: what callers are told, and with which codes.
pub(crate) trait Refusal {
    /// The codes, in groups.
    const CODES: &[&[Code]];

    /// What the caller is told.
    fn problem(self) -> Problem;
}

impl<E: Refusal> From<E> for Problem {
    fn from(error: E) -> Self {
        error.problem()
    }
}

/// Documents an operation's errors: an answer a status, with the codes that it may carry.
pub(crate) struct Refusals<E>(PhantomData<E>);

impl<E: Refusal> IntoResponses for Refusals<E> {
    fn responses() -> Responses {
        let mut responses = Responses::new();
        document(&mut responses, |code| E::CODES.iter().any(|group| group.contains(&code)));
        responses
    }
}

type Responses = BTreeMap<String, RefOr<utoipa::openapi::Response>>;

/// Adds codes to what an operation may answer: in the order of the list, and each once.
pub(crate) fn document(responses: &mut Responses, is_meant: impl Fn(Code) -> bool) {
    for code in Code::ALL.iter().copied().filter(|code| is_meant(*code)) {
        let response = responses.entry(code.status().as_str().to_owned()).or_insert_with(|| {
            let schema = ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).build();
            ResponseBuilder::new().content("application/json", schema).into()
        });
        if let RefOr::T(response) = response {
            let gap = if response.description.is_empty() { "" } else { "\n\n" };
            // Writing to a string cannot fail.
            let _ = write!(response.description, "{gap}`{}`: {}", code.as_str(), code.meaning());
        }
    }
}
