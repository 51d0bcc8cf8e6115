//! The parameters behind the question mark.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use claviger_core::{Catalogue, ProviderId};
use http::request::Parts;

use crate::Shared;
use crate::error::{Code, Problem, Refusal};

/// What may be said of any request with parameters.
pub(crate) const QUERY: &[Code] = <QueryError as Refusal>::CODES[0];

/// Why parameters were not taken. What stands in them is not repeated.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("must be there, once")]
    Missing(&'static str),
    #[error("must be there only once")]
    Twice(&'static str),
    #[error("must be {expected}")]
    Form { name: &'static str, expected: String },
    #[error("there is no provider of this id; GET /api/providers lists them")]
    UnknownProvider,
}

impl Refusal for QueryError {
    const CODES: &[&[Code]] = &[&[Code::InvalidInput, Code::UnknownProvider]];

    fn problem(self) -> Problem {
        match self {
            Self::Missing(name) | Self::Twice(name) | Self::Form { name, .. } => Problem::input(name, self),
            Self::UnknownProvider => Problem::new(Code::UnknownProvider, self).at("providerId"),
        }
    }
}

impl QueryError {
    pub(crate) fn form(name: &'static str, expected: impl Display) -> Self {
        Self::Form { name, expected: expected.to_string() }
    }
}

/// The parameters of a request, decoded. Comes after the permit. Those that nobody asks for are ignored.
pub(crate) struct Parameters(Vec<(String, String)>);

impl FromRequestParts<Shared> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Shared) -> Result<Self, Problem> {
        let query = Query::try_from_uri(&parts.uri);
        Ok(Self(query.map(|Query(parameters)| parameters).unwrap_or_default()))
    }
}

impl Parameters {
    /// The one of this name; an empty one counts as absent.
    pub(crate) fn get(&self, name: &'static str) -> Result<Option<&str>, QueryError> {
        let mut found = self.0.iter().filter(|(found, _)| found == name);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(QueryError::Twice(name)),
            (found, _) => Ok(found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())),
        }
    }

    /// The one of this name, read.
    pub(crate) fn read<T: FromStr>(&self, name: &'static str, expected: impl Display) -> Result<Option<T>, QueryError> {
        let read = |value: &str| value.parse().map_err(|_| QueryError::form(name, expected));
        self.get(name)?.map(read).transpose()
    }

    /// The provider that is named.
    pub(crate) fn provider(&self, catalogue: &Catalogue) -> Result<Option<ProviderId>, QueryError> {
        let known = |id| catalogue.get(id).map(|provider| provider.id.clone()).ok_or(QueryError::UnknownProvider);
        self.get("providerId")?.map(known).transpose()
    }
}
