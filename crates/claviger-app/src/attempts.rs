//! Limits on bad tokens, by address.
//!
//! Tokens cannot be guessed. But whoever tries costs the database a question for each one, and fills the log. So an
//! address may show so many bad tokens a minute. Beyond that a bad one is answered as too many, and nothing is looked up
//! for it. Good tokens never pay for the bad ones of others behind the same address: a token in memory is proven without
//! a look in here, what was known once is looked up freely, and for one that this process has not seen yet, one look-up
//! a second is left, which is given back if the token is good.
//!
//! What is kept is bounded, however many addresses there are; an address that is pushed out begins anew.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use claviger_core::{Clock, TokenId};
use claviger_seal::TokenHash;
use claviger_store::StoreError;
use foldhash::fast::RandomState;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use crate::client::ClientAddress;

const MINUTE: Duration = Duration::from_mins(1);
/// How often an address that is over its limit may have something looked up all the same.
const TRICKLE: Duration = Duration::from_secs(1);
/// For how long an id that the database does not have need not be asked for again: no longer than anything in memory is
/// trusted.
const UNKNOWN_FOR: Duration = Duration::from_secs(3);

/// How many addresses are told apart.
const ADDRESSES: usize = 65_536;
/// How many ids that the database does not have are remembered.
const UNKNOWN: usize = 4_096;
/// How many passes are remembered that were proven once.
const PROVEN: usize = 16_384;

/// Too many bad tokens came from an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too many bad tokens came from this address; try again later")]
pub struct TooManyAttempts {
    /// When the next one is answered.
    pub wait: Duration,
}

impl TooManyAttempts {
    /// The wait in whole seconds, at least one.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        (self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)).max(1)
    }
}

/// How many bad tokens there were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadTokens {
    /// Refused.
    pub refused: u64,
    /// Refused because there were too many from the address.
    pub limited: u64,
}

type Bounded<K, V> = Cache<K, V, UnitWeighter, RandomState>;

/// What is known of bad tokens. Only they lead here. All times are the clock's uptime, in nanoseconds.
pub(crate) struct Attempts {
    clock: Arc<dyn Clock>,
    /// What one bad token takes of an address's minute; nothing where there is no limit.
    unit: u64,
    addresses: Bounded<IpAddr, Arc<Budget>>,
    /// Ids that the database does not have, and until when that counts.
    unknown: Bounded<TokenId, u64>,
    proven: Bounded<[u8; 32], ()>,
    refused: AtomicU64,
    limited: AtomicU64,
}

/// What an address has used up.
#[derive(Debug, Default)]
struct Budget {
    /// When all of it is there again. A bad token moves this on by its share of a minute, and must not move it beyond a
    /// minute from now.
    whole_at: AtomicU64,
    /// When the next look-up beyond the limit is due.
    trickle_at: AtomicU64,
    /// When it may be said again that there were too many.
    told_until: AtomicU64,
}

/// A look-up for a token that is not known yet.
#[must_use]
pub(crate) struct Attempt<'a> {
    attempts: &'a Attempts,
    budget: Arc<Budget>,
    /// What it was let through in spite of.
    beyond: Option<TooManyAttempts>,
}

impl Attempts {
    /// With so many bad tokens an address and a minute; 0 for any number.
    pub(crate) fn new(clock: Arc<dyn Clock>, limit: u32) -> Self {
        Self {
            clock,
            unit: nanos(MINUTE).checked_div(limit.into()).unwrap_or_default(),
            addresses: bounded(ADDRESSES),
            unknown: bounded(UNKNOWN),
            proven: bounded(PROVEN),
            refused: AtomicU64::new(0),
            limited: AtomicU64::new(0),
        }
    }

    /// Counts a bad token that cost no look-up.
    pub(crate) fn count(&self, from: ClientAddress) -> Result<(), TooManyAttempts> {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let budget = self.budget(from);
        budget.take(self.now(), self.unit).map_err(|too_many| self.told(from, &budget, too_many))
    }

