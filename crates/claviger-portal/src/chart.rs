//! The requests of a day, by the hour, drawn as a row of bars. A picture's words say the same.

use std::fmt::Write as _;
use std::time::Duration;

use claviger_app::UsageBucket;
use claviger_core::{KeyId, Timestamp};

use crate::text;

const HOUR: i64 = 3_600_000;
const HOURS: usize = 24;
/// The height of the highest bar, and the widths of bars with the space after them, in the picture's own units.
const HEIGHT: u64 = 28;
const STEP: usize = 5;
const BAR: usize = 4;

/// A key's day.
#[derive(Default)]
pub(crate) struct Chart {
    /// How many requests there were.
    pub(crate) count: String,
    /// The bars as SVG paths: what went well, and what met a limit or an error; both empty without requests.
    pub(crate) well: String,
    pub(crate) failed: String,
    /// What the picture shows.
    pub(crate) words: String,
}

#[derive(Clone, Copy, Default)]
struct Hour {
    requests: u64,
    failed: u64,
}

/// When the first hour that is shown began.
pub(crate) fn begin(now: Timestamp) -> Timestamp {
    let hours = i64::try_from(HOURS).unwrap_or_default();
    Timestamp::from_millis((now.as_millis() / HOUR - (hours - 1)) * HOUR)
}

/// The end of the hour that lasts.
pub(crate) fn end(now: Timestamp) -> Timestamp {
    begin(now).after(Duration::from_hours(24))
}

/// The days of a pool's keys, all drawn to one scale.
pub(crate) fn of_keys<'a>(
    keys: impl Iterator<Item = &'a KeyId>,
    buckets: &[UsageBucket],
    now: Timestamp,
) -> Vec<Chart> {
    let days: Vec<_> = keys.map(|key| day(key, buckets, begin(now))).collect();
    let highest = days.iter().flatten().map(|hour| hour.requests).max().unwrap_or_default();
    days.iter().map(|day| draw(day, highest, begin(now))).collect()
}

fn day(key: &KeyId, buckets: &[UsageBucket], begin: Timestamp) -> [Hour; HOURS] {
    let mut day = [Hour::default(); HOURS];
    for bucket in buckets.iter().filter(|bucket| bucket.key == *key) {
        let index = (bucket.start.as_millis() - begin.as_millis()).div_euclid(HOUR);
        if let Some(hour) = usize::try_from(index).ok().and_then(|index| day.get_mut(index)) {
            let counts = &bucket.counts;
            hour.requests += counts.requests;
            hour.failed += counts.rate_limited + counts.rejected + counts.provider_errors;
        }
    }
    day
}

fn draw(day: &[Hour; HOURS], highest: u64, begin: Timestamp) -> Chart {
    let (requests, failed) = day.iter().fold((0, 0), |(all, failed), hour| (all + hour.requests, failed + hour.failed));
    let count = text::requests(requests, failed);
    if requests == 0 {
        return Chart { count, ..Chart::default() };
    }
    let (mut well, mut bad) = (String::new(), String::new());
    for (index, hour) in day.iter().enumerate().filter(|(_, hour)| hour.requests > 0) {
        // What there is can be seen, however little it is.
        let high = |of: u64| if of == 0 { 0 } else { (of.saturating_mul(HEIGHT) / highest).max(1) };
        let (all, failed) = (high(hour.requests), high(hour.failed.min(hour.requests)));
        bar(&mut well, (index * STEP, BAR), HEIGHT - failed.min(all), all - failed.min(all));
        bar(&mut bad, (index * STEP, BAR), HEIGHT, failed.min(all));
    }
    let most = day.iter().enumerate().max_by_key(|(_, hour)| hour.requests).map_or(0, |(index, _)| index);
    let hours = u64::try_from(most).unwrap_or_default();
    let from = begin.after(Duration::from_hours(hours));
    let words = text::busiest(day[most].requests, &clock(from), &clock(from.after(Duration::from_hours(1))));
    Chart { count, well, failed: bad, words }
}

/// A bar that begins so far from the left and is so wide, stands on this height and is so high.
pub(crate) fn bar(path: &mut String, (left, wide): (usize, usize), foot: u64, height: u64) {
    if height > 0 {
        // Writing to a text does not fail.
        let _ = write!(path, "M{left} {foot}v-{height}h{wide}v{height}z");
    }
}

/// Hours and minutes of a date as it prints: `2026-01-31T12:00:00.000Z`.
pub(crate) fn clock(at: Timestamp) -> String {
    at.to_string().chars().skip(11).take(5).collect()
}

#[cfg(test)]
mod tests {
    use claviger_app::UseCounts;

    use super::*;

    fn bucket(key: &KeyId, hour: i64, requests: u64, rejected: u64) -> UsageBucket {
        let counts = UseCounts { requests, rejected, ..UseCounts::default() };
        UsageBucket { start: Timestamp::from_millis(hour * HOUR), key: key.clone(), counts }
    }

    #[test]
    fn a_days_bars_are_drawn_to_one_scale_with_what_failed_at_the_foot() {
        let now = Timestamp::from_millis(100 * HOUR + 5);
        let keys = [1, 2, 3].map(|byte| KeyId::new(now, [byte; 10]));
        let buckets = [bucket(&keys[0], 77, 28, 0), bucket(&keys[1], 100, 14, 7), bucket(&keys[1], 76, 90, 0)];
        let charts = of_keys(keys.iter(), &buckets, now);
        assert_eq!((charts[0].well.as_str(), charts[0].failed.as_str()), ("M0 28v-28h4v28z", ""));
        assert_eq!((charts[1].well.as_str(), charts[1].failed.as_str()), ("M115 21v-7h4v7z", "M115 28v-7h4v7z"));
        assert_eq!(charts[0].words, "Most were between 05:00 and 06:00 UTC: 28.");
        assert_eq!((charts[2].well.as_str(), charts[2].count.as_str()), ("", "No requests in the last 24 hours"));
        assert_eq!((begin(now).as_millis(), end(now).as_millis()), (77 * HOUR, 101 * HOUR));
    }
}
