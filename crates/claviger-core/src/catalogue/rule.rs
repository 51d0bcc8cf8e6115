//! What a provider's answers mean: places in an answer, tests on what stands there, and the rules made of both.

use std::fmt;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// What an error says about the key that got it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The key is dead until somebody replaces it.
    KeyInvalid,
    /// The key is fine; its account cannot pay.
    NoCredit,
    /// The key is fine; later.
    RateLimited,
    /// This call is not for this key (plan, scope, region, address). No proof of a bad key.
    AccountPermission,
    /// The provider's trouble. Says nothing about the key.
    Overloaded,
    /// The caller's request. Says nothing about the key.
    RequestError,
}

/// Where a fact about a provider comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The vendor's documentation.
    Doc,
    /// The vendor's SDK or other open source.
    Sdk,
    /// A public report.
    Seen,
    /// General knowledge, not confirmed.
    Memory,
}

/// Where in an answer to look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// The status alone.
    Status,
    /// A header's value. The name as the provider writes it; names compare without regard to case.
    Header(String),
    /// A value in a JSON body.
    Body(BodyPath),
    /// The body as text.
    Text,
}

/// A path into a JSON body: names with dots between, `name[]` for any element of an array. The empty path is the body.
/// Where the body is an array itself, a path that begins with a name looks into each of its elements: Google sends errors
/// so where a stream was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BodyPath(Vec<Step>);

/// One step of a [`BodyPath`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// The object's member of this name.
    Member(String),
    /// Every element of the array; one that passes the test is enough.
    Each,
}

/// What is asked of the value at a place. Strings, numbers and booleans compare by their text, so that `1300` and
/// `"1300"` are equal; null counts as absent. A value that is absent passes no test but `Exists(false)`.
#[derive(Clone, PartialEq, Debug)]
pub enum Test {
    /// The value is this, letter by letter.
    Eq(String),
    /// The value is one of these.
    In(Vec<String>),
    /// The value holds this, upper and lower case alike.
    Contains(String),
    /// The value is a number, or text that reads as one, and is at least this.
    Min(i64),
    /// There is a value, or there is none.
    Exists(bool),
}

/// A test at a place, as a probe's cases use it.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(try_from = "RawCheck")]
pub struct Check {
    /// Where; never the status.
    pub at: Place,
    /// What is asked.
    pub test: Test,
}

/// What an error answer means. The first rule of a provider that matches counts.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(try_from = "RawRule")]
pub struct ErrorRule {
    /// What it says about the key.
    pub class: ErrorClass,
    /// The statuses it is for; never empty.
    pub statuses: Vec<u16>,
    /// Where to look.
    pub at: Place,
    /// What is asked there; none where the status says it all.
    pub test: Option<Test>,
    /// Where this is known from.
    pub src: Source,
    /// A word for people.
    pub note: Option<String>,
}

/// A rule or a check that cannot be applied.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidRule {
    /// Text that names no place.
    #[error("`{0}` is no place: must be status, header:<name>, body:<path>, body or text")]
    Place(String),
    /// A test on the status, which `statuses` already holds.
    #[error("`at = \"status\"` takes no test")]
    TestOfStatus,
    /// A place and nothing asked of it.
    #[error("`at = \"{0}\"` needs one of eq, in, contains, min, exists")]
    NoTest(String),
    /// More than one test at a place.
    #[error("`at = \"{0}\"` takes only one of eq, in, contains, min, exists")]
    SeveralTests(String),
    /// A test that every value or no value would pass.
    #[error("`at = \"{0}\"` has an empty test")]
    EmptyTest(String),
    /// Nothing to apply to.
    #[error("`statuses` must not be empty")]
    NoStatuses,
    /// A number that is no HTTP status.
    #[error("status {0} is not from 100 to 599")]
    Status(u16),
}

/// [`ErrorRule`] as written. The tests are fields of their own, not a flattened table: serde cannot refuse unknown
/// fields beside a flattened one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    class: ErrorClass,
    #[serde(deserialize_with = "statuses")]
    statuses: Vec<u16>,
    at: Place,
    eq: Option<String>,
    r#in: Option<Vec<String>>,
    contains: Option<String>,
    min: Option<i64>,
    exists: Option<bool>,
    src: Source,
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCheck {
    at: Place,
    eq: Option<String>,
    r#in: Option<Vec<String>>,
    contains: Option<String>,
    min: Option<i64>,
    exists: Option<bool>,
}

