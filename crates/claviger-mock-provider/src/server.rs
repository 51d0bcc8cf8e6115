//! The listener, its connections, and the handle of a mock that runs in process.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::behaviour::{Behaviour, InvalidBehaviour};
use crate::counts::Counts;
use crate::recording::RecordedRequest;
use crate::relay::{self, Upgrade};
use crate::state::State;
use crate::websocket;

/// The pause after a failed accept: with no file handle left, trying again at once only burns the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// Flow-control windows of HTTP/2, large enough for prompts of megabytes.
const WINDOW_BYTES: u32 = 4 << 20;

/// A mock provider that serves on the current runtime. It stops when it is dropped: the listener closes, and open
/// connections break off.
#[derive(Debug)]
pub struct MockProvider {
    addr: SocketAddr,
    state: Arc<State>,
    tasks: JoinSet<()>,
}

impl MockProvider {
    /// Listens on `listen` (port 0 takes a free one) and serves in the background.
    pub async fn start(listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let state = Arc::new(State::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { addr, state, tasks })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where a provider is mounted, such as `http://127.0.0.1:4000/openai`: the `base_url` of its configuration.
    #[must_use]
    pub fn base_url(&self, provider: &str) -> String {
        format!("http://{}/{provider}", self.addr)
    }

    /// Stops listening and breaks open connections off; returns when the port is free.
    pub async fn shutdown(mut self) {
        self.tasks.shutdown().await;
    }

    /// Sets what a key of a provider meets from now on; [`ANY_KEY`](crate::ANY_KEY) stands for every key without a
    /// behaviour of its own. Replaces what was set for them before.
    pub fn set_behaviour(&self, provider: &str, key: &str, behaviour: Behaviour) -> Result<(), InvalidBehaviour> {
        self.state.behaviours.set(provider, key, behaviour)
    }

    /// Makes every key good again.
    pub fn clear_behaviours(&self) {
        self.state.behaviours.clear();
    }

    /// Who asked how often.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state.counts()
    }

    /// Waits until the counts are as wished, and returns them. It is woken by requests that arrive or end.
    pub async fn wait_until(&self, reached: impl Fn(&Counts) -> bool) -> Counts {
        self.state.wait_until(reached).await
    }

    /// Starts or stops keeping whole requests. Off at the start, because it costs.
    pub fn set_recording(&self, enabled: bool) {
        self.state.recording.set_enabled(enabled);
    }

    /// The recorded requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.recording.requests()
    }

    /// Forgets counts, behaviours, recordings and files, and stops recording.
    pub fn reset(&self) {
        self.state.reset();
    }
}

/// Accepts connections for ever. Dropping the future breaks all of them off.
pub(crate) async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http2()
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_concurrent_streams(None);
    let http = Arc::new(http);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&http), Arc::clone(&state)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            // Ended connections are taken out, or the set would grow for ever.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, http: Arc<auto::Builder<TokioExecutor>>, state: Arc<State>) {
    // Without it, the small frames of a stream would wait for each other's acknowledgement.
    let _on_failure_only_slower = stream.set_nodelay(true);
    let upgrade = Upgrade::default();
    let service = service_fn(|request| {
        let (state, upgrade) = (Arc::clone(&state), upgrade.clone());
        async move { Ok::<_, Infallible>(relay::answer(state, upgrade, request).await) }
    });
    // An error here means that the client left or that an answer was cut off on purpose: both are everyday.
    let _ended = http.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
    if let Some((upgraded, mut in_flight)) = upgrade.take()
        && let Ok(upgraded) = upgraded.await
        && websocket::echo(TokioIo::new(upgraded)).await.is_ok()
    {
        in_flight.complete();
    }
}
