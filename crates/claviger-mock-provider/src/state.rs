//! The books of one mock: shared by all its connections and threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::behaviour::Behaviours;
use crate::counts::{Counts, KeyCounts};
use crate::files::Files;
use crate::recording::Recording;

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) behaviours: Behaviours,
    pub(crate) recording: Recording,
    pub(crate) files: Files,
    keys: KeyCounts,
    active: AtomicU64,
    cancelled: AtomicU64,
    sequence: AtomicU64,
    changed: Notify,
    watchers: AtomicUsize,
}

impl State {
    /// A number that no other answer of this mock has.
    pub(crate) fn next_number(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes that a request has arrived; it is active until the guard is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.active.fetch_add(1, Ordering::SeqCst);
        self.tell_watchers();
        InFlight { state: Arc::clone(self), complete: false }
    }

    pub(crate) fn count(&self, provider: &str, key: &str) {
        self.keys.add(provider, key);
        self.tell_watchers();
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            counts: self.keys.list(),
            active: self.active.load(Ordering::SeqCst),
            cancelled: self.cancelled.load(Ordering::SeqCst),
        }
    }

    pub(crate) async fn wait_until(&self, reached: impl Fn(&Counts) -> bool) -> Counts {
        let _watcher = Watcher::new(&self.watchers);
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Listening begins before looking, or a change in between would go unnoticed.
            changed.as_mut().enable();
            let counts = self.counts();
            if reached(&counts) {
                return counts;
            }
            changed.await;
        }
    }

    pub(crate) fn reset(&self) {
        self.behaviours.clear();
        self.recording.reset();
        self.files.clear();
        self.keys.clear();
        self.cancelled.store(0, Ordering::SeqCst);
        self.tell_watchers();
    }

    /// Waking takes a lock that all requests would share, so it happens only when somebody waits.
    fn tell_watchers(&self) {
        if self.watchers.load(Ordering::SeqCst) > 0 {
            self.changed.notify_waiters();
        }
    }
}

struct Watcher<'a>(&'a AtomicUsize);

impl<'a> Watcher<'a> {
    fn new(watchers: &'a AtomicUsize) -> Self {
        watchers.fetch_add(1, Ordering::SeqCst);
        Self(watchers)
    }
}

impl Drop for Watcher<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A request that is being answered. It travels from the service into the body of the answer; whichever of them hyper
/// drops early shows that the client has left.
#[derive(Debug)]
pub(crate) struct InFlight {
    state: Arc<State>,
    complete: bool,
}

impl InFlight {
    /// The answer has reached its end, so a drop is no longer the client's doing.
    pub(crate) fn complete(&mut self) {
        self.complete = true;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.complete {
            self.state.cancelled.fetch_add(1, Ordering::SeqCst);
        }
        self.state.active.fetch_sub(1, Ordering::SeqCst);
        self.state.tell_watchers();
    }
}
