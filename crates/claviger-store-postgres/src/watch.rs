//! The change feed. PostgreSQL tells its listeners of commits in their order, and that is what proves that nothing is
//! missed: once a second this side sends a notification to itself, and when it arrives, everything that was committed
//! before it was sent has been told.
//!
//! It is sent over the pool, as changes are: a listener that is left at a server which is no longer the one that is
//! written to does not hear it.

use std::convert::Infallible;
use std::time::Duration;

use claviger_store::{Change, ChangeSink, StoreError};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use crate::change::{self, CHANNEL};
use crate::connections::{Connections, PROOF, asked};
use crate::error::{meaning, unavailable};

/// How often the listener is asked to prove that it hears.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// After so long without a proof it counts as deaf: three beats, so that one slow answer does not end the watch.
const SILENCE: Duration = Duration::from_secs(3);
/// How long listening may take to begin.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) async fn watch(connections: &Connections, options: &PgConnectOptions, sink: &dyn ChangeSink) -> StoreError {
    tokio::select! {
        told = tell(connections, options, sink) => match told {
            Ok(never) => match never {},
            Err(error) => error,
        },
        () = connections.closed() => unavailable("the store was closed"),
    }
}

async fn tell(
    connections: &Connections,
    options: &PgConnectOptions,
    sink: &dyn ChangeSink,
) -> Result<Infallible, StoreError> {
    // A channel that nobody else has: the beats of other processes, and of this one's earlier watches, prove nothing.
    let beats = format!("claviger_beat_{:032x}", rand::random::<u128>());
    let mut listener = timeout(BEGIN_TIMEOUT, listen(options, &beats))
        .await
        .map_err(|_| unavailable("listening for changes did not begin in time"))??;
    let begun = sink.now();
    // Changes made before this line are not told one by one.
    sink.changed(&Change::Everything);
    sink.heard(begun);
    tokio::select! {
        heard = hear(&mut listener, &beats, sink) => heard,
        never = beat(connections, &beats, sink) => match never {},
    }
}

/// A connection of its own, beside the pool, so that it neither waits for one nor takes one away.
async fn listen(options: &PgConnectOptions, beats: &str) -> Result<PgListener, StoreError> {
    let one = PgPoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(BEGIN_TIMEOUT)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&one).await.map_err(meaning)?;
    // A lost connection is told, and not made anew in silence: what was notified meanwhile is gone.
    listener.eager_reconnect(false);
    listener.listen_all([CHANNEL, beats]).await.map_err(meaning)?;
    Ok(listener)
}

async fn hear(listener: &mut PgListener, beats: &str, sink: &dyn ChangeSink) -> Result<Infallible, StoreError> {
    let mut last_beat = Instant::now();
    loop {
        let next = timeout_at(last_beat + SILENCE, listener.try_recv())
            .await
            .map_err(|_| unavailable("the listener for changes no longer hears what this process says"))?;
        let notification =
            next.map_err(meaning)?.ok_or_else(|| unavailable("the connection that listens for changes was lost"))?;
        if notification.channel() == beats {
            if let Some(sent) = sent_at(notification.payload()) {
                last_beat = Instant::now();
                sink.heard(sent);
            }
        } else {
            sink.changed(&change::told(notification.payload()));
        }
    }
}

fn sent_at(payload: &str) -> Option<Duration> {
    payload.parse().ok().map(Duration::from_nanos)
}

async fn beat(connections: &Connections, beats: &str, sink: &dyn ChangeSink) -> Infallible {
    let mut next = interval(BEAT_EVERY);
    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        next.tick().await;
        // Taken before sending: what is committed between the two may be told before the beat or after it.
        let nanoseconds = u64::try_from(sink.now().as_nanos()).unwrap_or(u64::MAX).to_string();
        let sent = connections.ask(PROOF, |db| asked(change::notify(db, beats, &nanoseconds))).await;
        if let Err(error) = sent {
            // The listener notices the silence.
            tracing::debug!(%error, "the change feed's proof of hearing could not be sent");
        }
    }
}
