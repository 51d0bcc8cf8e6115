//! Builders that the tests of this folder share.

mod domains;
mod models;
mod places;
mod probes;
mod recorded;
mod state;
mod state_properties;
mod streams;
mod waits;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::*;
use crate::catalogue::{Auth, Catalogue, Provider};
use crate::time::Timestamp;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::builtin().unwrap());

/// The moment at which the recorded answers came.
fn now() -> Timestamp {
    Timestamp::parse("2026-01-31T12:00:00Z").unwrap()
}

fn provider(id: &str) -> Arc<Provider> {
    if let Some(provider) = CATALOGUE.get(id) {
        return Arc::clone(provider);
    }
    let base = "http://localhost:9000".parse().unwrap();
    Arc::new(Provider::custom(id.parse().unwrap(), base, None, Auth::Bearer))
}

/// Headers by their names as somebody wrote them.
#[derive(Clone, Default, Debug, serde::Deserialize)]
#[serde(transparent)]
struct Written(BTreeMap<String, String>);

impl Headers for Written {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn headers(pairs: &[(&str, &str)]) -> Written {
    Written(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn verdict(class: Class) -> Verdict {
    let status = match class {
        Class::Ok => 200,
        Class::RequestError => 400,
        Class::AccountPermission => 403,
        Class::RateLimited => 429,
        Class::NoCredit => 402,
        Class::KeyInvalid => 401,
        Class::Overloaded => 503,
    };
    Verdict { class, status, wait: None }
}

/// So many milliseconds after the epoch of the tests, which is far from the clock's own.
fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000 + millis)
}

fn answer(class: Class, began: i64) -> Event {
    Event::Answer { verdict: verdict(class), began: at(began) }
}

fn answer_waiting(class: Class, wait: Duration, began: i64) -> Event {
    Event::Answer { verdict: Verdict { wait: Some(wait), ..verdict(class) }, began: at(began) }
}

/// What a reading of the store brought that began then.
fn stored(ailment: Option<Ailment>, read_at: i64) -> Event {
    Event::Stored { ailment, read_at: at(read_at) }
}

/// A key after these events, each at its time.
fn after(events: &[(Event, i64)]) -> KeyHealth {
    events.iter().fold(KeyHealth::new(), |health, (event, now)| health.next(event, at(*now)))
}
