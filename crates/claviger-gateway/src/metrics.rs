//! What the gateway counts beside the leases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use parking_lot::Mutex;

/// Counts of the gateway as a whole.
#[derive(Debug, Default)]
pub struct GatewayMetrics {
    /// Refusals by code. They are not on the way of a request that is relayed.
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    connections: AtomicI64,
    refused_connections: AtomicU64,
}

impl GatewayMetrics {
    pub(crate) fn refused(&self, code: &'static str) {
        *self.refusals.lock().entry(code).or_default() += 1;
    }

    /// Counts a connection until what is answered is dropped.
    pub(crate) fn connection(self: &Arc<Self>) -> OpenConnection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(self))
    }

    /// Brings how many there were before.
    pub(crate) fn connection_refused(&self) -> u64 {
        self.refused_connections.fetch_add(1, Ordering::Relaxed)
    }

    /// How many requests Claviger answered by itself, by code.
    #[must_use]
    pub fn refusals(&self) -> BTreeMap<&'static str, u64> {
        self.refusals.lock().clone()
    }

    /// How many connections were refused because there were too many.
    #[must_use]
    pub fn refused_connections(&self) -> u64 {
        self.refused_connections.load(Ordering::Relaxed)
    }

    /// How many connections of callers are open.
    #[must_use]
    pub fn connections(&self) -> i64 {
        self.connections.load(Ordering::Relaxed)
    }
}

/// A connection that is open.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<GatewayMetrics>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
