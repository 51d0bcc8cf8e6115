//! The WebDriver client's requests, over the HTTP client that is here anyway: plain, to a loopback port.

use std::fmt::Display;
use std::sync::Arc;

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use thirtyfour::error::WebDriverErrorInner;
use thirtyfour::prelude::{WebDriverError, WebDriverResult};
use thirtyfour::session::http::{Body, HttpClient};

pub(crate) struct Http(Client<HttpConnector, Full<Bytes>>);

impl Http {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }
}

#[async_trait::async_trait]
impl HttpClient for Http {
    async fn send(&self, request: Request<Body<'_>>) -> WebDriverResult<Response<Bytes>> {
        let request = request.map(|body| match body {
            Body::Empty => Full::default(),
            Body::Json(json) => Full::new(Bytes::from(json.to_string())),
        });
        let (head, body) = self.0.request(request).await.map_err(failed)?.into_parts();
        Ok(Response::from_parts(head, body.collect().await.map_err(failed)?.to_bytes()))
    }

    async fn new(&self) -> Arc<dyn HttpClient> {
        Arc::new(Self::new())
    }
}

fn failed(error: impl Display) -> WebDriverError {
    WebDriverErrorInner::RequestFailed(error.to_string()).into()
}
