//! Errors in the shape of each API.

use http::StatusCode;

use crate::answer::{Answer, JSON, Quoted};
use crate::call::Call;
use crate::route::Dialect;

/// An error with the status's usual type and code.
pub(crate) fn refuse(dialect: Dialect, status: StatusCode, message: &str) -> Answer {
    let message = Quoted(message);
    let code = status.as_u16();
    let body = match dialect {
        Dialect::OpenAi => {
            let (kind, name) = openai_names(code);
            format!(r#"{{"error":{{"message":{message},"type":"{kind}","param":null,"code":"{name}"}}}}"#)
        }
        Dialect::Anthropic => {
            let kind = anthropic_name(code);
            format!(r#"{{"type":"error","error":{{"type":"{kind}","message":{message}}},"request_id":"req_mock"}}"#)
        }
        Dialect::Gemini => {
            let name = google_name(code);
            format!(r#"{{"error":{{"code":{code},"message":{message},"status":"{name}"}}}}"#)
        }
        Dialect::Other => format!(r#"{{"error":{message}}}"#),
    };
    Answer::new(status, JSON, body)
}

/// The refusal of a body that is not the JSON that the endpoint reads.
pub(crate) fn malformed(dialect: Dialect, call: &Call<'_>, error: &serde_json::Error) -> Answer {
    if !call.body.is_whole() {
        return refuse(dialect, StatusCode::PAYLOAD_TOO_LARGE, "the body has more than 64 MiB");
    }
    refuse(dialect, StatusCode::BAD_REQUEST, &format!("the body cannot be read: {error}"))
}

fn openai_names(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("invalid_request_error", "invalid_api_key"),
        402 => ("insufficient_quota", "insufficient_quota"),
        403 => ("invalid_request_error", "permission_denied"),
        404 => ("invalid_request_error", "not_found"),
        429 => ("requests", "rate_limit_exceeded"),
        500.. => ("server_error", "server_error"),
        _ => ("invalid_request_error", "invalid_request"),
    }
}

fn anthropic_name(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

fn google_name(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}
