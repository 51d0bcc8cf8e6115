//! Hands what is not for the gateway to the control plane, on the runtime that is for everything else.

use std::future::Future;
use std::pin::Pin;

use axum::Router;
use claviger_gateway::{BoxError, CallerBody, ControlPlane, Reply};
use http_body_util::BodyExt;
use hyper::{Request, Response, StatusCode};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tower_service::Service;

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
        let mut router = self.router.clone();
        // A change that was begun is finished, even when the caller has left: it would be done by half otherwise.
        let answering = self.tasks.spawn_on(async move { router.call(request).await }, &self.runtime);
        Box::pin(async move {
            match answering.await {
                Ok(Ok(response)) => response
                    .map(|body| Reply::Control(body.map_err(|error| -> BoxError { error.into() }).boxed_unsync())),
                Err(_panicked) => {
                    tracing::error!("a request to the control plane panicked");
                    let mut response = Response::new(Reply::Full(None));
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    response
                }
            }
        })
    }
}
