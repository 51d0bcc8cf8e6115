//! The request that shows whether a key is real.

use serde::Deserialize;

use super::auth::Auth;
use super::rule::{Check, statuses};

/// A cheap request, and what its answers prove. An answer that fits neither list proves nothing.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The alias of the origin it goes to.
    pub origin: String,
    /// The request's method.
    pub method: Method,
    /// The request's path and query.
    pub path: String,
    /// The request's JSON body, if it has one.
    pub body: Option<String>,
    /// Where the key goes, where this request differs from its origin.
    pub auth: Option<Auth>,
    /// Answers by which the key is real. One case that fits is enough.
    pub valid: Vec<Case>,
    /// Answers by which the key is refused. One case that fits is enough.
    pub invalid: Vec<Case>,
    /// What the request costs the key's owner.
    pub cost: Cost,
    /// A word for people.
    pub note: Option<String>,
}

/// One kind of answer to a probe. It fits when its status is listed and every check holds.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The answer's status is one of these; never empty.
    #[serde(deserialize_with = "statuses")]
    pub statuses: Vec<u16>,
    /// What must hold beside the status.
    #[serde(default)]
    pub when: Vec<Check>,
}

/// A probe's method.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET, without a body.
    Get,
    /// POST.
    Post,
}

impl Method {
    /// The method as HTTP writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// What a probe costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// Nothing.
    Free,
    /// As much as one ordinary call.
    OneCall,
}
