//! Claviger's own answers on the gateway: errors that the OpenAI and Anthropic SDKs can read, and receipts.

use std::time::Duration;

use bytes::Bytes;
use claviger_app::access::{AuthenticateError, GatewayForbidden};
use claviger_app::keyring::{Lease, LeaseError};
use claviger_core::path::UnsafePath;
use claviger_core::{ProviderId, Scope};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde_json::json;

use crate::body::Reply;
use crate::forward::Unwritable;
use crate::limits::Full;
use crate::replay::Lost;

const KEY_ID: HeaderName = HeaderName::from_static("x-claviger-key-id");
const SCOPE: HeaderName = HeaderName::from_static("x-claviger-scope");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-claviger-attempts");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Why a request was not tried with another key, although one might have done better.
const NOT_RETRIED: HeaderName = HeaderName::from_static("x-claviger-not-retried");

/// Which key an answer was had with.
#[derive(Debug)]
pub(crate) struct Receipt {
    key: Option<HeaderValue>,
    scope: Scope,
}

impl Receipt {
    pub(crate) fn of(lease: &Lease) -> Self {
        Self { key: HeaderValue::from_str(lease.key_id().as_str()).ok(), scope: lease.scope() }
    }

    /// Puts it on an answer, with how many attempts it took.
    pub(crate) fn put(self, headers: &mut HeaderMap, attempts: u32) {
        if let Some(key) = self.key {
            headers.insert(KEY_ID, key);
        }
        headers.insert(SCOPE, HeaderValue::from_static(self.scope.as_str()));
        let attempts = if attempts == 1 { HeaderValue::from_static("1") } else { HeaderValue::from(attempts) };
        headers.insert(ATTEMPTS, attempts);
    }
}

pub(crate) fn put_lost(headers: &mut HeaderMap, lost: Lost) {
    headers.insert(NOT_RETRIED, HeaderValue::from_static(lost.as_str()));
}

