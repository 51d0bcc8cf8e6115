//! Rotation, and keys' rests, that several nodes share, held by Valkey or Redis.
//!
//! # What it guarantees
//!
//! *Exact order.* The turns of a pool that were had from here are in one order, whichever nodes took them: each goes to
//! the first usable key after the last turn of any node, as [`turn_after`](claviger_core::pool::turn_after) says; keys that
//! rest are passed over, whichever node learned that they are to. One script does it in the server, so nothing comes
//! between reading and writing, and it costs one round trip.
//!
//! *One trial.* Once a rest is over, one request among all nodes' is told to try the key, and all others pass it over
//! until its node says what came of it, or a minute has passed. Where the request no longer waited for its turn, the
//! trial is given back by itself.
//!
//! *Nobody's clock.* A rest is told as what is left of it, kept as a time of the server's clock, and answered as what is
//! left of it again. Nodes' clocks have no part in it.
//!
//! *Nothing waits for what is told.* A node tells what it learned of a key over the line of the runtime that learned it,
//! in order, and no request waits for that. What cannot be told at once, because the server is away or the queue full,
//! is lost and counted: each node learns of a key by itself then, as it does alone.
//!
//! *No request waits.* A turn that is not there within the budget is not had, and the node takes its own. After three
//! in a row nothing is asked any more, and connecting is tried in the background, after 100 ms and then ever more
//! rarely, up to every 5 s. No request ever waits for a connection to be made.
//!
//! *A node starts without it.* A server that cannot be reached is no error, only one that cannot be used:
//! [`ConnectError`].
//!
//! # What it does not guarantee
//!
//! - A turn that came too late was taken all the same: its key is passed over once in the common order.
//! - What is told is heard by other nodes' turns that begin after it arrived. That is some milliseconds as a rule; turns
//!   that were taken meanwhile have the key.
//! - A trial ends by whatever is told of its key, whoever tells it; an answer that was long on its way can let a second
//!   request try.
//! - Where the server's clock is set back, rests last longer by that, though none longer than a week.
//! - The place of a pool is only remembered. A server that is restarted without its data, a failover that lost the last
//!   writes, and a week without a request make a pool begin with its first key, or repeat a few turns.
//! - The first turn on a runtime is not had, unless [`Valkey::ready`] was waited for there: the connection is made then.
//! - Positions are exact below 2^53, as the server's numbers are.
//! - In a cluster, while one of its masters is away, nothing is shared at all.
//!
//! # Connections
//!
//! Each runtime has one of its own, and its bytes are moved on its own threads: on a gateway worker, which is one thread
//! with one runtime, a turn never changes threads. A connection ends with its runtime.
//!
//! # In the database
//!
//! A pool is a hash, `claviger:pool:{<kind of owner>:<owner's id>:<provider>}`, which expires after a week without a
//! turn or a rest. Its fields:
//!
//! - `last`: the position that was served last.
//! - `rest:<position>`: until when a key rests, in milliseconds since 1970 by the server's clock. It stays when that is
//!   over, until a request has tried the key.
//! - `rest:<position>/<model>`: the same for one model; 32 of them a key at most, and those that end soonest make room.
//!   A position is digits alone, so a model's name, which is a caller's, cannot be taken for anything else, whatever is
//!   in it. It has 128 bytes at most.
//! - `trial:<position>` and `trial:<position>/<model>`: until when one request tries the key, and others pass it over.
//!
//! What is none of this does no harm, and neither does a time that this program could not have written. Nothing else is
//! kept, and nothing of it is secret. All nodes that share name the same database.
//!
//! # The URL
//!
//! `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, with % escapes. `rediss` speaks TLS; `valkey` and `valkeys` mean
//! the same. Parameters:
//!
//! - `cluster=true`: a cluster, found by this node, and by further ones with `node=HOST:PORT`, as often as need be.
//! - `ca=/path`: a PEM file of certificates that are trusted, instead of the system's roots.
//!
//! The user needs `~claviger:* +@connection +evalsha +eval +script|load +time +hmget +hgetall +hset +hdel +pexpire`, and
//! in a cluster `+cluster|slots`.

mod address;
mod asked;
mod cluster;
mod error;
mod greeting;
mod health;
mod line;
mod link;
mod node;
mod open;
mod report;
mod script;
mod stranger;
mod tls;
mod word;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use claviger_app::coordination::{Coordination, SharedTurn, SharingCounts};
use claviger_core::owner::PoolId;
use claviger_core::pool::Position;
use tokio::runtime::Handle;

use crate::address::Address;
pub use crate::error::ConnectError;
use crate::error::{Away, OpenError};
use crate::node::Node;
use crate::open::Target;
use crate::script::{News, Question, What};
use crate::tls::Tls;
use crate::word::Word;

