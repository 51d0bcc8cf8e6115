//! One key's health: a plain value with one transition.

use std::time::Duration;

use super::class::Class;
use super::condition::{Ailment, AilmentKind, Condition};
use super::probe::ProbeResult;
use super::verdict::{MAX_WAIT, Verdict};
use crate::time::Timestamp;

/// How long a trial may take before the key is offered again. Whoever had it was lost, or is very slow.
pub const TRIAL_LEASE: Duration = Duration::from_mins(1);

/// Two refusals within this time are believed; the second must have begun after the first was known.
const REFUSAL_WINDOW: Duration = Duration::from_mins(1);

/// How far ahead of the clock a note may be dated, as clocks of nodes differ. What is dated later was written before the
/// clock jumped back, and no longer counts.
const CLOCK_SLACK: Duration = Duration::from_mins(1);

const RATE_LIMITED_REST: Growing = Growing { first: Duration::from_secs(1), longest: Duration::from_mins(5) };
const EXHAUSTED_REST: Growing = Growing { first: Duration::from_mins(5), longest: Duration::from_hours(6) };
const REJECTED_REST: Growing = Growing { first: Duration::from_mins(1), longest: Duration::from_hours(6) };

/// What is known of one key's health.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyHealth {
    condition: Condition,
    /// When the condition was learned. What began earlier says nothing new.
    since: Timestamp,
    /// The end of the rest, at most some [`MAX_WAIT`] after `since`; meaningless where the key is well.
    until: Timestamp,
    /// How often in a row the condition was found. 0 also where a limit was announced before anything was refused.
    strikes: u32,
    status: u16,
    /// When a refusal became known that a second one would confirm.
    refused_at: Option<Timestamp>,
    /// When the trial began that is under way.
    trial: Option<Timestamp>,
    /// Since when the store is known to have the ailment. Only such a one is healed by the store's having none: one's own
    /// newest ailment is on its way there, and who asked before it arrived was told nothing of it.
    stored: Option<Timestamp>,
    /// Whether a probe was tried at the end of this rest and proved nothing.
    unproven: bool,
}

/// What happens to a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A request was answered.
    Answer {
        /// What the answer says.
        verdict: Verdict,
        /// When the key was handed out for the request. For a trial: the very time of its [`Event::TrialBegins`].
        began: Timestamp,
    },
    /// A request ended without an answer: it was abandoned, or the provider was not reached.
    NoAnswer {
        /// When the key was handed out for the request.
        began: Timestamp,
    },
    /// A probe was answered. One without an answer is unproven, with [`Class::Overloaded`].
    Probed {
        /// What the answer proves.
        result: ProbeResult,
        /// The answer's status.
        status: u16,
        /// When the probe began.
        began: Timestamp,
    },
    /// The key, whose rest is over, is handed out to the one request or probe that tries it. Changes nothing where it is
    /// not to be tried.
    TrialBegins,
    /// What the store has, whoever wrote it.
    Stored {
        /// What it has; none where it has the key for well.
        ailment: Option<Ailment>,
        /// The moment before the store was asked. For what this process wrote itself: the moment after that was done.
        read_at: Timestamp,
    },
    /// Another node says that the key rests for a limit.
    RestsElsewhere {
        /// Until when.
        until: Timestamp,
    },
    /// The key has a new secret.
    Replaced,
}

/// Whether a key can be handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Availability {
    /// To anyone.
    Now,
    /// To one request, which tries it; tell [`Event::TrialBegins`].
    Trial,
    /// To nobody yet.
    Resting {
        /// When to ask again, at the latest.
        until: Timestamp,
    },
}

/// A rest that doubles with each strike.
struct Growing {
    first: Duration,
    longest: Duration,
}

