//! A small HTTP client for tests: JSON in, JSON out.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Builder, Client as Http};
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::assert_no_secret;
use crate::secrets::Shown;

/// Speaks to one server with one token.
#[derive(Clone, Debug)]
pub struct Client {
    http: Http<HttpConnector, Full<Bytes>>,
    base: String,
    token: String,
    shown: Arc<Shown>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body's bytes.
    pub bytes: Bytes,
    /// The body as JSON; null where it is none.
    pub json: Value,
}

impl Answer {
    /// The error's code, of an answer of the control plane or of the gateway.
    #[must_use]
    pub fn code(&self) -> &str {
        self.json["code"].as_str().or_else(|| self.json["error"]["code"].as_str()).unwrap_or_default()
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Client {
    /// A client for the server at `base` (`http://host:port`).
    #[must_use]
    pub fn new(base: &str, token: &str) -> Self {
        Self::of(base, token, &mut Http::builder(TokioExecutor::new()))
    }

    /// A client that speaks HTTP/2 from the first byte on.
    #[must_use]
    pub fn http2(base: &str, token: &str) -> Self {
        Self::of(base, token, Http::builder(TokioExecutor::new()).http2_only(true))
    }

    fn of(base: &str, token: &str, builder: &mut Builder) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self { http: builder.build(connector), base: base.to_owned(), token: token.to_owned(), shown: Arc::default() }
    }

    /// The same, which notes the tokens that it is shown there.
    pub(crate) fn noting(self, shown: &Arc<Shown>) -> Self {
        Self { shown: Arc::clone(shown), ..self }
    }

    /// The same, with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Sends JSON; `Value::Null` is no body. `Err` where no whole answer came.
    pub async fn try_send(&self, method: Method, path: &str, body: &Value) -> Result<Answer, String> {
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(bytes))
            .map_err(|error| error.to_string())?;
        self.try_request(request).await
    }

    /// As [`Client::try_send`], where a whole answer is expected.
    pub async fn send(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.try_send(method, path, body).await.expect("an answer")
    }

    /// Sends a request as it is; its URI must be absolute.
    ///
    /// Panics where Claviger answers with a test's secret: only `resolve` may, and whatever a provider answers passes.
    pub async fn try_request(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let may_have_secrets =
            request.uri().path().starts_with("/gateway/") || request.uri().path().ends_with("/resolve");
        let response = self.http.request(request).await.map_err(|error| error.to_string())?;
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        if !may_have_secrets {
            assert!(!head.headers.contains_key(CONTENT_ENCODING), "a packed answer cannot be looked through");
            assert_no_secret("an answer's headers", format!("{:?}", head.headers).as_bytes());
            assert_no_secret("an answer", &bytes);
            self.shown.note(&String::from_utf8_lossy(&bytes));
        }
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status: head.status, headers: head.headers, bytes, json })
    }
}
