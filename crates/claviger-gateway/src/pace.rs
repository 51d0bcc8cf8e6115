//! Callers that are slow on purpose, or gone without a word: bodies that do not come.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::body::BoxError;

/// What a body must come with while it is waited for, in bytes a second.
const LEAST_PER_SECOND: u64 = 100;

/// The caller sends its body too slowly.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request's body came too slowly")]
pub(crate) struct TooSlow;

/// Why a caller's body came to no end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It came too slowly.
    TooSlow,
    /// The caller broke it off.
    BrokenOff,
}

/// What there is to know of a body for whoever gave it away: over HTTP/2, sending it fails without a word on why.
pub(crate) type Watched = Arc<OnceLock<Fault>>;

/// The body of a caller's request. It breaks off where it comes too slowly: what counts is only the time in which it is
/// waited for, so that a provider that reads slowly is not the caller's fault.
#[derive(Debug)]
pub struct CallerBody {
    body: Incoming,
    patience: Duration,
    /// Since when it is waited for, if it is.
    waiting: Option<Instant>,
    /// How long it was waited for, and what came, since it was last fast enough.
    waited: Duration,
    came: u64,
    /// Set up when it is first waited for.
    alarm: Option<Pin<Box<Sleep>>>,
    watched: Option<Watched>,
}

impl CallerBody {
    pub(crate) fn new(body: Incoming, patience: Duration) -> Self {
        Self { body, patience, waiting: None, waited: Duration::ZERO, came: 0, alarm: None, watched: None }
    }

    /// Where it will be told why it came to no end.
    pub(crate) fn watch(&mut self) -> Watched {
        Arc::clone(self.watched.get_or_insert_default())
    }

    fn fails(&self, fault: Fault) {
        if let Some(watched) = &self.watched {
            // The first fault ended it.
            let _ = watched.set(fault);
        }
    }

    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<TooSlow> {
        let now = Instant::now();
        let alarm = match (self.waiting, &mut self.alarm) {
            (Some(_), Some(alarm)) => alarm,
            (_, alarm) => {
                self.waiting = Some(now);
                let end = now + self.patience.saturating_sub(self.waited);
                let alarm = alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
                alarm.as_mut().reset(end);
                alarm
            }
        };
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(TooSlow)
    }

    /// Counts what came. Whoever was waited for long enough must have sent its share.
    fn note(&mut self, bytes: usize) -> Result<(), TooSlow> {
        self.came += bytes as u64;
        if let Some(since) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        if self.came >= LEAST_PER_SECOND * self.patience.as_secs().max(1) {
            (self.waited, self.came) = (Duration::ZERO, 0);
        }
        if self.waited >= self.patience { Err(TooSlow) } else { Ok(()) }
    }
}

impl Body for CallerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let noted = this.note(frame.data_ref().map_or(0, Bytes::len));
                let noted = noted.inspect_err(|_| this.fails(Fault::TooSlow));
                Poll::Ready(Some(noted.map(|()| frame).map_err(Into::into)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.fails(Fault::BrokenOff);
                Poll::Ready(Some(Err(error.into())))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let too_slow = ready!(this.poll_too_slow(cx));
                this.fails(Fault::TooSlow);
                tracing::info!("a caller sends its request's body too slowly, and is broken off");
                Poll::Ready(Some(Err(too_slow.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
