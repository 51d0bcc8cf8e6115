//! One worker's connections to one origin.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::body::Sent;

/// How long an unused connection is kept. Shorter than most providers keep theirs, so that a request seldom meets one
/// that is just being closed.
const KEEP: Duration = Duration::from_secs(50);
/// How many unused connections are kept for one origin.
const KEEP_AT_MOST: usize = 512;
/// How many requests share an HTTP/2 connection. What most servers allow; beyond that a request would wait for another
/// one's end, which with long streams can take minutes.
const STREAMS: usize = 100;

type Http1 = http1::SendRequest<Sent>;
type Http2 = http2::SendRequest<Sent>;

/// Connections to one origin that can take another request. The locks are a worker's own, and so never waited for.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    /// HTTP/1.1, unused; the longest unused first.
    parked: Mutex<VecDeque<(Http1, Instant)>>,
    /// HTTP/2, used by several requests at once.
    shared: Mutex<Vec<Shared>>,
}

#[derive(Debug)]
struct Shared {
    sender: Http2,
    streams: Arc<AtomicUsize>,
    used: Instant,
}

impl Connections {
    /// The connection that was used last, if it is still good.
    pub(crate) fn unpark(&self) -> Option<Http1> {
        let mut parked = self.parked.lock();
        let good = |(sender, since): &(Http1, Instant)| sender.is_ready() && since.elapsed() < KEEP;
        let at = parked.iter().rposition(good)?;
        parked.remove(at).map(|(sender, _)| sender)
    }

    fn park(&self, sender: Http1) {
        let mut parked = self.parked.lock();
        while parked.front().is_some_and(|(sender, since)| sender.is_closed() || since.elapsed() >= KEEP) {
            parked.pop_front();
        }
        if parked.len() < KEEP_AT_MOST && !sender.is_closed() {
            parked.push_back((sender, Instant::now()));
        }
    }

    /// A place on an HTTP/2 connection that has one left.
    pub(crate) fn stream(&self) -> Option<Stream> {
        let mut shared = self.shared.lock();
        shared.retain(|shared| {
            let unused = shared.streams.load(Ordering::Relaxed) == 0 && shared.used.elapsed() >= KEEP;
            !shared.sender.is_closed() && !unused
        });
        let free = shared.iter_mut().find(|shared| shared.streams.load(Ordering::Relaxed) < STREAMS)?;
        free.used = Instant::now();
        Some(free.stream())
    }

    /// Takes a new HTTP/2 connection, and the first place on it.
    pub(crate) fn share(&self, sender: Http2) -> Stream {
        let shared = Shared { sender, streams: Arc::default(), used: Instant::now() };
        let stream = shared.stream();
        self.shared.lock().push(shared);
        stream
    }
}

impl Shared {
    fn stream(&self) -> Stream {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Stream { sender: self.sender.clone(), streams: Arc::clone(&self.streams) }
    }
}

/// A request's place on an HTTP/2 connection.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) sender: Http2,
    streams: Arc<AtomicUsize>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The connection of an answer whose body has not ended. Dropped before that, it is closed, and the provider told so.
#[derive(Debug)]
pub(crate) enum Held {
    /// HTTP/1.1: this request's alone, until it is parked.
    Http1(Http1, Arc<Connections>),
    /// HTTP/2.
    Stream(#[expect(dead_code, reason = "held, so that its place on the connection stays taken")] Stream),
    /// A connection that asked for another protocol, and is never parked.
    Alone(#[expect(dead_code, reason = "held, so that the connection stays open")] Http1),
}

impl Held {
    pub(crate) fn http1(sender: Http1, origin: &Arc<Connections>) -> Self {
        Self::Http1(sender, Arc::clone(origin))
    }

    /// The body has ended: another request may have the connection.
    pub(crate) fn give_back(self) {
        if let Self::Http1(sender, origin) = self {
            origin.park(sender);
        }
    }
}
