//! Kinds of values.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};
use tracing::level_filters::LevelFilter;
use zeroize::Zeroizing;

use crate::cli::LogFormat;

/// A setting that is not to be seen: it prints as nothing, and is wiped on drop.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    pub(crate) fn expose(&self) -> &Zeroizing<String> {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A length of time, written like `5s`, `300ms` or `10m`; longer than nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
        match parsed {
            Some(span) if !span.is_zero() => Ok(Self(span)),
            _ => Err(D::Error::invalid_value(Unexpected::Str(&text), &"a time such as 5s, 300ms or 10m")),
        }
    }
}

/// A length of time as [`Span`], or none at all: `0s`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SpanOrNone(pub(crate) Duration);

impl<'de> Deserialize<'de> for SpanOrNone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
        parsed
            .map(Self)
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"a time such as 5s, 300ms or 10m, or 0s"))
    }
}

/// A size in bytes, written like `8MiB`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size(pub(crate) usize);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = text.parse::<ByteSize>().ok().and_then(|size| usize::try_from(size.as_u64()).ok());
        parsed.map(Self).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"a size such as 8MiB"))
    }
}

/// Several texts: a list or, as the environment has it, separated by commas.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(from = "ListOrText")]
pub(crate) struct Texts(pub(crate) Vec<String>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "a list of texts")]
enum ListOrText {
    List(Vec<String>),
    Text(String),
}

impl From<ListOrText> for Texts {
    fn from(given: ListOrText) -> Self {
        Self(match given {
            ListOrText::List(list) => list,
            ListOrText::Text(text) => {
                text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect()
            }
        })
    }
}

impl TryFrom<String> for LogFormat {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.as_str() {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("must be text or json"),
        }
    }
}

/// From which level on events are logged.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Level(pub(crate) LevelFilter);

impl TryFrom<String> for Level {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        match text.as_str() {
            "error" => Ok(Self(LevelFilter::ERROR)),
            "warn" => Ok(Self(LevelFilter::WARN)),
            "info" => Ok(Self(LevelFilter::INFO)),
            "debug" => Ok(Self(LevelFilter::DEBUG)),
            "trace" => Ok(Self(LevelFilter::TRACE)),
            _ => Err("must be error, warn, info, debug or trace"),
        }
    }
}
