//! A request's body, recorded on its way so that it can be sent again with another key.
//!
//! Attempts come one after the other, but the connection of an earlier one may go on asking for its body: a provider can
//! answer before it has read all of a request. So only the last attempt reads what the caller sends, and every earlier
//! one is broken off as soon as it asks again. What the caller breaks off is broken off in every attempt.
//!
//! Headers are kept as well, packed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::body::BoxError;
use crate::pace::CallerBody;

/// How many bytes all recordings of a worker may take together. One for each worker: they would all write the same word
/// otherwise, twice a request.
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
    incoming: CallerBody,
    /// What came, as long as it can be sent again.
    frames: SmallVec<[Bytes; 1]>,
    recorded: usize,
    /// What that takes of the budget.
    charged: usize,
    limit: usize,
    lost: Option<Lost>,
    /// The number of the last attempt, and how many frames it has taken.
    attempt: u32,
    taken: usize,
    end: End,
    /// What the body said of its size before anything came.
    announced: SizeHint,
    budget: Arc<Budget>,
}

/// Whether more is to come from the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    No,
    /// That was all.
    Whole,
    /// The caller broke off.
    Broken,
}

/// The body ends before its time.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum BrokenOff {
    #[error("the request goes on with another key")]
    Superseded,
    #[error("the caller broke the request off")]
    ByCaller,
}

impl Recording {
    pub(crate) fn new(incoming: CallerBody, limit: usize, budget: &Arc<Budget>) -> Self {
        let announced = incoming.size_hint();
        // What will be too large is not recorded to begin with.
        let lost = (announced.lower() > limit as u64).then_some(Lost::TooLarge);
        Self {
            reel: Arc::new(Mutex::new(Reel {
                incoming,
                frames: SmallVec::new(),
                recorded: 0,
                charged: 0,
                limit,
                lost,
                attempt: 0,
                taken: 0,
                end: End::No,
                announced,
                budget: Arc::clone(budget),
            })),
        }
    }

    /// Why it cannot be sent again, if it cannot.
    pub(crate) fn lost(&self) -> Option<Lost> {
        self.reel.lock().lost
    }

    /// The body from its beginning, for the next attempt. Not to be asked for twice where it is lost.
    pub(crate) fn play(&self) -> Replay {
        let mut reel = self.reel.lock();
        reel.attempt += 1;
        reel.taken = 0;
        Replay { attempt: reel.attempt, reel: Arc::clone(&self.reel), sent: 0 }
    }

    /// There will be no further attempt: nothing has to be kept but what the last one has not taken yet.
    pub(crate) fn stop(&self) {
        let mut reel = self.reel.lock();
        if reel.lost.is_none() && reel.taken == reel.frames.len() {
            reel.lose(Lost::TooLarge);
        }
    }
}

/// A caller's headers for another attempt, packed into one piece of memory. A copy of the map would cost several times as
/// much, and hold the buffer that they were read into.
#[derive(Debug)]
pub(crate) struct KeptHeaders {
    /// For each one: the lengths of name and value, and both.
    packed: Vec<u8>,
}

impl KeptHeaders {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let size = |(name, value): (&HeaderName, &HeaderValue)| 2 * LENGTH + name.as_str().len() + value.len();
        let mut packed = Vec::with_capacity(headers.iter().map(size).sum());
        for (name, value) in headers {
            let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
            for part in [name, value] {
                // Headers are bounded far below what four bytes can count.
                packed.extend_from_slice(&u32::try_from(part.len()).unwrap_or_default().to_le_bytes());
            }
            packed.extend_from_slice(name);
            packed.extend_from_slice(value);
        }
        Self { packed }
    }

    pub(crate) fn unpacked(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut rest = &*self.packed;
        while let Some((name, value)) = next(&mut rest) {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
                headers.append(name, value);
            }
        }
        headers
    }
}

/// Of a length.
const LENGTH: usize = size_of::<u32>();