    /// Asks for a look-up. It counts as a bad token from now on, so that many at once are no way around the limit.
    pub(crate) fn begin(&self, from: ClientAddress) -> Result<Attempt<'_>, TooManyAttempts> {
        let (now, budget) = (self.now(), self.budget(from));
        let beyond = match budget.take(now, self.unit) {
            Ok(()) => None,
            Err(too_many) if budget.trickle(now) => Some(too_many),
            Err(too_many) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(self.told(from, &budget, too_many));
            }
        };
        Ok(Attempt { attempts: self, budget, beyond })
    }

    /// Says it once a minute and address, and counts it.
    fn told(&self, from: ClientAddress, budget: &Budget, too_many: TooManyAttempts) -> TooManyAttempts {
        self.limited.fetch_add(1, Ordering::Relaxed);
        let now = self.now();
        let due = |until: u64| (until <= now).then_some(now + nanos(MINUTE));
        if budget.told_until.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok() {
            tracing::warn!(address = %from.0, "too many bad tokens come from an address; they are answered with 429");
        }
        too_many
    }

    /// Whether the database was asked for this id a moment ago, and does not have it.
    pub(crate) fn is_unknown(&self, id: &TokenId) -> bool {
        self.unknown.get(id).is_some_and(|until| self.now() < until)
    }

    /// The database does not have this id.
    pub(crate) fn note_unknown(&self, id: &TokenId) {
        self.unknown.insert(id.clone(), self.now() + nanos(UNKNOWN_FOR));
    }

    /// Looks a link or session up by its text, and answers it if it is the right one. One that was right before is looked
    /// up whatever else came from its address.
    pub(crate) async fn proven<T, E: From<StoreError> + From<TooManyAttempts>>(
        &self,
        text: &str,
        from: ClientAddress,
        look_up: impl Future<Output = Result<Option<T>, StoreError>>,
        is_right: impl Fn(Option<&T>) -> bool,
    ) -> Result<Option<T>, E> {
        let hash = *TokenHash::of(text.as_bytes()).as_bytes();
        let attempt = if self.proven.get(&hash).is_some() { None } else { Some(self.begin(from)?) };
        let found = look_up.await;
        // What could not be looked up does not count.
        let is_bad = matches!(&found, Ok(found) if !is_right(found.as_ref()));
        match attempt {
            Some(attempt) if is_bad => attempt.fail(from)?,
            Some(attempt) => {
                attempt.give_back();
                if found.is_ok() {
                    self.proven.insert(hash, ());
                }
            }
            None if is_bad => {
                self.proven.remove(&hash);
                self.count(from)?;
            }
            None => {}
        }
        Ok(found?.filter(|_| !is_bad))
    }

    pub(crate) fn counts(&self) -> BadTokens {
        BadTokens { refused: self.refused.load(Ordering::Relaxed), limited: self.limited.load(Ordering::Relaxed) }
    }

    fn budget(&self, from: ClientAddress) -> Arc<Budget> {
        let network = from.network();
        if self.unit == 0 {
            return Arc::default();
        }
        let made = self.addresses.get_or_insert_with(&network, || Ok::<_, std::convert::Infallible>(Arc::default()));
        match made {
            Ok(budget) => budget,
        }
    }

    fn now(&self) -> u64 {
        nanos(self.clock.uptime())
    }
}

impl Attempt<'_> {
    /// The token was good, or could not be looked up: it does not count.
    pub(crate) fn give_back(self) {
        if self.beyond.is_some() {
            // The next one beyond the limit need not wait for this one's second.
            self.budget.trickle_at.store(0, Ordering::Relaxed);
        } else {
            let unit = self.attempts.unit;
            self.budget.whole_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| at.checked_sub(unit)).ok();
        }
    }

    /// The token was bad.
    pub(crate) fn fail(self, from: ClientAddress) -> Result<(), TooManyAttempts> {
        self.attempts.refused.fetch_add(1, Ordering::Relaxed);
        match self.beyond {
            None => Ok(()),
            Some(too_many) => Err(self.attempts.told(from, &self.budget, too_many)),
        }
    }
}

impl Budget {
    fn take(&self, now: u64, unit: u64) -> Result<(), TooManyAttempts> {
        let after = |whole_at: u64| whole_at.max(now).saturating_add(unit);
        let within = |whole_at: u64| Some(after(whole_at)).filter(|after| after - now <= nanos(MINUTE));
        match self.whole_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within) {
            Ok(_) => Ok(()),
            Err(whole_at) => {
                let wait = after(whole_at).saturating_sub(now + nanos(MINUTE));
                Err(TooManyAttempts { wait: Duration::from_nanos(wait) })
            }
        }
    }

    fn trickle(&self, now: u64) -> bool {
        let due = |at: u64| (at <= now).then_some(now + nanos(TRICKLE));
        self.trickle_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, due).is_ok()
    }
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

