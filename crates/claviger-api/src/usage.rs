//! `GET /api/workspaces/{id}/usage`

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use claviger_app::access::ListKeys;
use claviger_app::usage::{KEPT, UsageError};
use claviger_app::{UsageBucket, UseCounts};
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
}

/// What is asked for.
struct Asked {
    provider: Option<ProviderId>,
    from: Timestamp,
    to: Timestamp,
    bucket: Bucket,
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
        Ok(Self { provider, from, to, bucket })
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
            Self::Day => Timestamp::from_millis(hour.as_millis() / DAY * DAY),
        }
    }
}

/// How a workspace's keys were used.
#[derive(Serialize, ToSchema)]
#[schema(as = Usage)]
pub(crate) struct UsageShown {
    /// By time, then by key.
    buckets: Vec<BucketShown>,
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
    fn of(hours: Vec<UsageBucket>, bucket: Bucket) -> Self {
        let mut sums: BTreeMap<(Timestamp, KeyId), UseCounts> = BTreeMap::new();
        for hour in hours {
            *sums.entry((bucket.start(hour.start), hour.key)).or_default() += hour.counts;
        }
        let shown = |((start, key_id), counts): (_, UseCounts)| BucketShown { start, key_id, counts: counts.into() };
        Self { buckets: sums.into_iter().map(shown).collect() }
    }
}

/// Tell how a workspace's keys were used
///
/// How the requests of each of its own keys ended, by the hour or the day; where there were none, a bucket is missing.
/// Counted are the hours that began at `from` or later, and before `to`: a day that is not wholly in between is told in
/// part. Each node writes its counts every few seconds. Hours are kept for 35 days, or until their key is deleted.
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
    let hours = usage.hours(&permit, asked.provider.as_ref(), asked.from, asked.to).await;
    Ok(Json(UsageShown::of(hours.map_err(ShowError::Usage)?, asked.bucket)))
}
