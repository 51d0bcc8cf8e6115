//! The way of a request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use claviger_app::App;
use claviger_app::keyring::{Lease, Outcome};
use claviger_core::catalogue::Auth;
use claviger_core::{KeySecret, ProviderId, WorkspaceId};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::http::{request, response};
use hyper::{HeaderMap, Request, Response};
use hyper_util::client::legacy;
use tokio_util::task::TaskTracker;

use crate::address::Address;
use crate::answer::{self, REQUEST_ID, Refusal};
use crate::body::{Relayed, Reply, Sent};
use crate::credential;
use crate::forward::{self, Destination, Route};
use crate::metrics::GatewayMetrics;
use crate::upgrade::{self, Upgrade};
use crate::upstream::Upstreams;

const WORKSPACE: &str = "x-claviger-workspace";

/// How long things may take, and how large they may be.
#[derive(Clone, Copy, Debug)]
pub struct GatewaySettings {
    /// Until a connection to a provider stands.
    pub connect_timeout: Duration,
    /// From the request to the head of the provider's answer.
    pub response_timeout: Duration,
    /// Between two pieces of a provider's answer.
    pub idle_timeout: Duration,
    /// The largest request body, in bytes, that is ever held in memory.
    pub replay_limit: usize,
}

/// What all workers share.
#[derive(Debug)]
pub struct Gateway {
    app: Arc<App>,
    routes: HashMap<ProviderId, Route>,
    pub(crate) settings: GatewaySettings,
    /// Upgraded connections.
    pub(crate) tunnels: TaskTracker,
    /// What is counted.
    pub metrics: Arc<GatewayMetrics>,
}

/// A provider's answer, with the lease it was won by.
struct Answered {
    lease: Lease,
    response: Response<Incoming>,
}

impl Gateway {
    /// A gateway to the catalogue's providers. `Err` names the provider whose address cannot be used.
    pub fn new(app: Arc<App>, settings: GatewaySettings) -> Result<Self, ProviderId> {
        let routes = app.catalogue.iter().map(|provider| {
            let route = Route::new(Arc::clone(provider)).map_err(|_| provider.id.clone())?;
            Ok((provider.id.clone(), route))
        });
        let routes = routes.collect::<Result<_, ProviderId>>()?;
        Ok(Self { app, routes, settings, tunnels: TaskTracker::new(), metrics: Arc::default() })
    }

    /// Answers one request.
    pub(crate) async fn handle(&self, upstreams: &Upstreams, request: Request<Incoming>) -> Response<Reply> {
        let request_id = request.headers().get(REQUEST_ID).cloned().unwrap_or_else(new_request_id);
        let mut response = match self.relay(upstreams, request, &request_id).await {
            Ok(response) => response,
            Err(refusal) => {
                self.metrics.refused(refusal.code());
                tracing::info!(request_id = ?request_id, code = refusal.code(), "request refused");
                refusal.into_response()
            }
        };
        // A provider's own request id is what its support asks for, so it stays.
        response.headers_mut().entry(REQUEST_ID).or_insert(request_id);
        response
    }

    async fn relay(
        &self,
        upstreams: &Upstreams,
        mut request: Request<Incoming>,
        request_id: &HeaderValue,
    ) -> Result<Response<Reply>, Refusal> {
        let upgrade = upgrade::wanted(&mut request);
        let (request::Parts { method, uri, mut headers, .. }, body) = request.into_parts();
        let address = Address::read(&uri).ok_or_else(|| Refusal::UnknownProvider(String::new()))?;
        let route = self.routes.get(address.provider);
        let provider = route.map(|route| &*route.provider);
        let token = credential::find(&headers, address.query, provider).ok_or(Refusal::NoToken)?.into_owned();
        let workspace = self.authenticate(&headers, &token).await?;
        let route = route.ok_or_else(|| Refusal::UnknownProvider(address.provider.to_owned()))?;
        address.check()?;
        if forward::holds(address.path.as_bytes(), &token) {
            return Err(Refusal::TokenInPath);
        }
        let provider = &route.provider.id;
        let leased = self.app.keyring.lease(&workspace, provider).await;
        let (secret, lease) = leased.map_err(|error| {
            if let claviger_app::keyring::LeaseError::Store(error) = &error {
                tracing::error!(%provider, %workspace, error = error as &dyn std::error::Error, "no lease");
            }
            Refusal::Lease(provider.clone(), error)
        })?;
        let destination = Destination::new(route, address.path, address.query);
        let uri = destination.uri(&token, &secret)?;
        destination.headers(&mut headers, &token, &secret)?;
        if let Some(upgrade) = &upgrade {
            upgrade.put_headers(&mut headers);
        }
        let body = self.body(destination.auth(), body, &mut headers, &secret).await?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        // Dropped before anything is waited for: from here on the key is in the request alone.
        drop(secret);
        let client = if upgrade.is_some() { &upstreams.http1 } else { &upstreams.any };
        let answered = match tokio::time::timeout(self.settings.response_timeout, client.request(request)).await {
            Ok(Ok(response)) => Ok(Answered { lease, response }),
            Ok(Err(error)) => Err((lease, refusal_of(&error))),
            Err(_) => Err((lease, Refusal::NoAnswer)),
        };
        match answered {
            Ok(answered) => Ok(self.answer(answered, upgrade, request_id)),
            Err((lease, refusal)) => Ok(self.failed(lease, refusal, request_id)),
        }
    }