fn bounded<K: std::hash::Hash + Eq, V: Clone>(entries: usize) -> Bounded<K, V> {
    Cache::with(entries, entries as u64, UnitWeighter, RandomState::default(), DefaultLifecycle::default())
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use claviger_testkit::ManualClock;

    use super::*;

    fn attempts(limit: u32) -> (Attempts, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new());
        (Attempts::new(Arc::clone(&clock) as _, limit), clock)
    }

    fn address(text: &str) -> ClientAddress {
        ClientAddress(text.parse().unwrap())
    }

    #[test]
    fn an_address_has_so_many_bad_tokens_a_minute_and_gets_them_back_one_by_one() {
        let (attempts, clock) = attempts(3);
        let [here, there] = ["203.0.113.9", "203.0.113.10"].map(address);
        for _ in 0..3 {
            assert_eq!(attempts.count(here), Ok(()));
        }
        let (nearly, wait) = (Duration::from_millis(19_999), Duration::from_secs(20));
        assert_eq!(attempts.count(here), Err(TooManyAttempts { wait }));
        assert_eq!(attempts.count(there), Ok(()));
        clock.advance(nearly);
        assert!(attempts.count(here).is_err());
        clock.advance(Duration::from_millis(1));
        assert_eq!(attempts.count(here), Ok(()));
        assert!(attempts.count(here).is_err());
        clock.advance(MINUTE);
        for _ in 0..3 {
            assert_eq!(attempts.count(here), Ok(()));
        }
        assert!(attempts.count(here).is_err());
        assert_eq!(attempts.counts(), BadTokens { refused: 12, limited: 4 });
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address() {
        let (attempts, _) = attempts(1);
        assert!(attempts.count(address("2001:db8::1")).is_ok());
        assert!(attempts.count(address("2001:db8::2:1")).is_err());
        assert!(attempts.count(address("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn beyond_the_limit_one_look_up_a_second_is_left() {
        let (attempts, clock) = attempts(1);
        let here = address("203.0.113.9");
        assert_eq!(attempts.begin(here).unwrap().fail(here), Ok(()));
        assert!(attempts.begin(here).unwrap().fail(here).is_err());
        assert!(attempts.begin(here).is_err());
        clock.advance(TRICKLE);
        attempts.begin(here).unwrap().give_back();
        assert!(attempts.begin(here).unwrap().fail(here).is_err());
        assert!(attempts.begin(here).is_err());
    }

    #[test]
    fn look_ups_count_while_they_run_and_not_any_more_where_the_token_was_good() {
        let (attempts, _) = attempts(2);
        let here = address("203.0.113.9");
        let [one, two] = [attempts.begin(here).unwrap(), attempts.begin(here).unwrap()];
        assert!(attempts.count(here).is_err());
        one.give_back();
        assert_eq!(attempts.count(here), Ok(()));
        // Whoever leaves before the answer has used it up.
        drop(two);
        assert!(attempts.count(here).is_err());
    }

    #[test]
    fn any_number_of_addresses_takes_no_more_memory_than_there_is_for_them() {
        let (attempts, _) = attempts(1);
        for number in 0..200_000_u32 {
            let _ = attempts.count(ClientAddress(IpAddr::V4(number.into())));
        }
        assert!(attempts.addresses.len() <= ADDRESSES);
    }

    #[test]
    fn without_a_limit_nothing_is_kept() {
        let (attempts, _) = attempts(0);
        for _ in 0..1_000 {
            assert_eq!(attempts.count(address("203.0.113.9")), Ok(()));
        }
        assert_eq!(attempts.addresses.len(), 0);
    }

    #[test]
    fn an_id_that_the_database_lacks_is_remembered_for_three_seconds() {
        let (attempts, clock) = attempts(1);
        let id: TokenId = claviger_seal::NewToken::generate().unwrap().id;
        assert!(!attempts.is_unknown(&id));
        attempts.note_unknown(&id);
        assert!(attempts.is_unknown(&id));
        clock.advance(UNKNOWN_FOR);
        assert!(!attempts.is_unknown(&id));
    }
}
