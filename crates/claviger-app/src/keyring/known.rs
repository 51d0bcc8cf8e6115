//! What this process knows of a key beside its secret: when it served, how its requests ended, and how it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use claviger_core::health::{
    Ailment, Availability, Class, Condition, Event, Headers, KeyHealth, ModelRests, ProbeResult, Verdict, same_domain,
};
use claviger_core::owner::PoolId;
use claviger_core::pool::Position;
use claviger_core::{KeyId, Provider, Timestamp};
use claviger_store::UseCounts;
use parking_lot::Mutex;

use super::tally::Tally;

/// How long requests leave a rejected key whose rest is over to a probe. Beyond that a request tries it, so that a probe
/// that proves nothing loses no key.
const LEFT_TO_PROBES: Duration = Duration::from_mins(2);
/// For how long a rest is believed that another node told.
const TOLD_AT_MOST: Duration = Duration::from_mins(10);
/// Until when a key is said to be away that is being tried, or waits for its probe.
const SOON: Duration = Duration::from_secs(1);

/// A key, as this process knows it. Outlives the readings of its pool.
#[derive(Debug)]
pub(crate) struct KnownKey {
    pub(crate) pool: PoolId,
    pub(crate) id: KeyId,
    pub(crate) position: Position,
    /// Whether a free request shows if the provider takes it.
    pub(crate) probed: bool,
    /// Whether it is in the list of what is to be written.
    pub(super) unwritten: AtomicBool,
    tally: Tally,
    domain: ArcSwapOption<String>,
    domain_unwritten: AtomicBool,
    /// Whether there is more to say of its health than that it is well. Read by every request; the lock is for what
    /// seldom happens.
    remarkable: AtomicBool,
    /// The same of the whole pool.
    pool_remarkable: Arc<AtomicBool>,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    of_key: KeyHealth,
    of_models: ModelRests,
    /// Which secret it is of.
    fingerprint: Option<[u8; 32]>,
}

/// What a request that was about to take a key found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Claim {
    /// It is anyone's.
    Free,
    /// Its rest is over, and this request tries it.
    Trial,
    /// It rests, or another request tries it.
    Taken,
}

/// What changed with a key's health, and concerns others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Changed {
    /// It rests for so long from now on, as a whole.
    pub(crate) rests: Option<Duration>,
    /// The same for the model alone.
    pub(crate) model_rests: Option<Duration>,
    /// It is well, and was not; or its rest ended before its time.
    pub(crate) healed: bool,
    /// What is stored of its health is not what it is.
    pub(crate) ailment: bool,
    /// It was refused once, and a probe could tell whether it is dead.
    pub(crate) suspected: bool,
}

/// A key's health, for people.
#[derive(Clone, Debug)]
pub struct Fitness {
    /// How it is as a whole.
    pub health: KeyHealth,
    /// The models for which it rests alone, each with its end.
    pub models: Vec<(String, Timestamp)>,
}

impl Fitness {
    /// Of a key of which only that is known which is stored.
    #[must_use]
    pub fn stored(ailment: Option<Ailment>, now: Timestamp) -> Self {
        Self { health: KeyHealth::new().next(&Event::Stored { ailment, read_at: now }, now), models: Vec::new() }
    }
}

impl KnownKey {
    pub(crate) fn new(pool: PoolId, id: KeyId, position: Position, probed: bool, remarkable: Arc<AtomicBool>) -> Self {
        Self {
            pool,
            id,
            position,
            probed,
            unwritten: AtomicBool::new(false),
            tally: Tally::default(),
            domain: ArcSwapOption::empty(),
            domain_unwritten: AtomicBool::new(false),
            remarkable: AtomicBool::new(false),
            pool_remarkable: remarkable,
            health: Mutex::default(),
        }
    }

    /// Takes in what the database says of it, which was asked at this moment. Whether it has another secret than before.
    pub(crate) fn read(
        &self,
        fingerprint: [u8; 32],
        ailment: Option<Ailment>,
        domain: Option<String>,
        (read_at, now): (Timestamp, Timestamp),
    ) -> bool {
        let replaced = {
            let mut health = self.health.lock();
            let replaced = health.fingerprint.replace(fingerprint).is_some_and(|known| known != fingerprint);
            if replaced {
                // What is said to ail it is found of the new secret, wherever: it is not from before.
                let fresh = ailment.map_or(now, |ailment| ailment.since.min(now));
                health.happens(&Event::Replaced, None, fresh);
            }
            health.happens(&Event::Stored { ailment, read_at }, None, now);
            self.remark(&health);
            replaced
        };
        if replaced || self.domain.load().is_none() {
            self.domain.store(domain.map(Arc::new));
            self.domain_unwritten.store(false, Ordering::SeqCst);
        }
        replaced
    }