    async fn authenticate(&self, headers: &HeaderMap, token: &[u8]) -> Result<WorkspaceId, Refusal> {
        let principal = self.app.access.authenticate(token).await?;
        let named = match headers.get(WORKSPACE) {
            None => None,
            Some(name) => {
                let name = name.to_str().ok().and_then(|name| name.parse().ok());
                Some(name.ok_or(Refusal::WorkspaceName)?)
            }
        };
        Ok(principal.permit_gateway(named.as_ref())?)
    }

    async fn body(
        &self,
        auth: &Auth,
        body: Incoming,
        headers: &mut HeaderMap,
        secret: &KeySecret,
    ) -> Result<Sent, Refusal> {
        match auth {
            Auth::Bearer | Auth::Header { .. } | Auth::Query { .. } | Auth::Basic { .. } => Ok(Sent::Streamed(body)),
            Auth::Body { field } => {
                let body = self.collect(body).await?;
                let body = forward::body_with_key(&body, field, secret).ok_or(Refusal::NoJsonBody)?;
                forward::set_length(headers, body.len());
                Ok(Sent::Rewritten(Some(body)))
            }
        }
    }

    async fn collect(&self, body: Incoming) -> Result<bytes::Bytes, Refusal> {
        let limit = self.settings.replay_limit;
        match Limited::new(body, limit).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge(limit)),
            Err(_) => Err(Refusal::BodyBrokeOff),
        }
    }

    fn answer(&self, answered: Answered, upgrade: Option<Upgrade>, request_id: &HeaderValue) -> Response<Reply> {
        let Answered { lease, mut response } = answered;
        tracing::debug!(?request_id, key = %lease.key_id(), status = response.status().as_u16(), "answered");
        let upgraded = upgrade.and_then(|upgrade| upgrade.accept(&mut response, &self.tunnels));
        let (response::Parts { status, mut headers, .. }, body) = response.into_parts();
        forward::answer_headers(&mut headers);
        if let Some(accepted) = &upgraded {
            accepted.put_headers(&mut headers);
        }
        answer::put_receipt(&mut headers, &lease);
        lease.end(Outcome::Answered(status.as_u16()));
        let body = match upgraded {
            Some(_) => Reply::Full(None),
            None => Reply::Relayed(Relayed::new(body, self.settings.idle_timeout)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    fn failed(&self, lease: Lease, refusal: Refusal, request_id: &HeaderValue) -> Response<Reply> {
        self.metrics.refused(refusal.code());
        tracing::warn!(?request_id, key = %lease.key_id(), code = refusal.code(), "the provider did not answer");
        let mut response = refusal.into_response();
        answer::put_receipt(response.headers_mut(), &lease);
        lease.end(Outcome::Failed);
        response
    }
}

/// What a failed attempt means. The error itself is not shown: it can name the URL, and that can hold the key.
fn refusal_of(error: &legacy::Error) -> Refusal {
    if error.is_connect() { Refusal::Unreachable } else { Refusal::BrokenOff }
}

fn new_request_id() -> HeaderValue {
    let id = format!("req_{:032x}", rand::random::<u128>());
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("req_unknown"))
}
