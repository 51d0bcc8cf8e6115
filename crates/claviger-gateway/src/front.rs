//! The door: one listener a worker, and one worker a core.
//!
//! A worker is a thread with a runtime of its own, its own listener on the shared port (the kernel deals connections
//! out), and its own connections to providers. A gateway request stays on one thread from the first byte to the last,
//! so that nothing on its way is passed between cores. Everything else is handed to the control plane.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::thread::{Builder as ThreadBuilder, JoinHandle};
use std::time::Duration;

use claviger_app::ClientAddress;
use claviger_core::proxy::TrustedProxies;
use hyper::HeaderMap;
use hyper::body::Incoming;
use hyper::header::{FORWARDED, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::activity::{Activity, Tracked};
use crate::address;
use crate::body::Reply;
use crate::certificate::Certificate;
use crate::io::Patient;
use crate::limits::{Admitted, ConnectionLimit};
use crate::listeners::Listeners;
use crate::pace::CallerBody;
use crate::relay::Gateway;
use crate::stall::Streams;
use crate::upgrade;
use crate::upstream::{self, TlsError, Upstreams};

/// How long a worker waits for what nodes share turns by, before it opens the door.
const JOIN_PATIENCE: Duration = Duration::from_secs(1);
/// The largest head of a request, and how much of an answer may wait for a caller that reads slowly, in bytes.
const BUFFER: usize = 64 * 1024;
/// The largest head over HTTP/2, where a connection can have two hundred at once.
const HTTP2_HEAD: u32 = 16 * 1024;
/// How long to leave off accepting when the system has no more descriptors: others close theirs meanwhile.
const BREATH: Duration = Duration::from_millis(50);

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// How long callers may take before there is a request.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the head of a request; and for how long a connection of HTTP/1.1 may be unused.
    pub head: Duration,
    /// To agree on TLS.
    pub handshake: Duration,
    /// How often it is looked whether a connection is in use. One that was not since the last time is closed: HTTP/2 has
    /// no other end, and whoever sends the first bytes of its preface and no more is not known to speak anything yet.
    pub look: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(30), handshake: Duration::from_secs(10), look: Duration::from_mins(1) }
    }
}

/// What the door lets in, and for how long.
#[derive(Clone, Debug)]
pub struct FrontSettings {
    /// How long requests may take to finish once the door is closed.
    pub grace: Duration,
    /// Whose word on where a request comes from is believed.
    pub trusted_proxies: TrustedProxies,
    /// How many connections there may be at once.
    pub max_connections: usize,
    /// How many of them from one address that is no trusted proxy's; 0 for any number.
    pub max_connections_per_address: usize,
    /// How long callers may take before there is a request.
    pub patience: Patience,
    /// What callers are shown, where they are to speak TLS.
    pub certificate: Option<Arc<Certificate>>,
}

/// Answers what is not for the gateway.
pub trait ControlPlane: Send + Sync + 'static {
    /// Answers one request, whose extensions have a [`ClientAddress`].
    fn answer(&self, request: Request<CallerBody>) -> Pin<Box<dyn Future<Output = Response<Reply>> + Send>>;
}

/// The door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// Another process listens there.
    #[error("{0} is in use by another process: stop it, or set server.listen to another address")]
    InUse(SocketAddr),
    /// The system does not let us listen there.
    #[error("server.listen: cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// See [`TlsError`].
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No thread, or no runtime for one.
    #[error("a worker could not be started")]
    Worker(#[source] io::Error),
}

/// The open door.
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
    stop: CancellationToken,
    workers: Vec<JoinHandle<()>>,
}

impl Front {
    /// Opens the door, with a worker for each listener.
    pub fn open(
        listeners: Listeners,
        settings: FrontSettings,
        gateway: &Arc<Gateway>,
        control: &Arc<dyn ControlPlane>,
    ) -> Result<Self, FrontError> {
        let tls = upstream::tls()?;
        let Listeners { address, sockets } = listeners;
        let stop = CancellationToken::new();
        let mut front = Self { address, stop: stop.clone(), workers: Vec::new() };
        let (most, most_of_one) = (settings.max_connections, settings.max_connections_per_address);
        let limit = ConnectionLimit::new(most, most_of_one, settings.trusted_proxies.clone());
        let settings = Arc::new(settings);
        let budget = gateway.settings.replay_budget / sockets.len().max(1);
        for (number, listener) in sockets.into_iter().enumerate() {
            let worker = Worker {
                settings: Arc::clone(&settings),
                limit: Arc::clone(&limit),
                gateway: Arc::clone(gateway),
                control: Arc::clone(control),
                upstreams: Upstreams::new(&tls, gateway.settings.connect_timeout, gateway.origins, budget),
            };
            let worker = Arc::new(worker);
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(FrontError::Worker)?;
            let stop = stop.clone();
            let thread = ThreadBuilder::new().name(format!("gateway-{number}"));
            let thread = thread.spawn(move || {
                runtime.block_on(work(worker, listener, stop));
                // A look-up of a name that hangs must not hold up the end.
                runtime.shutdown_background();
            });
            front.workers.push(thread.map_err(FrontError::Worker)?);
        }
        Ok(front)
    }

