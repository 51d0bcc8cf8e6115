//! The moments at which limits begin anew, in the forms in which providers tell them.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::body::{Exhibit, text_of};
use super::verdict::{Headers, MAX_WAIT};
use crate::catalogue::{Rate, Reset};
use crate::time::Timestamp;

/// The shortest rest where it is only guessed which limit was hit.
const LEAST_GUESS: Duration = Duration::from_secs(1);

/// Until the limits that have nothing left begin anew: all of them must.
pub(super) fn of_spent_limits(rate: &Rate, headers: &dyn Headers, now: Timestamp) -> Option<Duration> {
    let spent = rate.limits().iter().filter(|limit| headers.get(&limit.remaining).is_some_and(is_spent));
    spent.filter_map(|limit| read(rate.reset, headers.get(&limit.reset)?, now)).max()
}

/// Until the soonest of all limits begins anew. For an answer that a limit was hit, while each still counts something: a
/// request may cost more than is left. Which limit it was is not told, so the soonest is taken; if that was wrong, one
/// request finds out, while a rest until the last one may be hours too long.
pub(super) fn of_any_limit(rate: &Rate, headers: &dyn Headers, now: Timestamp) -> Option<Duration> {
    let waits = rate.limits().iter().filter_map(|limit| read(rate.reset, headers.get(&limit.reset)?, now));
    waits.min().map(|wait| wait.max(LEAST_GUESS))
}

/// Until midnight, where the body says that it is the day's limit that was hit.
pub(super) fn of_day(rate: &Rate, exhibit: &Exhibit<'_>, now: Timestamp) -> Option<Duration> {
    let day = rate.day.as_ref().filter(|day| exhibit.folded().contains(&day.text.to_lowercase()))?;
    let today = jiff::Timestamp::from_millisecond(now.as_millis()).ok()?.to_zoned(day.zone.clone());
    let midnight = today.tomorrow().ok()?.start_of_day().ok()?;
    until(Timestamp::from_millis(midnight.timestamp().as_millisecond()), now)
}

/// The wait that the body tells, for [`Reset::Body`].
pub(super) fn of_body(rate: &Rate, exhibit: &Exhibit<'_>, now: Timestamp) -> Option<Duration> {
    if rate.reset != Reset::Body {
        return None;
    }
    match &rate.reset_path {
        Some(path) => {
            let values = exhibit.values(path);
            let waits = values.into_iter().filter_map(|value| {
                let text = text_of(value)?;
                go_duration(text.trim()).or_else(|| until(Timestamp::parse(text.trim())?, now))
            });
            waits.max()
        }
        None => in_words(exhibit.folded()),
    }
}

/// The wait that a sentence names, such as Firecrawl's "please retry after 37s, resets at …".
fn in_words(folded: &str) -> Option<Duration> {
    ["retry after ", "retry in ", "try again in "].into_iter().find_map(|phrase| {
        let (_, rest) = folded.split_once(phrase)?;
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
        let word = rest[..end].trim_end_matches('.');
        go_duration(word).or_else(|| seconds(word, 1.0))
    })
}

fn is_spent(text: &str) -> bool {
    // A plain 0 as a rule; some count on below it.
    text == "0" || text.trim().parse::<f64>().is_ok_and(|left| left <= 0.0)
}

/// Reads a moment in this form as a wait. None where it is past, or is no such thing.
fn read(form: Reset, text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    match form {
        Reset::GoDuration => go_duration(text),
        Reset::Rfc3339 => until(Timestamp::parse(text)?, now),
        Reset::Seconds => seconds(text, 1.0),
        Reset::DatetimeUtc => until(datetime_utc(text)?, now),
        Reset::Body | Reset::None | Reset::Unknown => None,
    }
}

/// A date and time without an offset, which is UTC; one with an offset is taken at its word.
fn datetime_utc(text: &str) -> Option<Timestamp> {
    if let Some(point) = Timestamp::parse(text) {
        return Some(point);
    }
    let text = text.strip_suffix("UTC").unwrap_or(text).trim_end();
    let point = TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok()?;
    Some(Timestamp::from_millis(point.as_millisecond()))
}

/// The wait until a moment that is still to come, at most [`MAX_WAIT`].
pub(super) fn until(moment: Timestamp, now: Timestamp) -> Option<Duration> {
    let millis = u64::try_from(moment.as_millis() - now.as_millis()).ok()?;
    believed(Duration::from_millis(millis))
}

/// A number of units, each so many seconds long. What is negative or no number is no wait.
pub(super) fn seconds(text: &str, unit: f64) -> Option<Duration> {
    // Only digits and a point: Rust also reads "inf", "nan" and "1e9".
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number = plain.then(|| text.parse::<f64>().ok()).flatten()?;
    believed(Duration::from_secs_f64((number * unit).min(MAX_WAIT.as_secs_f64())))
}

/// A duration as Go prints it, such as `6m0s`, `1.5s` or `20ms`. Each unit at most once, from the longest on, as Go does.
fn go_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 7] =
        [("h", 3600.0), ("m", 60.0), ("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9)];
    let mut rest = text;
    let mut units: &[_] = &UNITS;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, unit) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (name, tail) = unit.split_at(unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len()));
        let index = units.iter().position(|(known, _)| *known == name)?;
        let number = number.parse::<f64>().ok()?;
        total = total.saturating_add(Duration::from_secs_f64((number * units[index].1).min(MAX_WAIT.as_secs_f64())));
        units = &units[index + 1..];
        rest = tail;
    }
    believed(total)
}

/// No wait is no hint, and a wait beyond the cap is shortened to it. Rounded up to what a [`Timestamp`] can tell.
fn believed(wait: Duration) -> Option<Duration> {
    let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).ok()?;
    (millis > 0).then(|| Duration::from_millis(millis).min(MAX_WAIT))
}
