//! Errors that come as the first event of a stream, inside a 200.
//!
//! The shapes: `event: error` with any data; data that is an object with a member `error`; data that says of itself
//! `"type": "error"` (Anthropic, and OpenAI's responses) or `"object": "error"` (vLLM and whoever serves with it).

use serde_json::Value;

use super::body::{Exhibit, text_of};
use super::verdict::{Answer, Headers, Verdict, judge_exhibit};
use crate::catalogue::{Place, Provider};
use crate::time::Timestamp;

/// What an error without any known word counts as: the provider's trouble, which is no key's fault.
const UNKNOWN: u16 = 500;

/// The words for errors that several providers share, and the statuses with which they send them outside of streams.
///
/// Sources: Anthropic's and OpenAI's pages on errors (see the catalogue's `docs`), and Google's list of codes,
/// <https://cloud.google.com/apis/design/errors>.
const WORDS: [(&str, u16); 25] = [
    ("invalid_request_error", 400),
    ("authentication_error", 401),
    ("invalid_api_key", 401),
    ("billing_error", 402),
    ("permission_error", 403),
    ("not_found_error", 404),
    ("request_too_large", 413),
    ("insufficient_quota", 429),
    ("rate_limit_error", 429),
    ("rate_limit_exceeded", 429),
    ("too_many_requests", 429),
    ("api_error", 500),
    ("server_error", 500),
    ("internal_server_error", 500),
    ("service_unavailable_error", 503),
    ("server_is_overloaded", 503),
    ("timeout_error", 504),
    ("overloaded_error", 529),
    ("INVALID_ARGUMENT", 400),
    ("FAILED_PRECONDITION", 400),
    ("UNAUTHENTICATED", 401),
    ("PERMISSION_DENIED", 403),
    ("NOT_FOUND", 404),
    ("RESOURCE_EXHAUSTED", 429),
    ("UNAVAILABLE", 503),
];

/// Judges the first event of a stream, if it is an error: as if its data were the body of an answer with the status that
/// it names or means. Takes the event's bytes as they came; what follows a blank line is not looked at.
#[must_use]
pub fn judge_event(provider: &Provider, headers: &dyn Headers, event: &[u8], now: Timestamp) -> Option<Verdict> {
    let (name, data) = fields(event);
    let exhibit = |status| Exhibit::new(&Answer { status, headers, body: &data });
    let unplaced = exhibit(UNKNOWN);
    if name != b"error" && !unplaced.json().is_some_and(is_error) {
        return None;
    }
    let status = unplaced.json().and_then(numeric).or_else(|| by_rules(provider, &unplaced));
    let status = status.or_else(|| unplaced.json().and_then(by_words)).unwrap_or(UNKNOWN);
    Some(judge_exhibit(provider, &exhibit(status), now))
}

/// The event's name and data. The fields of an event stream are those of the HTML standard, 9.2.6.
fn fields(event: &[u8]) -> (&[u8], Vec<u8>) {
    let (mut name, mut data) = (&b""[..], Vec::new());
    let mut begun = false;
    for (line, _) in lines(event) {
        match field(line) {
            None if begun => break,
            Some((b"event", value)) => (name, begun) = (value, true),
            Some((b"data", value)) => {
                if !data.is_empty() {
                    data.push(b'\n');
                }
                data.extend_from_slice(value);
                begun = true;
            }
            None | Some(_) => {}
        }
    }
    (name, data)
}

/// The lines of a stream, each with whether it is there to its end. A mark of the byte order goes before the first.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (&[u8], bool)> {
    let mut rest = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(end) = rest.iter().position(|b| matches!(b, b'\n' | b'\r')) else {
            return Some((std::mem::take(&mut rest), false));
        };
        let line = &rest[..end];
        let broken = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(broken)..];
        Some((line, true))
    })
}

/// A line's field and value; none for the blank line that ends an event. A comment is a field without a name.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if line.is_empty() {
        return None;
    }
    let Some(colon) = line.iter().position(|b| *b == b':') else {
        return Some((line, b""));
    };
    let value = &line[colon + 1..];
    Some((&line[..colon], value.strip_prefix(b" ").unwrap_or(value)))
}

fn is_error(data: &Value) -> bool {
    let says = |name: &str| data.get(name).and_then(Value::as_str) == Some("error");
    let error = data.get("error");
    // Some send `"error": null`, or an empty text, with every event.
    error.is_some_and(|error| error.is_object() || error.as_str().is_some_and(|text| !text.is_empty()))
        || says("type")
        || says("object")
}

/// The values of these members, of the error first and then of what is around it.
fn members<'a>(data: &'a Value, names: &'a [&'a str]) -> impl Iterator<Item = &'a Value> {
    let places = [data.get("error"), Some(data)].into_iter().flatten();
    places.flat_map(move |place| names.iter().filter_map(move |name| place.get(*name)))
}

fn numeric(data: &Value) -> Option<u16> {
    let numbers = members(data, &["code", "status", "status_code"]);
    numbers.filter_map(|value| text_of(value)?.parse().ok()).find(|status| (400..=599).contains(status))
}

/// The status of the provider's first rule whose word stands in the body: it knows codes such as Z.ai's 1113.
fn by_rules(provider: &Provider, exhibit: &Exhibit<'_>) -> Option<u16> {
    let rule = provider.errors.iter().find(|rule| {
        matches!(rule.at, Place::Body(_)) && rule.test.as_ref().is_some_and(|test| exhibit.passes(&rule.at, test))
    })?;
    rule.statuses.first().copied()
}

fn by_words(data: &Value) -> Option<u16> {
    let of_word = |value: &Value| {
        let word = value.as_str()?;
        WORDS.iter().find(|(known, _)| *known == word).map(|(_, status)| *status)
    };
    members(data, &["code", "type", "status"]).find_map(of_word)
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

const FIELDS: [&[u8]; 4] = [b"event", b"data", b"id", b"retry"];

/// How the data of an error may begin: these, with blanks between.
const BEGINNINGS: [&[&[u8]]; 4] = [
    &[b"{", b"\"error\"", b":", b"{"],
    &[b"{", b"\"error\"", b":", b"\""],
    &[b"{", b"\"type\"", b":", b"\"error\""],
    &[b"{", b"\"object\"", b":", b"\"error\""],
];

/// Whether a stream that begins with these bytes may begin with an error event: false as soon as it cannot, so that a
/// good stream waits for a few bytes only. An error whose first member is none of those that errors begin with is missed,
/// unless its event is named.
#[must_use]
pub fn may_begin_error_event(prefix: &[u8]) -> bool {
    if BYTE_ORDER_MARK.starts_with(prefix) {
        return true;
    }
    for (line, whole) in lines(prefix) {
        match field(line) {
            Some((b"event", value)) if whole => return value == b"error",
            Some((b"event", value)) => return b"error".starts_with(value),
            Some((b"data", value)) => return may_begin_error(value),
            // Comments, ids and the like tell nothing; nor do blank lines before the first event.
            None | Some((b"" | b"id" | b"retry", _)) => {}
            Some((name, _)) => return !whole && name == line && FIELDS.iter().any(|field| field.starts_with(name)),
        }
    }
    true
}

fn may_begin_error(data: &[u8]) -> bool {
    BEGINNINGS.iter().any(|words| {
        let mut rest = data;
        words.iter().all(|word| {
            rest = rest.trim_ascii_start();
            let end = rest.len().min(word.len());
            let fits = word.starts_with(&rest[..end]);
            rest = &rest[end..];
            fits
        })
    })
}
