//! Which nodes run, and which master keys they have.

use std::time::Duration;

use async_trait::async_trait;
use claviger_core::Timestamp;

use crate::StoreError;
use crate::reseal::MASTER_KEY_ID;

/// For how long a node counts as running after it was noted last, by the database's clock.
pub const NODE_LEASE: Duration = Duration::from_secs(30);

/// A running server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Random bytes, made at its start.
    pub id: [u8; 16],
    /// For people.
    pub name: String,
    /// The master keys that it has, as sealed bytes name them.
    pub master_keys: Vec<[u8; 8]>,
}

/// A node that runs, as the database knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunningNode {
    /// The node.
    pub node: Node,
    /// Since when it runs, by the database's clock.
    pub since: Timestamp,
    /// How long ago it was noted last.
    pub silent_for: Duration,
}

impl RunningNode {
    /// Whether the node could open what names the master key of this canary.
    #[must_use]
    pub fn has_master_key_of(&self, canary: &[u8]) -> bool {
        self.node.master_keys.iter().any(|id| canary.get(MASTER_KEY_ID) == Some(id))
    }
}

/// What is to be done where a running node does not have the master key that is to come into use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodesWithoutIt {
    /// Nothing: it does not come into use.
    Wait,
    /// It comes into use; such a node is not ready from then on.
    LeaveBehind,
}

/// What became of the canary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replaced {
    /// Another master key is in use.
    Done,
    /// The canary is not the one that was read any more.
    CanaryChanged,
    /// These nodes do not have the master key.
    NodesLackIt(Vec<RunningNode>),
}

/// The part of a store that knows which nodes run. A node is noted again and again while it runs, and counts as running
/// for [`NODE_LEASE`] after that.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// Notes that a node runs. A master key that comes into use afterwards is one that it has
    /// ([`crate::Resealing::replace_canary`]), or the canary is of that key when this comes back.
    async fn note_node(&self, node: &Node) -> Result<(), StoreError>;

    /// The nodes that run, by name.
    async fn nodes(&self) -> Result<Vec<RunningNode>, StoreError>;

    /// Forgets a node: it is about to end.
    async fn forget_node(&self, id: &[u8; 16]) -> Result<(), StoreError>;
}
