//! The way of a request.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claviger_app::access::AuthenticateError;
use claviger_app::keyring::{Lease, LeaseError, Outcome, Tried, Wanted};
use claviger_app::{App, ClientAddress};
use claviger_core::catalogue::Auth;
use claviger_core::health::{Answer, Class, Verdict, judge};
use claviger_core::{KeySecret, ProviderId, WorkspaceId, path};
use data_encoding::HEXLOWER;
use foldhash::fast::RandomState;
use futures_util::FutureExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::HeaderValue;
use hyper::http::{request, response};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::address::Address;
use crate::answer::{self, REQUEST_ID, Receipt, Refusal};
use crate::asked::{Asked, Asking};
use crate::body::{Reply, Sent};
use crate::breaker::{Breaker, Deed};
use crate::connections::Held;
use crate::credential;
use crate::forward::{self, Destination, Route};
use crate::limits::{Full, WorkspaceLimit};
use crate::metrics::GatewayMetrics;
use crate::pace::{CallerBody, Fault, TooSlow};
use crate::peek::{self, Opened, View};
use crate::relayed::Relayed;
use crate::replay::Lost;
use crate::tunnel::Terms;
use crate::upgrade;
use crate::upstream::{SendError, Upstreams};

/// The longest URL that is looked at, in bytes.
const URL_LIMIT: usize = 16 * 1024;
const WORKSPACE: &str = "x-claviger-workspace";
/// How long after its first attempt a request may be tried with another key.
const TRY_WITHIN: Duration = Duration::from_secs(30);
/// How long the head of a stream waits for the first event, which may be an error that another key does not get; and how
/// long where there is no other key, and it is only of interest.
const EVENT_PATIENCE: Duration = Duration::from_secs(3);
const EVENT_PATIENCE_ALONE: Duration = Duration::from_millis(200);

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
    /// How many bytes of request bodies are held in memory at most, of all requests. Each worker has its share.
    pub replay_budget: usize,
    /// How often a request is tried again that met the provider's trouble.
    pub retry_overloaded: u32,
    /// How long a caller may send nothing of its request's body that is waited for, or take nothing of its answer.
    pub stall_timeout: Duration,
    /// How many requests a workspace may have at once; 0 for any number.
    pub workspace_requests: u32,
    /// How many streams it may have among them; 0 for any number.
    pub workspace_streams: u32,
}

/// What all workers share.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) app: Arc<App>,
    routes: HashMap<ProviderId, Route, RandomState>,
    /// How many origins the providers have together.
    pub(crate) origins: usize,
    pub(crate) settings: GatewaySettings,
    /// By the numbers of the origins.
    breakers: Vec<Breaker>,
    /// Upgraded connections.
    pub(crate) tunnels: TaskTracker,
    limit: Arc<WorkspaceLimit>,
    /// What is counted.
    pub metrics: Arc<GatewayMetrics>,
}

