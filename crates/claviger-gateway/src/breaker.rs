//! Leaves an origin alone that does nothing but fail.
//!
//! A provider's trouble says nothing about keys, and so no key rests for it. But where an origin has answered nothing
//! well for long, every further request would only wait for the same. Then requests are refused at once for a moment,
//! and one at a time tries whether the origin is back.
//!
//! An origin is everybody's. What one workspace can provoke, such as a 500 by an odd request, closes it to nobody: errors
//! count where several workspaces got them. That it cannot be reached is no caller's doing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// So much in a row opens it.
const TOO_MUCH: u32 = 100;
/// A failure after so long without one begins a new row.
const ROW: Duration = Duration::from_secs(30);
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

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// All is well.
    #[default]
    Well,
    /// Requests go through.
    Failing {
        /// The failures in a row, weighed.
        failures: u32,
        /// When the last one was.
        last: Instant,
        /// Whose the first one was.
        whose: u64,
        /// Whether they are of one workspace, and of a kind that it could have provoked.
        provoked: bool,
    },
    /// The origin is left alone. How often in a row it was found to fail.
    Open { until: Instant, times: u32 },
    /// One request tries the origin.
    Trial { until: Instant, times: u32 },
}

impl State {
    /// A request comes: it goes through, or is told how long the origin is left alone.
    fn admit(self, now: Instant) -> (Self, Result<(), Duration>) {
        match self {
            Self::Well | Self::Failing { .. } => (self, Ok(())),
            Self::Open { until, .. } if now < until => (self, Err(until - now)),
            // Whoever had the last trial was lost.
            Self::Trial { until, .. } if now < until => (self, Err(FIRST.min(until - now))),
            Self::Open { times, .. } | Self::Trial { times, .. } => (Self::Trial { until: now + TRIAL, times }, Ok(())),
        }
    }

    /// A request of a workspace ended.
    fn after(self, deed: Deed, of: u64, now: Instant) -> Self {
        let weight = deed.weight();
        match self {
            _ if deed == Deed::Answered => Self::Well,
            Self::Failing { failures, last, whose, provoked } if now < last + ROW => {
                let failures = failures.saturating_add(weight);
                let provoked = provoked && whose == of && deed == Deed::Overloaded;
                if failures < TOO_MUCH || provoked {
                    Self::Failing { failures, last: now, whose, provoked }
                } else {
                    Self::open(1, now)
                }
            }
            Self::Well | Self::Failing { .. } => {
                Self::Failing { failures: weight, last: now, whose: of, provoked: deed == Deed::Overloaded }
            }
            Self::Trial { times, .. } => Self::open(times.saturating_add(1), now),
            // Of a request that began before it opened.
            Self::Open { .. } => self,
        }
    }

    /// A request that was let through was not sent: the next one may try.
    fn given_back(self, now: Instant) -> Self {
        match self {
            Self::Trial { times, .. } => Self::Open { until: now, times },
            _ => self,
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

    /// A request that was let through ended. `of` says whose it was, by any number.
    pub(crate) fn note(&self, deed: Deed, of: impl FnOnce() -> u64) {
        if deed == Deed::Answered && !self.troubled.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state.lock();
        *state = state.after(deed, of(), Instant::now());
        self.troubled.store(*state != State::Well, Ordering::Relaxed);
    }

    /// A request that was let through was not sent.
    pub(crate) fn give_back(&self) {
        if self.troubled.load(Ordering::Relaxed) {
            let mut state = self.state.lock();
            *state = state.given_back(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: u64 = 1;
    const OTHER: u64 = 2;

    #[test]
    fn only_failures_in_a_row_open_it() {
        let now = Instant::now();
        let mut state = State::default().after(Deed::Overloaded, OTHER, now);
        for _ in 1..TOO_MUCH - 1 {
            state = state.after(Deed::Overloaded, ONE, now);
        }
        assert_eq!(state.admit(now).1, Ok(()));
        assert_eq!(state.after(Deed::Overloaded, ONE, now).admit(now).1, Err(FIRST));
        assert_eq!(state.after(Deed::Overloaded, ONE, now + ROW).admit(now).1, Ok(()), "the row is over");
        state = state.after(Deed::Answered, ONE, now);
        for _ in 0..4 {
            state = state.after(Deed::Unreachable, ONE, now);
        }
        assert_eq!(state.admit(now).1, Ok(()));
        assert_eq!(state.after(Deed::Unreachable, ONE, now).admit(now).1, Err(FIRST));
    }

    #[test]
    fn errors_of_one_workspace_close_it_to_nobody() {
        let now = Instant::now();
        let mut state = State::default();
        for _ in 0..10 * TOO_MUCH {
            state = state.after(Deed::Overloaded, ONE, now);
        }
        assert_eq!(state.admit(now).1, Ok(()));
        assert_eq!(state.after(Deed::Overloaded, OTHER, now).admit(now).1, Err(FIRST));
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
            assert_eq!(trial.given_back(now).admit(now).1, Ok(()), "the first trial did not take place");
            state = trial.after(Deed::Overloaded, ONE, now);
            assert_eq!(state.after(Deed::Unreachable, ONE, now), state, "late failures");
        }
        assert_eq!(state.after(Deed::Answered, ONE, now), State::default());
    }
}
