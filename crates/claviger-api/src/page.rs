//! Long lists come in pages.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use claviger_app::{Page, StoreError};
use http::request::Parts;
use utoipa::IntoParams;

use crate::Shared;
use crate::auth;
use crate::error::{Code, Problem, Refusal};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// What may be said of any request for a page.
const PAGE: &[Code] = <PageError as Refusal>::CODES[0];

/// Why a page was not given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error("must be a number from 1 to {MAX_LIMIT}, once")]
    Limit,
    #[error("must be the nextCursor of the page before, once")]
    Cursor,
}

impl Refusal for PageError {
    const CODES: &[&[Code]] = &[&[Code::InvalidInput]];

    fn problem(self) -> Problem {
        match self {
            Self::Limit => Problem::input("limit", self),
            Self::Cursor => Problem::input("cursor", self),
        }
    }
}

/// Why a list is not given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal for ListError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, PAGE];

    fn problem(self) -> Problem {
        match self {
            Self::Store(error) => Problem::store(&error),
        }
    }
}

/// Which page of a list to answer with.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents the parameters that `Paged` reads")]
pub(crate) struct PageParameters {
    /// How many at most.
    #[param(minimum = 1, maximum = 200, default = 50, required = false)]
    limit: u32,
    /// The `nextCursor` of the page before; absent for the first page.
    #[param(required = false)]
    cursor: String,
}

/// Which page is asked for.
pub(crate) struct Paged<Id> {
    after: Option<Id>,
    limit: u32,
}

impl<Id: FromStr> FromRequestParts<Shared> for Paged<Id> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _api: &Shared) -> Result<Self, Problem> {
        let mut limit = None;
        let mut after = None;
        let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).unwrap_or_default();
        for (name, value) in &query.0 {
            match name.as_str() {
                "limit" if limit.is_none() => limit = Some(parse_limit(value).ok_or(PageError::Limit)?),
                "limit" => return Err(PageError::Limit.into()),
                "cursor" if after.is_none() => after = Some(value.parse().map_err(|_| PageError::Cursor)?),
                "cursor" => return Err(PageError::Cursor.into()),
                _ => {}
            }
        }
        Ok(Self { after, limit: limit.unwrap_or(DEFAULT_LIMIT) })
    }
}

fn parse_limit(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|limit| digits && (1..=MAX_LIMIT).contains(limit))
}

impl<Id: Clone> Paged<Id> {
    /// Which page it is.
    pub(crate) fn asked(&self) -> Page<Id> {
        Page { after: self.after.clone(), limit: self.limit }
    }

    /// What to ask the store for: one more than the page has room for, to learn whether there is a next one.
    pub(crate) fn with_one_more(&self) -> Page<Id> {
        Page { limit: self.limit + 1, ..self.asked() }
    }

    /// Takes the one too many away again; where it was there, the last id of the page is the next one's cursor.
    pub(crate) fn cut<T>(&self, items: &mut Vec<T>, id: impl Fn(&T) -> &Id) -> Option<Id> {
        let room = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if items.len() <= room {
            return None;
        }
        items.truncate(room);
        items.last().map(|last| id(last).clone())
    }
}