/// A provider's answer, looked into as far as that is needed.
struct Provided {
    head: response::Parts,
    body: Opened,
    held: Held,
    receipt: Receipt,
    lost: Option<Lost>,
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
        let breakers = (0..origins).map(|_| Breaker::default()).collect();
        let (tunnels, metrics) = (TaskTracker::new(), Arc::default());
        let limit = WorkspaceLimit::new(settings.workspace_requests, settings.workspace_streams);
        Ok(Self { app, routes, origins, settings, breakers, tunnels, limit, metrics })
    }

    /// Answers one request.
    pub(crate) async fn handle(
        &self,
        upstreams: &Upstreams,
        request: Request<CallerBody>,
        from: ClientAddress,
    ) -> Response<Reply> {
        // Not the caller's: what stands there could be anything, a key put into the wrong header among it, and the id is
        // logged and sent back.
        let request_id = new_request_id();
        // One request's panic is its own: what it held, a lease and a place among them, is given back as it is dropped, and
        // what is shared has no lock that stays closed.
        let relaying = AssertUnwindSafe(self.relay(upstreams, request, (from, &request_id))).catch_unwind();
        let mut response = match relaying.await.unwrap_or(Err(Refusal::Panicked)) {
            Ok(response) => response,
            Err(refusal) => {
                self.metrics.refused(refusal.code());
                // Whoever floods is named once a minute, where that is counted.
                if !matches!(refusal, Refusal::Token(AuthenticateError::TooMany(_))) {
                    tracing::info!(request_id = shown(&request_id), code = refusal.code(), "request refused");
                }
                refusal.response()
            }
        };
        // A provider's own request id is what its support asks for, so it stays.
        response.headers_mut().entry(REQUEST_ID).or_insert(request_id);
        response
    }

    /// Lets a request in, and finds an answer for it.
    async fn relay(
        &self,
        upstreams: &Upstreams,
        mut request: Request<CallerBody>,
        (from, request_id): (ClientAddress, &HeaderValue),
    ) -> Result<Response<Reply>, Refusal> {
        // TRACE has a provider's server send the request back, with the key in it; CONNECT is for proxies.
        if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
            return Err(Refusal::Method);
        }
        if request.uri().path_and_query().is_some_and(|url| url.as_str().len() > URL_LIMIT) {
            return Err(Refusal::UrlTooLong(URL_LIMIT));
        }
        let upgrade = upgrade::wanted(&mut request);
        let (request::Parts { method, uri, headers, .. }, mut body) = request.into_parts();
        let address = Address::read(&uri).ok_or(Refusal::UnknownProvider)?;
        let route = self.routes.get(address.provider);
        let provider = route.map(|route| &*route.provider);
        let token = credential::find(&headers, address.query, provider).ok_or(Refusal::NoToken)?;
        let token = Zeroizing::new(token.into_owned());
        let workspace = self.authenticate(&headers, &token, from).await?;
        let route = route.ok_or(Refusal::UnknownProvider)?;
        let destination = Destination::new(route, address.path, address.query);
        // Without the alias, which may have stood before a second slash.
        path::check(destination.path())?;
        if address.holds(&token) {
            return Err(Refusal::TokenInPath);
        }
        let mut place = self.limit.admit(&workspace)?;
        if let (Some(place), Some(_)) = (&mut place, &upgrade) {
            place.is_stream()?;
        }
        let fault = (!body.is_end_stream()).then(|| body.watch());
        let body = self.body(destination.auth(), body).await?;
        let token = &*token;
        let kept = None;
        let asked = Asked { destination, token, workspace, method, headers, kept, body, fault, upgrade, place };
        self.answer(upstreams, asked, request_id).await
    }

    /// Tries keys until one has an answer that is not about the key: each at most once, and as many as the pool has. This
    /// is the only loop of attempts there is. What the provider answered last is passed on where all fail.
    async fn answer(
        &self,
        upstreams: &Upstreams,
        mut asked: Asked<'_>,
        request_id: &HeaderValue,
    ) -> Result<Response<Reply>, Refusal> {
        let breaker = &self.breakers[asked.destination.address()?.number];
        let until = Instant::now() + TRY_WITHIN;
        let (mut tried, mut attempts, mut overloads) = (Tried::default(), 0, 0);
        let mut last: Option<Provided> = None;
        loop {
            let leased = match breaker.admit() {
                Ok(pass) => self.lease(&asked, &tried).await.map(|(secret, lease)| (pass, secret, lease)),
                Err(wait) => Err(Refusal::Unavailable(wait)),
            };
            let (pass, secret, lease) = match leased {
                Ok(leased) => leased,
                Err(refusal) => {
                    return last.map_or(Err(refusal), |provided| Ok(self.pass_on(provided, &mut asked, attempts)));
                }
            };
            attempts += 1;
            let limit = self.settings.replay_limit;
            let request = asked.request(&secret, &lease, (limit, &upstreams.budget))?;
            // In the request alone from here on.
            drop(secret);
            let answered = match self.send(upstreams, &asked, request).await {
                Ok(answered) => answered,
                Err(refusal) => {
                    if let Some(deed) = deed_of(&refusal) {
                        pass.note(deed, || asked.number());
                    }
                    // Nothing was sent with this key.
                    let before = last.filter(|_| matches!(refusal, Refusal::Unreachable));
                    let Some(before) = before else {
                        return Ok(self.failed(&refusal, lease, attempts, request_id));
                    };
                    lease.end(Outcome::Failed);
                    return Ok(self.pass_on(before, &mut asked, attempts));
                }
            };
            let (mut provided, verdict) = self.look_into(answered, asked.destination, &lease, until).await;
            tracing::debug!(
                request_id = shown(request_id),
                key = %lease.key_id(),
                status = verdict.status,
                class = verdict.class.as_str(),
                "answered"
            );
            let is_trouble = verdict.class == Class::Overloaded;
            pass.note(deed(verdict), || asked.number());
            let again = verdict.class.is_about_the_key() || (is_trouble && overloads < self.settings.retry_overloaded);
            if again && lease.has_others() && Instant::now() < until {
                provided.lost = asked.body.lost();
                if provided.lost.is_none() {
                    overloads += u32::from(is_trouble);
                    lease.note(&mut tried);
                    lease.end(Outcome::Answered(verdict));
                    if let Some(before) = last.replace(provided) {
                        before.let_go();
                    }
                    continue;
                }
            }
            lease.end(Outcome::Answered(verdict));
            if let Some(before) = last {
                before.let_go();
            }
            return Ok(self.pass_on(provided, &mut asked, attempts));
        }
    }

    async fn send(
        &self,
        upstreams: &Upstreams,
        asked: &Asked<'_>,
        request: Request<Sent>,
    ) -> Result<(Response<Incoming>, Held), Refusal> {
        let address = asked.destination.address()?;
        let sending = async {
            match &asked.upgrade {
                None => upstreams.send(address, request).await,
                Some(_) => Box::pin(upstreams.send_upgrade(address, request)).await,
            }
        };
        match tokio::time::timeout(self.settings.response_timeout, sending).await {
            Ok(Ok(answered)) => Ok(answered),
            Ok(Err(SendError::Unreachable)) => Err(Refusal::Unreachable),
            Ok(Err(SendError::BrokenOff)) => Err(match asked.fault.as_ref().and_then(|fault| fault.get()) {
                Some(Fault::TooSlow) => Refusal::BodyTooSlow,
                Some(Fault::BrokenOff) => Refusal::BodyBrokeOff,
                None => Refusal::BrokenOff,
            }),
            Err(_) => Err(Refusal::NoAnswer),
        }
    }

    async fn lease(&self, asked: &Asked<'_>, tried: &Tried) -> Result<(KeySecret, Lease), Refusal> {
        let provider = asked.destination.provider();
        let wanted = Wanted {
            workspace: &asked.workspace,
            provider: &provider.id,
            model: provider.rate.model_of(asked.destination.path()),
        };
        let leased = self.app.keyring.lease_beyond(wanted, tried).await;
        leased.map_err(|error| {
            if let LeaseError::Store(error) = &error {
                let (provider, workspace) = (&provider.id, &asked.workspace);
                tracing::error!(%provider, %workspace, error = error as &dyn std::error::Error, "no lease");
            }
            Refusal::Lease(provider.id.clone(), error)
        })
    }

    async fn authenticate(
        &self,
        headers: &HeaderMap,
        token: &[u8],
        from: ClientAddress,
    ) -> Result<WorkspaceId, Refusal> {
        let principal = self.app.access.authenticate(token, from).await?;
        let mut lines = headers.get_all(WORKSPACE).iter();
        let named = match (lines.next(), lines.next()) {
            (None, _) => None,
            (Some(name), None) => {
                let name = name.to_str().ok().and_then(|name| name.parse().ok());
                Some(name.ok_or(Refusal::WorkspaceName)?)
            }
            // Which one was meant nobody knows.
            (Some(_), Some(_)) => return Err(Refusal::WorkspaceName),
        };
        Ok(principal.permit_gateway(named.as_ref())?)
    }

    async fn body(&self, auth: &Auth, body: CallerBody) -> Result<Asking, Refusal> {
        match auth {
            Auth::Bearer | Auth::Header { .. } | Auth::Query { .. } | Auth::Basic { .. } if body.is_end_stream() => {
                Ok(Asking::Empty)
            }
            Auth::Bearer | Auth::Header { .. } | Auth::Query { .. } | Auth::Basic { .. } => {
                Ok(Asking::Streamed(Some(body)))
            }
            // Boxed: few providers want this, and every request would carry its state.
            Auth::Body { .. } => Ok(Asking::Whole(Box::pin(self.collect(body)).await?)),
        }
    }

    async fn collect(&self, body: CallerBody) -> Result<Bytes, Refusal> {
        let limit = self.settings.replay_limit;
        match Limited::new(body, limit).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Refusal::BodyTooLarge(limit)),
            Err(error) if error.is::<TooSlow>() => Err(Refusal::BodyTooSlow),
            Err(_) => Err(Refusal::BodyBrokeOff),
        }
    }

    /// Judges an answer by its status and headers; errors, what may hide one, and what streams begin with, by their
    /// bodies too.
    async fn look_into(
        &self,
        (answer, held): (Response<Incoming>, Held),
        destination: Destination<'_, '_>,
        lease: &Lease,
        until: Instant,
    ) -> (Provided, Verdict) {
        let (parts, incoming) = answer.into_parts();
        let (provider, headers) = (lease.provider(), View(&parts.headers));
        lease.learn_domain(&headers);
        let mut body = Opened::new(incoming);
        let status = parts.status.as_u16();
        let judged = |body: &[u8]| judge(provider, &Answer { status, headers: &headers, body }, lease.now());
        // Both readings are boxed: hardly any answer needs one, and every request would carry their state.
        let is_told = status >= 400 || (destination.tells_in_body(status) && peek::may_hide_error(&parts.headers));
        let verdict = if is_told {
            Box::pin(body.read_error()).await;
            judged(&peek::decoded(&parts.headers, &body.begun))
        } else if parts.status == StatusCode::OK && peek::is_event_stream(&parts.headers) {
            let patience = if lease.has_others() { EVENT_PATIENCE } else { EVENT_PATIENCE_ALONE };
            let until = until.min(Instant::now() + patience);
            let reading = body.read_event(provider, &parts.headers, until, || lease.now());
            Box::pin(reading).await.unwrap_or_else(|| judged(&[]))
        } else if provider.rate.limits().is_empty() {
            Verdict { class: Class::Ok, status, wait: None }
        } else {
            judged(&[])
        };
        let receipt = Receipt::of(lease);
        (Provided { head: parts, body, held, receipt, lost: None }, verdict)
    }

    /// Makes a provider's answer the caller's.
    fn pass_on(&self, provided: Provided, asked: &mut Asked<'_>, attempts: u32) -> Response<Reply> {
        asked.body.stop();
        let Provided { head, body, held, receipt, lost } = provided;
        let mut place = asked.place.take();
        if let Some(place) = place.as_mut().filter(|_| peek::is_event_stream(&head.headers))
            && let Err(full) = place.is_stream()
        {
            return self.refuse_stream(full, receipt, attempts);
        }
        let mut response = Response::from_parts(head, body);
        let upgrade = asked.upgrade.take();
        let upgraded = match upgrade {
            Some(upgrade) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let (app, token) = (Arc::clone(&self.app), Zeroizing::new(asked.token.to_vec()));
                let terms = Terms { app, token, idle_timeout: self.settings.idle_timeout, place: place.take() };
                Some(upgrade.accept(&mut response, &self.tunnels, terms))
            }
            Some(_) | None => None,
        };
        let (response::Parts { status, mut headers, .. }, body) = response.into_parts();
        forward::answer_headers(&mut headers, asked.destination.auth());
        if let Some(accepted) = &upgraded {
            accepted.put_headers(&mut headers);
        }
        receipt.put(&mut headers, attempts);
        if let Some(lost) = lost {
            tracing::info!(why = lost.as_str(), "a request that could do better with another key cannot be sent again");
            answer::put_lost(&mut headers, lost);
        }
        let body = match upgraded {
            Some(_) => Reply::Full(None),
            None => Reply::Relayed(Relayed::new(body, held, place, self.settings.idle_timeout)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    /// That the answer is a stream was not known before. It is broken off.
    fn refuse_stream(&self, full: Full, receipt: Receipt, attempts: u32) -> Response<Reply> {
        let refusal = Refusal::from(full);
        self.metrics.refused(refusal.code());
        let mut response = refusal.response();
        receipt.put(response.headers_mut(), attempts);
        response
    }

    fn failed(&self, refusal: &Refusal, lease: Lease, attempts: u32, request_id: &HeaderValue) -> Response<Reply> {
        self.metrics.refused(refusal.code());
        let (id, key, code) = (shown(request_id), lease.key_id(), refusal.code());
        let is_callers = matches!(refusal, Refusal::BodyTooSlow | Refusal::BodyBrokeOff);
        if is_callers {
            tracing::info!(request_id = id, %key, code, "the caller did not send its request's body");
        } else {
            tracing::warn!(request_id = id, %key, code, "the provider did not answer");
        }
        let mut response = refusal.response();
        Receipt::of(&lease).put(response.headers_mut(), attempts);
        lease.end(if is_callers { Outcome::Abandoned } else { Outcome::Failed });
        response
    }
}

impl Provided {
    /// It is nobody's: another key had a better answer. Its connection is good for another request.
    fn let_go(self) {
        if self.body.has_ended() {
            self.held.give_back();
        }
    }
}

/// What an answer is to its origin's breaker. What the provider does not do at all is the caller's question.
fn deed(verdict: Verdict) -> Deed {
    match verdict {
        Verdict { class: Class::Overloaded, status, .. } if !matches!(status, 501 | 505) => Deed::Overloaded,
        _ => Deed::Answered,
    }
}

/// The same of a request that got no answer. What the caller did to its own body says nothing about the origin.
fn deed_of(refusal: &Refusal) -> Option<Deed> {
    match refusal {
        Refusal::Unreachable => Some(Deed::Unreachable),
        Refusal::BrokenOff | Refusal::NoAnswer => Some(Deed::Silent),
        _ => None,
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
