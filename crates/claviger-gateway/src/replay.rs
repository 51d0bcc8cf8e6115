//! A request's body, recorded on its way so that it can be sent again with another key.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use parking_lot::Mutex;

/// How many bytes all recordings of the process may take together.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(bytes) })
    }

    fn take(&self, bytes: usize) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Why a request cannot be sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lost {
    /// Its body is larger than `gateway.replay_limit`.
    TooLarge,
    /// The process holds as much of bodies as `gateway.replay_budget` allows.
    BudgetSpent,
}

impl Lost {
    /// As the receipt has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "body_too_large",
            Self::BudgetSpent => "replay_budget_spent",
        }
    }
}

/// The caller's body with what has come of it. Attempts read it one after the other, each from the beginning.
#[derive(Debug)]
pub(crate) struct Recording {
    reel: Arc<Mutex<Reel>>,
}

#[derive(Debug)]
struct Reel {
    incoming: Incoming,
    /// What came, as long as it can be sent again.
    frames: Vec<Bytes>,
    recorded: usize,
    limit: usize,
    lost: Option<Lost>,
    /// The caller has sent everything, or broke off.
    ended: bool,
    /// What the body said of its size before anything came.
    announced: SizeHint,
    budget: Arc<Budget>,
}

impl Recording {
    pub(crate) fn new(incoming: Incoming, limit: usize, budget: &Arc<Budget>) -> Self {
        let announced = incoming.size_hint();
        // What will be too large is not recorded to begin with.
        let lost = (announced.lower() > limit as u64).then_some(Lost::TooLarge);
        Self {
            reel: Arc::new(Mutex::new(Reel {
                incoming,
                frames: Vec::new(),
                recorded: 0,
                limit,
                lost,
                ended: false,
                announced,
                budget: Arc::clone(budget),
            })),
        }
    }

    /// Why it cannot be sent again, if it cannot.
    pub(crate) fn lost(&self) -> Option<Lost> {
        self.reel.lock().lost
    }

    /// The body from its beginning, for one attempt. Not to be asked for twice where it is lost.
    pub(crate) fn play(&self) -> Replay {
        Replay { reel: Arc::clone(&self.reel), next: 0, sent: 0 }
    }
}

/// The body on its way to the provider, in one attempt.
#[derive(Debug)]
pub(crate) struct Replay {
    reel: Arc<Mutex<Reel>>,
    next: usize,
    sent: u64,
}

impl Reel {
    fn record(&mut self, data: &Bytes) {
        if self.lost.is_some() {
            return;
        }
        if self.recorded + data.len() > self.limit {
            self.lose(Lost::TooLarge);
        } else if self.budget.take(data.len()) {
            self.recorded += data.len();
            self.frames.push(data.clone());
        } else {
            self.lose(Lost::BudgetSpent);
        }
    }

    fn lose(&mut self, why: Lost) {
        self.lost = Some(why);
        self.frames = Vec::new();
        self.budget.give_back(std::mem::take(&mut self.recorded));
    }
}

impl Drop for Reel {
    fn drop(&mut self) {
        self.budget.give_back(self.recorded);
    }
}

impl Body for Replay {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        // Waited for by nobody: of several attempts only the last one is alive.
        let mut reel = this.reel.lock();
        if let Some(data) = reel.frames.get(this.next) {
            let data = data.clone();
            this.next += 1;
            this.sent += data.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if reel.ended {
            return Poll::Ready(None);
        }
        match ready!(Pin::new(&mut reel.incoming).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    reel.record(&data);
                    this.next = reel.frames.len();
                    this.sent += data.len() as u64;
                    Poll::Ready(Some(Ok(Frame::data(data))))
                }
                // Trailers are left out: no provider wants them, and a token could stand in one.
                Err(_trailers) => {
                    reel.ended = true;
                    Poll::Ready(None)
                }
            },
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            None => {
                reel.ended = true;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let reel = self.reel.lock();
        self.next >= reel.frames.len() && (reel.ended || reel.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        match self.reel.lock().announced.exact() {
            Some(all) => SizeHint::with_exact(all.saturating_sub(self.sent)),
            None => SizeHint::default(),
        }
    }
}