impl Growing {
    /// The rest after this many strikes in a row; the first strike is 1.
    fn after(&self, strikes: u32) -> Duration {
        let doublings = strikes.saturating_sub(1).min(30);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

impl Default for KeyHealth {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyHealth {
    /// A key of which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::well_since(Timestamp::from_millis(0))
    }

    /// A key that is well; what began earlier says nothing about it.
    fn well_since(since: Timestamp) -> Self {
        Self {
            condition: Condition::Well,
            since,
            until: since,
            strikes: 0,
            status: 0,
            refused_at: None,
            trial: None,
            stored: None,
            unproven: false,
        }
    }

    /// The key after an event: the only way in which health changes.
    #[must_use]
    pub fn next(&self, event: &Event, now: Timestamp) -> Self {
        match *event {
            Event::Answer { verdict, began } => self.answered(verdict, began, now),
            Event::NoAnswer { began } => self.trial_ended(began),
            Event::Probed { result, status, began } => self.probed(result, status, began, now),
            Event::TrialBegins if self.availability(now) == Availability::Trial => Self { trial: Some(now), ..*self },
            Event::Stored { ailment: Some(ailment), read_at } => self.told(ailment, read_at, now),
            Event::Stored { ailment: None, read_at } => self.told_none(read_at, now),
            Event::RestsElsewhere { until } => self.rests_elsewhere(until, now),
            Event::TrialBegins => *self,
            Event::Replaced => Self::well_since(now),
        }
    }

    /// Whether the key can be handed out.
    #[must_use]
    pub fn availability(&self, now: Timestamp) -> Availability {
        if self.condition == Condition::Well {
            return Availability::Now;
        }
        if self.rests(now) {
            return Availability::Resting { until: self.until };
        }
        match self.trial {
            Some(began) if is_recent(began, now, TRIAL_LEASE) => {
                Availability::Resting { until: began.after(TRIAL_LEASE) }
            }
            // Nothing was refused: the provider said beforehand when the limit begins anew, so nothing is to be tried.
            _ if self.strikes == 0 => Availability::Now,
            _ => Availability::Trial,
        }
    }

    /// Whether the trial of this key is rather for a probe, where the provider has a free one: no request is spent on a
    /// key that is likely refused again. Not where a probe just proved nothing, or else it would be tried for ever.
    #[must_use]
    pub fn wants_probe(&self) -> bool {
        self.condition == Condition::Rejected && !self.unproven
    }

    /// What the store is to have of this.
    #[must_use]
    pub fn ailment(&self) -> Option<Ailment> {
        let kind = match self.condition {
            Condition::Well | Condition::RateLimited => return None,
            Condition::Exhausted => AilmentKind::Exhausted,
            Condition::Rejected => AilmentKind::Rejected,
        };
        Some(Ailment { kind, status: self.status, since: self.since, until: self.until, strikes: self.strikes })
    }

    /// How the key is. A rest may be over: see [`KeyHealth::availability`].
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.condition
    }

    /// When the condition was learned.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// The end of the rest, which may be past. None where the key is well.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        (self.condition != Condition::Well).then_some(self.until)
    }

    /// How often in a row the condition was found.
    #[must_use]
    pub fn strikes(&self) -> u32 {
        self.strikes
    }

    /// Whether it was refused once, which nothing has confirmed or belied yet.
    #[must_use]
    pub fn is_suspected(&self) -> bool {
        self.refused_at.is_some()
    }