    /// Where callers connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the door, and waits for what runs to finish, as long as the grace lasts.
    pub async fn close(mut self) {
        self.stop.cancel();
        let workers = std::mem::take(&mut self.workers);
        let joined = TaskTracker::new().spawn_blocking(move || {
            for worker in workers {
                if worker.join().is_err() {
                    tracing::error!("a worker had panicked");
                }
            }
        });
        if joined.await.is_err() {
            tracing::error!("the workers could not be waited for");
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Worker {
    settings: Arc<FrontSettings>,
    limit: Arc<ConnectionLimit>,
    gateway: Arc<Gateway>,
    control: Arc<dyn ControlPlane>,
    upstreams: Upstreams,
}

async fn work(worker: Arc<Worker>, listener: StdListener, stop: CancellationToken) {
    // Where nodes share turns, this thread's first request would find no connection for that yet.
    let joined = tokio::time::timeout(JOIN_PATIENCE, worker.gateway.app.keyring.join()).await;
    if joined.is_err() {
        tracing::warn!("turns are not shared with other nodes yet");
    }
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a worker's listener cannot be used");
            return;
        }
    };
    let server = server(worker.settings.patience, worker.gateway.settings.stall_timeout);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, peer.ip()),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let Some(admitted) = worker.limit.admit(peer) else {
            // At the first one, and then ever more seldom.
            if (worker.gateway.metrics.connection_refused() + 1).is_power_of_two() {
                tracing::warn!("there are as many connections as there may be: further ones are closed at once");
            }
            continue;
        };
        // Small pieces of a stream must not wait for an acknowledgement of the piece before.
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let guest = Guest { peer, admitted: Arc::new(admitted) };
        connections.spawn(serve(Arc::clone(&worker), server.clone(), stop.clone(), (stream, guest)));
    }
    drop(listener);
    connections.close();
    let finished = async {
        connections.wait().await;
        worker.gateway.tunnels.close();
        worker.gateway.tunnels.wait().await;
    };
    if tokio::time::timeout(worker.settings.grace, finished).await.is_err() {
        tracing::warn!("requests that still run are broken off");
    }
}

type Server = auto::Builder<Streams>;

fn server(patience: Patience, stall_timeout: Duration) -> Server {
    let mut server = auto::Builder::new(Streams { patience: stall_timeout });
    server.http1().timer(TokioTimer::new()).header_read_timeout(patience.head).max_buf_size(BUFFER);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(patience.head)
        .keep_alive_timeout(patience.head)
        .max_header_list_size(HTTP2_HEAD);
    server
}

/// Who is on the other side of a connection, and its place among all of them.
struct Guest {
    peer: IpAddr,
    admitted: Arc<Admitted>,
}

/// Serves one connection to its end.
async fn serve(worker: Arc<Worker>, server: Server, stop: CancellationToken, (stream, guest): (TcpStream, Guest)) {
    // Whoever connects and sends nothing is let go: the server's own limit begins with the first byte. It is looked at,
    // since to be told that there is something to read means no more than that there may be.
    let mut byte = [0];
    let first = tokio::time::timeout(worker.settings.patience.head, stream.peek(&mut byte));
    if !matches!(stop.run_until_cancelled(first).await, Some(Ok(Ok(1)))) {
        return;
    }
    let _counted = worker.gateway.metrics.connection();
    let stream = Patient::new(stream, worker.gateway.settings.stall_timeout);
    match &worker.settings.certificate {
        None => converse(worker, &server, stop, (stream, guest)).await,
        Some(certificate) => {
            let shaking_hands =
                tokio::time::timeout(worker.settings.patience.handshake, certificate.acceptor().accept(stream));
            // Strangers try all kinds of things; only what comes after this is of interest.
            if let Some(Ok(Ok(stream))) = stop.run_until_cancelled(shaking_hands).await {
                converse(worker, &server, stop, (stream, guest)).await;
            }
        }
    }
}

/// Speaks HTTP over a connection, until one side ends it.
async fn converse<Io>(worker: Arc<Worker>, server: &Server, stop: CancellationToken, (io, guest): (Io, Guest))
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let every = worker.settings.patience.look;
    let activity = Arc::new(Activity::default());
    let serving = Arc::clone(&activity);
    let Guest { peer, admitted } = guest;
    let service = service_fn(move |mut request| {
        upgrade::hold(&mut request, &admitted);
        let (worker, running) = (Arc::clone(&worker), serving.begin());
        async move {
            let answer = worker.answer(request, peer).await;
            Ok::<_, Infallible>(answer.map(|body| Tracked { body, _running: running }))
        }
    });
    let mut connection = pin!(server.serve_connection_with_upgrades(TokioIo::new(io), service));
    let mut told = pin!(stop.cancelled());
    let mut look = pin!(tokio::time::sleep(every));
    let (mut is_ending, mut seen) = (false, 0);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                // A connection that breaks is the caller's business.
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection broke");
                }
                return;
            }
            () = &mut told, if !is_ending => {
                is_ending = true;
                connection.as_mut().graceful_shutdown();
            }
            () = &mut look => {
                look.as_mut().reset(Instant::now() + every);
                if activity.is_quiet_since(&mut seen) {
                    if is_ending {
                        return;
                    }
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

impl Worker {
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Reply> {
        let patience = self.gateway.settings.stall_timeout;
        let mut request = request.map(|body| CallerBody::new(body, patience));
        let client = self.client(request.headers(), peer);
        if address::is_gateway(request.uri()) {
            self.gateway.handle(&self.upstreams, request, client).await
        } else {
            request.extensions_mut().insert(client);
            self.control.answer(request).await
        }
    }

    /// Whose request it is.
    fn client(&self, headers: &HeaderMap, peer: IpAddr) -> ClientAddress {
        let lines = |name| headers.get_all(name).iter().map(HeaderValue::as_bytes);
        ClientAddress(self.settings.trusted_proxies.caller(peer, lines(X_FORWARDED_FOR), lines(FORWARDED)))
    }
}
