//! `claviger serve`: the server, from its start to its orderly end.

use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use claviger_app::coordination::Coordination;
use claviger_app::nodes::Membership;
use claviger_app::{App, NODE_LEASE, StoreError};
use claviger_gateway::{
    Certificate, ControlPlane, Front, FrontSettings, Gateway, GatewaySettings, Listeners, Patience,
};
use claviger_seal::TokenHash;
use claviger_valkey::Valkey;
use futures_util::FutureExt;
use serde_json::json;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cli::{ServeFlags, SettingsFlags};
use crate::control::Control;
use crate::settings::Settings;
use crate::{log, memory, metrics, open, print};

/// How often this node says that it runs: thrice before it counts as ended.
const RENEW_MEMBERSHIP: Duration = Duration::from_secs(NODE_LEASE.as_secs() / 3);
/// How often uses of keys are written to the database.
const WRITE_USES: Duration = Duration::from_secs(5);
/// How long to wait before keys' health is stored again after that failed.
const STORE_AGAIN: Duration = Duration::from_secs(1);
/// How often it is looked for rejected keys whose rest is over.
const PROBE_REJECTED: Duration = Duration::from_secs(2);
/// How often what is older than it is kept is forgotten: usage, links and sessions of the portal, and sessions of
/// the console.
const FORGET_OLD: Duration = Duration::from_hours(1);
/// How often it is looked for events that webhooks are to be told of.
const DELIVER_EVENTS: Duration = Duration::from_secs(2);
/// How long to wait before the database is watched again after that failed.
const WATCH_AGAIN: Duration = Duration::from_millis(250);
/// How long to wait before work is begun anew that panicked.
const BEGIN_ANEW: Duration = Duration::from_secs(1);
/// How often it is looked whether changes are still heard of, to say so in the log.
const LOOK_WHETHER_HEARD: Duration = Duration::from_millis(500);

/// Runs the server until it is told to stop.
pub(crate) async fn run(flags: &SettingsFlags, json: bool, serve: &ServeFlags) -> anyhow::Result<()> {
    let mut settings = Settings::load(flags, Some(serve))?;
    log::begin(settings.log.format, settings.log.level.0);
    let swap = memory::lock();
    let stop = Stop::listen()?;
    // Before anything is made: a start that finds its port taken leaves nothing behind, and shows no token.
    let door = Door::find(&mut settings)?;
    let valkey = valkey(&settings).await?;
    let coordination = valkey.clone().map(|valkey| valkey as Arc<dyn Coordination>);
    let app = Arc::new(open::server(&settings, coordination).await?);
    let member = app.join(node_name()).await?;
    let given = settings.auth.root_token.as_ref().map(|token| TokenHash::of(token.expose().as_bytes()));
    if let Some(made) = app.admit_root(given).await? {
        let token = made.reveal_once();
        let line = || format!("root token, shown this once: {token}");
        print::result(&if json { json!({"rootToken": token}).to_string() } else { line() })?;
    }
    let hangup = Hangup::listen(&door)?;
    let server = Server::start(app, member, &settings, door)?;
    if let Some(hangup) = hangup {
        server.tasks.spawn(hangup.reload(server.stop.clone()));
    }
    let url = format!("{}://{}", settings.server.scheme(), server.address());
    print::result(&if json { json!({"url": url}).to_string() } else { format!("listening on {url}") })?;
    tracing::info!(address = %server.address(), console = %settings.portal()?.address_of("/console"), "listening");
    swap.tell();
    stop.told().await;
    tracing::info!("stopping: no new connections, what runs is finished");
    let stopped = server.stop().await;
    if let Some(valkey) = valkey {
        valkey.close().await;
    }
    stopped
}

/// How an operator knows this node among others: by its machine or container, and its process there.
pub(crate) fn node_name() -> String {
    let machine = rustix::system::uname();
    format!("{} (process {})", machine.nodename().to_string_lossy(), std::process::id())
}