    /// The status of the answer that showed the condition; 0 where there was none.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The condition in words for people: our own, never the provider's, which might hold what a caller sent.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        let status = self.status;
        let http = if status == 0 { String::new() } else { format!(" (HTTP {status})") };
        match self.condition {
            Condition::Well => None,
            Condition::RateLimited if self.strikes == 0 => {
                Some("The provider announced that nothing is left of a rate limit".to_owned())
            }
            Condition::RateLimited if status == 0 => Some("The provider asked to wait: rate limited".to_owned()),
            Condition::RateLimited => Some(format!("The provider answered {status}: rate limited")),
            Condition::Exhausted => Some(format!("The account has no credit left{http}")),
            Condition::Rejected => Some(format!("The provider refused the key{http}")),
        }
    }

    fn answered(&self, verdict: Verdict, began: Timestamp, now: Timestamp) -> Self {
        let ended = self.trial_ended(began);
        if self.is_old_news(began, now) {
            return ended;
        }
        match verdict.class {
            Class::RequestError | Class::AccountPermission | Class::Overloaded => ended,
            Class::Ok => ended.served(verdict, began, now),
            Class::RateLimited => ended.rest(Condition::RateLimited, verdict, now),
            Class::NoCredit => ended.rest(Condition::Exhausted, verdict, now),
            Class::KeyInvalid => ended.refused(verdict, began, now),
        }
    }

    /// After an answer that says that the key serves.
    fn served(&self, verdict: Verdict, began: Timestamp, now: Timestamp) -> Self {
        let limited = self.condition == Condition::RateLimited && self.rests(now);
        let healed = if self.condition == Condition::Well || limited {
            // A limit's end was named by the provider, and one request that slipped through does not move it.
            self.without_refusal_before(began)
        } else {
            Self::well_since(now)
        };
        let Some(wait) = verdict.wait else {
            return healed;
        };
        let until = now.after(wait.min(MAX_WAIT));
        if limited {
            return Self { since: now, until: healed.until.max(until), ..healed };
        }
        Self { condition: Condition::RateLimited, until, status: verdict.status, ..Self::well_since(now) }
    }

    /// A key that served after it was refused is not on its way to being rejected.
    fn without_refusal_before(&self, began: Timestamp) -> Self {
        Self { refused_at: self.refused_at.filter(|known| began <= *known), ..*self }
    }

    /// After a refusal. One alone may be the provider's hiccup, and would cost a good key; two are believed.
    fn refused(&self, verdict: Verdict, began: Timestamp, now: Timestamp) -> Self {
        let known = self.refused_at.filter(|known| is_recent(*known, now, REFUSAL_WINDOW));
        match known {
            _ if self.condition == Condition::Rejected => self.rest(Condition::Rejected, verdict, now),
            Some(known) if began > known => self.rest(Condition::Rejected, verdict, now),
            // Both were on their way at once: what made the first wrong may have done so with this one.
            Some(_) => *self,
            None => Self { refused_at: Some(now), ..*self },
        }
    }

    /// Rests, with one strike more. A rest that is under way is never shortened, nor made a milder one.
    fn rest(&self, condition: Condition, verdict: Verdict, now: Timestamp) -> Self {
        let strikes = if self.condition == condition { self.strikes.saturating_add(1) } else { 1 };
        let wait = verdict.wait.map(|wait| wait.min(MAX_WAIT));
        let length = match condition {
            Condition::Well => Duration::ZERO,
            Condition::RateLimited => wait.unwrap_or(RATE_LIMITED_REST.after(strikes)),
            Condition::Exhausted => EXHAUSTED_REST.after(strikes).max(wait.unwrap_or_default()),
            Condition::Rejected => REJECTED_REST.after(strikes),
        };
        let until = now.after(length);
        let until = if self.rests(now) { self.until.max(until) } else { until };
        if self.rests(now) && condition < self.condition {
            return Self { since: now, until, ..*self };
        }
        Self { condition, until, strikes, status: verdict.status, ..Self::well_since(now) }
    }

    fn probed(&self, result: ProbeResult, status: u16, began: Timestamp, now: Timestamp) -> Self {
        let ended = self.trial_ended(began);
        if self.is_old_news(began, now) {
            return ended;
        }
        let verdict = |class| Verdict { class, status, wait: None };
        match result {
            // A free request proves that the key is real, not that its account can pay or that a limit is over.
            ProbeResult::Valid if self.condition == Condition::Rejected => Self::well_since(now),
            // But whoever has a key tested may just have paid: the next request tries it. That is news for others too.
            ProbeResult::Valid if self.condition == Condition::Exhausted => Self { since: now, until: now, ..ended },
            ProbeResult::Valid => ended.without_refusal_before(began),
            ProbeResult::Invalid => ended.rest(Condition::Rejected, verdict(Class::KeyInvalid), now),
            // Who is told that the account cannot pay was not refused.
            ProbeResult::NoCredit if self.condition == Condition::Rejected => {
                Self::well_since(now).rest(Condition::Exhausted, verdict(Class::NoCredit), now)
            }
            ProbeResult::NoCredit => ended.rest(Condition::Exhausted, verdict(Class::NoCredit), now),
            ProbeResult::Unproven { verdict } if verdict.class == Class::RateLimited => {
                ended.rest(Condition::RateLimited, verdict, now)
            }
            ProbeResult::Unproven { .. } => Self { unproven: true, ..ended },
        }
    }

    /// After the store's word. The later finding counts, so that all nodes come to the same whatever the order.
    fn told(&self, ailment: Ailment, read_at: Timestamp, now: Timestamp) -> Self {
        let told = Self {
            condition: ailment.kind.into(),
            // Bounded like every rest, whoever wrote it.
            until: ailment.until.min(ailment.since.after(MAX_WAIT)),
            strikes: ailment.strikes.max(1),
            status: ailment.status,
            stored: self.stored.filter(|stored| !is_ahead(*stored, now)).max(Some(read_at)),
            ..Self::well_since(ailment.since)
        };
        match self.condition {
            // A limit is known only here, and says nothing against an ailment. Both rests are kept.
            Condition::RateLimited if self.rests(now) && told.rests(now) => {
                Self { since: told.since.max(self.since), until: told.until.max(self.until), ..told }
            }
            Condition::RateLimited if self.rests(now) => *self,
            Condition::RateLimited if told.rests(now) => told,
            _ if ailment.since > self.since => told,
            // Who was told that it is no more was told something older: see `told_none`.
            Condition::Well if ailment.since == self.since => told,
            Condition::Exhausted | Condition::Rejected if ailment.since == self.since => {
                Self { trial: self.trial, refused_at: self.refused_at, unproven: self.unproven, ..told }
            }
            _ => *self,
        }
    }

    /// After the store's word that nothing ails the key: what was stored by then was healed.
    fn told_none(&self, read_at: Timestamp, now: Timestamp) -> Self {
        let healed = self.stored.is_some_and(|stored| stored <= read_at || is_ahead(stored, now));
        // Not since now: another node may have found something meanwhile, and be about to store it.
        if healed { Self::well_since(self.since.min(now)) } else { *self }
    }

    /// After another node's word that the key rests for a limit. Ailments are told by the store, and in more words.
    fn rests_elsewhere(&self, until: Timestamp, now: Timestamp) -> Self {
        // What is told again and again is not to move the bound of a rest that is under way.
        let since = if self.rests(now) { self.since } else { now };
        let until = until.min(since.after(MAX_WAIT));
        let lengthens = now < until && (!self.rests(now) || self.until < until);
        if self.condition > Condition::RateLimited || !lengthens {
            return *self;
        }
        Self {
            condition: Condition::RateLimited,
            since,
            until,
            // Nobody here knows whether it was announced or refused, so its end is to be tried.
            strikes: self.strikes.max(1),
            status: if self.strikes == 0 { 0 } else { self.status },
            ..*self
        }
    }

    fn trial_ended(&self, began: Timestamp) -> Self {
        Self { trial: self.trial.filter(|trial| began < *trial), ..*self }
    }

    /// Whether what began then was on its way before the present condition was learned.
    fn is_old_news(&self, began: Timestamp, now: Timestamp) -> bool {
        // Both were taken in the same millisecond: on a key that rested, take the request as the earlier one.
        let rested = self.condition != Condition::Well && self.since < self.until;
        let earlier = if rested { began <= self.since } else { began < self.since };
        earlier && !self.is_from_the_future(now)
    }

    fn rests(&self, now: Timestamp) -> bool {
        self.condition != Condition::Well && now < self.until && !self.is_from_the_future(now)
    }

    fn is_from_the_future(&self, now: Timestamp) -> bool {
        is_ahead(self.since, now)
    }
}

/// Whether it was noted before the clock jumped back.
fn is_ahead(then: Timestamp, now: Timestamp) -> bool {
    then > now.after(CLOCK_SLACK)
}

/// Whether it was at most `within` ago. What is dated further ahead than that was written before the clock jumped back.
fn is_recent(then: Timestamp, now: Timestamp, within: Duration) -> bool {
    now < then.after(within) && then <= now.after(within)
}
