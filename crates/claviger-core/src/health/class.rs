//! What an answer says about the key that got it.

use std::fmt;

use serde::Serialize;

use crate::catalogue::ErrorClass;

/// What an answer says about the key that got it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The key did its work.
    Ok,
    /// The caller's request was wrong. Says nothing about the key.
    RequestError,
    /// This call is not for this key (plan, scope, region, address). No proof of a bad key.
    AccountPermission,
    /// The key is fine; later.
    RateLimited,
    /// The key is fine; its account cannot pay.
    NoCredit,
    /// The provider does not know the key, or no longer.
    KeyInvalid,
    /// The provider's trouble. Says nothing about the key.
    Overloaded,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::RequestError,
        Self::AccountPermission,
        Self::RateLimited,
        Self::NoCredit,
        Self::KeyInvalid,
        Self::Overloaded,
    ];

    /// The class by its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::RequestError => "request_error",
            Self::AccountPermission => "account_permission",
            Self::RateLimited => "rate_limited",
            Self::NoCredit => "no_credit",
            Self::KeyInvalid => "key_invalid",
            Self::Overloaded => "overloaded",
        }
    }

    /// What a status means where no rule says otherwise.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            401 => Self::KeyInvalid,
            402 => Self::NoCredit,
            403 => Self::AccountPermission,
            429 => Self::RateLimited,
            400..=499 => Self::RequestError,
            100..=399 => Self::Ok,
            // What is no HTTP status is the provider's trouble too.
            _ => Self::Overloaded,
        }
    }

    /// Whether another key may do better with the same request: the answer is about the key, not about the request or
    /// the provider.
    #[must_use]
    pub fn is_about_the_key(self) -> bool {
        matches!(self, Self::RateLimited | Self::NoCredit | Self::KeyInvalid)
    }
}

impl From<ErrorClass> for Class {
    fn from(class: ErrorClass) -> Self {
        match class {
            ErrorClass::KeyInvalid => Self::KeyInvalid,
            ErrorClass::NoCredit => Self::NoCredit,
            ErrorClass::RateLimited => Self::RateLimited,
            ErrorClass::AccountPermission => Self::AccountPermission,
            ErrorClass::Overloaded => Self::Overloaded,
            ErrorClass::RequestError => Self::RequestError,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
