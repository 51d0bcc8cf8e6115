//! Bodies on their way through.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

/// An error of any kind, on its way to break a stream off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
#[derive(Debug)]
pub enum Reply {
    /// Bytes at hand: Claviger's own answers.
    Full(Option<Bytes>),
    /// A provider's answer, as it comes.
    Relayed(Relayed),
    /// An answer of the control plane.
    Control(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Relayed(body) => Pin::new(body).poll_frame(cx),
            Self::Control(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Relayed(body) => body.is_end_stream(),
            Self::Control(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Relayed(body) => body.size_hint(),
            Self::Control(body) => body.size_hint(),
        }
    }
}

/// A provider's body. It ends in an error where the provider breaks off or falls silent, so that the caller's stream
/// breaks off too, and never ends as if it were whole.
#[derive(Debug)]
pub struct Relayed {
    body: Incoming,
    idle_timeout: Duration,
    last_frame: Instant,
    /// Set up when the body is first waited for: most bodies are there at once, and need none.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// The provider sent nothing for too long.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the provider sent nothing for {} s", .0.as_secs())]
pub(crate) struct Idle(Duration);

impl Relayed {
    pub(crate) fn new(body: Incoming, idle_timeout: Duration) -> Self {
        Self { body, idle_timeout, last_frame: Instant::now(), alarm: None }
    }

    /// Waits for the moment at which the silence is too long. The alarm is not moved at every frame; when it rings, it
    /// is set anew for what is left since the last one.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Idle> {
        let alarm =
            self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(self.last_frame + self.idle_timeout)));
        loop {
            ready!(alarm.as_mut().poll(cx));
            let end = self.last_frame + self.idle_timeout;
            if end <= Instant::now() {
                return Poll::Ready(Idle(self.idle_timeout));
            }
            alarm.as_mut().reset(end);
        }
    }
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.last_frame = Instant::now();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let idle = ready!(this.poll_idle(cx));
        tracing::info!("a provider's stream fell silent and is broken off");
        Poll::Ready(Some(Err(idle.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a request to a provider.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The caller's, as it comes.
    Streamed(Incoming),
    /// One that was rewritten to hold the key.
    Rewritten(Option<Bytes>),
}

impl Body for Sent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Streamed(body) => Pin::new(body).poll_frame(cx),
            Self::Rewritten(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streamed(body) => body.is_end_stream(),
            Self::Rewritten(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Streamed(body) => body.size_hint(),
            Self::Rewritten(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}
