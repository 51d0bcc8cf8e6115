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
    /// It took the request, and there was no answer. Why is not known, so that only a trial counts it.
    Silent,
}

impl Deed {
    /// What it counts for. A connection that fails costs the caller more than an answer, and means more.
    fn weight(self) -> u32 {
        match self {
            Self::Answered | Self::Silent => 0,
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
    /// One request tries the origin. By `until` it knows that the trial is still its own.
    Trial { until: Instant, times: u32 },
}

/// A request that was let through. Where it ends without a word about the origin, as when its caller leaves, the next
/// request may try in its place.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    /// Until when its trial keeps others out, where it is one.
    trial: Option<Instant>,
}

impl State {
    /// A request comes: it goes through, perhaps as a trial, or is told how long the origin is left alone.
    fn admit(self, now: Instant) -> (Self, Result<Option<Instant>, Duration>) {
        match self {
            Self::Well | Self::Failing { .. } => (self, Ok(None)),
            Self::Open { until, .. } if now < until => (self, Err(until - now)),
            Self::Trial { until, .. } if now < until => (self, Err(FIRST.min(until - now))),
            // A trial that takes longer goes on, and keeps nobody out any more.
            Self::Open { times, .. } | Self::Trial { times, .. } => {
                let until = now + TRIAL;
                (Self::Trial { until, times }, Ok(Some(until)))
            }
        }
    }

    /// A request of a workspace ended, which was this trial, or none.
    fn after(self, deed: Deed, of: u64, trial: Option<Instant>, now: Instant) -> Self {
        let weight = deed.weight();
        match self {
            _ if deed == Deed::Answered => Self::Well,
            Self::Trial { until, times } if trial == Some(until) => Self::open(times.saturating_add(1), now),
            // Of a request that began before it opened, or was a trial for too long.
            Self::Open { .. } | Self::Trial { .. } => self,
            _ if deed == Deed::Silent => self,
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
        }
    }

    /// This trial ended without a word about the origin: the next request may try.
    fn given_back(self, trial: Instant, now: Instant) -> Self {
        match self {
            Self::Trial { until, times } if trial == until => Self::Open { until: now, times },
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
    pub(crate) fn admit(&self) -> Result<Pass<'_>, Duration> {
        if !self.troubled.load(Ordering::Relaxed) {
            return Ok(Pass { breaker: self, trial: None });
        }
        let mut state = self.state.lock();
        let (next, admitted) = state.admit(Instant::now());
        *state = next;
        admitted.map(|trial| Pass { breaker: self, trial })
    }
}

impl Pass<'_> {
    /// The request ended so. `of` says whose it was, by any number.
    pub(crate) fn note(mut self, deed: Deed, of: impl FnOnce() -> u64) {
        let breaker = self.breaker;
        let trial = self.trial.take();
        if deed == Deed::Answered && !breaker.troubled.load(Ordering::Relaxed) {
            return;
        }
        let mut state = breaker.state.lock();
        *state = state.after(deed, of(), trial, Instant::now());
        breaker.troubled.store(*state != State::Well, Ordering::Relaxed);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(trial) = self.trial {
            let mut state = self.breaker.state.lock();
            *state = state.given_back(trial, Instant::now());
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
        let mut state = State::default().after(Deed::Overloaded, OTHER, None, now);
        for _ in 1..TOO_MUCH - 1 {
            state = state.after(Deed::Overloaded, ONE, None, now);
        }
        assert_eq!(state.admit(now).1, Ok(None));
        assert_eq!(state.after(Deed::Overloaded, ONE, None, now).admit(now).1, Err(FIRST));
        assert_eq!(state.after(Deed::Overloaded, ONE, None, now + ROW).admit(now).1, Ok(None), "the row is over");
        assert_eq!(state.after(Deed::Silent, ONE, None, now), state);
        state = state.after(Deed::Answered, ONE, None, now);
        assert_eq!(state.after(Deed::Silent, ONE, None, now), State::Well);
        for _ in 0..4 {
            state = state.after(Deed::Unreachable, ONE, None, now);
        }
        assert_eq!(state.admit(now).1, Ok(None));
        assert_eq!(state.after(Deed::Unreachable, ONE, None, now).admit(now).1, Err(FIRST));
    }

    #[test]
    fn errors_of_one_workspace_close_it_to_nobody() {
        let now = Instant::now();
        let mut state = State::default();
        for _ in 0..10 * TOO_MUCH {
            state = state.after(Deed::Overloaded, ONE, None, now);
        }
        assert_eq!(state.admit(now).1, Ok(None));
        assert_eq!(state.after(Deed::Overloaded, OTHER, None, now).admit(now).1, Err(FIRST));
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
            let mine = admitted.unwrap();
            assert!(mine.is_some());
            assert_eq!(trial.admit(now).1, Err(FIRST), "a second trial");
            assert_eq!(trial.after(Deed::Unreachable, ONE, None, now), trial, "a failure of before the trial");
            let next = trial.admit(now + TRIAL).0;
            assert!(next != trial, "the trial takes too long");
            assert_eq!(next.after(Deed::Overloaded, ONE, mine, now + TRIAL), next, "the trial is another's by then");
            assert!(matches!(trial.after(Deed::Silent, ONE, mine, now), State::Open { .. }));
            state = trial.after(Deed::Overloaded, ONE, mine, now);
            assert_eq!(state.after(Deed::Unreachable, ONE, None, now), state, "late failures");
        }
        assert_eq!(state.after(Deed::Answered, ONE, None, now), State::default());
    }

    /// A breaker that has left its origin alone for long enough.
    fn to_be_tried() -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..5 {
            breaker.admit().unwrap().note(Deed::Unreachable, || ONE);
        }
        let mut state = breaker.state.lock();
        let State::Open { times, .. } = *state else { panic!("{state:?}") };
        *state = State::Open { until: Instant::now(), times };
        drop(state);
        breaker
    }

    #[test]
    fn a_trial_that_is_given_up_is_the_next_requests_and_nobody_elses_word_ends_it() {
        let breaker = to_be_tried();
        for _ in 0..3 {
            let trial = breaker.admit().unwrap();
            // However many are refused meanwhile, they open it to nobody.
            for _ in 0..10 {
                assert!(breaker.admit().is_err());
            }
            drop(trial);
        }
        let thrown = std::panic::AssertUnwindSafe(|| {
            let _trial = breaker.admit().unwrap();
            panic!("in the middle of a trial");
        });
        assert!(std::panic::catch_unwind(thrown).is_err());
        let trial = breaker.admit().unwrap();
        assert!(breaker.admit().is_err());
        trial.note(Deed::Answered, || ONE);
        assert!(breaker.admit().is_ok() && breaker.admit().is_ok());
        assert_eq!(*breaker.state.lock(), State::Well);
    }

    #[test]
    fn only_a_trial_gives_a_trial_back() {
        let breaker = Breaker::default();
        // Let through while requests still were.
        let early = breaker.admit().unwrap();
        for _ in 0..5 {
            breaker.admit().unwrap().note(Deed::Unreachable, || ONE);
        }
        let before = *breaker.state.lock();
        assert!(matches!(before, State::Open { .. }));
        *breaker.state.lock() = before.admit(Instant::now() + FIRST).0;
        drop(early);
        assert!(breaker.admit().is_err(), "somebody else's trial goes on");
    }
}
