//! The control endpoints, for tests and benchmarks that run the mock as a process of its own.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::answer::JSON;
use crate::behaviour::Behaviour;
use crate::body::{self, AnswerBody};
use crate::relay::plain;
use crate::state::State;

/// The control endpoints begin with this. No provider's id begins with an underscore.
pub(crate) const MOUNT: &str = "/_mock/";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetBehaviour {
    provider: String,
    key: String,
    behaviour: Behaviour,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetRecording {
    enabled: bool,
}

/// Why a control request is refused.
enum Refusal {
    Malformed(String),
    UnknownEndpoint,
    WrongMethod,
}

pub(crate) async fn answer(state: &State, endpoint: &str, request: Request<Incoming>) -> Response<AnswerBody> {
    let method = request.method().clone();
    let Ok(received) = body::receive(request.into_body()).await else {
        return plain(StatusCode::BAD_REQUEST, Bytes::from_static(b"the body broke off"));
    };
    let (status, message) = match dispatch(state, endpoint, &method, &received.bytes) {
        Ok(response) => return response,
        Err(Refusal::Malformed(message)) => (StatusCode::BAD_REQUEST, message),
        Err(Refusal::UnknownEndpoint) => (StatusCode::NOT_FOUND, "no such control endpoint".to_owned()),
        Err(Refusal::WrongMethod) => (StatusCode::METHOD_NOT_ALLOWED, "not with this method".to_owned()),
    };
    let mut response = json(&serde_json::json!({ "error": message }));
    *response.status_mut() = status;
    response
}

fn dispatch(state: &State, endpoint: &str, method: &Method, body: &[u8]) -> Result<Response<AnswerBody>, Refusal> {
    match (endpoint, method) {
        ("behaviours", &Method::PUT) => {
            let SetBehaviour { provider, key, behaviour } = read(body)?;
            let set = state.behaviours.set(&provider, &key, behaviour);
            set.map_err(|error| Refusal::Malformed(error.to_string()))?;
        }
        ("behaviours", &Method::DELETE) => state.behaviours.clear(),
        ("counts", &Method::GET) => return Ok(json(&state.counts())),
        ("recording", &Method::PUT) => {
            let SetRecording { enabled } = read(body)?;
            state.recording.set_enabled(enabled);
        }
        ("requests", &Method::GET) => return Ok(json(&state.recording.requests())),
        ("reset", &Method::POST) => state.reset(),
        ("behaviours" | "counts" | "recording" | "requests" | "reset", _) => return Err(Refusal::WrongMethod),
        _ => return Err(Refusal::UnknownEndpoint),
    }
    Ok(plain(StatusCode::NO_CONTENT, Bytes::new()))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::Malformed(error.to_string()))
}

fn json(value: &impl Serialize) -> Response<AnswerBody> {
    let body = serde_json::to_vec(value).expect("the mock's books are plain data");
    let mut response = plain(StatusCode::OK, body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
    response
}
