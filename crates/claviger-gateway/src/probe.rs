//! Sending the requests by which keys are tested.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use claviger_app::keyring::{ProbeAnswer, Prober, Unreachable};
use claviger_core::catalogue::{Auth, Method as ProbeMethod, Probe};
use claviger_core::{Catalogue, KeySecret, Provider, ProviderId};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use tokio::time::timeout;

use crate::body::Sent;
use crate::forward::{self, Destination, Route, Unwritable};
use crate::peek::{self, Opened};
use crate::upstream::{Address, TlsError, Upstreams, tls};

/// How long a probe may take, from its beginning to the end of its answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends probes, over connections of its own.
pub struct GatewayProber {
    routes: HashMap<ProviderId, Route>,
    upstreams: Upstreams,
}

impl GatewayProber {
    /// A way to the catalogue's providers.
    pub fn new(catalogue: &Catalogue, connect_timeout: Duration) -> Result<Self, TlsError> {
        let mut routes = HashMap::new();
        let mut origins = 0;
        for provider in catalogue.iter() {
            // One that cannot be addressed stops the gateway; here it is not tested.
            if let Ok(route) = Route::new(provider.clone(), origins) {
                routes.insert(provider.id.clone(), route);
            }
            origins += provider.origins.len();
        }
        Ok(Self { routes, upstreams: Upstreams::new(&tls()?, connect_timeout, origins, 0) })
    }

    /// The request, and where it goes.
    fn request<'r>(
        route: &'r Route,
        probe: &'r Probe,
        secret: &KeySecret,
    ) -> Result<(&'r Address, Request<Sent>), Unwritable> {
        let (path, query) = match probe.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (probe.path.as_str(), None),
        };
        let destination = Destination::of_probe(route, probe, path, query)?;
        let target = destination.target(&[], secret)?;
        let mut headers = HeaderMap::new();
        destination.headers(&mut headers, &[], secret)?;
        headers.insert(USER_AGENT, HeaderValue::from_static("claviger"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut body = probe.body.clone().map(Bytes::from);
        if let Auth::Body { field } = destination.auth() {
            let plain = body.unwrap_or_else(|| Bytes::from_static(b"{}"));
            body = Some(forward::body_with_key(&plain, field, secret).ok_or(Unwritable)?);
        }
        if let Some(body) = &body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            forward::set_length(&mut headers, body.len());
        }
        let mut request = Request::new(Sent::Rewritten(body));
        *request.method_mut() = match probe.method {
            ProbeMethod::Get => Method::GET,
            ProbeMethod::Post => Method::POST,
        };
        *request.uri_mut() = target.into();
        *request.headers_mut() = headers;
        Ok((destination.address()?, request))
    }
}

#[async_trait]
impl Prober for GatewayProber {
    async fn probe(&self, provider: &Provider, probe: &Probe, secret: &KeySecret) -> Result<ProbeAnswer, Unreachable> {
        let route = self.routes.get(&provider.id).ok_or(Unreachable)?;
        let (address, request) = Self::request(route, probe, secret).map_err(|_| Unreachable)?;
        let asking = async {
            let (response, held) = self.upstreams.send(address, request).await.map_err(|_| Unreachable)?;
            let (parts, incoming) = response.into_parts();
            let mut body = Opened::new(incoming);
            body.read_error().await;
            drop(held);
            let body = peek::decoded(&parts.headers, &body.begun);
            let headers = parts
                .headers
                .iter()
                .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
            Ok(ProbeAnswer { status: parts.status.as_u16(), headers: headers.collect(), body })
        };
        timeout(PATIENCE, asking).await.map_err(|_| Unreachable)?
    }
}

impl fmt::Debug for GatewayProber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GatewayProber")
    }
}
