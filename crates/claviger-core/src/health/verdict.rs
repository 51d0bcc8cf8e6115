//! What follows from an answer: its class, and how long the provider says to wait.

use std::fmt;
use std::time::Duration;

use super::body::Exhibit;
use super::class::Class;
use super::reset;
use super::retry_after::retry_after;
use crate::catalogue::{ErrorRule, Provider, Rate};
use crate::time::Timestamp;

/// The longest wait that is believed. Longer ones are shortened to it, so that one wrong header costs a key a day at
/// most; whoever meets a longer limit is told so once a day.
pub const MAX_WAIT: Duration = Duration::from_hours(24);

/// The longest wait that a good answer leads to. That nothing is left of a limit may hold for one model or one kind of
/// request only, and some providers tell when a limit is whole again, long before which it has something to give: to find
/// out costs a request now and then, while a day of rest may cost a day.
pub const MAX_ANNOUNCED: Duration = Duration::from_mins(10);

/// The headers of an answer.
pub trait Headers {
    /// The first value of the header of this name, if it is text. The name's upper and lower case are alike.
    fn get(&self, name: &str) -> Option<&str>;
}

/// An answer, as far as it is looked at.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: &'a dyn Headers,
    /// The body, decoded; empty where it was not read. What is beyond [`super::MAX_BODY`] is not looked at.
    pub body: &'a [u8],
}

impl fmt::Debug for Answer<'_> {
    /// Bodies may hold what callers sent, so that none is printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// What follows from an answer for the key that got it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// What it says about the key.
    pub class: Class,
    /// The HTTP status.
    pub status: u16,
    /// How long the provider says to wait; never zero, and at most [`MAX_WAIT`]. With [`Class::Ok`]: until a limit
    /// that has nothing left begins anew, and at most [`MAX_ANNOUNCED`].
    pub wait: Option<Duration>,
}

/// Judges an answer by its provider's rules, first match wins, and then by what statuses mean anywhere.
///
/// A good answer whose body was not read costs a look at each header that [`Rate::limits`] names, and no allocation.
#[must_use]
pub fn judge(provider: &Provider, answer: &Answer<'_>, now: Timestamp) -> Verdict {
    judge_exhibit(provider, &Exhibit::new(answer), now)
}

pub(super) fn judge_exhibit(provider: &Provider, exhibit: &Exhibit<'_>, now: Timestamp) -> Verdict {
    // What is to be learned from a good answer stands in its body, if anywhere.
    if (100..400).contains(&exhibit.status) && exhibit.body.is_empty() {
        let wait = wait(&provider.rate, Class::Ok, exhibit, now);
        return Verdict { class: Class::Ok, status: exhibit.status, wait };
    }
    let class = rule(provider, exhibit).map_or(Class::of_status(exhibit.status), |rule| rule.class.into());
    Verdict { class, status: exhibit.status, wait: wait(&provider.rate, class, exhibit, now) }
}

/// The rule that an answer falls under.
pub(super) fn rule<'p>(provider: &'p Provider, exhibit: &Exhibit<'_>) -> Option<&'p ErrorRule> {
    provider.errors.iter().find(|rule| {
        rule.statuses.contains(&exhibit.status) && rule.test.as_ref().is_none_or(|test| exhibit.passes(&rule.at, test))
    })
}

/// How long the provider says to wait, from the plainest word to the vaguest.
fn wait(rate: &Rate, class: Class, exhibit: &Exhibit<'_>, now: Timestamp) -> Option<Duration> {
    let headers = exhibit.headers;
    let spent = || reset::of_spent_limits(rate, headers, now);
    match class {
        Class::Ok => spent().map(|wait| wait.min(MAX_ANNOUNCED)),
        // Whoever has used up a day is told to wait for seconds nevertheless (Google).
        Class::RateLimited => reset::of_day(rate, exhibit, now)
            .or_else(|| retry_after(headers, now))
            .or_else(spent)
            .or_else(|| reset::of_any_limit(rate, headers, now))
            .or_else(|| reset::of_body(rate, exhibit, now)),
        // When a limit begins anew says nothing about when somebody pays.
        Class::NoCredit | Class::Overloaded => retry_after(headers, now),
        Class::RequestError | Class::AccountPermission | Class::KeyInvalid => None,
    }
}