    /// Whether there is more to say of its health than that it is well.
    pub(crate) fn is_remarkable(&self) -> bool {
        self.remarkable.load(Ordering::SeqCst)
    }

    fn remark(&self, health: &Health) {
        let remarkable = health.is_remarkable();
        self.remarkable.store(remarkable, Ordering::SeqCst);
        if remarkable {
            self.pool_remarkable.store(true, Ordering::SeqCst);
        }
    }

    /// Whether it can be handed out, for this model where limits are by model.
    pub(crate) fn availability(&self, model: Option<&str>, now: Timestamp) -> Availability {
        if !self.is_remarkable() {
            return Availability::Now;
        }
        self.for_requests(&self.health.lock(), model, now)
    }

    /// A rejected key is tried by a probe, where there is one that costs nothing.
    fn for_requests(&self, health: &Health, model: Option<&str>, now: Timestamp) -> Availability {
        let probe_is_due = || {
            let due = health.of_key.until().filter(|_| self.probed && health.of_key.wants_probe());
            due.is_some_and(|due| now < due.after(LEFT_TO_PROBES))
        };
        match health.availability(model, now) {
            Availability::Trial if probe_is_due() => Availability::Resting { until: now.after(SOON) },
            // Its rest is over, and another request is about to find out: that takes a moment as a rule.
            Availability::Resting { until } if health.is_tried(model, now) => {
                Availability::Resting { until: until.min(now.after(SOON)) }
            }
            availability => availability,
        }
    }

    /// Takes it for a request that begins now.
    pub(crate) fn claim(&self, model: Option<&str>, now: Timestamp) -> Claim {
        if !self.is_remarkable() {
            return Claim::Free;
        }
        let mut health = self.health.lock();
        match self.for_requests(&health, model, now) {
            Availability::Now => Claim::Free,
            Availability::Resting { .. } => Claim::Taken,
            Availability::Trial => {
                health.happens(&Event::TrialBegins, model, now);
                Claim::Trial
            }
        }
    }

    /// A trial that was claimed at this moment does not take place.
    pub(crate) fn give_back(&self, claimed: Timestamp, model: Option<&str>) {
        self.happens(&Event::NoAnswer { began: claimed }, model, claimed);
    }

    /// A request was answered with nothing that concerns a key that is well.
    pub(crate) fn answered_as_ever(&self, class: Class) {
        self.tally.count(class);
    }

    /// A request that began then was answered.
    pub(crate) fn answered(&self, verdict: Verdict, began: Timestamp, model: Option<&str>, now: Timestamp) -> Changed {
        self.tally.count(verdict.class);
        self.happens(&Event::Answer { verdict, began }, model, now)
    }

    /// A request that began then got no answer.
    pub(crate) fn unanswered(&self, began: Timestamp, failed: bool, model: Option<&str>, now: Timestamp) {
        let ended = if failed { &self.tally.provider_errors } else { &self.tally.others };
        ended.fetch_add(1, Ordering::Relaxed);
        if self.is_remarkable() {
            self.happens(&Event::NoAnswer { began }, model, now);
        }
    }

    /// What somebody tells who was handed it.
    pub(crate) fn reported(&self, verdict: Verdict, now: Timestamp) -> Changed {
        // Another process may have handed it out.
        self.use_at(now);
        self.tally.count(verdict.class);
        self.tally.told.fetch_add(1, Ordering::Relaxed);
        // When the request began is not told: now is the safe thing to say of bad news, and of good.
        self.happens(&Event::Answer { verdict, began: now }, None, now)
    }

    /// A probe that began then was answered.
    pub(crate) fn probed(&self, result: ProbeResult, status: u16, began: Timestamp, now: Timestamp) -> Changed {
        self.happens(&Event::Probed { result, status, began }, None, now)
    }

    /// It has a new secret: nothing that was found out holds any more. Until its pool is read again, that is.
    pub(crate) fn replaced(&self, now: Timestamp) {
        self.happens(&Event::Replaced, None, now);
        self.domain.store(None);
        self.domain_unwritten.store(false, Ordering::SeqCst);
    }

    /// Another node said that it rests.
    pub(crate) fn rests_elsewhere(&self, remaining: Duration, now: Timestamp) {
        let mut health = self.health.lock();
        // It is told again at every turn. Where it was healed elsewhere meanwhile, it is not believed for long.
        let until = now.after(remaining.min(TOLD_AT_MOST));
        health.happens(&Event::RestsElsewhere { until }, None, now);
        self.remark(&health);
    }

    /// The database has this of it, as of now: who asked it earlier may have heard nothing of it.
    pub(crate) fn stored(&self, ailment: Ailment, now: Timestamp) {
        let mut health = self.health.lock();
        health.happens(&Event::Stored { ailment: Some(ailment), read_at: now }, None, now);
        self.remark(&health);
    }

