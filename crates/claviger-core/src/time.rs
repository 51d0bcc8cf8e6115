//! Points in time, and where they come from.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. Prints as RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest point that can be written: shortly before the end of the year 9999, whatever the time zone.
    pub const MAX: Self = Self(253_402_207_199_999);

    /// From milliseconds since the epoch. Points before 1970 or after [`Timestamp::MAX`] are brought to the nearest end.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, Self::MAX.0))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// This point moved `by` into the future.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Reads an RFC 3339 date with any offset, such as `2026-01-31T12:00:00Z`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parsed: jiff::Timestamp = text.parse().ok()?;
        Some(Self::from_millis(parsed.as_millisecond()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Construction keeps the value within jiff's range, so the fallback is never printed.
        let point = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        write!(f, "{point:.3}")
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where "now" comes from: the system's clock in production, a hand-set one in tests.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment, by the calendar. May jump, in both directions.
    fn now(&self) -> Timestamp;

    /// The time since some fixed moment of this process: it never goes back and never jumps, so that it can tell how
    /// long ago something was.
    fn uptime(&self) -> Duration;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_prints_as_rfc_3339_in_utc() {
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-30T21:59:59.999Z");
    }

    #[test]
    fn a_date_with_an_offset_is_read() {
        let read = Timestamp::parse("2026-01-31T13:00:00+01:00").unwrap();
        assert_eq!(read.to_string(), "2026-01-31T12:00:00.000Z");
        assert_eq!(Timestamp::parse("tomorrow"), None);
    }
}
