//! Answers over HTTP/2 that nobody takes.
//!
//! A caller can leave one stream unread while it reads others, or give its streams no room at all, and answer every ping.
//! The server then holds the piece that it took last, waits for room, and does not ask the body for another: no body can
//! find that out by itself. So whoever drives a stream looks after it, and drops it with all that it holds. The caller
//! is told by a reset, and its other streams go on. A body that waits for its source was asked, and is left alone.
//!
//! Over HTTP/1.1 the connection itself stands still, and breaks (`io.rs`).

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};

tokio::task_local! {
    /// Since when the stream that this task drives has a piece of its answer and did not come back for the next.
    static GIVEN: Cell<Option<Instant>>;
}

/// Notes that an answer's body was asked, and whether it gave out a piece. Over HTTP/1.1 nobody wants to know.
pub(crate) fn note(is_given: bool) {
    // Fails outside of a stream's task alone.
    let _ = GIVEN.try_with(|given| given.set(is_given.then(Instant::now)));
}

/// Drives the streams of HTTP/2 connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams {
    /// How long a caller may take nothing of an answer.
    pub(crate) patience: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, serving: F) {
        let stream = Stream { serving, patience: self.patience, alarm: None };
        TokioExecutor::new().execute(GIVEN.scope(Cell::default(), stream));
    }
}

pin_project! {
    /// One stream, from its request to the end of its answer.
    struct Stream<F> {
        #[pin]
        serving: F,
        patience: Duration,
        // Set up when the caller is first waited for: most never are.
        alarm: Option<Pin<Box<Sleep>>>,
    }
}

impl<F> Future for Stream<F>
where
    F: Future<Output = ()>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.serving.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = GIVEN.with(Cell::get) else {
            return Poll::Pending;
        };
        let end = since + *this.patience;
        let alarm = this.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        // It is not moved at every piece; when it rings, it is set anew for what is left since the last one.
        loop {
            ready!(alarm.as_mut().poll(cx));
            if end <= Instant::now() {
                tracing::info!("a caller does not read its answer, and the stream is reset");
                return Poll::Ready(());
            }
            alarm.as_mut().reset(end);
        }
    }
}
