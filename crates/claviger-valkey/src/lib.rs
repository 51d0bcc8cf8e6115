//! Rotation that several nodes share, held by Valkey or Redis.
//!
//! # What it guarantees
//!
//! *Exact order.* The turns of a pool that were had from here are in one order, whichever nodes took them: each goes to
//! the first usable key after the last turn of any node, as [`turn_after`](claviger_core::pool::turn_after) says. One
//! script does it in the server, so nothing comes between reading and writing, and it costs one round trip.
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
//! A pool is a hash, `claviger:pool:{<kind of owner>:<owner's id>:<provider>}`. Its field `last` is the position that
//! was served last; `rest:<position>` says until when a key rests, in milliseconds since 1970. It expires after a week
//! without a turn. Nothing else is kept, and nothing of it is secret. All nodes that share name the same database.
//!
//! # The URL
//!
//! `redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]`, with % escapes. `rediss` speaks TLS; `valkey` and `valkeys` mean
//! the same. Parameters:
//!
//! - `cluster=true`: a cluster, found by this node, and by further ones with `node=HOST:PORT`, as often as need be.
//! - `ca=/path`: a PEM file of certificates that are trusted, instead of the system's roots.
//!
//! The user needs `~claviger:* +@connection +evalsha +eval +script|load +hgetall +hset +pexpire`, and in a cluster
//! `+cluster|slots`.

mod address;
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
use crate::tls::Tls;

/// How long things may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// A turn.
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

    async fn turn(&self, pool: &PoolId, usable: &[Position]) -> Option<SharedTurn> {
        if usable.is_empty() {
            return None;
        }
        let turn = match self.node.line() {
            Some(line) => line.turn(&self.node, &script::key(pool), usable).await,
            None => None,
        };
        self.node.report.count(turn.is_some());
        turn
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
