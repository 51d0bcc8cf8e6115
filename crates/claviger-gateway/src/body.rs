//! Bodies on their way through.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, SizeHint};

use crate::pace::CallerBody;
use crate::relayed::Relayed;
use crate::replay::Replay;

/// An error of any kind, on its way to break a stream off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every answer is the large one, and a box would cost it more")]
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

/// The body of a request to a provider.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The caller's, as it comes.
    Streamed(CallerBody),
    /// The caller's, recorded on its way.
    Recorded(Replay),
    /// One that was rewritten to hold the key.
    Rewritten(Option<Bytes>),
}

impl Body for Sent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            // Trailers are left out: no provider wants them, and a token could stand in one.
            Self::Streamed(body) => match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_trailers() => Poll::Ready(None),
                frame => Poll::Ready(frame),
            },
            Self::Recorded(body) => Pin::new(body).poll_frame(cx),
            Self::Rewritten(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streamed(body) => body.is_end_stream(),
            Self::Recorded(body) => body.is_end_stream(),
            Self::Rewritten(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Streamed(body) => body.size_hint(),
            Self::Recorded(body) => body.size_hint(),
            Self::Rewritten(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}
