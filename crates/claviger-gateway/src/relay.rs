//! The way of a request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claviger_app::App;
use claviger_app::keyring::{Lease, LeaseError, Outcome};
use claviger_core::catalogue::Auth;
use claviger_core::{KeySecret, ProviderId, WorkspaceId, path};
use data_encoding::HEXLOWER;
use foldhash::fast::RandomState;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::http::{request, response};
use hyper::{HeaderMap, Method, Request, Response};
use tokio_util::task::TaskTracker;

use crate::address::Address;
use crate::answer::{self, REQUEST_ID, Refusal};
use crate::body::{Reply, Sent};
use crate::connections::Held;
use crate::credential;
use crate::forward::{self, Destination, Route};
use crate::metrics::GatewayMetrics;
use crate::relayed::Relayed;
use crate::upgrade::{self, Upgrade};
use crate::upstream::{self, SendError, Upstreams};

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
    pub(crate) app: Arc<App>,
    routes: HashMap<ProviderId, Route, RandomState>,
    /// How many origins the providers have together.
    pub(crate) origins: usize,
    pub(crate) settings: GatewaySettings,
    /// Upgraded connections.
    pub(crate) tunnels: TaskTracker,
    /// What is counted.
    pub metrics: Arc<GatewayMetrics>,
}

/// A request that is ready to be sent, with the lease of the key that it carries.
struct Prepared<'a> {
    address: &'a upstream::Address,
    auth: &'a Auth,
    request: Request<Sent>,
    lease: Lease,
    upgrade: Option<Upgrade>,
}

impl Gateway {
    /// A gateway to the catalogue's providers. `Err` names the provider whose address cannot be used.
    pub fn new(app: Arc<App>, settings: GatewaySettings) -> Result<Self, ProviderId> {
        let mut routes = HashMap::default();
        let mut origins = 0;
        for provider in app.catalogue.iter() {
            let route = Route::new(Arc::clone(provider), origins).map_err(|_| provider.id.clone())?;
            routes.insert(provider.id.clone(), route);
            origins += provider.origins.len();
        }
        Ok(Self { app, routes, origins, settings, tunnels: TaskTracker::new(), metrics: Arc::default() })
    }

    /// Answers one request.
    pub(crate) async fn handle(&self, upstreams: &Upstreams, request: Request<Incoming>) -> Response<Reply> {
        // Not the caller's: what stands there could be anything, a key put into the wrong header among it, and the id is
        // logged and sent back.
        let request_id = new_request_id();
        let mut response = match self.relay(upstreams, request, &request_id).await {
            Ok(response) => response,
            Err(refusal) => {
                self.metrics.refused(refusal.code());
                tracing::info!(request_id = shown(&request_id), code = refusal.code(), "request refused");
                refusal.response()
            }
        };
        // A provider's own request id is what its support asks for, so it stays.
        response.headers_mut().entry(REQUEST_ID).or_insert(request_id);
        response
    }

    async fn relay(
        &self,
        upstreams: &Upstreams,
        request: Request<Incoming>,
        request_id: &HeaderValue,
    ) -> Result<Response<Reply>, Refusal> {
        let Prepared { address, auth, request, lease, upgrade } = self.prepare(request).await?;
        let sending = async {
            match &upgrade {
                None => upstreams.send(address, request).await,
                Some(_) => Box::pin(upstreams.send_upgrade(address, request)).await,
            }
        };
        match tokio::time::timeout(self.settings.response_timeout, sending).await {
            Ok(Ok(answered)) => Ok(self.answer(answered, auth, lease, upgrade, request_id)),
            Ok(Err(SendError::Unreachable)) => Ok(self.failed(&Refusal::Unreachable, lease, request_id)),
            Ok(Err(SendError::BrokenOff)) => Ok(self.failed(&Refusal::BrokenOff, lease, request_id)),
            Err(_) => Ok(self.failed(&Refusal::NoAnswer, lease, request_id)),
        }
    }

