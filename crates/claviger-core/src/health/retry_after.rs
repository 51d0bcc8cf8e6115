//! How long a provider says to wait, in the headers that any provider may use.

use std::time::{Duration, UNIX_EPOCH};

use super::reset::{seconds, until};
use super::verdict::Headers;
use crate::time::Timestamp;

/// The wait that an answer asks for: `retry-after-ms` (OpenAI's, and its SDKs obey it first), then `Retry-After` with
/// seconds, a fraction of them, or a date (RFC 9110, 10.2.3).
pub(super) fn retry_after(headers: &dyn Headers, now: Timestamp) -> Option<Duration> {
    let millis = headers.get("retry-after-ms").and_then(|text| seconds(text.trim(), 0.001));
    millis.or_else(|| headers.get("retry-after").and_then(|text| read(text.trim(), now)))
}

fn read(text: &str, now: Timestamp) -> Option<Duration> {
    seconds(text, 1.0).or_else(|| {
        let date = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        until(Timestamp::from_millis(0).after(date), now)
    })
}