impl TryFrom<RawRule> for ErrorRule {
    type Error = InvalidRule;

    fn try_from(raw: RawRule) -> Result<Self, InvalidRule> {
        let tests = tests(raw.eq, raw.r#in, raw.contains, raw.min, raw.exists);
        let test = match (&raw.at, tests.is_empty()) {
            (Place::Status, true) => None,
            (Place::Status, false) => return Err(InvalidRule::TestOfStatus),
            (place, _) => Some(only_test(place, tests)?),
        };
        Ok(Self { class: raw.class, statuses: raw.statuses, at: raw.at, test, src: raw.src, note: raw.note })
    }
}

impl TryFrom<RawCheck> for Check {
    type Error = InvalidRule;

    fn try_from(raw: RawCheck) -> Result<Self, InvalidRule> {
        if raw.at == Place::Status {
            return Err(InvalidRule::TestOfStatus);
        }
        let tests = tests(raw.eq, raw.r#in, raw.contains, raw.min, raw.exists);
        let test = only_test(&raw.at, tests)?;
        Ok(Self { at: raw.at, test })
    }
}

fn tests(
    eq: Option<String>,
    any: Option<Vec<String>>,
    contains: Option<String>,
    min: Option<i64>,
    exists: Option<bool>,
) -> Vec<Test> {
    let tests = [
        eq.map(Test::Eq),
        any.map(Test::In),
        contains.map(Test::Contains),
        min.map(Test::Min),
        exists.map(Test::Exists),
    ];
    tests.into_iter().flatten().collect()
}

fn only_test(place: &Place, mut given: Vec<Test>) -> Result<Test, InvalidRule> {
    let test = given.pop().ok_or_else(|| InvalidRule::NoTest(place.to_string()))?;
    if !given.is_empty() {
        return Err(InvalidRule::SeveralTests(place.to_string()));
    }
    let empty = match &test {
        Test::Contains(part) => part.is_empty(),
        Test::In(values) => values.is_empty(),
        Test::Eq(_) | Test::Min(_) | Test::Exists(_) => false,
    };
    if empty { Err(InvalidRule::EmptyTest(place.to_string())) } else { Ok(test) }
}

/// Reads a list of statuses: not empty, and each one HTTP's.
pub(super) fn statuses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u16>, D::Error> {
    let statuses = Vec::<u16>::deserialize(deserializer)?;
    if statuses.is_empty() {
        return Err(D::Error::custom(InvalidRule::NoStatuses));
    }
    match statuses.iter().find(|status| !(100..=599).contains(*status)) {
        Some(status) => Err(D::Error::custom(InvalidRule::Status(*status))),
        None => Ok(statuses),
    }
}

/// Whether HTTP allows the name: one or more token characters (RFC 9110, 5.6.2).
pub(super) fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

impl BodyPath {
    /// The steps from the whole body to the value.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl FromStr for BodyPath {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (name, each) = match part.strip_suffix("[]") {
                Some(name) => (name, true),
                None => (part, false),
            };
            if name.is_empty() || name.contains(['[', ']', ' ']) {
                return Err(InvalidRule::Place(text.to_owned()));
            }
            steps.push(Step::Member(name.to_owned()));
            steps.extend(each.then_some(Step::Each));
        }
        Ok(Self(steps))
    }
}

impl fmt::Display for BodyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Each => f.write_str("[]")?,
                Step::Member(name) if index == 0 => f.write_str(name)?,
                Step::Member(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for Place {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let wrong = || InvalidRule::Place(text.to_owned());
        match text.split_once(':') {
            None => match text {
                "status" => Ok(Self::Status),
                "text" => Ok(Self::Text),
                "body" => Ok(Self::Body(BodyPath(Vec::new()))),
                _ => Err(wrong()),
            },
            Some(("header", name)) if is_header_name(name) => Ok(Self::Header(name.to_owned())),
            Some(("body", path)) => path.parse().map(Self::Body).map_err(|_| wrong()),
            Some(_) => Err(wrong()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status => f.write_str("status"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Body(path) if path.0.is_empty() => f.write_str("body"),
            Self::Body(path) => write!(f, "body:{path}"),
            Self::Text => f.write_str("text"),
        }
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::parsed(deserializer)
    }
}

impl<'de> Deserialize<'de> for BodyPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::parsed(deserializer)
    }
}

#[cfg(test)]
mod tests;
