//! `Retry-After`, and the moments at which limits begin anew.

use std::time::Duration;

use claviger_core::Timestamp;
use claviger_core::health::{Answer, Class, MAX_WAIT, judge};

use crate::verdict::{Written, is_bounded, now, provider};

/// An input is the provider's id on a line of its own, and the text that stands in every header that tells of time.
pub fn waits(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (id, value) = text.split_once('\n').unwrap_or(("", &text));
    let provider = provider(id);
    let limits = provider.rate.limits();
    let spent = limits.iter().flat_map(|limit| [(limit.remaining.as_str(), "0"), (limit.reset.as_str(), value)]);
    let left = limits.iter().flat_map(|limit| [(limit.remaining.as_str(), "1"), (limit.reset.as_str(), value)]);
    let retry_after = vec![("retry-after", value)];
    let retry_after_ms = vec![("retry-after-ms", value), ("retry-after", "7")];
    let counted = limits.iter().flat_map(|limit| [(limit.remaining.as_str(), value), (limit.reset.as_str(), "1s")]);
    for headers in [spent.collect(), left.collect(), retry_after.clone(), retry_after_ms, counted.collect()] {
        for status in [200, 429, 503] {
            for now in [now(), Timestamp::from_millis(0), Timestamp::MAX] {
                let verdict = judge(provider, &Answer { status, headers: &Written(headers.clone()), body: b"" }, now);
                assert_eq!(verdict.status, status);
                if now == crate::verdict::now() {
                    is_bounded(verdict);
                }
                assert!(verdict.wait.is_none_or(|wait| !wait.is_zero() && wait <= MAX_WAIT), "{verdict:?}");
            }
        }
    }
    seconds_count_as_seconds(provider, value, retry_after);
    round_trip(value);
}

/// A plain number of seconds is the wait; of milliseconds in the other header likewise.
fn seconds_count_as_seconds(provider: &claviger_core::Provider, value: &str, headers: Vec<(&str, &str)>) {
    let verdict = judge(provider, &Answer { status: 503, headers: &Written(headers), body: b"" }, now());
    let number = value.trim().parse::<u32>().ok().filter(|_| value.trim().bytes().all(|byte| byte.is_ascii_digit()));
    if let (Class::Overloaded | Class::RateLimited, Some(number)) = (verdict.class, number) {
        let wanted = Duration::from_secs(number.into()).min(MAX_WAIT);
        assert_eq!(verdict.wait, (number > 0).then_some(wanted), "{value:?}");
    }
}

/// A date that was read prints as itself.
fn round_trip(value: &str) {
    if let Some(read) = Timestamp::parse(value) {
        assert_eq!(Timestamp::parse(&read.to_string()), Some(read));
    }
}