    /// Authenticates, leases, and makes the caller's request the provider's. When this returns, the key is in the
    /// request alone.
    async fn prepare(&self, mut request: Request<Incoming>) -> Result<Prepared<'_>, Refusal> {
        // TRACE has a provider's server send the request back, with the key in it; CONNECT is for proxies.
        if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
            return Err(Refusal::Method);
        }
        let upgrade = upgrade::wanted(&mut request);
        let (request::Parts { method, uri, mut headers, .. }, body) = request.into_parts();
        let address = Address::read(&uri).ok_or_else(|| Refusal::UnknownProvider(String::new()))?;
        let route = self.routes.get(address.provider);
        let provider = route.map(|route| &*route.provider);
        let token = credential::find(&headers, address.query, provider).ok_or(Refusal::NoToken)?.into_owned();
        let workspace = self.authenticate(&headers, &token).await?;
        let route = route.ok_or_else(|| Refusal::UnknownProvider(address.provider.to_owned()))?;
        let destination = Destination::new(route, address.path, address.query);
        // Without the alias, which may have stood before a second slash.
        path::check(destination.path())?;
        if address.holds(&token) {
            return Err(Refusal::TokenInPath);
        }
        let (secret, lease) = self.lease(&workspace, &route.provider.id).await?;
        let target = destination.target(&token, &secret)?;
        destination.headers(&mut headers, &token, &secret)?;
        if let Some(upgrade) = &upgrade {
            upgrade.put_headers(&mut headers);
        }
        let mut request = Request::new(self.body(destination.auth(), body, &mut headers, &secret).await?);
        *request.method_mut() = method;
        *request.uri_mut() = target.into();
        *request.headers_mut() = headers;
        Ok(Prepared { address: destination.address()?, auth: destination.auth(), request, lease, upgrade })
    }

    async fn lease(&self, workspace: &WorkspaceId, provider: &ProviderId) -> Result<(KeySecret, Lease), Refusal> {
        let leased = self.app.keyring.lease(workspace, provider).await;
        leased.map_err(|error| {
            if let LeaseError::Store(error) = &error {
                tracing::error!(%provider, %workspace, error = error as &dyn std::error::Error, "no lease");
            }
            Refusal::Lease(provider.clone(), error)
        })
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
                // Boxed: few providers want this, and every request would carry its state.
                let body = Box::pin(self.collect(body)).await?;
                let body = forward::body_with_key(&body, field, secret).ok_or(Refusal::NoJsonBody)?;
                forward::set_length(headers, body.len());
                Ok(Sent::Rewritten(Some(body)))
            }
        }
    }

    async fn collect(&self, body: Incoming) -> Result<Bytes, Refusal> {
        let limit = self.settings.replay_limit;
        match Limited::new(body, limit).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge(limit)),
            Err(_) => Err(Refusal::BodyBrokeOff),
        }
    }

    fn answer(
        &self,
        (mut response, held): (Response<Incoming>, Held),
        auth: &Auth,
        lease: Lease,
        upgrade: Option<Upgrade>,
        request_id: &HeaderValue,
    ) -> Response<Reply> {
        tracing::debug!(request_id = shown(request_id), key = %lease.key_id(), status = response.status().as_u16(), "answered");
        let upgraded = upgrade.and_then(|upgrade| upgrade.accept(&mut response, &self.tunnels));
        let (response::Parts { status, mut headers, .. }, body) = response.into_parts();
        forward::answer_headers(&mut headers, auth);
        if let Some(accepted) = &upgraded {
            accepted.put_headers(&mut headers);
        }
        answer::put_receipt(&mut headers, &lease);
        lease.end(Outcome::Answered(status.as_u16()));
        let body = match upgraded {
            Some(_) => Reply::Full(None),
            None => Reply::Relayed(Relayed::new(body, held, self.settings.idle_timeout)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    fn failed(&self, refusal: &Refusal, lease: Lease, request_id: &HeaderValue) -> Response<Reply> {
        self.metrics.refused(refusal.code());
        tracing::warn!(request_id = shown(request_id), key = %lease.key_id(), code = refusal.code(), "the provider did not answer");
        let mut response = refusal.response();
        answer::put_receipt(response.headers_mut(), &lease);
        lease.end(Outcome::Failed);
        response
    }
}

fn shown(request_id: &HeaderValue) -> &str {
    request_id.to_str().unwrap_or_default()
}

fn new_request_id() -> HeaderValue {
    let mut id = String::with_capacity(36);
    id.push_str("req_");
    HEXLOWER.encode_append(&rand::random::<[u8; 16]>(), &mut id);
    HeaderValue::from_maybe_shared(Bytes::from(id)).unwrap_or_else(|_| HeaderValue::from_static("req_unknown"))
}
