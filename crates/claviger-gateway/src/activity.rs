//! Whether a caller's connection is in use.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::body::{BoxError, Reply};
use crate::stall;

/// What a connection serves.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    running: AtomicUsize,
    /// How many requests have begun.
    begun: AtomicUsize,
}

/// A request that is being answered, to the end of the answer's body.
#[derive(Debug)]
pub(crate) struct Running(Arc<Activity>);

impl Activity {
    pub(crate) fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }

    /// Whether nothing runs, and nothing has begun since it was looked for the last time. `seen` is what was seen then.
    pub(crate) fn is_quiet_since(&self, seen: &mut usize) -> bool {
        let begun = self.begun.load(Ordering::Relaxed);
        let is_same = std::mem::replace(seen, begun) == begun;
        is_same && self.running.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer's body, which runs until it has ended.
#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) body: Reply,
    pub(crate) _running: Running,
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.get_mut().body).poll_frame(cx);
        stall::note(matches!(polled, Poll::Ready(Some(Ok(_)))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
