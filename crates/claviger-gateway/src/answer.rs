//! Claviger's own answers on the gateway: errors that the OpenAI and Anthropic SDKs can read, and receipts.

use bytes::Bytes;
use claviger_app::access::{AuthenticateError, GatewayForbidden};
use claviger_app::keyring::{Lease, LeaseError};
use claviger_core::ProviderId;
use claviger_core::path::UnsafePath;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use serde_json::json;

use crate::body::Reply;
use crate::forward::Unwritable;

const KEY_ID: HeaderName = HeaderName::from_static("x-claviger-key-id");
const SCOPE: HeaderName = HeaderName::from_static("x-claviger-scope");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-claviger-attempts");
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Puts the receipt on a provider's answer.
pub(crate) fn put_receipt(headers: &mut HeaderMap, lease: &Lease) {
    if let Ok(id) = HeaderValue::from_str(lease.key_id().as_str()) {
        headers.insert(KEY_ID, id);
    }
    headers.insert(SCOPE, HeaderValue::from_static(lease.scope().as_str()));
    headers.insert(ATTEMPTS, HeaderValue::from_static("1"));
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
    #[error("x-claviger-workspace must be 1 to 128 of A-Z a-z 0-9 . _ : -")]
    WorkspaceName,
    #[error("there is no provider {0:?}; GET /api/providers lists them")]
    UnknownProvider(String),
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
    #[error("the provider could not be reached")]
    Unreachable,
    #[error("the provider did not answer in time")]
    NoAnswer,
    #[error("the provider broke the connection off before it answered")]
    BrokenOff,
    #[error("the request cannot be written for the provider")]
    Unwritable(#[from] Unwritable),
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
            Self::Token(AuthenticateError::Expired) => (S::UNAUTHORIZED, "authentication_error", "token_expired"),
            Self::Token(AuthenticateError::Store(_)) | Self::Lease(_, LeaseError::Store(_)) => {
                (S::SERVICE_UNAVAILABLE, "api_error", "store_unavailable")
            }
            Self::Forbidden(GatewayForbidden::Forbidden(_)) => (S::FORBIDDEN, "permission_error", "forbidden"),
            Self::Forbidden(GatewayForbidden::NoWorkspaceNamed) | Self::WorkspaceName => {
                (S::BAD_REQUEST, "invalid_request_error", "workspace_required")
            }
            Self::UnknownProvider(_) | Self::Lease(_, LeaseError::NoProvider) => {
                (S::NOT_FOUND, "not_found_error", "unknown_provider")
            }
            Self::Path(_) | Self::TokenInPath => (S::BAD_REQUEST, "invalid_request_error", "invalid_path"),
            Self::Lease(_, LeaseError::NoWorkspace) => (S::NOT_FOUND, "not_found_error", "unknown_workspace"),
            Self::Lease(_, LeaseError::NoKey) => (S::NOT_FOUND, "not_found_error", "no_key"),
            Self::Lease(_, LeaseError::PoolUnreadable) => (S::SERVICE_UNAVAILABLE, "api_error", "pool_unreadable"),
            Self::Method => (S::METHOD_NOT_ALLOWED, "invalid_request_error", "method_not_allowed"),
            Self::NoJsonBody => (S::BAD_REQUEST, "invalid_request_error", "invalid_json"),
            Self::BodyTooLarge(_) => (S::PAYLOAD_TOO_LARGE, "invalid_request_error", "body_too_large"),
            Self::BodyBrokeOff => (S::BAD_REQUEST, "invalid_request_error", "body_incomplete"),
            Self::Unreachable => (S::BAD_GATEWAY, "api_error", "provider_unreachable"),
            Self::NoAnswer => (S::GATEWAY_TIMEOUT, "api_error", "provider_timeout"),
            Self::BrokenOff => (S::BAD_GATEWAY, "api_error", "provider_disconnected"),
            Self::Unwritable(_) => (S::BAD_REQUEST, "invalid_request_error", "invalid_request"),
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
            _ => self.to_string(),
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
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
