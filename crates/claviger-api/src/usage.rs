//! `GET /api/workspaces/{id}/usage`

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use claviger_app::UseCounts;
use claviger_app::access::{ListKeys, Permit};
use claviger_app::usage::{KEPT, Usage, UsageError};
use claviger_core::{Catalogue, KeyId, ProviderId, Timestamp};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::auth::{self, Allowed};
use crate::error::{Code, Problem, Refusal, Refusals};
use crate::keys::CountsShown;
use crate::query::{Parameters, QUERY, QueryError};
use crate::{Shared, owners};

/// Milliseconds.
const DAY: i64 = 24 * 3_600_000;

/// How many buckets an answer has at most: enough for a provider's ten keys over all hours that are kept.
const MOST: usize = 10_000;

/// How much time is read at once, in milliseconds: whole days, so that none is summed up in two parts. A workspace with
/// ten keys of every provider has some 60,000 hours in it.
const PORTION: i64 = 7 * DAY;

/// Why usage is not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShowError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Usage(#[from] UsageError),
}

impl Refusal for ShowError {
    const CODES: &[&[Code]] = &[auth::TOKEN, auth::RIGHT, QUERY, &[Code::UnknownWorkspace]];

    fn problem(self) -> Problem {
        match self {
            Self::Query(error) => error.problem(),
            Self::Usage(UsageError::NoOwner(owner)) => owners::unknown(&owner),
            Self::Usage(UsageError::Store(error)) => Problem::store(&error),
        }
    }
}

/// What to tell of.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents the parameters that `Asked` reads")]
pub(crate) struct UsageParameters {
    /// For one provider only.
    #[param(rename = "providerId", required = false, example = "openai")]
    provider_id: String,
    /// From when on, RFC 3339; by default 24 hours before `to`.
    #[param(required = false, format = DateTime)]
    from: String,
    /// Until when, RFC 3339, at most 35 days after `from`; by default now.
    #[param(required = false, format = DateTime)]
    to: String,
    /// By the hour, or by the day in UTC.
    #[param(required = false, default = "hour", pattern = "^(hour|day)$")]
    bucket: String,
    /// How many buckets at most.
    #[param(minimum = 1, maximum = 10_000, default = 10_000, required = false)]
    limit: u32,
    /// The `nextCursor` of the answer before, with the same `from`, `to` and `bucket`; absent at first.
    #[param(required = false)]
    cursor: String,
}

/// What is asked for.
struct Asked {
    provider: Option<ProviderId>,
    from: Timestamp,
    to: Timestamp,
    bucket: Bucket,
    limit: usize,
    after: Option<Place>,
}

/// A bucket's place in the order of all.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    start: Timestamp,
    key: KeyId,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.start.as_millis(), self.key)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (start, key) = text.split_once('.').ok_or(())?;
        let start = Timestamp::from_millis(start.parse().map_err(|_| ())?);
        Ok(Self { start, key: key.parse().map_err(|_| ())? })
    }
}

impl Asked {
    fn read(parameters: &Parameters, catalogue: &Catalogue, now: Timestamp) -> Result<Self, QueryError> {
        let provider = parameters.provider(catalogue)?;
        let point = |name| match parameters.get(name)?.map(Timestamp::parse) {
            Some(None) => Err(QueryError::form(name, "a date in the form of RFC 3339, such as 2026-01-31T12:00:00Z")),
            Some(point) => Ok(point),
            None => Ok(None),
        };
        let (from, to) = (point("from")?, point("to")?.unwrap_or(now));
        let from = from.unwrap_or_else(|| Timestamp::from_millis(to.as_millis().saturating_sub(DAY)));
        let bucket = parameters.read("bucket", "hour or day")?.unwrap_or(Bucket::Hour);
        if from > to {
            return Err(QueryError::form("from", "no later than to, which is now where it is absent"));
        }
        if to > from.after(KEPT) {
            let days = KEPT.as_secs() / Duration::from_hours(24).as_secs();
            return Err(QueryError::form("from", format_args!("at most {days} days before to")));
        }
        let limit = parameters.read("limit", format_args!("a number from 1 to {MOST}"))?.unwrap_or(MOST);
        if !(1..=MOST).contains(&limit) {
            return Err(QueryError::form("limit", format_args!("a number from 1 to {MOST}")));
        }
        let after = parameters.read("cursor", "the nextCursor of the answer before")?;
        Ok(Self { provider, from, to, bucket, limit, after })
    }

