//! Bodies: taking the caller's whole one, and sending ours piece by piece.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::answer::Content;
use crate::state::InFlight;

/// How much of a request's body is kept. The rest is read and counted.
const KEPT_BYTES: usize = 64 << 20;
/// Lets what was written reach the client before the connection breaks; hyper throws unsent bytes away when it does.
const CUT_PAUSE: Duration = Duration::from_millis(5);

/// A request's body.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// The first 64 MiB.
    pub(crate) bytes: Bytes,
    /// The length of the whole.
    pub(crate) length: u64,
}

impl Received {
    pub(crate) fn is_whole(&self) -> bool {
        self.bytes.len() as u64 == self.length
    }
}

/// Reads a request's body to its end.
pub(crate) async fn receive(mut body: Incoming) -> hyper::Result<Received> {
    let mut received = Received::default();
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(KEPT_BYTES).min(KEPT_BYTES);
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let is_first = received.length == 0;
        received.length += data.len() as u64;
        // Most bodies come in one piece and need no copy.
        if is_first && body.is_end_stream() {
            received.bytes = data;
            return Ok(received);
        }
        if is_first {
            whole.reserve(announced);
        }
        let room = KEPT_BYTES - whole.len();
        whole.extend_from_slice(&data[..data.len().min(room)]);
    }
    received.bytes = whole.freeze();
    Ok(received)
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    content: Content,
    gap: Duration,
    pause: Option<Pause>,
    cut: Option<Cut>,
    in_flight: Option<InFlight>,
}

#[derive(Debug)]
enum Pause {
    /// Only long enough for hyper to flush what it has.
    Flush,
    Sleep(Pin<Box<Sleep>>),
}

/// Where an answer breaks off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    After(u64),
    Now,
    Done,
}

impl AnswerBody {
    /// A body that tells `in_flight` when its last byte has been handed over.
    pub(crate) fn new(content: Content, gap: Duration, cut_after_bytes: Option<u64>, in_flight: InFlight) -> Self {
        let mut body = Self { content, gap, pause: None, cut: None, in_flight: Some(in_flight) };
        if let Some(bytes) = cut_after_bytes {
            body.cut = Some(Cut::After(bytes));
            body.cut_if_due();
        }
        if body.is_end_stream() {
            body.complete();
        }
        body
    }

    /// A body for which nobody waits: of the control endpoints, of HEAD, of a status that has none.
    pub(crate) fn unwatched(bytes: Bytes) -> Self {
        Self { content: Content::Whole(bytes), gap: Duration::ZERO, pause: None, cut: None, in_flight: None }
    }

    fn complete(&mut self) {
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.complete();
        }
    }

    fn take_chunk(&mut self) -> Option<Bytes> {
        match &mut self.content {
            Content::Whole(bytes) if bytes.is_empty() => None,
            Content::Whole(bytes) => Some(std::mem::take(bytes)),
            Content::Frames(frames) => frames.next(),
        }
    }

    /// Shortens a chunk to what may still be sent.
    fn within_cut(&mut self, mut chunk: Bytes) -> Bytes {
        if let Some(Cut::After(left)) = &mut self.cut {
            chunk.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= chunk.len() as u64;
            self.cut_if_due();
        }
        chunk
    }

    fn cut_if_due(&mut self) {
        if self.cut == Some(Cut::After(0)) {
            self.cut = Some(Cut::Now);
            self.pause = Some(Pause::Sleep(Box::pin(tokio::time::sleep(CUT_PAUSE))));
        }
    }

    fn poll_pause(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self.pause.take() {
            None => Poll::Ready(()),
            Some(Pause::Flush) => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Pause::Sleep(mut sleep)) => {
                let slept = sleep.as_mut().poll(context);
                if slept.is_pending() {
                    self.pause = Some(Pause::Sleep(sleep));
                }
                slept
            }
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        ready!(self.poll_pause(context));
        if self.cut == Some(Cut::Now) {
            self.cut = Some(Cut::Done);
            self.complete();
            return Poll::Ready(Some(Err(io::Error::other("the answer is cut off on purpose"))));
        }
        let Some(chunk) = self.take_chunk() else {
            self.complete();
            return Poll::Ready(None);
        };
        let chunk = self.within_cut(chunk);
        if self.is_end_stream() {
            self.complete();
        } else if self.pause.is_none() {
            self.pause = Some(if self.gap.is_zero() {
                Pause::Flush
            } else {
                Pause::Sleep(Box::pin(tokio::time::sleep(self.gap)))
            });
        }
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        match (self.cut, &self.content) {
            (Some(Cut::Now), _) => false,
            (Some(Cut::Done), _) => true,
            (_, Content::Whole(bytes)) => bytes.is_empty(),
            (_, Content::Frames(frames)) => frames.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Frames(_) => SizeHint::default(),
        }
    }
}
