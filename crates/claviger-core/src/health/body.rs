//! An answer's body as rules look at it: as text and as JSON, each made at most once, and only when a rule asks.

use std::borrow::Cow;
use std::cell::OnceCell;

use serde_json::Value;

use super::verdict::{Answer, Headers};
use crate::catalogue::{BodyPath, Case, Check, Place, Step, Test};

/// How much of a body is looked at, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// An answer under examination.
pub(super) struct Exhibit<'a> {
    pub(super) status: u16,
    pub(super) headers: &'a dyn Headers,
    pub(super) body: &'a [u8],
    text: OnceCell<Cow<'a, str>>,
    /// The text in lower case.
    folded: OnceCell<String>,
    json: OnceCell<Option<Value>>,
}

impl<'a> Exhibit<'a> {
    pub(super) fn new(answer: &Answer<'a>) -> Self {
        Self {
            status: answer.status,
            headers: answer.headers,
            body: &answer.body[..answer.body.len().min(MAX_BODY)],
            text: OnceCell::new(),
            folded: OnceCell::new(),
            json: OnceCell::new(),
        }
    }

    /// Whether the answer's status is listed and every check holds.
    pub(super) fn fits(&self, case: &Case) -> bool {
        case.statuses.contains(&self.status) && case.when.iter().all(|Check { at, test }| self.passes(at, test))
    }

    /// Whether what stands at the place passes the test.
    pub(super) fn passes(&self, at: &Place, test: &Test) -> bool {
        match at {
            // The catalogue has no test there: the status is what cases and rules list.
            Place::Status => false,
            Place::Header(name) => match self.headers.get(name) {
                Some(value) => text_passes(value, test),
                None => *test == Test::Exists(false),
            },
            Place::Text if self.body.is_empty() => *test == Test::Exists(false),
            Place::Text => match test {
                Test::Contains(part) => self.folded().contains(&part.to_lowercase()),
                test => text_passes(self.text(), test),
            },
            Place::Body(path) => {
                let values = self.values(path);
                match test {
                    Test::Exists(wanted) => values.is_empty() != *wanted,
                    test => values.iter().any(|value| value_passes(value, test)),
                }
            }
        }
    }

    /// What stands at the path; null counts as absent.
    pub(super) fn values(&self, path: &BodyPath) -> Vec<&Value> {
        let mut found: Vec<_> = self.json().into_iter().collect();
        if let (Some(Step::Member(_)), [Value::Array(elements)]) = (path.steps().first(), found.as_slice()) {
            found = elements.iter().collect();
        }
        for step in path.steps() {
            found = match step {
                Step::Member(name) => found.into_iter().filter_map(|value| value.get(name.as_str())).collect(),
                Step::Each => found.into_iter().filter_map(Value::as_array).flatten().collect(),
            };
        }
        found.retain(|value| !value.is_null());
        found
    }

    /// The body as JSON, if it is JSON.
    pub(super) fn json(&self) -> Option<&Value> {
        // Without a body there is not even an error to allocate.
        if self.body.is_empty() {
            return None;
        }
        self.json.get_or_init(|| serde_json::from_slice(self.body).ok()).as_ref()
    }

    /// The body as text in lower case.
    pub(super) fn folded(&self) -> &str {
        self.folded.get_or_init(|| self.text().to_lowercase())
    }

    fn text(&self) -> &str {
        self.text.get_or_init(|| String::from_utf8_lossy(self.body))
    }
}

/// A value's text, as tests compare it. Objects and arrays have none.
pub(super) fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(truth) => Some(Cow::Borrowed(if *truth { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn value_passes(value: &Value, test: &Test) -> bool {
    match (value, test) {
        // A truth is no number, though its text is compared.
        (Value::Bool(_), Test::Min(_)) => false,
        _ => text_of(value).is_some_and(|text| text_passes(&text, test)),
    }
}

fn text_passes(value: &str, test: &Test) -> bool {
    match test {
        Test::Eq(wanted) => value == wanted,
        Test::In(wanted) => wanted.iter().any(|one| value == one),
        Test::Contains(part) => value.to_lowercase().contains(&part.to_lowercase()),
        Test::Min(least) => is_at_least(value.trim(), *least),
        Test::Exists(wanted) => *wanted,
    }
}

fn is_at_least(text: &str, least: i64) -> bool {
    if let Ok(whole) = text.parse::<i128>() {
        return whole >= i128::from(least);
    }
    // Rust also reads "inf" and "nan", which no provider means as a number.
    #[expect(clippy::cast_precision_loss, reason = "whole numbers were compared above; a fraction is no exact bound")]
    let least = least as f64;
    text.parse::<f64>().is_ok_and(|number| number.is_finite() && number >= least)
}
