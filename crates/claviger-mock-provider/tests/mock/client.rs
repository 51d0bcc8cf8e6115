//! A plain HTTP client with JSON answers.

use bytes::Bytes;
use claviger_mock_provider::MockProvider;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

pub(crate) const KEY: &str = "key-1";

pub(crate) async fn start() -> MockProvider {
    MockProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap()
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The data of every event of a stream, without the closing `[DONE]`.
    pub(crate) fn events(&self) -> Vec<Value> {
        let data = self.text().lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
    }
}

/// Sends a request; the error is that of an answer that breaks off.
pub(crate) async fn try_send(request: Request<Full<Bytes>>, http2: bool) -> Result<Reply, hyper::Error> {
    let client = Client::builder(TokioExecutor::new()).http2_only(http2).build_http();
    let response = client.request(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Reply { status: head.status, headers: head.headers, body })
}

pub(crate) async fn send(request: Request<Full<Bytes>>) -> Reply {
    try_send(request, false).await.unwrap()
}

/// A request with a key.
pub(crate) fn request(mock: &MockProvider, method: &str, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let uri = format!("http://{}{path}", mock.addr());
    let request = Request::builder().method(method).uri(uri);
    request.header("authorization", format!("Bearer {KEY}")).body(Full::new(body.into())).unwrap()
}

pub(crate) async fn get(mock: &MockProvider, path: &str) -> Reply {
    send(request(mock, "GET", path, "")).await
}

pub(crate) async fn post(mock: &MockProvider, path: &str, body: &Value) -> Reply {
    let reply = send(request(mock, "POST", path, body.to_string())).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    reply
}