/// What the nodes rotate by together, if the settings name it. A server that cannot be reached is no reason not to
/// start; one that is something else is.
async fn valkey(settings: &Settings) -> anyhow::Result<Option<Arc<Valkey>>> {
    let Some(url) = &settings.valkey.url else {
        return Ok(None);
    };
    Ok(Some(Arc::new(
        Valkey::connect(url.expose(), claviger_valkey::Settings::default())
            .await
            // Its words begin with the name of the setting.
            .map_err(|error| anyhow::anyhow!("setting {error}"))?,
    )))
}

/// Hears of SIGTERM and SIGINT, from the moment on in which it is made.
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        Ok(Self { terminate, interrupt })
    }

    /// Waits until the process is told to stop.
    pub(crate) async fn told(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Hears of SIGHUP, at which the certificate is read again. Without one the signal has its usual end.
struct Hangup {
    signal: Signal,
    certificate: Arc<Certificate>,
}

impl Hangup {
    fn listen(door: &Door) -> anyhow::Result<Option<Self>> {
        let Some(certificate) = &door.1 else {
            return Ok(None);
        };
        let signal = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        Ok(Some(Self { signal, certificate: Arc::clone(certificate) }))
    }

    async fn reload(mut self, stop: CancellationToken) {
        while let Some(Some(())) = stop.run_until_cancelled(self.signal.recv()).await {
            match self.certificate.reload() {
                Ok(()) => tracing::info!("the certificate was read again: new connections get it"),
                Err(error) => tracing::error!(
                    error = &error as &(dyn std::error::Error + 'static),
                    "the certificate could not be read again: the one before stays in use"
                ),
            }
        }
    }
}

/// Where the server will listen: taken, and not open yet.
pub(crate) struct Door(Listeners, Option<Arc<Certificate>>);

impl Door {
    /// Takes the address of the settings, and writes into them which one that became.
    pub(crate) fn find(settings: &mut Settings) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = settings.server.workers.unwrap_or(cores);
        let certificate = match settings.server.tls()? {
            None => None,
            Some((cert, key)) => Some(Arc::new(Certificate::read(cert.to_owned(), key.to_owned())?)),
        };
        let listeners = Listeners::bind(settings.server.listen, workers)?;
        settings.server.listen = listeners.address();
        Ok(Self(listeners, certificate))
    }
}

/// A running server.
pub(crate) struct Server {
    app: Arc<App>,
    member: Arc<Membership>,
    front: Front,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Server {
    /// Opens the door.
    pub(crate) fn start(app: Arc<App>, member: Membership, settings: &Settings, door: Door) -> anyhow::Result<Self> {
        let Door(listeners, certificate) = door;
        let limits = &settings.gateway;
        let gateway = GatewaySettings {
            connect_timeout: limits.connect_timeout.0,
            response_timeout: limits.response_timeout.0,
            idle_timeout: limits.idle_timeout.0,
            replay_limit: limits.replay_limit.0,
            replay_budget: limits.replay_budget.0,
            retry_overloaded: limits.retry_overloaded,
            stall_timeout: settings.server.stall_timeout.0,
            workspace_requests: limits.workspace_requests,
            workspace_streams: limits.workspace_streams,
        };
        let gateway = Gateway::new(Arc::clone(&app), gateway);
        let gateway = Arc::new(gateway.map_err(|id| anyhow::anyhow!("setting providers.{id}: not a usable address"))?);
        let tasks = TaskTracker::new();
        let metrics = metrics::render(Arc::clone(&app), Arc::clone(&gateway.metrics));
        let router = claviger_api::router(Arc::clone(&app), Arc::new(metrics));
        let router = router.merge(claviger_portal::router(Arc::clone(&app)));
        let router = router.merge(claviger_portal::console::router(Arc::clone(&app), open::node(settings)?));
        let control: Arc<dyn ControlPlane> = Arc::new(Control::new(router, Handle::current(), tasks.clone()));
        let front = FrontSettings {
            grace: settings.server.shutdown_grace.0,
            trusted_proxies: settings.server.trusted_proxies()?,
            max_connections: settings.server.max_connections,
            max_connections_per_address: settings.server.max_connections_per_address,
            patience: Patience::default(),
            certificate,
        };
        let front = Front::open(listeners, front, &gateway, &control)?;
        let stop = CancellationToken::new();
        tasks.spawn(lasting(write_uses, Arc::clone(&app), stop.clone()));
        tasks.spawn(lasting(watch, Arc::clone(&app), stop.clone()));
        tasks.spawn(lasting(store_ailments, Arc::clone(&app), stop.clone()));
        tasks.spawn(lasting(probe_suspects, Arc::clone(&app), stop.clone()));
        tasks.spawn(lasting(probe_rejected, Arc::clone(&app), stop.clone()));
        tasks.spawn(lasting(forget_old, Arc::clone(&app), stop.clone()));
        tasks.spawn(lasting(deliver_events, Arc::clone(&app), stop.clone()));
        tasks.spawn(lasting(tell_whether_heard, Arc::clone(&app), stop.clone()));
        let member = Arc::new(member);
        tasks.spawn(lasting(renew_membership, Arc::clone(&member), stop.clone()));
        Ok(Self { app, member, front, tasks, stop })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.front.address()
    }

    /// Closes the door, finishes what runs, and writes what is still in memory only.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.front.close().await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        if let Err(error) = self.member.leave().await {
            warn("the other nodes could not be told that this one ends; it counts as running for some seconds", &error);
        }
        self.app.close().await.context("when keys were used last could not be written")
    }
}

