//! Sending to providers, over connections that are kept.
//!
//! Each worker has connections of its own, used and parked on one thread. hyper speaks HTTP; what is here decides which
//! connection a request takes. (A general-purpose client does the same at three times the price: it hashes the address,
//! copies itself, and starts a task for every request.)

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::HOST;
use hyper::http::uri::{Authority, Parts, Scheme};
use hyper::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use crate::body::Sent;
use crate::connections::{Connections, Held, Stream};
use crate::replay::Budget;

/// How much of one answer may wait for a caller that reads slowly, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for all answers on one HTTP/2 connection: more than all of its streams together, so that a caller that does
/// not read stops nobody else's.
const CONNECTION_WINDOW: u32 = 32 * 1024 * 1024;
/// How often a provider is asked on an HTTP/2 connection whether it is still there, and how long it has to answer. One
/// that vanished would be sent request after request otherwise.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

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

/// Where a provider listens.
#[derive(Debug)]
pub(crate) struct Address {
    /// Which of a worker's origins this is.
    pub(crate) number: usize,
    pub(crate) scheme: Scheme,
    pub(crate) authority: Authority,
}

/// Why there is no answer. Errors are not kept: they can name the address, and that can hold the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SendError {
    /// No connection.
    Unreachable,
    /// The connection broke before there was an answer, or the request's body did.
    BrokenOff,
}

type Io = MaybeHttpsStream<TokioIo<TcpStream>>;
type Connector = HttpsConnector<HttpConnector>;

/// One worker's way to all providers.
#[derive(Debug)]
pub(crate) struct Upstreams {
    /// HTTP/1.1 or HTTP/2, as the provider prefers.
    any: Connector,
    /// HTTP/1.1 alone, for upgrades.
    http1: Connector,
    connect_timeout: Duration,
    origins: Vec<Arc<Connections>>,
    /// Tasks that drive connections. They end with their connections.
    driving: TaskTracker,
    /// How much of requests' bodies this worker may hold.
    pub(crate) budget: Arc<Budget>,
}

impl Upstreams {
    /// A worker's connections to so many origins.
    pub(crate) fn new(tls: &ClientConfig, connect_timeout: Duration, origins: usize, budget: usize) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let builder = || HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        Self {
            any: builder().enable_http1().enable_http2().wrap_connector(tcp.clone()),
            http1: builder().enable_http1().wrap_connector(tcp),
            connect_timeout,
            origins: (0..origins).map(|_| Arc::default()).collect(),
            driving: TaskTracker::new(),
            budget: Budget::new(budget),
        }
    }

    /// Sends a request whose URI is path and query alone. The connection is held until the answer's body has ended.
    pub(crate) async fn send(
        &self,
        address: &Address,
        mut request: Request<Sent>,
    ) -> Result<(Response<Incoming>, Held), SendError> {
        let origin = &self.origins[address.number];
        // A parked connection may just be closed from the other side. A request that was not written to it goes to the
        // next one; one that was, is lost, since the provider may have acted on it.
        while let Some(mut sender) = origin.unpark() {
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, Held::http1(sender, origin))),
                Err(mut error) => request = error.take_message().ok_or(SendError::BrokenOff)?,
            }
        }
        while let Some(stream) = origin.stream() {
            match send_http2(stream, address, request).await {
                Ok(answered) => return Ok(answered),
                Err(unsent) => request = unsent?,
            }
        }
        let io = self.connect(&self.any, address).await?;
        if is_http2(&io) {
            let stream = self.open_http2(io, origin).await?;
            let sent = send_http2(stream, address, request).await;
            sent.map_err(|unsent| unsent.err().unwrap_or(SendError::BrokenOff))
        } else {
            let mut sender = self.open_http1(io).await?;
            let response = sender.send_request(request).await.map_err(|_| SendError::BrokenOff)?;
            Ok((response, Held::http1(sender, origin)))
        }
    }

    /// Sends a request that asks for another protocol, over a connection that is then that protocol's.
    pub(crate) async fn send_upgrade(
        &self,
        address: &Address,
        request: Request<Sent>,
    ) -> Result<(Response<Incoming>, Held), SendError> {
        let io = self.connect(&self.http1, address).await?;
        let (mut sender, connection) = http1::handshake(io).await.map_err(|_| SendError::Unreachable)?;
        self.drive(connection.with_upgrades());
        let response = sender.send_request(request).await.map_err(|_| SendError::BrokenOff)?;
        Ok((response, Held::Alone(sender)))
    }

    /// Once more where it fails, unless the time is over: nothing was sent yet.
    async fn connect(&self, connector: &Connector, address: &Address) -> Result<Io, SendError> {
        let connecting = async {
            match self.connect_once(connector, address).await {
                Ok(io) => Ok(io),
                Err(_) => self.connect_once(connector, address).await,
            }
        };
        tokio::time::timeout(self.connect_timeout, connecting).await.unwrap_or_else(|_| {
            tracing::info!(provider = %address.authority, "no connection in time");
            Err(SendError::Unreachable)
        })
    }

    async fn connect_once(&self, connector: &Connector, address: &Address) -> Result<Io, SendError> {
        let mut parts = Parts::default();
        parts.scheme = Some(address.scheme.clone());
        parts.authority = Some(address.authority.clone());
        parts.path_and_query = Some(hyper::http::uri::PathAndQuery::from_static("/"));
        let uri = Uri::from_parts(parts).map_err(|_| SendError::Unreachable)?;
        let mut connector = connector.clone();
        let connecting = async {
            poll_fn(|cx| connector.poll_ready(cx)).await?;
            connector.call(uri).await
        };
        connecting.await.map_err(|error| {
            tracing::info!(provider = %address.authority, %error, "no connection");
            SendError::Unreachable
        })
    }

    async fn open_http1(&self, io: Io) -> Result<http1::SendRequest<Sent>, SendError> {
        let (sender, connection) = http1::handshake(io).await.map_err(|_| SendError::Unreachable)?;
        self.drive(connection);
        Ok(sender)
    }

    async fn open_http2(&self, io: Io, origin: &Arc<Connections>) -> Result<Stream, SendError> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIMEOUT);
        let (sender, connection) = builder.handshake(io).await.map_err(|_| SendError::Unreachable)?;
        self.drive(connection);
        Ok(origin.share(sender))
    }

    fn drive(&self, connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
        self.driving.spawn(async move {
            // Whoever waits for an answer on it is told by itself.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a provider's connection broke");
            }
        });
    }
}

fn is_http2(io: &Io) -> bool {
    io.connected().is_negotiated_h2()
}

/// `Err` has the request back where it was not written.
async fn send_http2(
    mut stream: Stream,
    address: &Address,
    mut request: Request<Sent>,
) -> Result<(Response<Incoming>, Held), Result<Request<Sent>, SendError>> {
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(address.scheme.clone());
    parts.authority = Some(address.authority.clone());
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Err(SendError::BrokenOff))?;
    // The address says it already.
    let host = request.headers_mut().remove(HOST);
    match stream.sender.try_send_request(request).await {
        Ok(response) => Ok((response, Held::Stream(stream))),
        Err(mut error) => {
            let mut unsent = error.take_message().ok_or(Err(SendError::BrokenOff))?;
            if let Some(host) = host {
                unsent.headers_mut().insert(HOST, host);
            }
            let parts = std::mem::take(unsent.uri_mut()).into_parts();
            *unsent.uri_mut() = parts.path_and_query.map_or_else(Uri::default, Uri::from);
            Err(Ok(unsent))
        }
    }
}
