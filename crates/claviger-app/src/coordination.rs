//! Rotation, and keys' rests, that several nodes share.
//!
//! Nodes that rotate each by itself give every key its share, but not in one order; and each of them learns by itself
//! that a key is to rest. Something that all of them reach can hold a pool's place and its keys' rests for all. What it
//! is, and how it is reached, is another crate's; here is what the keyring asks of it. No request ever depends on it: a
//! turn that is not to be had in time is taken from the node's own cursor, and what is told of rests is told without
//! waiting.
//!
//! Rests are told and answered as what is left of them, and the clock that they are held by is nobody's here: nodes'
//! clocks need not agree.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use claviger_core::health::TRIAL_LEASE;
use claviger_core::owner::PoolId;
use claviger_core::pool::Position;

/// A turn in the order that all nodes share.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SharedTurn {
    /// The key whose turn it is: one of the usable ones that were named. `None` where all of them rest; then `rests` has
    /// each of them.
    pub position: Option<Position>,
    /// Its rest is over, and this one request is to try it, while all others pass it over. Whoever has it says what came
    /// of it with [`Coordination::rest`], [`Coordination::healed`] or [`Coordination::trial_over`], for the same model as
    /// the turn was asked for; a trial of which nothing is heard ends after [`TRIAL`].
    pub trial: bool,
    /// Those of the usable keys that rest, as far as nodes have told each other: each of them once, in the order in
    /// which they were named.
    pub rests: Vec<Rest>,
}

/// A key that rests for whoever asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rest {
    /// Which key.
    pub position: Position,
    /// For how long yet. Zero where its rest is over and another request tries it: it may be back in a moment.
    pub remaining: Duration,
    /// Whether it rests for the model alone that was asked for. Where it rests both for that and as a whole, this and
    /// `remaining` are of the longer one.
    pub of_model: bool,
}

/// How long a trial keeps others off its key where nothing is heard of it: the same as on one node.
pub const TRIAL: Duration = TRIAL_LEASE;

/// How sharing has gone so far. For the metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SharingCounts {
    /// Whether turns are shared at the moment.
    pub sharing: bool,
    /// Turns that were shared.
    pub shared: u64,
    /// Turns that were not to be had, so that the node took its own.
    pub missed: u64,
    /// Words on a key's rest that the others were told.
    pub told: u64,
    /// Words on a key's rest that got lost, so that the others learn of it by themselves.
    pub lost: u64,
}

/// What all nodes reach, and what holds each pool's place and its keys' rests for them.
///
/// A model is one that a provider limits by itself. Its name comes from a caller's path, and may be anything; one that
/// is absurdly long or empty counts as `None`, which means the whole key.
///
/// `rest`, `healed`, `trial_over` and `forget` wait for nothing, and may be called anywhere. What they tell reaches the
/// others in some milliseconds, in the order in which it was told on one runtime; it is lost where it cannot be told
/// now. A word that is lost costs no more than that each node learns for itself.
#[async_trait]
pub trait Coordination: Send + Sync + fmt::Debug {
    /// Makes ready to give turns on the runtime that calls, as far as that is possible now.
    async fn join(&self);

    /// The next turn of a pool among its usable keys, which are named by their places in creation order: the first one
    /// after the last turn of any node, and after the last one the first again, that rests neither as a whole nor for
    /// this model. `None` where it is not to be had within the budget.
    async fn turn(&self, pool: &PoolId, usable: &[Position], model: Option<&str>) -> Option<SharedTurn>;

    /// A key rests for so long, as a whole or for one model. A rest is only ever lengthened: where it rests longer
    /// already, it stays so. Ends trials: of the model and of the whole key, or, where the whole key rests, all of its.
    fn rest(&self, pool: &PoolId, position: Position, model: Option<&str>, remaining: Duration);

    /// A key answered as it should, to a request that was for this model: it rests no more, neither as a whole nor for
    /// this model, and its trials are over. For other models it rests as before. Only a request that began after the
    /// rest did proves that.
    fn healed(&self, pool: &PoolId, position: Position, model: Option<&str>);

    /// A trial of a key, in a turn that was for this model, ended without a result: the next request tries it.
    fn trial_over(&self, pool: &PoolId, position: Position, model: Option<&str>);

    /// Nothing that was told of a key holds any more: it has a new secret, or is gone.
    fn forget(&self, pool: &PoolId, position: Position);

    /// How sharing has gone so far.
    fn counts(&self) -> SharingCounts;
}
