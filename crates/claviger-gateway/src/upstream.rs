//! Connections to providers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::rt::{Read, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use crate::body::{BoxError, Sent};

/// How long an unused connection is kept. Shorter than most providers keep theirs, so that a request seldom meets one
/// that is just being closed.
const KEEP_IDLE: Duration = Duration::from_secs(50);

/// TLS to providers cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS to providers cannot be set up")]
pub struct TlsError(#[source] rustls::Error);

/// TLS as clients speak it, with the system's certificate roots. Read once, shared by all workers.
pub(crate) fn tls() -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!("no certificate roots were found on this system: providers with https cannot be reached");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(TlsError)?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

pub(crate) type Upstream = Client<Deadline<HttpsConnector<HttpConnector>>, Sent>;

/// The clients of one worker: each worker has connections of its own, so that no lock is shared between workers.
#[derive(Clone, Debug)]
pub(crate) struct Upstreams {
    /// HTTP/1.1 or HTTP/2, as the provider prefers.
    pub(crate) any: Upstream,
    /// HTTP/1.1, for upgrades.
    pub(crate) http1: Upstream,
}

impl Upstreams {
    pub(crate) fn new(tls: &ClientConfig, connect_timeout: Duration) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let builder = || HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        let any = builder().enable_http1().enable_http2().wrap_connector(tcp.clone());
        let http1 = builder().enable_http1().wrap_connector(tcp);
        let client = |inner| {
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(KEEP_IDLE)
                .http2_adaptive_window(true)
                .build(Deadline { inner, limit: connect_timeout })
        };
        Self { any: client(any), http1: client(http1) }
    }
}

/// A connector that gives up after a time, name lookup and TLS included.
#[derive(Clone, Debug)]
pub(crate) struct Deadline<C> {
    inner: C,
    limit: Duration,
}

/// Connecting took too long.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("connecting took longer than {} ms", .0.as_millis())]
struct TooSlow(Duration);

impl<C> Service<Uri> for Deadline<C>
where
    C: Service<Uri>,
    C::Response: Read + Write + Connection + Unpin + Send + 'static,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.inner.call(uri);
        let limit = self.limit;
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(TooSlow(limit).into()),
            }
        })
    }
}
