//! The way of a request: read it, note it, ask what its key meets, answer.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;

use crate::answer::{Answer, Content};
use crate::behaviour::Orders;
use crate::body::{self, AnswerBody};
use crate::call::{Call, Pace};
use crate::route::{Dialect, Route};
use crate::state::{InFlight, State};
use crate::{anthropic, control, echo, files, gemini, keys, openai, refusal, websocket};

/// The upgrade that a connection was granted. The connection's own task goes on with it, so that stopping the mock
/// stops it too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upgrade(Arc<Mutex<Option<(OnUpgrade, InFlight)>>>);

impl Upgrade {
    pub(crate) fn take(&self) -> Option<(OnUpgrade, InFlight)> {
        self.0.lock().take()
    }
}

pub(crate) async fn answer(
    state: Arc<State>,
    upgrade: Upgrade,
    mut request: Request<Incoming>,
) -> Response<AnswerBody> {
    if let Some(endpoint) = request.uri().path().strip_prefix(control::MOUNT) {
        let endpoint = endpoint.to_owned();
        return control::answer(&state, &endpoint, request).await;
    }
    let in_flight = state.begin();
    let on_upgrade = websocket::is_wanted(request.headers()).then(|| hyper::upgrade::on(&mut request));
    let (head, body) = request.into_parts();
    // A body that breaks off leaves nobody to answer; dropping `in_flight` counts the request as cancelled.
    let Ok(received) = body::receive(body).await else {
        return plain(StatusCode::BAD_REQUEST, Bytes::from_static(b"the body broke off"));
    };
    state.recording.note(&head, &received.bytes, received.length);

    let Some((provider, path)) = mounted(head.uri.path()) else {
        let answer = refusal::refuse(Dialect::Other, StatusCode::NOT_FOUND, "no provider in the path");
        return respond(answer, &head.method, Pace::of(&head.headers, None), None, in_flight);
    };
    let route = Route::of(provider, &head.method, path);
    let dialect = route.dialect(provider);
    let key = keys::find(&head, &received.bytes).unwrap_or_default();
    state.count(provider, &key);
    let orders = if key.is_empty() { None } else { state.behaviours.next(provider, &key) };
    let orders = orders.as_deref();
    if let Some(orders) = orders {
        if orders.never_answer {
            std::future::pending::<()>().await;
        }
        if !orders.delay.is_zero() {
            tokio::time::sleep(orders.delay).await;
        }
    }
    let pace = Pace::of(&head.headers, orders);
    let answer = if key.is_empty() {
        refusal::refuse(dialect, StatusCode::UNAUTHORIZED, "no API key was given")
    } else if let Some(answer) = orders.and_then(|orders| ordered(orders, dialect)) {
        answer
    } else if let Some(on_upgrade) = on_upgrade {
        *upgrade.0.lock() = Some((on_upgrade, in_flight));
        return websocket::accept(&head.headers);
    } else {
        let number = state.next_number();
        let call = Call { provider, path, head: &head, body: &received, pace, number, state: &state };
        provider_answer(route, dialect, &call)
    };
    respond(answer, &head.method, pace, orders, in_flight)
}

/// Splits `/openai/v1/models` into the provider's id and its own path.
fn mounted(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?;
    let (provider, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    (!provider.is_empty()).then_some((provider, if rest.is_empty() { "/" } else { rest }))
}

/// The answer that replaces the provider's, if one does.
fn ordered(orders: &Orders, dialect: Dialect) -> Option<Answer> {
    let status = orders.status;
    if let Some((body, content_type)) = &orders.body {
        return Some(Answer::new(status.unwrap_or(StatusCode::OK), content_type, body.clone()));
    }
    let status = status?;
    if status.as_u16() < 400 {
        return Some(Answer::new(status, "", Bytes::new()));
    }
    Some(refusal::refuse(dialect, status, status.canonical_reason().unwrap_or("mock error")))
}

fn provider_answer(route: Route<'_>, dialect: Dialect, call: &Call<'_>) -> Answer {
    match route {
        Route::Chat => openai::chat(call),
        Route::Responses => openai::responses(call),
        Route::Embeddings => openai::embeddings(call),
        Route::OpenAiModels => openai::models(),
        Route::Messages => anthropic::messages(call),
        Route::CountTokens => anthropic::count_tokens(call),
        Route::AnthropicModels => anthropic::models(),
        Route::GenerateContent { model, stream } => gemini::generate_content(call, model, stream),
        Route::GeminiModels => gemini::models(),
        Route::Upload => files::upload(call, dialect),
        Route::File { id } => files::one(call, dialect, id),
        Route::Echo => echo::answer(call),
    }
}

fn respond(
    answer: Answer,
    method: &Method,
    pace: Pace,
    orders: Option<&Orders>,
    mut in_flight: InFlight,
) -> Response<AnswerBody> {
    let length = match &answer.content {
        Content::Whole(bytes) => Some(bytes.len()),
        Content::Frames(_) => None,
    };
    let has_body = !matches!(answer.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let body = if method == Method::HEAD || !has_body {
        in_flight.complete();
        AnswerBody::unwatched(Bytes::new())
    } else {
        AnswerBody::new(answer.content, pace.gap, orders.and_then(|orders| orders.cut_after_bytes), in_flight)
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    if !answer.content_type.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    }
    if method == Method::HEAD
        && has_body
        && let Some(length) = length
    {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    if let Some(orders) = orders {
        for (name, value) in &orders.headers {
            headers.insert(name, value.clone());
        }
    }
    response
}

/// An answer of the mock itself, in plain text.
pub(crate) fn plain(status: StatusCode, text: Bytes) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::unwatched(text));
    *response.status_mut() = status;
    response
}
