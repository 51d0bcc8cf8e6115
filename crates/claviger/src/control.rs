//! Hands what is not for the gateway to the control plane, on the runtime that is for everything else.

use std::future::Future;
use std::pin::Pin;

use axum::Router;
use claviger_gateway::{BoxError, CallerBody, ControlPlane, Reply};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tower_service::Service;

/// As the API says it.
const FAILED: &[u8] = br#"{"error":"Claviger failed; its log says where","code":"internal"}"#;

/// The control plane's routes, run apart from the gateway's threads.
pub(crate) struct Control {
    router: Router,
    runtime: Handle,
    tasks: TaskTracker,
}

impl Control {
    pub(crate) fn new(router: Router, runtime: Handle, tasks: TaskTracker) -> Self {
        Self { router, runtime, tasks }
    }
}

impl ControlPlane for Control {
    fn answer(&self, request: Request<CallerBody>) -> Pin<Box<dyn Future<Output = Response<Reply>> + Send>> {
        Box::pin(self.run(request))
    }
}

impl Control {
    fn run<B>(&self, request: Request<B>) -> impl Future<Output = Response<Reply>> + Send + use<B>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let mut router = self.router.clone();
        // A change that was begun is finished, even when the caller has left: it would be done by half otherwise.
        let answering = self.tasks.spawn_on(async move { router.call(request).await }, &self.runtime);
        async move {
            match answering.await {
                Ok(Ok(response)) => response
                    .map(|body| Reply::Control(body.map_err(|error| -> BoxError { error.into() }).boxed_unsync())),
                Err(_panicked) => {
                    tracing::error!("a request to the control plane panicked");
                    let mut response = Response::new(Reply::Full(Some(Bytes::from_static(FAILED))));
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    response
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    async fn never() {
        panic!("a mistake");
    }

    #[tokio::test]
    async fn a_panic_is_answered_and_the_next_request_is_served() {
        let router = Router::new().route("/panic", get(never)).route("/well", get(async || "well"));
        let control = Control::new(router, Handle::current(), TaskTracker::new());
        let ask = async |path: &str| {
            let request = Request::get(path).body(axum::body::Body::empty()).unwrap();
            let answer = control.run(request).await;
            (answer.status().as_u16(), answer.into_body().collect().await.unwrap().to_bytes())
        };
        assert_eq!(ask("/panic").await, (500, Bytes::from_static(FAILED)));
        assert_eq!(ask("/well").await, (200, Bytes::from_static(b"well")));
    }
}