/// Does work that goes on as long as the server does. Where it panics it is begun anew: a server that serves on without it
/// would look well.
async fn lasting<W, D, A>(work: W, app: Arc<A>, stop: CancellationToken)
where
    W: Fn(Arc<A>, CancellationToken) -> D,
    D: Future<Output = ()>,
{
    while AssertUnwindSafe(work(Arc::clone(&app), stop.clone())).catch_unwind().await.is_err() {
        tracing::error!(work = std::any::type_name::<W>(), "work in the background panicked, and is begun anew");
        if stop.run_until_cancelled(tokio::time::sleep(BEGIN_ANEW)).await.is_none() {
            return;
        }
    }
}

async fn renew_membership(member: Arc<Membership>, stop: CancellationToken) {
    let mut beat = tokio::time::interval_at(Instant::now() + RENEW_MEMBERSHIP, RENEW_MEMBERSHIP);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // An outage is told once, not at every try.
    let mut told = false;
    while stop.run_until_cancelled(beat.tick()).await.is_some() {
        match stop.run_until_cancelled(member.renew()).await {
            Some(Err(error)) if !std::mem::replace(&mut told, true) => {
                warn("the other nodes could not be told that this one runs; it will be tried again", &error);
            }
            Some(Err(_)) | None => {}
            Some(Ok(())) => told = false,
        }
    }
}

async fn write_uses(app: Arc<App>, stop: CancellationToken) {
    let mut beat = tokio::time::interval(WRITE_USES);
    let mut due = async || {
        tokio::select! {
            _ = beat.tick() => {}
            () = app.keyring.uses_pile_up() => {}
        }
    };
    while stop.run_until_cancelled(due()).await.is_some() {
        if let Err(error) = app.keyring.write_uses().await {
            warn("when keys were used last could not be written; it will be tried again", &error);
        }
    }
}

/// As soon as there are any.
async fn store_ailments(app: Arc<App>, stop: CancellationToken) {
    while stop.run_until_cancelled(app.keyring.ailments_come()).await.is_some() {
        while let Err(error) = app.keyring.store_ailments().await {
            warn("what was found out about keys could not be stored; it will be tried again", &error);
            if stop.run_until_cancelled(tokio::time::sleep(STORE_AGAIN)).await.is_none() {
                return;
            }
        }
    }
}

