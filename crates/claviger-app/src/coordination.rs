//! Rotation that several nodes share.
//!
//! Nodes that rotate each by itself give every key its share, but not in one order. Something that all of them reach
//! can hold a pool's place for all. What it is, and how it is reached, is another crate's; here is what the keyring
//! asks of it. No request ever depends on it: a turn that is not to be had in time is taken from the node's own cursor.

use std::fmt;

use async_trait::async_trait;
use claviger_core::Timestamp;
use claviger_core::owner::PoolId;
use claviger_core::pool::Position;

/// A turn in the order that all nodes share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SharedTurn {
    /// The key whose turn it is: one of the usable ones that were named.
    pub position: Position,
    /// The keys of the pool that rest, as far as nodes have told each other.
    pub rests: Vec<Rest>,
}

/// A key that rests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rest {
    /// Which key.
    pub position: Position,
    /// Until when.
    pub until: Timestamp,
}

/// How sharing has gone so far. For the metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SharingCounts {
    /// Whether turns are shared at the moment.
    pub sharing: bool,
    /// Turns that were shared.
    pub shared: u64,
    /// Turns that were not to be had, so that the node took its own.
    pub missed: u64,
}

/// What all nodes reach, and what holds each pool's place for them.
#[async_trait]
pub trait Coordination: Send + Sync + fmt::Debug {
    /// Makes ready to give turns on the runtime that calls, as far as that is possible now.
    async fn join(&self);

    /// The next turn of a pool among its usable keys, which are named by their places in creation order: the first one
    /// after the last turn of any node, and after the last one the first again. `None` where it is not to be had within
    /// the budget.
    async fn turn(&self, pool: &PoolId, usable: &[Position]) -> Option<SharedTurn>;

    /// How sharing has gone so far.
    fn counts(&self) -> SharingCounts;
}
