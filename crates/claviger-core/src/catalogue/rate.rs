//! How a provider speaks of its rate limits.

use jiff::tz::TimeZone;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::rule::{BodyPath, statuses};

/// How a provider tells that a limit is reached, and until when.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(from = "RawRate")]
pub struct Rate {
    /// Which statuses speak of a rate limit; never empty. What such an answer means is for the error rules.
    pub statuses: Vec<u16>,
    /// Whether `Retry-After` comes with them.
    pub retry_after: RetryAfter,
    /// Headers with limits and what is left of them.
    pub headers: Vec<String>,
    /// The form of the time at which a limit ends.
    pub reset: Reset,
    /// Where in the body that time stands, for [`Reset::Body`] where it has a place of its own.
    pub reset_path: Option<BodyPath>,
    /// The header that advises for or against trying again.
    pub retry_hint_header: Option<String>,
    /// Limits are by model, and the model is what follows this in a path.
    pub model_after: Option<String>,
    /// How a limit for the day is told, where there is one.
    pub day: Option<Day>,
    /// A word for people.
    pub note: Option<String>,
    /// Made of `headers`, so that no answer has to be searched for them.
    limits: Vec<Limit>,
}

/// One limit of which every answer may tell how much is left, and when it begins anew.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limit {
    /// The header that counts down to 0, in lower case.
    pub remaining: String,
    /// The header that says when the limit begins anew, in lower case.
    pub reset: String,
}

/// A limit for each day, which begins anew at midnight somewhere.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Day {
    /// What the body of an answer holds if it is this limit that was hit, upper and lower case alike.
    pub text: String,
    /// Where midnight counts: a time zone by its rules, as POSIX writes them, so that no table of zones is needed.
    #[serde(deserialize_with = "zone")]
    pub zone: TimeZone,
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeZone, D::Error> {
    let rules = String::deserialize(deserializer)?;
    TimeZone::posix(&rules).map_err(|_| D::Error::custom(format_args!("`{rules}` is no POSIX time zone")))
}

/// [`Rate`] as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRate {
    #[serde(deserialize_with = "statuses")]
    statuses: Vec<u16>,
    retry_after: RetryAfter,
    #[serde(default, deserialize_with = "super::header_names")]
    headers: Vec<String>,
    reset: Reset,
    reset_path: Option<BodyPath>,
    retry_hint_header: Option<String>,
    model_after: Option<String>,
    day: Option<Day>,
    note: Option<String>,
}

impl From<RawRate> for Rate {
    fn from(raw: RawRate) -> Self {
        Self {
            limits: limits(&raw.headers, raw.reset),
            statuses: raw.statuses,
            retry_after: raw.retry_after,
            headers: raw.headers,
            reset: raw.reset,
            reset_path: raw.reset_path,
            retry_hint_header: raw.retry_hint_header,
            model_after: raw.model_after,
            day: raw.day,
            note: raw.note,
        }
    }
}

/// How a header's name says what it counts, and how the header beside it that says until when is then named.
/// `request-left` and `reset-seconds` are Prospeo's words.
const PAIRS: [(&str, &str); 2] = [("remaining", "reset"), ("request-left", "reset-seconds")];

/// Finds the headers that belong together by their names. None where the time is not in a header, or in no known form.
fn limits(headers: &[String], reset: Reset) -> Vec<Limit> {
    if matches!(reset, Reset::Body | Reset::None | Reset::Unknown) {
        return Vec::new();
    }
    let names: Vec<_> = headers.iter().map(|name| name.to_ascii_lowercase()).collect();
    let pair = |name: &String| {
        let (left, until) = PAIRS.iter().find(|(left, _)| name.contains(left))?;
        let reset = name.replacen(left, until, 1);
        names.contains(&reset).then(|| Limit { remaining: name.clone(), reset })
    };
    names.iter().filter_map(pair).collect()
}

impl Rate {
    /// The limits of which answers tell how much is left.
    #[must_use]
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// The model whose limits a request counts against, where limits are by model: it is found in the path and nowhere
    /// else, since requests' bodies are not looked into.
    #[must_use]
    pub fn model_of<'a>(&self, path: &'a str) -> Option<&'a str> {
        let after = self.model_after.as_deref()?;
        let (_, rest) = path.split_once(after)?;
        let model = rest.split([':', '/', '?']).next()?;
        (!model.is_empty()).then_some(model)
    }
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
            model_after: None,
            day: None,
            note: None,
            limits: Vec::new(),
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

#[cfg(test)]
mod tests;
