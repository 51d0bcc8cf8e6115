//! The conditions a key can be in, and those of them that outlive the process.

use std::fmt;

use serde::Serialize;

use crate::time::Timestamp;

/// How a key is. From the mildest to the gravest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing is known against it.
    Well,
    /// Its provider asked to wait.
    RateLimited,
    /// Its account cannot pay.
    Exhausted,
    /// Its provider refused it.
    Rejected,
}

impl Condition {
    /// The condition by its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::RateLimited => "rate_limited",
            Self::Exhausted => "exhausted",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A condition that is stored, so that it outlives the process and reaches other nodes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AilmentKind {
    /// [`Condition::Exhausted`].
    Exhausted,
    /// [`Condition::Rejected`].
    Rejected,
}

impl AilmentKind {
    /// The kind by its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Condition::from(self).as_str()
    }

    /// The kind of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Exhausted, Self::Rejected].into_iter().find(|kind| kind.as_str() == name)
    }
}

impl From<AilmentKind> for Condition {
    fn from(kind: AilmentKind) -> Self {
        match kind {
            AilmentKind::Exhausted => Self::Exhausted,
            AilmentKind::Rejected => Self::Rejected,
        }
    }
}

impl fmt::Display for AilmentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is stored of a key's health.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ailment {
    /// What it is.
    pub kind: AilmentKind,
    /// The status of the answer that showed it; 0 where it is not known.
    pub status: u16,
    /// When it was learned.
    pub since: Timestamp,
    /// Until when the key rests.
    pub until: Timestamp,
    /// How often in a row it was found, at least 1.
    pub strikes: u32,
}
