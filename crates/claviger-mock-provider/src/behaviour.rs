//! What a key meets instead of, or on top of, the normal answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::answer::{JSON, TEXT};

/// Stands for every key of a provider.
pub const ANY_KEY: &str = "*";

/// What a key meets. Everything is optional; the default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Replaces the answer by one with this status (200 to 999) and with `body`.
    pub status: Option<u16>,
    /// Added to the answer; a header of the same name is replaced.
    pub headers: BTreeMap<String, String>,
    /// Replaces the body: a string is sent as it is, another value as JSON. Without it, a `status` of 400 and above
    /// brings the provider's error shape, and one below brings no body.
    pub body: Option<Value>,
    /// Milliseconds before the answer begins.
    pub delay_ms: u64,
    /// Breaks the connection off after so many bytes of the body. A shorter body ends as usual.
    pub cut_after_bytes: Option<u64>,
    /// For so many requests; then the key is back to normal. `None`: until it is changed.
    pub times: Option<u64>,
    /// Takes the request, and then is silent until the client leaves.
    pub never_answer: bool,
    /// The number of text chunks in a streamed answer, whatever the request says.
    pub chunks: Option<u32>,
    /// Milliseconds between the chunks of a streamed answer, whatever the request says.
    pub gap_ms: Option<u64>,
}

impl Behaviour {
    /// Answers with `status` and the provider's error shape.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    /// This behaviour with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// This behaviour with a body of its own.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Value>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// This behaviour, for so many requests.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }
}

/// Why a behaviour cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBehaviour {
    /// The status is not a final one.
    #[error("status {0} is not between 200 and 999")]
    Status(u16),
    /// The name or the value of this header cannot be sent.
    #[error("header `{0}` cannot be sent")]
    Header(String),
    /// A behaviour for no request.
    #[error("times must be at least 1")]
    Times,
}

/// A behaviour made ready to be carried out.
#[derive(Debug)]
pub(crate) struct Orders {
    pub(crate) status: Option<StatusCode>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<(Bytes, &'static str)>,
    pub(crate) delay: Duration,
    pub(crate) cut_after_bytes: Option<u64>,
    pub(crate) never_answer: bool,
    pub(crate) chunks: Option<u32>,
    pub(crate) gap: Option<Duration>,
}

impl TryFrom<Behaviour> for Orders {
    type Error = InvalidBehaviour;

    fn try_from(behaviour: Behaviour) -> Result<Self, InvalidBehaviour> {
        let status = behaviour.status.map(|status| match StatusCode::from_u16(status) {
            Ok(code) if !code.is_informational() => Ok(code),
            _ => Err(InvalidBehaviour::Status(status)),
        });
        if behaviour.times == Some(0) {
            return Err(InvalidBehaviour::Times);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in behaviour.headers {
            match (HeaderName::try_from(&name), HeaderValue::try_from(value)) {
                (Ok(name), Ok(value)) => headers.insert(name, value),
                _ => return Err(InvalidBehaviour::Header(name)),
            };
        }
        Ok(Self {
            status: status.transpose()?,
            headers,
            body: behaviour.body.map(written),
            delay: Duration::from_millis(behaviour.delay_ms),
            cut_after_bytes: behaviour.cut_after_bytes,
            never_answer: behaviour.never_answer,
            chunks: behaviour.chunks,
            gap: behaviour.gap_ms.map(Duration::from_millis),
        })
    }
}

/// A body as it is sent, with its content type.
fn written(body: Value) -> (Bytes, &'static str) {
    match body {
        Value::String(text) if text.starts_with(['{', '[']) => (text.into(), JSON),
        Value::String(text) => (text.into(), TEXT),
        value => (value.to_string().into(), JSON),
    }
}

#[derive(Debug)]
struct Entry {
    orders: Arc<Orders>,
    times: Option<u64>,
}

/// The behaviours of all keys.
#[derive(Debug, Default)]
pub(crate) struct Behaviours {
    /// Lets requests pass without the lock while nothing is set, as in a benchmark.
    any: AtomicBool,
    providers: Mutex<HashMap<String, HashMap<String, Entry>>>,
}

impl Behaviours {
    pub(crate) fn set(&self, provider: &str, key: &str, behaviour: Behaviour) -> Result<(), InvalidBehaviour> {
        let times = behaviour.times;
        let entry = Entry { orders: Arc::new(behaviour.try_into()?), times };
        self.providers.lock().entry(provider.to_owned()).or_default().insert(key.to_owned(), entry);
        self.any.store(true, Ordering::SeqCst);
        Ok(())
    }

    pub(crate) fn clear(&self) {
        self.providers.lock().clear();
        self.any.store(false, Ordering::SeqCst);
    }

    /// What the next request of `key` meets: the key's own behaviour, or else that of every key.
    pub(crate) fn next(&self, provider: &str, key: &str) -> Option<Arc<Orders>> {
        if !self.any.load(Ordering::SeqCst) {
            return None;
        }
        let mut providers = self.providers.lock();
        let keys = providers.get_mut(provider)?;
        let name = if keys.contains_key(key) { key } else { ANY_KEY };
        let entry = keys.get_mut(name)?;
        let orders = Arc::clone(&entry.orders);
        if let Some(times) = &mut entry.times {
            *times -= 1;
            if *times == 0 {
                keys.remove(name);
            }
        }
        Some(orders)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(behaviours: &Behaviours, key: &str) -> Option<u16> {
        behaviours.next("p", key)?.status.map(|status| status.as_u16())
    }

    #[test]
    fn a_keys_own_behaviour_goes_before_that_of_every_key() {
        let behaviours = Behaviours::default();
        behaviours.set("p", ANY_KEY, Behaviour::status(500)).unwrap();
        behaviours.set("p", "a", Behaviour::status(429).times(2)).unwrap();
        assert_eq!(status(&behaviours, "a"), Some(429));
        assert_eq!(status(&behaviours, "b"), Some(500));
        assert_eq!(status(&behaviours, "a"), Some(429));
        assert_eq!(status(&behaviours, "a"), Some(500));
        behaviours.clear();
        assert_eq!(status(&behaviours, "a"), None);
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let behaviours = Behaviours::default();
        let set = |behaviour| behaviours.set("p", "k", behaviour).unwrap_err();
        assert_eq!(set(Behaviour::status(101)), InvalidBehaviour::Status(101));
        assert_eq!(set(Behaviour::status(1000)), InvalidBehaviour::Status(1000));
        assert_eq!(set(Behaviour::status(429).times(0)), InvalidBehaviour::Times);
        let two_lines = Behaviour::default().with_header("a", "b\nc");
        assert_eq!(set(two_lines), InvalidBehaviour::Header("a".to_owned()));
    }
}
