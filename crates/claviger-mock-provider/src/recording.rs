//! Whole requests, kept for tests that look at what arrived.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::request::Parts;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// How much of a body is kept.
const BODY_BYTES: usize = 64 << 10;
/// How many requests are kept; beyond that the oldest go.
const REQUESTS: usize = 10_000;

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// Such as `POST`.
    pub method: String,
    /// The path, with the provider's id in front, and the query, both undecoded.
    pub target: String,
    /// Such as `HTTP/1.1`.
    pub version: String,
    /// Names in lower case and values, in the order of arrival of each name.
    pub headers: Vec<(String, String)>,
    /// The first 64 KiB; bytes that are no text are replaced.
    pub body: String,
    /// The length of the whole body.
    pub body_bytes: u64,
}

impl RecordedRequest {
    /// The first value of a header; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Default)]
pub(crate) struct Recording {
    enabled: AtomicBool,
    requests: Mutex<VecDeque<RecordedRequest>>,
}

impl Recording {
    pub(crate) fn set_enabled(&self, enabled: bool) {
        self.enabled.store(enabled, Ordering::SeqCst);
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.requests.lock().iter().cloned().collect()
    }

    pub(crate) fn reset(&self) {
        self.set_enabled(false);
        self.requests.lock().clear();
    }

    pub(crate) fn note(&self, head: &Parts, body: &Bytes, body_bytes: u64) {
        if !self.enabled.load(Ordering::SeqCst) {
            return;
        }
        let headers = head.headers.iter();
        let request = RecordedRequest {
            method: head.method.to_string(),
            target: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            version: format!("{:?}", head.version),
            headers: headers
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
                .collect(),
            body: String::from_utf8_lossy(&body[..body.len().min(BODY_BYTES)]).into_owned(),
            body_bytes,
        };
        let mut requests = self.requests.lock();
        if requests.len() == REQUESTS {
            requests.pop_front();
        }
        requests.push_back(request);
    }
}
