//! A provider's body on its way to the caller.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::body::BoxError;
use crate::connections::Held;
use crate::limits::Place;
use crate::peek::{Next, Opened};

/// How much is gathered before it is passed on at the latest, in bytes.
const GATHER_AT_MOST: usize = 16 * 1024;

/// How often the body may be found empty before what was gathered is passed on. The server asks twice in one turn of its
/// task, and the task that reads from the provider can only hand on the next piece between two turns.
const ASK: u8 = 2;

/// A provider's body. It ends in an error where the provider breaks off or falls silent, so that the caller's stream
/// breaks off too, and never ends as if it were whole.
///
/// Small pieces that have arrived already are passed on together: a provider's events often come several in one packet,
/// and a write for each would be most of what a stream costs. Nothing waits for a piece that has not arrived.
#[derive(Debug)]
pub struct Relayed {
    body: Incoming,
    /// Given back when the body has ended.
    held: Option<Held>,
    /// The request's place among its workspace's.
    _place: Option<Box<Place>>,
    gathered: Gathered,
    idle_timeout: Duration,
    last_frame: Instant,
    /// Set up when the body is first waited for: most bodies are there at once, and need none.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// What has come and was not passed on yet.
#[derive(Debug, Default)]
struct Gathered {
    pieces: BytesMut,
    /// How often the body was found empty since the last piece came.
    asked: u8,
    after: After,
}

/// What came after the pieces.
#[derive(Debug, Default)]
enum After {
    /// Nothing yet.
    #[default]
    Open,
    /// Trailers, or an error.
    Last(Result<Frame<Bytes>, BoxError>),
    /// The end.
    End,
}

/// The provider sent nothing for too long.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the provider sent nothing for {} s", .0.as_secs())]
pub(crate) struct Idle(Duration);

impl Relayed {
    /// Of a body whose beginning may have been looked into.
    pub(crate) fn new(body: Opened, held: Held, place: Option<Box<Place>>, idle_timeout: Duration) -> Self {
        let after = match body.next {
            Next::Rest => After::Open,
            Next::Last(last) => After::Last(last),
            Next::End => After::End,
        };
        Self {
            body: body.rest,
            held: Some(held),
            _place: place,
            gathered: Gathered { pieces: body.begun, asked: 0, after },
            idle_timeout,
            last_frame: Instant::now(),
            alarm: None,
        }
    }

    /// Waits for the moment at which the silence is too long. The alarm is not moved at every frame; when it rings, it
    /// is set anew for what is left since the last one.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Idle> {
        let end = self.last_frame + self.idle_timeout;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        loop {
            ready!(alarm.as_mut().poll(cx));
            if end <= Instant::now() {
                return Poll::Ready(Idle(self.idle_timeout));
            }
            alarm.as_mut().reset(end);
        }
    }

    /// What comes next, as the provider sent it.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match std::mem::take(&mut self.gathered.after) {
            After::Open => {}
            After::Last(last) => return Poll::Ready(Some(last)),
            After::End => {
                self.gathered.after = After::End;
                return Poll::Ready(None);
            }
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.last_frame = Instant::now();
        if frame.is_none() {
            self.gathered.after = After::End;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    /// Passes on what was gathered.
    fn pass_on(&mut self) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.gathered.asked = 0;
        Poll::Ready(Some(Ok(Frame::data(self.gathered.pieces.split().freeze()))))
    }
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            let piece = match this.poll_piece(cx) {
                Poll::Ready(Some(Ok(frame))) => frame.into_data(),
                Poll::Ready(end) if this.gathered.pieces.is_empty() => return Poll::Ready(end),
                Poll::Ready(end) => {
                    this.gathered.after = end.map_or(After::End, After::Last);
                    return this.pass_on();
                }
                Poll::Pending if this.gathered.pieces.is_empty() => {
                    let idle = ready!(this.poll_idle(cx));
                    tracing::info!("a provider's stream fell silent and is broken off");
                    return Poll::Ready(Some(Err(idle.into())));
                }
                Poll::Pending if this.gathered.asked == ASK => return this.pass_on(),
                Poll::Pending => {
                    // The task that reads from the provider runs before this one runs again.
                    this.gathered.asked += 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            };
            match piece {
                Ok(data) if this.gathered.pieces.is_empty() && this.is_whole_or_large(&data) => {
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(data) => {
                    this.gathered.pieces.extend_from_slice(&data);
                    this.gathered.asked = 0;
                    if this.gathered.pieces.len() >= GATHER_AT_MOST {
                        return this.pass_on();
                    }
                }
                Err(trailers) if this.gathered.pieces.is_empty() => return Poll::Ready(Some(Ok(trailers))),
                Err(trailers) => {
                    this.gathered.after = After::Last(Ok(trailers));
                    return this.pass_on();
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let Gathered { pieces, after, .. } = &self.gathered;
        match after {
            After::Open => pieces.is_empty() && self.body.is_end_stream(),
            After::Last(_) => false,
            After::End => pieces.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let gathered = self.gathered.pieces.len() as u64;
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + gathered);
        }
        hint.set_lower(rest.lower() + gathered);
        hint
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        let ended = matches!(self.gathered.after, After::End) || self.body.is_end_stream();
        if let Some(held) = self.held.take().filter(|_| ended) {
            held.give_back();
        }
    }
}

impl Relayed {
    /// Whether a piece is better passed on as it is than copied: it is large, or the last one.
    fn is_whole_or_large(&self, data: &Bytes) -> bool {
        data.len() >= GATHER_AT_MOST || self.body.is_end_stream()
    }
}