/// How long things may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// A turn; and for a word on a key, as long as it is waited for before the next.
    pub budget: Duration,
    /// Connecting, and everything that is asked before the first turn.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { budget: Duration::from_millis(5), patience: Duration::from_secs(3) }
    }
}

/// The order that all nodes on one Valkey or Redis share. Dropping it closes its connections.
pub struct Valkey {
    node: Arc<Node>,
}

impl Valkey {
    /// Connects once, to see whether the server is one that can be used. One that cannot be reached is no error: it is
    /// said in the log, and tried again.
    pub async fn connect(url: &str, settings: Settings) -> Result<Self, ConnectError> {
        let address = Address::parse(url)?;
        let tls = if address.tls { Some(Tls::load(address.ca.as_deref()).await?) } else { None };
        let node = Arc::new(Node::new(Target { address, tls, settings }));
        let first = match node.target.open().await {
            Ok(opened) => Ok(opened),
            Err(error) => Err(node.target.excuse(error).await?),
        };
        // This runtime's line tells how the server is doing, whether or not anybody asks.
        if let Some(line) = node.begin(Handle::current().id(), Some(first)) {
            line.tried().await;
        }
        Ok(Self { node })
    }

    /// Waits until the connection of the runtime that calls is made, or is known not to be had. Whether it is there.
    pub async fn ready(&self) -> bool {
        let Some(line) = self.node.line() else { return false };
        line.tried().await;
        line.is_up()
    }

    /// Waits until everything that was told on the runtime that calls has reached the server, or is lost.
    pub async fn told(&self) {
        if let Some(line) = self.node.line() {
            line.told().await;
        }
    }

    fn tell(&self, pool: &PoolId, position: Position, model: Option<&str>, what: What) {
        let news = News { key: script::key(pool), position, model: script::model(model), what };
        let word = Word::new(news, &self.node.report);
        // Not every thread works for a runtime, and not every runtime takes turns.
        let own = self.node.line().filter(|line| line.is_up());
        if let Some(line) = own.or_else(|| self.node.line_that_is_up()) {
            line.say(word);
        }
    }

    /// Closes all connections, and waits for those whose runtime still runs.
    pub async fn close(&self) {
        self.node.stop();
        // A runtime that nobody drives at the moment closes nothing.
        let _ = tokio::time::timeout(self.node.target.settings.patience, self.node.tasks.wait()).await;
    }
}

impl Drop for Valkey {
    fn drop(&mut self) {
        self.node.stop();
    }
}

impl fmt::Debug for Valkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Valkey").field("address", &self.node.target.address).finish_non_exhaustive()
    }
}

#[async_trait]
impl Coordination for Valkey {
    async fn join(&self) {
        self.ready().await;
    }

    async fn turn(&self, pool: &PoolId, usable: &[Position], model: Option<&str>) -> Option<SharedTurn> {
        if usable.is_empty() {
            return None;
        }
        let turn = match self.node.line() {
            Some(line) => {
                let (usable, model) = (usable.to_vec(), script::model(model));
                line.turn(&self.node, Question { key: script::key(pool), usable, model }).await
            }
            None => None,
        };
        self.node.report.count(turn.is_some());
        turn
    }

    fn rest(&self, pool: &PoolId, position: Position, model: Option<&str>, remaining: Duration) {
        self.tell(pool, position, model, What::Rest(remaining));
    }

    fn healed(&self, pool: &PoolId, position: Position, model: Option<&str>) {
        self.tell(pool, position, model, What::Healed);
    }

    fn trial_over(&self, pool: &PoolId, position: Position, model: Option<&str>) {
        self.tell(pool, position, model, What::TrialOver);
    }

    fn forget(&self, pool: &PoolId, position: Position) {
        self.tell(pool, position, None, What::Forget);
    }

    fn counts(&self) -> SharingCounts {
        self.node.report.counts()
    }
}

impl Target {
    /// What is no mistake, and may pass by itself.
    async fn excuse(&self, error: OpenError) -> Result<Away, ConnectError> {
        let (node, tls) = (&self.address.nodes[0], self.address.tls);
        match error {
            // Someone is there, but answers nothing that is understood, or nothing at all, as a proxy without a server
            // behind it does. Is it somebody else?
            OpenError::Wrong(wrong @ ConnectError::Stranger { .. }) => {
                Err(stranger::recognize(node, tls).await.unwrap_or(wrong))
            }
            OpenError::Wrong(wrong) => Err(wrong),
            OpenError::Away(away @ (Away::Closed(_) | Away::Silent { .. })) => {
                stranger::recognize(node, tls).await.map_or(Ok(away), Err)
            }
            OpenError::Away(away) => Ok(away),
        }
    }
}