    fn happens(&self, event: &Event, model: Option<&str>, now: Timestamp) -> Changed {
        let mut health = self.health.lock();
        let (before, model_before) = (health.of_key, health.model_until(model));
        health.happens(event, model, now);
        self.remark(&health);
        let (after, model_after) = (health.of_key, health.model_until(model));
        drop(health);
        let lengthened = |before: Option<Timestamp>, after: Option<Timestamp>| {
            after.filter(|_| after > before).and_then(|after| span(now, after))
        };
        let was_away = before.condition() != Condition::Well || model_before.is_some();
        // It was tested, and the next request is to try it.
        let rest_ended = before.until() > Some(now) && after.until().is_some_and(|until| until <= now);
        Changed {
            rests: lengthened(before.until(), after.until()),
            model_rests: lengthened(model_before, model_after),
            healed: rest_ended || (was_away && after.condition() == Condition::Well && model_after.is_none()),
            ailment: before.ailment() != after.ailment(),
            suspected: self.probed && after.is_suspected() && !before.is_suspected(),
        }
    }

    /// What ails it.
    pub(crate) fn ailment(&self) -> Option<Ailment> {
        if self.is_remarkable() { self.health.lock().of_key.ailment() } else { None }
    }

    /// Its health, for people.
    pub(crate) fn fitness(&self) -> Fitness {
        let health = self.health.lock();
        let models = health.of_models.iter().filter_map(|(model, of)| Some((model.to_owned(), of.until()?)));
        Fitness { health: health.of_key, models: models.collect() }
    }

    /// The account whose limits it shares, where an answer named it.
    pub(crate) fn domain(&self) -> Option<Arc<String>> {
        self.domain.load_full()
    }

    /// Whether an answer names another account than the known one.
    pub(crate) fn is_news(&self, provider: &Provider, headers: &dyn Headers) -> bool {
        !same_domain(provider, headers, self.domain.load().as_ref().map_or("", |known| known.as_str()))
    }

    /// An answer named the account whose limits it shares.
    pub(crate) fn learn_domain(&self, domain: String) {
        self.domain.store(Some(Arc::new(domain)));
        self.domain_unwritten.store(true, Ordering::SeqCst);
    }

    pub(crate) fn use_at(&self, now: Timestamp) {
        // A plain read first: a busy key is used many times a millisecond.
        if self.tally.last_used_at.load(Ordering::SeqCst) < now.as_millis() {
            self.tally.last_used_at.fetch_max(now.as_millis(), Ordering::SeqCst);
        }
    }

    /// When it was used last by this process, if ever.
    pub(crate) fn last_used_at(&self) -> Option<Timestamp> {
        let millis = self.tally.last_used_at.load(Ordering::SeqCst);
        (millis > 0).then(|| Timestamp::from_millis(millis))
    }

    /// Takes what was counted since it was taken last.
    pub(crate) fn take_counts(&self) -> UseCounts {
        self.tally.take()
    }

    /// Puts counts back that could not be written.
    pub(crate) fn put_counts_back(&self, counts: &UseCounts) {
        self.tally.add(counts);
    }

    /// What was counted and is not written.
    pub(crate) fn counts(&self) -> UseCounts {
        self.tally.read()
    }

    /// Takes the domain, where it is to be written.
    pub(crate) fn take_domain(&self) -> Option<String> {
        let unwritten = self.domain_unwritten.swap(false, Ordering::SeqCst);
        unwritten.then(|| self.domain.load().as_deref().cloned()).flatten()
    }
}

impl Health {
    /// What a model's limits say goes to the model, everything else to the key.
    fn happens(&mut self, event: &Event, model: Option<&str>, now: Timestamp) {
        let of_key = match (event, model) {
            (Event::Answer { verdict, began }, Some(_)) if verdict.class == Class::RateLimited => {
                &Event::NoAnswer { began: *began }
            }
            _ => event,
        };
        self.of_key = self.of_key.next(of_key, now);
        self.of_models.expire(now);
        if matches!(event, Event::Replaced) {
            self.of_models = ModelRests::default();
        } else if let Some(model) = model {
            self.of_models.next(model, event, now);
        }
    }

    fn availability(&self, model: Option<&str>, now: Timestamp) -> Availability {
        let of_key = self.of_key.availability(now);
        let of_model = model.map_or(Availability::Now, |model| self.of_models.availability(model, now));
        match (of_key, of_model) {
            (Availability::Resting { until }, Availability::Resting { until: other }) => {
                Availability::Resting { until: until.max(other) }
            }
            (resting @ Availability::Resting { .. }, _) | (_, resting @ Availability::Resting { .. }) => resting,
            (Availability::Trial, _) | (_, Availability::Trial) => Availability::Trial,
            (Availability::Now, Availability::Now) => Availability::Now,
        }
    }