/// Why the gateway answers by itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no token: send one as Authorization: Bearer, x-api-key, x-goog-api-key or ?key=")]
    NoToken,
    #[error(transparent)]
    Token(#[from] AuthenticateError),
    #[error(transparent)]
    Forbidden(#[from] GatewayForbidden),
    #[error("x-claviger-workspace must be there once and be 1 to 128 of A-Z a-z 0-9 . _ : -")]
    WorkspaceName,
    /// What stands in its place is not repeated: it could be a key.
    #[error("there is no provider of this id; GET /api/providers lists them")]
    UnknownProvider,
    #[error("{0}, so it could lead out of the provider's API")]
    Path(#[from] UnsafePath),
    #[error("this method is not passed on")]
    Method,
    #[error("a token stands in the path, where it would reach the provider")]
    TokenInPath,
    #[error("{1}")]
    Lease(ProviderId, #[source] LeaseError),
    #[error("this provider takes its key inside a JSON object, and the body is none")]
    NoJsonBody,
    #[error("this provider takes its key inside the body, which may have at most {0} bytes for that")]
    BodyTooLarge(usize),
    #[error("the request's body broke off")]
    BodyBrokeOff,
    #[error("the request's body came too slowly")]
    BodyTooSlow,
    #[error("the URL has more than {0} bytes")]
    UrlTooLong(usize),
    #[error("this workspace has as many requests at once as it may")]
    TooManyRequests,
    #[error("this workspace has as many streams at once as it may")]
    TooManyStreams,
    #[error("the provider has not answered well for a while, and is left alone for a moment")]
    Unavailable(Duration),
    #[error("the provider could not be reached")]
    Unreachable,
    #[error("the provider did not answer in time")]
    NoAnswer,
    #[error("the provider broke the connection off before it answered")]
    BrokenOff,
    #[error("the request cannot be written for the provider")]
    Unwritable(#[from] Unwritable),
    #[error("Claviger failed; its log says where")]
    Panicked,
}

impl From<Full> for Refusal {
    fn from(full: Full) -> Self {
        match full {
            Full::Requests => Self::TooManyRequests,
            Full::Streams => Self::TooManyStreams,
        }
    }
}

/// Status, class, and code of a refusal.
type Kind = (StatusCode, &'static str, &'static str);

impl Refusal {
    fn kind(&self) -> Kind {
        use StatusCode as S;
        match self {
            Self::NoToken => (S::UNAUTHORIZED, "authentication_error", "token_missing"),
            Self::Token(AuthenticateError::Malformed | AuthenticateError::Unknown) => {
                (S::UNAUTHORIZED, "authentication_error", "token_invalid")
            }
            Self::Token(AuthenticateError::TooMany(_)) => {
                (S::TOO_MANY_REQUESTS, "rate_limit_error", "too_many_attempts")
            }
            Self::Token(AuthenticateError::Expired) => (S::UNAUTHORIZED, "authentication_error", "token_expired"),
            Self::Token(AuthenticateError::Store(_)) | Self::Lease(_, LeaseError::Store(_)) => {
                (S::SERVICE_UNAVAILABLE, "api_error", "store_unavailable")
            }
            Self::Forbidden(GatewayForbidden::Forbidden(_)) => (S::FORBIDDEN, "permission_error", "forbidden"),
            Self::Forbidden(GatewayForbidden::NoWorkspaceNamed) | Self::WorkspaceName => {
                (S::BAD_REQUEST, "invalid_request_error", "workspace_required")
            }
            Self::UnknownProvider | Self::Lease(_, LeaseError::NoProvider) => {
                (S::NOT_FOUND, "not_found_error", "unknown_provider")
            }
            Self::Path(_) | Self::TokenInPath => (S::BAD_REQUEST, "invalid_request_error", "invalid_path"),
            Self::Lease(_, LeaseError::NoWorkspace) => (S::NOT_FOUND, "not_found_error", "unknown_workspace"),
            Self::Lease(_, LeaseError::NoKey) => (S::NOT_FOUND, "not_found_error", "no_key"),
            Self::Lease(_, LeaseError::Cooling { .. } | LeaseError::AllTried) => {
                (S::TOO_MANY_REQUESTS, "rate_limit_error", "pool_cooling")
            }
            Self::Unavailable(_) => (S::SERVICE_UNAVAILABLE, "api_error", "provider_unavailable"),
            Self::Lease(_, LeaseError::PoolUnreadable) => (S::SERVICE_UNAVAILABLE, "api_error", "pool_unreadable"),
            Self::Method => (S::METHOD_NOT_ALLOWED, "invalid_request_error", "method_not_allowed"),
            Self::NoJsonBody => (S::BAD_REQUEST, "invalid_request_error", "invalid_json"),
            Self::BodyTooLarge(_) => (S::PAYLOAD_TOO_LARGE, "invalid_request_error", "body_too_large"),
            Self::BodyBrokeOff => (S::BAD_REQUEST, "invalid_request_error", "body_incomplete"),
            Self::BodyTooSlow => (S::REQUEST_TIMEOUT, "invalid_request_error", "body_too_slow"),
            Self::UrlTooLong(_) => (S::URI_TOO_LONG, "invalid_request_error", "url_too_long"),
            Self::TooManyRequests => (S::TOO_MANY_REQUESTS, "rate_limit_error", "too_many_requests_at_once"),
            Self::TooManyStreams => (S::TOO_MANY_REQUESTS, "rate_limit_error", "too_many_streams_at_once"),
            Self::Unreachable => (S::BAD_GATEWAY, "api_error", "provider_unreachable"),
            Self::NoAnswer => (S::GATEWAY_TIMEOUT, "api_error", "provider_timeout"),
            Self::BrokenOff => (S::BAD_GATEWAY, "api_error", "provider_disconnected"),
            Self::Unwritable(_) => (S::BAD_REQUEST, "invalid_request_error", "invalid_request"),
            Self::Panicked => (S::INTERNAL_SERVER_ERROR, "api_error", "internal"),
        }
    }

    /// The code, by which refusals are counted.
    pub(crate) fn code(&self) -> &'static str {
        self.kind().2
    }

    fn message(&self) -> String {
        match self {
            // What went wrong with the database is for the log.
            Self::Token(AuthenticateError::Store(_)) | Self::Lease(_, LeaseError::Store(_)) => {
                "Claviger's database cannot be reached; try again later".to_owned()
            }
            Self::Lease(provider, LeaseError::NoKey) => {
                format!("this workspace has no {provider} key that is switched on; add one in its settings")
            }
            Self::Lease(provider, LeaseError::PoolUnreadable) => {
                format!("none of this workspace's {provider} keys can be opened; they must be entered again")
            }
            Self::Lease(provider, LeaseError::Cooling { wait }) => {
                let seconds = whole_seconds(*wait);
                format!("all of this workspace's {provider} keys rest; the first one is back in {seconds} s")
            }
            _ => self.to_string(),
        }
    }

    /// When it is worth trying again, in seconds.
    fn retry_after(&self, status: StatusCode) -> Option<u64> {
        match self {
            Self::Lease(_, LeaseError::Cooling { wait }) | Self::Unavailable(wait) => Some(whole_seconds(*wait)),
            Self::Token(AuthenticateError::TooMany(too_many)) => Some(too_many.seconds()),
            Self::TooManyRequests | Self::TooManyStreams => Some(1),
            _ => (status == StatusCode::SERVICE_UNAVAILABLE).then_some(1),
        }
    }

    pub(crate) fn response(&self) -> Response<Reply> {
        let (status, class, code) = self.kind();
        let body = json!({"type": "error", "error": {"type": class, "code": code, "message": self.message()}});
        let mut response = Response::new(Reply::Full(Some(Bytes::from(body.to_string()))));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ATTEMPTS, HeaderValue::from_static("0"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after(status) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Rounded up: who comes back too early waits twice.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
