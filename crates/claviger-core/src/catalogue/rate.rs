//! How a provider speaks of its rate limits.

use serde::Deserialize;

use super::rule::{BodyPath, statuses};

/// How a provider tells that a limit is reached, and until when.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Which statuses speak of a rate limit; never empty. What such an answer means is for the error rules.
    #[serde(deserialize_with = "statuses")]
    pub statuses: Vec<u16>,
    /// Whether `Retry-After` comes with them.
    pub retry_after: RetryAfter,
    /// Headers with limits and what is left of them.
    #[serde(default, deserialize_with = "super::header_names")]
    pub headers: Vec<String>,
    /// The form of the time at which a limit ends.
    pub reset: Reset,
    /// Where in the body that time stands, for [`Reset::Body`] where it has a place of its own.
    pub reset_path: Option<BodyPath>,
    /// The header that advises for or against trying again.
    pub retry_hint_header: Option<String>,
    /// A word for people.
    pub note: Option<String>,
}

impl Default for Rate {
    /// What holds where nothing is known: 429.
    fn default() -> Self {
        Self {
            statuses: vec![429],
            retry_after: RetryAfter::Unknown,
            headers: Vec::new(),
            reset: Reset::Unknown,
            reset_path: None,
            retry_hint_header: None,
            note: None,
        }
    }
}

/// Whether a provider sends `Retry-After` when it is busy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RetryAfter {
    /// With every such answer.
    Always,
    /// With some, or without a promise.
    Sometimes,
    /// With none.
    Never,
    /// Nobody said.
    Unknown,
}

/// The form of the time at which a limit ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reset {
    /// A header with a duration such as `6m0s`, `1s`, `20ms`.
    GoDuration,
    /// A header with an RFC 3339 date.
    Rfc3339,
    /// A header with seconds from now.
    Seconds,
    /// A header with a date and time in UTC, without an offset.
    DatetimeUtc,
    /// Something in the body.
    Body,
    /// Not told.
    None,
    /// Nobody said whether it is told.
    Unknown,
}