    /// Whether it is away only because another request tries it.
    fn is_tried(&self, model: Option<&str>, now: Timestamp) -> bool {
        let is_over = |until: Option<Timestamp>| until.is_none_or(|until| until <= now);
        is_over(self.of_key.until()) && is_over(self.model_until(model))
    }

    fn model_until(&self, model: Option<&str>) -> Option<Timestamp> {
        self.of_models.health(model?)?.until()
    }

    fn is_remarkable(&self) -> bool {
        self.of_key.condition() != Condition::Well
            || self.of_key.is_suspected()
            || self.of_models.iter().next().is_some()
    }
}

/// How long it is from one to the other; `None` where that is over.
pub(crate) fn span(from: Timestamp, to: Timestamp) -> Option<Duration> {
    u64::try_from(to.as_millis() - from.as_millis()).ok().filter(|millis| *millis > 0).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use claviger_core::Owner;
    use claviger_core::health::AilmentKind;

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000 + secs * 1_000)
    }

    fn key() -> KnownKey {
        let pool = PoolId { owner: Owner::Platform, provider: "google".parse().unwrap() };
        KnownKey::new(pool, KeyId::new(at(0), [1; 10]), Position(1), true, Arc::default())
    }

    fn says(class: Class, status: u16, wait: Option<u64>) -> Verdict {
        Verdict { class, status, wait: wait.map(Duration::from_secs) }
    }

    fn exhausted(key: &KnownKey, secs: i64) -> Ailment {
        key.answered(says(Class::NoCredit, 402, None), at(secs - 1), None, at(secs));
        key.ailment().unwrap()
    }

    #[test]
    fn a_rest_that_a_test_ends_is_told_to_others_as_healed() {
        let key = key();
        exhausted(&key, 0);
        let changed = key.probed(ProbeResult::Valid, 200, at(1), at(2));
        assert_eq!(changed, Changed { healed: true, ailment: true, ..Changed::default() });
        assert_eq!(key.availability(None, at(2)), Availability::Trial);
        let again = key.probed(ProbeResult::Valid, 200, at(3), at(4));
        assert!(!again.healed, "it does not rest any more");
    }

    #[test]
    fn a_reading_that_began_before_an_ailment_was_stored_neither_heals_nor_hides_it() {
        let key = key();
        let ailment = exhausted(&key, 0);
        key.stored(ailment, at(5));
        key.read([0; 32], None, None, (at(4), at(6)));
        assert_eq!(key.ailment(), Some(ailment));
        key.read([0; 32], None, None, (at(7), at(8)));
        assert_eq!(key.ailment(), None);
        key.read([0; 32], Some(ailment), None, (at(9), at(10)));
        assert_eq!(key.ailment(), Some(ailment), "the store is believed in the end");
    }

    #[test]
    fn what_ails_a_new_secret_is_known_with_it() {
        let key = key();
        key.read([1; 32], None, None, (at(0), at(1)));
        let ailment = Ailment { kind: AilmentKind::Rejected, status: 401, since: at(3), until: at(63), strikes: 1 };
        assert!(key.read([2; 32], Some(ailment), None, (at(4), at(5))));
        assert_eq!(key.ailment(), Some(ailment));
    }

    #[test]
    fn another_nodes_rest_keeps_what_is_known_and_leaves_ailments_alone() {
        let key = key();
        key.answered(says(Class::RateLimited, 429, None), at(0), None, at(1));
        key.answered(says(Class::RateLimited, 429, None), at(2), None, at(2));
        key.rests_elsewhere(Duration::from_secs(30), at(3));
        let health = key.fitness().health;
        assert_eq!((health.strikes(), health.until()), (2, Some(at(33))));
        key.rests_elsewhere(Duration::ZERO, at(4));
        assert_eq!(key.fitness().health, health);
        let ailment = exhausted(&key, 40);
        key.rests_elsewhere(Duration::from_hours(9), at(41));
        assert_eq!(key.ailment(), Some(ailment));
    }

    #[test]
    fn a_model_that_nobody_asks_for_again_is_not_remarkable_for_ever() {
        let key = key();
        key.answered(says(Class::RateLimited, 429, Some(30)), at(0), Some("pro"), at(1));
        let ok = says(Class::Ok, 200, None);
        for (secs, remarkable) in [(100, true), (630, true), (631, false)] {
            key.answered(ok, at(secs), Some("flash"), at(secs));
            assert_eq!(key.is_remarkable(), remarkable, "{secs}");
        }
        assert_eq!(key.availability(Some("pro"), at(632)), Availability::Now);
    }
}
