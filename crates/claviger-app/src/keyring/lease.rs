//! One key handed out for one attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use claviger_core::health::{Class, Headers, Verdict, domain};
use claviger_core::{KeyId, Provider, Scope, Timestamp};

use super::desk::Desk;
use super::known::{Changed, span};
use super::pool::LiveKey;

/// How an attempt with a leased key ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The provider answered, and this is what its answer says of the key.
    Answered(Verdict),
    /// No answer came: the connection failed, or time ran out.
    Failed,
    /// The caller left before there was an answer, or the lease was dropped.
    Abandoned,
    /// The key was handed out in plain text, and what becomes of it may be told later.
    HandedOut,
}

/// A key that is out for one attempt. It ends exactly once, with an outcome; being dropped is one too.
#[derive(Debug)]
pub struct Lease {
    key: Arc<LiveKey>,
    scope: Scope,
    desk: Arc<Desk>,
    /// The model whose limits the attempt counts against.
    model: Option<Box<str>>,
    began: Timestamp,
    /// Whether it is the one request of all nodes that tries the key.
    shared_trial: bool,
    others: bool,
    ended: bool,
}

/// What a lease begins with.
#[derive(Clone, Copy)]
pub(crate) struct Begun<'a> {
    pub(crate) scope: Scope,
    pub(crate) model: Option<&'a str>,
    pub(crate) at: Timestamp,
    pub(crate) shared_trial: bool,
    /// Whether the pool has other keys.
    pub(crate) others: bool,
}

/// The keys that one request has tried.
#[derive(Debug, Default)]
pub struct Tried {
    keys: Vec<KeyId>,
    /// The accounts whose limits they share, where known.
    domains: Vec<Arc<String>>,
}

impl Tried {
    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn has(&self, key: &KeyId) -> bool {
        self.keys.contains(key)
    }

    /// Whether a key shares its limits with one of them.
    pub(crate) fn has_domain(&self, domain: &str) -> bool {
        self.domains.iter().any(|tried| **tried == domain)
    }
}

impl Lease {
    pub(crate) fn begin(key: Arc<LiveKey>, desk: Arc<Desk>, begun: Begun<'_>) -> Self {
        let Begun { scope, model, at, shared_trial, others } = begun;
        Self { key, scope, desk, model: model.map(Box::from), began: at, shared_trial, others, ended: false }
    }

    /// Which key it is.
    #[must_use]
    pub fn key_id(&self) -> &KeyId {
        &self.key.known.id
    }

    /// Whose key it is.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Whose API the key opens.
    #[must_use]
    pub fn provider(&self) -> &Provider {
        &self.desk.provider
    }

    /// Whether there are other keys in its pool that could be tried.
    #[must_use]
    pub fn has_others(&self) -> bool {
        self.others
    }

    /// Now, as the lease's end will see it: for what the end depends on.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.desk.shared.clock.now()
    }

    /// Learns from an answer which account's limits the key shares.
    pub fn learn_domain(&self, headers: &dyn Headers) {
        let provider = &self.desk.provider;
        if provider.domain_headers.is_empty() {
            return;
        }
        let known = &self.key.known;
        if known.is_news(provider, headers)
            && let Some(named) = domain(provider, headers)
        {
            known.learn_domain(named);
            self.desk.shared.uses.enter(known);
        }
    }

    /// Notes it as tried, for the next attempt of the same request.
    pub fn note(&self, tried: &mut Tried) {
        tried.keys.push(self.key.known.id.clone());
        tried.domains.extend(self.key.known.domain());
    }

    /// Ends the lease.
    pub fn end(mut self, outcome: Outcome) {
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.desk.counts.count(outcome);
        let (known, model) = (&self.key.known, self.model.as_deref());
        let verdict = match outcome {
            Outcome::Answered(verdict) if !known.is_remarkable() && !concerns_health(verdict) && !self.shared_trial => {
                known.answered_as_ever(verdict.class);
                return self.desk.shared.uses.enter(known);
            }
            Outcome::Answered(verdict) => verdict,
            Outcome::Failed | Outcome::Abandoned | Outcome::HandedOut => {
                known.unanswered(self.began, outcome == Outcome::Failed, model, self.now());
                if self.shared_trial {
                    self.desk.shared.trial_over(known, model);
                }
                return self.desk.shared.uses.enter(known);
            }
        };
        let changed = known.answered(verdict, self.began, model, self.now());
        self.desk.shared.uses.enter(known);
        self.tell(changed, verdict);
    }

    /// Tells others of what the answer showed.
    fn tell(&self, changed: Changed, verdict: Verdict) {
        let model = self.model.as_deref();
        self.desk.shared.changed(&self.key, changed, model, self.began);
        if self.shared_trial && changed.rests.is_none() && changed.model_rests.is_none() {
            match verdict.class {
                Class::Ok => self.desk.shared.healed(&self.key.known, model),
                _ => self.desk.shared.trial_over(&self.key.known, model),
            }
        }
    }
}

/// Whether an answer may change how a key is that is well.
fn concerns_health(verdict: Verdict) -> bool {
    verdict.class.is_about_the_key() || verdict.wait.is_some()
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.finish(Outcome::Abandoned);
    }
}

/// What is counted of one provider's leases, by how they ended. For the metrics.
///
/// On a line of memory of its own, which every request writes.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ProviderCounts {
    classes: [AtomicU64; Class::ALL.len()],
    failed: AtomicU64,
    abandoned: AtomicU64,
    handed_out: AtomicU64,
}

impl ProviderCounts {
    pub(crate) fn count(&self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Answered(verdict) => &self.classes[verdict.class as usize],
            Outcome::Failed => &self.failed,
            Outcome::Abandoned => &self.abandoned,
            Outcome::HandedOut => &self.handed_out,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Each class with its count.
    pub fn by_class(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let classes = Class::ALL.iter().zip(&self.classes).map(|(class, count)| (class.as_str(), count));
        let others =
            [("failed", &self.failed), ("abandoned", &self.abandoned), ("handed_out", &self.handed_out)].into_iter();
        classes.chain(others).map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}

/// The time until a moment, as callers are told to wait: never nothing.
pub(crate) fn wait_until(until: Timestamp, now: Timestamp) -> Duration {
    span(now, until).unwrap_or(Duration::from_millis(1))
}