fn next<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (name, value) = (length(rest)?, length(rest)?);
    Some((rest.split_off(..name)?, rest.split_off(..value)?))
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    let (length, after) = rest.split_first_chunk::<LENGTH>()?;
    *rest = after;
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

/// The body on its way to the provider, in one attempt.
#[derive(Debug)]
pub(crate) struct Replay {
    reel: Arc<Mutex<Reel>>,
    attempt: u32,
    sent: u64,
}

/// Pieces of up to so many bytes are copied. They are parts of the buffer that the caller's connection reads into, which
/// could not be used again while a piece of it is held, and takes more than the piece counts for.
const COPIED: usize = 64 * 1024;

fn kept(data: &Bytes) -> Bytes {
    if data.len() <= COPIED { Bytes::copy_from_slice(data) } else { data.clone() }
}

/// What a piece takes beside its bytes.
const PIECE: usize = size_of::<Bytes>();

impl Reel {
    fn record(&mut self, data: &Bytes) {
        if self.lost.is_some() {
            return;
        }
        if self.recorded + data.len() > self.limit {
            self.lose(Lost::TooLarge);
        } else if self.budget.take(data.len() + PIECE) {
            self.recorded += data.len();
            self.charged += data.len() + PIECE;
            self.frames.push(kept(data));
        } else {
            self.lose(Lost::BudgetSpent);
        }
    }

    fn lose(&mut self, why: Lost) {
        self.lost = Some(why);
        self.frames = SmallVec::new();
        self.taken = 0;
        self.budget.give_back(std::mem::take(&mut self.charged));
    }
}

impl Drop for Reel {
    fn drop(&mut self) {
        self.budget.give_back(self.charged);
    }
}

impl Reel {
    /// What comes next for the last attempt.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        if let Some(data) = self.frames.get(self.taken) {
            self.taken += 1;
            return Poll::Ready(Some(Ok(data.clone())));
        }
        match self.end {
            End::No => {}
            End::Whole => return Poll::Ready(None),
            End::Broken => return Poll::Ready(Some(Err(BrokenOff::ByCaller.into()))),
        }
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => {
                self.record(&data);
                self.taken = self.frames.len();
                Poll::Ready(Some(Ok(data)))
            }
            Some(Err(error)) => {
                self.end = End::Broken;
                Poll::Ready(Some(Err(error)))
            }
            // Trailers are left out: no provider wants them, and a token could stand in one.
            Some(Ok(Err(_))) | None => {
                self.end = End::Whole;
                Poll::Ready(None)
            }
        }
    }
}

impl Body for Replay {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let mut reel = this.reel.lock();
        if reel.attempt != this.attempt {
            return Poll::Ready(Some(Err(BrokenOff::Superseded.into())));
        }
        let piece = ready!(reel.poll(cx));
        if let Some(Ok(data)) = &piece {
            this.sent += data.len() as u64;
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        let reel = self.reel.lock();
        let all = match reel.end {
            End::No => reel.incoming.is_end_stream(),
            End::Whole => true,
            End::Broken => false,
        };
        reel.attempt == self.attempt && all && reel.taken >= reel.frames.len()
    }

    fn size_hint(&self) -> SizeHint {
        match self.reel.lock().announced.exact() {
            Some(all) => SizeHint::with_exact(all.saturating_sub(self.sent)),
            None => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_headers_come_back_as_they_were() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("accept", "a"), ("x-twice", "one"), ("x-twice", ""), ("x-bytes", "\u{e9}"), ("x-twice", "two")]
        {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        assert_eq!(KeptHeaders::of(&headers).unpacked(), headers);
        let of_one: Vec<_> = KeptHeaders::of(&headers).unpacked().get_all("x-twice").iter().cloned().collect();
        assert_eq!(of_one, ["one", "", "two"]);
        assert!(KeptHeaders::of(&HeaderMap::new()).unpacked().is_empty());
    }
}
