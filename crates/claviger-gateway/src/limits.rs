//! How much a caller may have at once: connections by address, requests and streams by workspace. Each node counts its
//! own.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use claviger_app::ClientAddress;
use claviger_core::WorkspaceId;
use claviger_core::proxy::TrustedProxies;
use foldhash::fast::RandomState;
use parking_lot::Mutex;

/// How many connections there may be, over all workers.
#[derive(Debug)]
pub(crate) struct ConnectionLimit {
    most: usize,
    /// Of one address; 0 for any number. Trusted proxies may have any number: they have everybody's.
    most_of_one: usize,
    proxies: TrustedProxies,
    open: AtomicUsize,
    /// Counted only where there is a limit by address.
    addresses: Mutex<HashMap<IpAddr, usize, RandomState>>,
}

/// A connection that was let in.
#[derive(Debug)]
pub(crate) struct Admitted {
    limit: Arc<ConnectionLimit>,
    counted: Option<IpAddr>,
}

impl ConnectionLimit {
    pub(crate) fn new(most: usize, most_of_one: usize, proxies: TrustedProxies) -> Arc<Self> {
        let (open, addresses) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { most, most_of_one, proxies, open, addresses })
    }

    /// Lets a connection in, if there is room for it.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Admitted> {
        // Taken first, so that it is given back whatever follows.
        let mut admitted = Admitted { limit: Arc::clone(self), counted: None };
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.most {
            return None;
        }
        if self.most_of_one > 0 && !self.proxies.trusts(peer) {
            let network = ClientAddress(peer).network();
            let mut addresses = self.addresses.lock();
            let open = addresses.entry(network).or_default();
            if *open >= self.most_of_one {
                return None;
            }
            *open += 1;
            admitted.counted = Some(network);
        }
        Some(admitted)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.limit.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(network) = self.counted {
            let mut addresses = self.limit.addresses.lock();
            if let Some(open) = addresses.get_mut(&network) {
                *open -= 1;
                if *open == 0 {
                    addresses.remove(&network);
                }
            }
        }
    }
}

/// A workspace has as much at once as it may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    Requests,
    Streams,
}

/// Each has a lock of its own, so that workspaces seldom wait for each other.
const SHARDS: usize = 64;

type Shard = Mutex<HashMap<WorkspaceId, Counts, RandomState>>;

/// How many requests, and how many streams among them, a workspace may have at once; 0 for any number. Only workspaces
/// that have some at the moment take memory.
#[derive(Debug)]
pub(crate) struct WorkspaceLimit {
    requests: u32,
    streams: u32,
    hasher: RandomState,
    shards: Vec<Shard>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: u32,
    streams: u32,
}

/// A request's place among its workspace's. It is given back when the answer's body has ended.
pub(crate) struct Place {
    limit: Arc<WorkspaceLimit>,
    workspace: WorkspaceId,
    is_stream: bool,
}

impl WorkspaceLimit {
    pub(crate) fn new(requests: u32, streams: u32) -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Arc::new(Self { requests, streams, hasher: RandomState::default(), shards })
    }

    /// A place for a request. Where there is no limit, nothing is counted.
    pub(crate) fn admit(self: &Arc<Self>, workspace: &WorkspaceId) -> Result<Option<Box<Place>>, Full> {
        if self.requests == 0 && self.streams == 0 {
            return Ok(None);
        }
        self.count(workspace, |counts| {
            let is_full = self.requests > 0 && counts.requests >= self.requests;
            counts.requests += u32::from(!is_full);
            if is_full { Err(Full::Requests) } else { Ok(()) }
        })?;
        Ok(Some(Box::new(Place { limit: Arc::clone(self), workspace: workspace.clone(), is_stream: false })))
    }

    fn count<T>(&self, workspace: &WorkspaceId, change: impl FnOnce(&mut Counts) -> T) -> T {
        let shard = self.hasher.hash_one(workspace) % SHARDS as u64;
        let mut shard = self.shards[usize::try_from(shard).unwrap_or_default()].lock();
        let counts = shard.entry(workspace.clone()).or_default();
        let changed = change(counts);
        if counts.requests == 0 {
            shard.remove(workspace);
        }
        changed
    }
}

impl Place {
    /// The request turns out to be a stream.
    pub(crate) fn is_stream(&mut self) -> Result<(), Full> {
        if self.is_stream {
            return Ok(());
        }
        let most = self.limit.streams;
        self.limit.count(&self.workspace, |counts| {
            let is_full = most > 0 && counts.streams >= most;
            counts.streams += u32::from(!is_full);
            if is_full { Err(Full::Streams) } else { Ok(()) }
        })?;
        self.is_stream = true;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let streams = u32::from(self.is_stream);
        self.limit.count(&self.workspace, |counts| {
            counts.requests -= 1;
            counts.streams -= streams;
        });
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn there_are_only_so_many_connections_and_a_closed_one_makes_room() {
        let limit = ConnectionLimit::new(2, 0, TrustedProxies::default());
        let one = limit.admit(peer("203.0.113.1")).unwrap();
        let two = limit.admit(peer("203.0.113.1")).unwrap();
        assert!(limit.admit(peer("203.0.113.2")).is_none());
        drop(one);
        let three = limit.admit(peer("203.0.113.2")).unwrap();
        drop((two, three));
        assert_eq!(limit.open.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_address_has_only_so_many_connections_and_a_trusted_proxy_any_number() {
        let limit = ConnectionLimit::new(100, 1, TrustedProxies::new(["10.0.0.0/8"]).unwrap());
        let one = limit.admit(peer("2001:db8::1")).unwrap();
        assert!(limit.admit(peer("2001:db8::2")).is_none());
        let other = limit.admit(peer("2001:db8:0:1::1")).unwrap();
        let proxied: Vec<_> = (0..10).map(|_| limit.admit(peer("10.0.0.1")).unwrap()).collect();
        drop((one, other, proxied));
        assert!(limit.addresses.lock().is_empty());
        assert_eq!(limit.open.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_workspace_has_only_so_many_requests_and_streams_and_leaves_nothing_behind() {
        let limit = WorkspaceLimit::new(3, 1);
        let [own, other]: [WorkspaceId; 2] = ["own", "other"].map(|id| id.parse().unwrap());
        let mut one = limit.admit(&own).unwrap().unwrap();
        let mut two = limit.admit(&own).unwrap().unwrap();
        assert_eq!(one.is_stream(), Ok(()));
        assert_eq!(one.is_stream(), Ok(()));
        assert_eq!(two.is_stream(), Err(Full::Streams));
        let three = limit.admit(&own).unwrap().unwrap();
        assert_eq!(limit.admit(&own).unwrap_err(), Full::Requests);
        assert_eq!(limit.admit(&other).unwrap().unwrap().is_stream(), Ok(()));
        drop(one);
        assert_eq!(two.is_stream(), Ok(()));
        drop((two, three));
        assert!(limit.shards.iter().all(|shard| shard.lock().is_empty()));
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let limit = WorkspaceLimit::new(0, 0);
        assert!(limit.admit(&"own".parse().unwrap()).unwrap().is_none());
    }
}
