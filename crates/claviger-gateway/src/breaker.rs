//! Leaves an origin alone that does nothing but fail.
//!
//! A provider's trouble says nothing about keys, and so no key rests for it. But where an origin has answered nothing
//! well for long, every further request would only wait for the same. Then requests are refused at once for a moment,
//! and one at a time tries whether the origin is back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// So much in a row opens it.
const TOO_MUCH: u32 = 100;
/// How long it is open at first; doubles with each trial that fails.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// How long a trial keeps others out.
const TRIAL: Duration = Duration::from_secs(5);

/// What an origin did to a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    /// It answered to the point, be it with an error.
    Answered,
    /// It answered that it is in trouble.
    Overloaded,
    /// It could not be reached.
    Unreachable,
}

impl Deed {
    /// What it counts for. A connection that fails costs the caller more than an answer, and means more.
    fn weight(self) -> u32 {
        match self {
            Self::Answered => 0,
            Self::Overloaded => 1,
            Self::Unreachable => 20,
        }
    }
}

/// One origin's. While all is well, it costs a request one atomic read before and one after.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// Whether the state is any other than closed without a failure.
    troubled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Requests go through. The failures in a row, weighed.
    Closed { failures: u32 },
    /// The origin is left alone. How often in a row it was found to fail.
    Open { until: Instant, times: u32 },
    /// One request tries the origin.
    Trial { until: Instant, times: u32 },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl State {
    /// A request comes: it goes through, or is told how long the origin is left alone.
    fn admit(self, now: Instant) -> (Self, Result<(), Duration>) {
        match self {
            Self::Closed { .. } => (self, Ok(())),
            Self::Open { until, .. } if now < until => (self, Err(until - now)),
            // Whoever had the last trial was lost.
            Self::Trial { until, .. } if now < until => (self, Err(FIRST.min(until - now))),
            Self::Open { times, .. } | Self::Trial { times, .. } => (Self::Trial { until: now + TRIAL, times }, Ok(())),
        }
    }

    /// A request ended.
    fn after(self, deed: Deed, now: Instant) -> Self {
        match (self, deed) {
            (_, Deed::Answered) => Self::default(),
            (Self::Closed { failures }, _) => {
                let failures = failures.saturating_add(deed.weight());
                if failures < TOO_MUCH { Self::Closed { failures } } else { Self::open(1, now) }
            }
            (Self::Trial { times, .. }, _) => Self::open(times.saturating_add(1), now),
            // Of a request that began before it opened.
            (Self::Open { .. }, _) => self,
        }
    }

    fn open(times: u32, now: Instant) -> Self {
        let length = FIRST.saturating_mul(1 << (times - 1).min(10)).min(LONGEST);
        Self::Open { until: now + length, times }
    }
}

impl Breaker {
    /// Lets a request through, or says for how long the origin is left alone.
    pub(crate) fn admit(&self) -> Result<(), Duration> {
        if !self.troubled.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut state = self.state.lock();
        let (next, admitted) = state.admit(Instant::now());
        *state = next;
        admitted
    }

    /// A request that was let through ended.
    pub(crate) fn note(&self, deed: Deed) {
        if deed == Deed::Answered && !self.troubled.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state.lock();
        *state = state.after(deed, Instant::now());
        self.troubled.store(*state != State::default(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_in_a_row_open_it() {
        let now = Instant::now();
        let mut state = State::default();
        for _ in 0..TOO_MUCH - 1 {
            state = state.after(Deed::Overloaded, now);
        }
        assert_eq!(state.admit(now).1, Ok(()));
        state = state.after(Deed::Answered, now);
        for _ in 0..4 {
            state = state.after(Deed::Unreachable, now);
        }
        assert_eq!(state.admit(now).1, Ok(()));
        assert_eq!(state.after(Deed::Unreachable, now).admit(now).1, Err(FIRST));
    }

    #[test]
    fn one_request_at_a_time_tries_an_origin_and_each_failure_doubles_the_time() {
        let mut now = Instant::now();
        let mut state = State::open(1, now);
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            let expected = Duration::from_secs(expected);
            assert_eq!(state.admit(now).1, Err(expected));
            now += expected;
            let (trial, admitted) = state.admit(now);
            assert_eq!(admitted, Ok(()));
            assert_eq!(trial.admit(now).1, Err(FIRST), "a second trial");
            assert_eq!(trial.admit(now + TRIAL).1, Ok(()), "the first trial was lost");
            state = trial.after(Deed::Overloaded, now);
            assert_eq!(state.after(Deed::Unreachable, now), state, "late failures");
        }
        assert_eq!(state.after(Deed::Answered, now), State::default());
    }
}