    /// Reads a portion after the other, until there is one bucket more than there is room for, or time has ended.
    async fn answer(&self, usage: &Usage, permit: &Permit<ListKeys>) -> Result<UsageShown, UsageError> {
        let mut sums: BTreeMap<Place, UseCounts> = BTreeMap::new();
        // Of a day that began before it was asked for, only the rest counts.
        let mut from = self.after.as_ref().map_or(self.from, |after| after.start.max(self.from));
        loop {
            let day = from.as_millis().div_euclid(DAY) * DAY;
            let until = Timestamp::from_millis(day.saturating_add(PORTION)).min(self.to);
            for hour in usage.hours(permit, self.provider.as_ref(), from, until).await? {
                let place = Place { start: self.bucket.start(hour.start), key: hour.key };
                if self.after.as_ref().is_none_or(|after| place > *after) {
                    *sums.entry(place).or_default() += hour.counts;
                }
            }
            if until >= self.to || sums.len() > self.limit {
                return Ok(UsageShown::of(sums, self.limit));
            }
            from = until;
        }
    }
}

/// What to sum up by.
#[derive(Clone, Copy)]
enum Bucket {
    Hour,
    Day,
}

impl FromStr for Bucket {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "hour" => Ok(Self::Hour),
            "day" => Ok(Self::Day),
            _ => Err(()),
        }
    }
}

impl Bucket {
    /// When the bucket began that an hour is in.
    fn start(self, hour: Timestamp) -> Timestamp {
        match self {
            Self::Hour => hour,
            Self::Day => Timestamp::from_millis(hour.as_millis().div_euclid(DAY) * DAY),
        }
    }
}

/// How a workspace's keys were used.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Usage)]
pub(crate) struct UsageShown {
    /// By time, then by key.
    buckets: Vec<BucketShown>,
    /// The cursor of what follows; absent where that was all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    next_cursor: Option<String>,
}

/// How one key was used in one hour or day.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UsageBucket)]
pub(crate) struct BucketShown {
    /// When the hour or day began.
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// The key.
    #[schema(value_type = String)]
    key_id: KeyId,
    #[serde(flatten)]
    counts: CountsShown,
}

impl UsageShown {
    fn of(sums: BTreeMap<Place, UseCounts>, limit: usize) -> Self {
        let is_all = sums.len() <= limit;
        let last = sums.keys().nth(limit - 1).filter(|_| !is_all);
        let next_cursor = last.map(Place::to_string);
        let shown = |(place, counts): (Place, UseCounts)| BucketShown {
            start: place.start,
            key_id: place.key,
            counts: counts.into(),
        };
        Self { buckets: sums.into_iter().take(limit).map(shown).collect(), next_cursor }
    }
}

/// Tell how a workspace's keys were used
///
/// How the requests of each of its own keys ended, by the hour or the day; where there were none, a bucket is missing.
/// Counted are the hours that began at `from` or later, and before `to`: a day that is not wholly in between is told in
/// part. Each node writes its counts every few seconds. Hours are kept for 35 days, or until their key is deleted. What is
/// asked for one provider always fits into one answer; otherwise `nextCursor` may tell where to go on.
#[utoipa::path(
    get,
    path = "/api/workspaces/{id}/usage",
    operation_id = "getUsage",
    tag = "Keys",
    params(("id" = String, Path, description = "The workspace."), UsageParameters),
    responses((status = 200, description = "The usage.", body = UsageShown), Refusals<ShowError>),
    security(("token" = ["root", "service", "admin", "member"]))
)]
pub(crate) async fn show(
    State(api): State<Shared>,
    Allowed(permit): Allowed<ListKeys>,
    parameters: Parameters,
) -> Result<Json<UsageShown>, Problem> {
    let usage = &api.app.usage;
    let asked = Asked::read(&parameters, &api.app.catalogue, usage.now()).map_err(ShowError::Query)?;
    Ok(Json(asked.answer(usage, &permit).await.map_err(ShowError::Usage)?))
}