async fn probe_suspects(app: Arc<App>, stop: CancellationToken) {
    while stop.run_until_cancelled(app.keyring.suspects_come()).await.is_some() {
        stop.run_until_cancelled(app.keyring.probe_suspects()).await;
    }
}

async fn probe_rejected(app: Arc<App>, stop: CancellationToken) {
    let mut beat = tokio::time::interval(PROBE_REJECTED);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(beat.tick()).await.is_some() {
        if let Some(Err(error)) = stop.run_until_cancelled(app.keyring.probe_rejected()).await {
            warn("rejected keys could not be looked for", &error);
        }
    }
}

async fn forget_old(app: Arc<App>, stop: CancellationToken) {
    let mut beat = tokio::time::interval(FORGET_OLD);
    while stop.run_until_cancelled(beat.tick()).await.is_some() {
        if let Some(Err(error)) = stop.run_until_cancelled(app.usage.forget_old()).await {
            warn("old usage could not be forgotten; it will be tried again", &error);
        }
        if let Some(Err(error)) = stop.run_until_cancelled(app.portal.forget_old()).await {
            warn("expired links to the portal could not be forgotten; it will be tried again", &error);
        }
        if let Some(Err(error)) = stop.run_until_cancelled(app.console.forget_old()).await {
            warn("expired sessions of the console could not be forgotten; it will be tried again", &error);
        }
    }
}

async fn deliver_events(app: Arc<App>, stop: CancellationToken) {
    let mut beat = tokio::time::interval(DELIVER_EVENTS);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(beat.tick()).await.is_some() {
        if let Some(Err(error)) = stop.run_until_cancelled(app.webhooks.deliver_due()).await {
            warn("webhooks could not be told of events; it will be tried again", &error);
        }
    }
}

async fn watch(app: Arc<App>, stop: CancellationToken) {
    // An outage is told once, not at every try.
    let mut told = false;
    while let Some(error) = stop.run_until_cancelled(app.watch()).await {
        tell_of_broken_watch(&error, std::mem::replace(&mut told, !app.keyring.is_hearing()));
        if stop.run_until_cancelled(tokio::time::sleep(WATCH_AGAIN)).await.is_none() {
            return;
        }
    }
}

fn tell_of_broken_watch(error: &StoreError, again: bool) {
    let error = error as &(dyn std::error::Error + 'static);
    if again {
        tracing::debug!(error, "the database still cannot be watched for changes");
    } else {
        tracing::info!(error, "watching the database for changes broke off; it is begun again");
    }
}

/// Once, not at every try.
async fn tell_whether_heard(app: Arc<App>, stop: CancellationToken) {
    // Not at once: a watch takes a moment to begin.
    let mut beat = tokio::time::interval_at(Instant::now() + LOOK_WHETHER_HEARD, LOOK_WHETHER_HEARD);
    let mut heard = true;
    while stop.run_until_cancelled(beat.tick()).await.is_some() {
        match (std::mem::replace(&mut heard, app.keyring.is_hearing()), heard) {
            (true, false) => tracing::warn!(
                "changes by other processes are not heard of: until they are, every request asks the database"
            ),
            (false, true) => tracing::info!("changes by other processes are heard of again"),
            (true, true) | (false, false) => {}
        }
    }
}

fn warn(what: &str, error: &StoreError) {
    tracing::warn!(error = error as &(dyn std::error::Error + 'static), "{what}");
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn work_that_panics_is_begun_anew_and_ends_with_the_server() {
        let stop = CancellationToken::new();
        let work = async |begun: Arc<AtomicU32>, stop: CancellationToken| {
            assert!(begun.fetch_add(1, Ordering::SeqCst) > 0, "the first time");
            stop.cancel();
        };
        let begun = Arc::new(AtomicU32::new(0));
        lasting(work, Arc::clone(&begun), stop).await;
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    }
}
